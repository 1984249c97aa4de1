#!/usr/bin/env python3
"""Draws how the uncertainties of one or more runs developed, and how far each is from its minimiser.

    analysis/plot_sigma.py RUN... [-o sigma.png|.svg|.pdf] [--x step|epoch|hours] [--smooth 50] [--bands] [--together]
        [--labels a,b]

RUN is run.h5, the folder of a run, or a folder with runs. A column a task: sigma with the closed-form minimiser at the
smoothed loss (the gap is how far sigma lags behind), the unweighted loss, the weight, and a metric of the evaluations;
below, the total loss, which may well be negative. Where runs measure a task's loss or sigma in different ways (pixels
or metres, L1 or cross-entropy), each way has a column of its own.

--bands draws runs that differ in nothing but the seed as their mean and a band, ± their standard deviation.
--together draws all tasks' sigmas on one axis instead, a colour a task, and each task's weight beside them.
--smooth 1 draws every loss as it is. Also prints where every sigma and weight stands at the end. Runs that learn no sigma
(their weighting is equal or fixed, say) have their weights drawn; those that learn the logarithm s of a scale in place of
a log-variance (imtl_l) have s. Works on a run that is going on.
"""

import argparse
import collections
import textwrap

import common  # before numpy: it says what is missing
from common import FAINT, pyplot
import script

import numpy

AXES = "step", "epoch", "hours"
DASHES = (0, (4, 2))
STYLES = "-", DASHES, ":", "-."

# What is drawn as one: a run, or the runs of some seeds. `runs` share their tasks and ways of measuring.
Curve = collections.namedtuple("Curve", "label runs colour")
# A column of panels: a task, as `runs` measure it.
Way = collections.namedtuple("Way", "task loss_scale meaning")


def way_of(run, name):
    task = run.tasks[name]
    return Way(name, task.loss_scale, task.meaning)


def ways_of(runs):
    """The columns: {Way: runs}. Runs that learn no sigma stand where the losses compare."""
    ways = {}
    for name in common.in_order(list(dict.fromkeys(name for run in runs for name in run.tasks))):
        holders = [run for run in runs if name in run.tasks]
        for run in sorted(holders, key=lambda run: not run.tasks[name].meaning):
            way = way_of(run, name)
            alike = [other for other in ways if other.task == name and other.loss_scale == way.loss_scale]
            ways.setdefault(alike[0] if alike and not way.meaning else way, []).append(run)
    return ways


def title_of(way, ways):
    if sum(other.task == way.task for other in ways) == 1:
        return way.task
    loss, unit, _ = way.loss_scale
    apart = ", ".join(word for word in (loss, unit) if word)
    alike = [other for other in ways if other.task == way.task and other.loss_scale == way.loss_scale]
    return f"{way.task} ({apart}{'; ' + way.meaning if len(alike) > 1 else ''})"


def metric_of(runs, task):
    """The first metric that all of them have; else that any has; None."""
    measured = [{metric for name, metric in run.last_metrics() if name == task} for run in runs]
    for metrics in (set.intersection(*measured), set.union(*measured)):
        if metrics:
            return common.metrics_in_order(metrics)[0]
    return None


# ---- curves ---------------------------------------------------------------------------------------------------------

def on_common_axis(curve, unit, series):
    """x, and a line a run at it: over the part that all runs have. series(run) -> (x, values)"""
    lines = [(x, values) for x, values in map(series, curve.runs) if len(x)]
    if not lines:
        return numpy.array([]), numpy.empty((0, 0))
    x = min((x for x, _ in lines), key=lambda x: x[-1])
    return x, numpy.array([numpy.interp(x, other, values) if len(lines) > 1 else values for other, values in lines])


def plot(axes, curve, unit, series, **style):
    """The run, or the mean over seeds and their band."""
    x, lines = on_common_axis(curve, unit, series)
    if not numpy.isfinite(lines).any():
        return
    style.setdefault("color", curve.colour)
    mean = numpy.mean(lines, axis=0)
    axes.plot(x, mean, **style)
    if len(lines) > 1:
        band = numpy.std(lines, axis=0, ddof=1)
        axes.fill_between(x, mean - band, mean + band, color=style["color"], alpha=0.18, linewidth=0)


