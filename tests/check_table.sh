#!/usr/bin/env bash
# A table as its users meet it: from a CSV file to predictions, and what is said where images are meant. check_table.sh PROGRAM;
# needs a Python with h5py.
set -u
. "$(dirname "$0")/frame.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
cd "$scratch" || exit 1
run() { # EXIT-CODE RANKS ARGUMENT...: leaves the streams in `out` and `err`
    local code=$1 launch=() found
    [ "$2" = 1 ] || launch=($MPIRUN -n "$2")
    shift 2
    "${launch[@]}" "$program" "$@" >out 2>err </dev/null
    found=$?
    [ $found -eq "$code" ] || { echo "exit code $found, $code expected"; cat err; return 1; }
}
lacks() { ! grep -E -- "$2" "$1"; }
holds() { grep -qE -- "$2" "$1" || { echo "$1 lacks '$2'"; cat "$1"; return 1; }; }
refuses() { # WORDS ARGUMENT...: exit code 2 and one message, on one rank and on two
    local words=$1 ranks
    shift
    for ranks in 1 2; do
        run 2 $ranks "$@" && holds err "$words" &&
            { [ "$(grep -c 'sigmatic: error:' err)" -eq 1 ] || { echo "not one error"; cat err; return 1; }; } || return 1
    done
}

awk 'BEGIN { print "id,length,\"width, outer\",mass,kind,split"
    for (i = 0; i < 40; i++) {
        x = sin(i); y = cos(3 * i)
        print "r" i "," (i == 5 ? "NA" : x) "," y "," (i == 7 ? "" : 2 * x - y + 5) "," (x > 0 ? "tall" : "short") "," (i < 30 ? "train" : "val")
    } }' >t.csv
cat >t.ini <<'INI'
[run]
folder = run
batch = 10
epochs = 20
[model]
backbone = mlp
hidden = 16
[data]
train = t.h5
[task.mass]
kind = regression
target = mass
loss = l2
[task.kind]
kind = classification
target = kind
[optimizer]
kind = adamw
learning_rate = 1e-2
INI
import=(data table t.csv t.h5 --targets mass --units kg --classes kind --name id)

expect "a table is imported" run 0 2 "${import[@]}"
expect "what is unknown is said" holds err "feature 'length' is unknown in 1 of 40 rows"
expect "data info" run 0 1 data info t.h5
expect "data info: features by name" holds out '^train: 30 samples, 2 features \(length, width, outer\), checksum'
expect "data check" run 0 2 data check t.h5 --json
expect "data check: no sheet of a table" test ! -e t.sheet.png
expect "plain h5py reads it" "$python" -c "
import h5py, numpy as np
f = h5py.File('t.h5')
x = f['train/features'][...]
assert x.dtype == np.float32 and np.isnan(x).sum() == 1 and np.isnan(f['train/mass'][...]).sum() == 1
assert np.allclose(f.attrs['mean'], np.nanmean(x.astype(float), 0)) and np.allclose(f.attrs['std'], np.nanstd(x.astype(float), 0))
"
expect "a dry run" run 0 1 train t.ini --dry-run
expect "a dry run: features" holds out '^training plan, tables of 2 features'
expect "training" run 0 2 train t.ini
expect "training: it counts rows" holds err 'step 60/60 .* [0-9.]+ rows/s  ETA 0:00$'
expect "training with a small sigma" run 0 1 train t.ini --set run.folder=small --set run.epochs=1 --set task.mass.log_variance=-19 --set weighting.learning_rate_scale=0
expect "... has its digits" holds err 'mass [0-9.]+ \(sigma 7\.49e-05\)  kind'
expect "show" run 0 1 show run
expect "show: rows" holds out '^run/run.h5: 60 steps in [0-9]+ s, [0-9.]+ rows/s, 0 skipped$'
expect "show of a folder of runs" run 0 1 show .
expect "show of a folder of runs: rows" holds out '^run  +status  +step  +hours  +rows/s '
expect "show of two runs" run 0 1 show run run
expect "show of two runs: rows" holds out '^rows/s '
expect "show --json" run 0 1 show run --json
expect "show --json: rows" holds out '"samples": *"rows"'
expect "the loader alone" run 0 1 bench --data --steps 1 --warmup 0 --set data.train=t.h5 --set data.validation_split=
expect "the loader alone: rows" holds out ' rows/s +CPU ms/row$'
expect "what images have has no effect, and that is said" run 0 1 train t.ini --dry-run --set data.crop_height=8 --set data.crop_width=8
expect "... by key" holds err 'crop_height = 8 has no effect: it counts only where model.backbone is not mlp'
expect "evaluation" run 0 2 eval run --predictions pred.h5 --trivial
expect "evaluation: the features lie beside the predictions" "$python" -c "
import h5py
f = h5py.File('pred.h5')
assert f['features'].shape == (8, 2) and f['tasks/mass/prediction'].shape == (8, 1), dict(f)
"
expect "prediction of a CSV" run 0 1 predict run t.csv --output one --uncertainty
expect "prediction: a column a value, and sigma" test "$(head -1 one/predictions.csv)" = name,mass,mass.sigma,kind,kind.entropy
expect "prediction: a row a row" test "$(wc -l <one/predictions.csv)" = 41
expect "prediction on two ranks" run 0 2 predict run t.csv --output two --uncertainty
expect "the same bytes" cmp one/predictions.csv two/predictions.csv
expect "prediction of a dataset" run 0 1 predict run t.h5 --split val --output val
expect "prediction of a dataset: its names" sh -c "sed -n 2p val/predictions.csv | grep -q '^r30,'"

