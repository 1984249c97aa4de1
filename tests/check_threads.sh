#!/usr/bin/env bash
# Builds with clang's ThreadSanitizer and runs the CUnit programs, or those whose name contains a word of T. check_threads.sh
# Clang, because its OpenMP library tells ThreadSanitizer who waits for whom (libarcher, which it loads by itself); gcc's
# does not, and every parallel loop would look like a race.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/report.sh"
clang=${CLANG:-clang}
probe=$(mktemp -d "${TMPDIR:-/tmp}/sigmatic-threads.XXXXXX") || exit 1
trap 'rm -rf "$probe"; report_early_exit' EXIT
echo 'int main(void) { return 0; }' >"$probe/probe.c"
fixed= # what runs a program where the kernel spreads addresses further than ThreadSanitizer allows
$clang -fsanitize=thread -fopenmp "$probe/probe.c" -o "$probe/probe" 2>/dev/null ||
    skip_all threads "no clang with ThreadSanitizer and OpenMP: run jobs/setup.sh threads"
[ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -le 28 ] || fixed="setarch $(uname -m) -R"
$fixed "$probe/probe" 2>/dev/null || skip_all threads "ThreadSanitizer does not run on this kernel"

# Forked children of tests start threads of their own; a test asks for more memory than there is.
export TSAN_OPTIONS="second_deadlock_stack=1 die_after_fork=0 allocator_may_return_null=1 suppressions=$here/threads.supp ${TSAN_OPTIONS:-}"
export OMPI_CC=$clang MPICH_CC=$clang RUNNER=$fixed SIGMATIC_TEST_SHARE=${SIGMATIC_TEST_SHARE:-0.1}
make -C "$here/.." --no-print-directory SETUP=no SANITIZER=thread OPTIMIZE=-O1 CFLAGS="-g -Wno-unknown-pragmas" check-fast T="${T:-}"
report_end
