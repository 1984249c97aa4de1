#!/usr/bin/env python3
"""Crosses faults and moments: matrix.py PROGRAM SCRATCH [--full] [--seed N] [--jobs N] [CELL...]

Each cell is a run of a tiny network that meets one fault at one of its file operations, and is resumed. It survives if the
run ended as promised, its folder was whole then, and the resumed run ends with the bits of one that nothing happened to.
A cell's name repeats it. tests/check_faults.sh calls this."""
import argparse
import collections
import concurrent.futures
import functools
import os
import re
import shutil
import sys
import threading
import time

import cells as matrix
import damage
import endurance
import full_disk
import soak
from holds import Broken, Truth, status_of
from runs import Run, Setting


class Matrix:
    def __init__(self, setting, report):
        self.setting, self.report = setting, report
        self.lock = threading.RLock()
        self.made = {}

    def once(self, key, function, *arguments):
        """What several cells need and the first of them makes."""
        with self.lock:
            if key not in self.made:
                self.made[key] = function(*arguments)
            return self.made[key]

    def undisturbed(self, name, network, ranks, *options, fault=None):
        place = self.setting.scratch / "undisturbed" / f"{network}{ranks}-{name}"
        run = Run(self.setting, network, ranks, place, *options, fault=fault)
        code = run.wait()
        if code != 0:
            raise Broken(f"the undisturbed run of {network} on {ranks} ended with {code}:\n{run.output()}")
        return run

    def truth(self, network, ranks):
        return self.once(("truth", network, ranks), self.make_truth, network, ranks)

    def make_truth(self, network, ranks):
        return Truth(self.undisturbed("truth", network, ranks, "--set", "checkpoint.interval=1",
                                      "--set", "checkpoint.keep_last=1000").folder)

    def positions(self, network, ranks):
        return self.once(("positions", network, ranks), self.count_positions, network, ranks)

    def count_positions(self, network, ranks):
        data = self.setting.data
        place = self.setting.scratch / "undisturbed" / f"{network}{ranks}-count"
        fault = {"FAULT_BELOW": f"{place}/run:{data}", "FAULT_OPERATIONS": "all"}
        run = self.undisturbed("count", network, ranks, fault=fault)
        return matrix.moments(run.operations(), str(run.folder), f"{data}/train.h5", f"{data}/val.h5")

    def plan(self, cell, place):
        """The variables that make the fault of a cell."""
        data = self.setting.data
        below, kind = {"step": (f"{data}/train.h5", "look,read"), "evaluation": (f"{data}/val.h5", "look,read")}.get(
            cell.moment, (f"{place}/run", "changes"))
        return {**matrix.FAULTS[cell.fault].plan, "FAULT_BELOW": below, "FAULT_OPERATIONS": kind,
                "FAULT_RANK": str(cell.rank), "FAULT_AT": str(cell.number)}

    def place_of(self, cell):
        return self.setting.scratch / "cells" / re.sub(r"[/>:.]", "-", str(cell))

    def place(self, cell):
        shutil.rmtree(self.place_of(cell), ignore_errors=True)
        return self.place_of(cell)

    def run_cell(self, cell):
        """\return "survived", or "missed": the run was over before. Raises Broken."""
        fault = matrix.FAULTS[cell.fault]
        place = self.place(cell)
        truth = self.truth(cell.network, cell.resume)
        run = Run(self.setting, cell.network, cell.ranks, place, fault=self.plan(cell, place))
        code = run.wait()
        orphans = run.orphans()
        run.end()
        if code == "hang":
            raise Broken("hangs")
        if orphans:
            raise Broken(f"{len(orphans)} processes go on 30 s after the launcher's end")
        if not any(wrong for *_, wrong in run.operations()):
            shutil.rmtree(place, ignore_errors=True)
            return "missed"
        self.check_struck(cell, fault, code, run, truth)
        if fault.undo and (place / fault.undo[0]).exists():
            shutil.rmtree(place / fault.undo[1], ignore_errors=True)
            (place / fault.undo[0]).rename(place / fault.undo[1])
        first = 1 if fault.spares == "all" else newest_step(place / "run") + 1
        resumed = Run(self.setting, cell.network, cell.resume, place, "--resume", "auto")
        again = resumed.wait()
        if again != 0:
            raise Broken(f"resumed, it ends with {again}, not 0")
        if code != 0 or fault.spares == "all":
            truth.check_end(resumed.folder, first)
        elif fault.spares == "checkpoints":  # a log that is taken away after its last row stays away
            truth.check_checkpoints_end(resumed.folder)
        shutil.rmtree(place, ignore_errors=True)
        return "survived"

    def check_struck(self, cell, fault, code, run, truth):
        if code not in fault.codes:
            raise Broken(f"ends with {code}, not {' or '.join(map(str, fault.codes))}")
        says = fault.says.format(rank=cell.rank)
        if says and is_to_be_said(cell, fault, run) and not re.search(says, run.output()):
            raise Broken(f"does not say '{says}'")
        word = status_of(run.folder)
        if fault.words and word not in fault.words:
            raise Broken(f"status is '{word}', not {' or '.join(fault.words)}")
        if fault.spares == "all" and run.folder.exists():
            truth.check_folder(run.folder)


