#!/usr/bin/env bash
# What the program prints: results to standard output, everything else to standard error; tables for people, JSON for
# programs; a warning for each key without effect. check_results.sh PROGRAM; needs a Python with h5py.
set -u
. "$(dirname "$0")/frame.sh"
. "$here/streams.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
cd "$scratch" || exit 1
cat >tiny.ini <<'INI'
[run]
folder = run
batch = 4
steps = 4
evaluate_interval = 2
progress_seconds = 0
[model]
backbone = resnet18
width = 0.0625
[data]
train = tiny.h5
[task.semantic]
kind = semantic
[task.depth]
kind = depth
INI
best=run/checkpoints/best.h5

# ---- which stream ----

expect "scenes" run 0 data scenes tiny.h5 --train 4 --validation 2 --height 32 --width 32
expect "train on two ranks" run_ranks train tiny.ini --set weighting.diagnose_interval=2 --set weighting.upper=0.001
expect "train: evaluations on standard output, once" count out '^semantic +miou +[0-9.]+ +%' 2
expect "train: losses and sigmas on standard output" holds out '^depth +laplace '
expect "train: sigmas beside the residuals of the split, after each evaluation" count out '^depth +[0-9.]+ +[0-9.]+ +[0-9.]+ +[0-9.]+  Laplace scale b, px$' 2
expect "train: s at its bound is told once" count err "warning: .*task 'semantic': s stands at its bound, weighting.upper = 0.001" 1
expect "train: progress is no result" lacks out '^step [0-9]'
expect "train: progress on standard error" holds err '^step 4/4 '
expect "train: no table on standard error" lacks err miou
expect "eval" run 0 eval $best --trivial
expect "eval: metrics on standard output" holds out '^depth +error_metres +[0-9.]+ +m +[0-9.]+ +[0-9.]+ .*capped at 80 m'
expect "eval: the trivial predictor has a column" holds out 'value +unit +trivial +value/trivial'
expect "eval: no table on standard error" lacks err miou
expect "eval: a full standard output is a failure" sh -c "'$program' eval $best >/dev/full 2>err; [ \$? -eq 1 ]"
expect "eval: and says so" holds err 'standard output'

for words in "eval $best" "show run/run.h5" "data info tiny.h5" "train tiny.ini --dry-run"; do
    for form in "" --json; do
        expect "$words $form: a full standard output is a failure" sh -c "'$program' $words $form >/dev/full 2>err; [ \$? -eq 1 ]"
    done
done
expect "data info" run 0 data info tiny.h5
expect "data info: what tells two files apart is a checksum" holds out '^val: 2 samples, image 32x32, checksum of the contents [0-9a-f]{8}\+[0-9a-f]{8}$'
expect "show --follow: a full standard output ends it" sh -c "timeout 20 '$program' show run/run.h5 --follow >/dev/full 2>err; [ \$? -eq 1 ]"

# ---- from elsewhere ----

mkdir away
away() { (cd away && "$program" eval "$scratch/$best" "$@" >../out 2>../err); }
expect "eval elsewhere" away --trivial
expect "eval elsewhere: the file is named once" count err "^using $scratch/tiny.h5 for tiny.h5$" 1
expect "eval elsewhere with --data" away --data "$scratch/tiny.h5"
expect "eval elsewhere with --data: nothing is said of others" lacks err tiny.h5
expect "eval elsewhere with --data, and the training files" away --data "$scratch/tiny.h5" --trivial
expect "eval elsewhere with --data: they are named" count err "^using $scratch/tiny.h5 for tiny.h5$" 1

# ---- a run by its folder ----

mkdir -p torn/checkpoints
cp run/checkpoints/step-00000004.h5 torn/checkpoints
head -c 3000 run/checkpoints/step-00000004.h5 >torn/checkpoints/step-00000007.h5
expect "eval of a run whose latest checkpoint is torn" run_ranks eval torn/ --json
expect "eval of a run whose latest checkpoint is torn: the one before" json 'assert result["checkpoint"] == "torn/checkpoints/step-00000004.h5"'
expect "eval of a run whose latest checkpoint is torn: a warning" count err 'warning: .*passing over a checkpoint: torn/checkpoints/step-00000007.h5' 1
expect "eval of the folder of its checkpoints" run 0 eval torn/checkpoints --json
expect "eval of the folder of its checkpoints: the same" json 'assert result["checkpoint"] == "torn/checkpoints/step-00000004.h5"'
rm torn/checkpoints/step-00000004.h5
expect "eval of a run without a whole checkpoint" run 2 eval torn
expect "eval of a run without a whole checkpoint: says so" count err 'error: torn/checkpoints: of 1 checkpoint none can be read' 1

