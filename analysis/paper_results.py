"""What the runs of jobs/paper.sh say about the paper's claims: rows over seeds, gains over single tasks, judgements.

Works on a digest (paper.py writes it): a dictionary with `trivial` {task: {metric: value}}, `choices` (learning rates, the best
hand-tuned weighting, uncertainty's final weights) and `runs`, a list of what paper.digest_of() keeps of each.
"""

import collections
import math

import numpy

import common
import compare

TASKS = "semantic", "instance", "depth"
# Of each task the metric that it is judged by: its name, and whether more is better.
JUDGED = {task: (metric, common.METRICS[metric][1])
          for task, metric in (("semantic", "miou"), ("instance", "error_pixels"), ("depth", "error_pixels"))}
HEADINGS = {"semantic": "IoU, %", "instance": "instance, px", "depth": "depth, px"}
SEEDS_TO_JUDGE = 5
BEST, CONTROL = "best hand-tuned", "fixed at uncertainty's final weights"  # rows; the first is another name of one

# Table 1 and figure 2 of Kendall, Gal and Cipolla (CVPR 2018), on Tiny Cityscapes: IoU %, instance px, inverse depth px.
PAPER_TABLE = {
    "semantic alone": {"semantic": 59.4}, "instance alone": {"instance": 4.61}, "depth alone": {"depth": 0.640},
    "equal": {"semantic": 50.1, "instance": 3.79, "depth": 0.592},
    "best hand-tuned": {"semantic": 62.8, "instance": 3.61, "depth": 0.549},
    "uncertainty: semantic + instance": {"semantic": 61.0, "instance": 3.42},
    "uncertainty: semantic + depth": {"semantic": 62.7, "depth": 0.533},
    "uncertainty: instance + depth": {"instance": 3.54, "depth": 0.539},
    "uncertainty": {"semantic": 63.4, "instance": 3.50, "depth": 0.522},
}
PAPER_SWEEPS = {  # {pair: {weight of its first task: (its metric, the other's)}}
    ("semantic", "depth"): {.975: (59.5, .664), .95: (59.9, .603), .9: (60.1, .586), .85: (60.4, .582), .8: (59.6, .577),
                            .7: (59.0, .573), .5: (56.3, .602), .2: (47.2, .625), .1: (42.7, .628)},
    ("instance", "depth"): {.75: (4.52, .692), .5: (4.30, .655), .4: (4.14, .641), .3: (4.04, .615), .2: (3.83, .607),
                            .1: (3.91, .600), .05: (4.27, .607), .025: (4.31, .624)},
}


# ---- rows ----------------------------------------------------------------------------------------------------------

def shares(run):
    """Constant weights as shares of 1, (semantic, instance, depth) or those of the run's tasks; None: not constant."""
    if run["method"] == "equal":
        return (1 / len(run["tasks"]),) * len(run["tasks"])
    if run["method"] != "fixed":
        return None
    weights = [run["weights"][task] for task in run["tasks"]]
    return tuple(weight / sum(weights) for weight in weights)


def same_shares(a, b):
    return a is not None and b is not None and len(a) == len(b) and numpy.allclose(a, b, rtol=1e-3, atol=0)


def row_of(run, choices):
    """The label of the row that a run is a seed of."""
    tasks = run["tasks"]
    if run.get("noise"):
        return "noise of " + ", ".join(f"{name} {value:g}" for name, value in run["noise"].items())
    if run.get("start"):
        return f"start at {run['start']:g}"
    if len(tasks) == 1:
        return f"{tasks[0]} alone"
    if run["method"] != "fixed":
        return run["method"] + ("" if len(tasks) == 3 else ": " + " + ".join(tasks))
    if len(tasks) == 3 and same_shares(shares(run), choices.get("final")):
        return CONTROL
    return "fixed " + " ".join(f"{share:.3g}" for share in shares(run)) + \
           ("" if len(tasks) == 3 else ": " + " + ".join(tasks))


def rate_of(run, rates):
    """The learning rate that was chosen for such a run; None before it was."""
    if len(run["tasks"]) == 1:
        return rates.get(run["tasks"][0])
    return rates.get("uncertainty" if run["method"] in LIKE_UNCERTAINTY else "equal")


# What learns log-variances, or puts their minimiser in, has the learning rate of uncertainty (jobs/paper/main.txt).
LIKE_UNCERTAINTY = "uncertainty", "revised_uncertainty", "uw_o", "uw_so", "imtl_l"


