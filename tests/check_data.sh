#!/usr/bin/env bash
# data info and data check: what they say of sound and of suspicious dataset files, on one and on several ranks.
# check_data.sh PROGRAM; needs a Python with h5py.
set -u
. "$(dirname "$0")/frame.sh"
. "$here/streams.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
cd "$scratch" || exit 1

# Files of two splits, each of two samples of 8 x 8 pixels. Of the sound one nothing is to be warned of.
"$python" - <<'PYTHON' || exit 1
import h5py, numpy as np
def write(path, edit=None, attributes=dict(mean=[.485, .456, .406], std=[.229, .224, .225]), **classes):
    random = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        file.attrs.update(format="sigmatic-dataset", format_version=2, source="test", **attributes)
        for split in "train", "val":
            group = file.create_group(split)
            group["image"] = random.integers(0, 256, (2, 8, 8, 3), np.uint8)
            group["name"] = [f"{split}-{i}".encode() for i in range(2)]
            semantic = np.zeros((2, 8, 8), np.uint8)
            semantic[:, 2:4, 2:4] = 1
            semantic[:, 6, 6] = 255
            group["semantic"] = semantic
            names = ["road", "car"]
            group["semantic"].attrs.update(class_names=classes.get(split, names), thing=[0, 1][:len(classes.get(split, names))])
            group["instance"] = (semantic == 1).astype(np.uint16)
            disparity = np.full((2, 8, 8), 3, np.float32)
            disparity[0, 0] = 0
            disparity[0, 7] = np.nan
            group["disparity"] = disparity
            group["depth"] = 3 + disparity
        if edit:
            edit(file)
def at(path, value, place=()):
    def edit(file):
        file[path][place if place else ...] = value
    return edit
write("sound.h5")
write("classes.h5", val=["road", "lorry"])
write("fewer.h5", lambda file: file.__delitem__("val/semantic"))
write("statistics.h5", attributes=dict(mean=[123, 116, 103], std=[58, 57, 57]))
write("no_statistics.h5", attributes={})
write("unknown.h5", lambda file: file.copy("val/disparity", "val/disparty"))
write("invalid.h5", at("train/disparity", np.nan))
write("constant.h5", at("train/disparity", 7))
write("zeros.h5", at("train/disparity", 0, (0, slice(0, 5))))
write("millimetres.h5", at("train/depth", 4500, (0,)))
steps = np.arange(1, 65, dtype=np.float32).reshape(8, 8)
write("eight_bits.h5", at("train/depth", steps * np.float32(0.003)))
write("one_of_eight_bits.h5", at("val/depth", steps * np.float32(0.003), (1,)))
write("steps_of_disparity.h5", at("train/disparity", steps / 256))
write("near.h5", at("train/depth", 1 + steps / 100))
write("one_class.h5", lambda file: (at("train/semantic", 0)(file), at("val/semantic", 0)(file)))
write("untrained.h5", at("train/semantic", 255, np.s_[:, 2:4, 2:4]))
def lose_instances(file):
    file["train/semantic"][:, 5, 5] = 1
    file["train/instance"][...] = 0
    file["train/instance"][:, 0, 0] = 1
write("no_instances.h5", lose_instances)
write("blank.h5", at("train/image", 9, (1,)))
def hide(file):
    file["train/semantic"][...] = 255
    file["train/semantic"][0, 0, 0] = 0
    file["val/semantic"][:, 2:4, 2:4] = 0
write("hardly.h5", hide)
def point(file):
    for split in "train", "val":
        file[f"{split}/normal"] = np.tile(np.float32([0.6, 0, 0.8]), (2, 8, 8, 1))
    file["val/normal"][0, 0, 0] = 0.1, 0.2, 0.3
    file["val/normal"][0, 0, 1] = 0.1, 0.2, 0.3
write("normals.h5", point)
def repeat(file):
    file["val/image"][1] = file["train/image"][0]
    file["train/image"][1] = file["train/image"][0]
write("twice.h5", repeat)
def measure(deviation, unit, least=100):
    def edit(file):
        for split in "train", "val":
            file[f"{split}/speed"] = np.float32([least, least + 2 * deviation])
            file[f"{split}/speed"].attrs.update(type="real", unit=unit)
    return edit
write("fast.h5", measure(25, "km/h"))
write("slow.h5", measure(0.01, ""))
write("near_one.h5", measure(4, "m", 10))
write("outside.h5", at("val/semantic", 2, (1, 3, 4)))
write("infinite.h5", at("train/disparity", np.inf, (1, 4, 5)))
write("negative.h5", at("train/disparity", -1, (1, 4, 5)))
def strip(file):
    for split in "train", "val":
        for target in "semantic", "instance", "disparity", "depth":
            del file[f"{split}/{target}"]
write("images.h5", strip)
def empty(file):
    image = file["val/image"][:0]
    del file["val/image"]
    file["val/image"] = image
write("empty.h5", empty)
write("no_split.h5", lambda file: file.move("val/image", "val/images"))
def lose(file):
    del file["val/image"]
    file["val/image"] = h5py.SoftLink("/nowhere")
