#!/usr/bin/env bash
# Every file of configs/: the commands that its comments name make a dataset of tiny data, a dry run accepts it, and no key
# of it is without effect. The reference in configs/README.md is that of the program, links between pages lead somewhere.
# check_configs.sh PROGRAM; needs a Python with h5py.
set -u
. "$(dirname "$0")/frame.sh"
. "$here/streams.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
configs=$(realpath "$here/../configs")
cd "$scratch" || exit 1
mkdir data && ln -s "$configs" configs || exit 1

"$python" "$here/nyuv2_mat.py" nyu_depth_v2_labeled.mat 4 64 48 && printf '1\n2\n' >split.txt || exit 1
"$python" - <<'PYTHON' || exit 1
import os, struct, zlib
import numpy as np
random = np.random.default_rng(1)
def png(path, pixels):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    depth = pixels.dtype.itemsize * 8
    height, width = pixels.shape[:2]
    raw = b"".join(b"\0" + row.astype(">u2" if depth == 16 else np.uint8).tobytes() for row in pixels)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2 * (pixels.ndim == 3), 0, 0, 0))
                   + chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b""))
def numbers(most, shape=(32, 64), type=np.uint8):
    return random.integers(0, most, shape, type)
image = lambda shape=(32, 64): numbers(256, (*shape, 3))

# large enough for the crops of its configs, as CamVid below
size = 256, 512
for split in "train", "val":
    for frame in 19, 20:
        name = f"aachen/aachen_000000_{frame:06}"
        png(f"cityscapes/leftImg8bit/{split}/{name}_leftImg8bit.png", image(size))
        png(f"cityscapes/gtFine/{split}/{name}_gtFine_labelIds.png", np.full(size, 7, np.uint8))
        png(f"cityscapes/gtFine/{split}/{name}_gtFine_instanceIds.png", np.full(size, 26001, np.uint16))
        png(f"cityscapes/disparity/{split}/{name}_disparity.png", numbers(9000, size, type=np.uint16))

for i in range(42):
    png(f"kitti/training/image_2/{i:06}_10.png", image())
    png(f"kitti/training/semantic/{i:06}_10.png", np.full((32, 64), 26, np.uint8))
    png(f"kitti/training/instance/{i:06}_10.png", np.full((32, 64), 26 * 256 + 1, np.uint16))
    png(f"kitti/training/disp_occ_0/{i:06}_10.png", numbers(9000, type=np.uint16))

for split in "train", "val", "test":
    for i in range(2):
        png(f"CamVid/{split}/{i}.png", image((360, 480)))
        png(f"CamVid/{split}annot/{i}.png", numbers(12, (360, 480)))

os.makedirs("mine")
with open("mine/list.csv", "w") as table:
    table.write("image,labels,depth,speed,weather\n")
    for i in range(8):
        png(f"mine/photos/{i}.png", image())
        png(f"mine/labels/{i}.png", random.choice([0, 1, 2, 7, 255], (32, 64)).astype(np.uint8))
        png(f"mine/depth/{i}.png", numbers(9000, type=np.uint16))
        table.write(f"photos/{i}.png,labels/{i}.png,depth/{i}.png,{i}.5,{'sun' if i % 2 else 'rain'}\n")

with open("ENB2012_data.csv", "w") as table:
    table.write("X1,X2,X3,X4,X5,X6,X7,X8,Y1,Y2\n")
    for i in range(20):
        table.write(",".join(f"{number:.2f}" for number in random.uniform(1, 9, 10)) + "\n")

normals = np.zeros((32, 64, 3), np.float32)
normals[..., 2] = 1
for split in "train", "val":
    for kind, array in ("image", image() / 255), ("label", numbers(13).astype(np.float32)), ("normal", normals), \
                       ("depth", np.ones((32, 64, 1), np.float32)):
        os.makedirs(f"nyuv2/{split}/{kind}")
        for i in range(2):
            np.save(f"nyuv2/{split}/{kind}/{i}.npy", array)
PYTHON

# The lines of commands in the comments of a config. What a tiny dataset needs besides comes from here.
commands() { # WORD FILE
    sed -n "s/^; *sigmatic $1 /$1 /p" "$2" | sed 's/ *;.*//; s/^data nyuv2 .*/& --split split.txt/; s/^data scenes .*/& --train 4 --validation 2/'
}

make_data() { # CONFIG
    local arguments
    while read -r arguments; do
        set -- $arguments
        [ "$2" = check ] || [ -e "${4:-}" ] || "$program" "$@" || return 1
    done < <(commands data "$1")
}

# As it is but for the width of the network, for which initial weights would take seconds.
dry_run() { # CONFIG
    local set=model.width=0.0625
    grep -q '^backbone = mlp' "$1" && set=model.hidden=4
    "$program" train "$1" --dry-run --json --set "$set" >out 2>err || { cat err; return 1; }
    ! grep warning err
}

for file in configs/*.ini; do
    expect "$file: its commands make a dataset" make_data "$file"
    expect "$file: a dry run" dry_run "$file"
done
expect "an include brings all of its keys" sh -c "
    '$program' train configs/cityscapes_full_resnet101.ini --print-config >out &&
    grep -qx 'batch = 16' out && grep -qx 'backbone = resnet101' out && [ \$(grep -cx 'likelihood = paper_l1' out) = 2 ]"

for file in configs/describe/*.ini; do
    expect "$file: a config names it" sh -c "grep -q -- '--describe $file' configs/*.ini"
    run 2 train "$file"
    expect "$file: train says what it is" holds err "$file: .*describes data.*sigmatic data folder .*--describe"
done

# ---- keys explained ----

reference() { "$program" train --reference >out && sed '1,/^<!-- make reference/d' configs/README.md | diff - out; }
expect "configs/README.md has the keys of the program (make reference writes them)" reference
links() { # those of all pages that lead nowhere
    local page target
    for page in "$here"/../README.md "$here"/../*/*.md; do
        for target in $(grep -o '](\([^)#]*\)' "$page" | cut -c3-); do
            [[ $target == http* || -e $(dirname "$page")/$target ]] || echo "$page: $target"
        done
    done
}
expect "links of the pages lead to files" diff <(links) /dev/null
expect "README.md is short" test "$(wc -l <"$here/../README.md")" -le 200
expect "one key" run 0 train --help-config optimizer.momentum
expect "one key: its sentences" holds out '^\[optimizer\] momentum is a number from 0 to 1; by default 0.9.$'
expect "one section, on ranks once" sh -c "
    $MPIRUN -n 2 '$program' train --help-config=schedule >out && [ \$(grep -c '^.schedule. kind is' out) = 1 ]"
expect "a list of all keys" run 0 train --help-config
expect "a list of all keys: it ends with what explains them" holds out '^--help-config SECTION.KEY explains'
run 2 train --help-config optimizer.momentm
expect "a mistyped key gets the nearest" holds err "no key 'momentm', did you mean 'momentum'"
report_end
