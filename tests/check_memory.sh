#!/usr/bin/env bash
# What the table of --dry-run says a process will hold against what runs then do hold (RssAnon + RssShmem), within 10 %; and the
# limits of an image more and of large images. check_memory.sh PROGRAM; ends with "N passed, N failed".
set -u
program=$(realpath "$1")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sigmatic-memory.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
export OMP_NUM_THREADS=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
MPIRUN=${MPIRUN:-mpirun} passed=0 failed=0

verdict() { # TEXT CONDITION: an awk expression that should hold
    if awk "BEGIN { exit !($2) }"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1: $2"
    fi
}

table() { # NAME ARGUMENT...: the number after the row's name; "image" = what an image more takes
    local row=$1
    shift
    timeout 100 "$@" --dry-run 2>&1 </dev/null |
        awk -v row="$row" '$1 == "total" { print row == "image" ? $NF : $2; found = 1 } END { if (!found) print 1e9 }'
}

"$program" data scenes small.h5 --train 8 --validation 4 --height 128 --width 256 >out 2>&1 || { cat out; exit 1; }
"$program" data scenes large.h5 --train 1 --validation 0 --height 1024 --width 2048 >out 2>&1 || { cat out; exit 1; }
cat >config.ini <<'EOF'
[run]
folder = run
steps = 2
[model]
backbone = resnet18
[data]
train = small.h5
validation_split = val
[task.semantic]
kind = semantic
[task.instance]
kind = instance
[task.depth]
kind = depth
EOF

measure() { # RANKS RECOMPUTE PRECISION
    local planned measured
    local train=($MPIRUN -n "$1" "$program" train config.ini --overwrite --set run.batch=$((2 * $1))
        --set distributed.recompute="$2" --set run.precision="$3")
    planned=$(table total "${train[@]}")
    timeout 200 "${train[@]}" >out 2>&1 </dev/null || cat out
    measured=$(sed -n 's/.*memory of a rank: \([0-9]*\) MiB.*/\1/p' out)
    verdict "$1 rank(s), recompute = $2, precision = $3: measured and planned MiB" \
        "$planned > 100 && ${measured:-0} > 0.9 * $planned && ${measured:-0} < 1.1 * $planned"
}

for recompute in none blocks; do
    measure 1 $recompute high
    measure 2 $recompute high
    measure 1 $recompute bf16
done

deep=("$program" train config.ini --set model.backbone=resnet101)
image=$(table image "${deep[@]}")
verdict "an image of 128x256 more, MiB" "100 < $image && $image <= 200"
half=$(table image "${deep[@]}" --set run.precision=bf16)
verdict "an image of 128x256 more in bfloat16, MiB" "50 < $half && $half <= 0.6 * $image"
image=$(table image "${deep[@]}" --set distributed.recompute=blocks)
verdict "an image more with recompute = blocks" "50 < $image && $image <= 100"
verdict "1024x2048 within 24 GiB" "$(table total "${deep[@]}" --set run.batch=1 --set data.train=large.h5 \
    --set data.validation_split= --set distributed.recompute=blocks) <= 24 * 1024"

echo "check_memory: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
