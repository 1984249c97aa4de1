#!/usr/bin/env python3
"""Writes run logs for other programs: CSV tables, TensorBoard event files.

    analysis/export.py csv RUN... [-o FOLDER]
    analysis/export.py tensorboard RUN... [-o FOLDER] [--follow] [--interval 10]

RUN is run.h5, the folder of a run, or a folder with runs at any depth. Without -o the files go beside each run.h5; with
it, into a folder a run below FOLDER.

csv: steps.csv has a line a step: the columns of /steps and /timing, and TASK/loss, TASK/weight, TASK/log_variance and
TASK/sigma of each task; evaluations.csv a line an evaluation: split, step, and TASK/METRIC. What is absent is empty.

tensorboard: event files in FOLDER/tensorboard, by tensorboardX of PyPI (pip install tensorboardX), with the run's own
clock: `tensorboard --logdir runs` shows them. Earlier ones of this script there are replaced. --follow goes on while the
runs do: every --interval seconds it adds what is new and looks for new runs, until all are done or it is interrupted.
"""

import argparse
import csv
import glob
import io
import os
import re
import sys
import time

import numpy

import common

TASK_COLUMNS = "loss", "weight", "log_variance", "sigma"


def step_columns(run):
    """{name: values} of all that has a row a step."""
    tasks = {f"{name}/{column}": getattr(task, column) for name, task in run.tasks.items() for column in TASK_COLUMNS}
    names = ["step", "epoch", *(name for name in run.steps if name not in ("step", "epoch"))]
    return {**{name: run.steps[name] for name in names if name in run.steps}, **run.timing, **tasks}


def evaluation_columns(evaluation):
    return {f"{task}/{metric}": values for task, metrics in evaluation.metrics.items() for metric, values in metrics.items()}


# ---- CSV -------------------------------------------------------------------------------------------------------------

def cell(value):
    """Unrounded; empty where there is no number."""
    value = value.item() if hasattr(value, "item") else value
    return "" if isinstance(value, float) and not numpy.isfinite(value) else repr(value) if isinstance(value, float) else value


def csv_text(headings, rows):
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows([cell(value) for value in row] for row in rows)
    return stream.getvalue()


def steps_csv(run):
    columns = step_columns(run)
    return csv_text(columns, zip(*columns.values()))


def evaluations_csv(run):
    splits = {split: evaluation_columns(evaluation) for split, evaluation in run.evaluations.items()}
    names = list(dict.fromkeys(name for columns in splits.values() for name in columns))
    rows = [[split, step, *(columns[name][i] if name in columns else numpy.nan for name in names)]
            for split, columns in splits.items() for i, step in enumerate(run.evaluations[split].step)]
    return csv_text(["split", "step", *names], rows)


def export_csv(runs, options):
    for run in runs:
        folder = folder_for(run, options.output)
        os.makedirs(folder, exist_ok=True)
        for name, content in (("steps.csv", steps_csv(run)), ("evaluations.csv", evaluations_csv(run))):
            common.write_text(os.path.join(folder, name), content)
            print(f"wrote {os.path.join(folder, name)}")


# ---- TensorBoard -----------------------------------------------------------------------------------------------------

SUFFIX = ".sigmatic"  # of event files that are ours to replace


class Events:
    """The event file of a run, and how far it is written."""

    def __init__(self, run, folder, writer_class):
        for old in glob.glob(os.path.join(glob.escape(folder), f"events.out.tfevents.*{SUFFIX}")):
            os.remove(old)
        self.writer = writer_class(folder, filename_suffix=SUFFIX)
        self.writer.add_text("config", "    " + run.config_text.replace("\n", "\n    "), 0)
        self.start = os.path.getmtime(run.path) - (run.steps["seconds"][-1] if len(run) else 0)
        self.steps, self.evaluations = 0, {}

    def add(self, run):
        """What is new. A log that became shorter (the run went back to an earlier checkpoint) is not written twice."""
        clock = lambda step: self.start + float(numpy.interp(step, run.step, run.steps["seconds"]))
        new = 0
        for name, values in step_columns(run).items():
            tag = name if "/" in name else f"run/{name}"
            for step, value in zip(run.step[self.steps:], values[self.steps:]):
                if name != "step" and numpy.isfinite(value):
                    self.writer.add_scalar(tag, float(value), int(step), walltime=clock(step))
                    new += 1
        self.steps = max(self.steps, len(run))
        for split, evaluation in run.evaluations.items():
            first = self.evaluations.get(split, 0)
            for name, values in evaluation_columns(evaluation).items():
                for step, value in zip(evaluation.step[first:], values[first:]):
                    if numpy.isfinite(value):
                        self.writer.add_scalar(f"{split}/{name}", float(value), int(step), walltime=clock(step))
                        new += 1
            self.evaluations[split] = max(first, len(evaluation.step))
        self.writer.flush()
        return new


def writer_class():
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise SystemExit(f"export.py tensorboard needs tensorboardX: pip install tensorboardX ({error})")
    return SummaryWriter


def export_tensorboard(runs, options):
    make_writer = writer_class()
    written = {}
    while True:
        for run in runs:
            folder = os.path.join(folder_for(run, options.output), "tensorboard")
            if run.path not in written:
                os.makedirs(folder, exist_ok=True)
                written[run.path] = Events(run, folder, make_writer)
                print(f"writing {folder}", flush=True)
            written[run.path].add(run)
        if not options.follow or all(run.status not in ("running", "pre-empted") for run in runs):
            break
        time.sleep(options.interval)
        runs = open_again(options.runs, runs)
    for events in written.values():
        events.writer.close()


def open_again(arguments, before):
    """The runs as they are now; one that cannot be read now (a new run replaces it) stays as it was."""
    known = {run.path: run for run in before}
    runs = []
    for path in common.find_runs(arguments):
        try:
            runs.append(common.Run(path))
        except (SystemExit, OSError, KeyError) as error:
            print(f"{path}: not readable now: {error}", file=sys.stderr)
            runs += [known[path]] if path in known else []
    return runs


def folder_for(run, output):
    """Beside the log, or below `output`: named as the run's folder is from here, so that no two meet."""
    if not output:
        return run.folder
    return os.path.join(output, re.sub(r"^(\.\./)+|^/", "", os.path.relpath(run.folder)))


FORMATS = {"csv": export_csv, "tensorboard": export_tensorboard}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="instead of beside each run.h5")
    parser.add_argument("--follow", action="store_true", help="tensorboard: go on while the runs do")
    parser.add_argument("--interval", type=float, default=10, metavar="SECONDS", help="of --follow (%(default)s)")
    options = parser.parse_args()
    if options.follow and options.format != "tensorboard":
        parser.error("--follow goes with tensorboard")
    if not options.interval > 0:
        parser.error("--interval takes more than 0")
    try:
        FORMATS[options.format](common.open_runs(options.runs, empty=True), options)
    except KeyboardInterrupt:
        print("interrupted; what is written stays", file=sys.stderr)
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
