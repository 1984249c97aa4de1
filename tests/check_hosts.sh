#!/usr/bin/env bash
# Trains across two hosts made of network namespaces on this machine: sees that a reduction hides behind backward on a
# shaped link; then cuts the link in the middle of a run: the ranks must say who is missing and end within seconds,
# instead of hanging. check_hosts.sh PROGRAM
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
ip -n "${tag}switch" link set port2 down
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
report_end
