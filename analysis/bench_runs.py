"""One run of one side of bench.py's comparison: starts it, waits, watches its memory, returns what it printed."""

import collections
import glob
import json
import math
import os
import shlex
import subprocess
import tempfile
import time

PEER_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_peer.py")
POLL_SECONDS = 0.1
COMPILED = "+compile"

# One network in one arithmetic of PyTorch's; Sigmatic runs it in one precision or several.
Case = collections.namedtuple("Case", "arithmetic backbone project processes threads")

# By which variables each side is held to an instruction set that both have a name for.
INSTRUCTION_SETS = {
    "avx2": {"SIGMATIC_ISA": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "avx512": {"SIGMATIC_ISA": "avx512", "ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
}


class Memory:
    """Peaks of the processes of a job: of those started, or of those below them that run `executable`, `count` of them."""

    def __init__(self, started, executable, count):
        self.started, self.count = set(started), count
        self.executable = executable and os.path.realpath(executable)
        self.peaks = {} if executable else dict.fromkeys(started, 0)

    def look(self):
        if len(self.peaks) < self.count:
            self.find()
        for pid in self.peaks:
            self.peaks[pid] = max(self.peaks[pid], resident_mib(pid))

    def find(self):
        parents = {}
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as file:
                    parents[int(path.split("/")[2])] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                pass  # ended meanwhile
        for pid in parents:
            if self.is_below_started(pid, parents) and executable_of(pid) == self.executable:
                self.peaks.setdefault(pid, 0)

    def is_below_started(self, pid, parents):
        while pid in parents and pid not in self.started:
            pid = parents[pid]
        return pid in self.started


def executable_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def resident_mib(pid):
    """Peak so far without the pages of files; 0 once the process is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            fields = dict(line.split(":", 1) for line in file)
        return (int(fields["VmHWM"].split()[0]) - int(fields["RssFile"].split()[0])) / 1024
    except (OSError, KeyError):
        return 0


def execute(commands, environments, executable, count):
    """Runs the commands of one job together. Returns the JSON line of the first, with the key job_mib.
    \\param executable  what the processes that count run, somewhere below the commands; None: they are the commands"""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        processes = []
        try:
            for command, environment in zip(commands, environments):
                processes.append(subprocess.Popen(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                                                  stdout=output, stderr=errors))
            memory = Memory([process.pid for process in processes], executable, count)
            codes = [None]
            while None in codes and not any(codes):  # a process that failed leaves the others waiting for it
                memory.look()
                time.sleep(POLL_SECONDS)
                codes = [process.poll() for process in processes]
        finally:
            for process in processes:
                if process.poll() is None:
                    process.terminate()
            codes = [process.wait() for process in processes]
        output.seek(0)
        errors.seek(0)
        lines = [line for line in output if line.startswith("{")]
        if any(codes) or not lines:
            raise SystemExit(f"bench: exit codes {codes} of {shlex.join(commands[0])}\n{errors.read()[-2000:]}")
    if len(memory.peaks) != count:
        raise SystemExit(f"bench: {len(memory.peaks)} processes of {executable} seen, {count} expected")
    result = json.loads(lines[-1])
    if not math.isfinite(result["loss"]):
        raise SystemExit(f"bench: the loss is {result['loss']} after {shlex.join(commands[0])}")
    result["job_mib"] = sum(memory.peaks.values())
    return result


def common_flags(case, options):
    flags = ["--backbone", case.backbone, "--threads", str(case.threads)] + (["--project"] if case.project else [])
    for key in ("height", "width", "batch", "steps", "warmup"):
        flags += [f"--{key}", str(getattr(options, key))]
    return flags


def instruction_set(options):
    """The environment that holds either side to what --isa names."""
    return INSTRUCTION_SETS.get(options.isa, {})


def run_program(case, precision, options):
    command = [options.program, "bench", "--step", "--json", "--batch-norm", "local", *common_flags(case, options),
               "--set", f"run.precision={precision}"]
    for pair in options.set:
        command += ["--set", pair]
    environment = {"OMP_NUM_THREADS": str(case.threads), **instruction_set(options)}
    if os.geteuid() == 0:
        environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    if case.processes > 1:
        command = [*shlex.split(options.mpirun), "-n", str(case.processes), *command]
    return execute([command], [environment], options.program, case.processes)


def run_peer(case, variant, python, options):
    """\\param variant  a memory format, with "+compile" behind it or without"""
    memory_format = variant.removesuffix(COMPILED)
    with tempfile.TemporaryDirectory() as folder:
        command = [python, PEER_SCRIPT, "--format", memory_format, "--store", os.path.join(folder, "store"),
                   *common_flags(case, options), "--precision", case.arithmetic]
        if variant != memory_format:
            command.append("--compile")
        shared = {"OMP_NUM_THREADS": str(case.threads), "WORLD_SIZE": str(case.processes),
                  "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo"), **instruction_set(options)}
        environments = [{**shared, "RANK": str(rank)} for rank in range(case.processes)]
        return execute([command] * case.processes, environments, None, case.processes)
