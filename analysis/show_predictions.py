#!/usr/bin/env python3
"""Lays out pictures of predictions beside the truth.

    analysis/show_predictions.py PRED.h5 [PRED2.h5 ...] [--labels a,b] [-o predictions.png|.svg|.pdf]
        [--positions 0,1,2,3] [--names]

Reads what `sigmatic eval --predictions FILE` writes. A row a sample; the image, then of each task the truth and the
prediction of every file, side by side; values of a whole sample as words. Below, the classes that occur, and a bar of
what the colours of real values mean. Where a task predicts nothing, or nothing is known, the picture says so. Files of
several runs must hold the same samples.
"""

import argparse
import collections

import common  # before numpy: it says what is missing
from common import FAINT, pyplot
import script

import numpy

TITLES = {"semantic": "classes", "instance": "instances"}
FIRST = 4  # samples that are shown unasked
FULL_RANGE = 16  # colours of equal values differ by less, if all pictures share one scale

# Of a file: name and image, one a sample; tasks {name: Shown}
Predictions = collections.namedtuple("Predictions", "name image tasks")


class Shown:
    """A task in a file, of the samples that are shown: arrays truth, prediction, truth_picture, prediction_picture (None
    where the file has none), kind, type, unit, class_names, palette, scaling."""

    def __init__(self, group, samples):
        for name in "truth", "prediction", "truth_picture", "prediction_picture":
            setattr(self, name, numpy.array([group[name][sample] for sample in samples]) if name in group else None)
        attribute = lambda name, absent="": group.attrs.get(name, absent)
        self.kind, self.type, self.unit, self.scaling = (common.text(attribute(name)) for name in ("kind", "type", "unit", "scaling"))
        self.class_names = [common.text(name) for name in attribute("class_names", ())]
        self.palette = numpy.reshape(attribute("palette", ()), (-1, 3)) / 255


def load(path, samples=None):
    """\param samples  None: the first ones"""
    with common.open_checked(path, "sigmatic-predictions") as file:
        try:
            if "features" in file and "image" not in file:
                raise SystemExit(f"{path}: predictions of a table, which has no images to show: `sigmatic predict` writes them as CSV")
            count = len(file["image"])
            wrong = [sample for sample in samples or [] if not 0 <= sample < count]
            if wrong or not count:
                raise SystemExit(f"{path}: no sample {wrong[0]}; it holds {count} (0 to {count - 1})" if count else f"{path}: no sample in it")
            samples = samples or range(min(FIRST, count))
            return Predictions([common.text(file["name"][sample]) for sample in samples],
                               [file["image"][sample] for sample in samples],
                               {name: Shown(file["tasks"][name], samples) for name in common.in_order(file["tasks"])})
        except common.DAMAGES as error:
            raise SystemExit(f"{path}: damaged: {error.args[0] if error.args else error!r}")


# ---- what is shown --------------------------------------------------------------------------------------------------

def cells_of(task, which):
    """A picture or words for each sample: of the "truth" or the "prediction"."""
    pictures = getattr(task, f"{which}_picture")
    if pictures is not None:
        return list(pictures)
    values = getattr(task, which)
    return None if values is None else [words_of(task, value) for value in values]


def words_of(task, value):
    """Of a value of a whole sample."""
    value = numpy.atleast_1d(value)
    if task.type == "class":
        return task.class_names[value[0]] if value[0] < len(task.class_names) else "unknown"
    if task.type == "labels":
        return "\n".join(name for name, is_there in zip(task.class_names, value) if is_there == 1) or "none"
    if not numpy.isfinite(value).any():
        return "unknown"
    return "\n".join(f"{number:.4g} {task.unit}".strip() for number in value)


def emptiness_of(task, which, sample):
    """Why a picture shows nothing; "" where it does."""
    picture, values = getattr(task, f"{which}_picture")[sample], getattr(task, which)
    if task.type == "instance" and (picture == picture[0, 0]).all():
        return "no instance" if which == "truth" else "no instance predicted"
    if values is not None and values.dtype.kind == "f" and not numpy.isfinite(values[sample]).any():
        return "not known" if which == "truth" else "nothing predicted"
    if which == "truth" and task.type == "class" and values is not None and (values[sample] >= len(task.class_names)).all():
        return "not known"
    return ""


Column = collections.namedtuple("Column", "task shown which heading cells")