# ---- JSON ----

expect "eval --json" run_ranks eval $best --json --trivial
expect "eval --json: the object" json '
assert result["checkpoint"] == "run/checkpoints/best.h5" and result["samples"] == 2
assert (result["height_pixels"], result["width_pixels"]) == (32, 32)
assert list(result["tasks"]) == ["semantic", "depth"]
units = {"error_pixels": "px", "error_metres": "m", "rms_pixels": "px"}
for name, metric in result["tasks"]["depth"].items():
    assert metric["unit"] == units.pop(name) and metric["value"] > 0 and metric["trivial"] > 0, metric
    assert metric["meaning"] and metric["higher_is_better"] is False
assert not units and result["tasks"]["semantic"]["miou"]["higher_is_better"] is True'
expect "show --json" run_ranks show run/run.h5 --json
expect "show --json: the object" json '
assert result["run"] == "run/run.h5" and result["steps"] == 4 and result["skipped"] == 0
assert result["seconds"] > 0 and result["images_per_second"] > 0 and result["step_seconds"] > 0
assert list(result["data_wait_seconds"]) == ["least", "median", "most"]
assert result["communication_wait_seconds"]["least"] <= result["step_seconds"], "waits of evaluations count as of steps"
for name, likelihood in ("semantic", "categorical"), ("depth", "laplace"):
    task = result["tasks"][name]
    assert task["likelihood"] == likelihood
    assert (task.get("sigma_meaning"), task.get("sigma_unit")) == ((None, None) if name == "semantic" else ("Laplace scale b", "px"))
    assert all(task[key] > 0 for key in ("loss", "weight", "sigma", "sigma_at_minimum")), task
    assert task["log_variance"] is not None
evaluation = result["evaluations"]["val"]
assert evaluation["step"] == 4 and evaluation["evaluations"] == 2
assert evaluation["tasks"]["depth"]["error_metres"]["unit"] == "m"
depth = evaluation["calibration"]["depth"]
# The mean absolute error is the L1 loss, and a Laplace distribution scale; no step was made since.
assert abs(depth["loss"] / evaluation["tasks"]["depth"]["error_pixels"]["value"] - 1) < 1e-6 and depth["residual_scale"] == depth["loss"], depth
assert abs(depth["ratio"] * depth["residual_scale"] / depth["sigma"] - 1) < 1e-12, depth
gradients = result["gradients"]
assert abs(sum(task["share"] for task in gradients.values()) - 1) < 1e-9 and all(task["norm"] > 0 for task in gradients.values())
assert gradients["depth"]["cosines"]["semantic"] == gradients["semantic"]["cosines"]["depth"] and gradients["depth"]["cosines"]["depth"] == 1
bound = [trap for trap in result["warnings"] if trap["trap"] == "bound"]
assert [trap["task"] for trap in bound] == ["semantic"] and bound[0]["severity"] == "warning", result["warnings"]
assert "weighting.upper = 0.001" in bound[0]["text"], bound'
expect "train --dry-run --json" run_ranks train tiny.ini --dry-run --json
expect "train --dry-run --json: the object" json '
assert (result["height_pixels"], result["width_pixels"], result["ranks"]) == (32, 32, 2)
assert (result["batch"], result["batch_of_rank"], result["samples"], result["steps"]) == (4, 2, 4, 4)
network, memory = result["network"], result["memory"]
assert network["gflop_backward"] > network["gflop_forward"] > 0
assert network["parameters_trained"] == sum(op["parameters"] for op in network["ops"]) + 2  # log-variances
assert abs(network["gflop_forward"] * 1e9 / sum(2 * op["multiply_adds"] for op in network["ops"]) - 1) < 1e-6
first = network["ops"][0]
assert first["kind"] == "conv2d" and first["forward"] and first["backward_weight"], first
assert memory["total_bytes"] == sum(memory["owners"].values()) and memory["image_bytes"] > 0'
expect "train --json alone" run 2 train tiny.ini --json
grouped=(--set run.folder=grouped --set run.evaluate_interval=0 --set weighting.method=revised_uncertainty
    --set task.semantic.group=both --set task.depth.group=both --set task.depth.group_weight=0.5)
