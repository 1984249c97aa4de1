#!/usr/bin/env python3
"""Writes run logs for other programs: CSV tables, TensorBoard event files.

    analysis/export.py csv RUN... [-o FOLDER]
    analysis/export.py summary RUN... [-o FOLDER]
    analysis/export.py tensorboard RUN... [-o FOLDER] [--follow] [--interval 10]

RUN is run.h5, the folder of a run, or a folder with runs at any depth. Without -o the files go beside each run.h5; with
it, into a folder a run below FOLDER.

csv: steps.csv has a line a step: the columns of /steps and /timing, and TASK/loss, TASK/weight, TASK/log_variance and
TASK/sigma of each task, of runs that measured gradients also TASK/gradient_norm, TASK/gradient_share and
gradient_cosines/TASK/OTHER; evaluations.csv a line an evaluation: split, step, TASK/METRIC, and TASK/calibration/NAME: loss,
sigma, the residuals' scale and sigma's ratio to it. What is absent is empty.

summary: one table of all runs, runs.csv in FOLDER (here): a line a run with its folder, status, seed, steps, the settings in
which the runs differ, the last and the best value of each TASK/METRIC, and each task's last weight and sigma, and sigma's
calibration ratio on held-out data (TASK/calibration). Runs that
cannot be read have a line too. For pandas, R, a spreadsheet: which of forty runs to look at.

tensorboard: event files in FOLDER/tensorboard, by tensorboardX of PyPI (pip install tensorboardX), with the run's own
clock: `tensorboard --logdir runs` shows them. Earlier ones of this script there are replaced. --follow goes on while the
runs do: every --interval seconds it adds what is new and looks for new runs, until all are done, none is left or it is
interrupted. A run that --overwrite begins anew gets new event files.
"""

import argparse
import csv
import glob
import io
import os
import re
import sys
import time

import common  # before numpy: it says what is missing
import plot_sigma
import script

import numpy

TASK_COLUMNS = "loss", "weight", "log_variance", "sigma"
DIAGNOSES = "gradient_norm", "gradient_share"


def step_columns(run):
    """{name: values} of all that has a row a step."""
    columns = TASK_COLUMNS + (DIAGNOSES if run.cosines or plot_sigma.is_diagnosed(run) else ())
    tasks = {f"{name}/{column}": getattr(task, column) for name, task in run.tasks.items() for column in columns}
    tasks.update({f"gradient_cosines/{task}/{other}": values for (task, other), values in run.cosines.items()})
    names = ["step", "epoch", *(name for name in run.steps if name not in ("step", "epoch"))]
    return {**{name: run.steps[name] for name in names if name in run.steps}, **run.timing, **tasks}


def evaluation_columns(evaluation):
    metrics = {f"{task}/{metric}": values for task, metrics in evaluation.metrics.items() for metric, values in metrics.items()}
    return {**metrics, **{f"{task}/calibration/{name}": values for task, columns in evaluation.calibration.items() for name, values in columns.items()}}


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


def export_csv(options):
    for run in common.open_runs(options.runs, empty=True):
        folder = folder_for(run, options.output)
        os.makedirs(folder, exist_ok=True)
        for name, content in (("steps.csv", steps_csv(run)), ("evaluations.csv", evaluations_csv(run))):
            common.write_text(os.path.join(folder, name), content)
            print(f"wrote {os.path.join(folder, name)}")


# ---- a line a run ----------------------------------------------------------------------------------------------------

def best_of(values, metric):
    """NaN where nobody knows what is better."""
    higher = common.METRICS.get(metric, (None, None))[1]
    return numpy.nan if higher is None else (numpy.nanmax if higher else numpy.nanmin)(values)


def summary_of(run, apart):
    """{column: value}"""
    line = {"run": run.folder, "status": run.status, "why": run.why, "seed": common.seed_of(run), "steps": len(run)}
    settings = common.settings_of(run)
    line.update({key: settings.get(key, "") for key in apart})
    for name, task in run.tasks.items():
        for split, evaluation in run.evaluations.items():
            prefix = f"{split}/" if len(run.evaluations) > 1 else ""
            for metric, values in evaluation.metrics.get(name, {}).items():
                line.update({f"{prefix}{name}/{metric}": values[-1], f"{prefix}{name}/{metric} best": best_of(values, metric)})
        line.update({f"{name}/{column}": common.trailing_mean(getattr(task, column), 1) for column in ("weight", "sigma")})
        line[f"{name}/calibration"] = common.trailing_mean(run.calibration(name, "ratio")[1], 1)
    return line


def summary_csv(runs, left_out):
    apart = common.differences([common.settings_of(run) for run in runs]) if runs else []
    lines = [summary_of(run, apart) for run in runs] + [
        {"run": os.path.abspath(path), "status": "left out", "why": why} for path, why in left_out]
    names = list(dict.fromkeys(name for line in lines for name in line))
    return csv_text(names, [[line.get(name, "") for name in names] for line in lines])


def export_summary(options):
    runs, left_out = common.open_each(options.runs, empty=True)
    path = os.path.join(options.output or "", "runs.csv")
    os.makedirs(options.output or ".", exist_ok=True)
    common.write_text(path, summary_csv(runs, left_out))
    print(f"wrote {path}: {len(runs)} runs" + (f", {len(left_out)} left out" if left_out else ""))


