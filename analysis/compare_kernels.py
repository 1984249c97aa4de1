#!/usr/bin/env python3
"""Shows what the arithmetic of convolutions does to training: the same runs with each variant of it, over some seeds.

    analysis/compare_kernels.py CONFIG --program build/current/sigmatic --folder runs/kernels [--seeds 3]
        [--set SECTION.KEY=VALUE ...] [--variant "NAME: SECTION.KEY=VALUE ..." ...] [--picture FILE.png]

A variant is a name and what it overrides in CONFIG; without --variant they are direct convolution, Winograd F(2x2) and
F(4x4). Every variant trains once with each seed 1, 2, ..., one run after the other, in FOLDER/<variant>-<seed>. A run
that is done there with the same configuration is not repeated. The same seed means the same initial weights and the
same order of samples, so variants are compared in pairs; the first variant is what the others are compared with.

FOLDER/table.md has for every loss (training's, the mean of the last tenth of the steps) and every metric (of the last
evaluation) the mean and standard deviation over the seeds for each variant and, for the differences of pairs, theirs.
A variant "differs by less than seeds do" if its mean difference is below the standard deviation of the first variant,
which is what the choice of a seed alone does. The picture, FOLDER/curves.png, has the smoothed losses of each task and
below them the differences of pairs beside that standard deviation.
"""

import argparse
import collections
import os
import re
import subprocess
import sys

import numpy
from PIL import Image

import common
from common import FAINT, pyplot

ALGORITHMS = "direct: {0}=implicit_gemm", "F(2x2): {0}=winograd2", "F(4x4): {0}=winograd4"
VARIANTS = [text.format("distributed.conv2d_algorithm") for text in ALGORITHMS]

Variant = collections.namedtuple("Variant", "name overrides")
Result = collections.namedtuple("Result", "steps losses units finals")
Result.__doc__ = "Of one run: losses {task: one a step}, units {task: of its loss}, finals {(task, metric): number}."