def is_to_be_said(cell, fault, run):
    """Not of a rank that is alone and gone; nor where closing fails of what is on the disk by then, nor where the lock of a
    run that takes long is not renewed, which the next beat makes up for, nor where HDF5 makes a file, which it asks for twice."""
    if fault.says == matrix.GONE:
        return cell.ranks > 1
    struck = [(operation, path) for _, _, operation, path, wrong in run.operations() if wrong]
    if len(struck) == 1 and struck[0] == ("open", f"{run.folder}/run.h5.partial"):
        return False
    return any(operation != "close" and (cell.moment == "start" or "/.lock" not in path) for operation, path in struck)


def newest_step(folder):
    steps = [int(path.stem[5:]) for path in (folder / "checkpoints").glob("step-*.h5") if path.stem[5:].isdigit()]
    return max(steps, default=0)


# ---- reports -------------------------------------------------------------------------------------------------------------

class Report:
    """Counts cells by their row and tells of failures; each is a line of $SIGMATIC_SUMMARY too (report.sh)."""

    def __init__(self, program):
        self.program = program
        self.counts = collections.defaultdict(collections.Counter)
        self.summary = os.environ.get("SIGMATIC_SUMMARY")
        self.lock = threading.Lock()
        self.broken = []

    def add(self, row, name, result, why="", output=""):
        with self.lock:
            self.counts[row][result] += 1
            if result == "failed":
                self.broken.append((name, why))
                print(f"FAILED: {name}: {why}\n    again: tests/check_faults.sh {self.program} '{name}'", flush=True)
                for line in output.splitlines()[-4:]:
                    print(f"    | {line[:160]}")
            if self.summary and result != "missed":
                with open(self.summary, "a") as file:
                    said = f"{name}: {why}" if why else name
                    file.write(f"{'failed' if result == 'failed' else 'passed'} check_faults.sh: {said}\n".replace("\n", " ").strip() + "\n")

    def skip(self, word, name, why):
        """What cannot be tried on this machine; a failure if $SIGMATIC_REQUIRE has the word."""
        if word in os.environ.get("SIGMATIC_REQUIRE", "").split():
            self.add(name, name, "failed", f"SIGMATIC_REQUIRE has {word}: {why}")
            return
        print(f"skipped: {name}: {why}", flush=True)
        if self.summary:
            with open(self.summary, "a") as file:
                file.write(f"skipped check_faults.sh: {name}: {why}\n")

    def end(self, seconds):
        print(f"{'':32}  tried  survived  failed  missed")
        total = collections.Counter()
        for row, counts in sorted(self.counts.items()):
            total.update(counts)
            self.line(row, counts)
        self.line("all", total)
        spent = os.times()
        print(f"{seconds:.0f} s, {spent.children_user + spent.children_system:.0f} s of processor time and "
              f"{spent.user + spent.system:.0f} of this program")
        return total["failed"] == 0

    @staticmethod
    def line(row, counts):
        tried = counts["survived"] + counts["failed"]
        print(f"{row:32} {tried:6} {counts['survived']:9} {counts['failed']:7} {counts['missed']:7}")


