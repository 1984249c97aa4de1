"""What the scripts share: reading our files (run logs also while a run writes them), smoothing, the look of figures.

The one place that knows how they are laid out. In a notebook:

    import sys; sys.path.insert(0, "analysis")
    import common
    run = common.Run("runs/demo")
    run.tasks["depth"].sigma, run.config["optimizer"]["learning_rate"], run.evaluations["val"].metrics["depth"]
"""

import collections
import os
import re
import sys

import script

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")  # a live file is open for writing; must precede h5py
script.needs("numpy", "h5py", "matplotlib")

import h5py
import matplotlib
import numpy

matplotlib.use("Agg")
from matplotlib import pyplot

# Told apart by people who do not see all colours (after M. Okabe and K. Ito, "Color Universal Design", 2008; its yellow is too
# faint on white), neighbours by their lightness too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b6b6b", "#882255")
INK, FAINT = "#22262b", "#9aa1a9"

# Of every metric: what a table or an axis calls it, and whether more is better. A task's first one here is what training
# calls "best" by. "{unit}": the target's own.
METRICS = {
    "miou": ("mean IoU, %", True), "error_pixels": ("mean error, px", False), "error_metres": ("mean error, m", False),
    "mean_degrees": ("mean angle, deg", False), "accuracy": ("accuracy, %", True), "f1": ("F1, %", True),
    "error": ("mean error, {unit}", False), "pixel_accuracy": ("pixel accuracy, %", True),
    "category_iou": ("category IoU, %", True), "iiou": ("iIoU, %", True), "category_iiou": ("category iIoU, %", True),
    "ap": ("AP, %", True), "ap50": ("AP at 0.5, %", True), "rms_pixels": ("RMS error, px", False),
    "rms_metres": ("RMS error, m", False), "abs_rel": ("relative error", False),
    "sq_rel": ("squared relative error, m", False), "log_rms": ("RMS error of ln", False),
    "delta1": ("within 1.25, %", True), "delta2": ("within 1.25², %", True), "delta3": ("within 1.25³, %", True),
    "median_degrees": ("median angle, deg", False), "within_11": ("within 11.25 deg, %", True),
    "within_22": ("within 22.5 deg, %", True), "within_30": ("within 30 deg, %", True),
    "rms": ("RMS error, {unit}", False), "r2": ("R²", True), "top5": ("top-5 accuracy, %", True),
    "label_accuracy": ("label accuracy, %", True), "label_iou": ("IoU of labels, %", True),
}
# sigma = exp(s/2) where d(objective)/ds = 0 at loss L over D components
MINIMISERS = {
    "categorical": lambda loss, dimensions: numpy.sqrt(2 * loss / dimensions),
    "gaussian": lambda loss, dimensions: numpy.sqrt(loss / dimensions),
    "laplace": lambda loss, dimensions: loss / dimensions,
    "paper_l1": lambda loss, dimensions: numpy.sqrt(loss),
    "revised_uncertainty": lambda loss, dimensions: numpy.sqrt((loss + numpy.sqrt(loss * (loss + 8))) / 4),
}
# Where the tasks of a group are one loss, not observations of one distribution.
REGULARISED_ONCE = "revised_uncertainty",
# Likelihoods of no distribution that sigma is a parameter of. All that it does is to weigh the loss by:
WEIGHS_BY = {"categorical": "1/sigma²", "paper_l1": "1/(2 sigma²)", "revised_uncertainty": "1/(2 sigma²)"}
# Likelihoods whose loss is of another kind than the loss's name says: such losses compare with each other only.
OWN_LOSS = "categorical_scaled", "per_pixel"


