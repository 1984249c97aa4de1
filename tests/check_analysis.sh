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
mkdir "$scratch/again" && cp "$scratch/run/run.h5" "$scratch/again"
expect "predictions" "$program" eval "$scratch/run/checkpoints/best.h5" --trivial --predictions "$scratch/predictions.h5" --prediction-count 2
expect "plot_sigma.py" "$python" "$here/../analysis/plot_sigma.py" "$scratch/run/run.h5" "$scratch/run/run.h5" --labels a,b -o "$scratch/sigma.png"
expect "sigma.png" is_picture "$scratch/sigma.png"
plot_sigma_as() { "$python" "$here/../analysis/plot_sigma.py" "$scratch/run" "$@" -o "$scratch/sigma.$format"; }
for format in svg pdf; do
    expect "sigma.$format, all on one axis, by hours" plot_sigma_as --together --x hours --smooth 1
done
expect "sigma.svg is one" grep -q '<svg' "$scratch/sigma.svg"
expect "sigma.pdf is one" grep -q '^%PDF' "$scratch/sigma.pdf"
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

# What the functions compute, on files with numbers that are known.
"$python" "$here/analysis_values.py" "$here/../analysis" "$here/../src/task" "$scratch" >"$scratch/values.log" 2>&1 ||
    echo "FAILED analysis_values.py: $(tail -n 3 "$scratch/values.log")" >>"$scratch/values.log"
while IFS= read -r line; do
    case $line in
        "ok "*) passed "${line#ok }" ;;
        "FAILED "*) failed "${line#FAILED }"; echo "FAILED: $report_name: ${line#FAILED }" ;;
    esac
done <"$scratch/values.log"

compare() { "$python" "$here/../analysis/compare.py" "$@"; }
refuses() { # WORDS COMMAND...
    local words=$1
    shift
    if "$@" >"$scratch/refused" 2>&1; then
        return 1
    fi
    cat "$scratch/refused"
    grep -q "$words" "$scratch/refused" && ! grep -q Traceback "$scratch/refused"
}
expect "compare.py on the real run" compare "$scratch/run" --picture "$scratch/curves.png"
expect "curves.png" is_picture "$scratch/curves.png"
expect "compare.py refuses the same run twice" refuses "same configuration and seed 1: not averaged" compare "$scratch/run" "$scratch/again"
expect "compare.py on no run" refuses "no run.h5 below" compare "$here"
expect "compare.py on another file" refuses "format is sigmatic-dataset" compare "$scratch/tiny.h5"
report_end
