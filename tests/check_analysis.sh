#!/usr/bin/env bash
# The scripts of analysis/ on a tiny real run: they must read what the program writes and draw something. check_analysis.sh PROGRAM
set -u
program=$1
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
passed=0 failed=0
expect() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$scratch/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name: $*"
        tail -n 20 "$scratch/out"
    fi
}
is_picture() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] && [ "$(stat -c %s "$1")" -gt 20000 ]; }

cat >"$scratch/tiny.ini" <<INI
[run]
folder = $scratch/run
batch = 4
steps = 12
evaluate_interval = 6
[model]
backbone = resnet18
width = 0.0625
[data]
train = $scratch/tiny.h5
[task.semantic]
kind = semantic
[task.instance]
kind = instance
[task.depth]
kind = depth
INI
expect "scenes" "$program" data scenes "$scratch/tiny.h5" --train 8 --validation 4 --height 64 --width 96
expect "train" "$program" train "$scratch/tiny.ini"
expect "predictions" "$program" eval "$scratch/run/checkpoints/best.h5" --trivial --predictions "$scratch/predictions.h5" --samples 2
expect "plot_sigma.py" "$PYTHON" "$here/../analysis/plot_sigma.py" "$scratch/run/run.h5" "$scratch/run/run.h5" --labels a,b -o "$scratch/sigma.png"
expect "sigma.png" is_picture "$scratch/sigma.png"
expect "show_predictions.py" "$PYTHON" "$here/../analysis/show_predictions.py" "$scratch/predictions.h5" -o "$scratch/predictions.png"
expect "predictions.png" is_picture "$scratch/predictions.png"
expect "README's h5py reader" "$PYTHON" - "$scratch/run/run.h5" <<'PY'
import sys, h5py
with h5py.File(sys.argv[1]) as run:
    assert list(run["steps/step"]) == list(range(1, 13)), list(run["steps/step"])
    for task in run["tasks"].values():
        assert len(task["sigma"]) == 12 and (task["sigma"][:] > 0).all()
    assert list(run["evaluations/val/step"]) == [6, 12]
PY
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
