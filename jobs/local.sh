#!/usr/bin/env bash
# Runs a job on this machine, without Slurm: trains, and goes on from the checkpoint whenever the run was pre-empted (75).
# jobs/supervise.sh goes on after failures as well.
#
#     RANKS=2 THREADS=4 jobs/local.sh CONFIG [--set SECTION.KEY=VALUE]... [--resume auto] [--overwrite]
#     jobs/local.sh jobs/array.sbatch CONFIG LIST [--folder FOLDER] [--set SECTION.KEY=VALUE]...
#     jobs/local.sh jobs/NAME.sbatch ARGUMENT...       (train, evaluate, scaling)
#
# Of an array it runs what is not done yet, as many runs at a time as fit on the cores, each on cores of its own; what a run
# says goes to logs/LIST-NUMBER.out.
# USR1 makes a run write a checkpoint and start again; TERM or Ctrl-C writes a checkpoint and stops with 75, a second one
# ends the run at once; at the end of run.time_limit it stops with 75, too. Any other exit code of the program is this script's
# (of an array: 1 if a run failed).
#
# Environment: RANKS (1), THREADS a rank (cores / ranks; 1 for an array), AT_ONCE (runs of an array: as many as fit),
#              MAX_RESTARTS (100), SIGMATIC (build/current/sigmatic), SIGMATIC_SITE (site.sh),
#              MPIRUN (mpirun), MPIRUN_FLAGS (instead of binding every rank to its own cores)
set -u
readonly PREEMPTED=75 TIME_IS_UP=76 KILLED_BY_USR1=138
jobs=$(cd "$(dirname "$0")" && pwd)
. "$jobs/common.sh"

if [ $# -eq 0 ]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
job=$jobs/train.sbatch
if [[ $1 == *.sbatch ]]; then
    find_job "$1"
    shift
fi
is_array=$([ "$(basename "$job")" != array.sbatch ] || echo yes)
cores=$(cores_here)
export RANKS=${RANKS:-1}
if [ -z "${THREADS:-}" ]; then
    THREADS=$([ -z "$is_array" ] && [ "$cores" -gt "$RANKS" ] && echo $((cores / RANKS)) || echo 1)
fi
export THREADS SIGMATIC_LOCAL=yes SIGMATIC_JOBS=$jobs
if [ -n "$is_array" ] && [ -z "${SIGMATIC_ROW:-}" ]; then
    exec "$jobs/local_array.sh" "$@"
fi
unset SLURM_JOB_ID SLURM_SUBMIT_DIR

export OMP_NUM_THREADS=$THREADS
if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
if [ -n "${MPIRUN_FLAGS+given}" ]; then
    LOCAL_FLAGS=$MPIRUN_FLAGS
elif [ -n "${HOSTS:-}" ] && [ $((RANKS * THREADS)) -le "$cores" ]; then # RANKS on each of hosts like this one
    LOCAL_FLAGS="--map-by ppr:$RANKS:node:PE=$THREADS --bind-to core"
    export OMP_PLACES=cores OMP_PROC_BIND=close
elif [ -n "${HOSTS:-}" ]; then
    LOCAL_FLAGS="--map-by ppr:$RANKS:node --oversubscribe --bind-to none"
    export OMP_PROC_BIND=false
elif [ -z "$is_array" ] && [ $((RANKS * THREADS)) -le "$cores" ]; then
    LOCAL_FLAGS="--map-by slot:PE=$THREADS --bind-to core"
    export OMP_PLACES=cores OMP_PROC_BIND=close
else # what local_array.sh keeps the runs apart by, mpirun does not see
    LOCAL_FLAGS='--oversubscribe --bind-to none'
    export OMP_PROC_BIND=false
fi
if [ -n "${HOSTS:-}" ]; then # what this environment says, they must be told
    LOCAL_FLAGS+=" -x OMP_NUM_THREADS -x OMP_PROC_BIND -x BLIS_NUM_THREADS${OMP_PLACES:+ -x OMP_PLACES}${SIGMATIC_ISA:+ -x SIGMATIC_ISA}"
fi
export LOCAL_FLAGS

run='' interrupted='' asked='' stop=''
# The job makes USR1 a checkpoint and 75, whatever its ranks are doing.
ask() {
    interrupted=yes asked=yes
    [ -z "$run" ] || kill -USR1 "$run" 2>/dev/null
}
stop() {
    if [ -n "$stop" ]; then
        kill -TERM -- "-$run" 2>/dev/null
    fi
    stop=yes
    ask
}
trap ask USR1
trap stop TERM INT

restarts=0
while :; do
    # setsid: Ctrl-C is for this script, which knows what to do about it
    asked=''
    SIGMATIC_RESTARTS=$restarts setsid bash "$job" "$@" </dev/null &
    run=$!
    [ -z "$stop$asked" ] || ask
    interrupted=yes
    while [ -n "$interrupted" ]; do
        interrupted=
        wait "$run"
        code=$?
    done
    [ -n "$asked" ] && [ "$code" -eq $KILLED_BY_USR1 ] && code=$PREEMPTED # asked before it could listen
    [ "$code" -ne $TIME_IS_UP ] || { code=$PREEMPTED && break; }
    [ "$code" -eq $PREEMPTED ] && [ -z "$stop" ] || break
    if [ "$restarts" -ge "${MAX_RESTARTS:-100}" ]; then
        echo "not started again: $restarts restarts so far, MAX_RESTARTS=${MAX_RESTARTS:-100}" >&2
        break
    fi
    restarts=$((restarts + 1))
    echo "start $((restarts + 1)): going on from the checkpoint" >&2
done
case $code in
    0) ;;
    "$PREEMPTED") # an array says so by itself; evaluation and scaling have no checkpoints
        if [ "$(basename "$job")" = train.sbatch ]; then
            echo 'stopped with a checkpoint; with --resume auto the same command goes on' >&2
        fi
        ;;
    13[79]) echo "a rank was killed (exit code $code): out of memory? The run can go on with --resume auto" >&2 ;;
    *) echo "the run ended with exit code $code" >&2 ;;
esac
exit "$code"
