#!/usr/bin/env bash
# The scripts of analysis/, and `sigmatic show` of several runs, on tiny real runs: they must read what the program writes, draw
# something, and have its numbers. check_analysis.sh PROGRAM
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
expect "train" "$program" train "$scratch/tiny.ini" --set weighting.upper=0.01 --set weighting.diagnose_interval=4
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
expect "include/README.md's h5py reader" "$python" - "$scratch/run/run.h5" <<'PY'
import sys, h5py
with h5py.File(sys.argv[1]) as run:
    assert list(run["steps/step"]) == list(range(1, 13)), list(run["steps/step"])
    for task in run["tasks"].values():
        assert len(task["sigma"]) == 12 and (task["sigma"][:] > 0).all()
    assert list(run["evaluations/val/step"]) == [6, 12]
PY

# ---- report.py: one page, looked at by a browser
report() { "$python" "$here/../analysis/report.py" "$scratch/run" "$scratch/other" -o "$scratch/report.html" --program "$program" "$@"; }
refuses() { # WORDS COMMAND...
    local words=$1
    shift
    if "$@" >"$scratch/refused" 2>&1; then
        return 1
    fi
    cat "$scratch/refused"
    grep -q "$words" "$scratch/refused" && ! grep -q Traceback "$scratch/refused"
}
expect "train on two ranks, otherwise weighted" "$MPIRUN" -n 2 "$program" train "$scratch/tiny.ini" --set run.folder="$scratch/other" --set weighting.method=equal
cp "$scratch/predictions.h5" "$scratch/run"
"$program" eval "$scratch/run/checkpoints/best.h5" --json >"$scratch/run/eval.json" 2>/dev/null
expect "report.py without its library" refuses "apt-get install libjs-dygraphs" report --library "$here"
if [ -f /usr/share/javascript/dygraphs/dygraph.min.js ] || "$python" -c 'import dygraphs' 2>/dev/null; then
    expect "report.py" report
    holds_every_section() {
        local title
        for title in Runs Warnings Metrics Sigma Comparison Curves Classes Predictions "Where the time goes" Stragglers Environment Configuration; do
            grep -q "<h2>$title</h2>" "$scratch/report.html" || { echo "no $title"; return 1; }
        done
        grep -q 's stands at its bound, weighting.upper = 0.01' "$scratch/report.html" && grep -q '<th>held-out</th>' "$scratch/report.html" &&
            [ "$(grep -o '"title":"semantic and instance"' "$scratch/report.html" | wc -l)" = 1 ] || { echo "nothing of sigma"; return 1; }
        grep -q 'method=equal' "$scratch/report.html" && grep -q '<td>traffic sign</td>' "$scratch/report.html"
    }
    expect "report.html has every section" holds_every_section
    browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
    browse() { # a copy of the page that says, once drawn, what there is to see; the browser's log is errors of its console
        { cat "$scratch/report.html" && cat <<'HTML'; } >"$scratch/looked.html"
<script>
addEventListener("load", function () {
    var colours = function (canvas) {
        var data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data, seen = 0;
        for (var i = 3; i < data.length; i += 4) { seen += data[i] > 0; }
        return seen;
    };
    var plots = Array.from(document.querySelectorAll(".plot")), images = Array.from(document.images);
    var seen = plots.filter(function (plot) { return Array.from(plot.querySelectorAll("canvas")).some(function (c) { return colours(c) > 200; }); });
    document.querySelectorAll("button").forEach(function (button) { button.click(); });
    var box = document.querySelector("#key input"), canvas = plots[0].querySelectorAll("canvas")[1], at = canvas.getBoundingClientRect();
    box.click();
    var hidden = drawn.every(function (plot, i) {
        return charts[i].series.every(function (s, j) { return plot.visibility()[j] === (s.run !== 0); });
    });
    box.click();
    canvas.dispatchEvent(new MouseEvent("mousemove", { bubbles: true, clientX: at.left + at.width / 2, clientY: at.top + at.height / 2 }));
    var told = document.querySelector(".values").textContent;
    var unlike = /^step \d+: run [0-9.]+other [0-9.]+$/.test(told) ? "" : " told: " + told + ";";
    document.title = "looked:" + unlike + (hidden ? "" : " an unticked run is drawn;") + " charts " + charts.length + ", plots " + plots.length + ", drawn " + seen.length + ", images " + images.length +
        ", whole " + images.filter(function (i) { return i.complete && i.naturalWidth > 100; }).length + ", requests " +
        performance.getEntriesByType("resource").filter(function (e) { return !e.name.startsWith("data:"); }).length + ".";
});
</script>
HTML
        timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --no-first-run \
            --user-data-dir="$scratch/browser" --enable-logging=stderr --virtual-time-budget=8000 --window-size=1280,2000 \
            --dump-dom "file://$scratch/looked.html" >"$scratch/looked" 2>"$scratch/console"
        grep -o 'looked:[^<]*' "$scratch/looked"
        ! grep CONSOLE "$scratch/console"
    }
    looked() { grep -Eq "looked: charts ([0-9]+), plots \\1, drawn \\1, images ([1-9]), whole \\2, requests 0\\." "$scratch/looked"; }
    if [ -n "$browser" ]; then
        expect "a browser says nothing against report.html" browse
        expect "it draws every curve and picture, and asks the network for nothing" looked
    else
        skip chromium "report.html in a browser" "no chromium"
    fi
