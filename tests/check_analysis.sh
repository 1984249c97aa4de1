#!/usr/bin/env bash
# The scripts of analysis/ on a tiny real run: they must read what the program writes and draw something. check_analysis.sh PROGRAM
set -u
. "$(dirname "$0")/frame.sh"
needs_python matplotlib h5py numpy matplotlib
program=$1

is_picture() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] && [ "$(stat -c %s "$1")" -gt 20000 ]; }

cat >"$scratch/tiny.ini" <<INI
[run]
folder = $scratch/run
batch = 4
steps = 12
evaluate_interval = 6
[model]
backbone = resnet18
width = 0.0625
[data]
train = $scratch/tiny.h5
[task.semantic]
kind = semantic
[task.instance]
kind = instance
[task.depth]
kind = depth
INI
expect "scenes" "$program" data scenes "$scratch/tiny.h5" --train 8 --validation 4 --height 64 --width 96
expect "train" "$program" train "$scratch/tiny.ini"
expect "predictions" "$program" eval "$scratch/run/checkpoints/best.h5" --trivial --predictions "$scratch/predictions.h5" --prediction-count 2
expect "plot_sigma.py" "$python" "$here/../analysis/plot_sigma.py" "$scratch/run/run.h5" "$scratch/run/run.h5" --labels a,b -o "$scratch/sigma.png"
expect "sigma.png" is_picture "$scratch/sigma.png"
expect "show_predictions.py" "$python" "$here/../analysis/show_predictions.py" "$scratch/predictions.h5" -o "$scratch/predictions.png"
expect "predictions.png" is_picture "$scratch/predictions.png"
expect "identities of scaling.py's model" "$python" - "$here/../analysis" <<'PY'
import math, sys
sys.path.insert(0, sys.argv[1])
import scaling
compute = scaling.even_compute(3.0, 200_000_000)
blocking, flat, overlap, bfloat16 = scaling.WAYS
ideal = scaling.Machine(latency=0, bandwidth=math.inf, poll=0, overhead=0)
assert abs(scaling.compute_seconds(compute) - 3) < 1e-12
for way in scaling.WAYS:
    assert scaling.predict(compute, 1, 1, ideal, way).seconds == scaling.compute_seconds(compute)
    for nodes in scaling.NODES:
        assert abs(scaling.predict(compute, nodes, 1, ideal, way).seconds - 3) < 1e-12, (way, nodes)
for nodes in scaling.NODES[1:]:
    for bandwidth in 1e7, 1e8, 1e9, 1e10:
        link = scaling.Machine(latency=2e-5, bandwidth=bandwidth)
        step = {way: scaling.predict(compute, nodes, 4, link, way).seconds for way in scaling.WAYS}
        assert 3 <= step[overlap] <= step[blocking] + 1e-12, (nodes, bandwidth, step)
        assert step[bfloat16] <= step[overlap] <= step[flat] + 2e-3, (nodes, bandwidth, step)
    wire = scaling.Machine(latency=0, bandwidth=1e8, poll=0, overhead=0)
    whole, half = (scaling.predict(compute, nodes, 1, wire, way).reduction for way in (overlap, bfloat16))
    assert abs(whole - 2 * half) < 1e-9, (nodes, whole, half)
    least = 2 * 2e8 * (nodes - 1) / nodes / 1e8  # alone, the link is never idle
    assert abs(whole - least) < 1e-9 * least, (nodes, whole, least)
PY
"$program" bench --step --layers --json --backbone resnet18 --multiplier 0.125 --height 64 --width 96 --steps 1 --warmup 0 \
    >"$scratch/step.json" 2>/dev/null
