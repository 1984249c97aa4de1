"""Tables of the experiment of analysis/paper.md, from a digest; report() is all of them in Markdown."""

import math

import numpy

import compare
from paper_results import (HEADINGS, PAPER_TABLE, SEEDS_TO_JUDGE, TASKS, claims_of, deltas, difference, gate_lines,
                           gate_text, metric_of, paper_delta, rows_of, said_loss, worth)


def values_of(rows, label, task):
    return {seed: value for seed, run in sorted(rows.get(label, {}).items()) if task in run["tasks"]
            and math.isfinite(value := metric_of(run, task, "test"))}


def is_comparable(rows, label):
    """With equal, whose Delta_m is the mean of the same tasks."""
    tasks = lambda name: [run["tasks"] for run in rows[name].values()][:1]
    return label != "equal" and "equal" in rows and tasks(label) == tasks("equal")


def rows_table(rows):
    """Every weighting of several tasks: seeds, metrics, Delta_m and its paired difference from equal."""
    order = sorted((label for label in rows if len(next(iter(rows[label].values()))["tasks"]) > 1 or "alone" in label),
                   key=lambda label: ("alone" not in label, -numpy.mean(list(deltas(rows, label).values()) or [-math.inf])))
    cells = []
    for label in order:
        runs = rows[label].values()
        several = "alone" not in label
        cells.append([str(len(runs)), *(compare.spread_text(list(values_of(rows, label, task).values()), form)
                                        for task, form in zip(TASKS, (".2f", ".3f", ".4f"))),
                      compare.spread_text(list(deltas(rows, label).values()) if several else [], ".2f", "+"),
                      compare.spread_text(difference(rows, label, "equal") if is_comparable(rows, label) else [], ".2f", "+")])
    headings = ["seeds", *HEADINGS.values(), "Delta_m, %", "difference from equal"]
    return compare.Table("", headings, order, cells, set())


def paper_table(rows):
    """The paper's Table 1 beside ours."""
    cells = []
    for label, paper in PAPER_TABLE.items():
        line = []
        for task, form in zip(TASKS, (".2f", ".3f", ".4f")):
            line += [f"{paper[task]:g}" if task in paper else "-", compare.spread_text(list(values_of(rows, label, task).values()), form)]
        several = "alone" not in label
        line += [f"{paper_delta(label):+.1f}" if several else "-",
                 compare.spread_text(list(deltas(rows, label).values()) if several else [], ".1f", "+")]
        cells.append(line)
    headings = [f"{heading}: {whose}" for heading in [*HEADINGS.values(), "Delta_m, %"] for whose in ("paper", "ours")]
    return compare.Table("", headings, list(PAPER_TABLE), cells, set())


def claims_table(claims):
    cells = [[claim.paper, compare.spread_text(claim.values, ".2f", "+"),
              f"{sum(value > 0 for value in claim.values)} of {len(claim.values)}", claim.verdict] for claim in claims]
    return compare.Table("claim", ["paper", "ours", "speak for it", "verdict"], [claim.text for claim in claims], cells, set())


def calibration_table(rows):
    """What the learned log-variance says the loss is, exp(s), beside the loss in training and the error on test."""
    cells, names = [], []
    for label in ("uncertainty", *(label for label in rows if label.startswith("uncertainty: "))):
        for task in TASKS:
            runs = [run for run in rows.get(label, {}).values() if task in run["log_variance"]]
            if not runs:
                continue
            scale = [said_loss(run, task) for run in runs]
            held = [metric_of(run, task, "test") for run in runs] if task != "semantic" else []
            names.append(f"{label}, {task}")
            cells.append([compare.spread_text(scale, ".3f"), compare.spread_text([run["loss"][task] for run in runs], ".3f"),
                          compare.spread_text(held, ".3f"),
                          compare.spread_text([said / error for said, error in zip(scale, held)], ".2f")])
    return compare.Table("", ["says the loss is", "training loss", "error on test", "ratio"], names, cells, set())


def rates_note(rates):
    """Where constant weights and uncertainty are not compared at one learning rate."""
    first, second = rates.get("equal"), rates.get("uncertainty")
    return [f"Constant weights, those fixed at uncertainty's final values too, are trained at the learning rate that equal chose, "
            f"{first:g}, uncertainty at its own, {second:g}: their differences have a part of that."] if first and second and first != second else []


def report(digest):
    """Markdown"""
    rows = rows_of(digest)
    choices = digest["choices"]
    part = lambda title, table, *notes: [f"## {title}", "", compare.as_markdown([table], notes)]
    lines = ["# The paper's claims on synthetic scenes", "",
             f"Runs of {digest['steps']} steps; {digest['program']}. Learning rates: "
             + ", ".join(f"{name} {rate:g}" for name, rate in choices["rates"].items()) + ".", ""]
    lines += part("Claims", claims_table(claims_of(rows)),
                  f"Differences in percentage points of Delta_m (gains in %) on the test split, mean ± standard deviation, of pairs with "
                  f"the same seed. Supported, refuted: all {SEEDS_TO_JUDGE} seeds agree in sign (of starts and noise: all comparisons); "
                  "else undecided.", *rates_note(choices["rates"]))
    lines += part("Table 1 beside the paper's", paper_table(rows),
                  "The paper's: Tiny Cityscapes, validation, one run. Ours: test split, mean ± standard deviation over seeds.")
    lines += part("All rows", rows_table(rows), "Sorted by Delta_m. The difference from equal is that of pairs with the same seed.")
    if words := worth(rows):
        reached = compare.spread_text(list(deltas(rows, "uncertainty").values()), ".2f", "+")
        lines += ["## Trials saved", "", f"{words}: by Delta_m on test, {reached} %.", ""]
    lines += part("Sigma beside the residuals", calibration_table(rows),
                  "exp(s), of cross-entropy exp(s)/2: the loss at which the learned s would be the minimiser. The evaluation measures "
                  "no cross-entropy.")
    if any(run["stage"] == "full" for run in digest["runs"]) and digest.get("trivial"):
        lines += ["## Gate", "", *(f"- {line}" for line in gate_text(gate_lines(digest)).splitlines()), ""]
    return "\n".join(lines)