else
    skip dygraphs "report.py" "neither libjs-dygraphs nor PyPI's dygraphs"
fi

# ---- export.py
expect "export.py csv" "$python" "$here/../analysis/export.py" csv "$scratch/run"
expect "steps.csv and evaluations.csv have the log's numbers" "$python" - "$scratch/run" <<'PY'
import sys, h5py, numpy
folder = sys.argv[1]
steps, evaluations = (numpy.genfromtxt(f"{folder}/{name}.csv", delimiter=",", names=True, deletechars="", dtype=None, encoding="utf-8",
                                       missing_values="", filling_values=numpy.nan) for name in ("steps", "evaluations"))
with h5py.File(f"{folder}/run.h5") as run:
    for group, prefix in ((run["steps"], ""), (run["timing"], ""), *((task, name + "/") for name, task in run["tasks"].items())):
        for name, column in group.items():
            assert numpy.array_equal(steps[prefix + name], column[:], equal_nan=True), name
    assert numpy.array_equal(evaluations["depth/calibration/ratio"], run["calibration/val/depth/ratio"][:])
    assert numpy.array_equal(steps["gradient_cosines/semantic/depth"], run["gradient_cosines/semantic/depth"][:], equal_nan=True)
    assert numpy.array_equal(evaluations["semantic/miou"], run["evaluations/val/semantic/miou"][:]) and list(evaluations["split"]) == ["val"] * 2
PY
summary_has_a_line_a_run() {
    "$python" "$here/../analysis/export.py" summary "$scratch/run" "$scratch/other" "$scratch/torn" -o "$scratch" && "$python" - "$scratch" <<'PY'
import csv, sys, h5py
folder = sys.argv[1]
with open(folder + "/runs.csv") as file:
    first, second, torn = csv.DictReader(file)
assert (first["weighting.method"], second["weighting.method"], torn["status"]) == ("uncertainty", "equal", "left out"), (first, second, torn)
assert first["steps"] == "12" and second["depth/sigma"] == "" and "damaged" in torn["why"], (first, second, torn)
for line, name in ((first, "run"), (second, "other")):
    with h5py.File(f"{folder}/{name}/run.h5") as log:
        for column, pick in (("depth/error_pixels", min), ("semantic/miou", max)):
            values = log[f"evaluations/val/{column}"][:]
            assert float(line[column]) == values[-1] and float(line[f"{column} best"]) == pick(values), (name, column)
        assert float(line["depth/weight"]) == log["tasks/depth/weight"][-1], name
PY
}
mkdir "$scratch/torn" && head -c 5000 "$scratch/run/run.h5" >"$scratch/torn/run.h5"
expect "export.py summary has a line a run" summary_has_a_line_a_run
for name in "${PYTHON_TENSORBOARD:-}" "$python" python3; do
    [ -n "$name" ] && "$name" -c 'import tensorboardX, h5py, matplotlib' 2>/dev/null && with_tensorboard=$name && break