write("lost.h5", lose)
write("two_damaged.h5", lambda file: (at("train/disparity", -1, (1, 4, 5))(file), at("train/disparity", -2, (0, 4, 5))(file)))
PYTHON

# ---- data info ----

expect "info" run 0 data info sound.h5
expect "info: classes" holds out '^  semantic: class, a value a pixel: road, car$'
expect "info: units" holds out '^  depth: real, a value a pixel, m$'
expect "info: no warning" lacks out warning
expect "info reads no sample" run 0 data info negative.h5
expect "info --json" run_ranks data info sound.h5 --json
expect "info --json: values" json '
assert result["warnings"] == [] and [split["name"] for split in result["splits"]] == ["train", "val"]
assert result["verified"] is False
split = result["splits"][0]
assert (split["samples"], split["input"], split["height_pixels"], split["has_checksums"]) == (2, "image", 8, False)
assert split["checksum"] is None
assert split["targets"][0]["classes"] == [{"name": "road", "thing": False}, {"name": "car", "thing": True}]'
expect "info --verify" run 0 data info sound.h5 --verify --json
expect "info --verify: says so" json '
assert result["verified"] is True
assert result["splits"][1]["without_checksums"] == ["image", "semantic", "instance", "disparity", "depth"]'
expect "info tells of a group that is no split" sh -c "'$program' data info no_split.h5 | grep -q '^warning: /val is no split: '"

