#!/usr/bin/env bash
# Fuzzes every reader of files for a few seconds, from seeds that the program itself writes, with AddressSanitizer,
# LeakSanitizer and UndefinedBehaviorSanitizer. check_fuzz.sh PROGRAM [SECONDS] [TARGET...]
# FUZZ_SEED=2 takes another way through what can be than the seed 1 of the default.
# What counts as a failure stands in tests/fuzz/fuzz.h. The input that failed stays beside the program, whose argument it can
# be: SIGMATIC_FUZZ=png build/.../fuzz FILE. CLANG is the compiler; make builds the program.
set -u
. "$(dirname "$0")/report.sh"
program=$1 seconds=${2:-8}
shift 2
clang=${CLANG:-clang}
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/sigmatic-fuzz.XXXXXX") || exit 1
export TMPDIR=$work OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
trap 'rm -rf "$work"; report_early_exit' EXIT

echo 'int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return size && *data ? 0 : 0; }' >"$work/probe.c"
$clang -fsanitize=fuzzer,address,undefined "$work/probe.c" -o "$work/probe" 2>/dev/null ||
    skip_all fuzz "no clang with libFuzzer: run jobs/setup.sh fuzz"
make -C "$top" --no-print-directory -j"$(nproc)" SETUP=no "$program" || exit 1
program=$(realpath "$program")

# Reads the seeds, then what it makes of them. Its exit code goes to a file, for it runs in the background.
fuzz() {
    local target=$1 folder=$work/$1 artifacts
    artifacts=$(dirname "$program")/failed-$target-
    mkdir -p "$folder/seeds" "$folder/found"
    (
        cd "$folder" && export SIGMATIC_FUZZ=$target
        SIGMATIC_FUZZ_SEEDS=$folder/seeds "$program" &&
            timeout $((seconds + 200)) "$program" -seed="${FUZZ_SEED:-1}" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 \
                -max_len=4096 -artifact_prefix="$artifacts" -print_final_stats=1 "$folder/found" "$folder/seeds"
        echo $? >"$folder/code"
    ) >"$folder/log" 2>&1
}

targets=${*:-$("$program" 2>&1 | sed -n 's/.*there are //p')}
for target in $targets; do
    while [ "$(jobs -r | wc -l)" -ge "$(nproc)" ]; do
        wait -n
    done
    fuzz "$target" &
done
wait
for target in $targets; do
    if [ "$(cat "$work/$target/code")" = 0 ]; then
        passed "$target"
        sed -n "s/^#\([0-9]*\)[[:space:]]*DONE *cov: \([0-9]*\).*/$target: \1 inputs, \2 branches/p" "$work/$target/log"
    else
        tail -n 40 "$work/$target/log"
        failed "$target"
    fi
done
[ -n "$targets" ] || failed "no target"
report_end
