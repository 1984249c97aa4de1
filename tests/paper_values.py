"""What analysis/paper*.py make of a digest whose answers are known: judgements, choices, the gate, every picture.
paper_values.py ANALYSIS FOLDER; a line "ok NAME" a test."""

import itertools
import json
import math
import os
import sys

sys.path.insert(0, sys.argv[1])
folder = sys.argv[2]
import matplotlib.image
import numpy

import paper
import paper_pictures
import paper_results as results

METRICS = {task: metric for task, (metric, _) in results.JUDGED.items()}
ALONE = {"semantic": 50.0, "instance": 4.0, "depth": 0.5}
RATES = {"semantic": 0.002, "instance": 0.005, "depth": 0.005, "equal": 0.005, "uncertainty": 0.0125}


def run_of(tasks, method, seed=1, gain=0.0, weights=None, stage="full", rate=None, **more):
    """Better than alone by `gain` % in each task, on validation one more."""
    values = lambda extra: {task: {METRICS[task]: ALONE[task] * (1 + (gain + extra) / 100 * (1 if task == "semantic" else -1))}
                            for task in tasks}
    one = {"stage": stage, "name": "x", "tasks": list(tasks), "seed": seed, "method": method, "steps": 100,
           "val": values(1.0 if len(tasks) > 1 else 0.0), "test": values(0.0), "loss": {task: 1.0 for task in tasks},
           "weight": {task: 1.0 for task in tasks}, "log_variance": {}, **more}
    if weights:
        one["weights"] = dict(zip(tasks, weights))
    if method in ("uncertainty", "revised_uncertainty"):
        one.setdefault("log_variance", {})
        one["log_variance"] = {task: {"semantic": 0.5, "instance": 1.4, "depth": -0.7}[task] + 0.01 * seed for task in tasks} | more.get("log_variance", {})
        one["weight"] = dict(zip(results.TASKS, (2.0, 0.5, 8.0)))
        one["curve"] = {"step": [1, 50, 100], "weight": {}, "log_variance": {task: [0, value, value] for task, value in one["log_variance"].items()}}
    one["rate"] = rate or results.rate_of(one, RATES)
    return one


def made_up():
    """uncertainty gains 10 + seed/10, equal 4 (seed 3: 12 of it), the control as much as equal, hand-tuned 1 .. 7 and 20."""
    runs = [run_of([task], "equal", seed) for task in results.TASKS for seed in range(1, 6)]
    runs += [run_of(["depth"], "equal", 1, gain=40, rate=0.001)]  # another rate than the chosen one: the gate's
    for seed in range(1, 6):
        runs.append(run_of(results.TASKS, "uncertainty", seed, gain=10 + seed / 10))
        runs.append(run_of(results.TASKS, "equal", seed, gain=12 if seed == 3 else 4))
        runs.append(run_of(results.TASKS, "uw_o", seed, gain=11 + seed / 10))
        runs.append(run_of(results.TASKS, "fixed", seed, gain=4, weights=(2 / 10.5, 0.5 / 10.5, 8 / 10.5)))
        runs.append(run_of(results.TASKS, "fixed", seed, gain=20 - seed, weights=(0.89, 0.01, 0.1)))
    for i, weights in enumerate(itertools.permutations((0.9, 0.09, 0.01))):
        runs.append(run_of(results.TASKS, "fixed", 1, gain=1 + i, weights=weights))
    for pair in (("semantic", "instance"), ("semantic", "depth"), ("instance", "depth")):
        runs += [run_of(pair, "uncertainty", seed, gain=3) for seed in range(1, 4)]
        runs += [run_of(pair, "fixed", 1, gain=5 * share, weights=(share, 1 - share)) for share in (0.9, 0.5, 0.1)]
    runs += [run_of(results.TASKS, "uncertainty", start=start) for start in (-2.0, 2.0, 5.0)]
    for name, task in results.NOISY.items():
        runs += [run_of(results.TASKS, "uncertainty", noise={name: level}, log_variance={task: 1.5 + level}) for level in (0.5, 1.0, 2.0)]
    runs += [run_of([task], "equal", stage="short", rate=rate, gain=gain)
             for task in results.TASKS for rate, gain in ((0.002, 3 if task == "semantic" else 1), (0.005, 2), (0.0125, 0))]
    runs += [run_of(results.TASKS, method, stage="short", rate=rate, gain=gain)
             for method, best in (("equal", 0.005), ("uncertainty", 0.0125)) for rate in (0.002, 0.005, 0.0125) for gain in (9 if rate == best else 8,)]
    trivial = {"semantic": {"miou": 10.0}, "instance": {"error_pixels": 10.0}, "depth": {"error_pixels": 1.0}}
    final = (2 / 10.5, 0.5 / 10.5, 8 / 10.5)
    return {"format": paper.FORMAT, "program": "sigmatic", "steps": 100, "trivial": trivial,
            "choices": {"rates": RATES, "best": [0.89, 0.01, 0.1], "final": list(final)}, "runs": runs}