expect "scaling.py on a measured step" "$python" "$here/../analysis/scaling.py" --measure "$scratch/step.json" -o "$scratch/scaling.png"
rows_have_a_model() { # each convolution but the packing of its weights, and nothing else
    "$program" bench --step --layers --backbone resnet18 --multiplier 0.125 --height 64 --width 96 --steps 1 --warmup 0 |
        awk 'substr($0, 37, 1) == " " && length($0) > 100 && $1 != "op" {
                 chosen = substr($0, 65, 1) != "-" && substr($0, 38, 4) != "pack"
                 wrong += chosen != (substr($0, 90, 9) ~ /[0-9]/)
                 rows += chosen
             }
             END { exit wrong || rows < 60 }'
}
expect "bench --layers tells what the model of costs says" rows_have_a_model
every_kind_of_augmentation_is_measured() { # and the files are the user's
    "$program" data scenes "$scratch/loader.h5" --train 12 --validation 0 --height 32 --width 48 >/dev/null 2>&1 || return 1
    "$program" bench --data --json --steps 2 --set data.train="$scratch/loader.h5" --set data.crop_height=16 --set data.crop_width=24 |
        "$python" -c '
import json, sys
found = json.load(sys.stdin)
names = "none flip scale_crop colours rotation erasing all configured none_uncached".split()
assert (found["height_pixels"], found["width_pixels"]) == (32, 48), found
for table in "images_s", "cpu_ms_image":
    assert sorted(found[table]) == sorted(names) and min(found[table].values()) > 0, found'
}
expect "bench --data" every_kind_of_augmentation_is_measured
expect "scaling.png" is_picture "$scratch/scaling.png"
expect "README's h5py reader" "$python" - "$scratch/run/run.h5" <<'PY'
import sys, h5py
with h5py.File(sys.argv[1]) as run:
    assert list(run["steps/step"]) == list(range(1, 13)), list(run["steps/step"])
    for task in run["tasks"].values():
        assert len(task["sigma"]) == 12 and (task["sigma"][:] > 0).all()
    assert list(run["evaluations/val/step"]) == [6, 12]
PY

compare() { # SEEDS FLAGS...
    local seeds=$1
    shift
    "$python" "$here/../analysis/compare_kernels.py" "$scratch/tiny.ini" --program "$program" --folder "$scratch/kernels" --seeds "$seeds" \
        --variant "direct: distributed.conv2d_algorithm=implicit_gemm" --variant "F(4x4): distributed.conv2d_algorithm=winograd4" \
        --set run.steps=6 --set model.aspp_rates=1,2,3 "$@"
}
trained() { # COUNT SEEDS FLAGS...: that many runs were missing
    local count=$1
    shift
    compare "$@" >"$scratch/compared" 2>&1
    local code=$?
    cat "$scratch/compared"
    [ "$code" -eq 0 ] && [ "$(grep -c ': trains$' "$scratch/compared")" -eq "$count" ]
}
expect "compare_kernels.py trains every variant" trained 2 1
expect "compare_kernels.py repeats nothing" trained 0 1
expect "curves.png" is_picture "$scratch/kernels/curves.png"
expect "table.md" grep -q '| depth | mean error, px | .* | unknown |' "$scratch/kernels/table.md"
printf 'pre-empted\n' >"$scratch/kernels/direct-1/status"
expect "compare_kernels.py repeats what did not end" trained 1 1
expect "compare_kernels.py repeats what was configured otherwise" trained 2 1 --set optimizer.learning_rate=0.01
expect "verdicts and table of made-up numbers" "$python" - "$here/../analysis" <<'PY'
import sys
sys.path.insert(0, sys.argv[1])
from compare_kernels import Result, markdown, verdict

seeds = [1.0, 2.0, 3.0]  # standard deviation 1
cases = {"yes": ([1.9, 2.9, 3.9], [0.1, 1.1, 2.1], [3.0, 2.0, 1.0], seeds),
         "no": ([2.1, 3.1, 4.1], [-0.1, 0.9, 1.9], [1.0, 2.0, 6.1], [1.0, 2.0, float("nan")])}
for expected, others in cases.items():
    for other in others:
        assert verdict(seeds, other) == expected, (other, expected)
assert verdict([1.0, 1.0], [1.0, 1.0]) == "yes" and verdict([1.0], [1.0]) == "unknown"

runs = lambda numbers: [Result(range(10), {}, {}, {("depth", "error_pixels"): number}) for number in numbers]
table = markdown({"a": runs(seeds), "b": runs([1.5, 2.0, 3.1]), "c": runs([4.0, 5.0, 6.0])}).splitlines()
expected = ["depth", "mean error, px", "2.00 ± 1.00", "2.20 ± 0.82", "5.00 ± 1.00", "+0.20 ± 0.26", "yes", "+3.00 ± 0.00", "no"]
assert table[2] == "| " + " | ".join(expected) + " |", table[2]
PY
report_end
