#!/usr/bin/env bash
# SIGMATIC_ISA: what each instruction set of this CPU trains, what is said of it, and what is refused. check_isa.sh PROGRAM; needs
# a Python with h5py.
set -u
. "$(dirname "$0")/frame.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
cd "$scratch" || exit 1
unset SIGMATIC_ISA
LIMIT=240
all="amx avx512bf16 avx512 avx2 blis plain"
sets=$("$program" --version | sed -n 's/^instruction set: .*this CPU has \(.*\))$/\1/p' | tr -d ,)
best=${sets%% *}

"$program" data scenes tiny.h5 --train 8 --validation 2 --height 64 --width 64 >log 2>&1 || { cat log; exit 1; }
cat >tiny.ini <<INI
[run]
steps = 2
batch = 4
progress_seconds = 0
[model]
backbone = resnet18
width = 0.125
aspp_rates = 1,2,3
[data]
train = tiny.h5
[task.semantic]
kind = semantic
[task.depth]
kind = depth
INI
awk 'BEGIN { print "x,y"; for (i = 0; i < 64; i++) print sin(i) "," 2 * sin(i) + 1 }' >t.csv
cat >table.ini <<INI
[run]
steps = 4
batch = 32
progress_seconds = 0
[model]
backbone = mlp
hidden = 64,64
[data]
train = t.h5
validation_split =
[task.y]
kind = regression
INI
cat >runs.py <<'PYTHON'
"""Checks of a run's folder: runs.py same FOLDER OTHER, near ERROR FOLDER OTHER, says FOLDER WORDS"""
import sys
import h5py
import numpy

def losses(folder):
    with h5py.File(f"{folder}/run.h5", "r") as file:
        return file["steps/loss"][()]

what, (folder, other) = sys.argv[1], sys.argv[-2:]
if what == "says":
    with h5py.File(f"{folder}/run.h5", "r") as file:
        said = str(file.attrs["arithmetic"])
        sys.exit(None if other in said else f"'{said}' without '{other}'")
a, b = losses(folder), losses(other)
assert len(a) >= 2 and numpy.isfinite(a).all()
if what == "same":
    sys.exit(None if a.tobytes() == b.tobytes() else f"{a} and {b} differ")
worst = (numpy.abs(a - b) / numpy.abs(b)).max()
sys.exit(None if worst < float(sys.argv[2]) else f"{a} and {b} are {worst} apart")
PYTHON

# How far losses of the same network may be apart: float sums of some thousand products in another order have errors of 1e-6,
# and a step or three of weights that these moved come after the first; bfloat16 maps may round to a neighbour, 4e-3 off.
float=1e-4 bf16=1e-2

# In a folder of each set's name, that of what is chosen without a word in `none`.
train() { # SET CONFIG FOLDER OPTION...
    local set=$1 config=$2 folder=$3
    shift 3
    SIGMATIC_ISA=$set timeout "$LIMIT" "$program" train "$config" --set "run.folder=$folder" "$@"
}
is_refused() { # WORDS COMMAND...: with exit code 2 and one message that has the words
    local words=$1 code
    shift
    timeout "$LIMIT" "$@" >out 2>&1
    code=$?
    [ $code -eq 2 ] && [ "$(grep -c 'sigmatic: error:' out)" -eq 1 ] && grep 'sigmatic: error:' out | grep -qF -- "$words" && return
    echo "exit code $code, expected 2 and one error with '$words'"
    cat out
    return 1
}

# ---- what each trains ----

train "" tiny.ini none >log 2>&1 || cat log
expect "nothing is said of a variable that is not set" "$python" runs.py says none '(highest, '
train "" tiny.ini none-bf16 --set run.precision=bf16 >log 2>&1 || cat log
for set in $sets; do
    expect "$set trains" train "$set" tiny.ini "$set"
    expect "$set computes what others do" "$python" runs.py near $float "$set" none
    expect "$set is said to be chosen" "$python" runs.py says "$set" "SIGMATIC_ISA=$set"
    expect "$set trains in bf16" train "$set" tiny.ini "$set-bf16" --set run.precision=bf16
    expect "$set computes in bf16 what others do" "$python" runs.py near $bf16 "$set-bf16" none-bf16
done
expect "the best set is what is chosen without a word" "$python" runs.py same "$best" none
for set in avx512 avx2 blis plain; do # whose kernel of floats has its name
    [[ " $sets " != *" $set "* ]] || expect "$set multiplies by its kernel" "$python" runs.py says $set "(highest, $set, "
    # sums that round alike would be those of one kernel
    [ $set = plain ] || [[ " $sets " != *" $set "* ]] || expect "$set is not plain" sh -c "! $python runs.py same $set plain"
done

# ---- linear layers ----

"$program" data table t.csv t.h5 --targets y >log 2>&1 || cat log
for set in "" $sets; do
    expect "${set:-none} trains a table" train "$set" table.ini "table-${set:-none}"
    expect "${set:-none} computes of a table what others do" "$python" runs.py near $float "table-${set:-none}" table-none
done

# ---- what is refused ----

lacking=
for set in $all; do
    [[ " $sets " == *" $set "* ]] || lacking=$set
done
expect "a word that is none" is_refused "SIGMATIC_ISA='avx22' in the environment: expected one of ${all// /, }, did you mean avx2?" \
    env SIGMATIC_ISA=avx22 "$program" train tiny.ini --set run.folder=refused
expect "on several ranks, once" is_refused "SIGMATIC_ISA='avx22'" env SIGMATIC_ISA=avx22 $MPIRUN -n 3 "$program" train tiny.ini --set run.folder=refused
if [ "$lacking" ]; then
    expect "a set that the CPU lacks" is_refused "SIGMATIC_ISA='$lacking' in the environment: this CPU lacks it; it has ${sets// /, }" \
        env SIGMATIC_ISA=$lacking "$program" train tiny.ini --set run.folder=refused
fi
expect "another one on another rank" is_refused "rank 1: SIGMATIC_ISA is 'blis' in the environment here, but 'plain' on rank 0" \
    $MPIRUN -n 1 env SIGMATIC_ISA=plain "$program" train tiny.ini --set run.folder=refused : \
    -n 1 env SIGMATIC_ISA=blis "$program" train tiny.ini --set run.folder=refused
expect "one on rank 0 only" is_refused "rank 2: SIGMATIC_ISA is not set in the environment here, but 'plain' on rank 0" \
    $MPIRUN -n 2 env SIGMATIC_ISA=plain "$program" train tiny.ini --set run.folder=refused : \
    -n 1 "$program" train tiny.ini --set run.folder=refused
expect "none of them began" test ! -e refused
expect "--version refuses, too" is_refused "SIGMATIC_ISA='avx22'" env SIGMATIC_ISA=avx22 "$program" --version
for command in "bench --step --steps 1 --height 64 --width 64 --backbone resnet18" "eval $best/checkpoints/step-00000002.h5"; do
    # shellcheck disable=SC2086
    expect "${command%% *} refuses, too" is_refused "SIGMATIC_ISA='avx22'" env SIGMATIC_ISA=avx22 "$program" $command
done
expect "help does not" env SIGMATIC_ISA=avx22 "$program" --help
report_end