expect "train tasks in a group" run_ranks train tiny.ini "${grouped[@]}"
expect "train tasks in a group: it says so" count err 'revised_uncertainty weighs 1 group of tasks: both \(semantic, 0\.5 depth\)' 1
expect "train tasks in a group: the table says so" holds out '^depth .* 0\.5 both'
expect "train tasks in a group: of a misspelt name" run 0 train tiny.ini --dry-run "${grouped[@]}" --set task.instance.kind=instance --set task.instance.group=bothh
expect "... it asks" count err "warning: task.instance.group = bothh: no other task is in this group; did you mean 'both'\?" 1
expect "show --json of it" run 0 show grouped/run.h5 --json
PYTHONPATH=$here/../analysis expect "show --json of it: one sigma, and the scripts find its minimum" json '
import common
tasks, read = result["tasks"], common.Run("grouped")
assert tasks["semantic"]["sigma"] == tasks["depth"]["sigma"] and tasks["depth"]["weight"] == 0.5 * tasks["semantic"]["weight"]
assert (tasks["depth"]["group"], tasks["depth"]["group_weight"]) == ("both", 0.5)
loss = tasks["semantic"]["loss"] + 0.5 * tasks["depth"]["loss"]
minimum = ((loss + (loss * (loss + 8)) ** 0.5) / 4) ** 0.5
for name in tasks:
    found = tasks[name]["sigma_at_minimum"], read.minimiser(name, lambda losses: losses.mean())
    assert all(abs(value / minimum - 1) < 1e-9 for value in found), (found, minimum)'
expect "show --as-fixed of it" run 0 show grouped/run.h5 --as-fixed
expect "show --as-fixed of it: a weight for each task" count out '^weight = ' 2
expect "show --as-fixed of it: no groups" lacks out '^group'
cp run/run.h5 older.h5
"$python" -c 'import h5py
with h5py.File("older.h5", "a") as log: del log["calibration"], log["gradient_cosines"], log["tasks/depth/gradient_norm"], log["tasks/semantic/gradient_norm"]'
expect "show --json: a log of an older version" run 0 show older.h5 --json
expect "show --json: what it does not have is null" json '
assert set(result["evaluations"]["val"]["calibration"]["depth"].values()) == {None} and result["gradients"] == {}, result'
expect "train, targets far from where sigma starts" run_ranks train tiny.ini --set run.folder=scale --set run.steps=1 --set task.depth.log_variance=-10
expect "train: what starts out of scale is told" count err "warning: .*task 'depth': its targets lie about [0-9.]+ px from 0, where its head starts, and weights start for 0.00674" 1
expect "show --json, targets far from where sigma starts" run 0 show scale --json
expect "show: the same" json 'assert [(trap["trap"], trap["task"]) for trap in result["warnings"]] == [("scale", "depth")], result["warnings"]'
expect "show: one table" run_ranks show run/run.h5
expect "show: what was measured of the gradients" holds out '^task +length +share, % +semantic +depth$'
expect "show: s at its bound" count out "^warning: task 'semantic': s stands at its bound" 1
metrics_of() { awk '/^task +metric/ {reads = 1; next} /^task/ {reads = 0} reads {print $1, $2}' "$1"; }
same_order() {
    metrics_of out >shown
    run 0 eval $best && metrics_of out >evaluated
    [ "$(wc -l <shown)" -ge 5 ] && diff shown evaluated
}
expect "show: tasks and metrics in the order of config and evaluation" same_order
every_class() { # what has a number and what has a dash
    "$python" - <<'PYTHON'
import h5py
with h5py.File("tiny.h5") as file:
    names, found = [name.decode() for name in file["val/semantic"].attrs["class_names"]], set(file["val/semantic"][()].ravel())
lines = {line[16:36].strip(): line[36:].split() for line in open("out") if line.startswith("semantic") and " %" not in line and "a weight only" not in line}
assert set(names) == set(lines), lines
absent = [name for id, name in enumerate(names) if id not in found]
assert absent and all(lines[name][0] in ("-", "0") for name in absent), (absent, lines) # 0: only predicted
PYTHON
}
expect "eval: a row also of a class that does not occur" every_class
cp run/run.h5 extreme.h5
"$python" - <<'PYTHON'
import h5py
with h5py.File("extreme.h5", "r+") as file:
    file["tasks/semantic/loss"][:2] = 1e308, -1e308
