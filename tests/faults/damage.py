"""Every operation, and damaged files: states of a run's folder are made from copies of one, then looked at and resumed."""
import json
import random
import shutil
import subprocess

import cells as matrix
from holds import Broken
from runs import LIMIT_SECONDS, Run

NETWORK = "toy"


# ---- every operation -----------------------------------------------------------------------------------------------------

def states(table):
    """The folder before each of its operations, as a kill leaves it: [(cell, folder)], the cell that makes it again."""
    place = table.setting.scratch / "every"
    shutil.rmtree(place, ignore_errors=True)
    (place / "states").mkdir(parents=True)
    fault = {"FAULT_BELOW": f"{place}/run", "FAULT_AT": "1", "FAULT_FOR": "0", "FAULT_DO": "run",
             "FAULT_RUN": "[ ! -e run ] || exec cp -a run states/$FAULT_NUMBER"}
    run = Run(table.setting, NETWORK, 1, place, fault=fault)
    if run.wait(10 * LIMIT_SECONDS) != 0:
        raise Broken(f"a run whose folder is copied fails: {run.output()[-300:]}")
    found = matrix.moments(run.operations(), str(run.folder), "", "")
    cells = [matrix.Cell(NETWORK, 1, 1, moment, rank, number, "kill")
             for (moment, rank), numbers in found.items() for number in numbers]
    cells.sort(key=lambda cell: cell.number)
    return [(cell, place / "states" / str(cell.number)) for cell in cells
            if (place / "states" / str(cell.number)).exists()]


def check_states(table):
    """Each is whole, and the log of a later one has no fewer rows. \return those that differ from the one before"""
    truth = table.truth(NETWORK, 1)
    most, previous, distinct = 0, None, []
    for cell, folder in states(table):
        try:
            steps = truth.check_folder(folder)
            if steps[0] < most:
                raise Broken(f"run.h5 has {steps[0]} rows, it had {most}")
            most = steps[0]
            table.report.add(f"{cell.moment} x copied", str(cell), "survived")
        except Broken as broken:
            table.report.add(f"{cell.moment} x copied", str(cell), "failed", str(broken))
        content = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        if content != previous:
            distinct.append((cell, folder))
        previous = content
    return distinct


def resume_copy(table, cell, folder):
    place = table.place(cell)
    place.mkdir(parents=True)
    shutil.copytree(folder, place / "run")
    resumed = Run(table.setting, NETWORK, 1, place, "--resume", "auto")
    if (code := resumed.wait()) != 0:
        raise Broken(f"resumed, it ends with {code}, not 0")
    table.truth(NETWORK, 1).check_end(resumed.folder)
    shutil.rmtree(place)
    return "survived"


# ---- damaged files -------------------------------------------------------------------------------------------------------

def flip(path, draw):
    content = bytearray(path.read_bytes())
    bit = draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def zero(path, draw):
    content = bytearray(path.read_bytes())
    begin = draw.randrange(len(content))
    end = min(begin + 512, len(content))
    content[begin:end] = bytes(end - begin)
    path.write_bytes(content)


def truncate(path, draw):
    with open(path, "r+b") as file:
        file.truncate(draw.randrange(path.stat().st_size))


KINDS = {  # and how many of each the short form tries of one file
    "flip": (flip, 4),
    "zero": (zero, 1),
    "truncate": (truncate, 2),
    "delete": (lambda path, draw: path.unlink(), 1),
    "rename": (lambda path, draw: path.rename(path.with_suffix(".old")), 1),
}


def checkpoints(folder):
    return sorted((folder / "checkpoints").glob("step-*.h5"))


# name: which files of a run's folder, exit codes of its resume, what is then there as promised
TARGETS = {
    "newest": (lambda folder: checkpoints(folder)[-1:], (0,), "all"),
    "checkpoints": (checkpoints, (0, 2), "all"),
    "best": (lambda folder: [folder / "checkpoints" / "best.h5"], (0,), "last"),
    "log": (lambda folder: [folder / "run.h5"], (0,), "later rows"),
    "status": (lambda folder: [folder / "status"], (0,), "all"),
    "lock": (lambda folder: [folder / ".lock"] if (folder / ".lock").stat().st_size else [], (0,), "all"),
}


