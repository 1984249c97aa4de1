#!/usr/bin/env python3
"""Draws how the uncertainties of one or more runs developed, and how far each is from its minimiser.

    analysis/plot_sigma.py runs/a/run.h5 [runs/b/run.h5 ...] [--labels a,b] [-o sigma.png] [--smooth 50]

A column a task: sigma with the closed-form minimiser at the smoothed loss (the gap is how far sigma lags behind), the
unweighted loss, the weight, and the first metric of the evaluations; below, the total loss, which may well be negative.
Also prints where every sigma stands at the end. Works on a run that is still going on.
"""

import argparse

import numpy

import common
from common import FAINT, pyplot

# sigma = exp(s/2) where d(objective)/ds = 0 at loss L over D components
MINIMISERS = {
    "categorical": lambda loss, dimensions: numpy.sqrt(2 * loss / dimensions),
    "gaussian": lambda loss, dimensions: numpy.sqrt(loss / dimensions),
    "laplace": lambda loss, dimensions: loss / dimensions,
    "paper_l1": lambda loss, dimensions: numpy.sqrt(loss),
}
METRICS = ("miou", "error_pixels")  # the ones that decide "best" come first


class Task:
    def __init__(self, group, rows):
        self.likelihood = common.text(group.attrs.get("likelihood", ""))
        self.unit = common.text(group.attrs.get("unit", ""))
        self.meaning = common.text(group.attrs.get("meaning", ""))
        self.dimensions = int(group.attrs.get("dimensions", 1))
        self.loss, self.weight, self.log_variance, self.sigma = (
            group[name][:rows] for name in ("loss", "weight", "log_variance", "sigma"))

    def minimiser(self, loss):
        """sigma that minimises the objective at `loss`; NaN where there is no closed form."""
        formula = MINIMISERS.get(self.likelihood)
        return formula(loss, self.dimensions) if formula else loss * numpy.nan


class Run:
    def __init__(self, path, label, colour):
        self.label, self.colour = label, colour
        with common.open_checked(path, "sigmatic-run") as file:
            columns = [file["steps/step"], file["steps/loss"]] + [
                group[name] for group in file["tasks"].values() for name in ("loss", "weight", "log_variance", "sigma")]
            rows = min(len(column) for column in columns)  # a live file: some columns may be ahead
            if rows == 0:
                raise SystemExit(f"{path}: no step is logged yet")
            self.step, self.total = file["steps/step"][:rows], file["steps/loss"][:rows]
            self.tasks = {name: Task(file["tasks"][name], rows) for name in common.in_order(file["tasks"])}
            self.evaluations = {}  # {task: (metric, steps, values)}
            for split in file.get("evaluations", {}).values():
                for name in self.tasks:
                    self.add_evaluation(split, name)

    def add_evaluation(self, split, task):
        metrics = split.get(task, {})
        chosen = next((name for name in (*METRICS, *metrics) if name in metrics), None)
        if chosen:
            rows = min(len(split["step"]), len(metrics[chosen]))
            if rows:
                self.evaluations[task] = chosen, split["step"][:rows], metrics[chosen][:rows]


def draw_sigma(axes, run, name, window):
    task = run.tasks[name]
    if not numpy.isfinite(task.sigma).any():
        return  # a weighting that learns none
    axes.plot(run.step, task.sigma, color=run.colour)
    axes.plot(run.step, task.minimiser(common.smooth(task.loss, window)), color=run.colour, linestyle=(0, (4, 2)),
              linewidth=1.0, alpha=0.8)


def draw_loss(axes, run, name, window):
    task = run.tasks[name]
    axes.plot(run.step, task.loss, color=run.colour, linewidth=0.5, alpha=0.25)
    axes.plot(run.step, common.smooth(task.loss, window), color=run.colour)


def draw_weight(axes, run, name, window):
    axes.plot(run.step, run.tasks[name].weight, color=run.colour)


def draw_metric(axes, run, name, window):
    if name in run.evaluations:
        _, steps, values = run.evaluations[name]
        axes.plot(steps, values, color=run.colour, marker="o", markersize=3.5, linewidth=1.2)


