#!/usr/bin/env python3
"""Writes one HTML page about one or more runs that needs nothing but a browser: no other file, no network.

    analysis/report.py RUN... [-o report.html] [--labels a,b] [--x step|epoch|hours] [--smooth 50]
        [--predictions PRED.h5]... [--evaluation EVAL.json]... [--library FOLDER] [--program SIGMATIC]

RUN is run.h5, the folder of a run, or a folder with runs. The page has how far each run came, warnings of what often goes
wrong, its metrics, what each sigma is and how it stands to held-out data, each task's share of the gradient and the cosines
between the tasks' gradients (of runs with weighting.diagnose_interval), curves that can be zoomed (drag: zoom, shift and drag:
move, double click: back; all move together) and hidden run by run, with several
runs the table of compare.py, where the time of a step goes, how far apart ranks are, the environment and the configuration.
Of more than 2000 steps a curve shows means (of n runs, of more than 2000 / n, but 300). Works on a run that is going on.

The warnings are those of `sigmatic show`: --program names the program, else it is $SIGMATIC, that of this folder's build or
installation, or found in $PATH.

The table of classes is of `sigmatic eval CHECKPOINT --json >FILE`, the pictures of `sigmatic eval CHECKPOINT
--predictions FILE`: they are taken from eval.json and predictions.h5 in a run's folder, or as given.

Curves are drawn by dygraphs (http://dygraphs.com, MIT licence), which goes into the page: Debian's libjs-dygraphs, or
`dygraphs` of PyPI; --library names a folder that holds dygraph.min.js.
"""

import argparse
import base64
import collections
import datetime
import html
import importlib.util
import io
import json
import os
import shutil
import subprocess

import common  # before numpy: it says what is missing
import compare
import plot_sigma
import show_predictions
import script

import numpy

MOST_POINTS, LEAST_POINTS = 2000, 300  # of a curve; of many runs fewer
MOST_PAIRS = 6  # of tasks, with a chart of their gradients' cosines; the table has all
MINIMISER, HELD_OUT = "minimiser at the training loss", "minimiser at the loss on held-out data"
FEW = 3  # runs that stand side by side in a table; more are its lines
TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "report.html")


# ---- HTML ------------------------------------------------------------------------------------------------------------

def table(headings, rows, text_columns=()):
    """Cells are text. \\param text_columns  those that stand at the left"""
    cell = lambda i, content: f"<td{' class=text' if i in text_columns else ''}>{html.escape(str(content))}</td>"
    head = "".join(f"<th{' class=text' if i in text_columns else ''}>{html.escape(heading)}</th>" for i, heading in enumerate(headings))
    body = "".join("<tr>" + "".join(cell(i, content) for i, content in enumerate(row)) + "</tr>" for row in rows)
    return f"<div class=scroll><table><tr>{head}</tr>{body}</table></div>"


def section(title, *parts):
    return f"<h2>{html.escape(title)}</h2>" + "".join(parts)


def note(words):
    return f"<p class=faint>{html.escape(words)}</p>"


def number(value, digits=4):
    return "-" if value is None or not numpy.isfinite(value) else f"{value:.{digits}g}"


def percent(part, whole):
    return "-" if not whole or not numpy.isfinite(part / whole) else f"{100 * part / whole:.1f} %"


# ---- curves ----------------------------------------------------------------------------------------------------------

