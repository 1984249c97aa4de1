#!/usr/bin/env bash
# The array of local.sh, which calls this: starts a local.sh for each run that is not done, on cores of its own.
set -u
readonly PREEMPTED=75
jobs=$(cd "$(dirname "$0")" && pwd)
. "$jobs/common.sh"
[ $((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1])) -ge 501 ] || wrong "bash is $BASH_VERSION: arrays on one machine want 5.1 or later"
. "$jobs/rows.sh"
read_site
find_program
rows_arguments "$@" || exit
title=$(basename "${list%.*}")
declare -A elsewhere=()
rows_plan || exit
[ ${#todo[@]} -gt 0 ] || exit 0
rows_keep && mkdir -p logs || exit 1

# ---- cores -------------------------------------------------------------------------------------------------------------
width=$((RANKS * THREADS))
cores=()
for range in $(taskset -cp $$ 2>/dev/null | sed 's/.*: //; s/,/ /g'); do
    for ((core = ${range%-*}; core <= ${range#*-}; core++)); do
        cores+=("$core")
    done
done
fit=$(($(cores_here) / width))
at_once=${AT_ONCE:-$((fit > 0 ? fit : 1))}
kept_to() { # SLOT: words that keep a run to the slot's cores; none where there are not as many
    [ $((($1 + 1) * width)) -le "${#cores[@]}" ] && [ "$at_once" -le "$fit" ] || return 0
    (IFS=, && echo "taskset -c ${cores[*]:$(($1 * width)):width}")
}

# ---- runs --------------------------------------------------------------------------------------------------------------
stop='' failures=0
declare -A row_of=() slot_of=() # by process
tell() { # SIGNAL: each local.sh knows what it means
    local process
    for process in "${!row_of[@]}"; do
        kill -s "$1" "$process" 2>/dev/null
    done
}
trap 'tell USR1' USR1
trap 'stop=yes; tell TERM' TERM INT

log_of() { echo "logs/$title-$1.out"; }
start() { # ROW SLOT
    local keep
    read -r -a keep <<<"$(kept_to "$2")"
    SIGMATIC_ROW=$1 setsid "${keep[@]}" "$jobs/local.sh" "$jobs/array.sbatch" "$config" "$list" --folder "$folder" "${sets[@]}" \
        </dev/null >>"$(log_of "$1")" 2>&1 &
    row_of[$!]=$1 slot_of[$!]=$2
    echo "run $1 of $rows: ${row_name[$1]}" >&2
}

# One that has ended frees its slot.
collect() {
    local code process row
    wait -n -p process
    code=$?
    row=${row_of[${process:-none}]:-}
    [ -n "$row" ] || return # a signal came, and its trap has told all; or bash names one again that looked at a config
    free+=("${slot_of[$process]}")
    unset "row_of[$process]" "slot_of[$process]"
    case $code in
    0) echo "run $row: done" >&2 ;;
    "$PREEMPTED") echo "run $row: stopped, with a checkpoint" >&2 ;;
    *)
        failures=$((failures + 1))
        echo "run $row: failed with exit code $code: $(log_of "$row")" >&2
        ;;
    esac
}

free=()
for ((slot = 0; slot < at_once; slot++)); do
    free+=("$slot")
done
for row in "${todo[@]}"; do
    while [ ${#free[@]} -eq 0 ]; do
        collect
    done
    [ -z "$stop" ] || break
    slot=${free[0]} free=("${free[@]:1}")
    start "$row" "$slot"
done
while [ ${#row_of[@]} -gt 0 ]; do
    collect
done
[ "$failures" -eq 0 ] || echo "$failures of ${#todo[@]} runs failed; the same command runs them again" >&2
[ -z "$stop" ] || exit $PREEMPTED
[ "$failures" -eq 0 ]
