#!/usr/bin/env bash
# A rank that comes too late, or never finishes its gradient, ends the job within seconds with exit code 3 and a message
# that names it and what it was doing. check_stall.sh BUILD/tests/test_stall
set -u
program=$(realpath "$1")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sigmatic-stall.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1 OMP_NUM_THREADS=1
passed=0 failed=0
stalls() { # PATTERN ARGUMENTS: three ranks; exit code 3 before the sleeper wakes, and one line like PATTERN
    local pattern=$1 begin=$SECONDS code
    shift
    timeout 60 ${MPIRUN:-mpirun} -n 3 "$program" "$@" >"$scratch/out" 2>&1 </dev/null
    code=$?
    if [ $code -eq 3 ] && [ $((SECONDS - begin)) -lt 20 ] && [ "$(grep -c "stalled: .*$pattern" "$scratch/out")" -eq 1 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $*: exit code $code after $((SECONDS - begin)) s, expected 3 and one line '$pattern'"
        tail -n 5 "$scratch/out"
    fi
}
stalls "rank 2 .*'forward' 4 of step 17" sleep "$scratch" 30
stalls "rank 2 .*'backward'" hold "$scratch" overlapped
stalls "rank 2 .*'backward'" hold "$scratch" hierarchical
echo "check_stall: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