def close(found, expected):
    assert numpy.allclose(found, expected, rtol=1e-9, atol=1e-9), (found, expected)


def rows_and_gains():
    rows = results.rows_of(made_up())
    assert len(rows["depth alone"]) == 5 and rows[results.BEST] is rows["fixed 0.89 0.01 0.1"]
    assert len(rows[results.CONTROL]) == 5 and rows["start at -2"][1]["start"] == -2
    close([results.deltas(rows, "uncertainty")[seed] for seed in range(1, 6)], [10.1, 10.2, 10.3, 10.4, 10.5])
    close(results.difference(rows, "uncertainty", "equal"), [6.1, 6.2, -1.7, 6.4, 6.5])
    close(results.paper_delta("uncertainty"), 100 / 3 * (4.0 / 59.4 + 1.11 / 4.61 + 0.118 / 0.64))


def judgements():
    assert results.verdict([1, 2, 3, 4, 0.1]) == "supported" and results.verdict([-1, -2, -3, -4, -0.1]) == "refuted"
    for values in [1, 2, 3, 4], [1, 2, 3, 4, -0.1], [1, 2, 3, 4, 0], [1, 2, 3, 4, math.nan], []:
        assert results.verdict(values) == "undecided", values
    found = {claim.text: claim.verdict for claim in results.claims_of(results.rows_of(made_up()))}
    expected = {"uncertainty beats equal": "undecided", "uncertainty beats the best hand-tuned": "refuted",
                "uncertainty beats each task alone": "supported", "uncertainty beats instance alone": "supported",
                "uncertainty: semantic + depth beats": "undecided", "learning the weights beats": "supported",
                "learning the log-variances beats": "refuted", "starts from": "supported", "the log-variance follows": "supported"}
    for begin, wanted in expected.items():
        (text,) = [text for text in found if text.startswith(begin)]
        assert found[text] == wanted, (text, found[text], wanted)
    content = made_up()
    for run in content["runs"]:
        if run.get("start") == 5:
            run["log_variance"]["depth"] += 0.2
        if run.get("noise") == {"vectors": 2.0}:
            run["log_variance"]["instance"] = 0
    found = {claim.text[:9]: claim.verdict for claim in results.claims_of(results.rows_of(content))}
    assert found["starts fr"] == "undecided" and found["the log-v"] == "undecided", found


def tasks_alone_are_compared_by_seed():
    """All seeds gain over the mean of the runs alone, but not every one over its own."""
    content = made_up()
    for run in content["runs"]:
        if run["tasks"] == ["depth"] and run["stage"] == "full":
            run["test"]["depth"]["error_pixels"] = 0.5 + 0.1 * (run["seed"] - 3)  # 0.3 .. 0.7, mean 0.5
    rows = results.rows_of(content)
    gains = results.gains_over_alone(rows, "uncertainty")
    close(gains, [10 + seed / 10 + 20 * (seed - 3) / 3 for seed in range(1, 6)])
    close(numpy.mean(gains), numpy.mean(list(results.deltas(rows, "uncertainty").values())))
    verdicts = {claim.text: (claim.verdict, len(claim.values)) for claim in results.claims_of(rows)}
    assert min(results.deltas(rows, "uncertainty").values()) > 0
    assert verdicts["uncertainty beats each task alone (Delta_m)"] == ("undecided", 5), verdicts
    del rows["semantic alone"][2]
    assert len(results.gains_over_alone(rows, "uncertainty")) == 4


def choices():
    content = made_up()
    close([results.choose_rates(content["runs"])[name] for name in RATES], list(RATES.values()))
    rows = results.rows_of({**content, "choices": {"rates": RATES}})
    close(results.choose_best(rows), (0.89, 0.01, 0.1))
    close(results.choose_final(rows), (2 / 10.5, 0.5 / 10.5, 8 / 10.5))
    for run in content["runs"]:  # the best of all are those fixed at uncertainty's final weights: no trials of hand-tuning
        if run["method"] == "fixed" and results.same_shares(results.shares(run), content["choices"]["final"]):
            run["val"] = {"semantic": {"miou": 90.0}, "instance": {"error_pixels": 0.1}, "depth": {"error_pixels": 0.1}}
    with open(os.path.join(folder, "choices.json"), "w") as file:
        json.dump({"rates": RATES}, file)
    paper.digest, digest = lambda _: content, paper.digest
    close(paper.choose(folder, {"BEST_HAND_TUNED", "FINAL_WEIGHTS"})["best"], (0.89, 0.01, 0.1))
    paper.digest = digest
    with open(os.path.join(folder, "choices.json"), "w") as file:
        json.dump(content["choices"], file)
    with open(os.path.join(folder, "list.txt"), "w") as file:
        file.write("; RATE_equal\nBEST_HAND_TUNED optimizer.learning_rate=RATE_equal\ndata.train=DATA/a.h5\n")
    assert paper.fill(os.path.join(folder, "list.txt"), folder, "data/x") == (
        "; RATE_equal\nweighting.method=fixed task.semantic.weight=0.89 task.instance.weight=0.01 task.depth.weight=0.1 "
        "optimizer.learning_rate=0.005\ndata.train=data/x/a.h5\n")
    assert paper.override_of((1 / 3,) * 3) == "weighting.method=equal"
    assert paper.noise_of('"data/vectors-2.h5"') == {"vectors": 2} and paper.noise_of("data/scenes.h5") == {}