PYTHON
expect "show: numbers of any size" run 0 show extreme.h5
expect "show: a curve from the least to the greatest" holds out '^semantic +loss +.*-1e\+308 \.\. 1e\+308$'
expect "show: metrics with their meaning" holds out '^depth +error_metres +[0-9.]+ +m .*capped at 80 m'
expect "show: --follow and --json exclude each other" run 2 show run/run.h5 --json --follow
"$python" - <<'PYTHON'
import os, shutil, h5py
for run, gone in ("steps", "steps/loss"), ("tasks", "tasks/depth/loss"), ("timing", "timing/step_seconds"), ("whole", None):
    os.makedirs(f"damaged/{run}")
    shutil.copy("run/run.h5", f"damaged/{run}/run.h5")
    if gone:
        with h5py.File(f"damaged/{run}/run.h5", "r+") as file:
            del file[gone]
PYTHON
expect "show --json of a folder with logs that lack a column" run 0 show damaged --json
expect "show --json of a folder with logs that lack a column: why, and no half of them" json '
runs = {run["run"].split("/")[1]: run for run in result["runs"]}
assert "problem" not in runs["whole"] and runs.pop("whole")["steps"] == 4
lacks = {"steps": "/steps/loss", "tasks": "/tasks/depth/loss", "timing": "/timing/step_seconds"}
for name, run in runs.items():
    assert run["steps"] == 0 and lacks.pop(name) in run["problem"] and "loss" not in run and "tasks" not in run, run
assert not lacks'
expect "show of a folder with logs that lack a column" run 0 show damaged
expect "show of a folder with logs that lack a column: dashes" holds out '^steps +unreadable +- +- +- '
mkdir damaged/closed
chmod 0 damaged/closed
as_nobody_special() { # root reads everything but for what is taken from it here
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --bounding-set=-dac_override,-dac_read_search "$@"
    else
        "$@"
    fi
}
if as_nobody_special ls damaged >/dev/null && ! as_nobody_special ls damaged/closed >/dev/null 2>&1; then
    show_closed() { as_nobody_special "$program" show "$1" >out 2>err; }
    expect "show of a folder with one that cannot be read" show_closed damaged
    expect "show of a folder with one that cannot be read: the others" holds out '^whole .* 4 '
    expect "show of a folder with one that cannot be read: a warning" count err 'warning: passing over a folder: .*damaged/closed' 1
    not_shown() { ! show_closed damaged/closed && count err 'error: .*damaged/closed' 1; }
    expect "show of a folder that cannot be read itself" not_shown
else
    skip setpriv "a folder that cannot be read" "root, and setpriv takes nothing from it"
fi

# ---- a sweep with a run that could not start ----

mkdir sweep && cp -r run sweep/one
expect "a start that fails" run 2 train tiny.ini --set run.folder=sweep/two --set data.train=absent.h5
expect "show of a sweep" run 0 show sweep
expect "show of a sweep: what could not start" holds out '^two +failed +- +- '
expect "show of a sweep: why" holds out '^two: failed: --set: \[data\] train: absent.h5: cannot be opened'
expect "show --json of a sweep" run 0 show sweep --json
expect "show --json of a sweep: the same" json '
status = {run["run"]: run["status"] for run in result["runs"]}
assert status["sweep/one/run.h5"] == "done" and status["sweep/two/run.h5"].startswith("failed: "), status'
expect "a run and a sweep side by side" run 0 show run/run.h5 sweep
expect "a run and a sweep side by side: what can be compared" holds out '^status +done +done$'
expect "a run and a sweep side by side: what cannot" count err 'warning: passing over sweep/two/run.h5: failed: .*absent.h5' 1
cp -r sweep/two two && expect "only starts that failed are nothing to compare" run 2 show two sweep/two
expect "only starts that failed are nothing to compare: said" holds err 'no run with a log among these'
cp -r sweep/one killed && echo running >killed/status && touch killed/.lock
expect "a killed run is lost" run 0 show killed/ sweep/one
expect "a killed run is lost: said, with the last step" holds out '^status +lost: killed behind step 4 .*done$'
expect "a killed run is lost: only looked at" grep -qx running killed/status
expect "a run that goes on is not lost" flock killed/.lock "$program" show killed --json
flock killed/.lock "$program" show killed --json >out
expect "a run that goes on is not lost: running" json 'assert result["status"] == "running"'
expect "a complete run makes no timeline" run 0 train tiny.ini --set run.folder=killed --resume auto --trace none.json
expect "a complete run makes no timeline: said" holds err 'none.json: no step is made'
{ grep -v '^\[task\|^kind' tiny.ini; printf '[task.%s]\nkind = %s\n' depth depth semantic semantic; } >turned.ini
expect "another first task" run 0 train turned.ini --set run.folder=killed --set run.steps=5 --resume auto
expect "another first task: another best" holds err 'the first task is another.*the best so far is forgotten'
expect "a best that is named" run 0 train turned.ini --set run.folder=killed --set run.steps=6 --set checkpoint.best=depth.error_pixels --resume auto
expect "a best that is named: what was empty" holds err 'checkpoint.best = depth.error_pixels, was empty: the best'
expect "it starts again without more ado" run 0 train tiny.ini --set run.folder=sweep/two
expect "three runs side by side" run 0 show run/run.h5 sweep/
expect "three runs side by side: all" holds out '^status +done +done +done$'
expect "show of the folder of checkpoints" run 0 show run/checkpoints/
expect "show of the folder of checkpoints: the run" holds out '^run/run.h5: 4 steps'

