#!/usr/bin/env bash
# Stops and kills training runs, and lets them go on: whatever happens, the run ends with the bits of one that nobody
# disturbed. check_stop.sh PROGRAM; needs a Python with h5py.
set -u
. "$(dirname "$0")/frame.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
launched=
clean_up() { [ -n "$launched" ] && kill "$launched" 2>/dev/null; }
cd "$scratch" || exit 1
STEPS=90 LIMIT=60

cat >tiny.ini <<INI
[run]
folder = run
batch = 4
steps = $STEPS
evaluate_interval = 40
progress_seconds = 0
[model]
backbone = resnet18
width = 0.0625
aspp_rates = 1,2,3
[data]
train = tiny.h5
[task.semantic]
kind = semantic
[task.instance]
kind = instance
[task.depth]
kind = depth
[optimizer]
ema_decay = 0.99
[checkpoint]
interval = 30
INI

run() { # RANKS FOLDER OPTIONS...: a command that replaces this shell, so that its process is the one launched
    local ranks=$1 folder=$2
    shift 2
    local launcher=
    [ "$ranks" -gt 1 ] && launcher="$MPIRUN -n $ranks"
    exec timeout --foreground "$LIMIT" $launcher "$program" train tiny.ini --set "run.folder=$folder" "$@"
}

# Starts a run in the background and returns once some steps are made.
launch() { # RANKS FOLDER
    { (run "$1" "$2") >log 2>&1 </dev/null & } 2>/dev/null
    launched=$!
    says '^step 10/'
}

says() { # PATTERN: what was launched, now or soon
    for _ in $(seq 400); do
        grep -q "$1" log && return 0
        kill -0 "$launched" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

ended() { # the exit code of what was launched
    wait "$launched" 2>/dev/null
    code=$?
    launched=
}

processes() { # PARENT: the training processes below it
    local child
    for child in $(pgrep -P "$1"); do
        if [ "$(readlink "/proc/$child/exe")" = "$program" ]; then
            echo "$child"
        else
            processes "$child"
        fi
    done
}

status_is() { grep -q "^$2" "$1/status"; }
code_is() { [ "$code" -eq "$1" ] || { echo "exit code $code, $1 expected"; return 1; }; }
resume() { (run "$1" "$2" --resume auto) >log 2>&1 </dev/null; code=$?; }

cat >compare.py <<'PYTHON'
import sys
import h5py
import numpy

def datasets(path):
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found

def is_time(name):
    return name.startswith("timing/") or name in ("steps/seconds", "steps/images_per_second")

def compare(one, other):
    a, b = datasets(one), datasets(other)
    bad = [n for n in sorted(a.keys() | b.keys()) if not is_time(n) and
           (n not in a or n not in b or a[n].shape != b[n].shape or a[n].tobytes() != b[n].tobytes())]
    if bad:
        sys.exit(f"{one} and {other}: {len(bad)} of {len(a)} datasets differ, the first is {bad[0]}")

whole, stopped, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
name = f"checkpoints/step-{steps:08d}.h5"
compare(f"{whole}/{name}", f"{stopped}/{name}")
if "checkpoint" in sys.argv[4:]:
    sys.exit()
compare(f"{whole}/run.h5", f"{stopped}/run.h5")
rows = datasets(f"{stopped}/run.h5")["steps/step"]
if not numpy.array_equal(rows, numpy.arange(1, steps + 1)):
    sys.exit(f"{stopped}/run.h5: steps are {rows}")
PYTHON
same() { "$python" compare.py "$1" "$2" "$STEPS"; }
# The checkpoint was written right after the last step of the log: everybody stopped there.
stopped_together() {
    "$python" - "$1" <<'PYTHON'
import glob, sys
import h5py
newest = sorted(glob.glob(f"{sys.argv[1]}/checkpoints/step-*.h5"))[-1]
with h5py.File(newest, "r") as checkpoint, h5py.File(f"{sys.argv[1]}/run.h5", "r") as log:
    step, rows = int(checkpoint.attrs["step"]), log["steps/step"][()]
    if len(rows) != step or rows[-1] != step or step >= 90:
        sys.exit(f"checkpoint of step {step}, {len(rows)} rows")
PYTHON
}

# Whoever is told to stop, all ranks do.
stop_and_go_on() { # NAME RANKS SIGNAL RECEIVER: "one" rank, or the "launcher", which tells all
    local name=$1 ranks=$2 signal=$3 receiver=$4
    expect "$name: starts" launch "$ranks" "$name"
    case $receiver in
    one) kill -s "$signal" "$(processes "$$" | tail -n 1)" ;;
    launcher) kill -s "$signal" "$(pgrep -P "$launched" | head -n 1)" ;; # timeout's child: mpirun, or the program itself
    esac
    ended
    expect "$name: exit code of a pre-empted run" code_is 75
    expect "$name: status file" status_is "$name" pre-empted
    expect "$name: all ranks stop after the same step" stopped_together "$name"
    resume "$ranks" "$name"
    expect "$name: goes on to its end" code_is 0
    expect "$name: status file at the end" status_is "$name" done
    expect "$name: ends with the bits of an undisturbed run" same "whole$ranks" "$name"
}

kill_and_go_on() { # NAME RANKS: as a lost node does
    local name=$1 ranks=$2
    expect "$name: starts" launch "$ranks" "$name"
    kill -s KILL "$(processes "$$" | tail -n 1)"
    ended
    expect "$name: is no success" test "$code" -ne 0
    expect "$name: status file" status_is "$name" 'failed: lost: rank 1 has ended'
    expect "$name: its log can be read" "$program" show "$name/run.h5" >shown 2>&1
    resume "$ranks" "$name"
    expect "$name: goes on to its end" code_is 0
    expect "$name: ends with the bits of an undisturbed run" same "whole$ranks" "$name"
}