def at_chosen_rates(digest):
    """Runs of the whole length, without those that the gate made at a rate which was not chosen then."""
    wanted = lambda run: rate_of(run, digest["choices"]["rates"])
    return [run for run in digest["runs"] if run["stage"] == "full"
            and (wanted(run) is None or math.isclose(run["rate"], wanted(run), rel_tol=1e-6))]


def rows_of(digest):
    """{label: {seed: run}} of the runs of the whole length at the chosen learning rates; "best hand-tuned" is another name of
    one of them."""
    choices = digest["choices"]
    rows = {}
    for run in at_chosen_rates(digest):
        rows.setdefault(row_of(run, choices), {})[run["seed"]] = run
    for label in list(rows):
        one = next(iter(rows[label].values()))
        if len(one["tasks"]) == 3 and same_shares(shares(one), choices.get("best")) and label != CONTROL:
            rows[BEST] = rows[label]
    return rows


def metric_of(run, task, split):
    return run[split].get(task, {}).get(JUDGED[task][0], math.nan)


def finite(values):
    return [value for value in values if math.isfinite(value)]


def baselines_of(runs, split):
    """{task: mean of its metric over the runs of this task alone}"""
    found = collections.defaultdict(list)
    for run in runs:
        if len(run["tasks"]) == 1:
            found[run["tasks"][0]].append(metric_of(run, run["tasks"][0], split))
    return {task: float(numpy.mean(finite(values))) if finite(values) else math.nan for task, values in found.items()}


def gain(task, value, baseline):
    """In % of the baseline, positive is better."""
    return 100 * (1 if JUDGED[task][1] else -1) * (value - baseline) / baseline


def delta_m(run, baselines, split):
    """Mean of the gains over the run's tasks (as compare.py's Delta_m, over each task's first metric)."""
    return float(numpy.mean([gain(task, metric_of(run, task, split), baselines.get(task, math.nan)) for task in run["tasks"]]))


def deltas(rows, label, split="test"):
    """{seed: Delta_m}; empty where the row is missing"""
    baselines = baselines_of(all_runs(rows), split)
    found = {seed: delta_m(run, baselines, split) for seed, run in rows.get(label, {}).items()}
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def all_runs(rows):
    return [run for label, seeds in rows.items() if label != BEST for run in seeds.values()]


def hand_tuned(rows):
    """Runs of seed 1 with constant weights of three tasks: the trials of someone who tunes by hand."""
    found = {}
    for label, seeds in rows.items():
        run = seeds.get(1)
        if run and label != CONTROL and len(run["tasks"]) == 3 and shares(run):
            found[shares(run)] = run
    return list(found.values())


# ---- choices, on the validation split -------------------------------------------------------------------------------

def choose_rates(runs):
    """{"semantic": rate, ..., "equal": rate, "uncertainty": rate} of the runs of half the length: the best on validation,
    of several tasks by Delta_m over the best of each task alone."""
    short = [run for run in runs if run["stage"] == "short"]
    best = {}
    for task in TASKS:
        alone = [run for run in short if run["tasks"] == [task]]
        if alone:
            sign = 1 if JUDGED[task][1] else -1
            best[task] = max(alone, key=lambda run: sign * worst_if_nan(sign, metric_of(run, task, "val")))
    baselines = baselines_of(best.values(), "val")
    for method in "equal", "uncertainty":
        rows = [run for run in short if len(run["tasks"]) == 3 and run["method"] == method]
        if rows:
            best[method] = max(rows, key=lambda run: worst_if_nan(1, delta_m(run, baselines, "val")))
    return {name: run["rate"] for name, run in best.items()}


def worst_if_nan(sign, value):
    return value if math.isfinite(value) else -sign * math.inf


def choose_best(rows):
    """The shares of the best hand-tuned weighting."""
    baselines = baselines_of(all_runs(rows), "val")
    trials = [(delta_m(run, baselines, "val"), shares(run)) for run in hand_tuned(rows)]
    trials = [trial for trial in trials if math.isfinite(trial[0])]
    return max(trials)[1] if trials else None


def choose_final(rows):
    """The weights that uncertainty ends with, as shares: their geometric mean over seeds."""
    runs = rows.get("uncertainty", {}).values()
    if not runs:
        return None
    weights = [math.exp(numpy.mean([math.log(run["weight"][task]) for run in runs])) for task in TASKS]
    return tuple(weight / sum(weights) for weight in weights)


# ---- the gate --------------------------------------------------------------------------------------------------------

BOUNDS = {"semantic": (30, 75), "instance": (15, 70), "depth": (15, 70)}  # %; of errors, of the trivial predictor's

GateLine = collections.namedtuple("GateLine", "task value low high swept deviation holds")