# ---- a ratio that says nothing ----

"$python" - <<'PYTHON'
import shutil, h5py, numpy as np
shutil.copy("tiny.h5", "tilted.h5")
with h5py.File("tilted.h5", "r+") as file:
    for split in "train", "val":
        file[split]["tilt"] = np.arange(len(file[split]["image"]), dtype=np.float32)
        file[split]["tilt"].attrs.update(type="real", unit="deg")
PYTHON
expect "a regression" run 0 train tiny.ini --set data.train=tilted.h5 --set task.tilt.kind=regression --set task.tilt.target=tilt --set run.folder=tilted --set run.steps=1 --set run.batch=5
expect "a batch larger than the split is remarked on once" count err '^run.batch = 5 is more than the training split has: every step is an epoch of 4 samples$' 1
expect "its trivial predictor" run 0 eval tilted --trivial
expect "an error has a ratio" holds out '^tilt +error +[0-9.]+ +deg +[0-9.]+ +[0-9.]+ '
expect "R2 has none" holds out '^tilt +r2 +[-0-9.]+ +[-0-9.]+ +- '

# ---- a number that is not there ----

"$python" - <<'PYTHON'
import shutil, h5py
shutil.copy("tiny.h5", "no_camera.h5")
with h5py.File("no_camera.h5", "r+") as file:
    del file["val/baseline_metres"]
PYTHON
expect "eval without a camera" run 0 eval $best --data no_camera.h5 --trivial
expect "eval without a camera: a dash and the reason" holds out '^depth +error_metres +- +m +- +- .*baseline_metres'
expect "eval without a camera: no nan" lacks out '\bnan\b'
expect "eval --json without a camera" run 0 eval $best --data no_camera.h5 --json
expect "eval --json without a camera: null" json '
assert result["tasks"]["depth"]["error_metres"]["value"] is None
assert result["tasks"]["depth"]["error_pixels"]["value"] > 0'
"$python" - <<'PYTHON'
import shutil, h5py
shutil.copy("tiny.h5", "blind.h5")
with h5py.File("blind.h5", "r+") as file:
    file["train/disparity"][...] = float("nan")
    for name in [name for name in file["train"] if name.startswith("disparity_crc")]:
        del file["train"][name]
PYTHON
expect "a task without a valid pixel" run 0 train tiny.ini --set data.train=blind.h5 --set data.validation=tiny.h5 --set run.folder=blind
expect "a task without a valid pixel: a dash" holds err '^step 1/4 .* depth - '
expect "a task without a valid pixel: no nan" lacks err '\bnan\b'
expect "a loss that diverges" run 1 train tiny.ini --set optimizer.learning_rate=1e6 --set weighting.method=fixed --set task.semantic.weight=1e35 --set run.folder=diverged
expect "a loss that diverges: no line of digits" holds err '^step 1/4  loss [1-9]\.[0-9][0-9]e\+[0-9][0-9]  semantic [0-9.]+  depth [0-9.]+  '
expect "a loss that diverges: nan is not a dash" holds err '^step 2/4  loss nan  semantic nan  depth nan  '
expect "equal weights" run 0 train tiny.ini --set weighting.method=equal --set run.folder=equal
expect "equal weights: no sigma" holds out '^depth +- +[0-9.]+ +0\.5 +- +- +- +-'
expect "equal weights: no nan" lacks out '\bnan\b'
expect "show --json of equal weights" run 0 show equal/run.h5 --json
expect "show --json of equal weights: null" json 'assert result["tasks"]["depth"]["sigma"] is None'

