#!/usr/bin/env bash
# What the table of --dry-run says a process will hold against what runs then do hold (RssAnon + RssShmem), within 10 %; and the
# limits of an image more and of large images. check_memory.sh PROGRAM.
set -u
. "$(dirname "$0")/frame.sh"
program=$(realpath "$1")
cd "$scratch" || exit 1

holds() { awk "BEGIN { exit !($1) }" || { echo "$1"; return 1; }; } # an awk expression

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
    expect "$1 rank(s), recompute = $2, precision = $3: measured and planned MiB" holds \
        "$planned > 100 && ${measured:-0} > 0.9 * $planned && ${measured:-0} < 1.1 * $planned"
}

for recompute in none blocks; do
    measure 1 $recompute high
    measure 2 $recompute high
    measure 1 $recompute bf16
done

deep=("$program" train config.ini --set model.backbone=resnet101)
image=$(table image "${deep[@]}")
expect "an image of 128x256 more, MiB" holds "100 < $image && $image <= 200"
half=$(table image "${deep[@]}" --set run.precision=bf16)
expect "an image of 128x256 more in bfloat16, MiB" holds "50 < $half && $half <= 0.6 * $image"
image=$(table image "${deep[@]}" --set distributed.recompute=blocks)
expect "an image more with recompute = blocks" holds "50 < $image && $image <= 100"
expect "1024x2048 within 24 GiB" holds "$(table total "${deep[@]}" --set run.batch=1 --set data.train=large.h5 \
    --set data.validation_split= --set distributed.recompute=blocks) <= 24 * 1024"

report_end