def killed(table):
    return table.once("killed", kill_late, table)


def kill_late(table):
    """A run that was killed when three quarters of its work were done."""
    place = table.setting.scratch / "killed"
    numbers = table.positions(NETWORK, 1)["checkpoint", 0]
    fault = {"FAULT_BELOW": f"{place}/run", "FAULT_AT": str(numbers[3 * len(numbers) // 4]), "FAULT_DO": "KILL"}
    run = Run(table.setting, NETWORK, 1, place, fault=fault)
    if run.wait() != 137 or len(checkpoints(run.folder)) < 2:
        raise Broken(f"is not killed with two checkpoints written: {run.output()[-300:]}")
    return run.folder


def damage_cells(seed, is_full):
    return [f"damage/{target}/{kind}:{seed * 1000 + i}" for target in (*TARGETS, "evaluated", "dataset")
            for kind, (_, count) in KINDS.items() for i in range(100 if is_full and count > 1 else count)]


def run_damage(table, name):
    _, target, kind = name.split("/")
    kind, seed = kind.split(":")
    how, draw = KINDS[kind][0], random.Random(name)
    place = table.place(name)
    place.mkdir(parents=True)
    if target in SINGLE:
        SINGLE[target](table, place, lambda path: how(path, draw))
    else:
        resume_damaged(table, place, target, lambda path: how(path, draw))
    shutil.rmtree(place)
    return "survived"


def resume_damaged(table, place, target, how):
    files, codes, spares = TARGETS[target]
    truth = table.truth(NETWORK, 1)
    shutil.copytree(killed(table), place / "run")
    newest = int(checkpoints(place / "run")[-1].stem[5:])
    for path in files(place / "run"):
        how(path)
    resumed = Run(table.setting, NETWORK, 1, place, "--resume", "auto")
    code = resumed.wait()
    if code not in codes:
        raise Broken(f"resumed, it ends with {code}, not {' or '.join(map(str, codes))}")
    if code == 2 and "can be read" not in resumed.output():
        raise Broken("does not say that no checkpoint can be read")
    if code == 0 and spares == "all":
        truth.check_end(resumed.folder)
    elif code == 0:
        truth.check_last(resumed.folder)
        truth.check_log_end(resumed.folder, newest + 1 if spares == "later rows" else 1)


def evaluate(table, place, path):
    """\return exit code and metrics of an evaluation of a checkpoint"""
    command = [table.setting.program, "eval", str(path), "--json"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else None


def without_names(value):
    """What an evaluation measured: not times, nor what the file is called."""
    return {key: inner for key, inner in value.items() if not isinstance(inner, str) and "second" not in key} \
        if isinstance(value, dict) else value


def damaged_is_evaluated(table, place, how):
    """It is refused, or gives the numbers of the whole one."""
    path = place / "best.h5"
    shutil.copy(killed(table) / "checkpoints" / "best.h5", path)
    _, wanted = evaluate(table, place, path)
    how(path)
    code, found = evaluate(table, place, path)
    if code not in (0, 2):
        raise Broken(f"eval ends with {code}, not 0 or 2")
    if code == 0 and without_names(found) != without_names(wanted):
        raise Broken(f"eval believes a damaged file: {found}, not {wanted}")


def damaged_is_trained_on(table, place, how):
    """It is refused, or gives the numbers of the whole one."""
    path = place / "toy.h5"
    shutil.copy(table.setting.data / "toy.h5", path)
    how(path)
    run = Run(table.setting, NETWORK, 1, place, "--set", f"data.train={path}")
    code = run.wait()
    if code not in (0, 1, 2):
        raise Broken(f"train ends with {code}, not 0, 1 or 2")
    if code == 0:
        table.truth(NETWORK, 1).check_last(run.folder)


SINGLE = {"evaluated": damaged_is_evaluated, "dataset": damaged_is_trained_on}