def draw_sigma(axes, curve, way, options, metric):
    plot(axes, curve, options.x, lambda run: (run.axis(options.x), run.tasks[way.task].sigma))
    if numpy.isfinite(curve.runs[0].tasks[way.task].sigma).any():
        plot(axes, curve, options.x, lambda run: (run.axis(options.x), minimiser(run, way.task, options.smooth)),
             linestyle=DASHES, linewidth=1.0, alpha=0.8)


def minimiser(run, name, window):
    return run.minimiser(name, lambda loss: common.smooth(loss, window))


def draw_scale(axes, curve, way, options, metric):
    if learns_scale(curve.runs[0], way.task):
        plot(axes, curve, options.x, lambda run: (run.axis(options.x), run.tasks[way.task].log_variance))


def draw_loss(axes, curve, way, options, metric):
    if options.smooth > 1 and len(curve.runs) == 1:
        axes.plot(curve.runs[0].axis(options.x), curve.runs[0].tasks[way.task].loss, color=curve.colour, linewidth=0.5,
                  alpha=0.25)
    plot(axes, curve, options.x,
         lambda run: (run.axis(options.x), common.smooth(run.tasks[way.task].loss, options.smooth)))


def draw_weight(axes, curve, way, options, metric):
    plot(axes, curve, options.x, lambda run: (run.axis(options.x), run.tasks[way.task].weight))


def draw_metric(axes, curve, way, options, metric):
    plot(axes, curve, options.x, lambda run: evaluated(run, way.task, metric, options.x), marker="o", markersize=3.5,
         linewidth=1.2)


def evaluated(run, task, metric, unit):
    for evaluation in run.evaluations.values():
        if metric in evaluation.metrics.get(task, {}):
            return run.axis(unit, evaluation.step), evaluation.metrics[task][metric]
    return numpy.array([]), numpy.array([])


WEIGHT = "weight of the gradient"
SCALE = "s, log of the loss's scale"
PANELS = {"sigma": draw_sigma, "scale": draw_scale, "loss": draw_loss, "weight": draw_weight, "metric": draw_metric}


def label_of(panel, way, unit, metric):
    """Of the vertical axis."""
    return {"sigma": f"sigma\n{way.meaning}" if way.meaning else "sigma",
            "scale": SCALE,
            "loss": f"loss, {unit}" if unit else "loss",
            "weight": WEIGHT,
            "metric": common.metric_label(metric, unit) if metric else ""}[panel]


def draw_total(axes, curves, options):
    total = lambda run: (run.axis(options.x), common.smooth(run.steps["loss"], options.smooth))
    for curve in curves:
        if options.smooth > 1 and len(curve.runs) == 1 and len(curves) <= len(common.COLOURS):
            run = curve.runs[0]
            axes.plot(run.axis(options.x), run.steps["loss"], color=curve.colour, linewidth=0.5, alpha=0.25)
        plot(axes, curve, options.x, total)
    totals = numpy.concatenate([total(run)[1] for curve in curves for run in curve.runs])
    totals = totals[numpy.isfinite(totals)]
    if len(totals):  # the first steps may be far above everything else
        low, high = totals.min(), numpy.percentile(totals, 99.5)
        margin = 0.08 * (high - low) + 1e-9
        axes.set_ylim(low - margin, high + margin)
        if low < 0:
            axes.axhline(0, color=FAINT, linewidth=0.8)
    objectives = {(weighting_of(run), tuple(way_of(run, name) for name in run.tasks)) for curve in curves for run in curve.runs}
    axes.set(title="total loss" + (", of objectives whose values do not compare" if len(objectives) > 1 else ""), xlabel=options.x)


# ---- figures --------------------------------------------------------------------------------------------------------

def curves_of(runs, bands):
    groups = [(run.label, [run]) for run in runs]
    if bands:  # of two runs of one seed the longer one
        groups = [(label, list({common.seed_of(run): run for run in sorted(members, key=len)}.values()))
                  for label, members in common.group_by_settings(runs)]
    return [Curve(f"{label} ({len(members)} seeds)" if len(members) > 1 else label, members, colour)
            for (label, members), colour in zip(groups, common.colours(len(groups)))]


