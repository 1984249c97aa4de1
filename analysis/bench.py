#!/usr/bin/env python3
"""Compares a training step with PyTorch's (torch_peer.py): time an image and memory, in runs that take turns.

    analysis/bench.py --program build/current/sigmatic --output runs/bench.md [--rounds 5] [--quick]
    analysis/bench.py --table runs/bench.jsonl          the table of runs that are recorded

The peer is the newest PyTorch that is found here (bench_peer.py), in float32 beside our `highest` and `high`, by its
autocast beside `bf16`. It trains in both memory formats and, where a C++ compiler makes torch.compile work, both ways
compiled, too. Each way runs once as a trial; those within a tenth of the fastest then take part in the rounds, and the one
with the least median counts. In a round everything runs once, in the opposite order every second round, the whole list of
networks and layouts each time. Machines are noisy: only a ratio within a round means something, and the table shows its
median and extremes over the rounds.

Both sides train the same network (their counts of floating-point operations are compared) with the same losses and
optimiser on equal batches, batch normalisation over each process's images, processes not bound to cores, in the same
environment: where others load the cores, OMP_WAIT_POLICY=passive keeps the threads of both from spinning. The program's
step has its loader, its checks and its run log in it, PyTorch's has not: the comparison favours PyTorch.

Memory is the peak of what is resident without the pages of files (VmHWM - RssFile), summed over the processes of the
job; what they share is counted in each, which again favours PyTorch.

Writes the table as Markdown to --output, anew after every run of a round, and every single run as a line of JSON beside
it. Without PyTorch there is nothing to compare: it says so and exits with 0.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time

import bench_peer
import bench_report
import bench_runs
import script

FORMATS = ("contiguous", "channels_last")
VARIANTS = (*FORMATS, *(memory_format + bench_runs.COMPILED for memory_format in FORMATS))
NEAR = 1.1  # the fastest of the trials; single runs differ by as much
CHOICES = {"networks": ("paper", "projected"), "precisions": ("highest", "high", "bf16"), "variants": VARIANTS}
# What tells in which arithmetic a CPU can compute.
INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16", "asimd", "sve", "sve2", "bf16")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", help="path of sigmatic")
    parser.add_argument("--output", default="runs/bench.md", help="the table, .md; the runs go beside it, as .jsonl")
    parser.add_argument("--table", metavar="RUNS.jsonl", help="print the table of these runs, run nothing")
    parser.add_argument("--precisions", default="highest,high,bf16", help="of run.precision (%(default)s)")
    parser.add_argument("--backbones", default="resnet18,resnet50,resnet101", help="also resnet34, resnet152 (%(default)s)")
    parser.add_argument("--networks", default="paper,projected", help="without and with the ASPP's projection")
    parser.add_argument("--layouts", default="1x2,2x1", help="processes x threads of each (%(default)s)")
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2, help="images a process (2)")
    parser.add_argument("--steps", type=int, default=7, help="measured steps of a run; their median counts (7)")
    parser.add_argument("--warmup", type=int, default=2, help="steps before (2)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="only resnet18, one round of three steps")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="PyTorch's ways to train (%(default)s)")
    parser.add_argument("--isa", choices=bench_runs.INSTRUCTION_SETS, help="hold both sides to this instruction set")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for the program")
    parser.add_argument("--mpirun", default=os.environ.get("MPIRUN", "mpirun") + " --oversubscribe --bind-to none",
                        help="starts several processes of the program (mpirun --oversubscribe --bind-to none)")
    options = parser.parse_args()
    check(parser, options)
    if options.quick:
        options.backbones, options.rounds, options.steps, options.warmup = "resnet18", 1, 3, 1
    return options


def check(parser, options):
    if options.table:
        return
    if not options.output.endswith(".md"):
        parser.error(f"--output {options.output}: a name that ends in .md expected")
    if not options.program or not os.access(options.program, os.X_OK):
        parser.error(f"no program {options.program}" if options.program else "--program or --table is wanted")
    for name, choices in CHOICES.items():
        if not set(getattr(options, name).split(",")) <= set(choices):
            parser.error(f"--{name} takes {', '.join(choices)}, with commas between several")
    for layout in options.layouts.split(","):
        if not all(part.isdecimal() and int(part) for part in layout.split("x")) or layout.count("x") != 1:
            parser.error(f"--layouts {layout}: processes x threads expected, such as 1x2")
    for name in "height", "width", "batch", "steps", "warmup", "rounds":
        if getattr(options, name) < 1:  # the first step compiles and allocates
            parser.error(f"--{name} takes 1 and more")


def cases_of(options):
    """{what PyTorch runs: [the precisions of ours beside it]}"""
    cases = {}
    for precision in options.precisions.split(","):
        for backbone in options.backbones.split(","):
            for network in options.networks.split(","):
                for layout in options.layouts.split(","):
                    case = bench_runs.Case(bench_report.arithmetic_of(precision), backbone, network == "projected",
                                           *map(int, layout.split("x")))
                    cases.setdefault(case, []).append(precision)
    return cases


# ---- the machine and both sides --------------------------------------------------------------------------------------

def cpu():
    """(its name, the instruction sets that matter here)"""
    fields = {}
    with open("/proc/cpuinfo") as file:
        for line in file:
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name", platform.machine())
    if "cpu family" in fields:  # the name alone may be as general as "AMD EPYC"
        name += f" (family {fields['cpu family']}, model {fields['model']})"
    has = (fields.get("flags") or fields.get("Features", "")).split()
    return name, " ".join(one for one in INSTRUCTIONS if one in has) or "none of the known instruction sets"


def program_versions(options):
    environment = {**os.environ, **bench_runs.instruction_set(options)}
    done = subprocess.run([options.program, "--version"], stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"bench: {options.program} --version fails")
    return [line.split(", package")[0] for line in done.stdout.splitlines() if not line.startswith("configs/")]


def head_of(options, peer, notes):
    model, sets = cpu()
    return {"date": time.strftime("%Y-%m-%d"), "cpu": model, "instruction_sets": sets,
            "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0],
            "system": f"{platform.system()} {platform.release()}", "sigmatic": program_versions(options), **peer,
            "settings": vars(options), "held_by": bench_runs.instruction_set(options), "notes": notes,
            "environment": {key: value for key, value in sorted(os.environ.items())
                            if key.startswith(("OMP_", "GOMP_", "ATEN_", "ONEDNN_", "DNNL_", "SIGMATIC_ISA"))
                            and key != "OMP_NUM_THREADS"}}


def usable_variants(options, peer):
    """(those that work here, what to say of the others)"""
    wanted = options.variants.split(",")
    if not any(variant.endswith(bench_runs.COMPILED) for variant in wanted):
        return wanted, []
    print("bench: looking whether torch.compile works", file=sys.stderr, flush=True)
    why = bench_peer.why_not_compiled(peer, bench_runs.instruction_set(options))
    if not why:
        return wanted, []
    print(f"bench: {why}", file=sys.stderr)
    usable = [variant for variant in wanted if not variant.endswith(bench_runs.COMPILED)]
    if not usable:
        raise SystemExit("bench: no way to train is left")
    return usable, [f"not compiled: {why}"]


# ---- comparison ------------------------------------------------------------------------------------------------------

class Comparison:
    """What runs in turn, each run told on stderr and recorded."""

    def __init__(self, options, peer, variants, record):
        self.options, self.peer, self.variants, self.record = options, peer, variants, record
        self.cases, self.trials = cases_of(options), {}

    def add(self, case, side, what, number, run):
        run.update(side=side, round=number, project=case.project, **what)
        self.record.add(run)
        turn = f"round {number} of {self.options.rounds}" if number else "trial"
        name = bench_report.name_of(case.backbone, case.project, run["precision"])
        print(f"{turn}: {name}, {case.processes}x{case.threads}: {side}{' ' + what['variant'] if 'variant' in what else ''} "
              f"{run['ms_image']:.1f} ms an image, {run['job_mib']:.0f} MiB", file=sys.stderr, flush=True)
        return run

    def run_peer(self, case, variant, number):
        run = bench_runs.run_peer(case, variant, self.peer["executable"], self.options)
        return self.add(case, "pytorch", {"variant": variant, "precision": case.arithmetic}, number, run)

    def run_program(self, case, precision, number):
        run = bench_runs.run_program(case, precision, self.options)
        check_instruction_set(run, self.options)
        self.check_same_network(case, run)
        return self.add(case, "sigmatic", {"precision": precision}, number, run)

    def check_same_network(self, case, run):
        theirs = next(iter(self.trials[case].values()))
        ours, theirs = (one["gflops_nominal"] / one["images_s"] for one in (run, theirs))
        if abs(ours - theirs) > 1e-6 * theirs:
            raise SystemExit(f"bench: not the same network: {ours} GFLOP an image, in PyTorch {theirs}")

    def contestants(self, case):
        """What runs in every round of a case: (how, which)."""
        best = {variant: run["ms_min"] for variant, run in self.trials[case].items()}
        near = [variant for variant in self.variants if best[variant] <= NEAR * min(best.values())]
        return [(self.run_peer, variant) for variant in near] + [(self.run_program, one) for one in self.cases[case]]

    def run(self):
        for case in self.cases:
            self.trials[case] = {variant: self.run_peer(case, variant, 0) for variant in self.variants}
        for number in range(1, self.options.rounds + 1):
            for case in self.cases:
                for how, which in self.contestants(case)[::1 if number % 2 else -1]:
                    how(case, which, number)
                    bench_report.write(self.options.output, self.record.head, self.record.runs)


def check_instruction_set(run, options):
    """Who does not know SIGMATIC_ISA would go on by all that the CPU has."""
    if options.isa and run.get("instruction_set") != options.isa:
        raise SystemExit(f"bench: --isa {options.isa}: the program computed by "
                         f"{run.get('instruction_set', 'what it does not say')}: one that knows SIGMATIC_ISA is wanted")


def main():
    options = arguments()
    if options.table:
        print(bench_report.markdown(*bench_report.read(options.table)))
        return
    found, passed_over = bench_peer.find(bench_runs.instruction_set(options))
    if not found:
        print("bench: skipped: no PyTorch with torchvision here: " + bench_peer.GET_CURRENT)
        return
    for python, why in passed_over:
        if bench_peer.has_torch(why):
            print(f"bench: not taken: {python}: {why}", file=sys.stderr)
    peer = found[0]
    print(f"bench: beside PyTorch {peer['torch']} of {peer['executable']}", file=sys.stderr, flush=True)
    bench_peer.warn_unless_current(peer["torch"])
    variants, notes = usable_variants(options, peer)
    os.makedirs(os.path.dirname(os.path.abspath(options.output)), exist_ok=True)
    record = bench_report.Record(os.path.splitext(options.output)[0] + ".jsonl", head_of(options, peer, notes))
    with tempfile.TemporaryDirectory(prefix="bench-compiled-") as folder:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", folder)  # a network is compiled once, and by no other instructions
        Comparison(options, peer, variants, record).run()
    print(bench_report.markdown(record.head, record.runs))
    bench_peer.warn_unless_current(peer["torch"])


if __name__ == "__main__":
    script.run(main)
