# To be sourced by the *.sbatch files: what they share. They run under Slurm, or under local.sh, which is a small Slurm of one
# machine (SIGMATIC_LOCAL is set then, and RANKS and THREADS say what the job got).
#
# Before it they set `jobs`, the folder of this file, and a trap that sets `asked`: a signal may come at any moment.
#   job_begin ARGUMENT...      finds the program and the way to start ranks; sets program ranks nodes threads restarts
#   step COMMAND...            runs a command, passes signals on, sets `code`; 75 after a signal is a checkpoint
#   on_ranks [RANKS NODES]     sets `launch`, what goes before a program that runs on all ranks, or on some
#   job_end                    ends the job with `code`; after 75 it queues itself again
#   train ARGUMENT...          a step that trains, after pre-emption from where the run stopped; failures.sh says when it starts
#                              again after a failure
#
# shellcheck disable=SC2034,SC2154  # files that read each other's variables
. "$jobs/common.sh"
. "$jobs/failures.sh"
readonly PREEMPTED=75 TIME_IS_UP=76 KILLED_BY_USR1=138

# ---- being asked to stop ----------------------------------------------------------------------------------------------
# Whatever the moment, the answer is a checkpoint and exit code 75. bash runs a trap only between foreground commands: the
# step runs in the background, and `wait` can be interrupted. A signal to a step that is still starting gets lost: hence
# the reminders.
running='' interrupted='' announced='' reminder=''
after_stop=$([ -n "${SIGMATIC_LOCAL:-}" ] || echo ', then queue again') # local.sh says by itself what comes then
pass_on() {
    interrupted=yes
    [ -z "$announced" ] && echo "$(date '+%F %T')  asked to stop: checkpoint$after_stop" >&2
    asked=yes announced=yes
    if [ -n "$running" ]; then
        kill -USR1 "$running" 2>/dev/null
        if [ -z "$reminder" ]; then
            (while sleep 2 && kill -USR1 "$running"; do :; done) >/dev/null 2>&1 &
            reminder=$!
        fi
    fi
}
trap pass_on USR1 TERM

step() {
    if [ -n "$asked" ]; then # already: nothing is lost by not starting
        code=$PREEMPTED
        return
    fi
    "$@" </dev/null &
    running=$!
    [ -n "$asked" ] && pass_on
    interrupted=yes
    while [ -n "$interrupted" ]; do
        interrupted=
        wait "$running"
        code=$?
    done
    running=
    if [ -n "$reminder" ]; then
        kill "$reminder" 2>/dev/null
        reminder=
    fi
    [ -n "$asked" ] && [ "$code" -eq $KILLED_BY_USR1 ] && code=$PREEMPTED # asked before it could listen
    return 0
}

# ---- what starts ranks ------------------------------------------------------------------------------------------------
pmix_works() { command -v srun >/dev/null && srun --mpi=list 2>&1 | grep -qw 'pmix'; }
slurm_binds() { scontrol show config | grep -q '^TaskPlugin .*affinity'; }

on_ranks() {
    local count=${1:-$ranks} on=${2:-$nodes} some=()
    case $launcher in
    local)
        launch=("${MPIRUN:-mpirun}" --quiet -n "$count" "${only[@]}")
        read -r -a some <<<"$LOCAL_FLAGS"
        launch+=("${some[@]}")
        ;;
    srun)
        [ $# -eq 0 ] || some=(-N "$on" -n "$count" --ntasks-per-node="$((count / on))")
        # -K1: a rank that dies takes the others with it instead of leaving them waiting
        launch=(srun --mpi=pmix -K1 -c "$threads" "${some[@]}" "${only[@]}")
        if [ "$bound" = yes ]; then
            launch+=("--cpu-bind=verbose,cores")
        fi
        ;;
    mpirun)
        launch=(mpirun -n "$count" "${only[@]}" --map-by "ppr:$(((count + on - 1) / on)):node:PE=$threads" --bind-to core
            --report-bindings)
        ;;
    *)
        [ $# -eq 0 ] || return 1
        read -r -a launch <<<"$launcher"
        ;;
    esac
}

begin_local() {
    ranks=$RANKS nodes=1 threads=$THREADS restarts=${SIGMATIC_RESTARTS:-0} launcher=local bound=given
    most_failures=${MOST_FAILURES:-0}
    if [ -n "${HOSTS:-}" ]; then
        use_hosts $HOSTS
        find_nodes || exit 1
    fi
}

# The program ends in time for its checkpoint if it knows when the job ends. Older Slurms do not say so to jobs.
find_end() {
    local end
    [ -z "${SLURM_JOB_END_TIME:-}" ] || return 0
    end=$(squeue -h -j "$SLURM_JOB_ID" -o %e 2>/dev/null) && end=$(date -d "$end" +%s 2>/dev/null) && export SLURM_JOB_END_TIME=$end
}