def learns(run, task=None):
    """Whether it has a sigma, of a task or of any."""
    return any(numpy.isfinite(run.tasks[name].sigma).any() for name in ([task] if task else run.tasks))


def learns_scale(run, task=None):
    """Whether what it learns is the logarithm of a scale, which has no sigma."""
    return any(numpy.isfinite(run.tasks[name].log_variance).any() and not learns(run, name) for name in ([task] if task else run.tasks))


def weighting_of(run):
    return run.attributes.get("weighting") or run.config.get("weighting", {}).get("method", "unknown")


def draw(curves, options):
    runs = [run for curve in curves for run in curve.runs]
    ways = ways_of(runs)
    shown = {"sigma": any(map(learns, runs)), "scale": any(map(learns_scale, runs)), "metric": any(run.last_metrics() for run in runs)}
    panels = [panel for panel in PANELS if shown.get(panel, True)]
    last = max(run.axis(options.x)[-1] for run in runs)
    handles = handles_of(curves, options)
    common.set_style()
    width = max(3.6 * len(ways), 6)
    heights = [common.legend_height(width, handles)] + [2.1] * (len(panels) + 1)
    figure = pyplot.figure(figsize=(width, sum(heights) + 0.2), layout="constrained")
    grid = figure.add_gridspec(len(panels) + 2, len(ways), height_ratios=heights)
    common.legend(figure, grid[0, :], handles)
    for c, (way, holders) in enumerate(ways.items()):
        metric = metric_of(holders, way.task)
        for r, panel in enumerate(panels):
            axes = figure.add_subplot(grid[r + 1, c])
            for curve in curves:
                if any(run in holders for run in curve.runs):
                    PANELS[panel](axes, curve, way, options, metric)
            if panel not in ("metric", "scale"):
                common.log_scale(axes)
            axes.set_ylabel(label_of(panel, way, holders[0].tasks[way.task].unit, metric), fontsize=8)
            axes.set_xlim(-0.02 * last, 1.02 * last)
            if not axes.lines:
                axes.text(0.5, 0.5, {"sigma": "no sigma is learned", "scale": "no scale is learned"}.get(panel, "not measured"),
                          transform=axes.transAxes, ha="center", color=FAINT)
            if r == 0:
                axes.set_title(textwrap.fill(title_of(way, ways), 40))
    axes = figure.add_subplot(grid[len(panels) + 1, :])
    draw_total(axes, curves, options)
    axes.set_xlim(-0.01 * last, 1.01 * last)
    common.save(figure, options.output)


def handles_of(curves, options):
    """Of the legend: a curve each, which says where no sigma is to be looked for."""
    line = pyplot.Line2D
    words = lambda curve: "" if learns(curve.runs[0]) else (
        f", {'a scale' if learns_scale(curve.runs[0]) else 'no sigma'} ({weighting_of(curve.runs[0])})")
    handles = [line([], [], color=curve.colour, label=curve.label + words(curve)) for curve in curves]
    smoothed = f" smoothed over {options.smooth} steps" if options.smooth > 1 else ""
    if any(learns(run) for curve in curves for run in curve.runs):
        handles.append(line([], [], color=FAINT, linestyle=DASHES, linewidth=1.0, label=f"minimiser at the loss{smoothed}"))
    return handles