def gate_lines(digest):
    """Of each task: its value alone (mean over seeds; IoU, or the error in % of the trivial predictor's), the bounds, the range
    of its metric over the weightings, the deviation over seeds, and whether both conditions hold."""
    full, lines = at_chosen_rates(digest), []
    for task in TASKS:
        alone = [metric_of(run, task, "val") for run in full if run["tasks"] == [task]]
        swept = [metric_of(run, task, "val") for run in full if len(run["tasks"]) == 3 and run["method"] == "fixed"]
        alone, swept = finite(alone), finite(swept)
        if not alone or not swept:
            raise SystemExit(f"the gate wants runs of {task} alone, and of fixed weights of three tasks: none is done")
        value = numpy.mean(alone)
        if task != "semantic":
            value = 100 * value / digest["trivial"][task][JUDGED[task][0]]
        low, high = BOUNDS[task]
        spread, extent = compare.deviation(alone), max(swept) - min(swept)
        holds = low <= value <= high and (not math.isfinite(spread) or extent > 3 * spread)
        lines.append(GateLine(task, value, low, high, extent, spread, bool(holds)))
    return lines


def gate_text(lines):
    words = []
    for line in lines:
        what = "mean IoU" if line.task == "semantic" else "error, of the trivial predictor's"
        words.append(f"{line.task}: {what} {line.value:.1f} % alone (expected {line.low} to {line.high}); over weights it moves by "
                     f"{line.swept:.3g}, seeds deviate by {line.deviation:.3g}: {'holds' if line.holds else 'does not hold'}")
    fine = all(line.holds for line in lines)
    words.append("the gate holds" if fine else "the gate does not hold: make the scenes harder or easier (DIFFICULTY), or the runs "
                 "longer (HOURS), in another FOLDER and DATA")
    return "\n".join(words) + "\n"


# ---- judgement -------------------------------------------------------------------------------------------------------

Claim = collections.namedtuple("Claim", "text paper values verdict")
Claim.__doc__ = "values: differences, one a seed (or a comparison); positive where the claim is right."


def verdict(values, needed=SEEDS_TO_JUDGE):
    """\\param values  one a seed; positive speaks for the claim"""
    values = finite(values)
    if len(values) < needed or not (all(value > 0 for value in values) or all(value < 0 for value in values)):
        return "undecided"
    return "supported" if values[0] > 0 else "refuted"


def paper_delta(label):
    singles = {task: PAPER_TABLE[f"{task} alone"][task] for task in TASKS}
    return float(numpy.mean([gain(task, value, singles[task]) for task, value in PAPER_TABLE[label].items()]))


def judged(text, paper, values, needed=SEEDS_TO_JUDGE):
    values = finite(values)
    return Claim(text, paper, values, verdict(values, needed))


def difference(rows, label, other):
    """Paired differences of Delta_m, {seed: value}"""
    first, second = deltas(rows, label), deltas(rows, other)
    return [first[seed] - second[seed] for seed in sorted(first) if seed in second]


def paired_gains(rows, label, task):
    """Gains in % over the run of this task alone with the same seed."""
    alone = rows.get(f"{task} alone", {})
    return [gain(task, metric_of(run, task, "test"), metric_of(alone[seed], task, "test"))
            for seed, run in sorted(rows.get(label, {}).items()) if seed in alone]


def gains_over_alone(rows, label):
    """Delta_m less that of the runs of each task alone with the same seed, one a seed: what is said of these runs is judged by
    pairs, as their mean is a draw of seeds too. The mean over seeds is that of Delta_m."""
    baselines, found = baselines_of(all_runs(rows), "test"), []
    for seed, run in sorted(rows.get(label, {}).items()):
        alone = [rows.get(f"{task} alone", {}).get(seed) for task in run["tasks"]]
        if all(alone):
            apart = [gain(task, metric_of(run, task, "test"), baselines[task]) - gain(task, metric_of(one, task, "test"), baselines[task])
                     for task, one in zip(run["tasks"], alone)]
            found.append(float(numpy.mean(apart)))
    return found


CLOSE = 0.1  # of log-variances: sigma within 5 %


def start_distances(rows):
    """CLOSE less the distance of each final log-variance from that of the same seed that started at 0."""
    usual = rows.get("uncertainty", {})
    return [CLOSE - abs(run["log_variance"][task] - usual[seed]["log_variance"][task])
            for label, seeds in rows.items() if label.startswith("start at") for seed, run in seeds.items() if seed in usual
            for task in TASKS]


NOISY = {"disparity": "depth", "vectors": "instance"}  # which task the noise is in


