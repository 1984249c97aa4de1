"""Pictures of the experiment of analysis/paper.md, from the rows of paper_results.rows_of(). Every seed is drawn."""

import os

import numpy

import common
import paper_results as results
from common import COLOURS, FAINT, INK, pyplot

LEARNED, FIXED, EQUAL, OTHER = COLOURS[1], COLOURS[0], COLOURS[2], FAINT
TASK_COLOURS = dict(zip(results.TASKS, COLOURS))


def better(values, higher):
    return numpy.asarray(values, float) * (1 if higher else -1)


def frontier(points, higher):
    """Those of (x, y) that no other one beats in both, sorted by x. \\param higher  of x and y: whether more is better"""
    signed = numpy.array([better(column, way) for column, way in zip(zip(*points), higher)]).T
    kept = [i for i, one in enumerate(signed) if not any((other >= one).all() and (other > one).any() for other in signed)]
    return sorted(points[i] for i in kept)


def points_of(rows, label, tasks):
    return [tuple(results.metric_of(run, task, "test") for task in tasks) for run in rows.get(label, {}).values()
            if set(tasks) <= set(run["tasks"])]


def draw_plane(axes, rows, tasks, fixed, learned):
    """Fixed weightings, their frontier, and what is learned, over the metrics of two tasks."""
    points = [point for label in fixed for point in points_of(rows, label, tasks)[:1]]
    higher = [results.JUDGED[task][1] for task in tasks]
    if points:
        axes.scatter(*zip(*points), s=22, color=FIXED, label="constant weights, one seed")
        axes.plot(*zip(*frontier(points, higher)), color=FIXED, linewidth=1, label="their frontier")
    shown = [("equal", "equal", EQUAL, "s")] if learned == "uncertainty" else []
    for label, name, colour, marker in (*shown, (learned, "uncertainty", LEARNED, "D")):
        found = points_of(rows, label, tasks)
        if found:
            axes.scatter(*zip(*found), s=26, color=colour, marker=marker, alpha=0.8, zorder=3, label=f"{name}, each seed")
    alone = [[results.metric_of(run, task, "test") for run in rows.get(f"{task} alone", {}).values()] for task in tasks]
    for values, line in zip(alone, (axes.axvline, axes.axhline)):
        if values:
            line(numpy.mean(values), color=FAINT, linestyle=":", linewidth=1.2)
    axes.set(xlabel=results.HEADINGS[tasks[0]], ylabel=results.HEADINGS[tasks[1]])
    for way, invert in zip(higher, (axes.invert_xaxis, axes.invert_yaxis)):
        if not way:
            invert()


def draw_frontier(rows):
    panels = ((("semantic", "depth"), "three tasks", [label for label in rows if is_trial(rows, label, 3)], "uncertainty"),
              (("semantic", "depth"), "semantic + depth (figure 2a)", None, "uncertainty: semantic + depth"),
              (("instance", "depth"), "instance + depth (figure 2b)", None, "uncertainty: instance + depth"))
    figure, grid = pyplot.subplots(1, 3, figsize=(11.5, 3.9), layout="constrained")
    for axes, (tasks, title, fixed, learned) in zip(grid, panels):
        labels = fixed if fixed is not None else [label for label in rows if is_trial(rows, label, 2, tasks)]
        draw_plane(axes, rows, tasks, labels, learned)
        axes.set_title(title)
    grid[0].legend(loc="best")
    figure.suptitle("Test split; right and up is better; dotted: each task alone", fontsize=8.5, x=0.01, ha="left")
    return figure


def is_trial(rows, label, count, tasks=None):
    run = next(iter(rows[label].values()))
    return (label not in (results.CONTROL, results.BEST) and len(run["tasks"]) == count and results.shares(run) is not None
            and (tasks is None or tuple(run["tasks"]) == tasks))


