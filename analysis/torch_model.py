#!/usr/bin/env python3
"""A trained network in PyTorch, from a file that `sigmatic weights export` wrote (safetensors or HDF5).

    python3 analysis/torch_model.py net.safetensors                                     # what the network is
    python3 analysis/torch_model.py net.safetensors photo.png --output torch            # torch/TASK/photo.npy
    python3 analysis/torch_model.py net.safetensors photo.png --compare predictions     # with those of sigmatic predict

    from torch_model import load
    model, about = load("net.safetensors")                                               # model(images) -> {task: output}

The file says which network it is: nothing else is read. Needs torch and numpy, h5py for HDF5, Pillow (or matplotlib) for images.
Comparing wants `sigmatic predict ... --mode whole --format npy,hdf5 --output predictions`, sides that are multiples of the output
stride or not, and takes differences of up to 1e-4 of the largest value.
"""
import argparse
import json
import os
import sys

import script

script.needs("numpy", "torch")

import numpy as np
import torch
from torch import nn
from torch.nn import functional

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3),
          "resnet152": (3, 8, 36, 3)}
BASIC = ("resnet18", "resnet34")
BACKBONES = (*BLOCKS, "mlp")
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8"}
DECODINGS = {"none": "as the head puts it out", "metres": "metres", "log_metres": "metres, from their logarithm",
             "inverse_metres": "metres, from their inverse", "unit_vector": "vectors of length 1"}
LARGEST_DIFFERENCE = 1e-4  # of the largest value: float32 sums in another order


# ---- the network ------------------------------------------------------------------------------------------------------

def scaled(channels, width):
    return max(4, int(channels * width + 0.5))


def conv(inputs, outputs, kernel, stride=1, dilation=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False)