def noise_ladder(rows, name):
    """[(noise, run)] from no noise upwards, of seed 1"""
    ladder = [(0.0, rows["uncertainty"][1])] if 1 in rows.get("uncertainty", {}) else []
    for label, seeds in rows.items():
        for run in seeds.values():
            if run.get("noise", {}).get(name):
                ladder.append((run["noise"][name], run))
    return sorted(ladder, key=lambda rung: rung[0])


def noise_steps(rows):
    """Of each level of noise: how far the noisy task's log-variance lies above that of the level below."""
    steps = []
    for name, task in NOISY.items():
        values = [run["log_variance"][task] for _, run in noise_ladder(rows, name)]
        steps += [float(step) for step in numpy.diff(values)]
    return steps


def claims_of(rows):
    alone = "each task alone"
    claims = [
        judged("uncertainty beats equal weights (Delta_m)", f"{paper_delta('uncertainty') - paper_delta('equal'):+.1f}",
               difference(rows, "uncertainty", "equal")),
        judged("uncertainty beats the best hand-tuned weights (Delta_m)",
               f"{paper_delta('uncertainty') - paper_delta('best hand-tuned'):+.1f}", difference(rows, "uncertainty", BEST)),
        judged(f"uncertainty beats {alone} (Delta_m)", f"{paper_delta('uncertainty'):+.1f}", gains_over_alone(rows, "uncertainty")),
    ]
    for task in TASKS:
        paper = gain(task, PAPER_TABLE["uncertainty"][task], PAPER_TABLE[f"{task} alone"][task])
        claims.append(judged(f"uncertainty beats {task} alone (gain)", f"{paper:+.1f}", paired_gains(rows, "uncertainty", task)))
    claims.append(judged(f"equal weights beat {alone} (Delta_m)", f"{paper_delta('equal'):+.1f}", gains_over_alone(rows, "equal")))
    for pair in (("semantic", "instance"), ("semantic", "depth"), ("instance", "depth")):
        label = "uncertainty: " + " + ".join(pair)
        claims.append(judged(f"{label} beats each alone (Delta_m)", f"{paper_delta(label):+.1f}", gains_over_alone(rows, label)))
    claims += [
        judged("learning the weights beats fixing them at their final values (Delta_m)", "-",
               difference(rows, "uncertainty", CONTROL)),
        judged("learning the log-variances beats their closed-form minimiser, UW-O (Delta_m)", "-",
               difference(rows, "uncertainty", "uw_o")),
        judged(f"starts from -2 to 5 end at the same log-variances ({CLOSE:g} less each distance; one seed)", "the same",
               start_distances(rows), 9),
        judged("the log-variance follows the noise of the labels (rise at each level; one seed)", "-", noise_steps(rows), 6),
    ]
    return claims


def said_loss(run, task):
    """The loss at which the learned log-variance would be the minimiser: exp(s), of cross-entropy exp(s)/2."""
    return math.exp(run["log_variance"][task]) / (2 if task == "semantic" else 1)


# ---- hand-tuning ------------------------------------------------------------------------------------------------------

def expected_best(validation, test):
    """Of k of the n trials drawn at random, k = 1 .. n: the expected test value of the one that is best on validation."""
    order = numpy.argsort(validation)  # the best of a draw is the last of its trials in this order
    n = len(order)
    values = numpy.asarray(test, float)[order]
    return numpy.array([sum(math.comb(i, k - 1) * values[i] for i in range(n)) / math.comb(n, k) for k in range(1, n + 1)])


def trials_of(rows):
    """(expected best of k trials on test, Delta_m, k = 1 ..), of those that were measured"""
    baselines = {split: baselines_of(all_runs(rows), split) for split in ("val", "test")}
    trials = [[delta_m(run, baselines[split], split) for split in baselines] for run in hand_tuned(rows)]
    trials = numpy.array([trial for trial in trials if numpy.isfinite(trial).all()]).reshape(-1, 2)
    return expected_best(*trials.T)


def trials_saved(expected, reached):
    """How many trials it takes to expect `reached`; None: more than there were."""
    enough = numpy.nonzero(expected >= reached)[0]
    return int(enough[0]) + 1 if len(enough) else None


def worth(rows):
    """In words: how much of hand-tuning one run of uncertainty is worth; "" where either is missing."""
    expected, reached = trials_of(rows), list(deltas(rows, "uncertainty").values())
    if not len(expected) or not reached:
        return ""
    saved = trials_saved(expected, numpy.mean(reached))
    return "One run of uncertainty is worth " + (f"more than all {len(expected)} trials" if saved is None else
                                                 "no more than one trial" if saved == 1 else f"{saved} trials") + " of hand-tuning"

