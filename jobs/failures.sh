# To be sourced by job.sh: what becomes of a run that has failed. It is started again from its newest whole checkpoint, where
# $most_failures (MOST_FAILURES; 3 under Slurm and supervise.sh, else 0) allows it, unless it was wrong before its first step (2).
#
# A failure is fast if the start took less than FAST_SECONDS (300), or wrote no checkpoint: that many in a row, and it is given up.
# All start again after RESTART_SECONDS (5) for each fast one in a row; MAX_RESTARTS (100) counts them all.
#
# Of the hosts of a run some may be gone. With FEWER_RANKS=yes it goes on without them; else it waits in Slurm's queue for others, or
# ends.
#
# shellcheck disable=SC2034,SC2154  # files that read each other's variables
run_arguments=() run_folder='' failures=0 made_restarts=0 only=()

# Where the run is, by its own config.
find_folder() {
    [ -z "$run_folder" ] || return 0
    run_folder=$("$program" train "${run_arguments[@]}" --print-config 2>/dev/null |
        sed -n '/^\[run\]/,/^\[/ { s/^folder = //; T; s/^"\(.*\)"$/\1/; p }')
    [[ $run_folder != \~/* ]] || run_folder=$HOME${run_folder#\~}
    run_folder=${run_folder:-/nowhere} # the config is wrong, and the program will say so
}
newest() { find "$run_folder/checkpoints" -name '*.h5' -printf '%T@ %i\n' 2>/dev/null | sort -n | tail -n 1; }
status_stamp() { stat -c '%i %y' "$run_folder/status" 2>/dev/null; }
status_text() { head -c 4000 "$run_folder/status" 2>/dev/null; }
has_begun() { [ "$(status_stamp)" != "$stamp_before" ]; }
time_is_up() {
    find_folder
    [[ $(status_text) == 'pre-empted: the time limit'* ]]
}

before_start() {
    began=$SECONDS stamp_before='' newest_before=''
    [ "$most_failures" -gt 0 ] || return 0
    find_folder
    stamp_before=$(status_stamp) newest_before=$(newest)
}

# An exit code may get lost on the way: mpirun has 137 for a killed rank, 1 for TERM, srun its own. What the run wrote last tells,
# if it is of this start.
believe_status() {
    [ "$most_failures" -gt 0 ] && has_begun || return 0
    case $code in 0 | 2 | "$PREEMPTED") return 0 ;; esac
    case $(status_text) in
    done*) code=0 ;;
    pre-empted*) code=$PREEMPTED ;;
    'failed: stalled'* | 'failed: lost'*) code=3 ;;
    failed*) code=1 ;;
    running*) code=$([ -n "$asked" ] && echo "$PREEMPTED" || echo 3) ;; # nobody was left to say it
    esac
}

# Says whether what has just ended is to be started again; waits until then.
fails_again() {
    local lasted=$((SECONDS - began))
    case $code in 0 | 2 | "$PREEMPTED") return 1 ;; esac
    [ "$most_failures" -gt 0 ] && [ -z "$asked" ] || return 1
    if [ "$lasted" -lt "${FAST_SECONDS:-300}" ] || [ "$(newest)" = "$newest_before" ]; then
        failures=$((failures + 1))
    else
        failures=0
    fi
    if [ "$failures" -ge "$most_failures" ]; then
        echo "given up: $failures failures in a row, each in less than ${FAST_SECONDS:-300} s or without a checkpoint (MOST_FAILURES)" >&2
        return 1
    elif [ "$made_restarts" -ge "${MAX_RESTARTS:-100}" ]; then
        echo "given up: $made_restarts restarts so far (MAX_RESTARTS)" >&2
        return 1
    fi
    find_nodes || return 1
    made_restarts=$((made_restarts + 1))
    echo "$(date '+%F %T')  exit code $code: start $((restarts + made_restarts + 1)), from the newest checkpoint, ranks: $ranks" >&2
    wait_for_restart $((${RESTART_SECONDS:-5} * failures))
    return 0
}

wait_for_restart() { # SECONDS, or until a signal comes
    local timer
    [ "$1" -gt 0 ] && [ -z "$asked" ] || return 0
    sleep "$1" &
    timer=$!
    wait "$timer"
    kill "$timer" 2>/dev/null
}

# ---- nodes that are gone -------------------------------------------------------------------------------------------------
# Sets ranks, nodes, only and launch for the nodes that are left. Fails if there are fewer of them and that is not allowed.
find_nodes() {
    local all=() up=() left='' node
    if [ "$launcher" = local ]; then
        [ -n "${HOSTS:-}" ] || return 0
        read -r -a all <<<"$HOSTS"
    else
        mapfile -t all < <(scontrol show hostnames "${SLURM_JOB_NODELIST:-}")
        left=$(squeue -h -j "${SLURM_JOB_ID:-0}" -o %N 2>/dev/null) # the job has lost those that went down meanwhile
    fi
    [ ${#all[@]} -gt 1 ] || return 0
    for node in "${all[@]}"; do
        ! is_up "$node" || up+=("$node")
    done
    [ ${#up[@]} -ne ${#all[@]} ] || [ ${#up[@]} -ne "$nodes" ] || return 0
    if [ ${#up[@]} -eq 0 ]; then
        echo "none of ${all[*]} can be reached" >&2
        return 1
    elif [ "${FEWER_RANKS:-}" != yes ]; then
        echo "of ${all[*]} only ${up[*]} can be reached; FEWER_RANKS=yes would go on there" >&2
        [ "$launcher" = local ] || code=$PREEMPTED # the queue has others
        return 1
    fi
    use_hosts "${up[@]}"
}

is_up() { # NODE
    if [ "$launcher" = local ]; then
        [ "$1" = "$(hostname)" ] || ${REACH:-ssh -o BatchMode=yes -o ConnectTimeout=10} "$1" true </dev/null >/dev/null 2>&1
    else
        scontrol show hostnames "$left" | grep -qx -- "$1" &&
            [[ $(sinfo -h -N -n "$1" -o %t | head -n 1) =~ ^(alloc|mix|idle|comp|resv)[^*]*$ ]]
    fi
}

use_hosts() { # NODE...
    local each=$((ranks / nodes)) list
    nodes=$# ranks=$((each * $#))
    case $launcher in
    local | mpirun)
        list=$(printf ",%s:$((each * threads))" "$@")
        only=(-H "${list#,}") # slots are cores: as many as the ranks' threads
        ;;
    srun)
        list=$(printf ',%s' "$@")
        only=(-w "${list#,}" -N "$nodes" -n "$ranks" --ntasks-per-node="$each")
        ;;
    *)
        echo "LAUNCHER=$launcher is given as a whole: it starts on all nodes or none" >&2
        return 1
        ;;
    esac
    on_ranks
}