def columns_of(files, labels):
    """The image, then every task's truth and predictions."""
    columns = [Column("", None, "", "image", files[0].image)]
    for name in dict.fromkeys(name for file in files for name in file.tasks):
        holders = [(file.tasks[name], label) for file, label in zip(files, labels) if name in file.tasks]
        truth = holders[0][0]
        columns.append(Column(name, truth, "truth", "truth" if truth.truth is not None else "truth: no labels",
                              cells_of(truth, "truth") or [None] * len(files[0].image)))
        for shown, label in holders:
            columns.append(Column(name, shown, "prediction", label if len(files) > 1 else "prediction",
                                  cells_of(shown, "prediction")))
    return columns


def classes_shown(columns):
    """[(name, colour)] of the classes that occur in what is shown."""
    found = {}
    for column in columns:
        task = column.shown
        if task and task.type == "class" and getattr(task, f"{column.which}_picture") is not None:
            values, pictures = getattr(task, column.which), getattr(task, f"{column.which}_picture")
            for value in numpy.unique(values):
                if value < len(task.class_names):
                    colour = tuple(pictures[values == value][0] / 255)
                    found.setdefault(task.class_names[value], (value, colour))
    return [(name, colour) for name, (_, colour) in sorted(found.items(), key=lambda item: item[1][0])]


