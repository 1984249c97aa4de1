#!/usr/bin/env python3
"""Compares a training step with PyTorch's (torch_peer.py): time an image and memory, in runs that take turns.

    analysis/bench.py --program build/current/sigmatic --output runs/bench.md [--rounds 5] [--quick]

For every precision (highest, then high, against PyTorch in float32; bf16 against PyTorch's autocast), backbone, the
network without and with the ASPP's projection, and layout of processes and threads:
PyTorch first runs once in each memory format, and the one with the fastest step is kept; then both sides run in turn,
round by round, the other one first in every second round. Machines are noisy: only the ratio within a round means
something, and the table shows its median and extremes over the rounds.

Both sides train the same network (their counts of floating-point operations are compared) with the same losses and
optimiser on equal batches, batch normalisation over each process's images, processes not bound to cores, in the same
environment: where others load the cores, OMP_WAIT_POLICY=passive keeps the threads of both from spinning. The program's
step has its loader, its checks and its run log in it, PyTorch's has not: the comparison favours PyTorch.

Memory is the peak of what is resident without the pages of files (VmHWM - RssFile), summed over the processes of the
job; what they share is counted in each, which again favours PyTorch.

Writes the table as Markdown to --output, anew after every row, and every single run as a line of JSON beside it.
Without PyTorch there is nothing to compare: it says so and exits with 0.
"""

import argparse
import collections
import glob
import importlib.util
import json
import math
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import script

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_peer.py")
FORMATS = ("contiguous", "channels_last")
NETWORKS = ("paper", "projected")
PRECISIONS = ("highest", "high", "bf16")
POLL_SECONDS = 0.1

Case = collections.namedtuple("Case", "precision backbone project processes threads")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="path of sigmatic")
    parser.add_argument("--output", default="runs/bench.md", help="the table, .md; the runs go beside it, as .jsonl")
    parser.add_argument("--precisions", default=",".join(PRECISIONS), help="of run.precision (%(default)s)")
    parser.add_argument("--backbones", default="resnet18,resnet50,resnet101")
    parser.add_argument("--networks", default="paper,projected", help="without and with the ASPP's projection")
    parser.add_argument("--layouts", default="1x2,2x1", help="processes x threads of each: 1x2,2x1")
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2, help="images a process (2)")
    parser.add_argument("--steps", type=int, default=7, help="measured steps of a run; their median counts (7)")
    parser.add_argument("--warmup", type=int, default=2, help="steps before (2)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="only resnet18, one round of three steps")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for the program")
    parser.add_argument("--mpirun", default=os.environ.get("MPIRUN", "mpirun") + " --oversubscribe --bind-to none",
                        help="starts several processes of the program (mpirun --oversubscribe --bind-to none)")
    options = parser.parse_args()
    if not options.output.endswith(".md"):
        parser.error(f"--output {options.output}: a name that ends in .md expected")
    if not os.access(options.program, os.X_OK):
        parser.error(f"no program {options.program}")
    if options.rounds < 1 or not set(options.networks.split(",")) <= set(NETWORKS):
        parser.error(f"--rounds takes 1 and more, --networks {' and '.join(NETWORKS)}")
    if not set(options.precisions.split(",")) <= set(PRECISIONS):
        parser.error(f"--precisions takes {' and '.join(PRECISIONS)}")
    if options.quick:
        options.backbones, options.rounds, options.steps, options.warmup = "resnet18", 1, 3, 1
    return options


def cases_of(options):
    layouts = [tuple(int(number) for number in layout.split("x")) for layout in options.layouts.split(",")]
    return [Case(precision, backbone, network == "projected", *layout) for precision in options.precisions.split(",")
            for backbone in options.backbones.split(",") for network in options.networks.split(",")
            for layout in layouts]


# ---- one run of one side -------------------------------------------------------------------------------------------

class Memory:
    """Peaks of the processes that run `executable` at or below `roots`, of which there will be `count`."""

    def __init__(self, roots, executable, count):
        self.roots, self.executable, self.count = set(roots), os.path.realpath(executable), count
        self.peaks = {}

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
            if self.is_below_roots(pid, parents) and executable_of(pid) == self.executable:
                self.peaks.setdefault(pid, 0)

    def is_below_roots(self, pid, parents):
        while pid in parents and pid not in self.roots:
            pid = parents[pid]
        return pid in self.roots


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
    """Runs the commands of one job together. Returns the JSON line of the first, with the key job_mib."""
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


def run_program(case, options):
    command = [options.program, "bench", "--step", "--json", "--batch-norm", "local", *common_flags(case, options),
               "--set", f"run.precision={case.precision}"]
    for pair in options.set:
        command += ["--set", pair]
    environment = {"OMP_NUM_THREADS": str(case.threads)}
    if os.geteuid() == 0:
        environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    if case.processes > 1:
        command = [*shlex.split(options.mpirun), "-n", str(case.processes), *command]
    return execute([command], [environment], options.program, case.processes)


def run_peer(case, options, memory_format):
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, PEER, "--format", memory_format, "--store", os.path.join(folder, "store")]
        command += [*common_flags(case, options), "--precision", "bf16" if case.precision == "bf16" else "float32"]
        shared = {"OMP_NUM_THREADS": str(case.threads), "WORLD_SIZE": str(case.processes),
                  "GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo")}
        environments = [{**shared, "RANK": str(rank)} for rank in range(case.processes)]
        return execute([command] * case.processes, environments, sys.executable, case.processes)


# ---- comparison ----------------------------------------------------------------------------------------------------

