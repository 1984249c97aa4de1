#!/usr/bin/env python3
"""Draws how the uncertainties of one or more runs developed, and how far each is from its minimiser.

    analysis/plot_sigma.py RUN... [-o sigma.png|.svg|.pdf] [--x step|epoch|hours] [--smooth 50] [--bands] [--together]
        [--labels a,b]

RUN is run.h5, the folder of a run, or a folder with runs. A column a task: sigma, and what it is of the task's likelihood,
with the closed-form minimiser at the smoothed loss (the gap is how far sigma lags behind) and, at each evaluation, the
minimiser at the loss on held-out data; sigma over both (1: calibrated, below: surer than the residuals allow); the
unweighted loss, the weight, and a metric of the evaluations; below, the total loss, which may well be negative. Where runs
measure a task's loss or sigma in different ways (pixels or metres, L1 or cross-entropy), each way has a column of its own.
Of runs with weighting.diagnose_interval, also each task's share of the gradient at the shared representation, and the cosines
between the tasks' gradients there (means of the last tenth of those measured; negative: one task's step undoes the other's).

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
HELD_OUT = {"marker": "o", "markersize": 4.5, "markerfacecolor": "white", "linestyle": "none", "markeredgewidth": 1.2}
MOST_COLUMNS, MOST_MATRICES = 4, 3  # side by side
STYLES = "-", DASHES, ":", "-."

# What is drawn as one: a run, or the runs of some seeds. `runs` share their tasks and ways of measuring.
Curve = collections.namedtuple("Curve", "label runs colour")
# A column of panels: a task, as `runs` measure it.
Way = collections.namedtuple("Way", "task loss_scale sigma_is")


def way_of(run, name):
    task = run.tasks[name]
    return Way(name, task.loss_scale, task.sigma_is)


def ways_of(runs):
    """The columns: {Way: runs}. Runs that learn no sigma stand where the losses compare."""
    ways = {}
    for name in common.in_order(list(dict.fromkeys(name for run in runs for name in run.tasks))):
        holders = [run for run in runs if name in run.tasks]
        for run in sorted(holders, key=lambda run: not run.tasks[name].sigma_is):
            way = way_of(run, name)
            alike = [other for other in ways if other.task == name and other.loss_scale == way.loss_scale]
            ways.setdefault(alike[0] if alike and not way.sigma_is else way, []).append(run)
    return ways


def title_of(way, ways):
    if sum(other.task == way.task for other in ways) == 1:
        return way.task
    loss, unit, _ = way.loss_scale
    apart = ", ".join(word for word in (loss, unit) if word)
    alike = [other for other in ways if other.task == way.task and other.loss_scale == way.loss_scale]
    return f"{way.task} ({apart}{'; ' + way.sigma_is if len(alike) > 1 else ''})"


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
        plot(axes, curve, options.x, lambda run: held_out(run, way.task, "residual_scale", options.x), **HELD_OUT)


def draw_ratio(axes, curve, way, options, metric):
    if learns(curve.runs[0], way.task):
        plot(axes, curve, options.x, lambda run: (run.axis(options.x), run.tasks[way.task].sigma / minimiser(run, way.task, options.smooth)))
        plot(axes, curve, options.x, lambda run: held_out(run, way.task, "ratio", options.x), **HELD_OUT)
        if axes.lines:
            axes.axhline(1, color=FAINT, linewidth=0.8)


def held_out(run, task, name, unit):
    steps, values = run.calibration(task, name)
    return run.axis(unit, steps), values


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


def draw_share(axes, curve, way, options, metric):
    def series(run):
        share = 100 * run.tasks[way.task].gradient_share
        measured = numpy.isfinite(share)
        return run.axis(options.x)[measured], share[measured]
    plot(axes, curve, options.x, series)


def draw_metric(axes, curve, way, options, metric):
    plot(axes, curve, options.x, lambda run: evaluated(run, way.task, metric, options.x), marker="o", markersize=3.5,
         linewidth=1.2)
    x, lines = on_common_axis(curve, options.x, lambda run: evaluated(run, way.task, metric, options.x))
    if len(x) == 1 and numpy.isfinite(lines).any():  # evaluated once: no curve, so in figures
        axes.annotate(f"{numpy.mean(lines):.4g}", (x[0], numpy.mean(lines)), xytext=(-6, 0), textcoords="offset points", ha="right",
                      va="center", fontsize=8, color=curve.colour)


def evaluated(run, task, metric, unit):
    for evaluation in run.evaluations.values():
        if metric in evaluation.metrics.get(task, {}):
            return run.axis(unit, evaluation.step), evaluation.metrics[task][metric]
    return numpy.array([]), numpy.array([])


WEIGHT = "weight of the gradient"
SCALE = "s, log of the loss's scale"
RATIO = "sigma / minimiser"
SHARE = "share of the gradient, %"
PANELS = {"sigma": draw_sigma, "ratio": draw_ratio, "scale": draw_scale, "loss": draw_loss, "weight": draw_weight, "share": draw_share,
          "metric": draw_metric}
LINEAR = "metric", "scale"
# What is below 0 in totals that are below 0 (src/train/traps.c says the same in a run's log).
NEGATIVE = {"uncertainty": "log sigma", "imtl_l": "-s, near the log of the loss", "uw_o": "logs of the losses", "famo": "logs of the losses"}
PER_PIXEL = "the log sigma of each pixel"
EMPTY = {"sigma": "no sigma is learned", "ratio": "no minimiser is known", "scale": "no scale is learned"}


def label_of(panel, way, task, metric):
    """Of the vertical axis."""
    return {"sigma": f"sigma\n{way.sigma_is}" if way.sigma_is else "sigma",
            "ratio": f"{RATIO}\nbelow 1: too sure",
            "scale": SCALE,
            "loss": f"loss, {task.loss_unit}" if task.loss_unit else "loss",
            "weight": WEIGHT,
            "share": f"{SHARE}\nat the shared representation",
            "metric": common.metric_label(metric, task.unit) if metric else ""}[panel]


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
    reasons = {NEGATIVE.get(weighting_of(run), PER_PIXEL) for curve in curves for run in curve.runs if (total(run)[1] < 0).any()}
    sign = f", below 0 as is normal: it holds {' or '.join(sorted(reasons))}" if reasons else ""
    objectives = {(weighting_of(run), tuple(way_of(run, name) for name in run.tasks)) for curve in curves for run in curve.runs}
    axes.set(title="total loss" + sign + (", of objectives whose values do not compare" if len(objectives) > 1 else ""), xlabel=options.x)


def draw_cosines(axes, run, label):
    """A matrix over the run's tasks."""
    matrix, names = run.last_cosines(), list(run.tasks)
    axes.imshow(numpy.where(numpy.eye(len(names)) > 0, numpy.nan, matrix), cmap="RdBu", vmin=-1, vmax=1, aspect=0.6)
    for (i, j), cosine in numpy.ndenumerate(matrix):
        if i != j:
            axes.text(j, i, f"{cosine:+.2f}" if numpy.isfinite(cosine) else "-", ha="center", va="center", fontsize=7,
                      color="white" if abs(cosine) > 0.6 else common.INK)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.grid(False)
    axes.set_anchor("W")
    axes.set_title(f"cosines of the tasks' gradients{label}")


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