begin_slurm() {
    most_failures=${MOST_FAILURES:-3}
    find_end
    # mpirun finds out within seconds that a node is gone; by itself it waits for minutes
    export OMPI_MCA_oob_tcp_keepalive_time=${OMPI_MCA_oob_tcp_keepalive_time:-5}
    export OMPI_MCA_oob_tcp_keepalive_intvl=${OMPI_MCA_oob_tcp_keepalive_intvl:-2}
    export OMPI_MCA_oob_tcp_keepalive_probes=${OMPI_MCA_oob_tcp_keepalive_probes:-5}
    restarts=${SLURM_RESTART_COUNT:-0}
    ranks=${SLURM_NTASKS:-1} nodes=${SLURM_JOB_NUM_NODES:-1} threads=${SLURM_CPUS_PER_TASK:-1} bound=yes
    export SRUN_CPUS_PER_TASK=$threads # Slurm 22.05 to 23.02: srun no longer inherits -c
    launcher=${LAUNCHER:-$(pmix_works && echo srun || echo mpirun)}
    if [ "$launcher" = srun ] && ! slurm_binds; then
        bound=no # ranks share one set of cores: pinned threads would pile up on the first
    fi
    export OMP_NUM_THREADS=$threads
    if [ "$bound" = yes ]; then
        export OMP_PLACES=cores OMP_PROC_BIND=close
    else
        export OMP_PROC_BIND=false
    fi
}

preamble() {
    echo "==== $(date '+%F %T')  job $SLURM_JOB_ID, start $((restarts + 1)), on ${SLURM_JOB_NODELIST:-$(hostname)}"
    "$program" --version
    echo "Slurm: $(scontrol --version 2>/dev/null), launcher: ${launch[*]}"
    echo "ranks: $ranks on $nodes node(s), $threads thread(s) each;" \
        "bound to cores: $bound; OMP_PLACES=${OMP_PLACES:-} OMP_PROC_BIND=${OMP_PROC_BIND:-}"
    echo "cores of this node that the job may use: $(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)"
}

job_begin() {
    if [ -z "${SLURM_JOB_ID:-}${SIGMATIC_LOCAL:-}" ]; then
        wrong "this is a Slurm job: jobs/submit.sh or sbatch $0 ... (jobs/local.sh $0 ... runs without Slurm)"
    fi
    read_site
    find_program
    export BLIS_NUM_THREADS=1 # the program calls BLIS from its own threads
    if [ -n "${SIGMATIC_LOCAL:-}" ]; then
        begin_local
    else
        begin_slurm
    fi
    on_ranks
    [ -n "${SIGMATIC_LOCAL:-}" ] || preamble
}

# scancel sends TERM, as pre-emption and the time limit do; Slurm then calls the job COMPLETING for whatever reason.
is_cancelled() {
    local job
    job=$(scontrol show job "$SLURM_JOB_ID" -o 2>/dev/null)
    [[ $job =~ JobState=(COMPLETING|CANCELLED) && ! $job =~ PreemptTime=[0-9] ]] &&
        [ "$(date +%s)" -lt "${SLURM_JOB_END_TIME:-9999999999}" ]
}

# ---- the end: again? ---------------------------------------------------------------------------------------------------
job_end() {
    trap '' USR1 TERM
    if [ -n "${SIGMATIC_LOCAL:-}" ]; then # local.sh starts it again, unless its own time is up
        [ "$code" -ne $PREEMPTED ] || [ -n "$asked" ] || ! time_is_up || exit $TIME_IS_UP
        exit "$code"
    fi
    echo "==== $(date '+%F %T')  exit code $code${asked:+ after being asked to stop}"
    [ "$code" -eq $PREEMPTED ] || exit "$code"
    if is_cancelled; then
        echo 'not queued again: cancelled'
        exit $PREEMPTED
    fi
    if [ "$restarts" -ge "${MAX_RESTARTS:-100}" ]; then
        echo "not queued again: $restarts restarts so far, MAX_RESTARTS=${MAX_RESTARTS:-100}"
        exit $PREEMPTED
    fi
    echo "queueing job $SLURM_JOB_ID again"
    scontrol requeue "$SLURM_JOB_ID" || exit $PREEMPTED
    sleep 60 # Slurm ends this script
    exit $PREEMPTED
}

# A run goes on where it stopped; what an option says of its first start no longer holds then. A checkpoint that it was to begin
# from does, as long as the run has none of its own.
resumed() { # ARGUMENT... of the first start; sets `arguments`
    local argument skip='' kept=()
    find_folder
    [ -z "$(newest)" ] || kept=(--resume auto)
    arguments=()
    for argument in "$@"; do
        if [ -n "$skip" ]; then
            skip=
            [ ${#kept[@]} -gt 0 ] || kept=(--resume "$argument")
        elif [ "$argument" = --resume ]; then
            skip=yes
        elif [[ $argument == --resume=* ]]; then
            [ ${#kept[@]} -gt 0 ] || kept=("$argument")
        elif [ "$argument" != --overwrite ]; then
            arguments+=("$argument")
        fi
    done
    [ ${#kept[@]} -gt 0 ] || kept=(--resume auto)
    arguments+=("${kept[@]}")
}

start_training() {
    if [ -z "${SIGMATIC_LOCAL:-}" ]; then
        echo "command: $program train $*"
        "$program" train "$@" --print-config | sed "s|^|    |"
        echo "===="
    fi
    step "${launch[@]}" "$program" train "$@"
}

train() {
    local arguments=("$@")
    run_arguments=("$@")
    [ "$restarts" -eq 0 ] || resumed "$@"
    while :; do
        before_start
        start_training "${arguments[@]}"
        believe_status
        fails_again || break
        has_begun && resumed "$@"
    done
}
