"""The table of bench.py, made of nothing but what it recorded: a first line on machine, versions and settings, then a run a
line."""

import collections
import json
import os
import statistics

import bench_peer

COLUMNS = ("network", "processes x threads", "PyTorch, ms an image", "Sigmatic, ms an image", "ratio", "its range",
           "PyTorch, MiB", "Sigmatic, MiB", "PyTorch's fastest way (the others)")
# One row: what both sides do.
Row = collections.namedtuple("Row", "precision backbone project processes threads")


class Record:
    """The first line and the runs, kept in a file as they come."""

    def __init__(self, path, head):
        self.path, self.head, self.runs = path, head, []
        with open(path, "w") as file:
            file.write(json.dumps(head) + "\n")

    def add(self, run):
        self.runs.append(run)
        with open(self.path, "a") as file:
            file.write(json.dumps(run) + "\n")


def read(path):
    """(the first line, the runs) of what a Record wrote"""
    try:
        with open(path) as file:
            head, *runs = [json.loads(line) for line in file]
        head["settings"], [run["side"] for run in runs]
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}")
    except (ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"{path}: not the .jsonl of a bench ({type(error).__name__}: {error})")
    return head, runs


def arithmetic_of(precision):
    """What PyTorch computes in, to be compared with a precision of ours."""
    return "bf16" if precision == "bf16" else "float32"


# ---- from runs to numbers --------------------------------------------------------------------------------------------

def place_of(run):
    return run["backbone"], run["project"], run["procs"], run["threads"]


def rows_of(head, runs):
    """In the order of the settings' precisions, then of the runs; each with a complete pair at least."""
    places = dict.fromkeys(place_of(run) for run in runs)
    rows = [Row(precision, *place) for precision in head["settings"]["precisions"].split(",") for place in places]
    return [row for row in rows if pairs_of(row, runs)[1]]


def peers_of(row, runs):
    """{variant: {round: run}} of PyTorch, round 0 the trial"""
    variants = collections.defaultdict(dict)
    for run in runs:
        if run["side"] == "pytorch" and place_of(run) == row[1:] and run["precision"] == arithmetic_of(row.precision):
            variants[run["variant"]][run["round"]] = run
    return variants


def pairs_of(row, runs):
    """(PyTorch's fastest variant, [(its run, ours) of each round]). The fastest is that of the least median over rounds."""
    ours = {run["round"]: run for run in runs
            if run["side"] == "sigmatic" and place_of(run) == row[1:] and run["precision"] == row.precision}
    pairs = {variant: [(by_round[number], run) for number, run in ours.items() if number in by_round]
             for variant, by_round in peers_of(row, runs).items()}
    most = max(map(len, pairs.values()), default=0)
    complete = {variant: pair for variant, pair in pairs.items() if pair and len(pair) == most}
    fastest = min(complete, key=lambda variant: statistics.median(peer["ms_image"] for peer, _ in complete[variant]), default=None)
    return fastest, complete.get(fastest, [])


def costs_of_others(row, fastest, runs):
    """{variant: its time over the fastest's}: within rounds where it took part, else of the best steps of the trials."""
    peers, costs = peers_of(row, runs), {}
    for variant, by_round in peers.items():
        rounds = [number for number in by_round if number and number in peers[fastest]]
        ratios = [by_round[number]["ms_image"] / peers[fastest][number]["ms_image"] for number in rounds]
        if not ratios and 0 in by_round and 0 in peers[fastest]:
            ratios = [by_round[0]["ms_min"] / peers[fastest][0]["ms_min"]]
        if variant != fastest and ratios:
            costs[variant] = statistics.median(ratios)
    return costs


# ---- from numbers to words -------------------------------------------------------------------------------------------

def name_of(backbone, project, precision):
    return backbone + (" + projection" if project else "") + f", {precision}"


def line_of(row, runs):
    fastest, pairs = pairs_of(row, runs)
    ratios = [ours["ms_image"] / peer["ms_image"] for peer, ours in pairs]
    times, mib = ([statistics.median(pair[side][key] for pair in pairs) for side in (0, 1)] for key in ("ms_image", "job_mib"))
    others = ", ".join(f"{variant} x {cost:.2f}" for variant, cost in costs_of_others(row, fastest, runs).items())
    cells = (name_of(row.backbone, row.project, row.precision), f"{row.processes} x {row.threads}",
             *(f"{value:.1f}" for value in times), f"**{statistics.median(ratios):.2f}**",
             f"{min(ratios):.2f} to {max(ratios):.2f}", *(f"{value:.0f}" for value in mib),
             fastest + (f" ({others})" if others else ""))
    return "| " + " | ".join(cells) + " |"


def rounds_of(head, rows, runs):
    """How many rounds there are: all, or so far."""
    counts = [len(pairs_of(row, runs)[1]) for row in rows] or [0]
    wanted = head["settings"]["rounds"]
    if min(counts) == wanted:
        return f"{wanted}"
    return f"{min(counts)}{f' to {max(counts)}' if max(counts) > min(counts) else ''} of {wanted}, so far"


def head_lines(head, rows, runs):
    settings, environment = head["settings"], head["environment"]
    extra = f" Sigmatic with {', '.join(settings['set'])}." if settings["set"] else ""
    extra += "".join(f" {key}={value}." for key, value in environment.items())
    one_dnn = f"oneDNN {head['one_dnn']} for {head['one_dnn_isa'] or 'unknown instructions'}" if head["one_dnn"] else \
        "**without oneDNN: no fair peer**"
    lines = [f"A training step at {settings['height']}x{settings['width']}, {settings['batch']} images a process. "
             f"Rounds in turn: {rounds_of(head, rows, runs)}; of each run the median of {settings['steps']} steps.{extra}",
             f"{head['cpu']}: {head['instruction_sets']}; {head['cores']} cores, load {head['load']:.1f} at the start, "
             f"{head['system']}, {head['date']}.",
             f"{'; '.join(head['sigmatic'])}. PyTorch {head['torch']} ({head['capability'] or 'unknown'} kernels, {one_dnn}), "
             f"torchvision {head['torchvision']}, Python {head['python']}."]
    if settings["isa"]:
        lines.insert(2, f"Both sides held to {settings['isa']}: " + ", ".join(
            f"{key}={value}" for key, value in head["held_by"].items()) + ".")
    lines += [f"{note[0].upper()}{note[1:]}." for note in head["notes"]]
    if not bench_peer.is_current(head["torch"]):
        lines = [f"**No current peer: PyTorch {head['torch']} is older than 2.0; {bench_peer.GET_CURRENT}.**", "", *lines]
    return lines


def markdown(head, runs):
    rows = rows_of(head, runs)
    return "\n".join([
        *head_lines(head, rows, runs),
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---" * len(COLUMNS) + "|",
        *(line_of(row, runs) for row in rows),
        "",
        "Times and memory are medians over the rounds, the ratio is Sigmatic's time over PyTorch's within a round.",
        "PyTorch ran every way once, those near the fastest in every round; the way with the least median counts. `highest`",
        "and `high` share its runs in float32; `bf16` is beside its autocast to bfloat16.",
        "MiB: peak of the whole job without the pages of files; of a compiled network also what compiling took. Sigmatic's",
        "step has loader, checks and run log in it, PyTorch's has not.",
        ""])


def write(path, head, runs):
    """Whole at every moment, for it is written anew after every run."""
    text = markdown(head, runs)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)
