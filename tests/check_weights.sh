#!/usr/bin/env bash
# Weights in and out, as users meet them: files that others made start a training, and what is wrong with one is said.
# check_weights.sh PROGRAM; needs a Python with h5py. What needs PyTorch or torchvision counts as skipped without them.
set -u
. "$(dirname "$0")/frame.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
analysis=$(realpath "$here/../analysis")
cd "$scratch" || exit 1
run() { # EXIT-CODE ARGUMENT...: leaves the streams in `out` and `err`
    local code=$1 found
    shift
    ${RANKS:+$MPIRUN -n $RANKS} "$program" "$@" >out 2>err </dev/null
    found=$?
    [ $found -eq "$code" ] || { echo "exit code $found, $code expected"; cat err; return 1; }
}
holds() { # FILE PATTERN...
    local file=$1 pattern
    shift
    for pattern in "$@"; do
        grep -qE -- "$pattern" "$file" || { echo "$file lacks '$pattern'"; cat "$file"; return 1; }
    done
}
python() { "$python" -c "import sys; sys.path.insert(0, '.')
from files import *
$1"; }
check() { run "$1" "${@:3}" && holds "$([ "$1" = 0 ] && echo "${STREAM:-err}" || echo err)" "$2"; }

cat >tiny.ini <<'INI'
[run]
folder = run
batch = 4
steps = 1
evaluate_interval = 0
progress_seconds = 100
[model]
backbone = resnet18
width = 0.0625
[data]
train = tiny.h5
validation_split =
[task.semantic]
kind = semantic
[task.depth]
kind = depth
[optimizer]
learning_rate = 0
[distributed]
batch_norm = frozen
INI
# With a rate of 0 and frozen statistics the checkpoint holds what the training started from.

cat >files.py <<'PY'
import json, os, struct
import h5py, numpy as np

def bf16(a):
    return (np.ascontiguousarray(a, "<f4").view("<u4") + 0x8000 >> 16).astype("<u2")  # of what is no tie

CODES = {"F32": lambda a: a.astype("<f4"), "F16": lambda a: a.astype("<f2"), "BF16": bf16, "I64": lambda a: a.astype("<i8")}

def write(path, tensors, code="F32", **metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, a in tensors.items():
        c = "I64" if a.dtype == np.int64 else code
        b = CODES[c](a).tobytes()
        header[name] = {"dtype": c, "shape": list(a.shape), "data_offsets": [len(data), len(data) + len(b)]}
        data += b
    raw(path, json.dumps(header).encode(), data)

def raw(path, header, data, length=None):
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(header) if length is None else length) + header + data)

def read(path):
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(n)), f.read()
    header.pop("__metadata__")
    return {k: np.frombuffer(data[v["data_offsets"][0]:v["data_offsets"][1]], "<f4").reshape(v["shape"]) for k, v in header.items()}

def model(path="run/checkpoints/step-00000001.h5"):
    with h5py.File(path) as f:
        return {k: v[()] for k, v in f["model"].items()}

def resnet():  # a backbone's state_dict as torchvision names it, of random numbers; variances above 0
    draw, out = np.random.default_rng(5), {}
    for k, a in model("first/checkpoints/step-00000001.h5").items():
        if k.startswith("backbone."):
            out[k[9:]] = (abs(draw.normal(size=a.shape)) + 0.1).astype("f4")
    for k in [k for k in out if k.endswith("running_var")]:
        out[k.replace("running_var", "num_batches_tracked")] = np.array(3)
    out["fc.weight"], out["fc.bias"] = np.ones((10, 32), "f4"), np.ones(10, "f4")
    return out

def marked(name, a):
    return np.full_like(a, 2 if name.endswith("running_var") else 0.001)

def expect_taken(sent, prefix="backbone.", rounded=lambda a: a):
    found, started = model(), model("first/checkpoints/step-00000001.h5")
    assert set(found) == set(started)
    names = [prefix + k for k in sent if prefix + k in found]
    assert len(names) == 100, len(names)
    for k, a in found.items():
        expected = rounded(sent[k[len(prefix):]]) if k in names else started[k]
        assert np.array_equal(a, expected), k
PY

expect "scenes" run 0 data scenes tiny.h5 --train 8 --validation 2 --height 32 --width 48
expect "a network" run 0 train tiny.ini --set run.folder=first
train() { run 0 train tiny.ini --overwrite "$@"; }

# ---- what is taken ----

expect "files of others" python '
r = resnet()
write("f32.safetensors", r, mean="[0.5, 0.5, 0.5]", std="0.2,0.2,0.2")
write("f16.safetensors", {"module." + k: a for k, a in r.items()}, "F16", mean="[0.485, 0.456, 0.406]", std="[0.229, 0.224, 0.225]")
write("bf16.safetensors", r, "BF16")
with h5py.File("state.h5", "w") as f:
    for k, a in r.items(): f[k] = a
# DeepLabv3 as torchvision names it; its classifier has 21 classes
d = {}
for k, a in model("first/checkpoints/step-00000001.h5").items():
    a = marked(k, a)
    if k.startswith("backbone."): d[k] = a
    elif k.startswith("aspp."): d["classifier.0." + k[5:]] = a
    elif k.startswith("decoders.semantic.3."): d["classifier.4." + k[20:]] = np.resize(a, (21, *a.shape[1:]))
    elif k.startswith("decoders.semantic."): d["classifier." + str(int(k[18]) + 1) + k[19:]] = a
