"""A soak: training on two ranks under the supervisor while faults of all kinds strike at random, lap after lap.

Each lap has to end with the bits of an undisturbed run; run.h5 is read all the time, and no process may grow in memory or
descriptors."""
import collections
import os
import pathlib
import random
import signal
import statistics
import subprocess
import time

import damage
from holds import Broken, Truth, datasets, log_rows
from runs import Run

NETWORK, RANKS = "scenes", 2
STALL_SECONDS = 15
LAPS = 6                # of the minutes given
FAULTS_PER_LAP = 12
GROWTH, GROWTH_KIB, MORE_DESCRIPTORS = 1.05, 4096, 2
SAMPLES = 40            # of a process before its growth is judged
EVALUATE_STEPS, SAVE_STEPS = 60, 40
WARM_STEPS = EVALUATE_STEPS + 10 # after which a process has evaluated and saved, and holds the memory for both
MARK = "SIGMATIC_SOAK"  # in the environment of all that a lap starts

# What the library of faults does to a start; most starts meet one, at an operation that is drawn.
PLANS = ("FAULT_DO=KILL", "FAULT_DO=KILL FAULT_HALF=yes", "FAULT_DO=EIO", "FAULT_DO=ENOSPC FAULT_FOR=30",
         "FAULT_DO=EROFS FAULT_FOR=10", "FAULT_DO=TERM", "FAULT_DO=USR1 FAULT_TO=parent", "FAULT_DO=KILL FAULT_TO=parent")
WRAPPER = """#!/bin/sh
# One of the plans, chosen by the launcher's process, so that all ranks of a start have the same.
case "$*" in
train*--print-config*) ;;
train*) . {place}/plans/$((PPID % {count})) ;;
esac
exec {program} "$@"
"""