def colours(count):
    """Of as many curves: the usual ones, or, where they are too few, a scale from dark to light."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [matplotlib.colors.to_hex(matplotlib.colormaps["viridis"](0.9 * i / (count - 1))) for i in range(count)]


def set_style():
    pyplot.rcParams.update({
        "figure.facecolor": "white", "figure.dpi": 130, "font.size": 9, "font.family": "DejaVu Sans",
        "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.labelsize": 9,
        "axes.edgecolor": FAINT, "axes.labelcolor": INK, "text.color": INK, "axes.linewidth": 0.8,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e8eb",
        "grid.linewidth": 0.7, "axes.axisbelow": True, "xtick.color": INK, "ytick.color": INK, "xtick.labelsize": 8,
        "ytick.labelsize": 8, "legend.frameon": False, "legend.fontsize": 8.5, "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round"})


def text(value):
    """An attribute or a string element as str, however it was stored."""
    return value.decode() if isinstance(value, bytes) else str(value)


# What our files call themselves in the attribute `format`, in words.
FORMATS = {"sigmatic-run": "the log of a run (run.h5)", "sigmatic-dataset": "a dataset", "sigmatic-checkpoint": "a checkpoint",
           "sigmatic-predictions": "what eval --predictions writes", "sigmatic-prediction": "what predict writes",
           "sigmatic-weights": "weights"}


def open_checked(path, expected):
    """Opens `path` for reading and makes sure that its root attribute `format` says `expected`."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        why = ("a folder" if os.path.isdir(path) else "no such file" if not os.path.exists(path) else
               "not allowed to read it" if isinstance(error, PermissionError) else
               f"damaged HDF5 file: {error}" if h5py.is_hdf5(path) else "not an HDF5 file")
        raise SystemExit(f"{path}: {why}; expected {FORMATS[expected]}")
    found = text(file.attrs.get("format", ""))
    if found != expected:
        file.close()
        raise SystemExit(f"{path}: {FORMATS.get(found, 'an HDF5 file of another program')}; expected {FORMATS[expected]}"
                         + hint(path, found, expected))
    return file


def hint(path, found, expected):
    """Where the log is that belongs to a checkpoint."""
    log = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(path))), "run.h5")
    return f": {log}" if (found, expected) == ("sigmatic-checkpoint", "sigmatic-run") and os.path.isfile(log) else ""


# What h5py raises where a file of ours lacks something, or holds something else there.
DAMAGES = KeyError, OSError, RuntimeError, ValueError, TypeError, AttributeError, IndexError


def in_order(names):
    """Task names: the usual three first and in their usual order, the others as HDF5 lists them."""
    usual = ("semantic", "instance", "depth")
    return [name for name in usual if name in names] + [name for name in names if name not in usual]


def metric_label(metric, unit=""):
    return METRICS.get(metric, (metric, None))[0].replace("{unit}", unit).rstrip(", ")


def metrics_in_order(names):
    """As METRICS has them, then those that it does not know."""
    return [name for name in METRICS if name in names] + [name for name in names if name not in METRICS]


# ---- runs ----------------------------------------------------------------------------------------------------------

class Task:
    """Of a run: loss, weight, log_variance (or another learnt s), sigma, gradient_norm, gradient_share (of the unweighted and
    the weighted loss's gradient at the shared representation), one a step (NaN: absent, or not measured); kind, loss_name,
    likelihood, meaning and sigma_unit (of sigma; "" where it is no scale of anything), unit (of metrics), dimensions."""

    def __init__(self, group, rows):
        attribute = lambda name, absent="": text(group.attrs.get(name, absent))
        self.kind, self.loss_name, self.unit = attribute("kind"), attribute("loss"), attribute("unit")
        self.likelihood = attribute("likelihood")
        self.meaning = "" if self.likelihood in WEIGHS_BY else attribute("meaning")  # older logs have one there too
        self.sigma_unit = attribute("sigma_unit", self.unit if self.likelihood in ("gaussian", "laplace", "huber") else "") if self.meaning else ""
        self.dimensions = int(group.attrs.get("dimensions", 1))
        self.group, self.group_weight = attribute("group"), float(group.attrs.get("group_weight", 1))  # "": it is weighed by itself
        self.loss, self.weight, self.log_variance, self.sigma = (
            group[name][:rows] for name in ("loss", "weight", "log_variance", "sigma"))
        self.gradient_norm, self.gradient_share = (
            group[name][:rows] if name in group else numpy.full(rows, numpy.nan) for name in ("gradient_norm", "gradient_share"))

    def minimiser(self, loss, dimensions=None):
        """sigma that minimises the objective at `loss`; NaN where there is no closed form, or no sigma."""
        formula = MINIMISERS.get(self.likelihood)
        return formula(loss, self.dimensions if dimensions is None else dimensions) if formula else loss * numpy.nan

    @property
    def sigma_is(self):
        """In words, with its unit: "Laplace scale b, px"; "" where none is learnt."""
        if self.likelihood in WEIGHS_BY:
            return f"no scale, weighs by {WEIGHS_BY[self.likelihood]}"
        return ", ".join(filter(None, (self.meaning, self.sigma_unit)))

    @property
    def loss_unit(self):
        return f"{self.unit}²" if self.loss_name == "l2" and self.unit else self.unit

    @property
    def loss_scale(self):
        """Losses compare where this is equal."""
        return self.loss_name, self.unit, self.likelihood if self.likelihood in OWN_LOSS else ""