write("deeplab.safetensors", d)'
expect "F32" train --set model.pretrained=f32.safetensors
expect "F32, its bits" python 'expect_taken(resnet())'
expect "F32, what is said" holds err "100 of 139 tensors from f32.safetensors" "names of torchvision ResNet" \
    "backbone.layer4 +25 +0 +0" "aspp +0 +0 +25 +starts fresh" "not used: 2 tensors: fc \(2\)"
expect "another mean" holds err "f32.safetensors was trained on images normalised by mean 0.5, 0.5, 0.5 and std 0.2, 0.2, 0.2"
expect "F16" train --set model.pretrained=f16.safetensors
expect "F16, its numbers" python 'expect_taken(resnet(), rounded=lambda a: a.astype("f2").astype("f4"))'
expect "the same mean" bash -c '! grep normalised err'
RANKS=2 expect "BF16" train --set model.pretrained=bf16.safetensors
expect "BF16, its numbers" python 'expect_taken(resnet(), rounded=lambda a: (bf16(a).astype("u4") << 16).view("f4"))'
expect "HDF5" train --set model.pretrained=state.h5
expect "HDF5, its bits" python 'expect_taken(resnet())'
expect "DeepLabv3" train --set model.pretrained=deeplab.safetensors
expect "DeepLabv3, its numbers" python '
found = [k for k, a in model().items() if np.array_equal(a, marked(k, a))]
assert len(found) == 100 + 25 + 5 and not any("depth" in k or ".3." in k for k in found if "decoders" in k), found'
expect "DeepLabv3, what is said" holds err "130 of 139 .*\(safetensors, names of torchvision DeepLabv3\)" "decoders.semantic +5 +2 +0" "decoders.depth +0 +0 +7 +starts fresh" \
    "other shape: decoders.semantic.3.bias is \(19\), in the file \(21\) float32"
expect "a checkpoint" train --set model.pretrained=first/checkpoints/step-00000001.h5
expect "a checkpoint, what is said" holds err "139 of 139 tensors" "checkpoint, names of sigmatic"
RANKS=2 expect "a run's folder" train --set model.pretrained=first
expect "a run's folder, its bits" python 'assert all(np.array_equal(a, model("first/checkpoints/step-00000001.h5")[k]) for k, a in model().items())'
expect "a run's folder, what is said" holds err "first: taking first/checkpoints/step-00000001.h5" "139 of 139 tensors from first/checkpoints/step-00000001.h5"

# ---- how well a file fits, which a start without training says too ----

try() { check "$1" "$2" train tiny.ini --dry-run --set run.folder=none "${@:3}" && [ ! -e none ]; }
expect "tried" try 0 "100 of 139 tensors from f32.safetensors" --set model.pretrained=f32.safetensors
expect "an ASPP that starts fresh as a whole" bash -c '! grep fresh: err'
expect "a new run, tried" try 0 "100 of 139 tensors" --set model.pretrained=f32.safetensors --resume auto
expect "a run that goes on, tried" run 0 train tiny.ini --dry-run --set model.pretrained=absent.h5 --resume auto
RANKS=2 expect "an absent file, tried" try 2 "absent.h5: " --set model.pretrained=absent.h5
expect "a deeper backbone" try 0 "f32.safetensors: 80 of 180 tensors of the backbone start fresh: 80 are not in the file \(backbone.layer1.2.conv1.weight, backbone.layer1.2.bn1.weight, backbone.layer1.2.bn1.bias, \.\.\.\); the file is of model.backbone = resnet18 \(the config has resnet34\)$" \
    --set model.backbone=resnet34 --set model.pretrained=f32.safetensors
expect "another backbone" try 0 "tensors of the backbone start fresh: .* have another shape there .*; the file is of model.backbone = resnet18 \(the config has resnet50\)$" \
    --set model.backbone=resnet50 --set model.pretrained=f32.safetensors
expect "a projection" try 0 "5 of 30 tensors of the aspp start fresh: 5 are not in the file .*model.project = false \(the config has true\)$" --set model.project=true --set model.pretrained=first
RANKS=2 expect "another width" try 2 "f32.safetensors: nothing fits: 100 tensors .*each with another shape: backbone.conv1.weight is \(16, 3, 7, 7\), in the file \(4, 3, 7, 7\) float32; the file is of model.width = 0.0625 \(the config has 0.25\)$" \
    --set model.width=0.25 --set model.pretrained=f32.safetensors
STREAM=out expect "info --config, another width" check 0 "^nothing fits: 100 tensors .*model.width = 0.0625 \(the config has 0.25\)$" weights info f32.safetensors --config tiny.ini --set model.width=0.25
expect "a wide ResNet" python '
r = resnet()
wide = {k: np.repeat(a, 2, axis=0) if k.startswith("layer") else a for k, a in r.items()}
write("wide.safetensors", wide)'
expect "a wide ResNet, what is said" try 0 "the file is of a wide ResNet or a ResNeXt, which model.backbone has not$" --set model.pretrained=wide.safetensors

# ---- what is trained ----

