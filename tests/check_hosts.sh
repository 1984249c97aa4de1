#!/usr/bin/env bash
# Trains across two hosts made of network namespaces on this machine: sees that a reduction hides behind backward on a
# shaped link; then cuts the link in the middle of a run: the ranks must say who is missing and end within seconds,
# instead of hanging; and what jobs/supervise.sh makes of it. check_hosts.sh PROGRAM
# A rank that hangs behind a sound link ends the job with 3 (tests/test_stall.c); behind a cut one mpirun loses the other
# host's daemon as well, and leaves with a code of its own: 205.
# Needs root and iproute2; where namespaces are not allowed it says so and counts as skipped.
set -u
. "$(dirname "$0")/frame.sh"
program=$(realpath "$1")
. "$here/hosts.sh"

clean_up() {
    [ -n "${job:-}" ] && kill -KILL "$job" 2>/dev/null
    hosts_down
}

verdict() { # CONDITION-STATUS NAME
    expect "$2" test "$1" -eq 0
}

if ! command -v ip >/dev/null || ! hosts_up "$scratch" 2; then
    skip_all hosts "network namespaces are not allowed here: $(tail -n 1 "$scratch/setup" 2>/dev/null)"
fi

across() { # ARGUMENTS of the program on one rank a host
    hosts_run 1 2 "$program" "$@"
}

# ---- a run across them ------------------------------------------------------------------------------------------------
cat >"$scratch/hosts.ini" <<INI
[run]
folder = $scratch/run
batch = 4
steps = 20
progress_seconds = 1
[model]
backbone = resnet18
width = 0.125
[data]
train = $scratch/scenes.h5
[distributed]
stall_seconds = 4
[task.semantic]
kind = semantic
[task.depth]
kind = depth
INI
"$program" data scenes "$scratch/scenes.h5" --train 16 --validation 4 --height 64 --width 96 >"$scratch/log" 2>&1
verdict $? "scenes"
across train "$scratch/hosts.ini" >"$scratch/log" 2>&1
verdict $? "training across two hosts"
grep -q done "$scratch/run/status"
verdict $? "status of the run across hosts"
"$program" train "$scratch/hosts.ini" --set run.folder="$scratch/alone" >"$scratch/log" 2>&1
verdict $? "the same on one rank"

# ---- a reduction of 0.8 of backward, on a shaped link ----------------------------------------------------------------
# What else runs on this machine may spoil a round or two; one that it does not spoil shows what the program does.
best_of_three() { # FUNCTION
    for _ in 1 2 3; do
        "$1" && return 0
    done
    return 1
}
hidden_behind_sleeps() {
    across bench --replay --backbone resnet18 --multiplier 0.25 --reduction-share 0.8 --steps 3 --warmup 1 --json \
        >"$scratch/replay.json" 2>"$scratch/log" && "$python" "$here/hidden.py" bench "$scratch/replay.json" 0.85
}
trace() { # MODE
    across train "$scratch/wide.ini" --overwrite --set distributed.reduction="$1" --trace "$scratch/trace.json" \
        --trace-steps 2:6 >"$scratch/log" 2>&1
}
hidden_behind_training() {
    local rate
    hosts_shape none && trace blocking && rate=$("$python" "$here/hidden.py" rate "$scratch/trace.json" 0.8) &&
        hosts_shape "${rate}kbit" && trace overlapped &&
        "$python" "$here/hidden.py" trace "$scratch/trace.json" "$rate" 0.85
}
sed -e 's/^width.*/width = 0.25/; s/^batch.*/batch = 8/; s/^steps.*/steps = 6/; s|^folder.*|folder = '"$scratch/wide|" \
    -e 's|^train.*|train = '"$scratch/wide.h5|; s/^stall_seconds.*/batch_norm = local/" "$scratch/hosts.ini" >"$scratch/wide.ini"
python=${PYTHON:-python3}
if ! hosts_shape 300mbit; then
    skip shaping "reductions hidden on shaped links" "links cannot be shaped here: $(tail -n 1 "$scratch/setup")"
elif ! command -v "$python" >/dev/null; then
    skip h5py "reductions hidden on shaped links" "no python3"
else
    best_of_three hidden_behind_sleeps
    verdict $? "85 % of a reduction hidden behind sleeps"
    "$program" data scenes "$scratch/wide.h5" --train 8 --validation 2 --height 192 --width 320 >"$scratch/log" 2>&1
    verdict $? "scenes"
    best_of_three hidden_behind_training
    verdict $? "85 % of a reduction hidden behind training"
    hosts_shape none
