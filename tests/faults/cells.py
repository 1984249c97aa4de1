"""The matrix: which faults there are, at which moments they strike, and what is promised then. Tables only; matrix.py runs them."""
import dataclasses
import random

# ---- moments: classes of the file operations of an undisturbed run, told apart by their paths ---------------------------
# The operations of a moment are counted among all changes of the run folder, or all reads of one dataset.
MOMENTS = ("start", "flush", "checkpoint", "end", "step", "evaluation")
CHANGES = ("start", "flush", "checkpoint", "end")


def moments(operations, run, train, val):
    """{(moment, rank): numbers of its operations}, of those of an undisturbed run."""
    found, counts = {}, {}
    has_begun = False  # "running" stands in the status file
    for rank, _, operation, path, _ in operations:
        is_change = operation not in ("read", "look", "lock")
        inside = path[len(run):] if path == run or path.startswith(run + "/") else None
        if inside is not None and is_change:
            place, moment = "run", moment_of_change(inside, has_begun)
            has_begun = has_begun or (inside == "/status" and operation == "close")
        elif path in (train, val) and not is_change:
            place, moment = path, "start" if not has_begun else "step" if path == train else "evaluation"
        else:
            continue
        number = counts[place, rank] = counts.get((place, rank), 0) + 1
        if moment != "start" or place == "run":
            found.setdefault((moment, rank), []).append(number)
    return found


def moment_of_change(inside, has_begun):
    if not has_begun:
        return "start"
    if inside.startswith("/checkpoints/"):
        return "checkpoint"
    return "end" if inside.startswith("/status") or inside in ("", "/.lock") else "flush"


# ---- faults --------------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    plan: dict                     # variables of the library of faults (preload.c)
    codes: tuple                   # exit codes of the run that it strikes
    says: str = ""                 # what the run or its launcher prints then; {rank} is the one struck; GONE: on several only
    ranks: tuple = (1, 2, 4)       # of runs that it is tried on
    moments: tuple = MOMENTS
    words: tuple = ()              # of the status file afterwards; (): any
    spares: str = "all"            # what of the folder is as promised: "all" of it, "checkpoints" only, "nothing"
    undo: tuple = ()               # (from, to): renamed back before the run is resumed


SEVERAL = (2, 4)
GONE = r"rank {rank} (has ended|.*exited on signal)"  # by a neighbour, or by mpirun
DISK = dict(codes=(0, 1, 2), moments=CHANGES, words=("done", "failed", "running", ""))
FAULTS = {fault.name: fault for fault in (
    Fault("kill", {"FAULT_DO": "KILL"}, (137, 3), GONE),
    Fault("kill-half", {"FAULT_DO": "KILL", "FAULT_HALF": "yes"}, (137, 3), GONE, moments=("flush", "checkpoint")),
    Fault("segv", {"FAULT_DO": "SEGV"}, (139, 3), GONE),
    Fault("kill-mpirun", {"FAULT_DO": "KILL", "FAULT_TO": "parent"}, (137,), ranks=SEVERAL),
    Fault("term", {"FAULT_DO": "TERM"}, (75, 0), words=("pre-empted", "done")),
    Fault("usr1", {"FAULT_DO": "USR1"}, (75, 0), words=("pre-empted", "done")),
    Fault("usr1-mpirun", {"FAULT_DO": "USR1", "FAULT_TO": "parent"}, (75, 0), ranks=SEVERAL, words=("pre-empted", "done")),
    Fault("stop", {"FAULT_DO": "STOP"}, (3,), r"stalled: .*rank {rank}\b", ranks=SEVERAL),
    Fault("pause", {"FAULT_DO": "run", "FAULT_RUN": "(sleep 0.5; kill -CONT $PPID) & kill -STOP $PPID"}, (0,), words=("done",)),
    Fault("io-error", {"FAULT_DO": "EIO"}, says="Input/output error", **DISK),
    Fault("io-error-read", {"FAULT_DO": "EIO"}, (1,), "Input/output error", moments=("step", "evaluation"),
          words=("failed",)),
    Fault("full", {"FAULT_DO": "ENOSPC", "FAULT_FOR": "0"}, says="No space left on device", **DISK),
    Fault("full-half", {"FAULT_DO": "ENOSPC", "FAULT_HALF": "yes", "FAULT_FOR": "0"}, says="No space left on device", **DISK),
    Fault("full-while", {"FAULT_DO": "ENOSPC", "FAULT_FOR": "40"}, says="No space left on device", **DISK),
    Fault("quota", {"FAULT_DO": "EDQUOT", "FAULT_FOR": "0"}, says="Disk quota exceeded", **DISK),
    Fault("read-only", {"FAULT_DO": "EROFS", "FAULT_FOR": "0"}, says="Read-only file system", **DISK),
    Fault("delete-folder", {"FAULT_DO": "run", "FAULT_RUN": "rm -rf run"}, spares="nothing", **DISK),
    Fault("delete-checkpoints", {"FAULT_DO": "run", "FAULT_RUN": "rm -rf run/checkpoints"}, spares="nothing", **DISK),
    Fault("delete-log", {"FAULT_DO": "run", "FAULT_RUN": "rm -f run/run.h5"}, spares="checkpoints", **DISK),
    Fault("truncate-log", {"FAULT_DO": "run", "FAULT_RUN": "[ ! -e run/run.h5 ] || truncate -s 1000 run/run.h5"},
          spares="checkpoints", **DISK),
    Fault("rename-folder", {"FAULT_DO": "run", "FAULT_RUN": "[ ! -e run ] || mv run gone"}, spares="nothing",
          undo=("gone", "run"), **DISK),
)}