def label_of(row, name, runs):
    """Label of the vertical axis."""
    task = next(run.tasks[name] for run in runs if name in run.tasks)
    metric = next((run.evaluations[name][0] for run in runs if name in run.evaluations), None)
    return {"sigma": f"sigma\n{task.meaning}" if task.meaning else "sigma",
            "loss": "loss" + (f", {task.unit}" if task.unit else ""),
            "weight": "weight, d total / d loss",
            "metric": common.UNITS.get(metric, metric) if metric else ""}[row]


def draw_total(axes, runs, window):
    for run in runs:
        axes.plot(run.step, run.total, color=run.colour, linewidth=0.5, alpha=0.25)
        axes.plot(run.step, common.smooth(run.total, window), color=run.colour)
    totals = numpy.concatenate([common.smooth(run.total, window) for run in runs])
    totals = totals[numpy.isfinite(totals)]
    if len(totals):  # the first steps may be far above everything else
        low, high = totals.min(), numpy.percentile(totals, 99.5)
        margin = 0.08 * (high - low) + 1e-9
        axes.set_ylim(low - margin, high + margin)
        if low < 0:
            axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.set(title="total loss", xlabel="step")


def draw(runs, window, output):
    names = list(dict.fromkeys(name for run in runs for name in run.tasks))
    last_step = max(run.step[-1] for run in runs)
    rows = {"sigma": draw_sigma, "loss": draw_loss, "weight": draw_weight}
    if any(run.evaluations for run in runs):
        rows["metric"] = draw_metric
    common.set_style()
    figure = pyplot.figure(figsize=(max(3.6 * len(names), 6), 2.1 * (len(rows) + 1) + 0.4), layout="constrained")
    grid = figure.add_gridspec(len(rows) + 2, len(names), height_ratios=[0.12] + [1] * (len(rows) + 1))
    for r, (row, function) in enumerate(rows.items()):
        for c, name in enumerate(names):
            axes = figure.add_subplot(grid[r + 1, c])
            for run in runs:
                if name in run.tasks:
                    function(axes, run, name, window)
            if row != "metric":
                common.log_scale(axes)
            axes.set_ylabel(label_of(row, name, runs), fontsize=8)
            axes.set_xlim(-0.02 * last_step, 1.02 * last_step)
            if r == 0:
                axes.set_title(name)
    axes = figure.add_subplot(grid[len(rows) + 1, :])
    draw_total(axes, runs, window)
    axes.set_xlim(-0.01 * last_step, 1.01 * last_step)
    line = pyplot.Line2D
    handles = [line([], [], color=run.colour, label=run.label) for run in runs]
    handles.append(line([], [], color=FAINT, linestyle=(0, (4, 2)), linewidth=1.0,
                        label=f"minimiser at the loss smoothed over {window} steps"))
    heading = figure.add_subplot(grid[0, :])
    heading.axis("off")
    heading.legend(handles=handles, loc="center left", ncol=min(len(handles), 6), borderpad=0, borderaxespad=0)
    figure.savefig(output)
    print(f"wrote {output}")


def print_table(runs, window):
    width = max(len(run.label) for run in runs)
    print(f"{'run':{width}}  {'task':12} {'likelihood':18} {'step':>8} {'s':>8} {'sigma':>9} {'minimiser':>9} {'ratio':>6}")
    for run in runs:
        for name, task in run.tasks.items():
            best = task.minimiser(common.trailing_mean(task.loss, window))
            finite = numpy.flatnonzero(numpy.isfinite(task.sigma))
            s, sigma = (task.log_variance[finite[-1]], task.sigma[finite[-1]]) if len(finite) else (numpy.nan,) * 2
            print(f"{run.label:{width}}  {name:12} {task.likelihood:18} {run.step[-1]:8d} {s:8.3f} {sigma:9.4f} "
                  f"{best:9.4f} {sigma / best:6.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN.h5")
    parser.add_argument("--labels", help="one a run, separated by commas")
    parser.add_argument("-o", "--output", default="sigma.png")
    parser.add_argument("--smooth", type=int, default=50, metavar="STEPS",
                        help="window of the means, at most a tenth of the longest run (%(default)s)")
    arguments = parser.parse_args()
    labels = common.labels_of(arguments.runs, arguments.labels)
    runs = [Run(path, label, common.COLOURS[i % len(common.COLOURS)])
            for i, (path, label) in enumerate(zip(arguments.runs, labels))]
    window = max(1, min(arguments.smooth, max(len(run.step) for run in runs) // 10))
    print_table(runs, window)
    draw(runs, window, arguments.output)


if __name__ == "__main__":
    main()
