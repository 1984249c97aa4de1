#!/usr/bin/env bash
# Trains on this machine, and goes on from the checkpoint whenever the run was pre-empted (exit code 75).
#
#     RANKS=2 THREADS=4 jobs/local.sh CONFIG [--set SECTION.KEY=VALUE]... [--resume auto] [--overwrite]
#
# USR1 makes the run write a checkpoint and start again; TERM or Ctrl-C writes a checkpoint and stops with 75, a second one
# ends the run at once. Any other exit code of the program is this script's.
#
# Environment: RANKS (1), THREADS a rank (cores / ranks), MAX_RESTARTS (100), SIGMATIC (build/current/sigmatic),
#              MPIRUN (mpirun), MPIRUN_FLAGS (instead of binding every rank to its own cores)
set -u
readonly PREEMPTED=75 KILLED_BY_USR1=138
here=$(cd "$(dirname "$0")/.." && pwd)
program=${SIGMATIC:-$here/build/current/sigmatic}
ranks=${RANKS:-1}
cores=$(nproc)
threads=${THREADS:-$((cores / ranks > 0 ? cores / ranks : 1))}
max_restarts=${MAX_RESTARTS:-100}

if [ $# -eq 0 ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
if [ ! -x "$program" ]; then
    echo "no program $program: run make, or set SIGMATIC" >&2
    exit 2
fi

export OMP_NUM_THREADS=$threads BLIS_NUM_THREADS=1
if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
if [ -n "${MPIRUN_FLAGS+given}" ]; then
    read -r -a flags <<<"$MPIRUN_FLAGS"
elif [ $((ranks * threads)) -le "$cores" ]; then
    flags=(--map-by "slot:PE=$threads" --bind-to core)
    export OMP_PLACES=cores OMP_PROC_BIND=close
else
    flags=(--oversubscribe --bind-to none)
    export OMP_PROC_BIND=false
fi

run='' interrupted='' asked='' stop='' reminder=''
# mpirun answers TERM by killing within seconds and exits 1; USR1 reaches the ranks, and their 75 comes back. While mpirun
# is still starting them it gets lost: hence the reminders.
ask() {
    kill -USR1 "$run" 2>/dev/null
    if [ -z "$asked" ]; then
        (while sleep 2 && kill -USR1 "$run"; do :; done) >/dev/null 2>&1 &
        reminder=$!
    fi
    asked=yes
}
restart() {
    interrupted=yes
    ask
}
stop() {
    interrupted=yes
    if [ -z "$stop" ]; then
        ask
    else
        kill -TERM "$run" 2>/dev/null
    fi
    stop=yes
}
trap restart USR1
trap stop TERM INT

arguments=("$@")
restarts=0
while :; do
    # setsid: Ctrl-C is for this script, which knows what to do about it
    setsid "${MPIRUN:-mpirun}" --quiet -n "$ranks" "${flags[@]}" "$program" train "${arguments[@]}" </dev/null &
    run=$! asked=
    [ -n "$stop" ] && ask
    interrupted=yes
    while [ -n "$interrupted" ]; do
        interrupted=
        wait "$run"
        code=$?
    done
    [ -n "$asked" ] && kill "$reminder" 2>/dev/null
    [ -n "$asked" ] && [ "$code" -eq $KILLED_BY_USR1 ] && code=$PREEMPTED # asked before it could listen
    [ "$code" -eq $PREEMPTED ] && [ -z "$stop" ] || break
    if [ "$restarts" -ge "$max_restarts" ]; then
        echo "not started again: $restarts restarts so far, MAX_RESTARTS=$max_restarts" >&2
        break
    fi
    if [ "$restarts" -eq 0 ]; then # from now on the run's own checkpoint counts
        arguments=() skip=
        for argument in "$@"; do
            if [ -n "$skip" ]; then
                skip=
            elif [ "$argument" = --resume ]; then
                skip=yes
            elif [ "$argument" != --overwrite ]; then
                arguments+=("$argument")
            fi
        done
        arguments+=(--resume auto)
    fi
    restarts=$((restarts + 1))
    echo "start $((restarts + 1)): going on from the checkpoint" >&2
done
case $code in
    0 | $PREEMPTED) ;;
    13[79]) echo "a rank was killed (exit code $code): out of memory? The run can go on with --resume auto" >&2 ;;
    *) echo "the run ended with exit code $code" >&2 ;;
esac
exit "$code"