expect "frozen stages" try 0 "^frozen: backbone.conv1, backbone.bn1, 6 of 12 tensors of backbone.layer1, in all 900 parameters; [0-9]+ of the network are trained" --set "model.freeze=stem, backbone.layer1.0.*"
expect "frozen stages, as the plan counts them" grep "^parameters: [0-9]* trained, 900 frozen" out
nothing=(--set "model.freeze=backbone, aspp, decoders" --set weighting.method=equal)
RANKS=2 expect "nothing to train" try 2 "\[model\] freeze = backbone, aspp, decoders: all [0-9]+ parameters of the network are frozen: nothing would be trained" "${nothing[@]}"
expect "nothing to train, seen in the config" check 2 "nothing would be trained" train tiny.ini --print-config "${nothing[@]}"
expect "log-variances alone" try 0 "warning: \[model\] freeze: the whole network is frozen: only" "${nothing[@]:0:2}"
expect "a factor of what is frozen" try 0 "warning: \[model\] learning_rate_scales: the factor 0.1 has no effect: it is of frozen parts only \(backbone.conv1, backbone.bn1\)" --set model.freeze=stem,layer1 --set model.learning_rate_scales=stem:0.1
expect "a factor of what is frozen and more" try 0 "^frozen: " --set model.freeze=stem --set model.learning_rate_scales=backbone:0.1
expect "a factor of what is frozen and more, no warning" bash -c '! grep "no effect" err'

expect "parts that are not used" python '
for parts in 8, 9:
    write(f"parts{parts}.safetensors", {**resnet(), **{f"part{i}.weight": np.ones(2, "f4") for i in range(parts - 1)}})'
expect "eight parts not used" check 0 "not used: 9 tensors: fc \(2\), .*part6 \(1\)$" train tiny.ini --overwrite --set model.pretrained=parts8.safetensors
expect "nine parts not used" check 0 "not used: 10 tensors: fc \(2\), .*part6 \(1\), \.\.\.$" train tiny.ini --overwrite --set model.pretrained=parts9.safetensors

# ---- weights info ----

expect "info" run 0 weights info f32.safetensors
expect "info, the table" holds out "safetensors, 122 tensors" "mean 0.5, 0.5, 0.5 and std 0.2, 0.2, 0.2" \
    "^conv1.weight +4 x 3 x 7 x 7 +float32 +0\.[0-9]+" "^bn1.num_batches_tracked +one number +int64 +- +- +-"
expect "info --json" run 0 weights info bf16.safetensors --json
expect "info, its numbers" "$python" -c '
import json, sys
sys.path.insert(0, ".")
from files import *
rows = {t["name"]: t for t in json.load(open("out"))["tensors"]}
for k, a in resnet().items():
    t = rows[k]
    assert t["shape"] == list(a.shape)
    if a.dtype == np.float32:
        b = (bf16(a).astype("u4") << 16).view("f4").astype(float)
        assert t["type"] == "bfloat16" and t["not_finite"] == 0
        assert np.allclose([t["least"], t["most"], t["mean"]], [b.min(), b.max(), b.mean()], rtol=1e-12), (k, t)'
expect "info --config" run 0 weights info f32.safetensors --config tiny.ini
expect "info --config, every tensor" python '
rows = [l.split() for l in open("out").read().splitlines()[3:]]
assert sum(r[0] == "taken" for r in rows) == 100 and sum(r[0] == "missing" for r in rows) == 39 and ["not", "used", "fc.bias"] in rows'
expect "info --verify" run 0 weights info first/checkpoints/step-00000001.h5 --verify
expect "info --verify, what is said" holds out "each tensor of real numbers was read; 139 of 139 have checksums, all right"
expect "files with few checksums" python '
with h5py.File("first/checkpoints/step-00000001.h5") as f, h5py.File("one.h5", "w") as one:
    f.copy("model/backbone.bn1.weight", one)
    one["whole"], one["aspp.weight"] = np.arange(3), np.ones(2, "f4")'
STREAM=out expect "info --verify, one checksum" check 0 "each tensor of real numbers was read; 1 of 2 has a checksum, all right" weights info one.h5 --verify
STREAM=out expect "info --verify, none" check 0 "each tensor of real numbers was read; none has a checksum" weights info f32.safetensors --verify
expect "info of a run" run 0 weights info first
expect "info of a run, its tensors" holds out "^first/checkpoints/step-00000001.h5: checkpoint, 139 tensors"
STREAM=out expect "info --config of a run" check 0 "first/checkpoints/step-00000001.h5: 139 of the network.s 139 tensors" weights info first --config tiny.ini
mkdir predicted
expect "info of a folder" check 2 "predicted: a folder that is not a run.s" weights info predicted
expect "numbers that are none" python '
r = {"conv1.weight": np.full((4, 3, 7, 7), np.nan, "f4")}
r["conv1.weight"][0] = 1
write("nan.safetensors", r)'
RANKS=2 expect "not finite, refused" try 2 "nan.safetensors: tensor 'conv1.weight': 441 of its 588 numbers are not finite" --set model.pretrained=nan.safetensors
STREAM=out expect "not finite" check 0 "441 not finite" weights info nan.safetensors
expect "not finite, what is said" holds out "safetensors, 1 tensor, 588 numbers" "^1 tensor holds numbers that are not finite"

# ---- what is refused: nothing starts, nothing is written ----