class Lap:
    def __init__(self, table, options, truth, seconds, draw):
        self.table, self.options, self.truth, self.seconds, self.draw = table, options, truth, seconds, draw
        self.place = table.place(f"soak/{draw.randrange(10**9)}")
        self.folder = self.place / "run"
        self.samples = collections.defaultdict(list)
        self.struck = collections.Counter()
        self.reads = 0
        self.step, self.first = 0, {}  # of run.h5; as it was when a process was first seen
        (self.place / "plans").mkdir(parents=True)
        self.write_plans(97)

    def write_plans(self, count):
        for number in range(count):
            lines = ""
            if self.draw.random() < 0.7:
                lines = "".join(f"export {word}\n" for word in (
                    *self.draw.choice(PLANS).split(), f"FAULT_AT={self.draw.randrange(20, 3000)}", "FAULT_RANK=0",
                    f"FAULT_BELOW={self.folder}", f"LD_PRELOAD={self.table.setting.library}"))
            (self.place / "plans" / str(number)).write_text(lines)
        wrapper = self.place / "sigmatic"
        wrapper.write_text(WRAPPER.format(place=self.place, program=self.table.setting.program, count=count))
        wrapper.chmod(0o755)

    def start(self, resume):
        jobs = pathlib.Path(__file__).resolve().parents[2] / "jobs"
        environment = dict(os.environ, RANKS=str(RANKS), THREADS="1", SIGMATIC=str(self.place / "sigmatic"),
                           MOST_FAILURES="1000000", MAX_RESTARTS="1000000", RESTART_SECONDS="0", **{MARK: str(self.place)},
                           OMPI_MCA_orte_tmpdir_base=str(self.place), OMPI_MCA_btl_vader_backing_directory=str(self.place))
        command = [str(jobs / "supervise.sh"), str(self.table.setting.data / f"{NETWORK}.ini"),
                   "--set", f"run.folder={self.folder}", "--set", f"distributed.stall_seconds={STALL_SECONDS}",
                   *self.options, *resume]
        output = open(self.place / "output", "ab")
        return subprocess.Popen(command, env=environment, cwd=self.place, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, start_new_session=True)

    def processes(self):
        """{process: its command} of all that the lap has started."""
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if f"{MARK}={self.place}".encode() in pathlib.Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found[int(entry)] = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def ranks(self):
        return [process for process, command in self.processes().items()
                if command.startswith(self.table.setting.program + " train") and "--print-config" not in command]

    # ---- what strikes from outside ----

    def tell(self, number):
        if ranks := self.ranks():
            os.kill(self.draw.choice(ranks), number)

    def kill_launcher(self):
        for process, command in self.processes().items():
            if command.split()[0].endswith("mpirun"):
                os.kill(process, signal.SIGKILL)

    def pause(self):
        if ranks := self.ranks():
            rank = self.draw.choice(ranks)
            os.kill(rank, signal.SIGSTOP)
            time.sleep(STALL_SECONDS / 4)
            os.kill(rank, signal.SIGCONT)

    def damage_newest(self):
        """A kill, and the newest checkpoint is damaged before the next start reads it, or while it does."""
        files = damage.checkpoints(self.folder)
        if self.ranks() and files and int(files[-1].stem[5:]) < self.truth.last:
            self.tell(signal.SIGKILL)
            self.draw.choice((damage.flip, damage.zero, damage.truncate))(files[-1], self.draw)

    OUTSIDE = {"kill a rank": lambda lap: lap.tell(signal.SIGKILL), "segfault": lambda lap: lap.tell(signal.SIGSEGV),
               "stop a rank": lambda lap: lap.tell(signal.SIGSTOP), "TERM": lambda lap: lap.tell(signal.SIGTERM),
               "USR1": lambda lap: lap.tell(signal.SIGUSR1), "kill mpirun": kill_launcher, "pause": pause,
               "damage": damage_newest}

    def strike(self):
        name = self.draw.choice(sorted(self.OUTSIDE))
        try:
            self.OUTSIDE[name](self)
            self.struck[name] += 1
        except OSError:
            pass  # it was faster

    # ---- what is watched ----

    def sample(self):
        for process, command in self.processes().items():
            try:
                status = pathlib.Path(f"/proc/{process}/status").read_text()
                resident = int(status.split("VmRSS:")[1].split()[0])
                if self.step < self.first.setdefault(process, self.step) + WARM_STEPS:
                    continue
                self.samples[process, command[:40]].append((resident, len(os.listdir(f"/proc/{process}/fd"))))
            except (OSError, IndexError):
                continue

    def read(self):
        if (self.folder / "run.h5").exists():
            columns, _ = datasets(self.folder / "run.h5")
            self.step = max(log_rows(columns), default=0)
            self.reads += 1

    def check_growth(self):
        for (_, command), samples in self.samples.items():
            if len(samples) >= SAMPLES:
                quarter = len(samples) // 4
                early, late = samples[quarter:2 * quarter], samples[-quarter:]
                memory = [statistics.median(resident for resident, _ in part) for part in (early, late)]
                descriptors = [max(count for _, count in part) for part in (early, late)]
                if memory[1] > GROWTH * memory[0] + GROWTH_KIB:
                    raise Broken(f"{command}: memory grows from {memory[0]:.0f} to {memory[1]:.0f} KiB")
                if descriptors[1] > descriptors[0] + MORE_DESCRIPTORS:
                    raise Broken(f"{command}: descriptors grow from {descriptors[0]} to {descriptors[1]}")

    def run(self):
        gap = self.seconds / FAULTS_PER_LAP
        supervisor, due = self.start([]), time.monotonic() + gap
        begin, limit = time.monotonic(), 20 * self.seconds + 300
        while (code := supervisor.poll()) is None:
            time.sleep(0.5)
            self.sample()
            self.read()
            if time.monotonic() > due:
                self.strike()
                due = time.monotonic() + self.draw.expovariate(1 / gap)
            if time.monotonic() - begin > limit:
                self.end()
                raise Broken(f"is not done after {limit:.0f} s")
        if code != 0:
            raise Broken(f"the supervisor ends with {code}")
        self.truth.check_end(self.folder)
        self.check_growth()
        if self.processes():
            raise Broken(f"goes on after the supervisor's end: {self.processes()}")

    def end(self):
        for process in self.processes():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass


def soak(table, minutes, seed):
    sets = ["--set", "run.progress_seconds=10", "--set", f"run.evaluate_interval={EVALUATE_STEPS}",
            "--set", f"checkpoint.interval={SAVE_STEPS}"]
    begin = time.monotonic()
    run_once = Run(table.setting, NETWORK, RANKS, table.place("soak/speed"), *sets, "--set", "run.steps=200")
    if run_once.wait() != 0:
        raise Broken(f"the undisturbed run fails: {run_once.output()[-300:]}")
    step = (time.monotonic() - begin) / 200
    steps = max(200, int(60 * minutes / LAPS / 3 / step))
    options = [*sets, "--set", f"run.steps={steps}"]
    begin = time.monotonic()
    whole = table.undisturbed("soak", NETWORK, RANKS, *options, "--set", "checkpoint.keep_last=1000000")
    seconds, truth = time.monotonic() - begin, Truth(whole.folder)
    until, number = begin + 60 * minutes, 0
    while number == 0 or time.monotonic() < until:
        number += 1
        lap = Lap(table, options, truth, seconds, random.Random(f"{seed} {number}"))
        result, why = "survived", ""
        try:
            lap.run()
        except Broken as broken:
            result, why = "failed", str(broken)
        finally:
            lap.end()
        table.report.add("soak x laps", f"soak lap {number} of seed {seed}", result, why)
        print(f"lap {number}: {steps} steps, {dict(lap.struck)} from outside, {len(lap.samples)} processes, "
              f"run.h5 read {lap.reads} times while it was written", flush=True)