done
if [ -n "${with_tensorboard:-}" ]; then
    follow() { # a run that goes on: the copy grows, and is done at last
        mkdir -p "$scratch/live" && "$with_tensorboard" - "$here/../analysis" "$scratch/run/run.h5" "$scratch/live" <<'PY'
import glob, os, subprocess, sys, time
sys.path.insert(0, sys.argv[1])
import common
import h5py, numpy
from tensorboardX.proto import event_pb2
source, folder = sys.argv[2:]

def copy(rows, status):
    with h5py.File(source) as old, h5py.File(folder + "/new.h5", "w") as new:
        for name, value in old.attrs.items():
            new.attrs[name] = value
        def put(name, item):
            if isinstance(item, h5py.Group):
                group = new.require_group(name)
            else:
                new[name] = item[: rows if not name.startswith("evaluations") else rows // 6]
                return
            for key, value in item.attrs.items():
                group.attrs[key] = value
        old.visititems(put)
    os.replace(folder + "/new.h5", folder + "/run.h5")
    with open(folder + "/status", "w") as file:
        file.write(status)

copy(6, "running")
program = subprocess.Popen([sys.executable, sys.argv[1] + "/export.py", "tensorboard", folder, "--follow", "--interval", "0.2"])
while not glob.glob(folder + "/tensorboard/*"):
    time.sleep(0.1)
copy(12, "done")
assert program.wait(60) == 0
(path,) = glob.glob(folder + "/tensorboard/*.sigmatic")
data, found = open(path, "rb").read(), {}
while data:  # records: length, its checksum, the event, its checksum
    length = int.from_bytes(data[:8], "little")
    event = event_pb2.Event.FromString(data[12:12 + length])
    data = data[16 + length:]
    for value in event.summary.value:
        if value.HasField("simple_value"):
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
with h5py.File(source) as run:
    for tag, column in (("run/loss", run["steps/loss"]), ("depth/sigma", run["tasks/depth/sigma"])):
        assert [step for step, _ in found[tag]] == list(range(1, 13)), (tag, found[tag])
        assert numpy.array_equal(numpy.float32(column[:]), numpy.float32([value for _, value in found[tag]])), tag
    assert [step for step, _ in found["val/semantic/miou"]] == [6, 12], found
PY
    }
    expect "export.py tensorboard --follow writes each step once" follow
    follow_what_is_replaced() { # by --overwrite, then deleted
        mkdir -p "$scratch/replaced" && "$with_tensorboard" - "$here/../analysis" "$scratch/run/run.h5" "$scratch/other/run.h5" "$scratch/replaced" <<'PY'
import atexit, glob, os, shutil, subprocess, sys, time
analysis, first, second, folder = sys.argv[1:]

def put(source):
    shutil.copy(source, folder + "/new.h5")
    os.replace(folder + "/new.h5", folder + "/run.h5")

def wait_for(condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    sys.exit("waited too long")

events = lambda: glob.glob(folder + "/tensorboard/*.sigmatic")
size = lambda: sum(os.path.getsize(path) for path in events())
with open(folder + "/status", "w") as file:
    file.write("running")
put(first)
program = subprocess.Popen([sys.executable, analysis + "/export.py", "tensorboard", folder, "--follow", "--interval", "0.2"], stderr=subprocess.PIPE, text=True)
atexit.register(program.kill)
wait_for(lambda: any(b"depth/sigma" in open(path, "rb").read() for path in events()))
os.remove(folder + "/run.h5")
time.sleep(0.3)
assert program.poll() is None, "a moment without a log is no end"
put(second)
wait_for(lambda: size() > 5000 and not any(b"depth/sigma" in open(path, "rb").read() for path in events()))  # this one learns none
assert len(events()) == 1, events()
shutil.rmtree(folder)
said = program.communicate(timeout=60)[1]
assert program.returncode == 1 and "another run replaces it" in said and "run.h5: gone" in said and "no run is left to follow" in said, said
assert "Traceback" not in said, said
PY
    }
    expect "export.py tensorboard --follow of a run that is replaced, then deleted" follow_what_is_replaced
else
    skip tensorboardx "export.py tensorboard" "no Python with tensorboardX"
    expect "export.py names what is missing" refuses "pip install tensorboardX" "$python" "$here/../analysis/export.py" tensorboard "$scratch/run"
fi

# ---- sigmatic show of several runs
mkdir -p "$scratch/runs/group/failed" "$scratch/runs/group/torn" "$scratch/empty"
ln -s "$scratch/run" "$scratch/runs/learned" && ln -s "$scratch/other" "$scratch/runs/equal"
echo "failed: the disk is full" >"$scratch/runs/group/failed/status"
head -c 5000 "$scratch/run/run.h5" >"$scratch/runs/group/torn/run.h5"
shows() { "$program" show "$@" 2>/dev/null; }
expect "show A B, FOLDER and --as-fixed have the logs' numbers" "$python" - "$program" "$scratch/runs" <<'PY'
import json, re, subprocess, sys
import h5py, numpy
program, folder = sys.argv[1:]
show = lambda *words: subprocess.run([program, "show", *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
split = lambda line: re.split(r"  +", line.strip())
names = "learned", "equal"
logs = [h5py.File(f"{folder}/{name}/run.h5") for name in names]

def number(value):
    return "-" if not numpy.isfinite(value) else f"{value:.0f}" if value == int(value) else f"{value:.4g}"

lines = [split(line) for line in show(*(f"{folder}/{name}" for name in names)).splitlines()]
rows = {line[0]: line[1:] for line in lines if len(line) == 3}
assert lines[0] == list(names) and rows["step"] == ["12", "12"] and rows["status"] == ["done", "done"], lines
assert rows["weighting.method"] == ["uncertainty", "equal"] and not {"run.folder", "run.seed", "model.width"} & set(rows), rows
for task in "semantic", "depth":
    for quantity, last in (("loss", 50), ("weight", 1), ("sigma", 1)):
        expected = [number(numpy.mean(log[f"tasks/{task}/{quantity}"][-last:])) for log in logs]
        assert rows[f"{task}: {quantity}"] == expected, (task, quantity, rows[f"{task}: {quantity}"], expected)
for metric, unit, best in (("semantic/pixel_accuracy", "%", max), ("depth/error_pixels", "px", min)):
    values = [log[f"evaluations/val/{metric}"][-1] for log in logs]
    expected = [number(value) + (" *" if value == best(values) and values[0] != values[1] else "") for value in values]
    assert rows[metric.replace("/", ": ") + ", " + unit] == expected, (rows, expected)

lines = show(folder).splitlines()
listed = {split(line)[0]: split(line) for line in lines[1:]}
headings = split(lines[0])
assert list(listed)[:4] == ["equal", "group/failed", "group/torn", "learned"], lines
assert listed["learned"][1:3] == ["done", "12"] and listed["group/failed"][1] == "failed" and listed["group/torn"][1] == "unreadable", lines
assert listed["learned"][headings.index("semantic miou, %")] == number(logs[0]["evaluations/val/semantic/miou"][-1]), lines
assert any(line.startswith("group/failed: ") for line in lines) and any("torn/run.h5" in line for line in lines), lines
runs = json.loads(show(folder, "--json"))["runs"]
assert [run["steps"] for run in runs] == [12, 0, 0, 12] and runs[0]["status"] == "done" and "problem" in runs[2] and "problem" not in runs[3], runs

fixed = show(f"{folder}/learned", "--as-fixed")
assert "[weighting]\nmethod = fixed\n\n" in fixed and "likelihood" not in fixed and "/run-fixed\n" in fixed, fixed
for task, weight in re.findall(r"\[task\.(\w+)\]\nweight = (\S+)\n", fixed):
    assert weight == f"{logs[0][f'tasks/{task}/weight'][-50:].mean():.6g}", (task, weight)
assert len(re.findall(r"^weight = ", fixed, re.M)) == 3
PY
as_fixed_is_a_config() {
    shows "$scratch/run" --as-fixed >"$scratch/fixed.ini" && "$program" train "$scratch/fixed.ini" --dry-run >"$scratch/planned" 2>&1 &&
        ! grep -E "warning: .*(no effect|weight)" "$scratch/planned"
}
expect "show --as-fixed is a config that trains" as_fixed_is_a_config
mkdir "$scratch/quoted" && cp "$scratch/run/run.h5" "$scratch/quoted"
"$python" -c 'import h5py, re, sys
root = h5py.File(sys.argv[1], "a").attrs
root["config"] = re.sub(r"(?m)^folder = .*$", "folder = \"seed=1\"", root["config"].decode())
del root["attribute_crc32c"]  # those of the config as it was' "$scratch/quoted/run.h5"
quoted_stays_quoted() { shows "$scratch/quoted" --as-fixed | grep -xF 'folder = "seed=1-fixed"'; }
expect "show --as-fixed of a folder in quotes" quoted_stays_quoted
what_nothing_learned() { # is not called learned; the user's own weights stay as they are written
    "$program" train "$scratch/tiny.ini" --set run.folder="$scratch/own" --set run.steps=2 --set weighting.method=fixed \
        --set task.depth.weight=0.12345678 >/dev/null 2>&1
    shows "$scratch/own" --as-fixed >"$scratch/fixed.ini" && shows "$scratch/other" --as-fixed >"$scratch/equal.ini" &&
        grep -q "with its own weights: its weighting is fixed already, nothing was learned" "$scratch/fixed.ini" &&
        grep -qx "weight = 0.12345678" "$scratch/fixed.ini" && [ "$(grep -c '^weight = ' "$scratch/fixed.ini")" = 3 ] &&
        grep -q "weighting, equal: 1/3 for each of 3 tasks, nothing was learned" "$scratch/equal.ini" &&
        [ "$(grep -cx 'weight = 0.333333' "$scratch/equal.ini")" = 3 ]
}
expect "show --as-fixed says what weights are that nothing learned" what_nothing_learned
weights_of_shared_parameters() { # heads of such methods learn by others
    "$program" train "$scratch/tiny.ini" --set run.folder="$scratch/joined" --set run.steps=2 --set weighting.method=mgda >/dev/null 2>&1
    shows "$scratch/joined" --as-fixed | grep -q "^; They are those of the parameters that the tasks share" &&
        ! grep -q "They are those" "$scratch/fixed.ini"
}
expect "show --as-fixed says of which parameters weights from gradients are" weights_of_shared_parameters
mkdir "$scratch/scaled" && cp "$scratch/run/run.h5" "$scratch/scaled"
"$python" -c 'import h5py, sys; h5py.File(sys.argv[1], "a")["tasks/semantic"].attrs["likelihood"] = "categorical_scaled"' "$scratch/scaled/run.h5"
expect "show --as-fixed of what no weight can say" refuses "'semantic' has the likelihood categorical_scaled" "$program" show "$scratch/scaled" --as-fixed
expect "show --as-fixed of two" refuses "takes one run, not several" "$program" show "$scratch/run" "$scratch/other" --as-fixed
expect "show --follow of a folder" refuses "takes one run, not a folder" "$program" show "$scratch/runs" --follow
expect "show of an empty folder, on two ranks" refuses "empty: a folder that is not a run's" "$MPIRUN" -n 2 "$program" show "$scratch/empty"
expect "show of a run and a torn log, on two ranks" refuses "torn/run.h5" "$MPIRUN" -n 2 "$program" show "$scratch/run" "$scratch/runs/group/torn"

# What the functions compute, on files with numbers that are known; what the scripts say to files that are wrong.
each_of() { # PROGRAM.py ARGUMENT...: lines "ok NAME" and "FAILED NAME: why" as tests
    "$python" "$here/$1" "${@:2}" >"$scratch/values.log" 2>&1 ||
        echo "FAILED $1: $(tail -n 3 "$scratch/values.log")" >>"$scratch/values.log"
    while IFS= read -r line; do
        case $line in
            "ok "*) passed "${line#ok }" ;;
            "FAILED "*) failed "${line#FAILED }"; echo "FAILED: $report_name: ${line#FAILED }" ;;
        esac
    done <"$scratch/values.log"
}
each_of analysis_values.py "$here/../analysis" "$here/../src/task" "$scratch"
each_of analysis_inputs.py "$here/../analysis" "$scratch/run" "$scratch/tiny.h5" "$scratch/predictions.h5" "$scratch"
name_what_is_missing() { # -S: a Python without any package
    local script
    for script in plot_sigma compare report show_predictions export; do
        refuses "^$script.py: .* has no numpy, h5py, matplotlib: apt-get install python3-numpy .* -m pip install numpy h5py" \
            "$python" -S "$here/../analysis/$script.py" "$scratch/run" || return 1
    done
    refuses "^torch_peer.py: .* has no torch, torchvision: .* -m pip install torch torchvision" "$python" -S "$here/../analysis/torch_peer.py" &&
        "$python" -S "$here/../analysis/scaling.py" --compute 1 --megabytes 10 >/dev/null
}
expect "scripts name the packages that a Python lacks" name_what_is_missing

# ---- which PyTorch is compared with, and how: without one
each_of bench_values.py "$here/../analysis" "$scratch"
printf '#!/bin/sh\nexec "%s" -S "$@"\n' "$python" >"$scratch/bare_python" && chmod +x "$scratch/bare_python"
nothing_to_compare_with() {
    local output
    output=$(PYTHON_TORCH=$scratch/bare_python "$python" "$here/../analysis/bench.py" --program "$program" --output "$scratch/bench.md") &&
        [[ $output == "bench: skipped: no PyTorch with torchvision here: 'make bench-setup' "* ]] && [ ! -e "$scratch/bench.md" ] &&
        refuses "^no PyTorch with torchvision here: 'make bench-setup' " env PYTHON_TORCH="$scratch/bare_python" "$python" "$here/../analysis/bench_peer.py"
}
expect "bench.py without PyTorch says how to get it" nothing_to_compare_with
bench_refuses() { refuses "$1" "$python" "$here/../analysis/bench.py" --program "$program" "${@:2}"; }
bench_names_what_it_takes() {
    bench_refuses "variants takes contiguous, channels_last, contiguous.compile, channels_last.compile, with commas" --variants fast &&
        bench_refuses "layouts 2: processes x threads expected, such as 1x2" --layouts 1x2,2 &&
        bench_refuses "isa: invalid choice: 'sse' .choose from .*avx2" --isa sse && bench_refuses "warmup takes 1 and more" --warmup 0 &&
        bench_refuses "absent.jsonl: No such file" --table absent.jsonl && bench_refuses "tiny.ini: not the .jsonl of a bench" --table "$scratch/tiny.ini"
}
expect "bench.py says what its flags take" bench_names_what_it_takes
too_little_room() {
    mkdir "$scratch/full" && printf '#!/bin/sh\necho Avail\necho 4000000\n' >"$scratch/full/df" && chmod +x "$scratch/full/df" &&
        PATH=$scratch/full:$PATH PIP_NO_INDEX=1 PIP_FIND_LINKS= refuses "3906 MiB free, .* wanted: nothing was installed" "$here/../jobs/setup_torch.sh" "$scratch/torch" && [ ! -e "$scratch/torch" ]
}
expect "setup_torch.sh looks at the room first" too_little_room
unreachable_index() {
    refuses "No matching distribution\|no Python that makes virtual environments" env PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS= PIP_NO_INDEX=1 \
        PIP_INDEX_URL=none "$here/../jobs/setup_torch.sh" "$scratch/torch" && [ ! -e "$scratch/torch" ]
}
expect "setup_torch.sh leaves no half of an environment" unreachable_index

compare() { "$python" "$here/../analysis/compare.py" "$@"; }
expect "compare.py on the real run" compare "$scratch/run" --picture "$scratch/curves.png"
expect "curves.png" is_picture "$scratch/curves.png"
goes_on_without() { # a sweep with a run that failed, a torn log and a copy: the table of the others, and what is left out
    ln -sfn "$scratch/again" "$scratch/runs/z_copy"
    compare "$scratch/runs" --lines rows >"$scratch/table"
    [ $? = 3 ] && grep -q "^method=uncertainty  *1 " "$scratch/table" && grep -q "^method=equal  *1 " "$scratch/table" &&
        grep -q "^Left out: .*/group/failed: no run.h5 (its status: failed: the disk is full)" "$scratch/table" &&
        grep -q "^Left out: .*/group/torn/run.h5: damaged HDF5 file" "$scratch/table" &&
        grep -q "^Left out: .*/z_copy/run.h5: same configuration and seed 1 as .*/learned/run.h5" "$scratch/table" &&
        grep -qx "No Delta_m: no run of semantic, instance or depth alone is among these." "$scratch/table"
}
expect "compare.py goes on without runs that failed and copies, and its exit code says so" goes_on_without
expect "plot_sigma.py goes on without them" "$python" "$here/../analysis/plot_sigma.py" "$scratch/runs" -o "$scratch/sigma.png"

# ---- a run that was killed a moment ago: its latest steps stand in the journal beside the log ----
cat >"$scratch/table.ini" <<INI
[run]
folder = $scratch/killed
batch = 8
steps = 1000000
[model]
backbone = mlp
hidden = 8
[data]
train = $scratch/table.h5
[task.y1]
kind = regression
target = y1
[checkpoint]
interval = 200
INI
"$program" data toy "$scratch/table.h5" --samples 60 --validation 20 >"$scratch/log" 2>&1
rows_of_log() { "$python" -c 'import h5py, sys; print(len(h5py.File(sys.argv[1])["steps/step"]))' "$scratch/killed/run.h5"; }
rows_shown() { "$program" show "$scratch/killed" --json | "$python" -c 'import json, sys; print(json.load(sys.stdin)["steps"])'; }
newest_step() { ls "$scratch/killed/checkpoints" | sed -n 's/^step-0*\([0-9]*\)\.h5$/\1/p' | tail -n 1; }
kill_with_a_journal() { # now and then the moment is one at which all stands in the log
    local run
    for _ in 1 2 3 4 5; do
        "$program" train "$scratch/table.ini" --overwrite >"$scratch/log" 2>&1 &
        run=$!
        for _ in $(seq 200); do
            [ -n "$(find "$scratch/killed/run.journal" -size +20k 2>/dev/null)" ] && [ -n "$(newest_step)" ] &&
                [ "$(rows_of_log)" -gt 0 ] && break
            sleep 0.1
        done
        kill -KILL "$run"
        wait "$run" 2>/dev/null
        in_log=$(rows_of_log) shown=$(rows_shown)
        echo "$in_log rows in the log, $shown shown"
        [ "$shown" -gt "$in_log" ] && [ "$in_log" -gt 0 ] && return
    done
    return 1
}
expect "show has the steps of a run's journal too" kill_with_a_journal
expect "it says behind which step the run was killed" grep -q "lost: killed behind step $shown " <("$program" show "$scratch/killed")
expect "no checkpoint is of a later step" test "$shown" -ge "$(newest_step)"
expect "scripts say how far the log is behind" grep -qx \
    "$scratch/killed/run.h5 is $((shown - in_log)) steps behind the run, which has made $shown: sigmatic show has them" \
    <("$python" "$here/../analysis/plot_sigma.py" "$scratch/killed" -o "$scratch/sigma.png" 2>&1)
expect "a journal that is damaged" sh -c "head -c 20 '$scratch/killed/run.journal' >'$scratch/cut' && mv '$scratch/cut' '$scratch/killed/run.journal'"
expect "show has the log's steps then" test "$(rows_shown 2>/dev/null)" = "$in_log"
expect "and says why" grep -q 'the latest rows are not shown: .*run.journal: not the journal of a run, or its head is damaged' \
    <("$program" show "$scratch/killed" 2>&1)
expect "so do scripts" "$python" "$here/../analysis/plot_sigma.py" "$scratch/killed" -o "$scratch/sigma.png"
report_end