Evaluation = collections.namedtuple("Evaluation", "step metrics calibration", defaults=({},))
Evaluation.__doc__ = """Of a split: step, one an evaluation; metrics {task: {metric: values}}, those measured at least once; calibration
{task: {name: values}} of CALIBRATION, likewise."""
# Of a task on a split: the loss that it trains on, sigma, the sigma that minimises the objective at this loss (which is the scale
# of residuals that sigma was not learned from, where sigma is one), and sigma's ratio to that: below 1 it is too sure.
CALIBRATION = "loss", "sigma", "residual_scale", "ratio"


class Run:
    """A run log, with the rows that every column has: `path` is run.h5 or the folder that holds it.

    steps {column: values} of /steps (step, epoch, seconds, loss, learning_rate, ...), timing {column: values}, tasks
    {name: Task}, evaluations {split: Evaluation}, cosines {(task, other): values} between the gradients of their losses where
    the run measured them, config {section: {key: text}} and config_text, attributes (versions, host, world_size, threads, ...),
    status ("done", "running", ...; "" without the file) and why."""

    def __init__(self, path, label=None):
        self.path = os.path.join(path, "run.h5") if os.path.isdir(path) else path
        self.folder = os.path.dirname(os.path.abspath(self.path))
        self.label = label or labels_of([self.path], None)[0]
        self.status, self.why = read_status(self.folder)
        late = journal_steps(self.path)  # before the log: rows that leave it meanwhile are in there
        with open_checked(self.path, "sigmatic-run") as file:
            try:
                self._read(file)
                self._tell_behind(*late)
            except DAMAGES as error:
                raise SystemExit(f"{self.path}: damaged log of a run: {error.args[0] if error.args else error!r}")

    def _read(self, file):
        self.attributes = {name: text(value) for name, value in file.attrs.items()}
        self.config_text = self.attributes.pop("config", "")
        self.config = parse_config(self.config_text)
        cosines = {(task, other): column for task, others in file.get("gradient_cosines", {}).items() for other, column in others.items()}
        columns = [*file["steps"].values(), *file.get("timing", {}).values(), *cosines.values(),
                   *(column for task in file["tasks"].values() for column in task.values())]
        rows = min(len(column) for column in columns)  # of a live file some columns may be ahead
        self.steps = {name: column[:rows] for name, column in file["steps"].items()}
        self.timing = {name: column[:rows] for name, column in file.get("timing", {}).items()}
        self.tasks = {name: Task(file["tasks"][name], rows) for name in in_order(file["tasks"])}
        self.cosines = {pair: column[:rows] for pair, column in cosines.items()}
        calibrations = file.get("calibration", {})
        self.evaluations = {name: self._evaluation(group, calibrations.get(name, {})) for name, group in file.get("evaluations", {}).items()}

    def _tell_behind(self, start, steps):
        """A log is written as a whole, now and then; in between the latest rows stand in a journal."""
        steps = steps[steps > (self.step[-1] if len(self) else 0)]
        if len(steps) and start == self.attributes.get("start", start):
            print(f"{self.path} is {len(steps)} {'step' if len(steps) == 1 else 'steps'} behind the run, which has made {steps[-1]}: "
                  "sigmatic show has them", file=sys.stderr)

    def _evaluation(self, group, calibration):
        metrics = {task: {metric: group[task][metric] for metric in metrics_in_order(group[task])}
                   for task in self.tasks if task in group}
        calibration = {task: {name: calibration[task][name] for name in CALIBRATION} for task in self.tasks if task in calibration}
        rows = min([len(group["step"]), *(len(column) for columns in (metrics, calibration) for task in columns.values() for column in task.values())])
        measured = lambda columns: {task: {name: column[:rows] for name, column in of_task.items() if numpy.isfinite(column[:rows]).any()}
                                    for task, of_task in columns.items()}
        return Evaluation(group["step"][:rows], measured(metrics), measured(calibration))

    def __len__(self):
        return len(self.steps["step"])

    def minimiser(self, name, smoothed):
        """sigma that minimises the objective at what `smoothed` makes of a task's losses, or of those of all tasks of its group, which
        share it (configs/weightings.md); NaN where there is no closed form, or no sigma."""
        task = self.tasks[name]
        group = [other for other in self.tasks.values() if task.group and other.group == task.group]
        if not group:
            return task.minimiser(smoothed(task.loss))
        losses = numpy.array([smoothed(other.loss) for other in group])
        counts = numpy.where(numpy.isfinite(losses).T, [other.group_weight for other in group], 0.0).T
        with numpy.errstate(invalid="ignore"):
            of_one = 1 if task.likelihood in REGULARISED_ONCE else counts.sum(0)
            loss = (counts * numpy.nan_to_num(losses)).sum(0) / of_one
            dimensions = (counts.T * [other.dimensions for other in group]).T.sum(0) / counts.sum(0)
        return task.minimiser(loss, dimensions)

    @property
    def step(self):
        return self.steps["step"]

    def last_metrics(self):
        """{(task, metric): value} of the last evaluation of each split."""
        return {(task, metric): values[-1] for evaluation in self.evaluations.values()
                for task, metrics in evaluation.metrics.items() for metric, values in metrics.items() if len(values)}

    def calibration(self, task, name):
        """(steps, values) of one of CALIBRATION, of the first split that has it; empty where none does."""
        for evaluation in self.evaluations.values():
            if name in evaluation.calibration.get(task, {}):
                return evaluation.step, evaluation.calibration[task][name]
        return numpy.array([], int), numpy.array([])

    def last_cosines(self):
        """A matrix over the tasks: means of the last tenth of what was measured, NaN where nothing was; 1 on the diagonal."""
        places = {name: i for i, name in enumerate(self.tasks)}
        matrix = numpy.where(numpy.eye(len(places)) > 0, 1.0, numpy.nan)
        for (task, other), values in self.cosines.items():
            if task in places and other in places:
                measured = values[numpy.isfinite(values)]
                mean = trailing_mean(measured, -(-len(measured) // 10))
                matrix[places[task], places[other]] = matrix[places[other], places[task]] = mean
        return matrix

    def axis(self, unit, steps=None):
        """The steps (or some of them: `steps`) in another unit: "step", "epoch" (with its fraction) or one of SECONDS."""
        steps = self.step if steps is None else steps
        if unit == "step":
            return steps
        values = self._epochs() if unit == "epoch" else self.steps["seconds"] / SECONDS[unit]
        return numpy.interp(steps, self.step, values)

    def _epochs(self):
        epoch = self.steps["epoch"]
        _, first, count = numpy.unique(epoch, return_index=True, return_counts=True)
        length = numpy.repeat(numpy.maximum(count, count.max()) if len(count) else count, count)
        within = numpy.arange(len(epoch)) - numpy.repeat(first, count) + 1
        return epoch - (epoch.min() if len(epoch) else 0) + within / numpy.maximum(length, 1)


SECONDS = {"hours": 3600, "minutes": 60, "seconds": 1}


def unit_of(seconds):
    """In which a duration is a number that one can read."""
    return "hours" if seconds >= 5400 else "minutes" if seconds >= 90 else "seconds"


def duration(seconds):
    unit = unit_of(seconds)
    return f"{seconds / SECONDS[unit]:.3g} {'min' if unit == 'minutes' else unit[0]}"


def readable_axis(unit, runs):
    """"hours" becomes minutes or seconds for runs that are short."""
    return unit_of(max(run.steps["seconds"][-1] for run in runs)) if unit == "hours" else unit


def journal_steps(path):
    """(start, steps) of the rows in the journal beside a log, whose layout is that of src/train/run_journal.h; ("", []) without one."""
    try:
        with open(re.sub(r"\.h5$", "", path) + ".journal", "rb") as file:
            content = file.read()
    except OSError:
        return "", numpy.array([], int)
    magic, bytes_of_text = content[:8], int.from_bytes(content[8:12], sys.byteorder)
    head, *columns = content[16:16 + bytes_of_text].decode(errors="replace").splitlines() or [""]
    tables = collections.Counter(column.split(" ")[0] for column in columns)
    if magic != b"SMJOURN1" or not tables:
        return "", numpy.array([], int)
    record = numpy.dtype([("checksum", "u4"), ("table", "u4"), ("values", "f8", max(tables.values()))])
    whole = content[16 + bytes_of_text:][:(len(content) - 16 - bytes_of_text) // record.itemsize * record.itemsize]
    rows = numpy.frombuffer(whole, record) if whole else numpy.empty(0, record)
    return head.removeprefix("start "), rows["values"][rows["table"] == 0][:, 0].astype(int)


def read_status(folder):
    """("done", "") or ("failed", "why"); ("", "") where the folder has none."""
    try:
        with open(os.path.join(folder, "status")) as file:
            word, _, why = file.readline().strip().partition(": ")
    except OSError:
        return "", ""
    return word, why


def in_words(status, why=""):
    """What read_status() found, for people: the file says "running" too where a run could not say how it ended."""
    status = {"running": "running, or killed"}.get(status, status)
    return f"{status}: {why}" if why else status


def parse_config(config_text):
    """{section: {key: value}} of the resolved configuration that files keep, all of it text."""
    sections = {}
    for line in config_text.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip()[1:-1], {})
        elif "=" in line:
            key, _, value = line.partition("=")
            section[key.strip()] = value.strip()
    return sections


def runs_below(folder):
    """Logs in a folder and those below it, also one that is missing beside a status: of a run that failed early. A link is
    followed only to a run: it may lead back up."""
    holds = lambda path, name: os.path.isfile(os.path.join(path, name))
    if holds(folder, "run.h5"):
        return [os.path.join(folder, "run.h5")]
    try:
        below = sorted((entry for entry in os.scandir(folder) if entry.is_dir()), key=lambda entry: entry.name)
    except OSError as error:
        print(f"left out: {folder}: {error.strerror}", file=sys.stderr)
        return []
    found = [path for entry in below if not entry.is_symlink() or holds(entry.path, "run.h5") for path in runs_below(entry.path)]
    return found or [os.path.join(folder, "run.h5")] * holds(folder, "status")


def find_runs(arguments):
    """The run logs that command-line words mean: files, folders of a run, and folders of runs at any depth."""
    paths = []
    for argument in arguments:
        if not os.path.exists(argument):
            raise SystemExit(f"{argument}: no such file or folder")
        found = runs_below(argument) if os.path.isdir(argument) else [argument]
        if not found:
            raise SystemExit(f"{argument}: no run.h5 in this folder or below it")
        paths += found
    return paths


LeftOut = collections.namedtuple("LeftOut", "path why")


def open_each(arguments, labels=None, empty=False):
    """(runs, left out): a Run for each log that `arguments` mean, but for those that cannot be read or have no step yet.
    \\param labels  of those that are read, "a,b"   \\param empty  whether runs without a step are welcome"""
    paths = find_runs(arguments)
    if not labels:  # else who asks knows how often
        paths = list({os.path.realpath(path): path for path in reversed(paths)}.values())[::-1]
    runs, left_out = [], []
    for path in paths:
        status = in_words(*read_status(os.path.dirname(path)))
        try:
            run = Run(path)
            why = "" if len(run) or empty else "no step is logged yet"
        except SystemExit as error:
            why = str(error).replace(f"{path}: ", "", 1) if os.path.exists(path) else "no run.h5"
        if why:
            left_out.append(LeftOut(path if os.path.exists(path) else os.path.dirname(path), f"{why} (its status: {status})" if status else why))
        else:
            runs.append(run)
    for run, label in zip(runs, labels_of([run.path for run in runs], labels) if runs else []):
        run.label = label
    return runs, left_out


def open_runs(arguments, labels=None, empty=False):
    """The runs of open_each(). Says which are left out; refuses to go on without one that is named itself."""
    runs, left_out = open_each(arguments, labels, empty)
    logs = (os.path.join(path, "run.h5") if os.path.isdir(path) else path for path in arguments)
    named = set(map(os.path.realpath, [*arguments, *logs]))  # what is left out without a log is called by its folder
    for path, why in left_out:
        if not runs or os.path.realpath(path) in named:
            raise SystemExit(f"{path}: {why}" + (f"; nor can {len(left_out) - 1} more be read" if not runs and len(left_out) > 1 else ""))
        print(f"left out: {path}: {why}", file=sys.stderr)
    return runs


def labels_of(paths, given):
    """--labels a,b, or whatever tells the paths apart: runs/first/run.h5 becomes "first"."""
    if given:
        labels = given.split(",")
        if len(labels) != len(paths):
            raise SystemExit(f"--labels names {len(labels)} for {len(paths)} files")
        return labels
    parts = [os.path.splitext(os.path.abspath(path))[0].split(os.sep) for path in paths]
    while len(parts) > 1 and all(len(p) > 1 for p in parts) and len({p[-1] for p in parts}) == 1:
        parts = [p[:-1] for p in parts]
    if len(paths) == 1:
        return [parts[0][-2] if parts[0][-1] == "run" else parts[0][-1]]
    return [p[-1] if sum(other[-1] == p[-1] for other in parts) == 1 else os.sep.join(p[-2:]) for p in parts]


# ---- seeds: runs whose configurations differ in nothing else --------------------------------------------------------

# What a run may have set otherwise and still be the same experiment: at its end it has learnt the same.
NO_DIFFERENCE = {("run", "folder"), ("run", "seed"), ("run", "tasks"), ("run", "progress_seconds"), ("run", "evaluate_batch"),
                 ("run", "evaluate_interval"), ("run", "evaluate_instances"),
                 ("checkpoint", "interval"), ("checkpoint", "keep_last"), ("checkpoint", "keep_best"), ("checkpoint", "best"),
                 ("checkpoint", "minutes"), ("checkpoint", "keep_every"), ("run", "time_limit"), ("weighting", "diagnose_interval"),
                 ("data", "prefetch"), ("data", "workers"), ("distributed", "threads"), ("distributed", "recompute"),
                 ("distributed", "bucket_mib"), ("distributed", "reduction_thread"), ("distributed", "stall_seconds"),
                 ("distributed", "check_interval")}
# Keys that name a row, the first that tell rows apart before the others: what runs are usually made to compare.
IMPORTANCE = [re.compile(pattern) for pattern in (
    r"tasks", r"weighting\.method", r"weighting\.", r"task\..*\.(weight|likelihood|uncertainty|loss)$", r"task\.", r"model\.", r"optimizer\.",
    r"schedule\.", r"run\.(batch|steps|epochs)$", r"data\.", r"")]


def settings_of(run):
    """{"section.key": value} of what makes a run the experiment that it is; "tasks" joins their names."""
    settings = {f"{section}.{key}": value for section, keys in run.config.items() for key, value in keys.items()
                if (section, key) not in NO_DIFFERENCE}
    return {"tasks": "+".join(run.tasks), **settings}


def differences(settings):
    """The keys in which some of the dictionaries differ, in their order. Keys that only some have (of a task, of a
    weighting) count where no other tells two of them apart."""
    keys = dict.fromkeys(key for one in settings for key in one)
    apart = [key for key in keys if len({one[key] for one in settings if key in one}) > 1]
    if len({tuple(one.get(key) for key in apart) for one in settings}) == len({tuple(one.items()) for one in settings}):
        return apart
    return [key for key in keys if key in apart or any(key not in one for one in settings)]


def samples_of(runs):
    """What their samples are called: images, or of tables rows; samples where they differ."""
    names = {run.attributes.get("samples", "images") for run in runs}
    return names.pop() if len(names) == 1 else "samples"


def seed_of(run):
    return int(run.config.get("run", {}).get("seed", 0))


def short_name(key, keys):
    """"precision" for "run.precision", the whole where that is not one key's alone; "depth.weight" for
    "task.depth.weight"."""
    if key.startswith("task."):
        return key[len("task."):]
    last = key.rpartition(".")[2]
    return key if sum(other.rpartition(".")[2] == last for other in keys) > 1 else last


def telling_keys(keys, settings):
    """Keys that tell the dictionaries apart: those of the greatest IMPORTANCE until nothing is left to tell; of equal ones
    as few as do, the one that tells most first."""
    distinct = lambda chosen: len({tuple(one.get(key) for key in chosen) for one in settings})
    rank = lambda key: next(i for i, pattern in enumerate(IMPORTANCE) if pattern.match(key))
    chosen = []
    while distinct(chosen) < distinct(keys):
        gains = {key: distinct([*chosen, key]) - distinct(chosen) for key in keys if key not in chosen}
        chosen.append(min((key for key in gains if gains[key] > 0), key=lambda key: (rank(key), -gains[key])))
    return chosen


def group_by_settings(runs):
    """[(label, runs)]: runs that differ in nothing but the seed stand together, labelled by keys that tell groups apart."""
    groups = {}
    for run in runs:
        groups.setdefault(tuple(sorted(settings_of(run).items())), []).append(run)
    settings = [settings_of(members[0]) for members in groups.values()]
    keys = telling_keys(differences(settings), settings)
    return [(label_by(needed_keys(keys, one, settings), one) or members[0].label, members) for one, members in zip(settings, groups.values())]


def needed_keys(keys, one, settings):
    """Without those of single tasks that this one does not need to be told apart: weights where the method takes none."""
    for key in [key for key in keys if key.startswith("task.")]:
        rest = [other for other in keys if other != key]
        if sum(all(one.get(other) == another.get(other) for other in rest) for another in settings) == 1:
            keys = rest
    return keys


def label_by(keys, settings):
    return ", ".join(f"{short_name(key, keys)}={settings.get(key) or '-'}" for key in keys if key in settings)


# ---- numbers and figures -------------------------------------------------------------------------------------------

def smooth(values, window):
    """Centred moving mean over `window` rows that leaves NaN out; NaN where nothing is in reach, and before the first
    and after the last number: a task that joins late or leaves early has no loss there.

    At the ends it reaches over the rows that there are."""
    values = numpy.asarray(values, float)
    valid = numpy.isfinite(values)
    sums = numpy.concatenate(([0.0], numpy.cumsum(numpy.where(valid, values, 0))))
    counts = numpy.concatenate(([0], numpy.cumsum(valid)))
    rows = numpy.arange(len(values))
    half = max(window, 1) // 2
    first, last = numpy.maximum(rows - half, 0), numpy.minimum(rows + half + 1, len(values))
    count = counts[last] - counts[first]
    seen = numpy.flatnonzero(valid)
    inside = (rows >= seen[0]) & (rows <= seen[-1]) if len(seen) else numpy.zeros(len(rows), bool)
    return numpy.where(inside & (count > 0), (sums[last] - sums[first]) / numpy.maximum(count, 1), numpy.nan)


def trailing_mean(values, window):
    """Mean of the last `window` finite values; NaN without any."""
    tail = numpy.asarray(values, float)[-max(window, 1):]
    tail = tail[numpy.isfinite(tail)]
    return tail.mean() if len(tail) else numpy.nan


def log_scale(axes):
    """Logarithmic, if there is anything positive to show, with at least three readable numbers."""
    values = numpy.concatenate([numpy.asarray(line.get_ydata(), float) for line in axes.lines] or [[]])
    values = values[numpy.isfinite(values) & (values > 0)]
    if not len(values):
        return
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticker = pyplot.matplotlib.ticker
    if high > 300 * low:
        locator = ticker.LogLocator(numticks=8)
    else:  # decades alone would be too few: the sparsest set of numbers that labels enough
        for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(numpy.arange(10, 100) / 10)):
            locator = ticker.LogLocator(subs=digits, numticks=20)
            if sum(low <= tick <= high for tick in locator.tick_values(low, high)) >= 3:
                break
        else:
            locator = ticker.MaxNLocator(4, steps=[1, 2, 5, 10])
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda y, _: f"{y:.6g}"))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_minor_formatter(ticker.NullFormatter())


