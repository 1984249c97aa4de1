#!/usr/bin/env python3
"""The experiment of `make paper` (analysis/paper.md): what jobs/paper.sh asks between its stages, and tables and pictures.

    analysis/paper.py draw DIGEST.json [-o FOLDER]        tables (paper_results.md) and pictures, without any run
    analysis/paper.py digest FOLDER [-o DIGEST.json]      what the runs of FOLDER say, some hundred kB
    analysis/paper.py gate FOLDER                         whether the task is neither too easy nor too hard; exit code 1: not
    analysis/paper.py fill LIST FOLDER [--data FOLDER]    LIST with what earlier stages chose filled in

FOLDER is that of jobs/paper.sh (runs/paper): full/ and short/ hold the runs, choices.json what was chosen on the validation split.
A choice stays once it is made, whatever runs come later; remove choices.json to choose again.
"""

import argparse
import json
import os
import re
import sys

import script

script.needs("numpy", "h5py", "matplotlib")

import numpy

import common
import paper_results

FORMAT = "sigmatic-paper-digest 1"
CURVE_POINTS = 33


# ---- digest --------------------------------------------------------------------------------------------------------

def rounded(value, digits=5):
    return float(f"{value:.{digits}g}")


def mapped(content, change):
    """A copy in which `change` took the place of every plain value."""
    if isinstance(content, dict):
        return {key: mapped(value, change) for key, value in content.items()}
    return [mapped(value, change) for value in content] if isinstance(content, list) else change(content)


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}")
    except ValueError as error:
        raise SystemExit(f"{path}: not JSON ({error})")


def evaluated(path, what="value"):
    """{task: {metric: value}} of what `sigmatic eval --json` printed; {} without the file."""
    if not os.path.exists(path):
        return {}
    return {task: {metric: rounded(one[what]) for metric, one in metrics.items() if one.get(what) is not None}
            for task, metrics in read_json(path)["tasks"].items()}


def noise_of(path):
    """{"disparity": 0.5} of the training file that jobs/paper.sh names for its noise; {} of others"""
    found = re.fullmatch(r"(disparity|vectors)-([0-9.]+)\.h5", os.path.basename(path.strip('"')))
    return {found[1]: float(found[2])} if found else {}


def thinned(values):
    """About CURVE_POINTS of them, the first and the last included."""
    rows = numpy.unique(numpy.linspace(0, len(values) - 1, min(CURVE_POINTS, len(values))).round().astype(int))
    return [rounded(value, 4) for value in numpy.asarray(values, float)[rows]]


def digest_of(run, stage):
    """What is kept of a common.Run. Ends are means over the last tenth of the steps."""
    last = max(1, len(run) // 10)
    end = lambda column: rounded(common.trailing_mean(column, last))
    learned = {name: task for name, task in run.tasks.items() if numpy.isfinite(task.log_variance).any()}
    varying = [name for name, task in run.tasks.items() if len(numpy.unique(task.weight[numpy.isfinite(task.weight)])) > 1]
    section = lambda task: run.config.get(f"task.{task}", {})
    starts = {float(section(task).get("log_variance", 0)) for task in learned}
    one = {"stage": stage, "name": os.path.basename(run.folder), "tasks": list(run.tasks), "seed": common.seed_of(run),
           "method": run.config["weighting"]["method"], "rate": float(run.config["optimizer"]["learning_rate"]),
           "steps": len(run),
           "val": {task: {metric: rounded(values[-1]) for metric, values in metrics.items()}
                   for task, metrics in run.evaluations["val"].metrics.items()} if "val" in run.evaluations else {},
           "test": evaluated(os.path.join(run.folder, "test.json")),
           "loss": {name: end(task.loss) for name, task in run.tasks.items()},
           "weight": {name: end(task.weight) for name, task in run.tasks.items()},
           "log_variance": {name: end(task.log_variance) for name, task in learned.items()}}
    if one["method"] == "fixed":
        one["weights"] = {task: float(section(task)["weight"]) for task in run.tasks}
    if len(starts) == 1 and starts != {0.0}:
        one["start"] = starts.pop()
    if noise_of(run.config["data"]["train"]):
        one["noise"] = noise_of(run.config["data"]["train"])
    if varying:
        one["curve"] = {"step": thinned(run.step), "weight": {name: thinned(run.tasks[name].weight) for name in varying},
                        "log_variance": {name: thinned(task.log_variance) for name, task in learned.items()}}
    return one


def digest(folder):
    """Of all runs that are done, see paper_results."""
    runs, program = [], ""
    for stage in "short", "full":
        below = os.path.join(folder, stage)
        for path in common.runs_below(below) if os.path.isdir(below) else []:
            if common.read_status(os.path.dirname(path))[0] == "done":
                run = common.Run(path)
                runs.append(digest_of(run, stage))
                program = f"sigmatic {run.attributes.get('version', '?')}"
    trivial = {}
    for path in sorted(run["name"] for run in runs if run["stage"] == "full"):
        trivial = trivial or evaluated(os.path.join(folder, "full", path, "trivial.json"), "trivial")
    return {"format": FORMAT, "program": program, "steps": max([run["steps"] for run in runs if run["stage"] == "full"], default=0),
            "trivial": trivial, "choices": read_choices(folder), "runs": runs}


def read_digest(path):
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SystemExit(f"{path}: not a digest of the format '{FORMAT}', as paper.py digest writes it")
    return {**content, "runs": mapped(content["runs"], lambda value: numpy.nan if value is None else value)}


def as_json(content):
    """A run a line. JSON has no NaN."""
    content = mapped(content, lambda value: None if isinstance(value, float) and not numpy.isfinite(value) else value)
    runs = ",\n  ".join(json.dumps(run) for run in content["runs"])
    rest = ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items() if key != "runs")
    return f'{{{rest},\n "runs": [\n  {runs}\n ]}}\n'