def is_calibrated(run):
    """Whether it measured sigma beside held-out data."""
    return any("ratio" in columns for evaluation in run.evaluations.values() for columns in evaluation.calibration.values())


def is_diagnosed(run):
    """Whether it measured the tasks' gradients."""
    return any(numpy.isfinite(task.gradient_share).any() for task in run.tasks.values())


def weighting_of(run):
    return run.attributes.get("weighting") or run.config.get("weighting", {}).get("method", "unknown")


def draw(curves, options):
    runs = [run for curve in curves for run in curve.runs]
    ways = ways_of(runs)
    shown = {"sigma": any(map(learns, runs)), "ratio": any(map(is_calibrated, runs)), "scale": any(map(learns_scale, runs)),
             "share": any(map(is_diagnosed, runs)), "metric": any(run.last_metrics() for run in runs)}
    panels = [panel for panel in PANELS if shown.get(panel, True)]
    last = max(run.axis(options.x)[-1] for run in runs)
    handles = handles_of(curves, options)
    matrices = [curve for curve in curves if curve.runs[0].cosines][:MOST_MATRICES]
    blocks = -(-len(ways) // MOST_COLUMNS)  # of columns, one below the other
    columns = -(-len(ways) // blocks)
    common.set_style()
    width = max(3.6 * columns, 6, 4.8 * len(matrices))
    heights = [common.legend_height(width, handles)] + [2.1] * (blocks * len(panels) + 1)
    if matrices:
        heights.append(1.2 + 0.36 * max(len(curve.runs[0].tasks) for curve in matrices))
    figure = pyplot.figure(figsize=(width, sum(heights) + 0.2), layout="constrained")
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    common.legend(figure, grid[0, :], handles)
    for c, (way, holders) in enumerate(ways.items()):
        metric = metric_of(holders, way.task)
        for r, panel in enumerate(panels):
            axes = figure.add_subplot(grid[c // columns * len(panels) + r + 1, c % columns])
            for curve in curves:
                if any(run in holders for run in curve.runs):
                    PANELS[panel](axes, curve, way, options, metric)
            if panel not in LINEAR:
                common.log_scale(axes)
            axes.set_ylabel(label_of(panel, way, holders[0].tasks[way.task], metric), fontsize=8)
            axes.set_xlim(-0.02 * last, 1.02 * last)
            if not axes.lines:
                axes.text(0.5, 0.5, EMPTY.get(panel, "not measured"), transform=axes.transAxes, ha="center", color=FAINT)
            if r == 0:
                axes.set_title(textwrap.fill(title_of(way, ways), 40))
            if panel == panels[-1]:
                axes.set_xlabel(options.x)
    axes = figure.add_subplot(grid[blocks * len(panels) + 1, :])
    draw_total(axes, curves, options)
    axes.set_xlim(-0.01 * last, 1.01 * last)
    if matrices:
        place = grid[len(heights) - 1, :].subgridspec(1, len(matrices))
        for i, curve in enumerate(matrices):
            draw_cosines(figure.add_subplot(place[0, i]), curve.runs[0], f", {curve.runs[0].label}" if len(runs) > 1 else "")
    common.save(figure, options.output)


def handles_of(curves, options):
    """Of the legend: a curve each, which says where no sigma is to be looked for."""
    line = pyplot.Line2D
    words = lambda curve: "" if learns(curve.runs[0]) else (
        f", {'a scale' if learns_scale(curve.runs[0]) else 'no sigma'} ({weighting_of(curve.runs[0])})")
    handles = [line([], [], color=curve.colour, label=curve.label + words(curve)) for curve in curves]
    smoothed = f" smoothed over {options.smooth} steps" if options.smooth > 1 else ""
    if any(learns(run) for curve in curves for run in curve.runs):
        handles.append(line([], [], color=FAINT, linestyle=DASHES, linewidth=1.0, label=f"minimiser at the training loss{smoothed}"))
    if any(is_calibrated(run) for curve in curves for run in curve.runs):
        handles.append(line([], [], color=FAINT, label="minimiser at the loss on held-out data; sigma over it", **HELD_OUT))
    return handles


def draw_together(curves, options):
    """sigma of all tasks on one axis, and their weights on another; a run has a style of line, a task a colour."""
    names = common.in_order(list(dict.fromkeys(name for curve in curves for name in curve.runs[0].tasks)))
    colours = dict(zip(names, common.colours(len(names))))
    line = pyplot.Line2D
    holders = {name: [curve.runs[0].tasks[name] for curve in curves if name in curve.runs[0].tasks] for name in names}
    meanings = {name: {task.sigma_is for task in tasks if task.sigma_is} for name, tasks in holders.items()}
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
    width, task_width = max(len(run.label) for run in runs), max(4, *(len(name) for run in runs for name in run.tasks))
    held_out = any(map(is_calibrated, runs))
    print(f"{'run':{width}}  {'task':{task_width}} {'step':>8} {'weight':>9} {'s':>9} {'sigma':>9} {'minimiser':>9} {'ratio':>9} "
          + (f"{'held-out':>9} {'ratio':>9} " if held_out else "") + " likelihood: what sigma is")
    for run in runs:
        for name, task in run.tasks.items():
            print(f"{run.label:{width}}  {name:{task_width}} {run.step[-1]:8d} {cell(last_of(task.weight))} "
                  f"{sigma_cells(run, name, window, held_out)}".rstrip())


def last_of(values):
    values = values[numpy.isfinite(values)]
    return values[-1] if len(values) else numpy.nan


def cell(value, width=9, digits=4):
    """With so many significant digits: a weight may be 1e-5."""
    return f"{value:{width}.{digits}g}" if numpy.isfinite(value) else f"{'-':>{width}}"


def lag(run, name, window):
    """(minimiser at the mean of the last training losses, sigma over it)"""
    best = run.minimiser(name, lambda loss: common.trailing_mean(loss, window))
    return best, last_of(run.tasks[name].sigma) / best if best else numpy.nan


def sigma_cells(run, name, window, held_out):
    """Or in words why there is none. \\param held_out  whether there are columns of held-out data"""
    task = run.tasks[name]
    if learns_scale(run, name):
        return f"{cell(last_of(task.log_variance))}  s is the log of a scale, no log-variance: the weighting is {weighting_of(run)}"
    if not task.sigma_is:
        return f"learns no sigma: its weighting is {weighting_of(run)}"
    if not learns(run, name):
        return "no sigma yet: no step with a valid pixel"
    best, ratio = lag(run, name, window)
    beside = [last_of(run.calibration(name, column)[1]) for column in ("residual_scale", "ratio")]
    return (f"{cell(last_of(task.log_variance))} {cell(last_of(task.sigma))} {cell(best)} {cell(ratio)} "
            + (f"{cell(beside[0])} {cell(beside[1])} " if held_out else "") + f" {task.likelihood}: {task.sigma_is}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--labels", help="one a run, separated by commas")
    parser.add_argument("-o", "--output", type=script.output_file(script.PICTURES), default="sigma.png", metavar="FILE", help=".png, .svg or .pdf (%(default)s)")
    parser.add_argument("--x", choices=AXES, default="step", help="the horizontal axis (%(default)s); of short runs hours are minutes or seconds")
    parser.add_argument("--smooth", type=script.whole_number, default=50, metavar="STEPS",
                        help="window of the means, in curves at most a tenth of the longest run; 1: none (%(default)s)")
    parser.add_argument("--bands", action="store_true", help="seeds as mean and band")
    parser.add_argument("--together", action="store_true", help="all tasks' sigmas on one axis")
    options = parser.parse_args()
    runs = common.open_runs(options.runs, options.labels)
    options.x = common.readable_axis(options.x, runs)
    print_table(runs, options.smooth)
    options.smooth = max(1, min(options.smooth, max(len(run) for run in runs) // 10))
    (draw_together if options.together else draw)(curves_of(runs, options.bands), options)


if __name__ == "__main__":
    script.run(main)