def legend(figure, place, handles):
    """Above the panels, in as many columns as the figure is wide for. \\param place  a row of a grid with its height in inches from
    legend_height()"""
    axes = figure.add_subplot(place)
    axes.axis("off")
    axes.legend(handles=handles, loc="center left", ncol=legend_columns(figure.get_figwidth(), handles), borderpad=0, borderaxespad=0)


def legend_columns(width, handles):
    return max(1, min(len(handles), int(width / (0.6 + 0.075 * max(len(handle.get_label()) for handle in handles)))))


def legend_height(width, handles):
    return 0.19 * -(-len(handles) // legend_columns(width, handles)) + 0.05


def save(figure, output):
    """PNG, SVG, PDF: by the ending of `output`; beside it first, so that no half picture is ever there."""
    try:
        figure.savefig(f"{output}.partial", format=os.path.splitext(output)[1][1:].lower())
        os.replace(f"{output}.partial", output)
    except OSError as error:
        raise SystemExit(f"{output}: {error.strerror}")
    print(f"wrote {output}", file=sys.stderr)


def write_text(output, content):
    """Beside it first, so that no half file is ever there."""
    try:
        with open(f"{output}.partial", "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(f"{output}.partial", output)
    except OSError as error:
        raise SystemExit(f"{output}: {error.strerror}")
