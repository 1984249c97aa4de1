#!/usr/bin/env bash
# Counts tests. To be sourced by whatever runs some:
#   passed NAME, failed NAME   one test each
#   skip WORD NAME WHY         a test that cannot run here; a failure if $SIGMATIC_REQUIRE has WORD, one of those below
#   skip_all WORD WHY          ends the script: nothing of it can run here
#   report_end                 the names of what failed and of what was skipped, then "N passed, N failed, N skipped";
#                              fails if any test failed or none ran nor was skipped
# A script that exits before report_end counts as one more failure.
# Or: report.sh COMMAND ARGUMENT...   runs one that counts tests; fails if it does.
# Every test is a line of the file $SIGMATIC_SUMMARY ("passed NAME", "failed NAME", "skipped NAME: WHY"), to which the CUnit
# programs (harness.c) write too; a report within a report adds its lines to the outer one at its end.
words="amx avx512bf16 avx512 avx2 h5py matplotlib torch torchvision dygraphs chromium tensorboardx onnx modules hosts shaping mounts slurm mpich aarch64 fuzz threads valgrind fork"

outer_summary=${SIGMATIC_SUMMARY:-}
SIGMATIC_SUMMARY=$(mktemp "${TMPDIR:-/tmp}/sigmatic-summary.XXXXXX") || exit 1
export SIGMATIC_SUMMARY
report_name=$(basename "$0")

passed() { echo "passed $report_name: ${1//$'\n'/ }" >>"$SIGMATIC_SUMMARY"; }
failed() { echo "failed $report_name: ${1//$'\n'/ }" >>"$SIGMATIC_SUMMARY"; }
skip() {
    if [[ " ${SIGMATIC_REQUIRE:-} " == *" $1 "* ]]; then
        failed "$2: SIGMATIC_REQUIRE has $1: $3"
        echo "FAILED: $2: SIGMATIC_REQUIRE has $1: $3"
    else
        echo "skipped $report_name: $2: ${3//$'\n'/ }" >>"$SIGMATIC_SUMMARY"
        [ -z "$outer_summary" ] || echo "skipped: $2: $3"
    fi
}

skip_all() {
    skip "$1" "all of it" "$2"
    report_end
    exit
}

report_end() {
    local passed failed skipped
    reported=yes
    passed=$(grep -c '^passed ' "$SIGMATIC_SUMMARY")
    failed=$(grep -c '^failed ' "$SIGMATIC_SUMMARY")
    skipped=$(grep -c '^skipped ' "$SIGMATIC_SUMMARY")
    if [ -n "$outer_summary" ]; then
        cat "$SIGMATIC_SUMMARY" >>"$outer_summary"
        echo "$report_name: $passed passed, $failed failed, $skipped skipped in $SECONDS s"
    else
        grep -E '^(failed|skipped) ' "$SIGMATIC_SUMMARY" | sort
        echo "$passed passed, $failed failed, $skipped skipped"
    fi
    rm -f "$SIGMATIC_SUMMARY"
    [ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
}

report_early_exit() {
    [ -n "${reported:-}" ] || { failed "ended early" && report_end; }
}
trap report_early_exit EXIT

for word in ${SIGMATIC_REQUIRE:-}; do
    [[ " $words " == *" $word "* ]] || failed "SIGMATIC_REQUIRE: '$word' is none of $words"
done

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    "$@" || grep -q '^failed ' "$SIGMATIC_SUMMARY" || failed "$*: failed"
    report_end
fi
