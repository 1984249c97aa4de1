"""Checks what analysis/ computes, on run files made here of numbers that are known: analysis_values.py ANALYSIS TASKS SCRATCH

Prints "ok NAME" or "FAILED NAME: why" for each property. Expected numbers come from numpy or by hand, not from analysis/."""

import argparse
import contextlib
import csv
import glob
import io
import os
import re
import sys
import traceback

sys.path.insert(0, sys.argv[1])
import common  # before h5py: it says how files are locked
import compare
import export
import plot_sigma
import report
import show_predictions

import h5py
import numpy

SCRATCH = os.path.join(sys.argv[3], "values")
STEPS = 40


def config_of(seed, method, tasks, extra, depth_weight, more):
    lines = ["[run]", f"folder = runs/{method}-{seed}", f"seed = {seed}", *more.get("run", ()), "[checkpoint]", *more.get("checkpoint", ()),
             "[weighting]", f"method = {method}"]
    for task in tasks:
        lines += [f"[task.{task}]", f"kind = {task}", f"weight = {depth_weight if task == 'depth' else 1}"]
    return "\n".join([*lines, "[optimizer]", f"learning_rate = {extra}", ""])


def make_run(name, seed, method="equal", tasks=("semantic", "depth"), miou=50.0, error=2.0, rate="0.1", status="done",
             steps=STEPS, depth_unit="px", **kind):
    """A run log as the program lays it out. `miou`, `error`: the last evaluation's."""
    folder = os.path.join(SCRATCH, name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "status"), "w") as file:
        file.write(status + "\n")
    row = numpy.arange(1, steps + 1)
    with h5py.File(os.path.join(folder, "run.h5"), "w") as file:
        file.attrs.update(format="sigmatic-run", format_version=1, config=config_of(seed, method, tasks, rate, kind.get("depth_weight", "1"), kind),
                          version="1", host="here", world_size=2)
        for column, values in {"step": row, "epoch": (row - 1) // 16, "seconds": 3.6 * row, "loss": kind.get("total", 1.0 / row) + 0 * row,
                               "learning_rate": 0 * row + 0.1, "gradient_norm": 1.0 * row, "images_per_second": 8.0 + 0 * row,
                               "applied": numpy.ones(steps, int)}.items():
            file[f"steps/{column}"] = values
        for task in tasks:
            group = file.create_group(f"tasks/{task}")
            unit = depth_unit if task == "depth" else "nat"
            group.attrs.update(kind=task, loss="l1" if task == "depth" else "cross_entropy", unit=unit, dimensions=1,
                               likelihood=kind.get("likelihood", "laplace"), meaning=kind.get("meaning", "scale"))
            group["loss"], group["weight"] = seed + 1.0 / row, kind.get("task_weight", 1.0) + 0 * row
            sigma = kind.get("sigma", seed + 0.01 * row) + 0 * row
            if "sigma_unit" in kind:
                group.attrs["sigma_unit"] = kind["sigma_unit"]
            group["sigma"], group["log_variance"] = sigma, kind["s"] + 0 * row if "s" in kind else 2 * numpy.log(sigma)
        file["evaluations/val/step"] = [steps // 2, steps]
        for task, metric, value in (("semantic", "miou", miou), ("depth", "error_pixels", error)):
            if task in tasks:
                file[f"evaluations/val/{task}/{metric}"] = [0.0, value]
        if kind.get("diagnosed"):
            diagnose(file, tasks, steps)
    return folder


RATIOS = {"semantic": [numpy.nan, 0.5], "depth": [2.0, 0.8]}


def diagnose(file, tasks, steps):
    """What newer logs have: sigma beside held-out data at each evaluation, and the tasks' gradients at every tenth step."""
    measured = numpy.where(numpy.arange(1, steps + 1) % 10 == 0, 1.0, numpy.nan)
    for i, task in enumerate(tasks):
        group = file[f"tasks/{task}"]
        for name, values in {"loss": [4.0, 3.0], "sigma": [1.0, 1.0], "residual_scale": 1 / numpy.array(RATIOS[task]), "ratio": RATIOS[task]}.items():
            file[f"calibration/val/{task}/{name}"] = values
        group["gradient_norm"], group["gradient_share"] = measured * (i + 1), measured * (i + 1) / sum(range(1, len(tasks) + 1))
        for other in tasks[i + 1:]:
            file[f"gradient_cosines/{task}/{other}"] = measured * -0.01 * numpy.arange(1, steps + 1)


def refusal(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except SystemExit as error:
        return str(error)
    raise AssertionError("not refused")


def table(runs, **options):
    rows = compare.make_rows([common.Run(run) for run in runs], **options)
    return rows, list(csv.DictReader(io.StringIO(compare.report(rows, "csv"))))


def cell(lines, row, task, metric):
    found = [line for line in lines if (line["row"], line["task"], line["metric"]) == (row, task, metric)]
    assert len(found) == 1, (row, task, metric, found)
    return {key: float(found[0][key]) if found[0][key] else None for key in
            ("seeds", "mean", "std", "pairs", "difference_mean", "difference_std")}


def close(found, expected):
    assert abs(found - expected) <= 1e-12 * abs(expected), (found, expected)


# ---- compare.py ----------------------------------------------------------------------------------------------------

EQUAL, LEARNED = {1: 50.0, 2: 53.0, 3: 47.5}, {1: 51.0, 2: 57.0, 3: 48.0, 4: 90.0}


def two_rows():
    return ([make_run(f"equal-{seed}", seed, miou=value) for seed, value in EQUAL.items()] +
            [make_run(f"learned-{seed}", seed, "uncertainty", miou=value) for seed, value in LEARNED.items()])


def means_deviations_and_pairs_are_numpys():
    rows, lines = table(two_rows())
    assert [row.label for row in rows] == ["method=equal", "method=uncertainty"], rows
    equal, learned = (cell(lines, row.label, "semantic", "miou") for row in rows)
    close(equal["mean"], numpy.mean(list(EQUAL.values())))
    close(equal["std"], numpy.std(list(EQUAL.values()), ddof=1))
    close(learned["mean"], numpy.mean(list(LEARNED.values())))
    assert (equal["seeds"], learned["seeds"], learned["pairs"]) == (3, 4, 3)
    pairs = [LEARNED[seed] - EQUAL[seed] for seed in EQUAL]  # seed 4 has none to pair with
    close(learned["difference_mean"], numpy.mean(pairs))
    close(learned["difference_std"], numpy.std(pairs, ddof=1))
    loss = cell(lines, "method=equal", "depth", "training loss")  # seed + 1 / step, of the last tenth of the steps
    close(loss["mean"], 2 + numpy.mean(1 / numpy.arange(STEPS - 3.0, STEPS + 1)))


def a_difference_is_marked_where_it_exceeds_what_seeds_do():
    seeds = {1: 1.0, 2: 2.0, 3: 3.0}  # standard deviation 1
    shifted = lambda by: {seed: value + by for seed, value in seeds.items()}
    for by, exceeds in ((0.9, False), (-0.9, False), (1.1, True), (-1.1, True)):
        assert compare.paired(seeds, shifted(by)).exceeds is exceeds, by
    assert compare.paired({1: 1.0}, {1: 2.0}).exceeds is None and compare.paired(seeds, {7: 1.0}).exceeds is None
    assert compare.difference_text(compare.paired(seeds, shifted(1.5)), ".2f") == "+1.50 ± 0.00 *"


def delta_m_is_the_mean_relative_gain_over_single_tasks():
    runs = [make_run("m1", 1, "uncertainty", miou=55.0, error=1.5), make_run("m2", 2, "uncertainty", miou=44.0, error=2.5),
            *(make_run(f"s{seed}", seed, "equal", ("semantic",), miou=value) for seed, value in ((1, 49.0), (2, 51.0))),
            make_run("d1", 1, "equal", ("depth",), error=2.0),
            make_run("d2", 2, "equal", ("depth",), error=2.0),
            make_run("far", 1, "equal", ("depth",), error=9.0, rate="0.5")]  # other settings: nobody's baseline
    with h5py.File(os.path.join(SCRATCH, "d1", "run.h5"), "r+") as file:  # of one seed only: no baseline
        file["evaluations/val/depth/error_metres"] = [0.0, 7.0]
    rows, lines = table(runs)
    found = cell(lines, rows[0].label, "", "delta_m")
    gains = [100 * (0.10 + 0.25) / 2, 100 * (-0.12 - 0.25) / 2]  # over a mean IoU of 50 and an error of 2
    close(found["mean"], numpy.mean(gains))
    close(found["std"], numpy.std(gains, ddof=1))
    assert len([line for line in lines if line["metric"] == "delta_m"]) == 1


def what_differs_in_more_than_the_seed_is_not_averaged():
    run = lambda *arguments, **options: common.Run(make_run(*arguments, **options))
    rate = [run("rate-1", 1), run("rate-2", 2, rate="0.2")]
    assert len(compare.make_rows(rate)) == 2
    message = refusal(compare.make_rows, rate, by=["weighting.method"])
    assert "optimizer.learning_rate (0.2 and 0.1): not averaged" in message, message
    assert "no run.steps" in refusal(compare.make_rows, rate, by=["run.steps"])


def what_is_no_sample_of_its_row_is_left_out_and_said():
    run = lambda *arguments, **options: common.Run(make_run(*arguments, **options))
    twins = [run("twin-1", 5), run("twin-2", 5), run("twin-3", 6)]
    kept, left_out = compare.a_run_each_seed(twins)
    assert kept == [twins[0], twins[2]] and [one.path for one in left_out] == [twins[1].path], left_out
    assert left_out[0].why == f"same configuration and seed 5 as {twins[0].path}", left_out
    longer = [run("length-1", 1), run("length-2", 2, steps=STEPS + 2)]
    kept, ((path, why),) = compare.a_run_each_seed(longer)
    assert kept == longer[1:] and path == longer[0].path and why == "40 steps, where others of its configuration have 42", why
    late = [run("late-1", 1, status="failed: no memory"), run("late-2", 2)]
    done, ((path, why),) = compare.finished(late)
    assert done == late[1:] and why == "failed after step 40: no memory", why
    (_, why), = compare.finished([run("late-3", 3, status="running")])[1]
    assert why == "running, or killed after step 40", why


def a_key_of_a_task_is_named_with_it():
    groups = [common.Run(make_run(f"key-{value}", 1, "fixed", depth_weight=value)) for value in ("1", "0.1")]
    assert [row.label for row in compare.make_rows(groups)] == ["depth.weight=1", "depth.weight=0.1"]
    three = [*groups, common.Run(make_run("key-equal", 1, "equal"))]  # which takes no weight: one is not spoken of
    assert [row.label for row in compare.make_rows(three)] == ["method=fixed, depth.weight=1", "method=fixed, depth.weight=0.1", "method=equal"]


def why_there_is_no_delta_m():
    both, semantic = common.Run(make_run("why-both", 1)), common.Run(make_run("why-semantic", 1, tasks=("semantic",)))
    depth = common.Run(make_run("why-depth", 1, tasks=("depth",), rate="0.5"))
    notes = lambda *runs: [note for note in compare.notes_of(compare.make_rows(list(runs)), {}) if "Delta_m" in note]
    assert notes(both) == ["No Delta_m: no run of semantic or depth alone is among these."], notes(both)
    assert notes(both, semantic) == ["No Delta_m: no run of depth alone is among these."], notes(both, semantic)
    assert notes(both, semantic, depth) == ["No Delta_m: 'tasks=depth' is depth alone, but differs in optimizer.learning_rate."], notes(both, semantic, depth)
    same = common.Run(make_run("why-same", 1, tasks=("depth",)))
    assert notes(both, semantic, same) == [] and notes(semantic, same) == [], notes(both, semantic, same)
    second = common.Run(make_run("why-second", 1, "fixed", ("depth",)))
    said = notes(both, semantic, same, second)
    assert said == ["Delta_m takes 'tasks=depth, method=equal' as depth alone, not 'tasks=depth, method=fixed'."], said


def metrics_are_chosen_and_rows_sorted():
    runs = [common.Run(make_run(f"sort-{rate}", 1, rate=rate, miou=value, error=-value)) for rate, value in
            (("0.1", 50.0), ("0.2", 40.0), ("0.3", 60.0), ("0.4", 45.0))]
    rows = compare.make_rows(runs)
    order = lambda name: [line["row"].partition("=")[2] for line in csv.DictReader(io.StringIO(compare.report(rows, "csv", metrics=[name], sort=name)))]
    assert order("miou") == ["0.1", "0.3", "0.4", "0.2"], order("miou")  # after the reference the best first
    assert order("depth:error_pixels") == ["0.1", "0.3", "0.4", "0.2"], order("depth:error_pixels")
    lines = list(csv.DictReader(io.StringIO(compare.report(rows, "csv", metrics=["loss", "miou"]))))
    assert {(line["task"], line["metric"]) for line in lines} == {("semantic", "training loss"), ("semantic", "miou"), ("depth", "training loss")}
    assert "nothing is called iou, but loss, miou" in refusal(compare.report, rows, "text", metrics=["iou"])
    assert refusal(compare.report, rows, "csv", metrics=["delta_m"]) == (
        "--metrics: no row has delta_m: No Delta_m: no run of semantic or depth alone is among these.")
    assert "| Delta_m" not in compare.report(rows, "markdown", metrics=["delta_m", "miou"])  # one of them is there
    single = compare.make_rows([common.Run(make_run("sort-single", 1, tasks=("depth",)))])
    assert "is of runs of several tasks" in refusal(compare.report, single, "text", metrics=["delta_m"])
    assert "of several tasks: semantic:loss, depth:loss" in refusal(compare.report, rows, "text", sort="loss")


def rows_are_named_by_the_keys_that_tell_them_apart():
    three = [("equal", "0.1"), ("uncertainty", "0.2"), ("fixed", "0.2")]
    rows = compare.make_rows([common.Run(make_run(f"name-{method}", 1, method, rate=rate)) for method, rate in three])
    assert [row.label for row in rows] == [f"method={method}" for method, _ in three], rows
    assert "Rows differ also in optimizer.learning_rate." in compare.report(rows, "text")
    rates = [common.Run(make_run(f"rate-of-{rate}", 1, method, rate=rate)) for method, rate in (("equal", "0.1"), ("fixed", "0.2"), ("fixed", "0.3"))]
    labels = [row.label for row in compare.make_rows(rates)]  # the weighting first, though the rate alone would do
    assert labels == ["method=equal, learning_rate=0.1", "method=fixed, learning_rate=0.2", "method=fixed, learning_rate=0.3"], labels
    runs = [common.Run(make_run(f"batch-{method}", 1, method, depth_weight=weight, run=[f"batch = {batch}"]))
            for method, weight, batch in (("uncertainty", "1", 4), ("fixed", "0.1", 8))]
    rows = compare.make_rows(runs)
    assert [row.label for row in rows] == ["method=uncertainty", "method=fixed"], rows  # though the batch would do
    assert "Rows differ also in run.batch, depth.weight." in compare.report(rows, "text").replace("task.", "")
    rows = compare.make_rows([*runs, common.Run(make_run("batch-third", 1, "fixed", depth_weight="0.1", run=["batch = 4"]))])
    assert [row.label for row in rows] == ["method=uncertainty, batch=4", "method=fixed, batch=8", "method=fixed, batch=4"], rows


def what_changes_no_result_makes_no_rows():
    runs = [common.Run(make_run(f"same-{seed}", seed, run=[f"evaluate_interval = {seed}", f"progress_seconds = {seed}"],
                                checkpoint=[f"best = {'semantic.miou' * (seed > 1)}", f"minutes = {seed}"])) for seed in (1, 2)]
    assert len(compare.make_rows(runs)) == 1 and common.settings_of(runs[0]) == common.settings_of(runs[1]), common.settings_of(runs[0])
    assert "checkpoint.best makes no rows" in refusal(compare.make_rows, runs, by=["checkpoint.best"])


def a_run_that_is_named_has_to_be_one():
    sweep = os.path.join(SCRATCH, "named")
    good = make_run("named/a", 1)
    failed = os.path.join(sweep, "failed")
    os.makedirs(failed, exist_ok=True)
    with open(os.path.join(failed, "status"), "w") as file:
        file.write("failed: the disk is full\n")
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert [run.folder for run in common.open_runs([sweep])] == [good]  # in a folder of runs it is passed over
    assert "left out" in said.getvalue() and "the disk is full" in said.getvalue(), said.getvalue()
    for name in failed, failed + "/", os.path.relpath(failed):
        assert "no run.h5 (its status: failed: the disk is full)" in refusal(common.open_runs, [good, name])


def losses_of_other_kinds_are_not_compared():
    rows, lines = table([make_run("px", 1), make_run("m", 1, "fixed", depth_unit="m")])
    assert ("depth", "training loss") not in {(line["task"], line["metric"]) for line in lines}
    assert ("semantic", "training loss") in {(line["task"], line["metric"]) for line in lines}


def every_format_has_the_same_cells():
    rows = compare.make_rows([common.Run(run) for run in two_rows()], labels=["a_1", "b"])
    markdown = compare.report(rows, "markdown", "rows")
    assert "| a_1 | 3 |" in markdown and "**54.00 ± 0.00**" not in markdown
    assert f"**{numpy.mean(list(LEARNED.values())):.1f} ± " in markdown, markdown  # the better mean IoU
    latex = compare.report(rows, "latex", "rows")
    assert "a\\_1 & 3 & " in latex and latex.count("\\begin{tabular}") == latex.count("\\bottomrule") == 2, latex
    lines = [line for line in latex.splitlines() if " & " in line]
    assert len({line.count(" & ") for line in lines[:3]}) == 1, lines
    text = compare.report(rows, "text", "rows")
    assert f"{numpy.mean([50, 53, 47.5]):.1f} ± {numpy.std([50, 53, 47.5], ddof=1):.1f}" in text, text


# ---- common.py, plot_sigma.py --------------------------------------------------------------------------------------

def metrics_are_the_programs():
    rows = {}
    for path in glob.glob(os.path.join(sys.argv[2], "*.c")):
        with open(path) as file:
            body = re.findall(r"static const sm_metric metrics\[\] = \{(.*?)\n?\s*\{?0?\}?\};", file.read(), re.S)
        rows.update(re.findall(r'\{"(\w+)", (?:"[^"]*"|NULL), ([01]|SM_HIGHER\w*),', "".join(body)))
    assert len(rows) > 20, rows
    rows = {name: higher != "0" for name, higher in rows.items()}
    known = {name: higher for name, (_, higher) in common.METRICS.items()}
    assert known == rows, set(known.items()) ^ set(rows.items())


def axes_count_steps_epochs_and_hours():
    run = common.Run(make_run("axes", 1))
    assert list(run.axis("step")) == list(range(1, STEPS + 1))
    numpy.testing.assert_allclose(run.axis("epoch"), numpy.arange(1, STEPS + 1) / 16, rtol=1e-12)
    numpy.testing.assert_allclose(run.axis("hours", [10, 20]), [0.01, 0.02], rtol=1e-12)


def durations_have_a_unit_that_suits_them():
    assert [common.duration(seconds) for seconds in (1.27, 89, 90, 600, 5399, 5400, 90000)] == [
        "1.27 s", "89 s", "1.5 min", "10 min", "90 min", "1.5 h", "25 h"]
    run = common.Run(make_run("short", 1))  # 144 s
    assert common.readable_axis("hours", [run]) == "minutes" and common.readable_axis("epoch", [run]) == "epoch"
    numpy.testing.assert_allclose(run.axis("minutes"), 0.06 * numpy.arange(1, STEPS + 1), rtol=1e-12)
    page = report.runs_section([run])
    assert "<td>2.4 min</td>" in page, page


def a_page_of_many_runs_stays_readable():
    runs = [common.Run(make_run(f"many-{seed}", seed, miou=40.0 + seed, steps=4000), label=f"number {seed}") for seed in range(1, 21)]
    charts = report.charts_of(runs, "step", 1)
    assert {one["group"] for one in charts} == {"all tasks", "semantic", "depth", "training"}
    points = max(len(one["x"]) for one in charts)
    assert points <= 300, points  # of 4000 steps
    colours = common.colours(20)
    assert len(set(colours)) == 20 and len(report.key_of(runs, colours).split("type=checkbox")) == 21
    table = report.metrics_section(runs)
    assert table.count("<tr>") == 21 and "<td>43 (43)</td>" in table, table[:2000]
    assert report.environment_section(runs).count("<tr>") < 10  # what all have alike is said once


def a_live_file_is_read_as_far_as_every_column_goes():
    folder = make_run("live", 1, status="running")
    with h5py.File(os.path.join(folder, "run.h5"), "a") as file:
        longer = numpy.append(file["steps/step"][:], STEPS + 1)
        del file["steps/step"]
        file["steps/step"] = longer
    run = common.Run(folder)
    assert len(run) == STEPS and run.status == "running" and run.evaluations["val"].metrics["semantic"]["miou"][-1] == 50


def ways_of_measuring_have_panels_of_their_own():
    runs = [common.Run(make_run("way-px", 1)), common.Run(make_run("way-m", 1, depth_unit="m")),
            common.Run(make_run("way-none", 1, likelihood="", meaning=""))]
    ways = plot_sigma.ways_of(runs)
    found = [(plot_sigma.title_of(way, ways), len(members)) for way, members in ways.items()]
    assert sorted(found) == [("depth (l1, m)", 1), ("depth (l1, px)", 2), ("semantic", 3)], found


def runs_without_sigma_say_so():
    none = common.Run(make_run("none", 1, likelihood="", meaning="", sigma=numpy.nan))
    learned = common.Run(make_run("learned", 1, "uncertainty"))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        plot_sigma.print_table([none, learned], 1)
    lines = said.getvalue().splitlines()
    assert "nan" not in said.getvalue() and lines[1].endswith(" 1 learns no sigma: its weighting is equal") and "laplace" in lines[3], lines
    options = argparse.Namespace(smooth=1, x="step", output=os.path.join(SCRATCH, "drawn.svg"))
    with fonts_as_text():
        for draw in (plot_sigma.draw, plot_sigma.draw_together):
            for runs, sigma in (([none], False), ([none, learned], True)):
                draw(plot_sigma.curves_of(runs, False), options)
                with open(options.output, encoding="utf-8") as file:
                    drawn = file.read()
                assert ("sigma<" in drawn.replace("\n", "<")) == sigma and "weight" in drawn, (draw, sigma)


def a_learnt_scale_is_drawn():
    """Of imtl_l, which learns the logarithm of a scale: in place of a sigma."""
    scale = common.Run(make_run("scale", 1, "imtl_l", meaning="", likelihood="imtl_l", sigma=numpy.nan, s=-0.25))
    learned, none = common.Run(make_run("scale-not", 1, "uncertainty")), common.Run(make_run("scale-none", 1, meaning="", likelihood="", sigma=numpy.nan))
    assert [plot_sigma.learns_scale(run) for run in (scale, learned, none)] == [True, False, False]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        plot_sigma.print_table([scale], 1)
    assert "        1     -0.25  s is the log of a scale" in said.getvalue() and "learns no sigma" not in said.getvalue(), said.getvalue()
    options = argparse.Namespace(smooth=1, x="step", output=os.path.join(SCRATCH, "scale.svg"))
    with fonts_as_text():
        for draw in (plot_sigma.draw, plot_sigma.draw_together):
            for runs, is_there in (([scale], True), ([scale, learned], True), ([learned, none], False)):
                draw(plot_sigma.curves_of(runs, False), options)
                with open(options.output, encoding="utf-8") as file:
                    drawn = file.read()
                assert (plot_sigma.SCALE in drawn) == is_there and "no sigma (imtl_l)" not in drawn, (draw, runs)
    axes = common.pyplot.figure().add_subplot()
    plot_sigma.draw_scale(axes, *plot_sigma.curves_of([scale], False), plot_sigma.way_of(scale, "depth"), options, None)
    numpy.testing.assert_array_equal(axes.lines[0].get_ydata(), numpy.full(STEPS, -0.25))
    charts = [one for one in report.charts_of([learned, scale], "step", 1) if one["title"] == "s"]
    assert [[series["run"] for series in one["series"]] for one in charts] == [[1], [1]], charts


def small_numbers_keep_their_digits():
    run = common.Run(make_run("small", 1, "uncertainty", sigma=2.5e-5, task_weight=1.5e-5))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        plot_sigma.print_table([run], 1)
    lines = said.getvalue().splitlines()
    assert lines[2].split()[3:6] == ["1.5e-05", "-21.19", "2.5e-05"] and "0.000" not in lines[2], lines
    assert len({line.index(word) + len(word) for line, word in zip(lines, ("weight", "1.5e-05", "1.5e-05"))}) == 1, lines
    assert compare.spread_text([2.5e-9, 3.5e-9], compare.number_format([[2.5e-9, 3.5e-9]])) == "3e-09 ± 7.07e-10"


def samples_of_a_table_are_rows():
    run, other = (common.Run(make_run(name, 1)) for name in ("rows", "not-rows"))
    run.attributes["samples"] = "rows"
    assert [common.samples_of(runs) for runs in ([run], [other], [run, other])] == ["rows", "images", "samples"]
    assert "rows/s" in report.runs_section([run]) and "images/s" in report.runs_section([other])
    titles = [one["title"] for one in report.charts_of([run], "step", 1)]
    assert "rows a second" in titles and "images a second" not in titles, titles


def a_total_below_0_has_its_weighting_s_reason():
    options = argparse.Namespace(smooth=1, x="step")
    for method, reason in ("uncertainty", "log sigma"), ("imtl_l", "-s, near the log of the loss"), ("uw_o", "logs of the losses"), ("equal", "each pixel"):
        for total in -0.5, 0.5:
            axes = common.pyplot.figure().add_subplot()
            plot_sigma.draw_total(axes, plot_sigma.curves_of([common.Run(make_run("below", 1, method, total=total))], False), options)
            assert (reason in axes.get_title()) == (total < 0) == ("as is normal" in axes.get_title()), axes.get_title()


def a_lone_evaluation_has_its_figure():
    run = common.Run(make_run("lone", 1))
    options = argparse.Namespace(smooth=1, x="step")
    for kept, texts in (2, []), (1, ["2"]):
        run.evaluations["val"] = common.Evaluation(run.evaluations["val"].step[-kept:],
                                                   {task: {metric: values[-kept:] for metric, values in metrics.items()}
                                                    for task, metrics in run.evaluations["val"].metrics.items()})
        axes = common.pyplot.figure().add_subplot()
        plot_sigma.draw_metric(axes, plot_sigma.curves_of([run], False)[0], plot_sigma.way_of(run, "depth"), options, "error_pixels")
        assert [text.get_text() for text in axes.texts] == texts, [text.get_text() for text in axes.texts]


def sigma_is_said_in_words():
    said = lambda **kind: common.Run(make_run("says", 1, "uncertainty", **kind)).tasks["depth"].sigma_is
    assert said(meaning="Laplace scale b", sigma_unit="mm") == "Laplace scale b, mm"
    assert said(meaning="Laplace scale b") == "Laplace scale b, px"  # an older log
    assert said(likelihood="categorical_scaled", meaning="root of the softmax temperature", sigma_unit="") == "root of the softmax temperature"
    for old in "root of the temperature", "":  # no temperature, whatever older logs call it
        assert said(likelihood="categorical", meaning=old) == "no scale, weighs by 1/sigma²"
    assert said(likelihood="paper_l1", meaning="") == "no scale, weighs by 1/(2 sigma²)"
    assert said(likelihood="", meaning="", sigma=numpy.nan) == "" == said(likelihood="imtl_l", meaning="", sigma=numpy.nan)


def held_out_residuals_stand_beside_sigma():
    run, old = (common.Run(make_run(f"held-{diagnosed}", 1, "uncertainty", diagnosed=diagnosed)) for diagnosed in (True, False))
    steps, ratios = run.calibration("depth", "ratio")
    assert list(steps) == [STEPS // 2, STEPS] and list(ratios) == [2.0, 0.8] and len(old.calibration("depth", "ratio")[1]) == 0
    with contextlib.redirect_stdout(io.StringIO()) as said:
        plot_sigma.print_table([run], 1)
        plot_sigma.print_table([old], 1)
    heading, semantic, depth, without, *_ = said.getvalue().splitlines()
    assert depth.split()[8:10] == ["1.25", "0.8"] and "held-out" in heading and "held-out" not in without, said.getvalue()
    charts = {one["group"]: one for one in report.charts_of([run, old], "step", 1) if one["title"] == plot_sigma.RATIO}
    curve, circles = charts["depth"]["series"]  # not of the old one
    assert [(x, y) for x, y in zip(charts["depth"]["x"], circles["y"]) if y is not None] == [(20, 2.0), (40, 0.8)] and circles["points"], circles
    close(curve["y"][9], float(f"{(1 + 0.1) / (1 + 0.1):.6g}"))  # sigma 1 + 0.01 i over a loss of 1 + 1 / i at i = 10
    page = report.sigma_section([run, old], 1)
    assert "<td>1.25</td><td>0.8</td>" in page and "held-out" not in report.sigma_section([old], 1) and "scale, px" in page, page
    lines = list(csv.DictReader(io.StringIO(compare.report(compare.make_rows([run]), "csv", metrics=["calibration", "gradient_share"]))))
    found = {line["metric"]: float(line["mean"]) for line in lines if line["task"] == "depth"}
    assert found["calibration"] == 0.8 and len(found) == 2, lines
    close(found["gradient_share"], 200 / 3)
    assert "calibration" not in compare.report(compare.make_rows([run]), "csv")
    evaluations = list(csv.DictReader(io.StringIO(export.evaluations_csv(run))))
    assert [line["semantic/calibration/ratio"] for line in evaluations] == ["", "0.5"] and evaluations[0]["depth/calibration/loss"] == "4.0"
    assert "calibration" not in export.evaluations_csv(old) and "cosines" not in export.steps_csv(old) and "gradient_share" not in export.steps_csv(old)


def gradients_are_shown_where_they_were_measured():
    run, old = (common.Run(make_run(f"pulls-{diagnosed}", 1, "uncertainty", diagnosed=diagnosed)) for diagnosed in (True, False))
    numpy.testing.assert_allclose(run.last_cosines(), [[1, -0.4], [-0.4, 1]], rtol=1e-12)  # the last tenth of four: one
    rows = list(csv.DictReader(io.StringIO(export.steps_csv(run))))
    assert (rows[9]["gradient_cosines/semantic/depth"], rows[9]["depth/gradient_norm"], rows[8]["depth/gradient_share"]) == ("-0.1", "2.0", "")
    page = report.sigma_section([run, old], 1)
    assert page.count("<h3>cosines") == 1 and page.count(">-0.40<") == 2 and "66.7 %" in page, page
    assert "cosines" not in report.sigma_section([old], 1) and "share of gradient" not in report.sigma_section([old], 1)
    share = [one for one in report.charts_of([old, run], "step", 1) if one["title"] == plot_sigma.SHARE and one["group"] == "depth"]
    assert share[0]["x"] == [10, 20, 30, 40] and [series["run"] for series in share[0]["series"]] == [1], share
    options = argparse.Namespace(smooth=1, x="step", output=os.path.join(SCRATCH, "cosines.svg"))
    with fonts_as_text():
        for runs, is_there in (([run, old], True), ([old], False)):
            plot_sigma.draw(plot_sigma.curves_of(runs, False), options)
            with open(options.output, encoding="utf-8") as file:
                drawn = file.read()
            for words in "cosines of the tasks", plot_sigma.SHARE, plot_sigma.RATIO, "held-out data":
                assert (words in drawn) == is_there, (words, runs)


def many_tasks_stand_in_rows():
    tasks = ("semantic", "depth", *(f"task number {i}" for i in range(6)))
    options = argparse.Namespace(smooth=1, x="step", output=os.path.join(SCRATCH, "many.svg"))
    plot_sigma.draw(plot_sigma.curves_of([common.Run(make_run("eight", 1, "uncertainty", tasks=tasks))], False), options)
    with open(options.output, encoding="utf-8") as file:
        width, height = map(float, re.search(r'width="([0-9.]+)pt" height="([0-9.]+)pt"', file.read()).groups())
    assert width < 15.5 * 72 and height > width, (width, height)


def warnings_are_those_of_the_program():
    run = common.Run(make_run("warned", 1))
    def program(answer):
        path = os.path.join(SCRATCH, "sigmatic")
        with open(path, "w") as file:
            file.write(f"#!/bin/sh\n[ \"$1 $3\" = 'show --json' ] && [ -f \"$2\" ] || exit 2\ncat <<'END'\n{answer}\nEND\n")
        os.chmod(path, 0o755)
        return path
    page = report.warnings_section([run], program('{"warnings": [{"trap": "b", "task": null, "severity": "note", "text": "1 < 2"},'
                                                  '{"trap": "a", "task": "depth", "severity": "warning", "text": "at its clamp"}]}'))
    assert page.index("<li>at its clamp") < page.index("<li class=faint>1 &lt; 2"), page
    several = report.warnings_section([run, common.Run(run.path, label="b")], program('{"warnings": [{"text": "slow"}]}'))
    assert several.count("<li>") == 1 and "<b>warned, b</b>: slow" in several, several
    assert "None." in report.warnings_section([run], program('{"warnings": []}'))
    for answer in "{}", "[]", "", '{"warnings": 3}':
        assert "says nothing of them" in report.warnings_section([run], program(answer)), answer
    assert "no program /none" in report.warnings_section([run], "/none")


def labels_stay_beside_their_panel():
    for count in (2, 9, 25):
        axes = common.pyplot.figure().add_subplot()
        axes.plot([0, 1], [0, 1])
        compare.label_ends(axes, [(f"row {i}", "black", 1.0 + 1e-3 * i) for i in range(count)])
        heights = [label.xy[1] for label in axes.texts]
        assert 0 <= min(heights) and max(heights) <= 1 and min(numpy.diff(sorted(heights))) > 0.03, heights


@contextlib.contextmanager
def fonts_as_text():
    with common.pyplot.rc_context({"svg.fonttype": "none"}):
        yield


def nothing_joins_units():
    runs = [common.Run(make_run("unit-px", 1)), common.Run(make_run("unit-m", 1, depth_unit="m"))]
    options = argparse.Namespace(smooth=1, x="step", output=os.path.join(SCRATCH, "units.svg"))
    with fonts_as_text():
        plot_sigma.draw_together(plot_sigma.curves_of(runs, False), options)
        with open(options.output, encoding="utf-8") as file:
            assert "depth: scale, m; scale, px" in file.read()
        plot_sigma.draw(plot_sigma.curves_of(runs, False), options)
        with open(options.output, encoding="utf-8") as file:
            drawn = file.read()
    assert all(words in drawn for words in ("depth (l1, px)", "depth (l1, m)", "loss, px", "loss, m", "values do not compare")), "a panel of each"


def bands_are_mean_and_deviation_over_seeds():
    runs = [common.Run(make_run(f"band-{seed}", seed)) for seed in (1, 2, 4)]
    (curve,) = plot_sigma.curves_of(runs, bands=True)
    axes = common.pyplot.figure().add_subplot()
    plot_sigma.plot(axes, curve, "step", lambda run: (run.step, run.tasks["depth"].sigma))
    row = numpy.arange(1, STEPS + 1)
    sigmas = numpy.array([seed + 0.01 * row for seed in (1, 2, 4)])
    numpy.testing.assert_allclose(axes.lines[0].get_ydata(), sigmas.mean(axis=0), rtol=1e-12)
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    numpy.testing.assert_allclose([band.min(), band.max()],
                                  [(sigmas.mean(0) - sigmas.std(0, ddof=1)).min(), (sigmas.mean(0) + sigmas.std(0, ddof=1)).max()])
    assert len(plot_sigma.curves_of(runs, bands=False)) == 3


def log_axes_have_enough_labels():
    for low, high in ((1, 1.02), (0.5, 0.9), (1, 4), (3, 40), (0.01, 5), (1e-4, 1e3), (7, 7)):
        axes = common.pyplot.figure().add_subplot()
        axes.plot([0, 1], [low, high])
        common.log_scale(axes)
        bottom, top = axes.get_ylim()
        labels = [tick.get_text() for tick in axes.get_yticklabels() if bottom <= tick.get_position()[1] <= top]
        assert 3 <= len([label for label in labels if label]) <= 14, (low, high, labels)


# ---- show_predictions.py -------------------------------------------------------------------------------------------

def make_predictions():
    """Two samples of 8x8 pixels: classes, instances (none predicted), a depth whose colours are grey levels of its root, and
    two values of a sample."""
    path = os.path.join(SCRATCH, "predictions.h5")
    os.makedirs(SCRATCH, exist_ok=True)
    depth = numpy.arange(128, dtype=numpy.float32).reshape(2, 8, 8, 1)
    grey = lambda values: numpy.repeat(numpy.round(20 * numpy.sqrt(values)).astype(numpy.uint8), 3, axis=-1)
    dark, ids = numpy.full((2, 8, 8, 3), 28, numpy.uint8), numpy.zeros((2, 8, 8), numpy.uint8)
    ids[:, 4:], ids[1, 0, 0] = 2, 255
    palette = numpy.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]], numpy.uint8)
    with h5py.File(path, "w") as file:
        file.attrs.update(format="sigmatic-predictions", format_version=1)
        file["name"], file["image"] = ["first", "second"], dark
        def task(name, arrays, **attributes):
            for array, values in arrays.items():
                file[f"tasks/{name}/{array}"] = values
            file[f"tasks/{name}"].attrs.update(attributes)
        drawn = numpy.where(ids[..., None] == 255, 0, palette[numpy.minimum(ids, 2)]).astype(numpy.uint8)
        task("semantic", {"truth": ids, "prediction": numpy.minimum(ids, 2), "truth_picture": drawn, "prediction_picture": drawn},
             kind="semantic", type="class", class_names=["road", "car", "sky"], palette=palette.reshape(-1))
        task("instance", {"prediction": numpy.zeros((2, 8, 8, 2), numpy.float32), "prediction_picture": dark}, kind="instance", type="instance")
        task("depth", {"truth": numpy.where(depth == 5, numpy.nan, depth), "prediction": depth, "truth_picture": numpy.where(depth == 5, 0, grey(depth)).astype(numpy.uint8),
                       "prediction_picture": grey(depth)}, kind="depth", type="real", unit="px", scaling="width")
        task("speed", {"truth": numpy.float32([[1.5], [numpy.nan]]), "prediction": numpy.float32([[2], [3]])}, kind="regression", type="real", unit="m/s")
        task("sky", {"prediction": numpy.uint8([[1, 0], [0, 0]])}, kind="labels", type="labels", class_names=["rain", "sun"])
    return path


