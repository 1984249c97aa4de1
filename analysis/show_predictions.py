#!/usr/bin/env python3
"""Lays out pictures of predictions beside the truth.

    analysis/show_predictions.py PRED.h5 [PRED2.h5 ...] [--labels a,b] [-o predictions.png] [--positions 0,1,2,3]

Reads what `sigmatic eval --predictions FILE` writes. A row a sample; the image, then of each task the truth and the
prediction of every file, side by side. Files of several runs must hold the same samples.
"""

import argparse

import common
from common import pyplot

TITLES = {"semantic": "classes", "instance": "instances", "depth": "inverse depth"}


def load(path, samples):
    """{"name", "image", "kinds": {task: kind}, "truth": {task: pictures}, "prediction": {task: pictures}}"""
    with common.open_checked(path, "sigmatic-predictions") as file:
        count = len(file["image"])
        wrong = [sample for sample in samples if not 0 <= sample < count]
        if wrong:
            raise SystemExit(f"{path}: no sample {wrong[0]}; it holds {count} (0 to {count - 1})")
        pick = lambda dataset: [dataset[sample] for sample in samples]
        tasks = {name: file["tasks"][name] for name in common.in_order(file["tasks"])
                 if "prediction_picture" in file["tasks"][name]}  # a value a sample has none
        return {"name": [common.text(name) for name in pick(file["name"])], "image": pick(file["image"]),
                "kinds": {name: common.text(group.attrs.get("kind", name)) for name, group in tasks.items()},
                "truth": {name: pick(group["truth_picture"]) for name, group in tasks.items()
                          if "truth_picture" in group},  # labels may be missing
                "prediction": {name: pick(group["prediction_picture"]) for name, group in tasks.items()}}


def columns_of(files, labels):
    """[(task, heading, pictures)]: the image, then every task's truth and predictions."""
    columns = [("", "image", files[0]["image"])]
    for task in dict.fromkeys(task for file in files for task in file["kinds"]):
        holders = [(file, label) for file, label in zip(files, labels) if task in file["kinds"]]
        if task in holders[0][0]["truth"]:
            columns.append((task, "truth", holders[0][0]["truth"][task]))
        for file, label in holders:
            columns.append((task, label if len(files) > 1 else "prediction", file["prediction"][task]))
    return columns


def place(columns, rows, aspect):
    """Figure size and the left edge of each column, in inches: wider gaps between tasks than within one."""
    width = 2.2 if len(columns) <= 8 else 1.7
    lefts, left = [], 0.1
    for previous, (task, _, _) in zip([None] + [column[0] for column in columns], columns):
        left += 0 if previous is None else 0.05 if task == previous else 0.18
        lefts.append(left)
        left += width
    height = width * aspect
    return (left + 0.1, 0.62 + rows * (height + 0.05) + 0.08), lefts, (width, height)


def draw(files, labels, names, output):
    rows = len(files[0]["image"])
    columns = columns_of(files, labels)
    aspect = files[0]["image"][0].shape[0] / files[0]["image"][0].shape[1]
    common.set_style()
    size, lefts, (width, height) = place(columns, rows, aspect)
    figure = pyplot.figure(figsize=size, dpi=150)
    previous = None
    for (task, heading, pictures), left in zip(columns, lefts):
        if task and task != previous:
            kind = next(file["kinds"][task] for file in files if task in file["kinds"])
            title = TITLES.get(kind, kind) if kind == task else f"{task} ({TITLES.get(kind, kind)})"
            figure.text(left / size[0], 1 - 0.12 / size[1], title, fontsize=11, fontweight="bold", va="top")
        figure.text(left / size[0], 1 - 0.38 / size[1], heading, fontsize=9, va="top")
        for row, picture in enumerate(pictures):
            bottom = size[1] - 0.62 - (row + 1) * height - row * 0.05
            axes = figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))
            axes.imshow(picture, interpolation="nearest", aspect="auto")
            axes.axis("off")
            if names and not task:
                axes.text(0.02, 0.04, files[0]["name"][row], transform=axes.transAxes, fontsize=7, color="white",
                          bbox={"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 2})
        previous = task
    figure.savefig(output)
    print(f"wrote {output}: {rows} samples, {len(columns)} columns")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", metavar="PRED.h5")
    parser.add_argument("--labels", help="one a file, separated by commas")
    parser.add_argument("-o", "--output", default="predictions.png")
    parser.add_argument("--positions", default=None, help="which samples of the file to show, counted from 0 and separated by commas (the first four)")
    parser.add_argument("--names", action="store_true", help="write each sample's name on its image")
    arguments = parser.parse_args()
    labels = common.labels_of(arguments.files, arguments.labels)
    if arguments.positions:
        samples = [int(word) for word in arguments.positions.split(",")]
    else:
        with common.open_checked(arguments.files[0], "sigmatic-predictions") as file:
            samples = list(range(min(4, len(file["image"]))))
    files = [load(path, samples) for path in arguments.files]
    for path, file in zip(arguments.files, files):
        if file["name"] != files[0]["name"] or file["image"][0].shape != files[0]["image"][0].shape:
            raise SystemExit(f"{path}: other samples or another size than {arguments.files[0]}")
    draw(files, labels, arguments.names, arguments.output)


if __name__ == "__main__":
    main()
