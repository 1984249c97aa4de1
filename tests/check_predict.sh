#!/usr/bin/env bash
# `sigmatic predict` as its users meet it: files from a checkpoint alone, the same on any number of ranks, bad images named
# and left out, nothing overwritten. check_predict.sh PROGRAM; needs a Python with h5py.
set -u
. "$(dirname "$0")/frame.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
cd "$scratch" || exit 1
run() { # EXIT-CODE ARGUMENT...: leaves the streams in `out` and `err`
    local code=$1 found
    shift
    "$program" "$@" >out 2>err </dev/null
    found=$?
    [ $found -eq "$code" ] || { echo "exit code $found, $code expected"; cat err; return 1; }
}
run_ranks() { # EXIT-CODE RANKS ARGUMENT...
    local code=$1 ranks=$2 found
    shift 2
    $MPIRUN -n "$ranks" "$program" "$@" >out 2>err </dev/null
    found=$?
    [ $found -eq "$code" ] || { echo "exit code $found, $code expected"; cat err; return 1; }
}
holds() { grep -qE -- "$2" "$1" || { echo "$1 lacks '$2'"; cat "$1"; return 1; }; }
says() { holds err "$1" && { [ "$(grep -c 'sigmatic: error:' err)" -eq 1 ] || { echo "not one error"; cat err; return 1; }; }; }
is_there() { [ -s "$1" ] || { echo "no $1"; find . -name '*.png' | head; return 1; }; }
is_not_there() { [ ! -e "$1" ] || { echo "$1 is there"; return 1; }; }
same_files() { diff -r "$1" "$2"; }
python() { "$python" -c "$1"; }

cat >tiny.ini <<'INI'
[run]
folder = run
batch = 4
steps = 3
evaluate_interval = 0
progress_seconds = 100
[model]
backbone = resnet18
width = 0.0625
dropout = 0.2
[data]
train = tiny.h5
[task.semantic]
kind = semantic
[task.instance]
kind = instance
[task.depth]
kind = depth
INI
best=run/checkpoints/step-00000003.h5