def pictures_of_predictions_say_what_they_show():
    shown = show_predictions.load(make_predictions(), [0, 1])
    columns = show_predictions.columns_of([shown], ["a"])
    cells = {(column.task, column.which): column.cells for column in columns}
    assert cells["speed", "truth"] == ["1.5 m/s", "unknown"] and cells["speed", "prediction"] == ["2 m/s", "3 m/s"], cells
    assert cells["sky", "prediction"] == ["rain", "none"] and cells["sky", "truth"] == [None, None], cells
    classes = show_predictions.classes_shown(columns)
    assert [name for name, _ in classes] == ["road", "sky"], classes  # no car is there
    numpy.testing.assert_allclose([colour for _, colour in classes], numpy.array([[10, 20, 30], [70, 80, 90]]) / 255)
    depth = shown.tasks["depth"]
    (low, high), bar = show_predictions.colour_bar([depth])
    middle = low + (high - low) * (numpy.arange(64) + 0.5) / 64
    assert numpy.abs(255 * bar[:, 0] - 20 * numpy.sqrt(middle)).max() < 10, bar  # two values a step of the bar, sqrt(128) * 20 = 226
    assert 0 <= low < 2 and 125 < high <= 127 and show_predictions.has_unknown(depth)
    assert show_predictions.emptiness_of(shown.tasks["instance"], "prediction", 0) == "no instance predicted"
    assert show_predictions.emptiness_of(shown.tasks["semantic"], "truth", 1) == ""
    figure = show_predictions.figure_of([shown], ["a"], names=True)
    words = [text.get_text() for holder in (figure, *figure.axes) for text in holder.texts]
    for expected in "no instance predicted", "road", "sky", "rain", "1.5 m/s", "truth: no labels", "no labels", "first":
        assert expected in words, (expected, words)
    assert "car" not in words and any(axes.get_xlabel() == "px (disparity); black: not known" for axes in figure.axes)
    depth.prediction_picture[1] = 255 - depth.prediction_picture[1]  # another scale of colours in one picture
    depth.truth_picture[0] = 255 - depth.truth_picture[0]
    assert show_predictions.colour_bar([depth]) is None


