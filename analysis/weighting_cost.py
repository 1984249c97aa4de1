#!/usr/bin/env python3
"""Measures what a training step costs with each weighting, relative to `uncertainty`: time and memory.

    analysis/weighting_cost.py CONFIG [--methods a,b,...] [--tasks 8] [--steps 12] [--rounds 3] [--ranks 1]
        [--set SECTION.KEY=VALUE]... [--program build/current/sigmatic]

Runs of a few steps without evaluations, `uncertainty` before and after each of the others. Time is the median of the run log's
step_seconds after the first two; a ratio is to the mean of both neighbours, so that a machine that becomes slower in between
does little harm. Of the rounds' ratios the table has the median and the range. Memory is the most that a rank had resident.
--tasks adds tasks of the kind depth to the config until there are so many. Wants a machine with nothing else to do; the range
says what the figures are worth. Prints a Markdown table.
"""

import argparse
import os
import re
import subprocess
import tempfile

import script

script.needs("numpy", "h5py")

import numpy  # noqa: E402

import common  # noqa: E402


def methods_of(program):
    """What the program knows, as its help lists them."""
    text = subprocess.run([program, "train", "--help-config", "weighting.method"], check=True, capture_output=True,
                          text=True).stdout
    return re.split(", | or ", re.search("is one of (.*?); by default", " ".join(text.split())).group(1))


def more_tasks(config, count):
    """--set options that add tasks on the disparity."""
    with open(config, encoding="utf-8") as file:
        found = len(re.findall(r"^\s*\[task\.", file.read(), re.M))
    added = [f"more{i}" for i in range(found + 1, count + 1)]
    return [f"task.{name}.{setting}" for name in added for setting in ("kind=depth", "target=disparity")]


def measure(options, method, parent):
    """Seconds a step, and MiB; None if the run is refused, with its last line printed."""
    folder = os.path.join(tempfile.mkdtemp(dir=parent), "run")
    settings = [f"weighting.method={method}", f"run.folder={folder}", f"run.steps={options.steps}", "run.epochs=0",
                "data.validation_split=", *more_tasks(options.config, options.tasks), *options.set]
    command = [options.program, "train", options.config]
    for setting in settings:
        command += ["--set", setting]
    if options.ranks > 1:
        command = ["mpirun", "-n", str(options.ranks), *command]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{method}: {done.stderr.strip().splitlines()[-1]}")
        return None
    run = common.Run(folder)
    memory = re.search(r"memory of a rank: (\d+) MiB", done.stdout + done.stderr)
    return float(numpy.median(run.timing["step_seconds"][2:])), float(memory.group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--methods", help="separated by commas (all)")
    parser.add_argument("--tasks", type=int, default=0, help="add tasks until there are so many")
    parser.add_argument("--steps", type=int, default=12, help="of a run, at least 4 (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (%(default)s)")
    parser.add_argument("--ranks", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="as of train")
    parser.add_argument("--program", default="build/current/sigmatic", help="%(default)s")
    options = parser.parse_args()
    methods = options.methods.split(",") if options.methods else methods_of(options.program)
    ratios, memory = {method: [] for method in methods if method != "uncertainty"}, {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            before = measure(options, "uncertainty", folder)
            if not before:
                raise SystemExit("nothing is measured: the others are compared to `uncertainty`, which does not run")
            for method in list(ratios):
                found, after = measure(options, method, folder), measure(options, "uncertainty", folder)
                if found:
                    ratios[method].append(2 * found[0] / (before[0] + after[0]))
                    memory[method] = found[1]
                before = after
    print("| `method` | time of a step | range | MiB |")
    print("|---|---|---|---|")
    print(f"| `uncertainty` | 1 | ({1e3 * before[0]:.0f} ms) | {before[1]:.0f} |")
    for method in memory:
        ordered = sorted(ratios[method])
        print(f"| `{method}` | {numpy.median(ordered):.2f} | {ordered[0]:.2f} to {ordered[-1]:.2f} | {memory[method]:.0f} |")


if __name__ == "__main__":
    script.run(main)
