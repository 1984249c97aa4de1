#!/usr/bin/env python3
"""Compares runs: a table of what they reached, by what differs in their configurations, over seeds.

    analysis/compare.py RUN... [--format text|markdown|csv|latex] [-o FILE] [--picture FILE.png]
        [--by SECTION.KEY,...] [--labels a,b] [--reference LABEL] [--metrics NAME,...] [--sort NAME]
        [--lines rows|quantities] [--delta first|all] [--skip-unfinished]

RUN is run.h5, the folder of a run, or a folder with runs at any depth. Runs that differ in nothing but the seed (and in
what changes no result, as the folder) are one row: mean ± standard deviation over the seeds of every metric of the last
evaluation, and of every task's training loss (mean of the last tenth of the steps; where the rows' losses are of one
kind). A row is named by keys that tell rows apart, the weighting before others (a note names others that
differ), or by --labels. --metrics shows some
of these only: miou, depth:error_pixels, loss, delta_m, and what no table has unasked: sigma, calibration (sigma over the one
that minimises the objective on held-out data; below 1: too sure), gradient_share (in % of all tasks', at the shared
representation); --sort puts the rows that are best by one of them first.

Differences are those of pairs with the same seed, which means the same initial weights and order of samples, from the
row --reference (the first). One marked * is larger than the standard deviation of that row: than what the choice of a
seed does.

Delta_m is the relative gain of a run of several tasks over runs of each task alone (Maninis, Radosavovic, Kokkinos,
"Attentive Single-Tasking of Multiple Tasks", CVPR 2019): the mean over tasks of (M - S) / S, with the sign that makes
better positive; M the task's metric, S its mean over the seeds of the runs that have this one task and otherwise the
same configuration (but weighting). Of a task's metrics it takes the one that training calls best by, or with
--delta all the mean over all of them.

With --by, rows are told apart by these keys only (`tasks` is one); runs of a row that differ in anything else but the
seed are refused.

Runs that failed or go on, that cannot be read, that repeat another one's configuration and seed, or have fewer steps
than others of the same configuration are left out and named below the table; the exit code is then 3. With
--skip-unfinished it stays 0 if nothing but unfinished runs is left out.
"""

import argparse
import collections
import csv
import io
import os
import sys

import common  # before numpy: it says what is missing
from common import FAINT, pyplot
import script

import numpy

Row = collections.namedtuple("Row", "label runs")
# A quantity of a table's column. `higher`: whether more is better; None: not known
Column = collections.namedtuple("Column", "task metric heading higher")
DELTA = Column("", "delta_m", "Delta_m, %", True)
TRAINING_LOSS = "training loss"
# Columns that are shown where --metrics names them: {name: what a heading calls it}
ON_REQUEST = {"sigma": "sigma", "calibration": "sigma / minimiser, held-out", "gradient_share": "share of the gradient, %"}
EXIT_LEFT_OUT = 3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--format", choices=FORMATS, help="by the ending of --output, else text")
    parser.add_argument("-o", "--output", type=script.output_file(tuple(ENDINGS)), metavar="FILE",
                        help=f"instead of standard output: {', '.join(ENDINGS)}")
    parser.add_argument("--picture", type=script.output_file(script.PICTURES), metavar="FILE",
                        help="curves of the losses and their differences: .png, .svg or .pdf")
    parser.add_argument("--by", type=lambda text: text.split(","), metavar="SECTION.KEY,...")
    parser.add_argument("--labels", type=lambda text: text.split(","), help="of the rows, separated by commas")
    parser.add_argument("--reference", metavar="LABEL", help="row that the others' differences are from (the first)")
    parser.add_argument("--metrics", type=lambda text: text.split(","), metavar="[TASK:]NAME,...", help="show these only")
    parser.add_argument("--sort", metavar="[TASK:]NAME", help="the best rows first, but for the reference")
    parser.add_argument("--lines", choices=("rows", "quantities"), help="of a table (what makes it narrower)")
    parser.add_argument("--delta", choices=("first", "all"), default="first", help="metrics of Delta_m (%(default)s)")
    parser.add_argument("--skip-unfinished", action="store_true", help="they are left out as expected: exit code 0")
    parser.add_argument("--smooth", type=script.whole_number, default=50, metavar="STEPS",
                        help="window of the picture's means, at most a tenth of a run (%(default)s)")
    options = parser.parse_args()
    options.format = options.format or ENDINGS[os.path.splitext(options.output)[1].lower() if options.output else ".txt"]
    return options


