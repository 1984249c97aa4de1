"""Disks that are really full: the folder of a run is a small tmpfs, seen by the run and what starts it only. It is filled, by the run
itself or by another program's file; then it has room again, and the run is resumed."""
import random
import shutil
import subprocess

from holds import Broken, status_of
from runs import Run

ROOM = "64m"      # of a disk that has enough
SAYS = "No space left on device"
FREED_AFTER = 16  # operations, of "while": the run goes on, what the disk refused is tried again

# What fills it, "KIND:NUMBER" in the name of a cell:
#   size    the disk has so many KiB, and the run needs more sooner or later
#   filled  at the so-manyth change of the folder another program takes what is left of the disk, until the run is over
#   while   the same, but gives it back soon
KINDS = "size", "filled", "while"
SIZES = {"toy": range(20, 700, 20), "scenes": range(200, 2000, 100)}  # from nothing at all to all that the run needs
SHORT_SIZES = {"toy": (60, 100, 300, 500), "scenes": (400, 1400)}


class SmallDisk:
    """A tmpfs at `folder`, in a mount namespace that is gone with the last process in it: nothing can be left mounted."""

    def __init__(self, folder, size):
        folder.mkdir(parents=True)
        self.folder, flags = folder, namespace_flags()
        mount = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec cat'
        self.holder = subprocess.Popen(["unshare", *flags, "sh", "-c", mount, "sh", size, str(folder)], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        user = ["--user", "--preserve-credentials"] if "--user" in flags else []
        # who enters stands at the root, and finds the disk by a path from there only
        self.inside = ["nsenter", f"--target={self.holder.pid}", "--mount", *user,
                       "sh", "-c", 'cd "$0" && exec "$@"', str(folder.parent)]
        if self.holder.stdout.readline() != "mounted\n":
            raise Broken("the small disk cannot be mounted")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.holder.stdin.close()
        self.holder.stdout.close()
        self.holder.wait()

    def do(self, *command):
        subprocess.run([*self.inside, *command], check=True, stdin=subprocess.DEVNULL)

    def succeeds(self, *command):
        return subprocess.run([*self.inside, *command], stdin=subprocess.DEVNULL).returncode == 0

    def has_room(self):
        self.do("rm", "-f", "run/filler")
        self.do("mount", "-o", f"remount,size={ROOM}", "tmpfs", str(self.folder))

    def copy(self, name):
        """What is on it, for all to see."""
        self.do("cp", "-a", "run", name)
        return self.folder.parent / name


def namespace_flags():
    """Of root, or of anybody who may be root of a namespace of users; () where nobody may mount here."""
    for flags in (["--mount"], ["--user", "--map-root-user", "--mount"]):
        tried = subprocess.run(["unshare", *flags, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if tried.returncode == 0:
            return flags
    return ()


def is_possible():
    return bool(shutil.which("unshare") and shutil.which("nsenter") and namespace_flags())


def full_cells(table, seed, is_full):
    """Names of cells."""
    cells = [f"full/{network}/size:{size}" for network, sizes in (SIZES if is_full else SHORT_SIZES).items() for size in sizes]
    for (moment, _), numbers in sorted(table.positions("toy", 1).items()):
        if moment in ("flush", "checkpoint"):
            for kind in ("filled", "while"):
                draw = random.Random(f"{seed} full {moment} {kind}")
                cells += [f"full/toy/{kind}:{number}" for number in (numbers if is_full else draw.sample(numbers, 4))]
    return cells


def fault_of(place, kind, number):
    """Another program's file, which takes all the room from an operation on."""
    if kind == "size":
        return None
    fill = f"{number}) head -c 64M /dev/zero >{place}/run/filler 2>/dev/null;;"
    free = f"{number + FREED_AFTER}) rm -f {place}/run/filler;;" if kind == "while" else ""
    return {"FAULT_BELOW": f"{place}/run", "FAULT_OPERATIONS": "changes", "FAULT_AT": str(number), "FAULT_DO": "run",
            "FAULT_FOR": str(FREED_AFTER + 1), "FAULT_RUN": f"case $FAULT_NUMBER in {fill} {free} esac; true"}


def run_full(table, name):
    """\\return "survived", or "missed": the disk was never full. Raises Broken."""
    _, network, fault = name.split("/")
    kind, number = fault.split(":")
    place, truth = table.place(name), table.truth(network, 1)
    with SmallDisk(place / "run", f"{number}k" if kind == "size" else "4m") as disk:
        run = Run(table.setting, network, 1, place, fault=fault_of(place, kind, int(number)), within=disk.inside)
        code = run.wait()
        is_said = SAYS in run.output()
        is_full = kind != "while" or disk.succeeds("test", "-e", "run/filler")
        disk.do("rm", "-f", "run/filler")
        check_left(is_full, code, is_said, disk.copy("left"), truth)
        disk.has_room()
        resumed = Run(table.setting, network, 1, place, "--resume", "auto", within=disk.inside)
        if (again := resumed.wait()) != 0:
            raise Broken(f"resumed on a disk that has room again, it ends with {again}, not 0")
        truth.check_end(disk.copy("end"))
    shutil.rmtree(place)
    return "survived" if is_said else "missed"


def check_left(is_full, code, is_said, folder, truth):
    """A log that cannot be written does not end the run unless the disk is full to the end; a checkpoint that cannot be does.
    \param is_full  to the end"""
    if code not in (0, 1, 2):
        raise Broken(f"ends with {code}, not 0, 1 or 2")
    if code != 0 and not is_said:
        raise Broken(f"ends with {code} and does not say '{SAYS}'")
    words = ("done",) if code == 0 else ("failed", "running", "") if is_full else ("failed",)  # no room for the word either
    if (word := status_of(folder)) not in words:
        raise Broken(f"ends with {code}, its status is '{word}', not {' or '.join(words)}")
    status = (folder / "status").read_text() if (folder / "status").exists() else ""
    if not is_full and code != 0 and "/checkpoints/" not in status:
        raise Broken(f"is ended by a disk that was full for a while, though no checkpoint was refused: {status}")
    truth.check_folder(folder)