def draw_sweep(axes, weights, metrics, tasks, learned):
    """Figure 2: both metrics over the weight of the first task. \\param metrics, learned  (first, second) of the two tasks"""
    other = axes.twinx()
    for one, task, values, level in zip((axes, other), tasks, metrics, learned):
        colour = TASK_COLOURS[task]
        one.plot(weights, values, color=colour, marker="o", markersize=3.5)
        for height in level:
            one.axhline(height, color=colour, linestyle="--", linewidth=0.9)
        one.set_ylabel(results.HEADINGS[task], color=colour)
        if not results.JUDGED[task][1]:
            one.invert_yaxis()
    other.spines["right"].set_visible(True)
    other.grid(False)
    axes.set_xscale("logit")
    axes.xaxis.set_major_formatter(pyplot.FuncFormatter(lambda weight, _: f"{weight:g}"))
    axes.xaxis.set_minor_formatter(pyplot.NullFormatter())
    axes.set(xlim=(0.02, 0.98), xlabel=f"weight of {tasks[0]}")
    axes.set_xticks([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])


def draw_figure2(rows):
    figure, grid = pyplot.subplots(2, 2, figsize=(9.5, 6.2), layout="constrained")
    for (above, below), (pair, paper) in zip(grid.T, results.PAPER_SWEEPS.items()):
        label = "uncertainty: " + " + ".join(pair)
        learned = [[results.PAPER_TABLE[label][task]] for task in pair]
        weights = sorted(paper)
        draw_sweep(above, weights, list(zip(*(paper[weight] for weight in weights))), pair, learned)
        above.set_title(f"{' + '.join(pair)}: the paper's")
        ours = sorted((results.shares(run)[0], *(results.metric_of(run, task, "test") for task in pair))
                      for label_of, seeds in rows.items() if is_trial(rows, label_of, 2, pair) for run in list(seeds.values())[:1])
        below.set_title("ours")
        if ours:
            learned = [[point[i] for point in points_of(rows, label, pair)] for i in (0, 1)]
            draw_sweep(below, [row[0] for row in ours], ([row[1] for row in ours], [row[2] for row in ours]), pair, learned)
    figure.suptitle("Up is better on both axes; dashed: uncertainty learns the weights (ours: each seed)", fontsize=8.5, x=0.01, ha="left")
    return figure


def draw_gains(rows):
    """Delta_m of every row, every seed."""
    found = {label: list(results.deltas(rows, label).values()) for label in rows
             if "alone" not in label and not label.startswith("noise")}
    found = dict(sorted(((label, values) for label, values in found.items() if values), key=lambda row: numpy.mean(row[1])))
    figure, axes = pyplot.subplots(figsize=(8, 1 + 0.2 * len(found)), layout="constrained")
    for y, (label, values) in enumerate(found.items()):
        colour = LEARNED if label.startswith("uncertainty") else FIXED if label.startswith(("fixed", "equal", "best")) else COLOURS[3]
        axes.scatter(values, [y] * len(values), s=16, color=colour, alpha=0.7)
        axes.plot([numpy.mean(values)] * 2, [y - 0.35, y + 0.35], color=INK, linewidth=1.2)
    axes.axvline(0, color=FAINT, linewidth=1)
    axes.set_yticks(range(len(found)), found)
    axes.set_ylim(-0.8, len(found) - 0.2)
    axes.set(xlabel="Delta_m on test: mean relative gain over single tasks, %", title="Every seed; the line is their mean")
    return figure


def draw_trials(rows):
    expected = results.trials_of(rows)
    reached = list(results.deltas(rows, "uncertainty").values())
    figure, axes = pyplot.subplots(figsize=(6, 3.8), layout="constrained")
    axes.plot(range(1, len(expected) + 1), expected, color=FIXED, marker="o", markersize=4, label="best of k constant weightings, expected")
    for i, value in enumerate(reached):
        axes.axhline(value, color=LEARNED, linewidth=0.7, alpha=0.6, label="one run of uncertainty, each seed" if i == 0 else None)
    if reached:
        axes.axhline(numpy.mean(reached), color=LEARNED, linewidth=1.8, label="their mean")
    axes.set_title(results.worth(rows))
    axes.set(xlabel="k, trials of hand-tuning", ylabel="Delta_m on test, %")
    axes.legend()
    return figure


