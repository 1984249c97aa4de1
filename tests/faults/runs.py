"""Runs of tiny networks, with or without a fault: how they are configured, started, watched and ended."""
import os
import pathlib
import signal
import subprocess
import time

LIMIT_SECONDS = 300   # after which a run counts as hanging, on a crowded machine too
STALL_SECONDS = 6     # after which ranks give up waiting for one, where it is stopped for good
PATIENT_SECONDS = 200 # where none is: on a crowded machine they have to wait for each other

TOY = """[run]
batch = 8
steps = 40
evaluate_interval = 9
progress_seconds = 0
[model]
backbone = mlp
hidden = 8
[data]
train = {data}/toy.h5
[task.y1]
kind = regression
target = y1
loss = l2
[task.y2]
kind = regression
target = y2
loss = l2
[optimizer]
kind = adamw
ema_decay = 0.99
[checkpoint]
interval = 5
"""
SCENES = """[run]
batch = 4
steps = 13
evaluate_interval = 6
progress_seconds = 0
[model]
backbone = resnet18
width = 0.0625
aspp_rates = 1,2,3
[data]
train = {data}/train.h5
validation = {data}/val.h5
[task.semantic]
kind = semantic
[task.depth]
kind = depth
[checkpoint]
interval = 4
"""
REPRODUCIBLE = "[distributed]\nreproducible = true\n"
# A table that is read once, images that are read in each step, and the same bits on any number of ranks.
NETWORKS = {"toy": TOY, "scenes": SCENES, "exact": TOY + REPRODUCIBLE}
STEPS = {"toy": 40, "scenes": 13, "exact": 40}


class Setting:
    """What all runs share: the program, the library of faults, datasets and configs in a scratch folder."""

    def __init__(self, program, scratch):
        self.program = str(pathlib.Path(program).resolve())
        self.library = str(pathlib.Path(self.program).parent / "tests" / "libfaults.so")
        self.scratch = pathlib.Path(scratch)
        self.data = self.scratch / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.make_data("toy", "toy.h5", "--samples", "60", "--validation", "40")
        self.make_data("scenes", "train.h5", "--train", "13", "--validation", "1", "--height", "32", "--width", "48")
        self.make_data("scenes", "val.h5", "--train", "1", "--validation", "5", "--height", "32", "--width", "48")
        for name, text in NETWORKS.items():
            (self.data / f"{name}.ini").write_text(text.format(data=self.data))

    def make_data(self, kind, name, *arguments):
        path = self.data / name
        if not path.exists():
            subprocess.run([self.program, "data", kind, path, *arguments], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def command(self, network, ranks, folder, stall_seconds, *options):
        launcher = [os.environ.get("MPIRUN", "mpirun"), "-n", str(ranks)] if ranks > 1 else []
        return [*launcher, self.program, "train", str(self.data / f"{network}.ini"), "--set", f"run.folder={folder}",
                "--set", f"distributed.stall_seconds={stall_seconds}", *options]


class Run:
    """One start of a run. `place` is a folder of its own for what launchers leave; the run folder is place/run. `within` is what goes
    before the command."""

    def __init__(self, setting, network, ranks, place, *options, fault=None, within=()):
        stops = fault is not None and fault.get("FAULT_DO") == "STOP"
        self.place = pathlib.Path(place)
        self.folder = self.place / "run"
        self.fault_log = self.place / "faults"
        left = self.place / "launcher"
        left.mkdir(parents=True, exist_ok=True)
        # What a killed launcher leaves goes away with the place; a run without a launcher starts no daemon of its own.
        environment = dict(os.environ, OMPI_MCA_orte_tmpdir_base=str(left), OMPI_MCA_btl_vader_backing_directory=str(left),
                           OMPI_MCA_ess_singleton_isolated="1")
        if fault is not None:
            environment.update(fault, FAULT_LOG=str(self.fault_log), LD_PRELOAD=setting.library)
        self.output_path = self.place / "output"
        with open(self.output_path, "ab") as output:
            self.process = subprocess.Popen(
                [*within, *setting.command(network, ranks, self.folder, STALL_SECONDS if stops else PATIENT_SECONDS, *options)],
                env=environment, cwd=self.place, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True)
        self.session = self.process.pid

    def wait(self, seconds=LIMIT_SECONDS):
        """The exit code as a shell has it, 128 + the signal; "hang" if there is none in time."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            return "hang"
        return 128 - code if code < 0 else code

    def processes(self):
        """Those of the run that still live: all of its session, whoever their parent is by now."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat") as file:
                        state, _, _, session = file.read().rsplit(")", 1)[1].split()[:4]
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if int(session) == self.session and state not in "ZX":
                    found.append(int(entry))
        return found

    def orphans(self, seconds=30):
        """What still lives so long after the end of the first process."""
        until = time.monotonic() + seconds
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.05)
        return left

    def signal(self, number):
        for process in self.processes():
            try:
                os.kill(process, number)
            except ProcessLookupError:
                pass

    def end(self):
        """Ends whatever is left of it."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def output(self):
        return self.output_path.read_text(errors="replace")

    def operations(self):
        """What the library of faults counted: (rank, number, operation, path, whether it went wrong)."""
        found = []
        if self.fault_log.exists():
            for line in self.fault_log.read_text().splitlines():
                rank, _, number, _, operation, rest = line.split(" ", 5)
                wrong = rest.endswith(" *")
                path = (rest[:-2] if wrong else rest).rsplit(" ", 1)[0]
                found.append((int(rank), int(number), operation, path, wrong))
        return found
