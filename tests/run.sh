#!/usr/bin/env bash
# Runs every CUnit program of a folder (or only those whose name contains a word of $2), each under the rank counts that
# the first line of its source names ("ranks: 1 2 4"), up to MOST_RANKS. RUNNER is put before each program (an emulator).
# Ends with "N passed, N failed"; fails if any failed or none ran.
set -u
folder=$1 only=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
export SIGMATIC_PROGRAM=$(dirname "$folder")/sigmatic SIGMATIC_TESTS=$here
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
passed=0 failed=0 broken=
for source in "$here"/test_*.c; do
    name=$(basename "$source" .c)
    wanted=$([ -n "$only" ] || echo yes)
    for word in $only; do
        [[ $name == *"$word"* ]] && wanted=yes
    done
    [ "$wanted" ] || continue
    counts=$(sed -n '1s/.*ranks: *\([0-9 ]*\).*/\1/p' "$source")
    for ranks in ${counts:-1}; do
        [ "$ranks" -le "${MOST_RANKS:-$ranks}" ] || continue
        begin=$SECONDS
        if timeout "${TEST_TIMEOUT:-300}" ${MPIRUN:-mpirun} -n "$ranks" ${RUNNER:-} "$folder/$name" </dev/null; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1)) broken+=" $name($ranks)"
            echo "FAILED: $name on $ranks rank(s) after $((SECONDS - begin)) s"
        fi
    done
done
[ -n "$broken" ] && echo "failed:$broken"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
