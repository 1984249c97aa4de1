#!/usr/bin/env python3
"""Measures what a training step costs with each weighting, relative to `uncertainty`: time and memory.

    analysis/weighting_cost.py CONFIG [--methods a,b,...] [--tasks 8] [--steps 12] [--rounds 3] [--ranks 1]
        [--set SECTION.KEY=VALUE]... [--program build/current/sigmatic]

Runs of a few steps, by turns, so that what else the machine does meets all alike; without evaluations. Time is the median of
the run log's step_seconds after the first two, of each run, and of these the least; memory is the most that a rank had
resident. --tasks adds tasks of the kind depth to the config until there are so many. Needs a machine with nothing else to
do: on a busy one the spread between rounds, the last column, says what the figures are worth. Prints a Markdown table.
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


def measure(options, method, folder):
    """Seconds a step, and MiB; None, None if the run is refused, with its last line printed."""
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
        return None, None
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
    methods = ["uncertainty", *(method for method in methods if method != "uncertainty")]
    seconds, memory = {method: [] for method in methods}, {}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(options.rounds):
            for method in list(seconds):
                time, memory[method] = measure(options, method, os.path.join(folder, f"{method}-{i}"))
                if time is None:
                    del seconds[method]
                else:
                    seconds[method].append(time)
    base = min(seconds["uncertainty"])
    print("| `method` | ms a step | of `uncertainty`'s | MiB | rounds apart by |")
    print("|---|---|---|---|---|")
    for method, times in seconds.items():
        print(f"| `{method}` | {1e3 * min(times):.1f} | {min(times) / base:.2f} | {memory[method]:.0f} | "
              f"{100 * (max(times) / min(times) - 1):.0f} % |")


if __name__ == "__main__":
    script.run(main)