refuse() { # PATTERN FILE
    check 2 "$1" train tiny.ini --set run.folder=no --set model.pretrained="$2" && [ ! -e no/run.h5 ] && [ ! -e no/checkpoints ]
}
printf 'PK\003\004\024\000\000\000\000\000' >net.pth
printf '\200\005\225\012\000\000\000\000\000\000\000' >new.pt
printf '\200\002\212\nl\374\234F\371 j' >old.pt
head -c 20000 f32.safetensors >cut.safetensors
expect "hostile files" python '
raw("long.safetensors", b"{}", b"", 1 << 40)
raw("twice.safetensors", b"{\"a\":1,\"a\":2}", b"")
raw("type.safetensors", b"{\"conv1.weight\":{\"dtype\":\"X9\",\"shape\":[1],\"data_offsets\":[0,4]}}", b"1234")
write("others.safetensors", {"stages.0.weight": np.ones((3, 3), "f4")})
write("mean.safetensors", resnet(), mean="[a, b]", std="[1, 1, 1]")
raw("over.safetensors", b"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", b"123456")'
expect "a .pth" refuse "net.pth: .*python3 '$analysis/pth_to_safetensors.py' 'net.pth' 'net.safetensors'$" net.pth
mkdir -p installed/bin installed/share/sigmatic/configs elsewhere && cp "$program" installed/bin && cp "$program" elsewhere && touch installed/share/sigmatic/configs/README.md
program=installed/bin/sigmatic expect "a .pth, installed" check 2 "python3 '$PWD/installed/share/sigmatic/analysis/pth_to_safetensors.py' 'net.pth'" weights info net.pth
program=elsewhere/sigmatic expect "a .pth, no script there" check 2 "python3 'analysis/pth_to_safetensors.py' 'net.pth'" weights info net.pth
expect "a pickle of protocol 5" refuse "pth_to_safetensors.py' 'new.pt' 'new.safetensors'" new.pt
expect "an old .pt" refuse "pth_to_safetensors.py' 'old.pt' 'old.safetensors'" old.pt
RANKS=2 expect "a header beyond the file, two ranks" refuse "long.safetensors: .*1099511627776 bytes" long.safetensors
expect "a name twice" refuse "twice.safetensors: .*duplicate" twice.safetensors
expect "an unknown type" refuse "type.safetensors: tensor 'conv1.weight': dtype 'X9'" type.safetensors
expect "safetensors are not exported again" check 2 "f32.safetensors is safetensors already: 'sigmatic weights info" weights export f32.safetensors again.safetensors
expect "numbers that overlap" refuse "over.safetensors: tensors 'a' and 'b' overlap" over.safetensors
expect "a cut file" refuse "cut.safetensors: .*truncated" cut.safetensors
expect "a mean that is none" refuse "mean.safetensors: its mean and std" mean.safetensors
RANKS=2 expect "nothing taken, two ranks" refuse "others.safetensors: of its 1 tensor none" others.safetensors
expect "nothing taken" refuse "others.safetensors: of its 1 tensor none .*'stages.0.weight'.*'backbone.conv1.weight'" others.safetensors
expect "a dataset" refuse "tiny.h5: is a 'sigmatic-dataset'" tiny.h5
expect "a text" refuse "tiny.ini: neither an HDF5 file nor safetensors" tiny.ini
expect "no file" refuse "absent.safetensors" absent.safetensors
expect "a folder without a checkpoint" refuse "predicted: a folder without a checkpoint: expected a file of weights, or a run's folder" predicted
expect "a damaged checkpoint" python '
import shutil
shutil.copy("first/checkpoints/step-00000001.h5", "damaged.h5")
with h5py.File("damaged.h5", "a") as f: f["model/backbone.conv1.weight"][0, 0, 0, 0] += 1'
RANKS=2 expect "a damaged tensor, two ranks" refuse "damaged.h5: /model/backbone.conv1.weight is damaged" damaged.h5
expect "info of a damaged tensor" check 2 "backbone.conv1.weight is damaged" weights info damaged.h5

# ---- export and import ----

expect "a dataset of every kind of value" python '
draw = np.random.default_rng(3)
with h5py.File("tiny.h5") as source, h5py.File("kinds.h5", "w") as f:
    for k, v in source.attrs.items(): f.attrs[k] = v
    g, n = f.create_group("train"), 4
    g["image"], g["name"] = source["train/image"][:n], source["train/name"][:n]
    g.create_dataset("semantic", data=source["train/semantic"][:n]).attrs.update(source["train/semantic"].attrs)
    g["depth"] = draw.uniform(1, 9, (n, 32, 48)).astype("f4")
    a = draw.normal(size=(n, 32, 48, 3)); g["normal"] = (a / np.linalg.norm(a, axis=-1, keepdims=True)).astype("f4")
    g["weather"] = (np.arange(n) % 3).astype("u1"); g["weather"].attrs.update(type="class", class_names=["dry", "rain", "snow"])
    g["speed"] = draw.normal(size=(n, 2)).astype("f4"); g["speed"].attrs.update(type="real", unit="m/s")'
