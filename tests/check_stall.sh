#!/usr/bin/env bash
# A rank that comes too late, stops, never starts or never finishes its gradient ends the job within seconds with exit
# code 3 and a message that names it and what it was doing. check_stall.sh BUILD/tests/test_stall BUILD/sigmatic
set -u
. "$(dirname "$0")/frame.sh"
program=$(realpath "$1") sigmatic=$(realpath "$2") watcher=
clean_up() { [ -n "$watcher" ] && kill "$watcher" 2>/dev/null; }
cd "$scratch" || exit 1

stalls() { # PATTERN ARGUMENTS of mpirun: exit code 3 before a sleeper wakes, and one line like PATTERN
    local pattern=$1 begin=$SECONDS code
    shift
    timeout 60 $MPIRUN "$@" >"$scratch/log" 2>&1
    code=$?
    grep stalled: "$scratch/log"
    echo "exit code $code after $((SECONDS - begin)) s, expected 3 and one line '$pattern'"
    [ $code -eq 3 ] && [ $((SECONDS - begin)) -lt 25 ] && [ "$(grep -c "stalled: .*$pattern" "$scratch/log")" -eq 1 ]
}
expect "a rank that sleeps" stalls "rank 2 .*'forward' 4 of step 17" -n 3 "$program" sleep "$scratch" 30
expect "a bucket that is held back" stalls "rank 2 .*'backward'" -n 3 "$program" hold "$scratch" overlapped
expect "a bucket that is held back from its node" stalls "rank 2 .*'backward'" -n 3 "$program" hold "$scratch" hierarchical

# Of every command one rank of two stops while it is at work.
export SIGMATIC_STALL_SECONDS=4
cat >rank.sh <<'END'
echo $$ >"pid${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"
exec "$@"
END
stops() { # RANK PHASE CONDITION ARGUMENTS of sigmatic: that rank stops in that phase, once the condition holds
    local rank=$1 phase=$2 condition=$3 code
    shift 3
    rm -f pid0 pid1
    (
        until [ -s "pid$rank" ] && $condition; do sleep 0.05; done
        kill -STOP "$(cat "pid$rank")"
    ) &
    watcher=$!
    stalls "rank $rank .*'$phase'" -n 2 sh rank.sh "$sigmatic" "$@"
    code=$?
    kill "$watcher" 2>/dev/null
    wait "$watcher" 2>/dev/null
    return $code
}
fills_memory() { awk '$1 == "RssShmem:" { exit $2 < 50000 }' "/proc/$(cat pid0)/status" 2>/dev/null; } # of first weights
writes() { awk '$1 == "wchar:" { exit $2 < 2000000 }' "/proc/$(cat pid1)/io" 2>/dev/null; }
steps() { compgen -G "sigmatic-bench-*/run.h5" >/dev/null; }

"$sigmatic" data scenes small.h5 --train 400 --validation 4 --height 64 --width 128 >"$scratch/log" 2>&1
cat >tiny.ini <<'END'
[run]
folder = run
steps = 1
batch = 2
[data]
train = small.h5
validation_split = val
[model]
backbone = resnet18
width = 0.0625
[distributed]
threads = 1
stall_seconds = 4
[task.semantic]
kind = semantic
END
expect "a training to evaluate" "$sigmatic" train tiny.ini
expect "a stop at the start of train" stops 0 train fills_memory train tiny.ini --dry-run \
    --set model.backbone=resnet152 --set model.width=1.5
expect "a stop in data" stops 1 "dataset, sample" writes data scenes scenes.h5 --train 100000 --validation 2
expect "a stop in eval" stops 1 evaluation writes eval run/checkpoints/best.h5 --split train --predictions seen.h5 \
    --prediction-count 400 --set run.evaluate_batch=2
TMPDIR=$scratch expect "a stop in bench" stops 1 "[a-z]*" steps bench --step --steps 1000000 --backbone resnet18 \
    --multiplier 0.0625 --height 64 --width 64
# ---- ranks that end without a word ----
start_two() { # OPTION of train...: a training of two ranks that makes steps
    rm -f pid0 pid1
    $MPIRUN -n 2 sh rank.sh "$sigmatic" train tiny.ini --set run.steps=1000000 --set run.progress_seconds=0 "$@" >"$scratch/log" 2>&1 &
    launcher=$!
    for _ in $(seq 600); do
        grep -q '^step 2/' "$scratch/log" && return 0
        kill -0 "$launcher" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}
loses() { # RANK: within half a minute, a message and a status that name it
    local begin=$SECONDS
    wait "$launcher"
    [ $? -ne 0 ] && [ $((SECONDS - begin)) -lt 30 ] && grep "error: .*lost: rank $1 has ended .*waited" "$scratch/log" &&
        grep "^failed: lost: rank $1 has ended" run/status
}
expect "a training to lose a rank of" start_two --overwrite
kill -SEGV "$(cat pid0)"
expect "the first rank crashes" loses 0
expect "a training to lose another rank of" start_two --overwrite
segments=$(sed -n 's|.* \(/dev/shm/[^ ]*\).*|\1|p' "/proc/$(cat pid0)/maps" | sort -u)
kill -KILL "$(cat pid1)"
expect "the other one is killed" loses 1
expect "a training to stop the first rank of" start_two --overwrite
kill -STOP "$(cat pid0)"
wait "$launcher"
expect "it ends with 3" test $? -eq 3
expect "the status is written by another rank" grep "^failed: stalled: .*rank 0" run/status
expect "a training to kill as a whole" start_two --overwrite
segments+=" $(sed -n 's|.* \(/dev/shm/[^ ]*\).*|\1|p' "/proc/$(cat pid0)/maps" | sort -u)"
kill -KILL "$launcher" "$(cat pid0)" "$(cat pid1)"
wait "$launcher" 2>/dev/null
expect "nothing stays in /dev/shm" test -z "$(ls $segments 2>/dev/null)" -a -n "${segments// /}"
space=$(stat -L -c %i /proc/self/ns/pid)
sh -c 'echo $$ >dead'
left=/dev/shm/sigmatic-$space-$(cat dead)-0-0 live=/dev/shm/sigmatic-$space-$$-0-0 other=/dev/shm/sigmatic-1-$(cat dead)-0-0
touch "$left" "$live" "$other"
"$sigmatic" --version >/dev/null
expect "what an ended process left there is removed by the next start, nothing else" test ! -e "$left" -a -e "$live" -a -e "$other"
rm -f "$left" "$live" "$other"

expect "a rank that never starts" stalls "waited .* for MPI to start" \
    -n 1 "$sigmatic" --version : -n 1 sh -c 'sleep 30; exec "$0" --version' "$sigmatic"
report_end