def row_of(name):
    if isinstance(name, matrix.Cell):
        return f"{name.moment} x {name.fault}"
    return " x ".join(name.split(":")[0].split("/"))


def output_of(table, name):
    path = table.place_of(name) / "output"
    return path.read_text(errors="replace") if path.exists() else ""


def run_each(work, table, jobs):
    """\param work  [(name of a cell, function that runs it)]"""
    def one(name, function):
        try:
            table.report.add(row_of(name), str(name), function())
        except Broken as broken:
            table.report.add(row_of(name), str(name), "failed", str(broken), output_of(table, name))
        except Exception as error:  # a mistake of these programs: the other cells are still tried
            table.report.add(row_of(name), str(name), "failed", f"{type(error).__name__} in the test: {error}")

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(one, *item) for item in work]:
            done.result()


def named(table, name):
    if name.startswith("damage/"):
        return name, functools.partial(damage.run_damage, table, name)
    if name.startswith("full/"):
        return name, functools.partial(full_disk.run_full, table, name)
    cell = matrix.Cell.parse(name)
    return cell, functools.partial(table.run_cell, cell)


def the_cells(table, options):
    is_full = options.form == "full"
    forms = [form for form in matrix.FORMS if re.search(options.runs, matrix.name_of(form))]
    return [named(table, str(cell)) for cell in matrix.all_cells(forms, table.positions, options.seed, is_full)]


def damaged_files(table, options):
    return [named(table, name) for name in damage.damage_cells(options.seed, options.form == "full")]


def copied_states(table, options):
    """Every operation of one run; of the states that differ, so many are resumed as well."""
    distinct = damage.check_states(table)
    step = 1 if options.form == "full" else max(1, len(distinct) // 25)
    return [(cell, functools.partial(damage.resume_copy, table, cell, folder)) for cell, folder in distinct[::step]]


def full_disks(table, options):
    if not full_disk.is_possible():
        table.report.skip("mounts", "full disks", "no small disk can be mounted here")
        return []
    return [named(table, name) for name in full_disk.full_cells(table, options.seed, options.form == "full")]


PARTS = {"cells": the_cells, "damage": damaged_files, "disks": full_disks, "states": copied_states}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("scratch")
    parser.add_argument("cells", nargs="*", metavar="CELL")
    parser.add_argument("--form", choices=("short", "full", "kills", "soak"), default="short")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=240, help="of the soak")
    parser.add_argument("--seed", type=int, default=1, help="of the positions, the bits that are flipped, the kills")
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count(), help="cells at a time: they wait more than they work")
    parser.add_argument("--parts", default="cells,damage,disks,states,kills", help="of a form: which of these")
    parser.add_argument("--runs", default="", help="only cells of runs like this regular expression: toy/1>1")
    parser.add_argument("--only", default="", help="only cells like this one: checkpoint.*kill")
    parser.add_argument("--share", default="1/1", help="only every N-th cell: 1/N to N/N together are all")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    options = parser.parse_args()
    begin, parts = time.monotonic(), options.parts.split(",")
    report = Report(options.program)
    table = Matrix(Setting(options.program, options.scratch), report)
    if options.cells:
        run_each([named(table, name) for name in options.cells], table, 1)
    elif options.form == "soak":
        soak.soak(table, options.minutes, options.seed)
    elif options.form == "kills":
        endurance.kill_often(table, options.kills, options.seed)
    else:
        work = [item for part, make in PARTS.items() if part in parts for item in make(table, options)
                if re.search(options.only, str(item[0]))]
        number, shares = map(int, options.share.split("/"))
        work = work[number - 1::shares]
        if options.list:
            print(*(name for name, _ in work), sep="\n")
            return 0
        run_each(work, table, options.jobs)
        if "kills" in parts:
            endurance.kill_often(table, options.kills, options.seed)
    return 0 if report.end(time.monotonic() - begin) else 1


if __name__ == "__main__":
    sys.exit(main())