def variant_of(text):
    name, colon, overrides = text.partition(":")
    overrides = overrides.split()
    if not (colon and name.strip() and all("=" in override for override in overrides)):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 'NAME: SECTION.KEY=VALUE ...'")
    return Variant(name.strip(), overrides)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", metavar="CONFIG")
    parser.add_argument("--program", required=True, help="path of sigmatic")
    parser.add_argument("--folder", required=True, help="of all runs, the table and the picture")
    parser.add_argument("--variant", action="append", type=variant_of, dest="variants", metavar="NAME: OVERRIDES")
    parser.add_argument("--seeds", type=int, default=3, help="how many, 1 and up (%(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="in every run")
    parser.add_argument("--smooth", type=int, default=50, metavar="STEPS",
                        help="window of the curves' means, at most a tenth of a run (%(default)s)")
    parser.add_argument("--picture", help="instead of FOLDER/curves.png")
    options = parser.parse_args()
    options.variants = options.variants or [variant_of(text) for text in VARIANTS]
    if len({folder_name(variant) for variant in options.variants}) < len(options.variants) or len(options.variants) < 2:
        parser.error("at least two variants are needed, with different names")
    if options.seeds < 1:
        parser.error("--seeds takes 1 and more")
    if not os.access(options.program, os.X_OK):
        parser.error(f"no program {options.program}")
    return options


# ---- runs ----------------------------------------------------------------------------------------------------------

def folder_name(variant):
    return re.sub(r"[^a-z0-9]+", "-", variant.name.lower()).strip("-")


def train(options, folder, overrides, *flags):
    command = [options.program, "train", options.config, *flags]
    for override in (*options.set, *overrides, f"run.folder={folder}"):
        command += ["--set", override]
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
    if finished.returncode != 0:
        raise SystemExit(f"{folder}: exit code {finished.returncode}\n{finished.stderr[-2000:]}")
    return finished.stdout


def is_done(folder, resolved_config):
    """The run in `folder` came to its end, with this configuration."""
    try:
        with open(os.path.join(folder, "status")) as file:
            done = file.readline().strip() == "done"
    except FileNotFoundError:
        return False
    if not done:
        return False
    with common.open_checked(os.path.join(folder, "run.h5"), "sigmatic-run") as file:
        return common.text(file.attrs["config"]).strip() == resolved_config.strip()


def run_once(options, variant, seed):
    folder = os.path.join(options.folder, f"{folder_name(variant)}-{seed}")
    overrides = [*variant.overrides, f"run.seed={seed}"]
    done = is_done(folder, train(options, folder, overrides, "--print-config"))
    print(f"{variant.name}, seed {seed}: {'is there' if done else 'trains'}", file=sys.stderr, flush=True)
    if not done:
        train(options, folder, overrides, "--overwrite")
    return read(os.path.join(folder, "run.h5"))


def read(path):
    with common.open_checked(path, "sigmatic-run") as file:
        steps = file["steps/step"][:]
        losses = {name: file["tasks"][name]["loss"][:] for name in common.in_order(file["tasks"])}
        units = {name: common.text(file["tasks"][name].attrs.get("unit", "")) for name in losses}
        last = max(1, len(steps) // 10)
        finals = {}
        for name, loss in losses.items():
            finals[name, "training loss"] = common.trailing_mean(loss, last)
            for split in file.get("evaluations", {}).values():
                finals.update({(name, metric): rows[-1] for metric, rows in split.get(name, {}).items() if len(rows)})
        finals["all", "objective"] = common.trailing_mean(file["steps/loss"][:], last)
    return Result(steps, losses, units, finals)


# ---- comparison ----------------------------------------------------------------------------------------------------

def deviation(values):
    """Standard deviation of what the values are a sample of; NaN for a single one."""
    return numpy.std(values, ddof=1) if len(values) > 1 else numpy.nan


def verdict(reference, other):
    """Whether `other` differs from `reference`, a number a seed each, by less than seeds do: "yes", "no" or, with a
    single seed, "unknown"."""
    if len(reference) < 2:
        return "unknown"
    difference = abs(numpy.mean(numpy.subtract(other, reference)))
    return "yes" if difference < deviation(reference) or difference == 0 else "no"


def number_format(deviations):
    """Shows two digits of the least standard deviation."""
    deviations = [value for value in deviations if numpy.isfinite(value) and value > 0]
    decimals = 1 - int(numpy.floor(numpy.log10(min(deviations)))) if deviations else 4
    return f".{min(max(decimals, 0), 6)}f"


def spread_text(values, form, sign=""):
    return f"{numpy.mean(values):{sign}{form}}" + (f" ± {deviation(values):{form}}" if len(values) > 1 else "")


def table_row(row, results):
    """`results`: {variant's name: a Result a seed}."""
    values = {name: numpy.array([run.finals.get(row, numpy.nan) for run in runs], float)
              for name, runs in results.items()}
    (_, reference), *others = values.items()
    task, metric = row
    form = number_format([deviation(numbers) for numbers in values.values()])
    cells = [task, common.UNITS.get(metric, metric), *(spread_text(numbers, form) for numbers in values.values())]
    for _, other in others:
        cells += [spread_text(other - reference, form, "+"), verdict(reference, other)]
    return cells


def markdown(results):
    reference, *others = results
    columns = ["task", "at the end of training", *results]
    for name in others:
        columns += [f"{name} - {reference}", "differs by less than seeds do"]
    runs = results[reference]
    rows = [table_row(row, results) for row in runs[0].finals]
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join([*("| " + " | ".join(cells) + " |" for cells in lines), "",
                      f"{len(runs)} seeds, {len(runs[0].steps)} steps. Mean and standard deviation over the seeds; "
                      "differences are those of pairs with the same seed.", ""])


# ---- picture -------------------------------------------------------------------------------------------------------

def label_ends(axes, labels):
    """Writes (text, colour, y) beside the right end of the curves, at least `gap` of the axes' height apart."""
    gap = 0.085
    axes.autoscale_view()
    to_axes = axes.transScale + axes.transLimits
    heights = numpy.clip([to_axes.transform((0, y))[1] for _, _, y in labels], 0, 1)
    order = numpy.argsort(heights)
    steps = gap * numpy.arange(len(order))
    placed = numpy.maximum.accumulate(heights[order] - steps) + steps
    placed -= max(0, numpy.mean(placed - heights[order]))
    for index, height in zip(order, placed):
        text, colour, _ = labels[index]
        axes.annotate(text, (1.01, height), xycoords="axes fraction", color=colour, va="center", fontsize=8,
                      fontweight="bold", annotation_clip=False)


def draw_curves(axes, steps, curves, colours, widths):
    """Thin lines seeds, thick ones their mean, which is also returned as labels for the ends."""
    labels = []
    for (name, lines), width in zip(curves.items(), widths):
        mean = numpy.mean(lines, axis=0)
        for line in lines:
            axes.plot(steps, line, color=colours[name], linewidth=0.6, alpha=0.5)
        axes.plot(steps, mean, color=colours[name], linewidth=width)
        labels.append((name, colours[name], mean[-1]))
    return labels


def draw_losses(axes, steps, curves, colours):
    widths = numpy.linspace(5, 1, len(curves))  # what is drawn later does not hide what lies below
    labels = draw_curves(axes, steps, curves, colours, widths)
    common.log_scale(axes)
    label_ends(axes, labels)


def draw_differences(axes, steps, curves, colours):
    (reference, base), *others = curves.items()
    level = numpy.mean(base, axis=0)
    labels = [(reference, colours[reference], 0)]
    if len(base) > 1:
        band = 100 * numpy.std(base, axis=0, ddof=1) / level
        axes.fill_between(steps, -band, band, color="#e3e5e9", linewidth=0)
        labels.append(("± seeds", FAINT, band[-1]))
    axes.axhline(0, color=colours[reference], linewidth=1.2)
    differences = {name: 100 * (lines - base) / level for name, lines in others}
    label_ends(axes, labels + draw_curves(axes, steps, differences, colours, [1.8] * len(differences)))


def draw(results, window, output):
    reference, first = next((name, runs[0]) for name, runs in results.items())
    colours = dict(zip(results, common.COLOURS))
    common.set_style()
    figure, grid = pyplot.subplots(2, len(first.losses), figsize=(3.7 * len(first.losses), 5.4), squeeze=False,
                                   sharex=True, layout="constrained")
    for task, (above, below) in zip(first.losses, grid.T):
        curves = {name: numpy.array([common.smooth(run.losses[task], window) for run in runs])
                  for name, runs in results.items()}
        draw_losses(above, first.steps, curves, colours)
        draw_differences(below, first.steps, curves, colours)
        above.set_title(task)
        above.set_ylabel(f"training loss, {first.units[task]}")
        below.set_xlabel("step")
    grid[1, 0].set_ylabel(f"difference from {reference},\nsame seed, %")
    figure.suptitle(f"Means of {window} steps; thin lines: each of {len(results[reference])} seeds, thick lines: their "
                    f"mean; grey: ± the standard deviation of {reference} over the seeds", fontsize=8.5, x=0.01,
                    ha="left")
    figure.canvas.draw()
    pixels = numpy.asarray(figure.canvas.buffer_rgba())[:, :, :3]
    Image.fromarray(pixels.copy()).quantize(128).save(output, "png")  # a third of the size that more colours take
    print(f"wrote {output}")


def main():
    options = arguments()
    os.makedirs(options.folder, exist_ok=True)
    results = {variant.name: [] for variant in options.variants}
    for seed in range(1, options.seeds + 1):
        for variant in options.variants:
            results[variant.name].append(run_once(options, variant, seed))
    lengths = {len(run.steps) for runs in results.values() for run in runs}
    if len(lengths) > 1:
        raise SystemExit(f"runs of {min(lengths)} to {max(lengths)} steps: variants may not change how long one is")
    table = markdown(results)
    with open(os.path.join(options.folder, "table.md"), "w") as file:
        file.write(table)
    print(table)
    draw(results, max(1, min(options.smooth, lengths.pop() // 10)),
         options.picture or os.path.join(options.folder, "curves.png"))


if __name__ == "__main__":
    main()