# Images of other sizes, bits and channels than those of training.
make_images() {
    "$python" - <<'PYTHON'
import os, struct, zlib
import numpy as np
def png(path, pixels, colour):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    depth = pixels.dtype.itemsize * 8
    rows = pixels.astype(">u2" if depth == 16 else np.uint8)
    height, width = rows.shape[:2]
    raw = b"".join(b"\0" + rows[y].tobytes() for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
                           + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
random = np.random.default_rng(1)
png("photos/rgb.png", random.integers(0, 256, (50, 70, 3), np.uint8), 2)
png("photos/grey.png", random.integers(0, 256, (33, 20), np.uint8), 0)
png("photos/deep.png", random.integers(0, 65536, (40, 40, 3), np.uint16), 2)
png("photos/more/alpha.PNG", random.integers(0, 256, (9, 80, 4), np.uint8), 6)
open("photos/notes.txt", "w").write("no image")
open("photos/.hidden.png", "w").write("no image")
PYTHON
}

expect "scenes" run 0 data scenes tiny.h5 --train 4 --validation 3 --height 32 --width 48
expect "train" run 0 train tiny.ini
expect "images" make_images

# ---- from a checkpoint alone ----

mv tiny.h5 away.h5
all=overlay,classes,instances,cityscapes,cityscapes-instances,disparity,npy,hdf5
expect "a folder" run 0 predict $best photos --output one --format $all --uncertainty
expect "the summary is a result" holds out "4 images in .* results below one"
expect "progress is none" holds out "semantic: learned sigma"
for name in rgb grey deep more/alpha; do
    expect "overlay of $name" is_there "one/overlay/$name.png"
    expect "file of $name" is_there "one/hdf5/$name.h5"
    expect "entropy of $name" is_there "one/npy/semantic/$name.entropy.npy"
done
expect "what is no image is left out" is_not_there one/overlay/notes.png
expect "hidden files are left out" is_not_there one/overlay/.hidden.png
expect "sizes and encodings" python '
import h5py, numpy as np
for name, shape in ("rgb", (50, 70)), ("grey", (33, 20)), ("deep", (40, 40)), ("more/alpha", (9, 80)):
    classes, depth = np.load(f"one/npy/semantic/{name}.npy"), np.load(f"one/npy/depth/{name}.npy")
    assert classes.shape == shape and classes.dtype == np.uint8, (name, classes.shape)
    assert np.load(f"one/npy/instance/{name}.npy").shape == shape + (2,)
    with h5py.File(f"one/hdf5/{name}.h5") as file:
        semantic = file["tasks/semantic"]
        assert (semantic["prediction"][()] == classes).all() and (file["tasks/depth/prediction"][()] == depth).all()
        logits = semantic["logits"][()].astype(float)
        assert (logits.argmax(-1) == classes).all()
        p = np.exp(logits - logits.max(-1, keepdims=True)); p /= p.sum(-1, keepdims=True)
        assert abs(-(p * np.log(p)).sum(-1) - semantic["entropy"][()]).max() < 1e-5
        assert semantic.attrs["class_names"][0] == b"road" and file["tasks/depth"].attrs["unit"] == b"px"
'
expect "another number of ranks" run_ranks 0 3 predict $best photos --output three --format $all --uncertainty
expect "writes the same bytes" same_files one three

# ---- encodings that others read ----

read_png='
import struct, zlib, numpy as np
def read(path):
    data = open(path, "rb").read(); at, idat = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8]); body = data[at + 8:at + 8 + size]; at += 12 + size
        if kind == b"IHDR": width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        if kind == b"IDAT": idat += body
    raw = np.frombuffer(zlib.decompress(idat), np.uint8).reshape(height, -1); out = np.zeros((height, raw.shape[1] - 1), np.uint8)
    bytes_a_pixel = depth // 8 * {0: 1, 2: 3}[colour]
    for y in range(height):
        row, above = raw[y, 1:].astype(int), out[y - 1].astype(int) if y else np.zeros(raw.shape[1] - 1, int)
        for x in range(row.size):
            left = int(out[y, x - bytes_a_pixel]) if x >= bytes_a_pixel else 0
            corner = int(above[x - bytes_a_pixel]) if x >= bytes_a_pixel else 0
            paeth = min((left, above[x], corner), key=lambda v: abs(left + above[x] - corner - v))
            out[y, x] = row[x] + [0, left, above[x], (left + above[x]) // 2, paeth][raw[y, 0]] & 255
    return out.view(">u2").astype(int) if depth == 16 else out.astype(int)
'
expect "Cityscapes' label ids and disparities" python "$read_png"'
ids = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
for name in "rgb", "grey", "more/alpha":
    classes, depth = np.load(f"one/npy/semantic/{name}.npy"), np.load(f"one/npy/depth/{name}.npy").astype(float)
    assert (read(f"one/classes/semantic/{name}.png") == classes).all()
    assert (read(f"one/cityscapes/semantic/{name}.png") == np.array(ids)[classes]).all()
    assert (abs(read(f"one/disparity/depth/{name}.png") - np.clip(depth * 256 + 1, 1, 65535)) <= 0.5 + 1e-9).all()
'
expect "instances: a list, masks, ids" python "$read_png"'
import h5py, os
for name in "rgb", "grey", "more/alpha":
    ids = np.load(f"one/npy/instance/{name}.instances.npy")
    assert ids.shape == np.load(f"one/npy/semantic/{name}.npy").shape and (read(f"one/instances/instance/{name}.png") == ids).all()
    lines = open(f"one/cityscapes-instances/instance/{name}.txt").read().splitlines()
    assert len(lines) == ids.max()
    with h5py.File(f"one/hdf5/{name}.h5") as file:
        task = file["tasks/instance"]
        assert (task["instances"][()] == ids).all() and len(task["instance_class"]) == ids.max()
        for k, line in enumerate(lines):
            mask, label, confidence = line.split()
            pixels = read(os.path.join(os.path.dirname(f"one/cityscapes-instances/instance/{name}"), mask))
            assert ((pixels > 0) == (ids == k + 1)).all()
            assert int(label) in range(24, 34) and abs(float(confidence) - task["instance_confidence"][k]) < 1e-6
'
expect "metres" run 0 predict $best photos/rgb.png --output metres --format metres,millimetres,npy --baseline 0.2 --focal 1000
expect "from disparities and the camera" python "$read_png"'
disparity, metres = np.load("metres/npy/depth/rgb.npy").astype(float), np.load("metres/metres/depth/rgb.npy")
expected = np.where(disparity > 0, 200 / np.where(disparity > 0, disparity, 1), np.inf)
assert np.allclose(metres, expected, rtol=1e-6) and metres.dtype == np.float32
code = read("metres/millimetres/depth/rgb.png")
assert (code[metres >= 65.536] == 0).all() and (abs(code - 1000.0 * metres)[metres < 65.5] <= 0.51).all()
'
for ranks in 1 3; do
    expect "metres without a camera on $ranks" run_ranks 2 $ranks predict $best photos --output failed --format overlay,metres
    expect "say once what is missing on $ranks" says "--format metres: task 'depth' predicts disparities .*--baseline"
    expect "and nothing is predicted on $ranks" is_not_there failed
done
expect "classes that Cityscapes lacks" python '
import h5py, shutil
shutil.copy("run/checkpoints/step-00000003.h5", "lava.h5")
with h5py.File("lava.h5", "a") as file:
    names = list(file["data/semantic"].attrs["class_names"])
    file["data/semantic"].attrs["class_names"] = [b"lava"] + names[1:]
    del file.attrs["attribute_crc32c"]
    file.attrs["format_version"] = 1
'
for format in cityscapes cityscapes-instances; do
    expect "$format of them" run 2 predict lava.h5 photos --output failed --format overlay,$format
    expect "$format of them: which class, what is expected" says "--format $format: task 'semantic': class 0 is 'lava', .* expected"
    expect "$format of them: nothing is predicted" is_not_there failed
done

# ---- datasets, ensembles, samples ----

expect "a dataset" run 0 predict $best away.h5 --split val --output samples --format npy,metres
expect "takes its names and its camera" is_there samples/metres/depth/val_000002.npy
expect "a sample without a camera" python '
import h5py, shutil
shutil.copy("away.h5", "partly.h5")
with h5py.File("partly.h5", "a") as file: del file["val/fx_pixels_crc32c"]; file["val/fx_pixels"][1] = float("nan")
'
expect "is one of three that fails" run 1 predict $best partly.h5 --split val --output partly --format metres
expect "is named" holds err "val_000001: task 'depth' predicts disparities"
expect "and leaves the others" is_there partly/metres/depth/val_000002.npy
cp $best twin.h5
expect "several networks" run 0 predict $best twin.h5 photos/rgb.png --output same --format npy --uncertainty
expect "that agree have no variance" python '
import numpy as np
assert (np.load("same/npy/depth/rgb.variance.npy") == 0).all() and abs(np.load("same/npy/semantic/rgb.mutual_information.npy")).max() < 1e-6
one = np.load("one/npy/depth/rgb.npy")
assert (np.load("same/npy/depth/rgb.npy") == one).all()
'
expect "one network twice" run_ranks 2 2 predict $best run/checkpoints/../checkpoints/step-00000003.h5 photos/rgb.png --output none
expect "is no ensemble" says "are one checkpoint: an ensemble is of different networks"
expect "another network" run 0 train tiny.ini --set data.train=away.h5 --set run.folder=other --set run.seed=2
expect "and both" run 0 predict $best other/checkpoints/step-00000003.h5 photos/rgb.png --output both --format hdf5 --uncertainty
grep sigma out >of_both
expect "in the other order" run 0 predict other/checkpoints/step-00000003.h5 $best photos/rgb.png --output both2 --format npy --uncertainty
expect "have the same sigmas" python '
import h5py, re
printed = open("of_both").read()
assert printed and printed == "".join(line for line in open("out") if "sigma" in line), printed
found = re.search(r"semantic: learned sigma ([0-9.e+-]+) \(.*; mean of the networks\)", printed)
with h5py.File("both/hdf5/rgb.h5") as file:
    assert abs(float(found[1]) / file["tasks/semantic"].attrs["sigma"] - 1) < 1e-3, (found[1], file["tasks/semantic"].attrs["sigma"])
'
expect "samples of dropout" run_ranks 0 2 predict $best photos --output drop2 --format npy --uncertainty --samples 3
expect "samples on one rank" run 0 predict $best photos --output drop1 --format npy --uncertainty --samples 3
expect "are the same" same_files drop1 drop2
expect "and differ" python 'import numpy as np; assert np.load("drop1/npy/depth/rgb.variance.npy").max() > 0'

# ---- checkpoints of earlier versions ----

expect "an older checkpoint" python '
import h5py, shutil
shutil.copy("run/checkpoints/step-00000003.h5", "older.h5")
with h5py.File("older.h5", "a") as file:
    del file["data"], file.attrs["attribute_crc32c"]
    file.attrs["format_version"] = 1
'
expect "without a dataset" run_ranks 2 2 predict older.h5 photos --output older
expect "says what would help" holds err "older.h5 was written by a version .*--data"
expect "with --data" run 0 predict older.h5 photos --output older --data away.h5 --format npy
expect "predicts the same" same_files one/npy/depth/rgb.npy older/npy/depth/rgb.npy

# ---- eval where labels are missing: the others are measured, nothing is made up ----

expect "a dataset without classes" python '
import h5py, shutil
shutil.copy("away.h5", "unlabelled.h5"); shutil.copy("away.h5", "bare.h5")
with h5py.File("unlabelled.h5", "a") as file: del file["val/semantic"]
with h5py.File("bare.h5", "a") as file:
    for name in "semantic", "instance", "disparity": del file["val/" + name]
'
expect "eval" run_ranks 0 2 eval $best --data unlabelled.h5 --predictions pred.h5
expect "says what is not measured" holds err "no 'semantic': task 'semantic' is not measured"
expect "measures the others" holds out "depth +error_pixels +[0-9]"
expect "prints no nan" python 'assert "nan" not in open("out").read()'
expect "and no truth" python '
import h5py
with h5py.File("pred.h5") as file:
    assert sorted(file["tasks/semantic"]) == ["prediction", "prediction_picture"], list(file["tasks/semantic"])
    assert len(file["tasks/depth"]) == 4 and file["tasks/semantic/prediction"][()].any()
'
expect "eval without a label" run_ranks 2 2 eval $best --data bare.h5
expect "names predict" holds err "nothing to measure .'sigmatic predict' needs none"
expect "eval as trained" run 0 eval $best --data away.h5
mv out trained
expect "eval of an older checkpoint" run 0 eval older.h5 --data away.h5
expect "gives the same numbers" python '
first, second = (open(name).read().splitlines()[1:] for name in ("trained", "out"))
assert first == second and len(first) > 4, (first, second)
'

# ---- what is there stays ----

expect "results that are there" run 2 predict $best photos --output one
expect "are named" holds err "one/overlay holds predictions of '.*' already: --overwrite"
expect "and replaced if asked" run 0 predict $best photos --output one --overwrite
expect "--json" run 0 predict $best photos/rgb.png --output json --json
expect "is one object" python '
import json
result = json.load(open("out"))
assert result["images"] == 1 and result["written"] == ["overlay"] and result["failed"] == 0 and result["images_per_second"] > 0, result
'
expect "results inside the folder" run 0 predict $best photos --output photos/results
expect "are no images the next time" run 0 predict $best photos --output photos/results --overwrite
expect "four images" holds out "^4 images"
expect "results into the folder itself" run_ranks 2 2 predict $best photos --output ./photos/../photos
expect "are refused" holds err "photos is the folder of the results too"
rm -r photos/results
ln -s ../photos photos/loop
expect "a link to a folder above" run 0 predict $best photos --output linked
expect "is not followed" holds out "^4 images"
rm photos/loop

# ---- bad input ----

head -c 300 photos/rgb.png >photos/cut.png
echo "no image" >photos/text.jpg
for ranks in 1 4; do
    expect "bad images on $ranks" run_ranks 1 $ranks predict $best photos --output "bad$ranks"
    expect "the truncated one is named on $ranks" holds err "photos/cut.png"
    expect "the other one is named on $ranks" holds err "photos/text.jpg"
    expect "how many on $ranks" holds err "2 of 6 images could not be predicted"
    expect "the good ones are there on $ranks" is_there "bad$ranks/overlay/more/alpha.png"
    expect "no half file on $ranks" is_not_there "bad$ranks/overlay/cut.png"
done
expect "and alike" same_files bad1 bad4
rm photos/cut.png photos/text.jpg
on_a_full_disk() { # the second of two ranks can write files of up to 4 KiB
    local found
    OMPI_MCA_btl=self,tcp $MPIRUN -n 2 bash -c '[ "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" = 0 ] || { trap "" XFSZ; ulimit -f 4; }; exec "$@"' \
        sh "$program" "$@" >out 2>err
    found=$?
    [ $found -eq 1 ] || { echo "exit code $found"; cat err; return 1; }
}
expect "a full disk of one of two ranks" on_a_full_disk predict $best photos --output full --format npy
expect "is named" holds err "full/npy/.*/grey.*: cannot be written"
expect "what was done before is there" is_there full/npy/instance/deep.npy
expect "and the other rank does not go on" is_not_there full/npy/instance/more/alpha.npy
expect "what is left out is counted" holds err "3 of 4 images could not be predicted"
cp photos/rgb.png photos/rgb.JPG
expect "two of one name" run 2 predict $best photos --output none
expect "are named both" holds err "rgb.(png|JPG) and photos/rgb.(png|JPG): both results would be called 'rgb'"
rm photos/rgb.JPG
mkdir -p ranks/0 ranks/1
cp $best ranks/0/first.h5
cp $best ranks/0/second.h5
cp $best ranks/1/first.h5
cp photos/rgb.png ranks/0
cp photos/rgb.png ranks/1
on_nodes() { # each rank in a folder of its own
    local found
    timeout 120 $MPIRUN -n 2 sh -c 'cd "ranks/${OMPI_COMM_WORLD_RANK:-$PMI_RANK}" && exec "$@"' sh "$program" "$@" >out 2>err
    found=$?
    [ $found -eq 2 ] || [ $found -eq 1 ] || { echo "exit code $found"; cat err; return 1; }
}
expect "a checkpoint that one node sees" on_nodes predict first.h5 second.h5 rgb.png
expect "is an error that names it" holds err "second.h5"
expect "and nothing is written" is_not_there ranks/0/predictions
mkdir empty
expect "an empty folder" run 2 predict $best empty --output none
expect "is named" holds err "empty: no image below"
expect "a file that is not there" run_ranks 2 2 predict $best nowhere.png --output none
expect "is named too" holds err "nowhere.png: no such file"
expect "no image" run 2 predict $best $best --output none
expect "says so" holds err "checkpoints, but no image"
expect "the image first" run_ranks 2 2 predict photos/rgb.png $best --output none
expect "says what comes first" says "photos/rgb.png is no checkpoint, $best is one: checkpoints come first"
expect "a checkpoint behind images" run 2 predict $best photos $best --output none
expect "says so too" says "$best is a checkpoint, but stands behind photos"
head -c 20000 away.h5 >cut.h5
: >nothing.h5
expect "half a dataset" run_ranks 2 2 predict $best cut.h5 --output none
expect "is damaged HDF5" says "cut.h5: truncated HDF5 file"
expect "an empty file called .h5" run 2 predict $best nothing.h5 --output none
expect "is no HDF5 file" says "nothing.h5: not an HDF5 file"
expect "a run log" run 2 predict $best run/run.h5 --output none
expect "is no image" says "run.h5: an HDF5 file with the format 'sigmatic-run': PNG, JPEG, a folder or a dataset expected"

# ---- what is learnt in another unit than it is predicted in ----

cat >log.ini <<'INI'
[run]
folder = log
batch = 2
steps = 1
[model]
backbone = resnet18
width = 0.0625
dropout = 0.2
[data]
train = log.h5
validation_split =
[task.depth]
kind = depth
target = depth
encoding = log
INI
expect "a dataset in metres" python '
import h5py, numpy as np
random = np.random.default_rng(2)
with h5py.File("log.h5", "w") as file:
    file.attrs.update(format="sigmatic-dataset", format_version=2, source="test", mean=[.5] * 3, std=[.2] * 3)
    file["train/image"] = random.integers(0, 256, (2, 32, 48, 3), np.uint8)
    file["train/depth"] = random.uniform(2, 50, (2, 32, 48)).astype(np.float32)
'
expect "train in log metres" run 0 train log.ini
expect "predict" run 0 predict log photos/rgb.png --output log_out --format hdf5,overlay --uncertainty --samples 3
expect "each number has its unit" python '
import h5py
with h5py.File("log_out/hdf5/rgb.h5") as file:
    depth = file["tasks/depth"]
    assert depth.attrs["unit"] == b"m" and depth.attrs["sigma_unit"] == b"log m" and "variance" in depth, dict(depth.attrs)
'
expect "a blank behind a comma" run 2 predict $best photos --format "npy," --output none
expect "is what the message says" says "joined by commas without blanks"
expect "a format mistyped" run 2 predict $best photos --format overlays --output none
expect "is guessed" says "did you mean 'overlay'"
expect "an image twice" run 2 predict $best photos/rgb.png photos/rgb.png --output none
expect "is said to be" says "photos/rgb.png is named twice"

# ---- a run by its folder ----

expect "the best of a run is evaluated" run 0 eval run/ --data away.h5
expect "and named" holds out "^run/checkpoints/best.h5 on 3 samples"
rm run/checkpoints/best.h5
expect "a run's folder without a best" run_ranks 0 2 predict run photos/rgb.png --output of_run --format npy
expect "which file was taken" holds err "^run: taking run/checkpoints/step-00000003.h5"
expect "and predicts the same" same_files one/npy/depth/rgb.npy of_run/npy/depth/rgb.npy
expect "a folder that is no run" run_ranks 2 2 eval photos --data away.h5
expect "is refused" says "photos: a folder that is not a run's: .*checkpoints/best.h5"
expect "a folder of images in place of a checkpoint" run 2 predict photos photos --output none
expect "is refused too" says "photos: a folder that is not a run's"
expect "show of a folder" run 0 show run
expect "is of its log" holds out "^run/run.h5: 3 steps"
expect "show of another folder" run_ranks 2 2 show photos
expect "says what is expected" says "photos: a folder that is not a run's: .*run.h5"

# ---- words that change nothing ----

idle() { # WHAT-IS-SAID OPTION...
    local message=$1
    shift
    run 2 predict $best photos --output none "$@" && says "$message"
}
expect "--overlap without windows" idle "--overlap goes with --mode windows" --overlap 0.3
expect "--seed without samples" idle "--seed goes with --samples" --seed 3
expect "a camera without metres" idle "--baseline and --focal go with --format metres" --baseline 0.2 --focal 1000
expect "--uncertainty without a place" idle "--uncertainty goes with --format overlay" --uncertainty --format classes
expect "--data without need" idle "--data is for checkpoints of earlier versions" --data away.h5
expect "eval --prediction-count without --predictions" run 2 eval $best --prediction-count 8
expect "is refused as well" says "--prediction-count goes with --predictions"
expect "a wrong format" run 2 predict $best photos --format gif
expect "lists the right ones" holds err "'gif': expected one or more of csv, overlay, classes"
expect "a table without values" run 2 predict $best photos --format csv
expect "says which formats write maps" holds err "csv is for values of whole images"
expect "a wrong mode" run 2 predict $best photos --mode half
expect "a wrong size" run 2 predict $best photos --size 5
expect "one sample" run 2 predict $best photos --samples 1
expect "nothing was written" is_not_there none

# ---- values of whole images ----

cat >values.ini <<'INI'
[run]
folder = values
batch = 4
steps = 2
evaluate_interval = 0
[model]
backbone = resnet18
width = 0.0625
[data]
train = values.h5
validation_split =
[task.weather]
kind = classification
target = weather
[task.tilt]
kind = regression
target = tilt
INI
expect "a dataset of values" python '
import h5py, numpy as np
random = np.random.default_rng(2)
with h5py.File("values.h5", "w") as file:
    file.attrs.update(format="sigmatic-dataset", format_version=2, source="test", mean=[.5] * 3, std=[.2] * 3)
    for split, count in ("train", 8), ("test", 5):
        group = file.create_group(split)
        group["image"] = random.integers(0, 256, (count, 32, 48, 3), np.uint8)
        group["weather"] = random.integers(0, 2, count).astype(np.uint8)
        group["weather"].attrs.update(type="class", class_names=["sun, \"hot\"", "rain"])
        group["tilt"] = random.random((count, 2)).astype(np.float32)
        group["tilt"].attrs.update(type="real", unit="deg")
'
expect "train on them" run 0 train values.ini
values="predict values/checkpoints/step-00000002.h5 values.h5 --split test --uncertainty --format overlay,csv,npy"
expect "a table" run 0 $values --output table1
expect "on three ranks" run_ranks 0 3 $values --output table3
expect "is the same" same_files table1 table3
expect "and says what the arrays say" python '
import csv, numpy as np
rows = list(csv.DictReader(open("table1/predictions.csv", newline="")))
assert len(rows) == 5 and set(rows[0]) == {"name", "weather", "weather.entropy", "tilt.0", "tilt.1"}, rows
for row in rows:
    assert row["weather"] == ["sun, \"hot\"", "rain"][np.load("table1/npy/weather/" + row["name"] + ".npy")[0]]
    tilt = np.load("table1/npy/tilt/" + row["name"] + ".npy")
    assert (np.array([row["tilt.0"], row["tilt.1"]], np.float32) == tilt).all()
'
expect "the list of what was written" holds out "^  predictions.csv  "
expect "--samples without dropout" run 2 $values --samples 4 --output none
expect "says what the config needs" says "values/.* was trained without dropout: its config needs model.dropout above 0"
expect "a camera without disparities" run 2 predict values/checkpoints/step-00000002.h5 values.h5 --split test --format metres --baseline 1 --focal 1
cp table1/predictions.csv before.csv
echo "no image" >photos/text.png
expect "no good image" run_ranks 1 2 predict values/checkpoints/step-00000002.h5 photos/text.png --format csv --output table1 --overwrite
expect "replaces no table" cmp before.csv table1/predictions.csv

report_end