def main():
    for function in TESTS:
        name = function.__name__
        try:
            with contextlib.redirect_stdout(sys.stderr):
                function()
            print("ok", name.replace("_", " "))
        except (Exception, SystemExit) as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            print(f"FAILED {name.replace('_', ' ')}: line {place.lineno} ({place.name}): {type(error).__name__} {str(error)[:400]}".replace("\n", " "))
        common.pyplot.close("all")


TESTS = [means_deviations_and_pairs_are_numpys, a_difference_is_marked_where_it_exceeds_what_seeds_do,
         delta_m_is_the_mean_relative_gain_over_single_tasks, what_differs_in_more_than_the_seed_is_not_averaged,
         what_is_no_sample_of_its_row_is_left_out_and_said, a_key_of_a_task_is_named_with_it,
         what_changes_no_result_makes_no_rows, small_numbers_keep_their_digits, samples_of_a_table_are_rows,
         a_total_below_0_has_its_weighting_s_reason, a_lone_evaluation_has_its_figure, a_run_that_is_named_has_to_be_one, a_learnt_scale_is_drawn, sigma_is_said_in_words,
         held_out_residuals_stand_beside_sigma, gradients_are_shown_where_they_were_measured, many_tasks_stand_in_rows,
         warnings_are_those_of_the_program, labels_stay_beside_their_panel, why_there_is_no_delta_m,
         metrics_are_chosen_and_rows_sorted, runs_without_sigma_say_so, nothing_joins_units,
         durations_have_a_unit_that_suits_them, a_page_of_many_runs_stays_readable,
         rows_are_named_by_the_keys_that_tell_them_apart, losses_of_other_kinds_are_not_compared, every_format_has_the_same_cells, metrics_are_the_programs,
         axes_count_steps_epochs_and_hours, a_live_file_is_read_as_far_as_every_column_goes,
         ways_of_measuring_have_panels_of_their_own, bands_are_mean_and_deviation_over_seeds, log_axes_have_enough_labels,
         pictures_of_predictions_say_what_they_show]

if __name__ == "__main__":
    main()