cat >kinds.ini <<'INI'
[run]
folder = kinds
batch = 4
steps = 6
evaluate_interval = 0
progress_seconds = 100
[model]
backbone = resnet50
width = 0.0625
output_stride = 16
project = true
align_corners = true
[data]
train = kinds.h5
validation_split =
[task.semantic]
kind = semantic
uncertainty = per_pixel
[task.depth]
kind = depth
target = depth
encoding = log
[task.inverse]
kind = depth
target = depth
encoding = inverse
[task.normals]
kind = normals
[task.speed]
kind = regression
target = speed
[task.weather]
kind = classification
target = weather
likelihood = categorical_scaled
log_variance = 1
[optimizer]
ema_decay = 0.5
INI
kinds=kinds/checkpoints/step-00000006.h5
expect "a network of every kind of head" run 0 train kinds.ini
expect "export" run 0 weights export $kinds kinds.safetensors
expect "export of a run" run 0 weights export kinds of_run.safetensors
expect "export of a run, its newest checkpoint" cmp kinds.safetensors of_run.safetensors
expect "export to HDF5" run 0 weights export $kinds kinds_out.h5
expect "what is exported" python '
with h5py.File("kinds/checkpoints/step-00000006.h5") as f:
    average = {k: v[()] for k, v in f["ema"].items()}
    whole = {k: average.get(k, v[()]) for k, v in f["model"].items()}
assert any(not np.array_equal(average[k], model("kinds/checkpoints/step-00000006.h5")[k]) for k in average if k in whole)
sent = read("kinds.safetensors")
with h5py.File("kinds_out.h5") as f:
    also = {k: v[()] for k, v in f.items()}
    assert np.allclose(f.attrs["mean"], [0.485, 0.456, 0.406]) and json.loads(f.attrs["network"])["backbone"] == "resnet50"
assert set(sent) == set(also) == set(whole)
with open("kinds.safetensors", "rb") as f: texts = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))["__metadata__"]
assert texts["mean"] == "[0.485, 0.456, 0.406]" and texts["std"] == "[0.229, 0.224, 0.225]", texts
for k in whole:
    assert np.array_equal(sent[k], whole[k]) and np.array_equal(also[k], whole[k]), k'
expect "export, an ending that says nothing" check 2 "x.bin: a name that ends in .safetensors" weights export $kinds x.bin
expect "export, what is there" check 2 "kinds.safetensors is there already" weights export $kinds kinds.safetensors
expect "export, names of nobody" check 2 "sigmatic, resnet or deeplabv3" weights export $kinds y.h5 --names timm
expect "export, no such decoder" check 2 "no task of that name predicts a class a pixel" weights export $kinds y.h5 --names deeplabv3 --task depth
expect "export, a decoder of nearly that name" check 2 "did you mean .semantic." weights export $kinds y.h5 --names deeplabv3 --task semantics
expect "export, no projection" check 2 "no projection" weights export first/checkpoints/step-00000001.h5 y.h5 --names deeplabv3
expect "back as an export" run 0 train kinds.ini --set run.folder=back --set run.steps=1 --set optimizer.learning_rate=0 \
    --set distributed.batch_norm=frozen --set optimizer.ema_decay=0 --set model.pretrained=kinds_out.h5
expect "back, its bits" python '
found, sent = model("back/checkpoints/step-00000001.h5"), read("kinds.safetensors")
assert set(found) == set(sent) and all(np.array_equal(found[k], sent[k]) for k in sent)'
expect "names of torchvision" run 0 weights export $kinds resnet.safetensors --names resnet
expect "names of DeepLabv3" run 0 weights export $kinds deeplab_out.safetensors --names deeplabv3
expect "names, their numbers" python '
whole, r, d = read("kinds.safetensors"), read("resnet.safetensors"), read("deeplab_out.safetensors")
assert len(r) == sum(k.startswith("backbone.") for k in whole) and all(np.array_equal(r[k], whole["backbone." + k]) for k in r)
assert np.array_equal(d["classifier.4.bias"], whole["decoders.semantic.3.bias"]) and np.array_equal(d["classifier.0.project.0.weight"], whole["aspp.project.0.weight"])
assert len(d) == len([k for k in whole if not k.startswith("decoders.")]) + 7'
expect "import by our names" run 0 weights import deeplab.safetensors ours.h5
STREAM=out expect "import of a run" check 0 "139 tensors by our names" weights import first of_first.safetensors
expect "import, its names" python '
with h5py.File("ours.h5") as f:
    assert f["decoders.semantic.3.bias"].shape == (21,) and "aspp.convs.4.1.weight" in f and len(f) == 132'
expect "import to a checkpoint" run 0 weights import f32.safetensors whole.h5 --config tiny.ini
expect "import, it predicts" run 0 eval whole.h5 --split val --set data.validation_split=val
expect "import, its bits" python '
found, sent = model("whole.h5"), resnet()
assert sum(np.array_equal(a, sent[k[9:]]) for k, a in found.items() if k.startswith("backbone.")) == 100'
train_here() { run 0 train tiny.ini --set run.folder=$'na\xefve'; } # a path is any bytes
expect "a folder that is not UTF-8" train_here
expect "export, a config that is not UTF-8" run 0 weights export $'na\xefve/checkpoints/step-00000001.h5' naive.safetensors
expect "export, its config" python '
with open("naive.safetensors", "rb") as f:
    texts = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))["__metadata__"]