# ---- TensorBoard -----------------------------------------------------------------------------------------------------

SUFFIX = ".sigmatic"  # of event files that are ours to replace


class Events:
    """The event file of a run, and how far it is written."""

    def __init__(self, run, folder, writer_class):
        for old in glob.glob(os.path.join(glob.escape(folder), f"events.out.tfevents.*{SUFFIX}")):
            os.remove(old)
        os.makedirs(folder, exist_ok=True)
        self.writer = writer_class(folder, filename_suffix=SUFFIX)
        self.writer.add_text("config", "    " + run.config_text.replace("\n", "\n    "), 0)
        self.start = os.path.getmtime(run.path) - (run.steps["seconds"][-1] if len(run) else 0)
        self.first, self.step, self.evaluated = first_row(run), 0, {}

    def is_of(self, run):
        """Whether the run is still the one that was written: one that replaces it has another first step."""
        if self.first is None:
            self.first = first_row(run)
        return self.first == first_row(run)

    def add(self, run):
        """What is new. Steps that a run computes anew, since it went back to a checkpoint, are not written twice."""
        clock = lambda step: self.start + float(numpy.interp(step, run.step, run.steps["seconds"]))
        new = run.step > self.step
        for name, values in step_columns(run).items():
            tag = name if "/" in name else f"run/{name}"
            for step, value in zip(run.step[new], values[new]):
                if name != "step" and numpy.isfinite(value):
                    self.writer.add_scalar(tag, float(value), int(step), walltime=clock(step))
        self.step = max([self.step, *run.step[-1:]])
        for split, evaluation in run.evaluations.items():
            new = evaluation.step > self.evaluated.get(split, 0)
            for name, values in evaluation_columns(evaluation).items():
                for step, value in zip(evaluation.step[new], values[new]):
                    if numpy.isfinite(value):
                        self.writer.add_scalar(f"{split}/{name}", float(value), int(step), walltime=clock(step))
            self.evaluated[split] = max([self.evaluated.get(split, 0), *evaluation.step[-1:]])
        self.writer.flush()


def first_row(run):
    return (run.step[0], run.steps["seconds"][0]) if len(run) else None


def writer_class():
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise SystemExit(f"export.py tensorboard needs tensorboardX: pip install tensorboardX ({error})")
    return SummaryWriter


def export_tensorboard(options):
    make_writer = writer_class()
    runs, written = common.open_runs(options.runs, empty=True), {}
    while True:
        for run in runs:
            write_events(run, os.path.join(folder_for(run, options.output), "tensorboard"), make_writer, written)
        if not options.follow or all(run.status not in ("running", "pre-empted") for run in runs):
            break
        time.sleep(options.interval)
        runs = open_again(options, runs)
    for events in written.values():
        events.writer.close()
    if not runs:
        raise SystemExit("no run is left to follow")


def write_events(run, folder, make_writer, written):
    known = written.get(run.path)
    if known and not known.is_of(run):
        known.writer.close()
        print(f"{run.path}: another run replaces it", file=sys.stderr)
    if not known or not known.is_of(run):
        written[run.path] = Events(run, folder, make_writer)
        print(f"writing {folder}", flush=True)
    written[run.path].add(run)


GONE_AFTER = 3  # looks: a run that replaces another has no log for a moment


def open_again(options, before):
    """The runs as they are now. One that cannot be read stays as it was, if only for some looks where its log is gone."""
    known, runs = {run.path: run for run in before}, []
    for path in dict.fromkeys([*known, *(path for word in options.runs if os.path.exists(word) for path in common.find_runs([word]))]):
        try:
            run = common.Run(path)
        except SystemExit as why:
            run = known.get(path)
            if run and not os.path.exists(path):
                run.looks_gone = getattr(run, "looks_gone", 0) + 1
                if run.looks_gone >= GONE_AFTER:
                    print(f"{path}: gone", file=sys.stderr)
                    run = None
            elif run:
                print(f"not readable now: {why}", file=sys.stderr)
        runs += [run] if run else []
    return runs


def folder_for(run, output):
    """Beside the log, or below `output`: named as the run's folder is from here, so that no two meet."""
    if not output:
        return run.folder
    return os.path.join(output, re.sub(r"^(\.\./)+|^/", "", os.path.relpath(run.folder)))


FORMATS = {"csv": export_csv, "summary": export_summary, "tensorboard": export_tensorboard}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="instead of beside each run.h5, or here")
    parser.add_argument("--follow", action="store_true", help="tensorboard: go on while the runs do")
    parser.add_argument("--interval", type=float, default=10, metavar="SECONDS", help="of --follow (%(default)s)")
    options = parser.parse_args()
    if options.follow and options.format != "tensorboard":
        parser.error("--follow goes with tensorboard")
    if not options.interval > 0:
        parser.error("--interval takes more than 0")
    try:
        FORMATS[options.format](options)
    except KeyboardInterrupt:
        print("interrupted; what is written stays", file=sys.stderr)
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    script.run(main)