printf 'length,"width, outer"\n1,2\n3,x\n' >bad.csv
expect "a cell that is no number" refuses "bad.csv:3: column 'width, outer': 'x' found" predict run bad.csv --output no
printf 'length\n1\n' >bad.csv
expect "a column that is missing" refuses "no column 'width, outer'; there is 'length'" predict run bad.csv --output no
expect "images" refuses 'reads 2 features of a table' predict run "$here" --output no
expect "another format" refuses 'format overlay is for images' predict run t.csv --format overlay --output no
expect "a way of images" refuses 'mode is for images' predict run t.csv --mode windows --output no
expect "an evaluation at another size" refuses 'size is for images' eval run --size 8x8
expect "names of a ResNet" refuses 'is for ResNets' weights export run w.safetensors --names resnet
expect "a backbone of images" refuses 'resnet18 reads images, but the files of data.train have a table' train t.ini --set model.backbone=resnet18 --set run.folder=no
expect "an output that is there" refuses 'exists; --overwrite' "${import[@]}"

# ---- targets far from 0: what is said before training, and by it ----

awk 'BEGIN { print "x,y,z"
    for (i = 0; i < 32; i++) print sin(i) "," 200 + 90 * cos(3 * i) "," 300 * sin(5 * i) }' >far.csv
cat >far.ini <<'INI'
[run]
folder = far
batch = 32
steps = 1
[model]
backbone = mlp
hidden = 4
[data]
train = far.h5
validation_split =
[task.y]
kind = regression
target = y
[task.z]
kind = regression
target = z
loss = l2
INI
starts() { sed -nE "s/.*task\.($1)\.log_variance = ([-0-9.]+).*/\2/p" err; }
expect "a table of targets far from 0" run 0 1 data table far.csv far.h5 --targets y,z
expect "... without splits: that is said" holds err 'no splits: all 32 rows are train'
expect "a table with an error elsewhere" run 2 1 data table far.csv other.h5 --targets y,zz
expect "... is told of that alone" lacks err 'no splits|32 rows'
expect "a table whose output is there" run 2 1 data table far.csv far.h5 --targets y,z
expect "... likewise" lacks err 'no splits|32 rows'
expect "a column with a comma, under another name" refuses "Quotes stand around the whole of an entry" data table t.csv no.h5 --targets 'outer="width, outer"'
expect "... as the message says it" run 0 1 data table t.csv comma.h5 --name id --classes kind --targets '"outer=width, outer",mass' --units 'm,"kg, dry"'
expect "... are the targets" holds err '3 targets'
expect "units of which one is too many" refuses "expected 2 units, one of each of --targets 'length,mass', .* found 3" data table t.csv no.h5 --targets length,mass --units m,kg,s
expect "data check advises starts of s" run 0 1 data check far.h5
expect "... by the loss" holds out "/train/y: .* log_variance = [0-9.]+ with loss = l1, [0-9.]+ with l2"
y=$(sed -nE 's/.*\/train\/y: .*log_variance = ([0-9.]+) with.*/\1/p' out)
z=$(sed -nE 's/.*\/train\/z: .*, ([0-9.]+) with l2.*/\1/p' out)
expect "training from another start" run 0 1 train far.ini
expect "training advises the same starts" test "$(starts y) $(starts z)" = "$y $z"
expect "training from there" run 0 1 train far.ini --overwrite --set task.y.log_variance="$y" --set task.z.log_variance="$z"
expect "... warns of none" lacks err 'from 0, where'
expect "training of a group" run 0 1 train far.ini --overwrite --set task.z.loss=l1 --set task.y.group=g --set task.z.group=g
expect "... is told one start" holds err "group 'g': .*task.y.log_variance and task.z.log_variance = "
expect "... once" test "$(grep -c 'log_variance =' err)" = 1
both=$(starts z)
expect "training of a group from there" run 0 1 train far.ini --overwrite --set task.z.loss=l1 --set task.y.group=g --set task.z.group=g \
    --set task.y.log_variance="$both" --set task.z.log_variance="$both"
expect "... warns of none" lacks err 'from 0, where'
report_end