class Block(nn.Module):
    """A residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1 with four times the channels at the end."""

    def __init__(self, inputs, channels, is_basic, stride, dilation):
        super().__init__()
        outputs = channels if is_basic else 4 * channels
        self.is_basic = is_basic
        self.conv1 = conv(inputs, channels, 3, stride, dilation) if is_basic else conv(inputs, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = conv(channels, channels, 3, 1, dilation) if is_basic else conv(channels, channels, 3, stride, dilation)
        self.bn2 = nn.BatchNorm2d(channels)
        if not is_basic:
            self.conv3 = conv(channels, outputs, 1)
            self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = self.downsample(x) if self.downsample else x
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if not self.is_basic:
            y = self.bn3(self.conv3(functional.relu(y)))
        return functional.relu(y + shortcut)


class Backbone(nn.Module):
    """A ResNet; beyond the output stride its layers are dilated in place of strided."""

    def __init__(self, name, width, output_stride):
        super().__init__()
        inputs, stride_so_far, dilation, is_basic = scaled(64, width), 4, 1, name in BASIC
        self.conv1 = nn.Conv2d(3, inputs, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        for layer, blocks in enumerate(BLOCKS[name]):
            stride, first_dilation, channels = 1 if layer == 0 else 2, dilation, scaled(64 << layer, width)
            if stride_so_far * stride > output_stride:
                dilation, stride = dilation * stride, 1
            stride_so_far *= stride
            made = []
            for i in range(blocks):
                made.append(Block(inputs, channels, is_basic, stride if i == 0 else 1, first_dilation if i == 0 else dilation))
                inputs = channels if is_basic else 4 * channels
            setattr(self, f"layer{layer + 1}", nn.Sequential(*made))
        self.channels = inputs

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Aspp(nn.Module):
    """Four branches side by side, and the mean of the image in a fifth."""

    def __init__(self, inputs, channels, rates, project):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Sequential(conv(inputs, channels, kernel, 1, rate), nn.BatchNorm2d(channels), nn.ReLU())
            for kernel, rate in [(1, 1), *((3, rate) for rate in rates)])
        self.convs.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(inputs, channels, 1), nn.BatchNorm2d(channels), nn.ReLU()))
        self.project = None
        self.channels = channels * len(self.convs)
        if project:
            self.project = nn.Sequential(conv(self.channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU())
            self.channels = channels

    def forward(self, x):
        y = [branch(x) for branch in self.convs]
        y = torch.cat([branch.expand(-1, -1, *x.shape[2:]) for branch in y], 1)
        return self.project(y) if self.project else y


class Network(nn.Module):
    """All of it. \\param about  what metadata() gives."""

    def __init__(self, about):
        super().__init__()
        network, self.about = about["network"], about
        width = network["width"]
        if network["backbone"] == "mlp":
            self.make_perceptron(network, about)
            return
        self.backbone = Backbone(network["backbone"], width, network["output_stride"])
        self.aspp = Aspp(self.backbone.channels, scaled(256, width), [int(rate) for rate in network["aspp_rates"]], network["project"])
        hidden = scaled(256, width)
        self.decoders = nn.ModuleDict()
        for task in about["tasks"]:
            if task["head"] == "map":
                layers = (conv(self.aspp.channels, hidden, 3), nn.BatchNorm2d(hidden), nn.ReLU(), nn.Conv2d(hidden, task["outputs"], 1))
            else:
                layers = (nn.Linear(self.aspp.channels, hidden), nn.ReLU(), nn.Linear(hidden, task["outputs"]))
            self.decoders[task["name"]] = nn.Sequential(*layers)

    def make_perceptron(self, network, about):
        """Of a table: linear layers with a ReLU behind each, and heads of one or two."""
        layers, width, own = [], len(about["mean"]), network["head_hidden"]
        for units in network["hidden"]:
            layers += [nn.Linear(width, units), nn.ReLU()]
            width = units
        self.backbone, self.aspp = nn.Sequential(*layers), nn.Identity()
        self.decoders = nn.ModuleDict({
            task["name"]: nn.Sequential(*((nn.Linear(width, own), nn.ReLU()) if own else ()),
                                        nn.Linear(own or width, task["outputs"])) for task in about["tasks"]})

    def head(self, task, shared, size):
        layers, dropout = self.decoders[task["name"]], self.about["network"]["dropout"]
        y = shared if task["head"] == "map" or shared.dim() == 2 else shared.mean((2, 3))
        y = layers[-1](functional.dropout(layers[:-1](y), dropout, self.training))
        if task["head"] == "map":
            y = functional.interpolate(y, size=size, mode="bilinear", align_corners=self.about["network"]["align_corners"])
        return y

    def forward(self, images):
        """(N, 3, H, W), or (N, features) of a table, normalised -> for each task what its head puts out, (N, outputs, H, W) or
        (N, outputs)."""
        shared = self.aspp(self.backbone(images))
        return {task["name"]: self.head(task, shared, images.shape[2:]) for task in self.about["tasks"]}

    def normalise(self, images):
        """(N, H, W, 3) of 0 to 255, or (N, features) of a table, NaN unknown -> what forward() takes."""
        mean, std = (torch.tensor(self.about[key], dtype=torch.float32) for key in ("mean", "std"))
        if self.about["network"]["backbone"] == "mlp":
            return ((torch.from_numpy(np.array(images)).float() - mean) / std).nan_to_num(0)
        return ((torch.from_numpy(np.array(images)).float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def decode(task, output):
    """From what a head puts out to what `sigmatic predict` writes: logits of classes, values in their unit. (N, channels, ...)"""
    values = output[:, :task["channels"]] * task["logit_scale"]
    if task["decoding"] == "log_metres":
        values = values.exp().clamp(max=task["most_metres"])
    elif task["decoding"] == "inverse_metres":
        values = torch.where(values * task["most_metres"] <= 1, torch.full_like(values, task["most_metres"]), 1 / values)
    elif task["decoding"] == "unit_vector":
        length = values.norm(dim=1, keepdim=True)
        first = torch.zeros_like(values).index_fill_(1, torch.tensor([0]), 1)
        values = torch.where(length == 0, first, values / length)
    elif task["decoding"] == "metres":
        values = values.clamp(max=task["most_metres"])
    return values


# ---- files ------------------------------------------------------------------------------------------------------------

EXPORT = "expected what 'sigmatic weights export RUN net.safetensors' writes"


def read_safetensors(path):
    """(tensors as NumPy arrays, text beside them); bfloat16 becomes float32."""
    with open(path, "rb") as file:
        length, rest = int.from_bytes(file.read(8), "little"), file.read()
    if length > len(rest):
        raise SystemExit(f"{path}: truncated safetensors: {length} bytes of header announced, {len(rest)} are there")
    try:
        header, data = json.loads(rest[:length]), memoryview(rest)[length:]
        texts, tensors = header.pop("__metadata__", {}), {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            if end > len(data):
                raise SystemExit(f"{path}: truncated safetensors: tensor '{name}' ends at byte {end} of {len(data)}")
            if entry["dtype"] not in TYPES:
                raise SystemExit(f"{path}: tensor '{name}' is {entry['dtype']}, which is not read: {EXPORT}")
            array = np.frombuffer(data[begin:end], TYPES[entry["dtype"]])
            if entry["dtype"] == "BF16":
                array = (array.astype("<u4") << 16).view("<f4")
            tensors[name] = array.reshape(entry["shape"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SystemExit(f"{path}: damaged safetensors: {type(error).__name__}: {error}")
    return tensors, texts


def read_hdf5(path):
    script.needs("h5py")
    import h5py
    try:
        with h5py.File(path) as file:
            texts = {key: value.decode() if isinstance(value, bytes) else value for key, value in file.attrs.items()}
            kind = texts.get("format", "nothing")
            if kind != "sigmatic-weights":
                raise SystemExit(f"{path}: its attribute format is {kind}: {EXPORT}")
            return {name: file[name][()] for name in file}, texts
    except (OSError, RuntimeError, KeyError) as error:
        raise SystemExit(f"{path}: damaged HDF5: {error}")


def read_any(path):
    """What a file is, its first bytes say: (tensors, texts)."""
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}: {EXPORT}")
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return read_hdf5(path)
    if start[8:] == b"{":
        return read_safetensors(path)
    raise SystemExit(f"{path}: neither safetensors nor HDF5: {EXPORT}")


def read(path):
    """(state_dict, what the network is) of an exported file."""
    tensors, texts = read_any(path)
    missing = [key for key in ("network", "tasks", "mean", "std") if key not in texts]
    if missing:
        raise SystemExit(f"{path}: does not say which network it is (no '{missing[0]}' beside the tensors): {EXPORT}")
    try:
        about = {key: json.loads(texts[key]) for key in ("network", "tasks")}
        for key in "mean", "std":
            about[key] = json.loads(texts[key]) if isinstance(texts[key], str) else [float(number) for number in texts[key]]
    except ValueError as error:
        raise SystemExit(f"{path}: damaged: what stands beside the tensors is no JSON: {error}")
    for task in about["tasks"]:
        if task["decoding"] not in DECODINGS:
            raise SystemExit(f"{path}: task '{task['name']}': the decoding '{task['decoding']}' of its kind "
                             f"'{task['kind']}' is not known here, but {', '.join(DECODINGS)}")
        if "logit_scale" not in task:
            raise SystemExit(f"{path}: does not say how task '{task['name']}' scales its logits: export it again")
    return {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}, about


def misfit(places, tensors):
    """In which tensors a file and a network differ, in words; None if in none. \\param places  shapes by name"""
    for name, shape in places.items():
        if name not in tensors:
            return f"'{name}' is missing"
        if tuple(tensors[name].shape) != tuple(shape):
            return f"'{name}' is {tuple(tensors[name].shape)}, {tuple(shape)} expected"
    return next((f"'{name}' has no place in it" for name in tensors if name not in places), None)


def load(path):
    """(the network with its weights, ready to predict, and what the file says of it)"""
    tensors, about = read(path)
    backbone = about["network"].get("backbone")
    if backbone not in BACKBONES:
        raise SystemExit(f"{path}: the backbone '{backbone}' is not known here, but {', '.join(BACKBONES)}")
    try:
        model = Network(about)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SystemExit(f"{path}: no network can be built as it says: {type(error).__name__}: {error}")
    # The count of batches of a normalisation is used by nothing.
    places = {name: value.shape for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    wrong = misfit(places, {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")})
    if wrong:
        raise SystemExit(f"{path}: its tensors are not those of the network that it describes: {wrong}")
    model.load_state_dict(tensors, strict=False)
    return model.eval(), about


def read_image(path):
    try:
        from PIL import Image
    except ImportError:
        Image = None
        try:
            from matplotlib import image
        except ImportError:
            raise SystemExit(f"{path}: reading images takes Pillow: {sys.executable} -m pip install pillow")
    try:
        if Image:
            return np.asarray(Image.open(path).convert("RGB"))
        pixels = image.imread(path)
    except (OSError, ValueError, SyntaxError) as error:
        raise SystemExit(f"{path}: not read as an image: {error}")
    return np.round(pixels[..., :3] * 255).astype(np.uint8) if pixels.dtype != np.uint8 else pixels[..., :3]


# ---- predicting and comparing -----------------------------------------------------------------------------------------

def predict(model, image):
    """{task: float32 array (H, W, channels) or (channels)} of an image (H, W, 3) u8"""
    with torch.no_grad():
        outputs = model(model.normalise(image[None]))
    return {task["name"]: np.moveaxis(decode(task, outputs[task["name"]])[0].numpy(), 0, -1) for task in model.about["tasks"]}


def theirs(folder, task, name):
    """What `sigmatic predict` wrote of a task: logits of classes out of its HDF5 files, values out of .npy."""
    path = os.path.join(folder, *(("hdf5", f"{name}.h5") if "classes" in task else ("npy", task["name"], f"{name}.npy")))
    try:
        if "classes" not in task:
            return np.load(path)
        script.needs("h5py")
        import h5py
        with h5py.File(path) as file:
            return file[f"tasks/{task['name']}/logits"][()]
    except (OSError, KeyError, ValueError) as error:
        raise SystemExit(f"{path}: not read ({error}): expected what 'sigmatic predict ... --mode whole --format npy,hdf5 "
                         f"--output {folder}' writes")


def compare(model, predictions, folder, name):
    """Prints a line a task. \\return 1 if all are the same up to rounding"""
    good = True
    for task in model.about["tasks"]:
        mine, other = predictions[task["name"]], theirs(folder, task, name)
        if mine.size != other.size:
            raise SystemExit(f"{folder}: task '{task['name']}' of {name} is {other.shape} there, {mine.shape} here: predict it with "
                             "--mode whole")
        difference = np.abs(mine.reshape(other.shape) - other).max()
        scale = max(1.0, float(np.abs(other).max()))
        good &= bool(difference <= LARGEST_DIFFERENCE * scale)
        print(f"{task['name']:16} {task['kind']:12} largest value {np.abs(other).max():10.5g}  largest difference {difference:.3g}")
    return good


def describe(model, path):
    """Prints what a network is, how many parameters its parts have, and what its tasks predict."""
    network, is_table = model.about["network"], model.about["network"]["backbone"] == "mlp"
    parts = {"backbone": model.backbone, **({} if is_table else {"aspp": model.aspp}),
             **{f"decoders.{name}": part for name, part in model.decoders.items()}}
    print(f"{path}: {network['backbone']}, " + (f"hidden layers of {', '.join(map(str, network['hidden']))}" if is_table else
          f"width {network['width']:g}, output stride {network['output_stride']}, ASPP of rates "
          f"{', '.join(f'{rate:g}' for rate in network['aspp_rates'])}{', projected' if network['project'] else ''}"))
    for name, part in {**parts, "all": model}.items():
        print(f"  {name:24} {sum(parameter.numel() for parameter in part.parameters()):12d} parameters")
    print(f"{'features' if is_table else 'images'} normalised by mean " + ", ".join(f"{x:g}" for x in model.about["mean"]) +
          " and std " + ", ".join(f"{x:g}" for x in model.about["std"]))
    for task in model.about["tasks"]:
        each = "a pixel" if task["head"] == "map" else "a row" if is_table else "an image"
        what = f"logits of {len(task['classes'])} classes" if "classes" in task else DECODINGS[task["decoding"]]
        print(f"task {task['name']}: {task['kind']}, {task['channels']} {'number' if task['channels'] == 1 else 'numbers'} {each}: {what}")


def summarise(name, predictions):
    for task, array in predictions.items():
        print(f"{name}: {task} {' x '.join(map(str, array.shape))}, from {array.min():.5g} to {array.max():.5g}, mean {array.mean():.5g}")


def save(folder, name, predictions):
    for task, array in predictions.items():
        try:
            os.makedirs(os.path.join(folder, task), exist_ok=True)
            np.save(os.path.join(folder, task, f"{name}.npy"), array)
        except OSError as error:
            raise SystemExit(f"{error.filename or folder}: {error.strerror or error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", help="what 'sigmatic weights export' wrote")
    parser.add_argument("images", nargs="*", help="PNG or JPEG to predict; without any it is said what the network is")
    parser.add_argument("--output", help="folder for arrays: TASK/NAME.npy")
    parser.add_argument("--compare", metavar="FOLDER", help="of 'sigmatic predict --mode whole --format npy,hdf5'")
    options = parser.parse_args()
    if not options.images and (options.output or options.compare):
        parser.error("--output and --compare want images")
    model, about = load(options.weights)
    if options.images and about["network"]["backbone"] == "mlp":
        sys.exit(f"{options.weights}: a network of tables; load() of this file gives it, to be called with features")
    if not options.images:
        describe(model, options.weights)
    good = True
    for path in options.images:
        name, predictions = os.path.splitext(os.path.basename(path))[0], predict(model, read_image(path))
        if options.output:
            save(options.output, name, predictions)
        if options.compare:
            good &= compare(model, predictions, options.compare, name)
        else:
            summarise(name, predictions)
    sys.exit(0 if good else "the predictions differ by more than rounding")


if __name__ == "__main__":
    script.run(main)