# mpirun is killed, and it takes a while until nobody has the folder any more: the supervisor's next start waits.
launcher_killed() {
    local slow
    { RESTART_SECONDS=0 RANKS=2 THREADS=1 MPIRUN_FLAGS='--oversubscribe --bind-to none' SIGMATIC=$program \
        timeout --foreground $((2 * LIMIT)) "$here/../jobs/supervise.sh" tiny.ini --set run.folder=headless >log 2>&1 & } 2>/dev/null
    launched=$!
    expect "headless: starts" says '^step 10/'
    flock --no-fork headless/.lock sleep 60 & # in place of a rank that is slow to end: has the lock from rank 0's end on
    slow=$!
    kill -s KILL "$(ps -o ppid= -p "$(processes "$$" | head -n 1)" | tr -d ' ')"
    expect "headless: the next start waits" says 'headless/.lock: another process has it: waiting up to 30 s for its end'
    kill "$slow"
    ended
    expect "headless: and goes on to its end" code_is 0
    expect "headless: ends with the bits of an undisturbed run" same whole2 headless
}

# While five look at it again and again, and its folder is copied.
watched_and_copied() {
    local readers=() reader original
    expect "watched: starts" launch 1 watched
    original=$launched
    for reader in 1 2 3 4 5; do
        (while kill -0 "$original" 2>/dev/null; do
            "$program" show watched/run.h5 --json >"shown$reader" 2>&1 || cp "shown$reader" "unread$reader"
        done) &
        readers+=($!)
    done
    for _ in $(seq 400); do
        [ ! -e watched/checkpoints/step-00000030.h5 ] || break
        sleep 0.05
    done
    cp -r watched copied
    (run 1 copied --resume auto) >copied.log 2>&1 </dev/null
    code=$?
    expect "copied: goes on while the original does" code_is 0
    ended
    expect "watched: ends" code_is 0
    wait "${readers[@]}"
    expect "watched: each look saw a whole log" test -z "$(cat unread* 2>/dev/null)"
    expect "watched: has the bits of one that nobody watched" same whole1 watched
    expect "copied: has them too" "$python" compare.py whole1 copied "$STEPS" checkpoint
}

# In an evaluation: it is not waited for, and made up for later.
stop_in_evaluation() { # RANKS
    local sets="--set run.steps=6 --set run.evaluate_interval=3 --set data.validation=long.h5 --set run.evaluate_batch=2"
    (run "$1" unhurried $sets) >log 2>&1
    code=$?
    expect "in-evaluation: undisturbed run" code_is 0
    { (run "$1" hurried $sets) >log 2>&1 & } 2>/dev/null
    launched=$!
    for _ in $(seq 400); do
        grep -q '^step 3/' log && break
        sleep 0.05
    done
    sleep 0.2
    kill -s TERM "$(processes "$$" | tail -n 1)"
    ended
    expect "in-evaluation: exit code of a pre-empted run" code_is 75
    expect "in-evaluation: says where" grep -q 'during the evaluation: checkpoint of step 3' hurried/status
    (run "$1" hurried $sets --resume auto) >log 2>&1
    code=$?
    expect "in-evaluation: goes on to its end" code_is 0
    expect "in-evaluation: ends with the bits of an undisturbed run" "$python" compare.py unhurried hurried 6
}

# One rank of two, whose other comes SECONDS later: it waits for MPI to start.
start_halfway() { # SECONDS
    $MPIRUN -n 1 "$program" train tiny.ini --set run.folder=halfway : \
        -n 1 sh -c 'sleep "$2"; exec "$0" train "$1" --set run.folder=halfway' "$program" tiny.ini "$1" >log 2>&1 </dev/null &
    launched=$!
    for _ in $(seq 400); do
        first=$(processes "$$" | head -n 1)
        [ -n "$first" ] && listens "$first" && return 0
        sleep 0.02
    done
    return 1
}
listens() { # PROCESS: it handles USR1 (bit 9)
    local caught
    caught=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null)
    [ $((0x${caught:-0} >> 9 & 1)) -eq 1 ]
}
signals_while_starting() {
    expect "halfway: it listens before MPI is there" start_halfway 2
    kill -s USR1 "$first"
    ended
    expect "halfway: USR1 while MPI starts is a wish to stop" code_is 75
    expect "halfway: and said" grep -q 'asked to stop before step 1: nothing new to save' log
    expect "twice: it listens" start_halfway 50
    kill -s TERM "$first"
    sleep 0.2
    expect "twice: the same signal on two ways is one" kill -s TERM "$first"
    sleep 1.3
    expect "twice: it waits" kill -s TERM "$first"
    ended
    expect "twice: a second TERM ends it at once" code_is 143
    expect "twice: and it says so" grep -q 'asked to stop again: leaving without a checkpoint' log
}

"$program" data scenes tiny.h5 --train 13 --validation 5 --height 64 --width 96 >log 2>&1 || { cat log; exit 1; }
for ranks in 1 2; do
    (run $ranks whole$ranks) >log 2>&1 </dev/null
    code=$?
    expect "undisturbed run on $ranks" code_is 0
done
signals_while_starting
stop_and_go_on term-one 2 TERM one
stop_and_go_on usr1-mpirun 2 USR1 launcher
stop_and_go_on int-alone 1 INT launcher
watched_and_copied
"$program" data scenes long.h5 --train 1 --validation 1500 --height 64 --width 96 >log 2>&1 || cat log
stop_in_evaluation 2
kill_and_go_on killed 2
launcher_killed
report_end