def gate():
    content = made_up()
    for run in content["runs"]:
        if len(run["tasks"]) == 1 and run["stage"] == "full":
            run["val"] = {task: {metric: value * (1 + 0.001 * run["seed"]) for metric, value in one.items()} for task, one in run["test"].items()}
    lines = {line.task: line for line in results.gate_lines(content)}
    assert all(line.holds for line in lines.values()), lines
    close(lines["instance"].value, 40.0 * 1.003)
    close(lines["depth"].value, 50.0 * 1.003)
    content["trivial"]["depth"]["error_pixels"] = 0.6  # 83 %
    assert [line.holds for line in results.gate_lines(content)] == [True, True, False]
    assert "does not hold" in results.gate_text(results.gate_lines(content))
    content = {**content, "runs": [run for run in content["runs"] if run["method"] != "fixed" or run.get("weights", {}).get("semantic") == 0.01]}
    for run in content["runs"]:
        if len(run["tasks"]) == 1:
            run["val"]["semantic"] = {"miou": 50 + run["seed"]}
    assert not results.gate_lines(content)[0].holds  # seeds do as much as weights


def expected_best_of_trials():
    validation, test = [3.0, 1.0, 2.0, 5.0], [30.0, 10.0, 25.0, 20.0]
    for k in range(1, 5):
        draws = [test[max(draw, key=lambda i: validation[i])] for draw in itertools.combinations(range(4), k)]
        close(results.expected_best(validation, test)[k - 1], numpy.mean(draws))
    assert results.trials_saved(numpy.array([1, 2, 3]), 2) == 2 and results.trials_saved(numpy.array([1, 2, 3]), 4) is None
    rows = results.rows_of(made_up())
    assert len(results.trials_of(rows)) == 8
    worst = min(results.hand_tuned(rows), key=lambda run: run["val"]["semantic"]["miou"])
    worst["val"]["depth"]["error_pixels"] = math.nan  # not the best because nothing is known of it
    assert len(results.trials_of(rows)) == 7 and numpy.isfinite(results.trials_of(rows)).all()
    reached = lambda gain: {**rows, "uncertainty": {1: run_of(results.TASKS, "uncertainty", gain=gain)}}
    assert [results.worth(reached(gain)).split("worth ")[1] for gain in (-5, 30)] == [
        "no more than one trial of hand-tuning", "more than all 7 trials of hand-tuning"]
    assert results.worth({label: row for label, row in rows.items() if label != "uncertainty"}) == ""


def points_that_none_beats():
    points = [(1, 1), (2, 0.5), (3, 2), (0.5, 3), (3, 3)]
    assert paper_pictures.frontier(points, (True, False)) == [(2, 0.5), (3, 2)], paper_pictures.frontier(points, (True, False))


def everything_is_drawn():
    content = made_up()
    content["runs"][1]["test"]["semantic"]["miou"] = math.nan
    path = os.path.join(folder, "digest.json")
    with open(path, "w") as file:
        file.write(paper.as_json(content))
    assert "NaN" not in open(path).read()
    paper.draw(path, folder)
    for name in paper_pictures.PICTURES:
        picture = matplotlib.image.imread(os.path.join(folder, f"paper_{name}.png"))
        assert numpy.unique(picture.reshape(-1, picture.shape[2]), axis=0).shape[0] > 50, name
    text = open(os.path.join(folder, "paper_results.md")).read()
    assert "| uncertainty beats semantic alone (gain) | +6.7 | +10.32 ± 0.17 | 4 of 4 | undecided |" in text, text
    assert "| best hand-tuned | 62.8 | 58.50 ± 0.79 | 3.61 |" in text, text
    assert "One run of uncertainty is worth 3 trials of hand-tuning: by Delta_m on test, +10.30 ± 0.16 %." in text, text
    assert "at the learning rate that equal chose, 0.005, uncertainty at its own, 0.0125" in text, text
    for broken in '{"format": "x"}', "[1]", "{":
        with open(path, "w") as file:
            file.write(broken)
        try:
            paper.read_digest(path)
        except SystemExit as error:
            assert "digest.json: not" in str(error), error
        else:
            raise AssertionError("a broken digest is read")


for test in rows_and_gains, judgements, tasks_alone_are_compared_by_seed, choices, gate, expected_best_of_trials, points_that_none_beats, everything_is_drawn:
    test()
    print("ok", test.__name__.replace("_", " "))