# ---- choices ---------------------------------------------------------------------------------------------------------

def read_choices(folder):
    path = os.path.join(folder, "choices.json")
    return read_json(path) if os.path.exists(path) else {"rates": {}}


WORDS = re.compile(r"\b(RATE_[a-z]+|BEST_HAND_TUNED|FINAL_WEIGHTS|DATA)\b")


def choose(folder, words):
    """Makes the choices that `words` ask for, and are not made, and keeps them."""
    choices, content = read_choices(folder), None
    rates = [word[len("RATE_"):] for word in words if word.startswith("RATE_")]
    wanted = [name for name, word in (("best", "BEST_HAND_TUNED"), ("final", "FINAL_WEIGHTS")) if word in words]
    if any(rate not in choices["rates"] for rate in rates) or any(name not in choices for name in wanted):
        content = digest(folder)
        choices["rates"] = {**paper_results.choose_rates(content["runs"]), **choices["rates"]}
        rows = lambda: paper_results.rows_of({**content, "choices": choices})
        for name in sorted(wanted, reverse=True):  # the final weights first: runs with them are no trials of hand-tuning
            choices.setdefault(name, (paper_results.choose_best if name == "best" else paper_results.choose_final)(rows()))
    lacking = [f"RATE_{rate}" for rate in rates if rate not in choices["rates"]] + [name for name in wanted if not choices.get(name)]
    if lacking:
        raise SystemExit(f"{folder}: no run is done from which to choose {lacking[0]}")
    if content:
        common.write_text(os.path.join(folder, "choices.json"), json.dumps(choices, indent=1) + "\n")
    return choices


def override_of(shares):
    """A row's words for constant weights of the three tasks."""
    if numpy.ptp(shares) < 1e-6:
        return "weighting.method=equal"
    return "weighting.method=fixed " + " ".join(f"task.{task}.weight={share:.4g}" for task, share in zip(paper_results.TASKS, shares))


def fill(path, folder, data):
    """The list with its words filled in; comments stay as they are."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}")
    is_row = lambda line: line and line[0] not in "#;"
    words = {word for line in lines if is_row(line) for word in WORDS.findall(line)}
    choices = choose(folder, words)

    def meaning(match):
        word = match[1]
        if word == "DATA":
            return data
        if word.startswith("RATE_"):
            return f"{choices['rates'][word[len('RATE_'):]]:g}"
        return override_of(choices["best" if word == "BEST_HAND_TUNED" else "final"])

    return "\n".join(WORDS.sub(meaning, line) if is_row(line) else line for line in lines) + "\n"


# ---- commands ----------------------------------------------------------------------------------------------------------

def draw(path, folder):
    import paper_pictures
    import paper_tables
    content = read_digest(path)
    os.makedirs(folder, exist_ok=True)
    common.write_text(os.path.join(folder, "paper_results.md"), paper_tables.report(content))
    paper_pictures.draw_all(paper_results.rows_of(content), folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser("draw", help="tables and pictures of a digest")
    one.add_argument("digest")
    one.add_argument("-o", "--output", default=".", metavar="FOLDER")
    one = commands.add_parser("digest", help="what the runs say")
    one.add_argument("folder")
    one.add_argument("-o", "--output", default="digest.json", type=script.output_file((".json",)), metavar="FILE")
    commands.add_parser("gate", help="is the task of the right difficulty?").add_argument("folder")
    one = commands.add_parser("fill", help="fills choices into a list of runs")
    one.add_argument("list")
    one.add_argument("folder")
    one.add_argument("--data", default="data/paper", metavar="FOLDER")
    options = parser.parse_args()
    if options.command == "draw":
        draw(options.digest, options.output)
    elif options.command == "digest":
        common.write_text(options.output, as_json(digest(options.folder)))
    elif options.command == "fill":
        sys.stdout.write(fill(options.list, options.folder, options.data))
    else:
        lines = paper_results.gate_lines(digest(options.folder))
        sys.stdout.write(paper_results.gate_text(lines))
        raise SystemExit(not all(line.holds for line in lines))


if __name__ == "__main__":
    script.run(main)