def thinned(x, y, most):
    """At most so many of them: means of as many rows each."""
    size = -(-len(x) // most)
    if size <= 1:
        return x, y
    starts = numpy.arange(0, len(x), size)
    valid = numpy.isfinite(y)
    counts = numpy.add.reduceat(valid.astype(float), starts)
    sums = numpy.add.reduceat(numpy.where(valid, y, 0), starts)
    return (numpy.add.reduceat(x.astype(float), starts) / numpy.diff(numpy.append(starts, len(x))),
            numpy.where(counts > 0, sums / numpy.maximum(counts, 1), numpy.nan))


# Of a chart; `run`: its place among the runs
# (`dashed`, `points`: how it is drawn; `words`: what it is beside its run, if not what the chart is of)
Line = collections.namedtuple("Line", "run x y dashed points words", defaults=(False, False, ""))


def chart(group, title, unit, axis, lines, log=False, points=False):
    """A chart of Lines, as report.html draws it; None where no value is finite."""
    lines = [line for line in lines if len(line.x) and numpy.isfinite(line.y).any()]
    if not lines:
        return None
    x = numpy.unique(numpy.concatenate([line.x for line in lines]))
    series = []
    for line in lines:
        y = numpy.full(len(x), numpy.nan)
        y[numpy.searchsorted(x, line.x)] = line.y
        plain = [float(f"{value:.6g}") if numpy.isfinite(value) and (value > 0 or not log) else None for value in y]
        series.append({"run": line.run, "y": plain, "dashed": line.dashed, "points": points or line.points, "words": line.words})
    return {"group": group, "title": title, "unit": unit, "axis": axis, "log": log, "series": series,
            "x": [float(f"{value:.8g}") for value in x]}


def charts_of(runs, axis, window):
    most = max(LEAST_POINTS, MOST_POINTS // len(runs))
    line = lambda run, y, dashed=False, words="": Line(runs.index(run), *thinned(run.axis(axis), y, most), dashed, False, words)
    held_out = lambda run, name, what: Line(runs.index(run), *plot_sigma.held_out(run, name, what, axis), points=True,
                                           words="at the loss on held-out data" if what == "ratio" else HELD_OUT)
    measured = lambda run, y: Line(runs.index(run), *thinned(run.axis(axis)[numpy.isfinite(y)], y[numpy.isfinite(y)], most))
    smooth = lambda y: common.smooth(y, window)
    charts = [chart("all tasks", "total loss", "below 0 is normal where log sigma is part of it", axis,
                    [line(run, smooth(run.steps["loss"])) for run in runs])]
    ways = plot_sigma.ways_of(runs)
    for way, holders in ways.items():
        name, title = way.task, plot_sigma.title_of(way, ways)
        unit = holders[0].tasks[name].unit
        learned = [run for run in holders if plot_sigma.learns(run, name)]
        best = {run: plot_sigma.minimiser(run, name, window) for run in learned}
        calibrated = [run for run in learned if numpy.isfinite(run.calibration(name, "ratio")[1]).any()]
        ratios = [line(run, run.tasks[name].sigma / best[run]) for run in calibrated] + [held_out(run, name, "ratio") for run in calibrated]
        charts += [
            chart(title, "sigma", way.sigma_is, axis, [line(run, run.tasks[name].sigma) for run in learned]
                  + [line(run, best[run], True, MINIMISER) for run in learned]
                  + [held_out(run, name, "residual_scale") for run in calibrated], log=True),
            chart(title, plot_sigma.RATIO, "1: calibrated, below: too sure", axis, ratios, log=True),
            chart(title, "s", "log of the loss's scale", axis,
                  [line(run, run.tasks[name].log_variance) for run in holders if plot_sigma.learns_scale(run, name)]),
            chart(title, "loss", holders[0].tasks[name].loss_unit, axis, [line(run, smooth(run.tasks[name].loss)) for run in holders]),
            chart(title, "weight", "of the task's gradient", axis, [line(run, run.tasks[name].weight) for run in holders], log=True),
            chart(title, plot_sigma.SHARE, "", axis,
                  [measured(run, 100 * run.tasks[name].gradient_share) for run in holders], log=True)]
        for metric in common.metrics_in_order({metric for run in holders for task, metric in run.last_metrics() if task == name}):
            lines = [Line(runs.index(run), *plot_sigma.evaluated(run, name, metric, axis)) for run in holders]
            charts.append(chart(title, common.metric_label(metric, unit), "", axis, lines, points=True))
    pairs = list(dict.fromkeys(pair for run in runs for pair in run.cosines))
    for task, other in pairs if len(pairs) <= MOST_PAIRS else []:
        charts.append(chart("cosines between the tasks' gradients", f"{task} and {other}", "below 0: they pull against each other", axis,
                            [measured(run, run.cosines[task, other]) for run in runs if (task, other) in run.cosines]))
    for column, label in (("learning_rate", "learning rate"), ("gradient_norm", "norm of the gradient"), ("images_per_second", f"{common.samples_of(runs)} a second")):
        charts.append(chart("training", label, "", axis, [line(run, run.steps[column]) for run in runs], log=column == "gradient_norm"))
    for column, label in (("data_wait_seconds_max", "most wait for data"), ("communication_wait_seconds_max", "most wait for other ranks")):
        lines = [line(run, smooth(run.timing[column])) for run in runs if column in run.timing]
        charts.append(chart("training", label, "seconds a step", axis, lines))
    return [one for one in charts if one]


def chart_boxes(charts):
    """A group a task."""
    box = ('<div class=chart id=chart-{}><button type=button>whole</button><h4>{} <span class=faint>{}</span></h4><div class=plot></div>'
           '<div class="values faint"></div></div>')
    groups = {}
    for i, one in enumerate(charts):
        groups.setdefault(one["group"], []).append(box.format(i, html.escape(one["title"]), html.escape(one["unit"])))
    return "".join(f"<h3>{html.escape(group)}</h3><div class=charts>{''.join(boxes)}</div>" for group, boxes in groups.items())


def key_of(runs, colours):
    """Which colour is whose; several can be hidden, in all charts."""
    several = len(runs) > 1
    hide = '<input type=checkbox checked data-run="{}">' if several else ""
    items = "".join(f'<label>{hide.format(i)}<i style="background:{colour}"></i>{html.escape(run.label)}</label>'
                    for i, (run, colour) in enumerate(zip(runs, colours)))
    all_or_none = '<span><button type=button data-all=1>all</button> <button type=button data-all="">none</button></span>'
    return f"<div class=key id=key>{all_or_none if len(runs) > FEW else ''}{items}</div>"


# ---- sections --------------------------------------------------------------------------------------------------------

def runs_section(runs):
    rows = []
    for run in runs:
        skipped = int((run.steps["applied"] == 0).sum()) if "applied" in run.steps else 0
        status = common.in_words(run.status, run.why) or "-"
        rows.append([run.label, status, run.step[-1], number(run.axis("epoch")[-1]), common.duration(run.steps["seconds"][-1]),
                     number(common.trailing_mean(run.steps["images_per_second"], 50)), skipped, run.attributes.get("world_size", "-"),
                     run.attributes.get("threads", "-"), run.attributes.get("weighting", "-"), run.path])
    headings = f"run;status;steps;epochs;time;{common.samples_of(runs)}/s;steps skipped;ranks;threads;weighting;file".split(";")
    return section("Runs", table(headings, rows, (1, 9, 10)))


def metrics_by_run(runs, split):
    """Of many runs: a line each, of every metric the last value and in brackets the best one."""
    finals, bests = [], []
    for run in runs:
        values = {(task, metric): values for task, metrics in run.evaluations.get(split, common.Evaluation([], {})).metrics.items()
                  for metric, values in metrics.items()}
        finals.append({key: one[-1] for key, one in values.items()})
        bests.append({key: (numpy.nanmax if higher else numpy.nanmin)(one) for key, one in values.items()
                      for higher in [common.METRICS.get(key[1], (None, None))[1]] if higher is not None})
    tasks = common.in_order(list(dict.fromkeys(task for one in finals for task, _ in one)))
    keys = [(task, metric) for task in tasks for metric in common.metrics_in_order({key[1] for one in finals for key in one if key[0] == task})]
    unit = lambda key: next(run.tasks[key[0]].unit for run, one in zip(runs, finals) if key in one)
    cell = lambda last, best, key: number(last[key]) + (f" ({number(best[key])})" if key in best else "") if key in last else "-"
    return table(["run", *(f"{key[0]}: {common.metric_label(key[1], unit(key))}" for key in keys)],
                 [[run.label, *(cell(last, best, key) for key in keys)] for run, last, best in zip(runs, finals, bests)])


def metrics_section(runs):
    """The last value, and the best with its step."""
    parts = []
    tasks = common.in_order(list(dict.fromkeys(name for run in runs for name in run.tasks)))
    splits = dict.fromkeys(split for run in runs for split in run.evaluations)
    for split in splits:
        if len(runs) > FEW:
            parts += [f"<h3>{html.escape(split)}</h3>", note("The last value, in brackets the best of the run."), metrics_by_run(runs, split)]
            continue
        rows = []
        for run in runs:
            evaluation = run.evaluations.get(split, common.Evaluation([], {}))
            for task, metrics in evaluation.metrics.items():
                for metric, values in metrics.items():
                    higher = common.METRICS.get(metric, (None, None))[1]
                    best = None if higher is None else (numpy.nanargmax if higher else numpy.nanargmin)(values)
                    rows.append([task, common.metric_label(metric, run.tasks[task].unit), run.label, number(values[-1]),
                                 *(("-", "-") if best is None else (number(values[best]), evaluation.step[best])),
                                 "" if higher is None else "higher is better" if higher else "lower is better"])
        order = list(dict.fromkeys((row[0], row[1]) for row in sorted(rows, key=lambda row: tasks.index(row[0]))))
        rows.sort(key=lambda row: order.index((row[0], row[1])))
        parts += [f"<h3>{html.escape(split)}</h3>",
                  table(["task", "metric", "run", "last", "best", "at step", ""], rows, (1, 2, 6)) if rows else note("not evaluated yet")]
    return section("Metrics", *(parts or [note("This training evaluates nothing.")]))


def program_of(given=None):
    """The program whose `show` says what to warn of; None where there is none."""
    here = os.path.dirname(os.path.abspath(__file__))
    beside = [os.path.join(here, *way) for way in (("..", "build", "current", "sigmatic"), ("..", "..", "..", "bin", "sigmatic"))]
    return next((found for one in ([given] if given else [os.environ.get("SIGMATIC"), *beside, "sigmatic"])
                 for found in [one and shutil.which(one)] if found), None)


def warnings_of(run, program):
    """[{trap, task, severity, text}] of `sigmatic show`; None where it says nothing of this kind."""
    try:
        said = subprocess.run([program, "show", run.path, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120, check=True).stdout
        found = json.loads(said).get("warnings")
        return [one for one in found if isinstance(one, dict) and "text" in one] if isinstance(found, list) else None
    except (OSError, ValueError, AttributeError, subprocess.SubprocessError):
        return None


def warnings_section(runs, given=None):
    program = program_of(given)
    if not program:
        return section("Warnings", note(f"Not known: no program {given or 'sigmatic'} here. sigmatic show RUN says them."))
    found = [(run, warnings_of(run, program)) for run in runs]
    if all(warnings is None for _, warnings in found):
        return section("Warnings", note(f"Not known: {program} show says nothing of them."))
    whose = {}
    for run, warnings in found:
        for one in warnings or []:
            whose.setdefault((one.get("severity") == "note", one["text"]), []).append(run.label)
    of = lambda labels: f"<b>{html.escape(', '.join(labels))}</b>: " if len(runs) > 1 else ""
    items = "".join(f"<li{' class=faint' if is_note else ''}>{of(labels)}{html.escape(words)}</li>"
                    for (is_note, words), labels in sorted(whose.items(), key=lambda item: item[0][0]))
    silent = [run.label for run, warnings in found if warnings is None]
    return section("Warnings", f"<ul>{items}</ul>" if items else note("None."), note("Not known of " + ", ".join(silent) + ".") if silent else "")


def sigma_section(runs, window):
    """What each sigma is, and how it stands to the losses."""
    rows = []
    for run in runs:
        last = max(1, len(run) // 10)
        for name, task in run.tasks.items():
            best, ratio = plot_sigma.lag(run, name, window) if plot_sigma.learns(run, name) else (numpy.nan, numpy.nan)
            beside = [plot_sigma.last_of(run.calibration(name, what)[1]) for what in ("residual_scale", "ratio")]
            what = task.sigma_is or ("s is the log of a scale of the loss" if plot_sigma.learns_scale(run, name) else "none is learned")
            rows.append([name, run.label, task.likelihood or "-", what,
                         *map(number, (plot_sigma.last_of(task.sigma), best, ratio, *beside, plot_sigma.last_of(task.weight))),
                         percent(common.trailing_mean(task.gradient_share, last), 1)])
    order = common.in_order(list(dict.fromkeys(row[0] for row in rows)))
    rows.sort(key=lambda row: order.index(row[0]))
    headings = ["task", "run", "likelihood", "what sigma is", "sigma", "minimiser", "ratio", "held-out", "ratio", "weight", "share of gradient"]
    kept = [i for i, _ in enumerate(headings) if i < 4 or any(row[i] != "-" for row in rows)]
    words = ["At the end. Minimiser: the sigma that minimises the objective at the training loss; the ratio of sigma to it is far from 1 where "
             "sigma lags behind. "]
    if any(map(plot_sigma.is_calibrated, runs)):
        words.append("Held-out: the same at the loss on data that it was not trained on, which is the scale of the residuals there; a ratio "
                     "below 1 says that sigma is surer than these allow. ")
    words.append("The weight is the factor of the task's loss in what the network descends. A total loss below 0 is normal: log sigma is part of it.")
    return section("Sigma", table([headings[i] for i in kept], [[row[i] for i in kept] for row in rows], (1, 2, 3)), note("".join(words)),
                   *cosine_tables(runs))


def cosine_tables(runs):
    """Of each run that measured them, coloured."""
    parts = []
    for run in runs:
        if not run.cosines:
            continue
        names, cell = list(run.tasks), lambda cosine: "-" if not numpy.isfinite(cosine) else f"{cosine:+.2f}"
        colour = lambda cosine: "" if not numpy.isfinite(cosine) else (
            f' style="background:{"rgba(213,94,0" if cosine < 0 else "rgba(0,114,178"},{0.5 * min(abs(cosine), 1):.2f})"')
        lines = "".join(f"<tr><td>{html.escape(name)}</td>" + "".join(
            "<td></td>" if i == j else f"<td{colour(cosine)}>{cell(cosine)}</td>" for j, cosine in enumerate(row)) + "</tr>"
            for i, (name, row) in enumerate(zip(names, run.last_cosines())))
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ["", *names])
        parts.append(f"<h3>{html.escape(f'cosines between the gradients of the tasks, {run.label}')}</h3>"
                     f"<div class=scroll><table class=cosines><tr>{head}</tr>{lines}</table></div>")
    return [*parts, note("At the shared representation, of the losses without their weights; means of the last tenth of those measured. Below 0 "
                         "two tasks pull against each other: a step that one gains by costs the other.")] if parts else []


def comparison_section(runs):
    """Of several runs: as compare.py makes it, or why not."""
    try:
        done, unfinished = compare.finished(runs)
        kept, spare = compare.a_run_each_seed(done)
        if not kept:
            raise SystemExit("no run is finished")
        rows = compare.make_rows(kept)
        columns = [*compare.usual(compare.columns_of(rows)), compare.DELTA]
        values = compare.values_of(rows, columns)
        tables = compare.tables_of(rows, columns, values)
        if len(rows) <= FEW:
            tables = [compare.transposed(one) for one in tables]
        parts = [table([one.corner, *one.headings], [[name, *cells] for name, cells in zip(one.names, one.cells)]) for one in tables]
        return section("Comparison", *parts, *map(note, compare.notes_of(rows, values, [*unfinished, *spare])))
    except SystemExit as why:
        return section("Comparison", note(f"None: {why}"))


def classes_section(runs, files):
    parts = []
    for label, path in files:
        try:
            with open(path, encoding="utf-8") as file:
                evaluation = json.load(file)
            for task, classes in evaluation.get("classes", {}).items():
                metrics = list(dict.fromkeys(metric for values in classes.values() for metric in values))
                rows = [[name, *(number(values.get(metric)) for metric in metrics)] for name, values in classes.items()]
                parts += [f"<h3>{html.escape(f'{task}, {label}')}</h3>", table(["class", *(f"{metric}, %" for metric in metrics)], rows)]
        except OSError as error:
            raise SystemExit(f"{path}: {error.strerror.lower()}; expected what sigmatic eval --json prints")
        except (ValueError, AttributeError, TypeError) as error:
            raise SystemExit(f"{path}: not what sigmatic eval --json prints ({error})")
    return section("Classes", *(parts or [note("No table: sigmatic eval CHECKPOINT --json >RUN/eval.json makes one.")]))


def predictions_section(files):
    parts = []
    for label, path in files:
        figure = show_predictions.figure_of([show_predictions.load(path)], [label])
        parts += [f"<h3>{html.escape(label)}</h3>", picture(figure, f"predictions of {label}")]
    return section("Predictions", *(parts or [note("None: sigmatic eval CHECKPOINT --predictions RUN/predictions.h5 makes them.")]))


def picture(figure, words):
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    common.pyplot.close(figure)
    return f'<img alt="{html.escape(words)}" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}">'


SHARES = tuple(zip(("computing", "waiting for data", "waiting for other ranks"), (common.COLOURS[i] for i in (0, 4, 1))))


def shares_of(run):
    """Seconds of a step by SHARES, of the rank in the middle, means over the steps."""
    step = numpy.nanmean(run.timing["step_seconds"])
    data, others = (numpy.nanmean(run.timing[f"{kind}_wait_seconds_median"]) for kind in ("data", "communication"))
    return step - data - others, data, others


def time_section(runs):
    parts = ["<p class=key>" + "".join(f'<span><i style="background:{colour}"></i>{name}</span>' for name, colour in SHARES) + "</p>"]
    rows = []
    for run in runs:
        if not run.timing:
            continue
        shares = shares_of(run)
        step = sum(shares)
        parts.append(f"<div class=share><span>{html.escape(run.label)}</span><div class=bar>" + "".join(
            f'<div title="{name}" style="width:{100 * max(share, 0) / step:.2f}%;background:{colour}"></div>'
            for (name, colour), share in zip(SHARES, shares)) + "</div></div>")
        rows.append([run.label, f"{step:.4g} s", *(percent(share, step) for share in shares)])
    if not rows:
        return section("Where the time goes", note("These logs have no times."))
    return section("Where the time goes", *parts, table(["run", "step", *(name for name, _ in SHARES)], rows),
                   note("Of a step, of the rank in the middle; computing includes all that is no waiting."))


def stragglers_of(run, count=5):
    """(lag, steps): of each step how much longer the rank that waits most waits than the one that waits least, which is
    the one that the others wait for; and the steps where that is most."""
    lag = run.timing["communication_wait_seconds_max"] - run.timing["communication_wait_seconds_min"]
    order = numpy.argsort(-numpy.nan_to_num(lag, nan=-1))
    return lag, [i for i in order[:count] if lag[i] > 0]


def stragglers_section(runs):
    rows, worst = [], []
    for run in runs:
        if run.timing and int(run.attributes.get("world_size", 1)) > 1:
            lag, steps = stragglers_of(run)
            seconds = run.timing["step_seconds"]
            rows.append([run.label, percent(numpy.nanmean(lag), numpy.nanmean(seconds)), f"{numpy.nanpercentile(lag, 99):.3g} s",
                         percent(numpy.nanmean(run.timing["data_wait_seconds_max"] - run.timing["data_wait_seconds_median"]), numpy.nanmean(seconds))])
            worst += [[run.label, run.step[i], f"{lag[i]:.3g} s", percent(lag[i], seconds[i]), f"{run.timing['data_wait_seconds_max'][i]:.3g} s"] for i in steps]
    if not rows:
        return section("Stragglers", note("None: no run of several ranks."))
    return section("Stragglers", table(["run", "mean lag, of a step", "99th percentile", "slowest rank's data, beyond the middle's"], rows),
                   "<h3>steps with the largest lag</h3>", table(["run", "step", "lag", "of the step", "most wait for data"], worst),
                   note("Lag: what the rank that waits most for others waits longer than the one that waits least: the slowest."))


def environment_section(runs):
    names = list(dict.fromkeys(name for run in runs for name in run.attributes if name not in ("format", "format_version")))
    values = {name: [run.attributes.get(name, "-") for run in runs] for name in names}
    alike = {name: found[0] for name, found in values.items() if len(set(found)) == 1}
    parts = [table(["", "all runs" if len(runs) > 1 else runs[0].label], alike.items(), (1,))]
    if len(alike) < len(values):
        parts.append(settings_table(runs, {name: found for name, found in values.items() if name not in alike}))
    return section("Environment", *parts)


def settings_table(runs, values):
    """values {name: one a run}: of few runs side by side, of many a line a run."""
    if len(runs) <= FEW:
        return table(["differs", *(run.label for run in runs)], [[name, *found] for name, found in values.items()], range(1, len(runs) + 1))
    return table(["differs", *values], [[run.label, *found] for run, *found in zip(runs, *values.values())], range(1, len(values) + 1))


def configuration_section(runs):
    parts = []
    settings = [common.settings_of(run) for run in runs]
    apart = common.differences(settings) if len(runs) > 1 else []
    if apart:
        parts.append(settings_table(runs, {key: [one.get(key, "-") for one in settings] for key in apart}))
    for run in runs:
        parts.append(f"<details><summary>{html.escape(run.label)}</summary><pre>{html.escape(run.config_text)}</pre></details>")
    return section("Configuration", *parts)


# ---- the page --------------------------------------------------------------------------------------------------------

def find_library(folder=None):
    """(script, style) of dygraphs."""
    package = importlib.util.find_spec("dygraphs")
    assets = os.path.join(package.submodule_search_locations[0], "assets") if package else None
    for place in [folder] if folder else ["/usr/share/javascript/dygraphs", assets]:
        for name, style in (("dygraph.min.js", "dygraph.min.css"), ("dygraph-combined.js", "dygraph.css")):
            if place and os.path.isfile(os.path.join(place, name)):
                read = lambda file: open(os.path.join(place, file), encoding="utf-8").read()
                code = read(name).split("\n//# sourceMappingURL")[0]
                style = read(style).split("\n/*# sourceMappingURL")[0] if os.path.isfile(os.path.join(place, style)) else ""
                return code.replace("</script", "<\\/script"), style
    raise SystemExit(f"{folder or 'report.py'}: no dygraphs; apt-get install libjs-dygraphs, or pip install dygraphs, or --library FOLDER")


def beside(runs, name, given):
    """[(label, path)]: the files given, else those of this name in the runs' folders."""
    if given:
        return list(zip(common.labels_of(given, None), given))
    return [(run.label, path) for run in runs for path in [os.path.join(run.folder, name)] if os.path.isfile(path)]


def script_data(value):
    return json.dumps(value, separators=(",", ":")).replace("</", "<\\/")


def page(runs, axis="step", window=50, predictions=(), evaluations=(), library=None, program=None):
    """The whole page. \\param predictions, evaluations  paths; empty: what stands in the runs' folders"""
    code, style = find_library(library)
    axis = common.readable_axis(axis, runs)
    window = max(1, min(window, max(len(run) for run in runs) // 10))
    charts = charts_of(runs, axis, window)
    colours = common.colours(len(runs))
    title = "Sigmatic: " + ", ".join(run.label for run in runs[:6]) + (", ..." if len(runs) > 6 else "")
    body = [f"<h1>{html.escape(title)}</h1>", note(f"{datetime.datetime.now():%Y-%m-%d %H:%M}"), runs_section(runs), warnings_section(runs, program),
            metrics_section(runs), sigma_section(runs, window)]
    if len(runs) > 1:
        body.append(comparison_section(runs))
    body += [section("Curves", note("Drag to zoom, with shift to move, double click for the whole; all charts follow."
                                    + (" Point at a curve to see whose it is; untick a run to hide it." if len(runs) > 1 else "")),
                     key_of(runs, colours), chart_boxes(charts)),
             classes_section(runs, beside(runs, "eval.json", evaluations)),
             predictions_section(beside(runs, "predictions.h5", predictions)),
             time_section(runs), stragglers_section(runs), environment_section(runs), configuration_section(runs)]
    with open(TEMPLATE, encoding="utf-8") as file:
        content = file.read()
    parts = {"@TITLE@": html.escape(title), "@BODY@": "\n".join(body), "@LIBRARY_STYLE@": style, "@LIBRARY@": code,
             "@CHARTS@": script_data(charts),
             "@RUNS@": script_data([{"label": run.label, "colour": colour} for run, colour in zip(runs, colours)])}
    pieces = []
    while parts:  # in the order of the template, so that nothing in one part is taken for another
        name = min(parts, key=content.index)
        before, _, content = content.partition(name)
        pieces += [before, parts.pop(name)]
    return "".join([*pieces, content])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("-o", "--output", type=script.output_file((".html", ".htm")), default="report.html", metavar="FILE", help=".html (%(default)s)")
    parser.add_argument("--labels", help="one a run, separated by commas")
    parser.add_argument("--x", choices=plot_sigma.AXES, default="step", help="the horizontal axis (%(default)s)")
    parser.add_argument("--smooth", type=script.whole_number, default=50, metavar="STEPS", help="window of the losses' means (%(default)s)")
    parser.add_argument("--predictions", action="append", default=[], metavar="PRED.h5")
    parser.add_argument("--evaluation", action="append", default=[], metavar="EVAL.json")
    parser.add_argument("--library", metavar="FOLDER", help="with dygraph.min.js")
    parser.add_argument("--program", metavar="SIGMATIC", help="whose show says the warnings")
    options = parser.parse_args()
    runs = common.open_runs(options.runs, options.labels)
    common.write_text(options.output, page(runs, options.x, options.smooth, options.predictions, options.evaluation, options.library,
                                            options.program))
    print(f"wrote {options.output}")


if __name__ == "__main__":
    script.run(main)