# ---- cells ---------------------------------------------------------------------------------------------------------------

@dataclasses.dataclass(frozen=True)
class Cell:
    """One fault, at the `number`-th operation of a moment's kind of one rank; then the run is resumed."""
    network: str
    ranks: int
    resume: int
    moment: str
    rank: int
    number: int
    fault: str

    def __str__(self):
        return f"{self.network}/{self.ranks}>{self.resume}/{self.moment}.{self.rank}:{self.number}/{self.fault}"

    @staticmethod
    def parse(text):
        network, ranks, moment, fault = text.split("/")
        ranks, resume = ranks.split(">")
        moment, number = moment.split(":")
        moment, rank = moment.split(".")
        return Cell(network, int(ranks), int(resume), moment, int(rank), int(number), fault)


EVERY = tuple(FAULTS)
SOME = ("kill", "kill-mpirun", "term", "usr1-mpirun", "stop", "pause", "io-error", "io-error-read", "full", "delete-folder")
FEW = ("kill", "kill-mpirun", "term", "stop", "full")
# Of the short form: network, ranks, ranks on resume, moments, faults, positions drawn of each. The full form tries every fault at
# every operation. Only "exact" promises the same bits on other ranks.
FORMS = (
    ("toy", 1, 1, CHANGES, EVERY, 2),
    ("toy", 2, 2, CHANGES, SOME, 1),
    ("toy", 4, 4, ("flush", "checkpoint"), FEW, 1),
    ("scenes", 1, 1, ("step", "evaluation"), EVERY, 1),
    ("scenes", 2, 2, ("step", "evaluation"), SOME, 1),
    ("exact", 1, 2, ("flush", "checkpoint"), FEW, 1),
    ("exact", 2, 1, ("flush", "checkpoint"), FEW, 1),
    ("exact", 4, 2, ("checkpoint",), FEW, 1),
)


def name_of(form):
    return f"{form[0]}/{form[1]}>{form[2]}"


def all_cells(forms, positions_of, seed, is_full):
    """\param positions_of  function (network, ranks) -> {(moment, rank): numbers}"""
    cells = []
    for network, ranks, resume, wanted, faults, count in forms:
        positions = positions_of(network, ranks)
        for moment in wanted:
            places = [(rank, number) for (found, rank), numbers in sorted(positions.items()) if found == moment
                      for number in numbers]
            for fault in FAULTS.values():
                if moment not in fault.moments or ranks not in fault.ranks or not (is_full or fault.name in faults):
                    continue
                draw = random.Random(f"{seed} {network} {ranks} {resume} {moment} {fault.name}")
                chosen = places if is_full else draw.sample(places, min(count, len(places)))
                cells += [Cell(network, ranks, resume, moment, rank, number, fault.name) for rank, number in chosen]
    return cells