# ---- rows ----------------------------------------------------------------------------------------------------------

def finished(runs):
    """(those that are done, left out). A log without a status beside it counts as done."""
    late = [run for run in runs if run.status not in ("done", "")]
    why = lambda run: common.in_words(f"{common.in_words(run.status)} after step {run.step[-1]}", run.why)
    return [run for run in runs if run not in late], [common.LeftOut(run.path, why(run)) for run in late]


def a_run_each_seed(runs):
    """(runs, left out): of those of one configuration the longest ones, and one of each seed."""
    groups, kept, left_out = {}, [], []
    for run in runs:
        groups.setdefault(tuple(sorted(common.settings_of(run).items())), []).append(run)
    for members in groups.values():
        steps, seeds = max(run.step[-1] for run in members), {}
        for run in members:
            if run.step[-1] < steps:
                left_out.append(common.LeftOut(run.path, f"{run.step[-1]} steps, where others of its configuration have {steps}"))
            elif common.seed_of(run) in seeds:
                twin = seeds[common.seed_of(run)]
                left_out.append(common.LeftOut(run.path, f"same configuration and seed {common.seed_of(run)} as {twin.path}"))
            else:
                seeds[common.seed_of(run)] = run
                kept.append(run)
    return [run for run in runs if run in kept], left_out


def rows_by(runs, keys):
    """A row for each value of `keys`, whose runs may differ in nothing else."""
    groups = {}
    for run in runs:
        settings = common.settings_of(run)
        unknown = [key for key in keys if key not in settings]
        if unknown:
            if tuple(unknown[0].split(".")) in common.NO_DIFFERENCE:
                raise SystemExit(f"--by: {unknown[0]} makes no rows: runs that differ in it alone count as the same experiment")
            raise SystemExit(f"{run.path}: its configuration has no {unknown[0]}")
        groups.setdefault(tuple(settings[key] for key in keys), []).append(run)
    for members in groups.values():
        first = common.settings_of(members[0])
        for run in members[1:]:
            other = common.settings_of(run)
            apart = common.differences([first, other])
            if apart:
                raise SystemExit(f"{run.path} and {members[0].path} differ in {apart[0]} ({other.get(apart[0], 'none')} "
                                 f"and {first.get(apart[0], 'none')}): not averaged")
    return [Row(common.label_by(keys, dict(zip(keys, values))), members) for values, members in groups.items()]


def make_rows(runs, by=None, labels=None):
    """Of runs that a_run_each_seed() leaves."""
    rows = rows_by(runs, by) if by else [Row(*group) for group in common.group_by_settings(runs)]
    if labels and len(labels) != len(rows):
        raise SystemExit(f"--labels has {len(labels)} names for {len(rows)} rows: " + "; ".join(row.label for row in rows))
    rows = [Row(label, row.runs) for label, row in zip(labels or [row.label for row in rows], rows)]
    repeated = [row.label for row in rows if sum(other.label == row.label for other in rows) > 1]
    if repeated:
        raise SystemExit(f"two rows would be named '{repeated[0]}'")
    return rows


def with_reference_first(rows, label):
    if label is None:
        return rows
    found = [row for row in rows if row.label == label]
    if not found:
        raise SystemExit(f"--reference: no row '{label}', there are: " + "; ".join(row.label for row in rows))
    return found + [row for row in rows if row is not found[0]]


def sorted_rows(rows, columns, values, name):
    """The best by a quantity first, but for the reference, which stays the first of all."""
    (column, *others) = chosen(columns, [name], "--sort")
    if others:
        raise SystemExit(f"--sort: {name} is of several tasks: " + ", ".join(f"{one.task}:{name}" for one in (column, *others)))
    sign = -1 if column.higher else 1
    mean = lambda row: sign * numpy.mean(list(values.get((row.label, column), {0: numpy.inf * sign}).values()))
    return rows[:1] + sorted(rows[1:], key=mean)


# ---- quantities ----------------------------------------------------------------------------------------------------