refuses() { # FILE PATTERN: info --verify and check, on one and on three ranks
    local command
    for command in "info --verify" "check --no-sheet"; do
        run 2 data ${command%% *} "$1" ${command#* } && count err 'error:' 1 && holds err "$2" || return 1
        $MPIRUN -n 3 "$program" data ${command%% *} "$1" ${command#* } >out 2>err
        [ $? -eq 2 ] && count err 'error:' 1 && holds err "$2" || { cat err; return 1; }
    done
}
expect "an infinite disparity" refuses infinite.h5 '/train/disparity of sample 1 .*inf'
expect "a split that cannot be opened" refuses lost.h5 '/val/image: cannot be opened: damaged, or a link that leads nowhere'
expect "a split without samples" refuses empty.h5 '/val/image holds no sample; .*leave an empty one out'
expect "a negative disparity" refuses negative.h5 '/train/disparity of sample 1 .*-1'
expect "a class outside of the table" refuses outside.h5 "/val/semantic of sample 1 .*2"
expect "two damaged samples" refuses two_damaged.h5 '2 of 2 samples of /train cannot be read; the first: .*sample 0 '
expect "check of two damaged samples" run 2 data check two_damaged.h5 --no-sheet
expect "check names both" count out '^warning: .*/train/disparity of sample [01] ' 2
expect "no file" run 2 data check absent.h5
expect "no file: which" holds err 'absent.h5'
expect "no sheet" run 2 data check sound.h5 --sheet sound.h5/sheet.png
expect "no sheet: which" holds err 'sound.h5: cannot make the folder'
expect "no sheet: nothing is left" [ ! -e sound.sheet.png ]
for victim in sound.h5 notes.txt; do
    echo mine >notes.txt
    cp $victim before
    expect "no sheet in the place of $victim" run 2 data check sound.h5 --sheet $victim
    expect "no sheet in the place of $victim: which" holds err "$victim"
    expect "no sheet in the place of $victim: it stays" cmp before $victim
done
echo mine >sound.sheet.png
expect "no sheet in the place of another file that nobody named" run 0 data check sound.h5
expect "no sheet in its place: it is said" holds err 'warning: no contact sheet: .*sound.sheet.png'
expect "no sheet in its place: the report" holds out 'disparity: real'
expect "no sheet in its place: it stays" grep -qx mine sound.sheet.png
rm sound.sheet.png

# ---- data check ----

warns() { # FILE PATTERN [N]: one warning or N, in both forms
    run 0 data check "$1" --no-sheet && count out '^warning: ' "${3:-1}" && holds out "^warning: .*$2" &&
    run 0 data check "$1" --no-sheet --json && json "assert len(result['warnings']) == ${3:-1}, result" && holds out "$2"
}
file_warns() { # of what info sees, too
    warns "$@" && run 0 data info "$1" && count out '^warning: ' "${3:-1}" && holds out "^warning: .*$2"
}
expect "check" run 0 data check sound.h5
expect "check: no warning" lacks out warning
expect "check: zeros are told from what is invalid" holds out 'disparity: real, 93.75 % valid, .* from 0 to 3 px, 6.25 % are 0'
expect "check: a histogram" holds out 'class +1 car +thing +6.250 % #+$'
expect "check: the sheet" holds out '^sound.sheet.png: columns image \| semantic \| instance \| disparity \| depth$'
expect "check: rows of the sheet" holds out '^  row  3: val val-0$'
cp out alone
expect "check on three ranks" run_ranks 3 data check sound.h5
expect "check on three ranks: the same" cmp alone out
expect "check: 4 rows of 5 pictures" "$python" - <<'PYTHON'
import struct
head = open("sound.sheet.png", "rb").read(24)
assert struct.unpack(">II", head[16:]) == (5 * 260 + 4, 4 * 260 + 4), head
PYTHON
expect "check --json" run_ranks data check sound.h5 --json --no-sheet
expect "check --json: values" json '
assert result["warnings"] == [] and result["duplicates"] == [] and "sheet" not in result
split = result["splits"][0]
semantic, instance, disparity, depth = split["targets"]
assert semantic["classes"][1] == {"name": "car", "fraction": 0.0625} and semantic["valid_fraction"] == 63 / 64
assert (disparity["zero_fraction"], disparity["valid_fraction"], disparity["most"]) == (0.0625, 0.9375, 3)
assert instance["instances_per_sample"] == 1'
"$python" - <<'PYTHON' >expected
import h5py
with h5py.File("sound.h5") as file:
    print((file["train/image"][()] / 255).mean((0, 1, 2)).tolist(), (file["train/image"][()] / 255).std((0, 1, 2)).tolist())
PYTHON
expect "check --json: mean and std are numpy's" json '
expected = [float(word.strip("[],")) for word in open("expected").read().split()]
found = result["splits"][0]["mean"] + result["splits"][0]["std"]
assert all(abs(a - b) < 1e-12 for a, b in zip(expected, found)), (expected, found)'
expect "classes that differ between splits" file_warns classes.h5 "class 1 of semantic is 'car' in /train, but 'lorry' in /val"
expect "a target that one split lacks is legal" run 0 data check fewer.h5 --no-sheet
expect "mean and std of bytes" file_warns statistics.h5 "'std' begins with 58, as of numbers 0 .. 255" 2
expect "no mean and std" file_warns no_statistics.h5 "no attribute 'mean': ImageNet's is taken" 2
expect "an array of unknown name" file_warns unknown.h5 "/val/disparty is not read: .*did you mean 'disparity'"
expect "nothing valid" warns invalid.h5 '/train/disparity has not one valid item'
expect "nothing valid: null" json 'assert result["splits"][0]["targets"][2]["mean"] is None'
expect "a constant disparity" warns constant.h5 '/train/disparity is 7 everywhere'
expect "zeros for unknown" warns zeros.h5 '/train/disparity: 31.2 % are 0, infinitely far'
expect "millimetres" warns millimetres.h5 '/train/depth is [0-9]+ m on average: are these millimetres'
expect "8 bits for 16" warns eight_bits.h5 '/train/depth reaches 0.192 m, in less than 512 steps a map: are these 8-bit numbers'
expect "8 bits for 16, of disparity" warns steps_of_disparity.h5 '/train/disparity reaches 0.25 px, .* 8-bit numbers'
expect "8 bits among 16" warns one_of_eight_bits.h5 "/val/depth of 1 sample, 'val-1' the first, reaches 0.192 m in 64 steps, others 6 m"
expect "8 bits among 16, on three ranks" run_ranks 3 data check one_of_eight_bits.h5 --no-sheet
expect "8 bits among 16, on three ranks: the same" holds out "'val-1' the first, reaches 0.192 m in 64 steps, others 6 m"
expect "few steps alone are legal" run 0 data check near.h5 --no-sheet
expect "few steps alone are legal: no warning" lacks out warning
expect "one class" warns one_class.h5 "every valid item is of class 0 'road'" 2
expect "a class that is not trained on" warns untrained.h5 "class 'car' of semantic is in /val, but not in /train" 2
expect "things without instances" warns no_instances.h5 "/train/semantic: no pixel of 'car' has an instance"
expect "hardly anything valid" warns hardly.h5 '/train/semantic: only 0.781 % of the items are valid' 3
expect "normals of another length" warns normals.h5 '/val/normal: 1.6 % of the vectors are not 1 long'
expect "values far from 1" warns fast.h5 '/train/speed: its values lie about 125 km/h from 0, .* scale .* times 0.008 .* log_variance = 9.7 with loss = l1, 9.7 with l2'
expect "values far from 1, on three ranks" run_ranks 3 data check fast.h5 --no-sheet
expect "values far from 1, on three ranks: the same" holds out 'about 125 km/h from 0, .* times 0.008 .* 9.7 with loss = l1'
expect "values near their mean" warns slow.h5 '/train/speed: standard deviation 0.01 about a mean of 100: .* -9.2'
expect "values near 1" run 0 data check near_one.h5 --no-sheet
expect "values near 1: no warning" lacks out warning
expect "a blank image" warns blank.h5 '/train: 1 image is of one colour'
expect "the same image twice" warns twice.h5 "/val 'val-1' is the same image as /train 'train-0'" 2
expect "the same image twice, on three ranks" run_ranks 3 data check twice.h5 --no-sheet --json
expect "the same image twice: all of them" json '
assert [(d["first"]["name"], d["again"]["name"]) for d in result["duplicates"]] == [("train-0", "train-1"), ("train-0", "val-1")]'

# ---- bench --data ----

expect "bench --data of images alone" run 0 bench --data --steps 1 --warmup 0 --set data.train=images.h5
expect "bench --data of images alone: says so" holds out '^loader at 8x8, 1 process x 1 worker, images alone$'
report_end