# ---- keys without effect ----

idle() { # PATTERN ASSIGNMENT...: warned of once, by its place, by one rank
    local pattern=$1 sets=() assignment
    shift
    for assignment; do
        sets+=(--set "$assignment")
    done
    run_ranks train tiny.ini --print-config "${sets[@]}" || return 1
    count err 'warning' 1 && holds err "warning: .*--set: .*$pattern"
}
silent() { # ASSIGNMENT...
    local sets=() assignment
    for assignment; do
        sets+=(--set "$assignment")
    done
    run 0 train tiny.ini --print-config "${sets[@]}" && lacks err warning
}
expect "a weight of uncertainty" idle '\[task.depth\] weight = 2 .*weighting.method = fixed .it is uncertainty' task.depth.weight=2
expect "a log-variance of equal weights" idle 'log_variance = 1 .*uncertainty' task.depth.log_variance=1 weighting.method=equal
expect "a likelihood of fixed weights" idle 'likelihood = paper_l1' task.depth.likelihood=paper_l1 weighting.method=fixed
expect "a limit of fixed weights" idle 'gradient_limit = 2' weighting.gradient_limit=2 weighting.method=fixed
expect "epochs beside steps" idle '\[run\] epochs = 3 .*run.steps = 0 .it is 4' run.epochs=3
expect "sums in buckets that are reproducible" idle 'bucket_mib = 2 .*reproducible' distributed.bucket_mib=2 distributed.reproducible=true
expect "a thread for a blocking reduction" idle 'reduction_thread' distributed.reduction_thread=false distributed.reduction=blocking
expect "momentum of AdamW" idle 'momentum = 0.5' optimizer.momentum=0.5 optimizer.kind=adamw
expect "a beta of SGD" idle 'beta2' optimizer.beta2=0.99
expect "a power of a cosine" idle 'power' schedule.power=2 schedule.kind=cosine
expect "a warm-up of no steps" idle 'warmup_factor = 0.1 .*warmup_steps is not 0' schedule.warmup_factor=0.1
expect "a best evaluation of none" idle 'keep_best = false .*a data.validation_split' checkpoint.keep_best=false data.validation_split= run.evaluate_interval=0
expect "the file and the line are named" sh -c "sed 's/^steps.*/&\nepochs = 7/' tiny.ini >idle.ini; '$program' train idle.ini --dry-run 2>&1 >out | grep -q 'idle.ini:5: .run. epochs = 7'"
expect "nothing is said of keys that count" silent task.depth.weight=2 weighting.method=fixed
expect "nothing is said of defaults" silent
expect "nor of a printed config" sh -c "'$program' train tiny.ini --print-config >printed.ini && '$program' train printed.ini --print-config 2>err >out && cmp printed.ini out && ! grep warning err"

# ---- tasks whose metrics want others ----

expect "vectors and depth without classes" run 0 train tiny.ini --set run.folder=vectors --set task.semantic.kind=instance
expect "vectors and depth without classes: evaluated" holds out '^semantic +error_pixels +[0-9.]+ +px'
"$python" - <<'PYTHON'
import shutil, h5py
shutil.copy("tiny.h5", "stuff.h5")
with h5py.File("stuff.h5", "r+") as file:
    for split in "train", "val":
        del file[split]["semantic"].attrs["thing"]
PYTHON
stuff="--set data.train=stuff.h5 --set data.validation=stuff.h5"
expect "classes without things" run 0 train tiny.ini --set run.folder=stuff $stuff --set task.vectors.kind=instance
expect "classes without things: evaluated" holds out '^semantic +miou +[0-9.]+ +%'
expect "classes without things: eval" run 0 eval stuff/checkpoints/best.h5 --json
expect "classes without things: eval of both" json 'assert result["tasks"]["semantic"]["miou"] and result["tasks"]["vectors"]["error_pixels"]'

# ---- help ----

for words in "" train eval predict data "data scenes" "data cityscapes" "data folder" "data kitti" "data mtan" "data nyuv2" "data info" "data check" show bench; do
    expect "help of '$words'" run_ranks $words --help
    expect "help of '$words': once" count out '^usage: sigmatic' 1
    expect "help of '$words': fits a window" lacks out '^.{111}'
done

report_end