assert "folder = na?ve" in texts["config"], texts'
expect "a tensor whose name is not UTF-8" python '
with h5py.File("name.h5", "w") as f: f[b"layer1.\xff"] = np.ones(2, "f4")'
expect "import, a name that is not UTF-8" check 2 "cannot be written: a name in UTF-8 that no other has expected" weights import name.h5 z.safetensors
expect "import, a checkpoint by another's name" check 2 "z.safetensors: a name that ends in .h5 or .hdf5, which a checkpoint is" weights import f32.safetensors new/z.safetensors --config tiny.ini
expect "import, an ending that says nothing" check 2 "x.bin: a name that ends in .safetensors" weights import f32.safetensors new/x.bin
expect "a header of many tensors" python '
empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
names = ["module." * 300000 + "conv1.weight"] + [f"layer1.{i:012d}" for i in range(100000)]
raw("many.safetensors", json.dumps({n: empty for n in names}).encode(), b"")'
in_seconds() { (ulimit -t "$1" && "${@:2}"); } # of the processor: other work beside it does not count
expect "import of many tensors" in_seconds 10 run 0 weights import many.safetensors renamed.safetensors
expect "import of many tensors, what is said" holds out "100001 tensors by our names, 0 left out"
expect "import of nothing" check 2 "others.safetensors: of its 1 tensor none has" weights import others.safetensors z.h5
expect "import, nothing written" bash -c '[ ! -e z.h5 ] && [ ! -e z.safetensors ] && [ ! -e new ] && [ ! -e y.h5 ] && [ ! -e x.bin ] && ! ls *.tmp'

# ---- PyTorch on the other side ----

refuses() { # PATTERN COMMAND...: fails, and says why
    ! "${@:2}" >out 2>err && holds err "$1"
}
has() { "$1" -c "import $2" 2>/dev/null; }
torch=
for candidate in "$python" "${PYTHON_TORCH:-python3}" python3 /usr/bin/python3; do
    has "$candidate" torch && has "$candidate" h5py && torch=$candidate && break
done
if [ -z "$torch" ]; then
    skip torch "PyTorch's side" "no Python with torch and h5py"
else
    expect "images" python '
import zlib
for name, (h, w) in {"even": (32, 48), "odd": (45, 61)}.items():
    a = np.random.default_rng(h).integers(0, 256, (h, w, 3), dtype=np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in a)
    part = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with open(name + ".png", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))'
    expect "predict" run 0 predict $kinds even.png odd.png --mode whole --format npy,hdf5 --output predictions
    expect "torch_model.py on safetensors" "$torch" "$analysis/torch_model.py" kinds.safetensors even.png odd.png --compare predictions
    expect "torch_model.py on HDF5" "$torch" "$analysis/torch_model.py" kinds_out.h5 even.png --compare predictions --output torch
    summary() { "$torch" "$analysis/torch_model.py" kinds.safetensors >out && holds out "^kinds.safetensors: resnet50, width 0.0625, output stride 16, ASPP of rates 12, 24, 36, projected$" \
        "^  decoders.depth +[0-9]+ parameters$" "^  all +$1 parameters$" "^task depth: depth, 1 number a pixel: metres, from their logarithm$" "^task weather: classification, 3 numbers an image: logits of 3 classes$"; }
    expect "torch_model.py, what the network is" summary "$(python 'print(sum(a.size for k, a in read("kinds.safetensors").items() if "running_" not in k))')"
    expect "torch_model.py, its arrays" python 'assert np.load("torch/depth/even.npy").shape == (32, 48, 1)'
    expect "torch_model.py, a kind of another's" python '
import shutil
shutil.copy("kinds_out.h5", "own.h5")
with h5py.File("own.h5", "a") as f: f.attrs["tasks"] = f.attrs["tasks"].replace(b"log_metres", b"other")'
    expect "torch_model.py, what it cannot decode" refuses "own.h5: task 'depth': the decoding 'other' of its kind 'depth' is not known" "$torch" "$analysis/torch_model.py" own.h5 even.png
    expect "export of the last parameters" run 0 weights export $kinds last.safetensors --no-average
    expect "torch_model.py on other weights" refuses "differ by more than rounding" "$torch" "$analysis/torch_model.py" last.safetensors even.png --compare predictions
    expect "a .pth of PyTorch" "$torch" -c '
import torch, sys
torch.save({"epoch": 3, "state_dict": {"module." + k: torch.from_numpy(v.copy()) for k, v in __import__("files").read("resnet.safetensors").items()}}, "net.pth")'
    expect "pth_to_safetensors.py" "$torch" "$analysis/pth_to_safetensors.py" net.pth net.safetensors --mean 0.5,0.5,0.5 --std 1,1,1
    expect "its bits" python '
a, b = read("net.safetensors"), read("resnet.safetensors")
assert set(a) == {"module." + k for k in b} and all(np.array_equal(a["module." + k], b[k]) for k in b)'
    expect "it starts a training" run 0 train kinds.ini --set run.folder=of_pth --set run.steps=1 --set model.pretrained=net.safetensors
    cat >wrong.py <<'PY'
import contextlib, io, os, re, shutil, sys, warnings
from files import *
import torch
import pth_to_safetensors, torch_model
warnings.simplefilter("ignore")

def say(script, *arguments):
    sys.argv = [script.__name__ + ".py", *arguments]
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(err):
        try:
            script.main()
        except SystemExit as error:
            if error.code is not None and error.code != 0:
                return f"{err.getvalue()}{error.code}"
    return "done: " + err.getvalue()

