"""What must hold of a run's folder whatever happened to the run, found by plain h5py. Each function raises Broken."""
import hashlib
import pathlib
import re

import h5py
import numpy

STEP_FILE = re.compile(r"step-(\d+)\.h5")


class Broken(Exception):
    """What did not hold."""


def datasets(path):
    """name -> (shape, type, bytes) of all datasets of a file, through links of every kind."""
    found = {}

    def walk(group, prefix):
        for name in group:
            item = group[name]
            if isinstance(item, h5py.Group):
                walk(item, f"{prefix}{name}/")
            else:
                values = item[()]
                found[prefix + name] = (item.shape, item.dtype, values)

    try:
        with h5py.File(path, "r") as file:
            walk(file, "")
            position = {name: int(file.attrs[name]) for name in ("step", "epoch", "samples_seen", "skipped", "seed")
                        if name in file.attrs}
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise Broken(f"{path.name} cannot be read by h5py: {error}") from None
    return found, position


def digests(found):
    """name -> shape and a digest of the bytes: what is kept of the many checkpoints of an undisturbed run."""
    return {name: (shape, hashlib.sha256(numpy.asarray(values).tobytes()).digest())
            for name, (shape, _, values) in found.items()}


def difference(one, other):
    """The first dataset, of digests, that is not the same to the bit; "" if all are."""
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other:
            return f"{name} is in one of them only"
        if one[name] != other[name]:
            return f"{name} has other bits"
    return ""


def is_time(name):
    return name.startswith("timing/") or name in ("steps/seconds", "steps/images_per_second")


def table_of(name):
    """Which rows a column of the log belongs to: "steps", or those of the evaluations of a split."""
    parts = name.split("/")
    return f"evaluations/{parts[1]}" if parts[0] in ("evaluations", "calibration") else "steps"


def log_rows(columns):
    """Number of rows of the steps' columns, each step once and all columns alike."""
    lengths = {}
    for name, (shape, _, _) in columns.items():
        if len(shape) != 1:
            raise Broken(f"run.h5: {name} has shape {shape}")
        lengths.setdefault(table_of(name), {}).setdefault(shape[0], name)
    for table, found in lengths.items():
        if len(found) > 1:
            raise Broken(f"run.h5: columns of {table} have unlike lengths: {found}")
    steps = columns["steps/step"][2] if "steps/step" in columns else numpy.zeros(0)
    for name, (_, _, values) in columns.items():
        if name.startswith("evaluations/") and name.endswith("/step") and len(set(values)) != len(values):
            raise Broken(f"run.h5: {name} has rows twice: {values}")
    return steps


