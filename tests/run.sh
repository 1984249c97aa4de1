#!/usr/bin/env bash
# Runs every CUnit program of a folder (or only those whose name contains a word of $2), each under the rank counts that
# the first line of its source names ("ranks: 1 2 4"), up to MOST_RANKS; with ONCE only under the largest of them. RUNNER is put before each program (an emulator).
# Programs on one rank run side by side, JOBS of them (one a core); then those on more ranks, one after the other.
# A program reports each of its tests (harness.c); one that ends in another way is a failure of its own.
set -u
folder=$1 only=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
. "$here/report.sh"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
export SIGMATIC_PROGRAM=$(dirname "$folder")/sigmatic SIGMATIC_TESTS=$here
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
outputs=$(mktemp -d "${TMPDIR:-/tmp}/sigmatic-outputs.XXXXXX") || exit 1

# What it prints and reports appears at its end, in one piece, with its time if that is worth a word.
run() {
    local name=$1 ranks=$2 begin=$SECONDS outer=$SIGMATIC_SUMMARY code
    local SIGMATIC_SUMMARY=$outputs/$name.$ranks.summary output=$outputs/$name.$ranks
    export SIGMATIC_SUMMARY
    : >"$SIGMATIC_SUMMARY"
    timeout "${TEST_TIMEOUT:-600}" ${MPIRUN:-mpirun} -n "$ranks" ${RUNNER:-} "$folder/$name" </dev/null >"$output" 2>&1
    code=$?
    if [ "$code" -ne 0 ]; then
        echo "FAILED: $name on $ranks rank(s) after $((SECONDS - begin)) s" >>"$output"
        grep -q '^failed ' "$SIGMATIC_SUMMARY" || failed "$name on $ranks rank(s): exit code $code after $((SECONDS - begin)) s"
    elif [ ! -s "$SIGMATIC_SUMMARY" ]; then
        failed "$name on $ranks rank(s) reported no test"
    fi
    [ $((SECONDS - begin)) -lt 5 ] || echo "$name on $ranks rank(s): $((SECONDS - begin)) s" >>"$output"
    flock "$outputs" cat "$output"
    cat "$SIGMATIC_SUMMARY" >>"$outer"
}

alone=() together=()
for source in "$here"/test_*.c; do
    name=$(basename "$source" .c)
    wanted=$([ -n "$only" ] || echo yes)
    for word in $only; do
        [[ $name == *"$word"* ]] && wanted=yes
    done
    [ "$wanted" ] || continue
    counts=$(sed -n '1s/.*ranks: *\([0-9 ]*\).*/\1/p' "$source")
    chosen=()
    for ranks in ${counts:-1}; do
        [ "$ranks" -le "${MOST_RANKS:-$ranks}" ] && chosen+=("$ranks")
    done
    [ -z "${ONCE:-}" ] || [ ${#chosen[@]} -eq 0 ] || chosen=("${chosen[-1]}")
    for ranks in "${chosen[@]}"; do
        if [ "$ranks" -eq 1 ]; then
            alone+=("$name 1")
        else
            together+=("$name $ranks")
        fi
    done
done

trap 'trap "" TERM; kill 0; exit 130' INT # which what runs in the background does not hear
running=0
for program in "${alone[@]}"; do
    if [ "$running" -ge "${JOBS:-$(nproc)}" ]; then
        wait -n
        running=$((running - 1))
    fi
    run $program &
    running=$((running + 1))
done
wait
for program in "${together[@]}"; do
    run $program
done
rm -rf "$outputs"
report_end
