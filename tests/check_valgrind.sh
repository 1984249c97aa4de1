#!/usr/bin/env bash
# Runs the CUnit programs on one rank, or those whose name contains a word of T, under valgrind's memcheck, which sees what
# is used before it was set, in libraries and assembly too. check_valgrind.sh
# VALGRIND adds options: VALGRIND=--track-origins=yes says where such a value comes from.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/report.sh"
command -v valgrind >/dev/null || skip_all valgrind "no valgrind: run jobs/setup.sh valgrind"

# What Open MPI says of itself, and nothing of ours.
theirs=$(ompi_info --path pkgdatadir --parsable 2>/dev/null | sed 's/.*pkgdatadir://')/openmpi-valgrind.supp
[ ! -r "$theirs" ] || suppressions=--suppressions=$theirs
# valgrind runs the instructions of a processor with AVX2, and says so when kernels are chosen by what there is.
export RUNNER="valgrind --quiet --error-exitcode=66 ${suppressions:-} ${VALGRIND:-}"
export MOST_RANKS=1 SIGMATIC_TEST_SHARE=${SIGMATIC_TEST_SHARE:-0.02} TEST_TIMEOUT=${TEST_TIMEOUT:-3600}
make -C "$here/.." --no-print-directory SETUP=no OPTIMIZE=-O1 check-fast T="${T:-}"
report_end
