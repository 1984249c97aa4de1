#!/usr/bin/env bash
# Trains with distributed.reproducible = true on several numbers of ranks and threads: checkpoints and logs must be the
# same bits. check_reproducible.sh PROGRAM; needs a Python with h5py.
set -u
. "$(dirname "$0")/frame.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
cd "$scratch" || exit 1
LIMIT=120

# Epochs of 21 and 13 samples end with a short batch: of 5 samples, of 1 for 8 ranks and a global batch of 4.
cat >tiny.ini <<INI
[run]
steps = 4
batch = 8
evaluate_interval = 3
progress_seconds = 0
[model]
backbone = resnet18
width = 0.0625
aspp_rates = 1,2,3
dropout = 0.2
[data]
train = tiny.h5
[task.semantic]
kind = semantic
likelihood = categorical_scaled
[task.instance]
kind = instance
[task.depth]
kind = depth
[optimizer]
ema_decay = 0.99
clip_norm = 5
[distributed]
reproducible = true
INI

cat >compare.py <<'PYTHON'
import sys
import h5py
import numpy

# What differs between two runs by right: times, where and on how many ranks they ran.
OTHERS = ("timing/", "steps/seconds", "steps/images_per_second")
ATTRIBUTES = ("step", "epoch", "samples_seen", "best_metric", "skipped", "seed")

def datasets(path):
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        found.update({f"attribute {name}": numpy.asarray(file.attrs[name]) for name in ATTRIBUTES if name in file.attrs})
    return {name: value for name, value in found.items() if not name.startswith(OTHERS)}

for name in sys.argv[3:]:
    a, b = datasets(f"{sys.argv[1]}/{name}"), datasets(f"{sys.argv[2]}/{name}")
    if len(a) < 20 or not any(n.startswith(("model/", "steps/")) for n in a):
        sys.exit(f"{name}: only {sorted(a)}")
    bad = [n for n in sorted(a.keys() | b.keys()) if
           n not in a or n not in b or a[n].shape != b[n].shape or a[n].tobytes() != b[n].tobytes()]
    if bad:
        sys.exit(f"{name} of {sys.argv[1]} and {sys.argv[2]}: {len(bad)} of {len(a)} datasets differ, as {bad[:4]}")
PYTHON

train() { # RANKS FOLDER OPTIONS...
    local ranks=$1 folder=$2
    shift 2
    local launcher=
    [ "$ranks" -gt 1 ] && launcher="$MPIRUN -n $ranks"
    timeout "$LIMIT" $launcher "$program" train tiny.ini --set "run.folder=$folder" "$@"
}
same() { "$python" compare.py "$1" "$2" run.h5 checkpoints/step-00000004.h5; }
differs() { same "$1" "$2" 2>&1 | tee differs.log; grep -q "datasets differ" differs.log; }

compare_all() { # NAME RUNS OPTIONS...: RUNS are RANKSxTHREADS, the first is what the others are compared with
    local name=$1 runs=$2 first= run
    shift 2
    for run in $runs; do
        expect "$name on $run: trains" train "${run%x*}" "$name-$run" --set "distributed.threads=${run#*x}" "$@"
        [ -n "$first" ] && expect "$name: $first and $run give the same bits" same "$first" "$name-$run"
        first=${first:-$name-$run}
    done
}

"$program" data scenes tiny.h5 --train 21 --validation 5 --height 64 --width 96 >log 2>&1 || { cat log; exit 1; }
compare_all eight "1x1 1x2 2x1 3x1 4x2 8x1"
compare_all seven "1x1 2x2 3x1 4x1 8x1" --set run.batch=7 --set optimizer.kind=adamw --set model.dropout=0
compare_all frozen "1x2 3x1" --set distributed.batch_norm=frozen --set weighting.method=upgrad
# Resumed on other ranks, the run ends alike.
expect "leaves a checkpoint on 3 ranks" train 3 moved --set checkpoint.interval=3
expect "goes on from it with 2" train 2 moved --resume moved/checkpoints/step-00000003.h5
expect "a run that moved to fewer ranks gives the same bits" same eight-1x1 moved
# The comparison can fail: without the tree the ranks' sums are rounded otherwise.
expect "plain sums on 2 ranks train" train 2 plain --set distributed.reproducible=false
expect "plain sums on 3 ranks train" train 3 plain3 --set distributed.reproducible=false
expect "plain sums depend on the number of ranks" differs plain plain3
step=(bench --step --backbone resnet18 --height 64 --width 64 --steps 2 --warmup 0 --set distributed.reproducible=yes)
expect "a step of it is measured" timeout "$LIMIT" "$program" "${step[@]}"
expect "and on 2 ranks" timeout "$LIMIT" $MPIRUN -n 2 "$program" "${step[@]}" --json
report_end