def colour_bar(tasks, steps=64):
    """(values, colours) that the pictures of a real value a pixel give; None where colours mean other values in each
    picture, or there is more than one component."""
    pairs = [(getattr(task, which), getattr(task, f"{which}_picture")) for task in tasks for which in ("truth", "prediction")]
    pairs = [(values.reshape(-1), pictures.reshape(-1, 3)) for values, pictures in pairs
             if values is not None and pictures is not None and values.size == pictures.size // 3]
    if not pairs or tasks[0].type != "real":
        return None
    values = numpy.concatenate([value for value, _ in pairs])
    colours = numpy.concatenate([colour for _, colour in pairs])[numpy.isfinite(values)]
    values = values[numpy.isfinite(values)]
    low, high = numpy.percentile(values, [0.5, 99.5]) if len(values) else (0, 0)
    if not high > low:
        return None
    edges = numpy.linspace(low, high, steps + 1)
    places = numpy.digitize(values, edges) - 1
    filled = [i for i in range(steps) if (places == i).any()]
    spread = [colours[places == i].astype(float).std(axis=0).max() for i in filled[1:]]
    if numpy.median(spread or [0]) > FULL_RANGE:
        return None
    middle = (edges[:-1] + edges[1:]) / 2
    bar = [numpy.interp(middle, middle[filled], [numpy.median(colours[places == i], axis=0)[channel] for i in filled])
           for channel in range(3)]
    return (low, high), numpy.stack(bar, axis=1) / 255


# ---- layout, in inches ----------------------------------------------------------------------------------------------

HEAD, GAP, MARGIN, FOOT_LINE = 0.62, 0.05, 0.1, 0.2


def place(columns, aspect):
    """Left edges, and the width and height of a picture: wider gaps between tasks than within one."""
    width = 2.2 if len(columns) <= 8 else 1.7
    lefts, left = [], MARGIN
    for previous, column in zip([None, *columns], columns):
        left += 0 if previous is None else GAP if column.task == previous.task else 0.18
        lefts.append(left)
        left += width
    return lefts, width, width * aspect


def has_unknown(task):
    return task.truth is not None and task.truth.dtype.kind == "f" and bool(numpy.isnan(task.truth).any())


def foot_of(columns):
    """Of each task what its colours mean: {task: (values, colours) or words}"""
    notes = {}
    for name in dict.fromkeys(column.task for column in columns if column.task):
        tasks = [column.shown for column in columns if column.task == name]
        first = tasks[0]
        if first.prediction_picture is None:
            continue
        if first.type == "instance":
            notes[name] = "a colour an instance, by its centroid;\ndark: none"
        elif first.type == "real":
            is_scalar = first.prediction.size == first.prediction_picture.size // 3
            words = "each picture from its least to its most" if is_scalar else "components as colours"
            notes[name] = colour_bar(tasks) or words + ("; black: not known" if has_unknown(first) else "")
    return notes


def draw_bar(figure, rectangle, bar, task):
    (low, high), colours = bar
    axes = figure.add_axes(rectangle)
    axes.imshow(colours[None], aspect="auto", extent=(low, high, 0, 1))
    axes.set(yticks=[])
    axes.grid(False)
    axes.tick_params(labelsize=7, length=2, pad=1)
    axes.xaxis.set_major_locator(pyplot.matplotlib.ticker.MaxNLocator(4))
    unit = task.unit + (" (disparity)" if task.scaling == "width" else "")
    axes.set_xlabel(unit + ("; black: not known" if has_unknown(task) else ""),
                    fontsize=7, labelpad=1)


def legend_places(width, classes):
    """(left edge, line) of each class: from left to right, in as many lines as it takes."""
    places, left, line = [], MARGIN, 0
    for name, _ in classes:
        wide = 0.32 + 0.075 * len(name)
        if left + wide > width - MARGIN and left > MARGIN:
            left, line = MARGIN, line + 1
        places.append((left, line))
        left += wide
    return places


def draw_legend(figure, size, classes, top):
    for (name, colour), (left, line) in zip(classes, legend_places(size[0], classes)):
        y = top - (line + 1) * FOOT_LINE
        figure.patches.append(pyplot.Rectangle((left / size[0], y / size[1]), 0.14 / size[0], 0.12 / size[1], facecolor=colour,
                                               edgecolor=FAINT, linewidth=0.4, transform=figure.transFigure))
        figure.text((left + 0.19) / size[0], (y + 0.06) / size[1], name, fontsize=7.5, va="center")


def draw_cell(figure, rectangle, column, row, cell, name):
    axes = figure.add_axes(rectangle)
    axes.axis("off")
    if isinstance(cell, str) or cell is None:
        axes.text(0.5, 0.5, cell or "no labels", transform=axes.transAxes, ha="center", va="center", fontsize=9,
                  color=FAINT if cell is None else common.INK)
        return
    axes.imshow(cell, interpolation="nearest", aspect="auto")
    empty = emptiness_of(column.shown, column.which, row) if column.shown else ""
    if empty:
        axes.text(0.5, 0.5, empty, transform=axes.transAxes, ha="center", va="center", fontsize=8, color="white")
    if name:
        axes.text(0.02, 0.04, name, transform=axes.transAxes, fontsize=7, color="white",
                  bbox={"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 2})


def figure_of(files, labels, names=False):
    rows = len(files[0].image)
    columns = columns_of(files, labels)
    lefts, width, height = place(columns, files[0].image[0].shape[0] / files[0].image[0].shape[1])
    classes, notes = classes_shown(columns), foot_of(columns)
    total = lefts[-1] + width + MARGIN
    bars = 0.5 if notes else 0
    lines = max((line + 1 for _, line in legend_places(total, classes)), default=0)
    foot = bars + FOOT_LINE * lines + MARGIN
    size = total, HEAD + rows * (height + GAP) + foot
    common.set_style()
    figure = pyplot.figure(figsize=size, dpi=150)
    previous = None
    for column, left in zip(columns, lefts):
        if column.task and column.task != previous:
            kind = column.shown.kind
            title = TITLES.get(kind, kind) if kind == column.task else f"{column.task} ({TITLES.get(kind, kind)})"
            figure.text(left / size[0], 1 - 0.12 / size[1], title, fontsize=11, fontweight="bold", va="top")
            note = notes.get(column.task)
            if isinstance(note, str):
                figure.text(left / size[0], (foot - 0.1) / size[1], note, fontsize=7, va="top")
            elif note:
                draw_bar(figure, (left / size[0], (foot - 0.14) / size[1], width / size[0], 0.1 / size[1]), note, column.shown)
        figure.text(left / size[0], 1 - 0.38 / size[1], column.heading, fontsize=9, va="top")
        for row, cell in enumerate(column.cells):
            bottom = size[1] - HEAD - (row + 1) * height - row * GAP
            draw_cell(figure, (left / size[0], bottom / size[1], width / size[0], height / size[1]), column, row, cell,
                      files[0].name[row] if names and not column.task else "")
        previous = column.task
    draw_legend(figure, size, classes, foot - bars)
    return figure


def positions(words):
    """For argparse's `type`."""
    if not all(word.isdecimal() for word in words.split(",")):
        raise argparse.ArgumentTypeError(f"{words}: numbers from 0, separated by commas, expected")
    return [int(word) for word in words.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="PRED.h5")
    parser.add_argument("--labels", help="one a file, separated by commas")
    parser.add_argument("-o", "--output", type=script.output_file(script.PICTURES), default="predictions.png", metavar="FILE", help=".png, .svg or .pdf (%(default)s)")
    parser.add_argument("--positions", type=positions,
                        help="which samples of the file to show, counted from 0 and separated by commas (the first four)")
    parser.add_argument("--names", action="store_true", help="write each sample's name on its image")
    arguments = parser.parse_args()
    labels = common.labels_of(arguments.files, arguments.labels)
    files = [load(path, arguments.positions) for path in arguments.files]
    for path, file in zip(arguments.files, files):
        if file.name != files[0].name or file.image[0].shape != files[0].image[0].shape:
            raise SystemExit(f"{path}: other samples or another size than {arguments.files[0]}")
    common.save(figure_of(files, labels, arguments.names), arguments.output)


if __name__ == "__main__":
    script.run(main)
