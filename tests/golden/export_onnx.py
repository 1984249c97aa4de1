#!/usr/bin/env python3
"""Turns ONNX's test vectors into one HDF5 file that C tests can read.

    export_onnx.py OUT.h5 [DATA]     DATA: /usr/share/libonnx-testdata/data (Debian package libonnx-testdata)

Exit code 3 if DATA does not exist. Takes every model that has exactly one node (constants aside) of a kind listed in EXPORTS;
what a test cannot run it leaves out by name, with a reason. One group a case, named <folder>_<case>, e.g. node_test_relu:

/conv2d/<case>               attributes group, spatial_dimensions and the geometry (kernel_height ... pad_right); input and output
                             (N,H,W,C), weight O,I,kh,kw, bias if there is one. 1-D cases are stored as 2-D ones of height 1
/max_pool/<case>             the geometry, spatial_dimensions, ceil_mode; input, output, index (y * width + x) if the case has it
/batch_norm/<case>           training, epsilon, momentum (ONNX: running = momentum * running + (1 - momentum) * new, the new variance
                             that of the population); input, output (...,C), scale, shift, running_mean, running_variance, and
                             new_running_mean, new_running_variance if training
/global_average_pool/<case>  input (N,H,W,C), output
/relu/<case>                 input, output
/gemm/<case>                 transpose_a, transpose_b, alpha, beta; a, b, c (m,n; zeros if the case has none), output
/resize/<case>               mode, coordinates; input, output (N,H,W,C)
/optimizer/<case>            kind (momentum, nesterov, adam, adagrad), tensors (their number), learning_rate, step (of the update,
                             from 0), and as ONNX defines them alpha, beta, epsilon, norm_coefficient, norm_coefficient_post,
                             decay_factor; for tensor i: parameter_i, gradient_i, new_parameter_i and the states, in order:
                             velocity_i (momentum, nesterov), first_i and second_i (adam), square_i (adagrad), with new_ in front
                             after the update
"""
import os
import struct
import sys

import h5py
import numpy as np

DATA = "/usr/share/libonnx-testdata/data"
FOLDERS = ["node", "pytorch-converted", "pytorch-operator", "simple"]
TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}


# ---- protocol buffers, as far as ONNX's messages need them ---------------------------------------------------------

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if byte < 128:
            return value, at