class Runs:
    """Every run in order: told on stderr and kept as a line of JSON."""

    def __init__(self, path, head):
        self.path = path
        with open(path, "w") as file:
            file.write(json.dumps(head) + "\n")

    def add(self, case, side, round_number, result):
        with open(self.path, "a") as file:
            file.write(json.dumps({**result, "side": side, "round": round_number, "project": case.project,
                                   "precision": case.precision}) + "\n")
        turn = f"round {round_number}" if round_number else "trial"
        memory_format = f" {result['format']}" if "format" in result else ""
        print(f"{name_of(case)} {case.processes}x{case.threads} {turn}: {side}{memory_format} "
              f"{result['ms_image']:.1f} ms an image, {result['job_mib']:.0f} MiB", file=sys.stderr, flush=True)
        return result


def check_same_network(program, peer):
    ours, theirs = (run["gflops_nominal"] / run["images_s"] for run in (program, peer))
    if abs(ours - theirs) > 1e-6 * theirs:
        raise SystemExit(f"bench: not the same network: {ours} GFLOP an image, in PyTorch {theirs}")


def compare(case, options, runs):
    """A row: the format that suits PyTorch, the other one's cost, and the pairs of runs."""
    trials = {}
    for memory_format in FORMATS:
        trials[memory_format] = runs.add(case, "pytorch", 0, run_peer(case, options, memory_format))
    best, other = sorted(FORMATS, key=lambda memory_format: trials[memory_format]["ms_min"])
    sides = {"sigmatic": lambda: run_program(case, options), "pytorch": lambda: run_peer(case, options, best)}
    pairs = []
    for number in range(1, options.rounds + 1):
        order = sorted(sides, reverse=number % 2 == 1)
        pairs.append({side: runs.add(case, side, number, sides[side]()) for side in order})
        check_same_network(pairs[-1]["sigmatic"], pairs[-1]["pytorch"])
    return case, best, trials[other]["ms_min"] / trials[best]["ms_min"], pairs


# ---- report --------------------------------------------------------------------------------------------------------

def cpu_model():
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return models[0] if models else platform.machine()


TORCH_VERSIONS = """import json, re, torch
one_dnn = re.search(r"(?:MKL-DNN|oneDNN) v(\\S+)", torch.__config__.show())
print(json.dumps([torch.__version__, one_dnn[1] if one_dnn and torch.backends.mkldnn.is_available() else None]))
"""


def output_of(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def head_of(options):
    torch, one_dnn = json.loads(output_of(sys.executable, "-c", TORCH_VERSIONS))
    return {"date": time.strftime("%Y-%m-%d"), "cpu": cpu_model(), "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0], "system": f"{platform.system()} {platform.release()}",
            "sigmatic": output_of(options.program, "--version").strip().splitlines(),
            "torch": torch, "one_dnn": one_dnn, "python": platform.python_version(), "settings": vars(options),
            "environment": {key: value for key, value in sorted(os.environ.items()) if key.startswith(("OMP_", "GOMP_"))
                            and key != "OMP_NUM_THREADS"}}


def name_of(case):
    return case.backbone + (" + projection" if case.project else "") + f", {case.precision}"


def line_of(row):
    case, memory_format, other_cost, pairs = row
    ratios = [pair["sigmatic"]["ms_image"] / pair["pytorch"]["ms_image"] for pair in pairs]
    milliseconds, mib = ([statistics.median(pair[side][key] for pair in pairs) for side in ("pytorch", "sigmatic")]
                         for key in ("ms_image", "job_mib"))
    cells = (name_of(case), f"{case.processes} x {case.threads}", *(f"{value:.1f}" for value in milliseconds),
             f"**{statistics.median(ratios):.2f}**", f"{min(ratios):.2f} to {max(ratios):.2f}",
             *(f"{value:.0f}" for value in mib), f"{memory_format} (the other: x {other_cost:.2f})")
    return "| " + " | ".join(cells) + " |"


COLUMNS = ("network", "processes x threads", "PyTorch, ms an image", "Sigmatic, ms an image", "ratio", "its range",
           "PyTorch, MiB", "Sigmatic, MiB", "PyTorch's memory format")


def markdown(head, options, rows):
    sigmatic = ", ".join(line.split(", package")[0] for line in head["sigmatic"])
    extra = f" The program with {', '.join(options.set)}." if options.set else ""
    extra += "".join(f" {key}={value}." for key, value in head["environment"].items())
    return "\n".join([
        f"A training step at {options.height}x{options.width}, {options.batch} images a process. "
        f"Rounds: {options.rounds}; of each run the median of {options.steps} steps.{extra}",
        f"{head['cpu']}, {head['cores']} cores, load {head['load']:.1f} at the start, {head['system']}, "
        f"{head['date']}.",
        f"{sigmatic}; PyTorch {head['torch']} (oneDNN {head['one_dnn'] or 'missing: no fair peer'}), "
        f"Python {head['python']}.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---" * len(COLUMNS) + "|",
        *(line_of(row) for row in rows),
        "",
        "Times and memory are medians over the rounds, the ratio is Sigmatic's time over PyTorch's within a round.",
        "MiB: peak of the whole job without the pages of files. Sigmatic's step has loader, checks and run log in it,",
        "PyTorch's has not.",
        ""])


def main():
    options = arguments()
    missing = [module for module in ("torch", "torchvision") if importlib.util.find_spec(module) is None]
    if missing:
        print(f"bench: skipped: {sys.executable} has no {' and no '.join(missing)}")
        return
    cases, head, rows = cases_of(options), head_of(options), []
    os.makedirs(os.path.dirname(os.path.abspath(options.output)), exist_ok=True)
    runs = Runs(os.path.splitext(options.output)[0] + ".jsonl", head)
    for case in cases:
        rows.append(compare(case, options, runs))
        with open(options.output, "w") as file:
            file.write(markdown(head, options, rows))
    print(markdown(head, options, rows))


if __name__ == "__main__":
    script.run(main)