def draw_together(curves, options):
    """sigma of all tasks on one axis, and their weights on another; a run has a style of line, a task a colour."""
    names = common.in_order(list(dict.fromkeys(name for curve in curves for name in curve.runs[0].tasks)))
    colours = {name: common.COLOURS[i % len(common.COLOURS)] for i, name in enumerate(names)}
    line = pyplot.Line2D
    holders = {name: [curve.runs[0].tasks[name] for curve in curves if name in curve.runs[0].tasks] for name in names}
    with_unit = lambda task: f"{task.meaning}, {task.unit}"
    meanings = {name: {with_unit(task) if len({other.unit for other in tasks}) > 1 else task.meaning for task in tasks if task.meaning}
                for name, tasks in holders.items()}
    nothing = lambda name: "a scale" if any(learns_scale(curve.runs[0], name) for curve in curves if name in curve.runs[0].tasks) else "no sigma is learned"
    handles = [line([], [], color=colours[name], label=f"{name}: {'; '.join(sorted(meanings[name])) or nothing(name)}") for name in names]
    if len(curves) > 1:
        handles += [line([], [], color=FAINT, linestyle=STYLES[i % len(STYLES)], label=curve.label)
                    for i, curve in enumerate(curves)]
    runs = [run for curve in curves for run in curve.runs]
    columns = {"sigma": any(map(learns, runs)) and "sigma", "log_variance": any(map(learns_scale, runs)) and SCALE, "weight": WEIGHT}
    columns = {column: title for column, title in columns.items() if title}
    common.set_style()
    height = common.legend_height(9, handles)
    figure = pyplot.figure(figsize=(9, 3.3 + height), layout="constrained")
    grid = figure.add_gridspec(2, len(columns), height_ratios=[height, 3.1])
    common.legend(figure, grid[0, :], handles)
    for place, (column, title) in enumerate(columns.items()):
        axes = figure.add_subplot(grid[1, place])
        for i, curve in enumerate(curves):
            for name in curve.runs[0].tasks:
                if column != "log_variance" or learns_scale(curve.runs[0], name):
                    plot(axes, curve, options.x, lambda run: (run.axis(options.x), getattr(run.tasks[name], column)),
                         color=colours[name], linestyle=STYLES[i % len(STYLES)])
        if column != "log_variance":
            common.log_scale(axes)
        axes.set(title=title, xlabel=options.x)
    common.save(figure, options.output)


def print_table(runs, window):
    width = max(len(run.label) for run in runs)
    print(f"{'run':{width}}  {'task':12} {'step':>8} {'weight':>9} {'s':>8} {'sigma':>9} {'minimiser':>9} {'ratio':>6}  likelihood")
    for run in runs:
        for name, task in run.tasks.items():
            print(f"{run.label:{width}}  {name:12} {run.step[-1]:8d} {cell(last_of(task.weight), 9)} {sigma_cells(run, name, window)}".rstrip())


def last_of(values):
    values = values[numpy.isfinite(values)]
    return values[-1] if len(values) else numpy.nan


def cell(value, width, digits=4):
    return f"{value:{width}.{digits}f}" if numpy.isfinite(value) else f"{'-':>{width}}"


def sigma_cells(run, name, window):
    """Or in words why there is none."""
    task = run.tasks[name]
    if learns_scale(run, name):
        return f"{cell(last_of(task.log_variance), 8, 3)}  s is the log of a scale, no log-variance: the weighting is {weighting_of(run)}"
    if not task.meaning:
        return f"learns no sigma: its weighting is {weighting_of(run)}"
    if not learns(run, name):
        return "no sigma yet: no step with a valid pixel"
    sigma, best = last_of(task.sigma), run.minimiser(name, lambda loss: common.trailing_mean(loss, window))
    return (f"{cell(last_of(task.log_variance), 8, 3)} {cell(sigma, 9)} {cell(best, 9)} "
            f"{cell(sigma / best if best else numpy.nan, 6, 3)}  {task.likelihood}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--labels", help="one a run, separated by commas")
    parser.add_argument("-o", "--output", type=script.output_file(script.PICTURES), default="sigma.png", metavar="FILE", help=".png, .svg or .pdf (%(default)s)")
    parser.add_argument("--x", choices=AXES, default="step", help="the horizontal axis (%(default)s); of short runs hours are minutes or seconds")
    parser.add_argument("--smooth", type=script.whole_number, default=50, metavar="STEPS",
                        help="window of the means, at most a tenth of the longest run; 1: none (%(default)s)")
    parser.add_argument("--bands", action="store_true", help="seeds as mean and band")
    parser.add_argument("--together", action="store_true", help="all tasks' sigmas on one axis")
    options = parser.parse_args()
    runs = common.open_runs(options.runs, options.labels)
    options.x = common.readable_axis(options.x, runs)
    options.smooth = max(1, min(options.smooth, max(len(run) for run in runs) // 10))
    print_table(runs, options.smooth)
    (draw_together if options.together else draw)(curves_of(runs, options.bands), options)


if __name__ == "__main__":
    script.run(main)
