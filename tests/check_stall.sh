#!/usr/bin/env bash
# A rank that comes too late, or never finishes its gradient, ends the job within seconds with exit code 3 and a message
# that names it and what it was doing. check_stall.sh BUILD/tests/test_stall
set -u
. "$(dirname "$0")/frame.sh"
program=$(realpath "$1")

stalls() { # PATTERN ARGUMENTS: three ranks; exit code 3 before the sleeper wakes, and one line like PATTERN
    local pattern=$1 begin=$SECONDS code
    shift
    timeout 60 $MPIRUN -n 3 "$program" "$@" >"$scratch/log" 2>&1
    code=$?
    echo "exit code $code after $((SECONDS - begin)) s, expected 3 and one line '$pattern'"
    [ $code -eq 3 ] && [ $((SECONDS - begin)) -lt 20 ] && [ "$(grep -c "stalled: .*$pattern" "$scratch/log")" -eq 1 ]
}
expect "a rank that sleeps" stalls "rank 2 .*'forward' 4 of step 17" sleep "$scratch" 30
expect "a bucket that is held back" stalls "rank 2 .*'backward'" hold "$scratch" overlapped
expect "a bucket that is held back from its node" stalls "rank 2 .*'backward'" hold "$scratch" hierarchical
report_end