def draw_held_out(rows):
    """What the learned log-variance says the loss is, over the error on test, of every seed."""
    figure, grid = pyplot.subplots(1, 2, figsize=(8.4, 4), layout="constrained")
    for axes, task in zip(grid, ("instance", "depth")):
        lines = []
        for i, label in enumerate(label for label in rows if label.startswith(("uncertainty", "start at"))):
            points = [(results.metric_of(run, task, "test"), results.said_loss(run, task)) for run in rows[label].values()
                      if task in run["log_variance"]]
            if points:
                axes.scatter(*zip(*points), s=24, color=COLOURS[i % len(COLOURS)], label=label, alpha=0.8)
                lines += [value for point in points for value in point]
        if lines:
            ends = [min(lines) * 0.95, max(lines) * 1.05]
            axes.plot(ends, ends, color=FAINT, linewidth=1, label="equal")
        axes.set(title=task, xlabel="error on test, px", ylabel="exp(s): loss that sigma says, px")
        axes.legend(fontsize=7)
    return figure


def draw_noise(rows):
    """What sigma says over the injected noise, between what noise alone and noise on top of the usual loss would make it."""
    figure, grid = pyplot.subplots(1, 2, figsize=(8.4, 3.8), layout="constrained")
    for axes, (name, task) in zip(grid, results.NOISY.items()):
        ladder = results.noise_ladder(rows, name)
        if not ladder:
            continue
        levels = numpy.array([noise for noise, _ in ladder])
        components = 2 if task == "instance" else 1
        alone = components * numpy.sqrt(2 / numpy.pi) * levels  # mean |N(0, noise)|, summed over components
        usual = results.said_loss(ladder[0][1], task)
        axes.fill_between(levels, numpy.maximum(alone, usual), alone + usual, color="#e3e5e9", linewidth=0,
                          label="from the larger of usual loss and noise to their sum")
        axes.plot(levels, alone, color=FAINT, linewidth=1, label="loss of the noise alone")
        axes.plot(levels, [results.said_loss(run, task) for _, run in ladder], color=LEARNED, marker="o", label=f"exp(s) of {task}")
        for seed, run in rows.get("uncertainty", {}).items():
            axes.scatter([0], [results.said_loss(run, task)], s=10, color=LEARNED, alpha=0.6)
        axes.set(title=f"noise of {name}", xlabel="standard deviation a component, px", ylabel="loss that sigma says, px")
        axes.legend(fontsize=7)
    return figure


def draw_starts(rows):
    figure, grid = pyplot.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    labels = sorted((label for label in rows if label.startswith("start at")), key=lambda label: float(label.split()[-1]))
    for axes, task in zip(grid, results.TASKS):
        for i, label in enumerate(["uncertainty", *labels]):
            for run in rows.get(label, {}).values():
                curve = run.get("curve", {})
                if task in curve.get("log_variance", {}):
                    axes.plot(curve["step"], curve["log_variance"][task], color=COLOURS[i], linewidth=0.8 if i == 0 else 1.6,
                              label=(label if i else "start at 0, each seed") if run["seed"] == 1 else None)
        axes.set(title=task, xlabel="step", ylabel="log-variance s")
    grid[0].legend(fontsize=7)
    return figure


PICTURES = {"gains": draw_gains, "frontier": draw_frontier, "figure2": draw_figure2, "trials": draw_trials,
            "held_out": draw_held_out, "noise": draw_noise, "starts": draw_starts}


def draw_all(rows, folder):
    common.set_style()
    for name, drawn in PICTURES.items():
        figure = drawn(rows)
        common.save(figure, os.path.join(folder, f"paper_{name}.png"))
        pyplot.close(figure)