fi

# ---- the link is cut in the middle ------------------------------------------------------------------------------------
across train "$scratch/hosts.ini" --set run.folder="$scratch/cut" --set run.steps=1000000 >"$scratch/log" 2>&1 &
job=$!
for _ in $(seq 100); do
    grep -q "^step [1-9][0-9]" "$scratch/log" && break
    sleep 0.3
done
grep -q "^step" "$scratch/log"
verdict $? "the run to be cut starts"
hosts_cut 2
begin=$SECONDS
for _ in $(seq 120); do
    kill -0 "$job" 2>/dev/null || break
    sleep 0.5
done
if kill -0 "$job" 2>/dev/null; then
    verdict 1 "still running 60 s after the link was cut"
else
    wait "$job"
    code=$?
    job=
    echo "check_hosts: cut link: exit code $code after $((SECONDS - begin)) s"
    grep -v '^step' "$scratch/log" | grep -i -E 'stalled|waited|rank' | head -n 6
    [ "$code" -eq 3 ] || [ "$code" -eq 205 ]
    verdict $? "exit code 3, or mpirun's 205, expected after the cut"
    grep -q "stalled: waited .* rank 1 on ${tag}2" "$scratch/log"
    verdict $? "the message names rank 1"
fi

# ---- a node goes away in the middle, under jobs/supervise.sh -----------------------------------------------------------
jobs=$(realpath "$here/../jobs")
hosts_join 2
sed -e 's/^steps.*/steps = 150/; s/^stall_seconds.*/&\nreproducible = true/' -e '/^progress/d' "$scratch/hosts.ini" >"$scratch/node.ini"
printf '[checkpoint]\ninterval = 5\n' >>"$scratch/node.ini"
supervise_and_cut() { # FOLDER ENVIRONMENT...: sets code; the second host is gone once there is a checkpoint
    local folder=$1
    shift
    hosts_do "env HOSTS='${tag}1 ${tag}2' RANKS=1 THREADS=1 REACH=$host_folder/reach.sh RESTART_SECONDS=0 \
        SIGMATIC=$program $* $jobs/supervise.sh node.ini --set run.folder=$folder" >"$scratch/log" 2>&1 &
    job=$!
    for _ in $(seq 300); do
        [ -n "$(find "$scratch/$folder/checkpoints" -name 'step-*.h5' 2>/dev/null)" ] && break
        sleep 0.1
    done
    hosts_cut 2
    wait "$job"
    code=$?
    job=
}
begin=$SECONDS
supervise_and_cut refused
test "$code" -eq 3
verdict $? "a node that is gone ends the run with 3, not $code"
grep -qx "of ${tag}1 ${tag}2 only ${tag}1 can be reached; FEWER_RANKS=yes would go on there" "$scratch/log"
verdict $? "and what would go on is said"
hosts_join 2
supervise_and_cut fewer FEWER_RANKS=yes
test "$code" -eq 0 || grep -v '^step' "$scratch/log" | head -n 20
test "$code" -eq 0
verdict $? "with leave it goes on without the node, and ends with 0, not $code"
grep -q 'exit code 3: start 2, from the newest checkpoint, ranks: 1$' "$scratch/log"
verdict $? "on one rank, from the newest checkpoint"
grep -qx done "$scratch/fewer/status"
verdict $? "its status is done"
echo "check_hosts: supervise.sh without a node: $((SECONDS - begin)) s"
if "$python" -c 'import h5py' 2>/dev/null; then
    (cd "$scratch" && "$program" train node.ini --set run.folder=whole) >"$scratch/log" 2>&1
    verdict $? "the same on one rank throughout"
    expect "to the same bits" "$python" - "$scratch" <<'PY'
import sys, h5py, numpy
def numbers(path, group):
    found = {}
    with h5py.File(f"{sys.argv[1]}/{path}") as file:
        file[group].visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found
for path, group in ("checkpoints/step-00000150.h5", "model"), ("run.h5", "tasks"):
    found, wanted = (numbers(f"{run}/{path}", group) for run in ("fewer", "whole"))
    assert found.keys() == wanted.keys() and len(found) > 4, (path, found.keys())
    assert all(numpy.array_equal(found[name], wanted[name], equal_nan=True) for name in wanted), path
PY
else
    skip h5py "the run that lost a node ends with the bits of one that did not" "no Python with h5py"
fi
report_end