def fields(data):
    """{number: [values]}: integers for varints, bytes for everything else."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            size, at = varint(data, at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
            value, at = data[at:at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


def text(message, number):
    return message.get(number, [b""])[0].decode()


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def integers(message, number):
    """A repeated integer, packed or not."""
    values = []
    for item in message.get(number, []):
        if isinstance(item, int):
            values.append(signed(item))
        else:
            at = 0
            while at < len(item):
                value, at = varint(item, at)
                values.append(signed(value))
    return values


def tensor(data):
    """(name, array) of a TensorProto; None for an array of a type without numbers."""
    message = fields(data)
    kind = TYPES.get(message.get(2, [0])[0])
    if kind is None:
        return text(message, 8), None
    if 9 in message:
        values = np.frombuffer(message[9][0], kind)
    elif 4 in message:
        values = np.frombuffer(b"".join(message[4]), np.float32)
    elif 10 in message:
        values = np.frombuffer(b"".join(message[10]), np.float64)
    else:
        values = np.array(integers(message, 7) or integers(message, 5))
    return text(message, 8), values.astype(kind).reshape(integers(message, 1))


def attribute(data):
    message = fields(data)
    name = text(message, 1)
    if 4 in message:
        return name, text(message, 4)
    if 2 in message:
        return name, struct.unpack("<f", message[2][0])[0]
    if 5 in message:
        return name, tensor(message[5][0])[1]
    return name, integers(message, 8) if 8 in message else (integers(message, 3) or [0])[0]


class Case:
    """One node with the arrays at its inputs and outputs, in order; None where an optional one is left away."""

    def __init__(self, folder):
        with open(os.path.join(folder, "model.onnx"), "rb") as file:
            graph = fields(fields(file.read())[7][0])
        nodes = [fields(node) for node in graph[1]]
        constants = [node for node in nodes if text(node, 4) == "Constant"]
        nodes = [node for node in nodes if text(node, 4) != "Constant"]
        self.kind = text(nodes[0], 4) if len(nodes) == 1 else None
        if self.kind not in EXPORTS:
            return
        known = dict(tensor(data) for data in graph.get(5, []))
        known.update((text(node, 2), dict(map(attribute, node[5]))["value"]) for node in constants)
        given = [text(fields(value), 1) for value in graph.get(11, [])]
        self.read(folder, "input", [name for name in given if name not in known], known)
        self.read(folder, "output", [text(fields(value), 1) for value in graph[12]], known)
        node = nodes[0]
        self.attributes = dict(map(attribute, node.get(5, [])))
        self.inputs = [known.get(name.decode()) for name in node.get(1, [])]
        self.outputs = [known.get(name.decode()) for name in node[2]]

    @staticmethod
    def read(folder, what, names, known):
        for i, name in enumerate(names):
            with open(os.path.join(folder, "test_data_set_0", "%s_%d.pb" % (what, i)), "rb") as file:
                known[name] = tensor(file.read())[1]

    def get(self, name, default):
        return self.attributes.get(name, default)

    def input(self, i):
        return self.inputs[i] if i < len(self.inputs) else None


# ---- what each kind of node becomes --------------------------------------------------------------------------------

def channels_last(array):
    return array if array is None else np.moveaxis(array, 1, -1)


def geometry(case, kernel, size):
    """Kernel, stride, dilation and padding of the last two axes; one axis becomes two, of which the first is 1."""
    axes = len(kernel)
    strides, dilations = case.get("strides", [1] * axes), case.get("dilations", [1] * axes)
    pads = case.get("pads", [0] * (2 * axes))
    same = case.get("auto_pad", "NOTSET")
    if same.startswith("SAME"):
        total = [max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
                 for n, k, s, d in zip(size, kernel, strides, dilations)]
        less, more = [t // 2 for t in total], [t - t // 2 for t in total]
        pads = less + more if same == "SAME_UPPER" else more + less
    begin, end = pads[:axes], pads[axes:]
    values = {"spatial_dimensions": axes}
    fill = {"kernel": (kernel, 1), "stride": (strides, 1), "dilation": (dilations, 1)}
    for name, (given, default) in fill.items():
        given = [default] * (2 - axes) + list(given)
        values[name + "_height"], values[name + "_width"] = given[:2]
    values["pad_top"], values["pad_left"] = ([0] * (2 - axes) + list(begin))[:2]
    values["pad_bottom"], values["pad_right"] = ([0] * (2 - axes) + list(end))[:2]
    return values


def as_2d(array):
    """(N,C,W) as (N,C,1,W); others as they are."""
    return array[:, :, None] if array.ndim == 3 else array


def conv2d(case):
    input, weight = case.inputs[:2]
    attributes = dict(geometry(case, weight.shape[2:], input.shape[2:]), group=case.get("group", 1))
    return attributes, {"input": channels_last(as_2d(input)), "weight": as_2d(weight), "bias": case.input(2),
                        "output": channels_last(as_2d(case.outputs[0]))}


def max_pool(case):
    input = as_2d(case.inputs[0])
    arrays = {"input": channels_last(input), "output": channels_last(as_2d(case.outputs[0]))}
    if len(case.outputs) > 1:
        height, width = input.shape[2:]
        index = case.outputs[1] % (height * width)
        if case.get("storage_order", 0):
            index = index % height * width + index // height
        arrays["index"] = channels_last(index.astype(np.int32))
    attributes = geometry(case, case.get("kernel_shape", []), case.inputs[0].shape[2:])
    return dict(attributes, ceil_mode=case.get("ceil_mode", 0)), arrays


def batch_norm(case):
    names = ["input", "scale", "shift", "running_mean", "running_variance"]
    arrays = dict(zip(names, case.inputs))
    arrays.update(zip(["output", "new_running_mean", "new_running_variance"], case.outputs))
    arrays["input"], arrays["output"] = channels_last(arrays["input"]), channels_last(arrays["output"])
    return {"training": case.get("training_mode", 0), "epsilon": case.get("epsilon", 1e-5),
            "momentum": case.get("momentum", 0.9)}, arrays


def global_average_pool(case):
    return {}, {"input": channels_last(case.inputs[0]), "output": channels_last(case.outputs[0])}


def relu(case):
    return {}, {"input": case.inputs[0], "output": case.outputs[0]}


def gemm(case):
    output = case.outputs[0]
    c = case.input(2)
    return {"transpose_a": case.get("transA", 0), "transpose_b": case.get("transB", 0),
            "alpha": case.get("alpha", 1.0), "beta": case.get("beta", 1.0)}, {
                "a": case.inputs[0], "b": case.inputs[1],
                "c": np.zeros_like(output) if c is None else np.broadcast_to(c, output.shape), "output": output}


def resize(case):
    return {"mode": case.get("mode", "nearest"),
            "coordinates": case.get("coordinate_transformation_mode", "half_pixel")}, {
                "input": channels_last(case.inputs[0]), "output": channels_last(case.outputs[0])}


# ONNX's defaults; Momentum has none.
OPTIMIZER_DEFAULTS = {
    "Momentum": {},
    "Adam": {"alpha": 0.9, "beta": 0.999, "epsilon": 1e-6, "norm_coefficient": 0.0, "norm_coefficient_post": 0.0},
    "Adagrad": {"decay_factor": 0.0, "epsilon": 1e-6, "norm_coefficient": 0.0},
}
STATES = {"momentum": ["velocity"], "nesterov": ["velocity"], "adam": ["first", "second"], "adagrad": ["square"]}


def optimizer(case):
    kind = "nesterov" if case.get("mode", "") == "nesterov" else case.kind.lower()
    names = ["parameter", "gradient"] + STATES[kind]
    count = (len(case.inputs) - 2) // len(names)
    attributes = dict(OPTIMIZER_DEFAULTS[case.kind], **case.attributes)
    attributes.update(kind=kind, tensors=count, learning_rate=float(case.inputs[0]), step=int(case.inputs[1]))
    attributes.pop("mode", None)
    arrays = {}
    for n, name in enumerate(names):
        for i in range(count):
            arrays["%s_%d" % (name, i)] = case.inputs[2 + n * count + i]
    for n, name in enumerate(["parameter"] + STATES[kind]):
        for i in range(count):
            arrays["new_%s_%d" % (name, i)] = case.outputs[n * count + i]
    return attributes, arrays


EXPORTS = {"Conv": ("conv2d", conv2d), "MaxPool": ("max_pool", max_pool), "BatchNormalization": ("batch_norm", batch_norm),
           "GlobalAveragePool": ("global_average_pool", global_average_pool), "Relu": ("relu", relu),
           "Gemm": ("gemm", gemm), "Resize": ("resize", resize), "Momentum": ("optimizer", optimizer),
           "Adam": ("optimizer", optimizer), "Adagrad": ("optimizer", optimizer)}


def export(case, group):
    attributes, arrays = EXPORTS[case.kind][1](case)
    for name, value in attributes.items():
        group.attrs[name] = value
    for name, value in arrays.items():
        if value is not None:
            group[name] = np.ascontiguousarray(value)


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    data = sys.argv[2] if len(sys.argv) == 3 else DATA
    if not os.path.isdir(data):
        return 3
    with h5py.File(sys.argv[1], "w") as file:
        for folder in FOLDERS:
            path = os.path.join(data, folder)
            for name in sorted(os.listdir(path)) if os.path.isdir(path) else []:
                case = Case(os.path.join(path, name))
                if case.kind in EXPORTS:
                    export(case, file.create_group("%s/%s_%s" % (EXPORTS[case.kind][0], folder, name)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