def expect(pattern, script, *arguments):
    said = say(script, *arguments)
    assert re.search(pattern, said) and len(said) < 600, (pattern, said)

def tasks(change):
    shutil.copy("kinds_out.h5", "changed.h5")
    with h5py.File("changed.h5", "a") as f: change(f)
    return "changed.h5"

# torch_model.py
of = "expected what 'sigmatic weights export RUN net.safetensors' writes$"
whole = {name: open(name, "rb").read() for name in ("kinds.safetensors", "kinds_out.h5")}
for name, size in ("cut.safetensors", 60000), ("cut0.safetensors", 50), ("cut.h5", 20000):
    with open(name, "wb") as f: f.write(whole["kinds_out.h5" if name == "cut.h5" else "kinds.safetensors"][:size])
expect("^absent.h5: No such file or directory: " + of, torch_model, "absent.h5")
expect("^first: Is a directory: " + of, torch_model, "first")
expect("^tiny.ini: neither safetensors nor HDF5: " + of, torch_model, "tiny.ini")
expect("^f32.safetensors: does not say which network it is .*" + of, torch_model, "f32.safetensors")
expect("^first/.*h5: its attribute format is sigmatic-checkpoint: " + of, torch_model, "first/checkpoints/step-00000001.h5")
expect("^state.h5: its attribute format is nothing: " + of, torch_model, "state.h5")
expect("^cut.safetensors: truncated safetensors: tensor '.*' ends at byte", torch_model, "cut.safetensors")
expect("^cut0.safetensors: truncated safetensors: [0-9]+ bytes of header announced, 42 are there$", torch_model, "cut0.safetensors")
expect("^twice.safetensors: damaged safetensors: ", torch_model, "twice.safetensors")
expect("^cut.h5: damaged HDF5: ", torch_model, "cut.h5")
expect("^changed.h5: the backbone 'vgg16' is not known here, but resnet18, ", torch_model,
       tasks(lambda f: f.attrs.modify("network", f.attrs["network"].replace(b"resnet50", b"vgg16"))))
expect("^changed.h5: no network can be built as it says: KeyError: 'width'$", torch_model,
       tasks(lambda f: f.attrs.modify("network", f.attrs["network"].replace(b"width", b"depth"))))
def drop(f): del f["backbone.layer4.0.bn1.weight"]
expect("^changed.h5: .* not those of the network that it describes: 'backbone.layer4.0.bn1.weight' is missing$", torch_model, tasks(drop))
def add(f): f["fc.weight"] = np.ones(3, "f4")
expect("^changed.h5: .*: 'fc.weight' has no place in it$", torch_model, tasks(add))
expect("'backbone.conv1.weight' is \(4, 3, 7, 7\), \(16, 3, 7, 7\) expected$", torch_model,
       tasks(lambda f: f.attrs.modify("network", f.attrs["network"].replace(b"0.0625", b"0.25"))))
expect("^done: toy.safetensors: mlp, hidden layers of 8\n  backbone +16 parameters\n  decoders.y1 +9 parameters\n", torch_model, "toy.safetensors")
expect("^toy.safetensors: a network of tables", torch_model, "toy.safetensors", "even.png")
expect("--output and --compare want images", torch_model, "kinds.safetensors", "--output", "torch")
expect("^tiny.ini: not read as an image: ", torch_model, "kinds.safetensors", "tiny.ini")
expect("^predictions/hdf5/tiny.h5: not read .*--mode whole --format npy,hdf5", torch_model, "kinds.safetensors", "tiny.png", "--compare", "predictions")
expect("^tiny.ini/semantic: Not a directory|^tiny.ini: ", torch_model, "kinds.safetensors", "even.png", "--output", "tiny.ini")
expect("^done: even: semantic 32 x 48 x 19, from ", torch_model, "kinds.safetensors", "even.png")

# pth_to_safetensors.py
state = {k: torch.ones(2) for k in ("conv1.weight", "bn1.weight")}
momentum = {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"params": [0]}]}
files = {"trainer": {"epoch": 3, "optimizer": momentum, "state_dict": state}, "timm": {"state_dict": state, "state_dict_ema": state, "optimizer": momentum},
         "tensors": {"model": state, "epoch": torch.ones(1)}, "deep": {"model": {"state_dict": state, "step": 3}}, "named": {"net": state, "optimizer": momentum},
         "two": {"net": state, "ema": state}, "optimizer": momentum, "list": [torch.ones(2)], "whole": torch.nn.Conv2d(1, 1, 1)}
for name, value in files.items():
    torch.save(value, name + ".pth")
torch.jit.script(torch.nn.Conv2d(1, 1, 1)).save("program.pth")
with open("cut.pth", "wb") as f: f.write(open("two.pth", "rb").read()[:300])
for name, keys in ("trainer", "['state_dict']"), ("timm", "['state_dict']"), ("tensors", "['model']"), ("deep", "['model']['state_dict']"), ("named", "['net']"):
    expect(f"^done: {name}.safetensors: 2 tensors, 4 numbers of {re.escape(keys)}$", pth_to_safetensors, name + ".pth", name + ".safetensors")
    assert set(read(name + ".safetensors")) == set(state)