def finals_of(run):
    """{(task, metric): value at the end}, the training loss first in each task."""
    last = max(1, len(run) // 10)
    metrics = run.last_metrics()
    finals = {}
    for name, task in run.tasks.items():
        finals[name, TRAINING_LOSS] = common.trailing_mean(task.loss, last)
        finals[name, "sigma"] = common.trailing_mean(task.sigma, last)
        finals[name, "calibration"] = common.trailing_mean(run.calibration(name, "ratio")[1], 1)
        finals[name, "gradient_share"] = 100 * common.trailing_mean(task.gradient_share, last)
        finals.update({key: value for key, value in metrics.items() if key[0] == name})
    return finals


def columns_of(rows):
    """What is compared. Training losses of another kind are no column, and only common.METRICS knows what is better."""
    runs = [run for row in rows for run in row.runs]
    columns = []
    for task in common.in_order(list(dict.fromkeys(name for run in runs for name in run.tasks))):
        holders = [run.tasks[task] for run in runs if task in run.tasks]
        metrics = {metric for run in runs for name, metric in run.last_metrics() if name == task}
        if len({holder.loss_scale for holder in holders}) == 1:
            columns.append(Column(task, TRAINING_LOSS, f"{task}: training loss", False))
        if len({holder.unit for holder in holders}) > 1:  # metres here, pixels there: only metrics that name theirs
            metrics = {metric for metric in metrics if "{unit}" not in common.metric_label(metric, "{unit}")}
        for metric in common.metrics_in_order(metrics):
            heading = f"{task}: {common.metric_label(metric, holders[0].unit)}"
            columns.append(Column(task, metric, heading, common.METRICS.get(metric, (None, None))[1]))
        columns += [Column(task, name, f"{task}: {words}", None) for name, words in ON_REQUEST.items()]
    return columns


def usual(columns):
    """Without those that have to be asked for."""
    return [column for column in columns if column.metric not in ON_REQUEST]


def chosen(columns, names, option):
    """The columns that names mean: "miou" or "depth:error_pixels"; "loss", "delta_m"."""
    called = lambda column: "loss" if column.metric == TRAINING_LOSS else column.metric
    found = {name: [column for column in columns if name in (called(column), f"{column.task}:{called(column)}")] for name in names}
    for name, these in found.items():
        if not these:
            known = list(dict.fromkeys(map(called, columns)))
            raise SystemExit(f"{option}: nothing is called {name}, but {', '.join(known)}")
    return [column for column in columns if any(column in these for these in found.values())]


def baseline_key(run, task):
    """What a run of `task` alone shares with the runs that it is the baseline of."""
    settings = common.settings_of(run)
    free = {"tasks", *(f"task.{task}.{key}" for key in ("weight", "likelihood", "log_variance"))}
    return tuple(sorted((key, value) for key, value in settings.items() if key not in free
                        and not key.startswith("weighting.")
                        and (not key.startswith("task.") or key.startswith(f"task.{task}."))))


def singles_of(rows):
    """{(task, baseline_key): rows of this task alone}; the first one's is the baseline."""
    found = {}
    for row in rows:
        tasks = list(row.runs[0].tasks)
        if len(tasks) == 1:
            found.setdefault((tasks[0], baseline_key(row.runs[0], tasks[0])), []).append(row)
    return found


def baselines_of(rows):
    """{(task, baseline_key): {metric: mean over the seeds of the runs of this task alone}}, of the metrics that all of them have"""
    means = {}
    for key, (row, *_) in singles_of(rows).items():
        task, finals = key[0], [run.last_metrics() for run in row.runs]
        means[key] = {metric: numpy.mean([one[task, metric] for one in finals])
                      for name, metric in finals[0] if all((name, metric) in one for one in finals)}
    return means


def lack_of(row, task, singles, baselines):
    """Why a task adds nothing to the row's Delta_m; "" where it does."""
    key = task, baseline_key(row.runs[0], task)
    if key in baselines:
        usable = {metric for metric, value in baselines[key].items() if metric in common.METRICS and value}
        measured = {metric for run in row.runs for name, metric in run.last_metrics() if name == task}
        return "" if usable & measured else f"no metric of {task} is measured in it and in '{singles[key][0].label}'"
    alone = [(dict(other), rows[0]) for (name, other), rows in singles.items() if name == task]
    if not alone:
        return f"no run of {task} alone is among these"
    own = dict(key[1])
    apart = lambda other: [name for name in dict.fromkeys([*own, *other]) if own.get(name) != other.get(name)]
    other, nearest = min(alone, key=lambda pair: len(apart(pair[0])))
    names = apart(other)
    return (f"'{nearest.label}' is {task} alone, but differs in {', '.join(names[:3])}"
            + (f" and {len(names) - 3} more" if len(names) > 3 else ""))


def delta_notes(rows):
    """Which rows of several tasks have no Delta_m and why; what else could have been a baseline."""
    singles, baselines, reasons = singles_of(rows), baselines_of(rows), {}
    several = [row for row in rows if len(row.runs[0].tasks) > 1]
    for row in several:
        why = tuple(filter(None, (lack_of(row, task, singles, baselines) for task in row.runs[0].tasks)))
        if why:
            reasons.setdefault(why, []).append(f"'{row.label}'")
    lone = lambda why: [words.split()[3] for words in why if words.startswith("no run of ")]
    said = lambda why: "; ".join([f"no run of {' or '.join(filter(None, (', '.join(lone(why)[:-1]), lone(why)[-1])))} alone is among these"
                                  for _ in lone(why)[:1]]
                                 + [words for words in why if not words.startswith("no run of ")])
    notes = [f"No Delta_m{'' if len(labels) == len(several) else ' of ' + ', '.join(labels)}: {said(why)}." for why, labels in reasons.items()]
    return notes + [f"Delta_m takes '{first.label}' as {task} alone, not " + ", ".join(f"'{row.label}'" for row in others) + "."
                    for (task, _), (first, *others) in singles.items() if others and several]


def delta_m(run, baselines, which="first"):
    """Relative gain over single-task runs, in %; NaN without a baseline of each task, or of a single task."""
    finals = run.last_metrics()
    gains = []
    for task in run.tasks:
        single = baselines.get((task, baseline_key(run, task)), {})
        metrics = [metric for metric in common.METRICS if (task, metric) in finals and single.get(metric)]
        relative = [(1 if common.METRICS[metric][1] else -1) * (finals[task, metric] - single[metric]) / single[metric]
                    for metric in metrics]
        relative = relative[:1] if which == "first" else relative
        gains.append(numpy.mean(relative) if relative else numpy.nan)
    return 100 * numpy.mean(gains) if len(gains) > 1 else numpy.nan


def values_of(rows, columns, delta="first"):
    """{(label, column): {seed: value}}, with DELTA where there are baselines"""
    baselines = baselines_of(rows)
    values = {}
    for row in rows:
        for run in row.runs:
            finals = {**finals_of(run), ("", "delta_m"): delta_m(run, baselines, delta)}
            for column in [*columns, DELTA]:
                value = finals.get((column.task, column.metric), numpy.nan)
                if numpy.isfinite(value):
                    values.setdefault((row.label, column), {})[common.seed_of(run)] = float(value)
    return values


def deviation(values):
    """Standard deviation of what the values are a sample of; NaN for a single one."""
    return numpy.std(values, ddof=1) if len(values) > 1 else numpy.nan


Difference = collections.namedtuple("Difference", "values exceeds")


def paired(reference, other):
    """Differences {seed: value} of two rows' values, over the seeds of both, and whether their mean exceeds what seeds do
    to the reference (None: of one seed nobody knows)."""
    values = [other[seed] - reference[seed] for seed in other if seed in reference]
    spread = deviation(list(reference.values()))
    exceeds = None if not values or not numpy.isfinite(spread) else bool(abs(numpy.mean(values)) > spread)
    return Difference(values, exceeds)


# ---- tables --------------------------------------------------------------------------------------------------------

def number_format(samples):
    """Shows two digits of the least standard deviation."""
    deviations = [value for value in map(deviation, samples) if numpy.isfinite(value) and value > 0]
    largest = max((abs(value) for sample in samples for value in sample), default=1) or 1
    decimals = 1 - int(numpy.floor(numpy.log10(min(deviations)))) if deviations else 3 - int(numpy.log10(largest))
    return f".{max(decimals, 0)}f" if decimals <= 6 else ".3g"


def spread_text(values, form, sign=""):
    if not values:
        return "-"
    return f"{numpy.mean(values):{sign}{form}}" + (f" ± {deviation(values):{form}}" if len(values) > 1 else "")


Table = collections.namedtuple("Table", "corner headings names cells best")
Table.__doc__ = "cells[i][j] of names[i] under headings[j]; best: the (i, j) that are each column's best."


def tables_of(rows, columns, values):
    """The rows' values, and their differences from the first row."""
    shown = [column for column in columns if any((row.label, column) in values for row in rows)]
    samples = {column: [list(values.get((row.label, column), {}).values()) for row in rows] for column in shown}
    forms = {column: number_format(samples[column]) for column in shown}
    best = set()
    for j, column in enumerate(shown):
        means = [(numpy.mean(sample) * (1 if column.higher else -1), i) for i, sample in enumerate(samples[column]) if sample]
        if column.higher is not None and len(means) > 1:
            best.add((max(means)[1], j + 1))
    headings = [column.heading for column in shown]
    cells = [[str(len(row.runs)), *(spread_text(samples[column][i], forms[column]) for column in shown)]
             for i, row in enumerate(rows)]
    tables = [Table("", ["seeds", *headings], [row.label for row in rows], cells, best)]
    if len(rows) > 1:
        cells = [[difference_text(paired(values.get((rows[0].label, column), {}), values.get((row.label, column), {})),
                                  forms[column]) for column in shown] for row in rows[1:]]
        tables.append(Table(f"difference from {rows[0].label}", headings, [row.label for row in rows[1:]], cells, set()))
    return tables


def difference_text(difference, form):
    return spread_text(difference.values, form, "+") + (" *" if difference.exceeds else "")


def transposed(table):
    return Table(table.corner, table.names, table.headings, [list(cells) for cells in zip(*table.cells)],
                 {(j, i) for i, j in table.best})


def notes_of(rows, values, left_out=()):
    notes = ["Mean ± standard deviation over seeds, at the end of training."]
    if len(rows) > 1:
        notes.append("Differences are of pairs with the same seed; * more than seeds alone do to the first row.")
    if any(column == DELTA for _, column in values):
        notes.append("Delta_m: mean relative gain over single-task runs, positive is better.")
    settings = [common.settings_of(row.runs[0]) for row in rows]
    keys = common.differences(settings)
    others = [key for key in keys if key not in common.telling_keys(keys, settings)]
    if others:
        notes.append("Rows differ also in " + ", ".join(others) + ".")
    data = {run.config.get("data", {}).get("validation") or run.config.get("data", {}).get("train", "")
            for row in rows for run in row.runs}
    if len(data) > 1:
        notes.append("Measured on different data: " + ", ".join(sorted(data)) + ".")
    return notes + delta_notes(rows) + [f"Left out: {path}: {why}." for path, why in left_out]


def as_text(tables, notes):
    lines = []
    for table in tables:
        grid = [[table.corner, *table.headings], *([name, *cells] for name, cells in zip(table.names, table.cells))]
        widths = [max(map(len, column)) for column in zip(*grid)]
        lines += ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                            for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in grid] + [""]
    return "\n".join([*lines, *notes, ""])