class Truth:
    """The undisturbed run: of it every step's checkpoint, and the log."""

    def __init__(self, folder):
        self.steps = {}
        for path in sorted((folder / "checkpoints").glob("step-*.h5")):
            found, position = datasets(path)
            self.steps[position["step"]] = (digests(found), position)
        self.best = digests(datasets(folder / "checkpoints" / "best.h5")[0])
        self.log, _ = datasets(folder / "run.h5")
        self.last = max(self.steps)
        self.known = {}  # by content: what was found of files before

    def check_checkpoint(self, path):
        """\return its step; its numbers are those of the undisturbed run"""
        content = hashlib.sha256(path.read_bytes()).digest()
        if content not in self.known:
            found, position = datasets(path)
            wanted = self.steps.get(position.get("step"))
            if not wanted:
                raise Broken(f"{path.name}: step {position.get('step')}")
            if position != wanted[1]:
                raise Broken(f"{path.name}: {position}, the undisturbed run has {wanted[1]}")
            what = difference(digests(found), wanted[0])
            if what:
                raise Broken(f"{path.name}: {what} than in the undisturbed run")
            self.known[content] = position["step"]
        return self.known[content]

    def check_log(self, path, first=1):
        """\return the number of its last step. Steps from `first` on are there once, with the bits of the undisturbed run."""
        content = (hashlib.sha256(path.read_bytes()).digest(), first)
        if content not in self.known:
            columns, _ = datasets(path)
            steps = log_rows(columns)
            if len(steps) and not numpy.array_equal(steps, numpy.arange(steps[0], steps[0] + len(steps))):
                raise Broken(f"run.h5: steps are {steps}")
            begin = int(steps[0]) - 1 if len(steps) else 0
            if begin >= max(first, 1):
                raise Broken(f"run.h5 begins with step {begin + 1}, {first} expected")
            skip = max(first - 1 - begin, 0)
            for name, (_, _, values) in columns.items():
                if not is_time(name) and table_of(name) == "steps":
                    wanted = self.log[name][2][begin + skip:begin + len(steps)]
                    if wanted.tobytes() != values[skip:].tobytes():
                        raise Broken(f"run.h5: {name} has other bits than in the undisturbed run")
            self.check_evaluations(columns, first)
            self.known[content] = begin + len(steps)
        return self.known[content]

    def check_evaluations(self, columns, first):
        for name, (_, _, values) in columns.items():
            if table_of(name) != "steps":
                at = f"{table_of(name)}/step"
                steps, wanted_steps, wanted = columns[at][2], self.log[at][2], self.log[name][2]
                for step, value in zip(steps, values):
                    if step >= first and wanted[wanted_steps == step].tobytes() != value.tobytes():
                        raise Broken(f"run.h5: {name} of step {step} has other bits than in the undisturbed run")

    def check_folder(self, folder):
        """After a fault: every checkpoint is whole and right, the log too, and it reaches the newest checkpoint or a journal does.
        \return steps in the log, step of the newest checkpoint"""
        newest = 0
        for path in sorted((folder / "checkpoints").glob("*.h5")):
            step = self.check_checkpoint(path)
            if STEP_FILE.fullmatch(path.name):
                newest = max(newest, step)
        log = folder / "run.h5"
        rows = self.check_log(log) if log.exists() else 0
        if rows < newest and not (folder / "run.journal").exists():
            raise Broken(f"run.h5 has {rows} steps, the newest checkpoint is of step {newest}: rows are lost for good")
        return rows, newest

    def check_end(self, folder, first=1):
        """After the resumed run ended: everything is as if nothing had happened, and nothing is left over."""
        if (word := status_of(folder)) != "done":
            raise Broken(f"status is '{word}' at the end")
        self.check_checkpoints_end(folder)
        self.check_log_end(folder, first)
        left = [str(path.relative_to(folder)) for path in folder.rglob("*")
                if path.name.endswith((".tmp", ".partial")) or path.name in ("ranks", "run.journal")]
        if left:
            raise Broken(f"left over: {' '.join(left)}")

    def check_last(self, folder):
        last = folder / "checkpoints" / f"step-{self.last:08d}.h5"
        if not last.exists():
            raise Broken(f"{last.name} is not there at the end")
        self.check_checkpoint(last)

    def check_checkpoints_end(self, folder):
        self.check_last(folder)
        best, _ = datasets(folder / "checkpoints" / "best.h5")
        if what := difference(digests(best), self.best):
            raise Broken(f"best.h5: {what} than in the undisturbed run")

    def check_log_end(self, folder, first):
        if not (folder / "run.h5").exists():
            raise Broken("run.h5 is not there at the end")
        rows = self.check_log(folder / "run.h5", first)
        if rows != self.last:
            raise Broken(f"run.h5 ends with step {rows}, {self.last} expected")
        columns, _ = datasets(folder / "run.h5")
        for name, (_, _, values) in columns.items():
            if name.startswith("evaluations/") and name.endswith("/step"):
                wanted = [step for step in self.log[name][2] if step >= first]
                if [step for step in values if step >= first] != wanted:
                    raise Broken(f"run.h5: {name} is {values}, {wanted} expected")


def status_of(folder):
    path = pathlib.Path(folder) / "status"
    return path.read_text().split(":")[0].strip() if path.exists() else ""