expect("^done: .*of \['ema'\]$", pth_to_safetensors, "two.pth", "ema.safetensors", "--key", "ema")
sent = set(os.listdir("."))
for name, pattern in {"two": "several dictionaries of tensors are in it: one of --key net, --key ema expected$",
                      "optimizer": "there is no dictionary of tensors in it, but state, param_groups$",
                      "list": "holds a list, a dictionary of tensors expected$", "cut": "truncated: ",
                      "whole": "holds Python objects \(torch.nn.modules.conv.Conv2d\).*torch.save\(model.state_dict\(\), ",
                      "program": "a TorchScript program, not weights.*state_dict", "absent": "No such file or directory$"}.items():
    expect(f"^{name}.pth: {pattern}", pth_to_safetensors, name + ".pth", "none.safetensors")
expect("^two.pth: there is no 'model' in it, but net, ema$", pth_to_safetensors, "two.pth", "none.safetensors", "--key", "model")
expect("^f32.safetensors: safetensors already", pth_to_safetensors, "f32.safetensors", "none.safetensors")
expect("^tiny.ini: not a file that torch.save", pth_to_safetensors, "tiny.ini", "none.safetensors")
expect("^absent/net.safetensors: No such file or directory$", pth_to_safetensors, "two.pth", "absent/net.safetensors", "--key", "net")
expect("net.h5: a name that ends in .safetensors expected", pth_to_safetensors, "net.pth", "net.h5")
assert set(os.listdir(".")) == sent, "something was written"
PY
    cp even.png tiny.png
    printf '[run]\nfolder = toy\nbatch = 20\nsteps = 1\n[model]\nbackbone = mlp\nhidden = 8\n[data]\ntrain = toy.h5\n[task.y1]\nkind = regression\ntarget = y1\n' >toy.ini
    expect "a table" run 0 data toy toy.h5
    expect "a network of tables" run 0 train toy.ini
    expect "a network of tables, exported" run 0 weights export toy toy.safetensors
    expect "PyTorch's files that are none, and checkpoints of others" env PYTHONPATH="$analysis" "$torch" wrong.py
    without() { PYTHONPATH=$analysis "$torch" -c 'import runpy, sys; sys.modules[sys.argv[1]] = None; runpy.run_path(sys.argv[2], run_name="__main__")' "$@"; }
    expect "torch_model.py without PyTorch" refuses "has no torch.*-m pip install torch$" without torch "$analysis/torch_model.py"
    expect "pth_to_safetensors.py without PyTorch" refuses "has no torch.*-m pip install torch$" without torch "$analysis/pth_to_safetensors.py"
    expect "a pickle that executes" "$torch" -c '
import os, torch
class Evil:
    def __reduce__(self): return os.mkdir, ("evil",)
torch.save(Evil(), "evil.pth")'
    evil() { [ -s evil.pth ] && refuses "$1" "$torch" "${@:2}" && [ ! -e evil ] && [ ! -e e.safetensors ]; }
    expect "pickles that execute are refused" evil "^evil.pth: holds Python objects \(.*mkdir\), .*which is not done here" "$analysis/pth_to_safetensors.py" evil.pth e.safetensors
fi
if [ -z "$torch" ] || ! has "$torch" torchvision; then
    skip torchvision "torchvision's models" "no Python with torchvision"
else
    expect "a state_dict that torchvision initialises" "$torch" -c '
import torch, torchvision
torch.manual_seed(0)
model = torchvision.models.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=19)
for m in model.modules():
    if isinstance(m, torch.nn.BatchNorm2d):
        m.running_mean.normal_(0, 0.1); m.running_var.uniform_(0.5, 2); m.weight.data.uniform_(0.5, 1.5)
torch.save(model.state_dict(), "tv.pth")'
    deeplab="--set model.backbone=resnet50 --set model.width=1 --set model.project=true --set model.output_stride=8"
    expect "torchvision, converted" "$torch" "$analysis/pth_to_safetensors.py" tv.pth tv.safetensors
    expect "torchvision, imported" run 0 weights import tv.safetensors tv.h5 --config tiny.ini $deeplab
    expect "torchvision, exported" run 0 weights export tv.h5 tv_back.safetensors --names deeplabv3
    expect "torchvision, predicted" run 0 predict tv.h5 odd.png --mode whole --format hdf5 --output tv
    expect "torchvision's own code" "$torch" - "$analysis" <<'PY'
import sys; sys.path[:0] = [sys.argv[1], "."]
import h5py, torch, torchvision, torch_model
tensors, _ = torch_model.read("tv_back.safetensors")
before = torch.load("tv.pth")
assert all(torch.equal(tensors[k], v) for k, v in before.items() if "num_batches" not in k)
model = torchvision.models.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=19)
model.load_state_dict(tensors)
mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
x = ((torch.from_numpy(torch_model.read_image("odd.png").copy()) / 255 - mean) / std).permute(2, 0, 1)[None]
with torch.no_grad():
    mine = model.eval()(x)["out"][0].permute(1, 2, 0).numpy()
with h5py.File("tv/hdf5/odd.h5") as f:
    difference = abs(mine - f["tasks/semantic/logits"][()]).max()
print("largest difference", difference, "of", abs(mine).max())
assert difference <= 1e-4
PY
fi
report_end