def as_markdown(tables, notes):
    lines = []
    escaped = lambda text: text.replace("|", "\\|")
    for table in tables:
        lines.append("| " + " | ".join(map(escaped, [table.corner, *table.headings])) + " |")
        lines.append("|---" * (1 + len(table.headings)) + "|")
        for i, (name, cells) in enumerate(zip(table.names, table.cells)):
            marked = [f"**{cell}**" if (i, j) in table.best else cell.replace("*", "\\*") for j, cell in enumerate(cells)]
            lines.append("| " + " | ".join([escaped(name), *marked]) + " |")
        lines.append("")
    return "\n".join([*lines, *(note.replace("*", "\\*") for note in notes), ""])


def as_latex(tables, notes):
    """Tabulars with the rules of the package booktabs."""
    special = {"\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{",
               "}": r"\}", "^": r"\^{}", "~": r"\~{}", "±": r"$\pm$", "²": "$^2$", "³": "$^3$"}
    escaped = lambda text: "".join(special.get(letter, letter) for letter in text).replace("Delta\\_m", r"$\Delta_m$")
    number = lambda text: escaped(text.replace("-", "\u2212")).replace("\u2212", "$-$").replace(" *", "$^*$")
    lines = [f"% {note}" for note in notes] + ["% needs \\usepackage{booktabs}"]
    for table in tables:
        lines += [r"\begin{tabular}{l" + "r" * len(table.headings) + "}", r"\toprule",
                  " & ".join(map(escaped, [table.corner, *table.headings])) + r" \\", r"\midrule"]
        for i, (name, cells) in enumerate(zip(table.names, table.cells)):
            marked = [rf"\textbf{{{number(cell)}}}" if (i, j) in table.best else number(cell)
                      for j, cell in enumerate(cells)]
            lines.append(" & ".join([escaped(name), *marked]) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join(lines)


def as_csv(rows, columns, values):
    """A line for each number's mean and deviation, unrounded; empty where there is none."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow("row task metric seeds mean std difference_from pairs difference_mean difference_std".split())
    plain = lambda value: "" if not numpy.isfinite(value) else repr(float(value))
    for row in rows:
        for column in columns:
            sample = values.get((row.label, column), {})
            if not sample:
                continue
            pairs = [] if row is rows[0] else paired(values.get((rows[0].label, column), {}), sample).values
            writer.writerow([row.label, column.task, column.metric, len(sample), plain(numpy.mean(list(sample.values()))),
                             plain(deviation(list(sample.values()))), rows[0].label if pairs else "", len(pairs) or "",
                             plain(numpy.mean(pairs)) if pairs else "", plain(deviation(pairs))])
    return stream.getvalue()


FORMATS = {"text": as_text, "markdown": as_markdown, "latex": as_latex, "csv": as_csv}
ENDINGS = {".txt": "text", ".md": "markdown", ".tex": "latex", ".csv": "csv"}


def report(rows, form, lines=None, delta="first", metrics=None, sort=None, left_out=()):
    """The comparison as text in one of FORMATS. \\param lines  "rows", "quantities", or None for what is narrower"""
    columns = columns_of(rows)
    values = values_of(rows, columns, delta)
    if sort:
        rows = sorted_rows(rows, [*columns, DELTA], values, sort)
    shown = chosen([*columns, DELTA], metrics, "--metrics") if metrics else [*usual(columns), DELTA]
    if metrics and not any((row.label, column) in values for row in rows for column in shown):
        lacks_delta = delta_notes(rows) or ["Delta_m is of runs of several tasks, and of each task alone."]
        raise SystemExit(f"--metrics: no row has {' or '.join(metrics)}" + (f": {' '.join(lacks_delta)}" if DELTA in shown else ""))
    if form == "csv":
        return as_csv(rows, shown, values)
    tables = tables_of(rows, shown, values)
    ways = {"rows": tables, "quantities": [transposed(table) for table in tables]}
    width = lambda one: max(map(len, as_text(ways[one], []).splitlines()))
    widest = {one: width(one) if form == "text" else len(ways[one][0].headings) for one in ways}
    return FORMATS[form](ways[lines or min(widest, key=widest.get)], notes_of(rows, values, left_out))


# ---- picture -------------------------------------------------------------------------------------------------------

def label_ends(axes, labels):
    """Writes (text, colour, y) beside the right end of the curves, at least `gap` of the axes' height apart where it has room."""
    gap = min(0.085, 1 / len(labels))
    axes.autoscale_view()
    to_axes = axes.transScale + axes.transLimits
    heights = numpy.clip([to_axes.transform((0, y))[1] for _, _, y in labels], 0, 1)
    order = numpy.argsort(heights)
    steps = gap * numpy.arange(len(order))
    placed = numpy.maximum.accumulate(heights[order] - steps) + steps
    placed -= max(0, numpy.mean(placed - heights[order]))
    placed = numpy.clip(placed - steps, 0, 1 - steps[-1]) + steps
    for index, height in zip(order, placed):
        text, colour, _ = labels[index]
        axes.annotate(text, (1.01, height), xycoords="axes fraction", color=colour, va="center", fontsize=8,
                      fontweight="bold", annotation_clip=False)


def draw_curves(axes, curves, colours, widths):
    """curves {label: (steps, lines)}: thin lines seeds, thick ones their mean, which is also returned as labels."""
    labels = []
    for (name, (steps, lines)), width in zip(curves.items(), widths):
        mean = numpy.mean(lines, axis=0)
        for line in lines:
            axes.plot(steps, line, color=colours[name], linewidth=0.6, alpha=0.5)
        axes.plot(steps, mean, color=colours[name], linewidth=width)
        labels.append((name, colours[name], mean[-1]))
    return labels


def draw_losses(axes, curves, colours):
    widths = numpy.linspace(5, 1, len(curves)) if len(curves) > 1 else [1.8]  # later ones do not hide what lies below
    labels = draw_curves(axes, curves, colours, widths)
    common.log_scale(axes)
    label_ends(axes, labels)


def draw_differences(axes, curves, colours, rows):
    """In % of the reference's mean, of the pairs of seeds."""
    (reference, (steps, base)), *others = curves.items()
    seeds = {row.label: [common.seed_of(run) for run in row.runs] for row in rows}
    level = numpy.mean(base, axis=0)
    labels = [(reference, colours[reference], 0)]
    if len(base) > 1:
        band = 100 * numpy.std(base, axis=0, ddof=1) / numpy.abs(level)
        axes.fill_between(steps, -band, band, color="#e3e5e9", linewidth=0)
        labels.append(("± seeds", FAINT, band[-1]))
    axes.axhline(0, color=colours[reference], linewidth=1.2)
    differences = {}
    for name, (other_steps, lines) in others:
        pairs = [(line, base[seeds[reference].index(seed)]) for line, seed in zip(lines, seeds[name])
                 if seed in seeds[reference] and numpy.array_equal(other_steps, steps)]
        if pairs:
            differences[name] = steps, [100 * (line - other) / level for line, other in pairs]
    label_ends(axes, labels + draw_curves(axes, differences, colours, [1.8] * len(differences)))


def draw(rows, window, output):
    columns = [column for column in columns_of(rows) if column.metric == TRAINING_LOSS]
    if not columns:
        raise SystemExit(f"{output}: no task's training losses are of one kind in these runs")
    window = max(1, min(window, min(len(run) for row in rows for run in row.runs) // 10))
    colours = dict(zip((row.label for row in rows), common.colours(len(rows))))
    common.set_style()
    height = max(5.4, 1 + 0.28 * (len(rows) + 1))  # of two panels with room for a line a row
    width = max(3.7, 2.4 + 0.075 * max(len(row.label) for row in rows))
    figure, grid = pyplot.subplots(2, len(columns), figsize=(width * len(columns), height), squeeze=False, sharex=True,
                                   layout="constrained")
    for column, (above, below) in zip(columns, grid.T):
        holders = [row for row in rows if column.task in row.runs[0].tasks]
        curves = {row.label: (row.runs[0].step, [common.smooth(run.tasks[column.task].loss, window) for run in row.runs])
                  for row in holders}
        unit = holders[0].runs[0].tasks[column.task].unit
        draw_losses(above, curves, colours)
        draw_differences(below, curves, colours, holders)
        above.set(title=column.task, ylabel=f"training loss, {unit}" if unit else "training loss")
        below.set_xlabel("step")
    grid[1, 0].set_ylabel(f"difference from {rows[0].label},\nsame seed, %")
    figure.suptitle(f"Means of {window} steps; thin lines: seeds, thick lines: their mean; grey: ± the standard "
                    f"deviation of {rows[0].label} over its {len(rows[0].runs)} seeds", fontsize=8.5, x=0.01, ha="left")
    common.save(figure, output)


def main():
    options = arguments()
    runs, unreadable = common.open_each(options.runs)
    done, unfinished = finished(runs)
    runs, spare = a_run_each_seed(done)
    left_out = [*unreadable, *unfinished, *spare]
    if not runs:
        raise SystemExit("no finished run:\n" + "\n".join(f"  {path}: {why}" for path, why in left_out))
    rows = with_reference_first(make_rows(runs, options.by, options.labels), options.reference)
    content = report(rows, options.format, options.lines, options.delta, options.metrics, options.sort, left_out)
    if options.output:
        common.write_text(options.output, content)
    else:
        print(content, end="")
    if options.output or options.format == "csv":
        for path, why in left_out:
            print(f"left out: {path}: {why}", file=sys.stderr)
    if options.picture:
        draw(rows, options.smooth, options.picture)
    if [*unreadable, *spare, *([] if options.skip_unfinished else unfinished)]:
        sys.exit(EXIT_LEFT_OUT)


if __name__ == "__main__":
    script.run(main)
