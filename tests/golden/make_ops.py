#!/usr/bin/env python3
"""Writes ops.h5: every op and its gradients as PyTorch computes them in float64, for test_golden_ops.c.

    /usr/bin/python3 tests/golden/make_ops.py          (PyTorch 1.13 of Debian 12 made the file that is checked in)

One group a case, /<op>/<number>, with the shape as integer attributes and datasets: inputs, which are float16 numbers so that they
take little room and are exact everywhere, and results, rounded to float32. Activations are (N,H,W,C); convolution weights O,I,kh,kw and linear weights O,I, as PyTorch has them.
"""
import itertools
import os

import h5py
import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
random = np.random.default_rng(20240607)


def draw(*shape, mean=0.0, std=1.0):
    """Float64 numbers that float16 holds exactly, wanting a gradient."""
    values = (mean + std * random.standard_normal(shape)).astype(np.float16).astype(np.float64)
    return torch.from_numpy(np.asarray(values)).requires_grad_()


def as_stored(name, tensor):
    is_activation = tensor.dim() == 4 and "weight" not in name
    return (tensor.permute(0, 2, 3, 1) if is_activation else tensor).detach().numpy()


class Golden:
    def __init__(self, path):
        self.file = h5py.File(path, "w", libver="latest")
        self.file.attrs["torch"] = str(torch.__version__)

    def add(self, op, attributes, arrays):
        cases = self.file.require_group(op)
        case = cases.create_group("%03d" % len(cases))
        for name, value in attributes.items():
            case.attrs[name] = np.int64(value)
        for name, value in arrays.items():
            values = np.ascontiguousarray(as_stored(name, value))
            exact = np.array_equal(values, values.astype(np.float16))
            case.create_dataset(name, data=values.astype(np.float16 if exact else np.float32), track_times=False)

    def add_with_gradients(self, op, attributes, inputs, output, more=()):
        """Stores inputs, output, a random grad_output and grad_<name> of every input."""
        grad_output = draw(*output.shape)
        gradients = torch.autograd.grad(output, list(inputs.values()), grad_output)
        arrays = dict(inputs, output=output, grad_output=grad_output, **dict(more))
        arrays.update({"grad_" + name: gradient for name, gradient in zip(inputs, gradients)})
        self.add(op, attributes, arrays)


def geometry(kernel, stride, dilation, pads):
    names = ["kernel_height", "kernel_width", "stride_height", "stride_width", "dilation_height", "dilation_width",
             "pad_top", "pad_left", "pad_bottom", "pad_right"]
    return dict(zip(names, (*kernel, *stride, *dilation, *pads)))


def conv2d(golden, batch, height, width, channels_in, channels_out, kernel, stride, dilation, pads, bias):
    inputs = {"input": draw(batch, channels_in, height, width), "weight": draw(channels_out, channels_in, *kernel)}
    if bias:
        inputs["bias"] = draw(channels_out)
    top, left, bottom, right = pads
    output = F.conv2d(F.pad(inputs["input"], (left, right, top, bottom)), inputs["weight"], inputs.get("bias"),
                      stride=stride, dilation=dilation)
    golden.add_with_gradients("conv2d", geometry(kernel, stride, dilation, pads), inputs, output)


def all_conv2d(golden):
    one = (1, 1)
    # batch, height, width, channels in, out, kernel, stride, dilation, pads, bias
    chosen = [
        (1, 1, 1, 1, 1, one, one, one, (0, 0, 0, 0), True),
        (2, 7, 5, 3, 5, one, one, one, (0, 0, 0, 0), False),
        (1, 6, 7, 17, 33, one, one, one, (0, 0, 0, 0), True),
        (1, 7, 8, 33, 17, one, (2, 2), one, (0, 0, 0, 0), False),
        (1, 8, 8, 5, 3, one, (3, 3), one, (0, 0, 0, 0), False),
        (1, 3, 4, 3, 5, one, one, one, (1, 2, 0, 1), True),                 # padding around a 1x1
        (1, 9, 9, 3, 5, (7, 7), (2, 2), one, (3, 3, 3, 3), False),         # the stem
        (1, 14, 13, 3, 16, (7, 7), (2, 2), one, (3, 3, 3, 3), False),
        (2, 9, 7, 5, 5, (3, 3), one, one, (1, 1, 1, 1), False),
        (1, 16, 16, 4, 4, (3, 3), one, one, (1, 1, 1, 1), False),
        (1, 8, 12, 16, 16, (3, 3), one, one, (1, 1, 1, 1), True),
        (1, 7, 6, 17, 33, (3, 3), one, one, (1, 1, 1, 1), False),
        (1, 5, 6, 33, 17, (3, 3), one, one, (0, 0, 0, 0), False),           # no padding
        (1, 10, 11, 5, 17, (3, 3), one, (2, 2), (2, 2, 2, 2), False),
        (1, 9, 10, 17, 5, (3, 3), one, (4, 4), (4, 4, 4, 4), False),
        (1, 12, 9, 8, 8, (3, 3), one, (3, 3), (3, 3, 3, 3), True),
        (2, 5, 6, 17, 5, (3, 3), one, (12, 12), (12, 12, 12, 12), False),   # only the centre tap is inside
        (1, 14, 13, 5, 3, (3, 3), one, (12, 12), (12, 12, 12, 12), False),  # some taps touch the corners
        (1, 11, 26, 3, 3, (3, 3), one, (24, 24), (24, 24, 24, 24), False),
        (1, 4, 5, 3, 3, (3, 3), one, (36, 36), (36, 36, 36, 36), True),
        (2, 9, 8, 17, 5, (3, 3), (2, 2), one, (1, 1, 1, 1), False),
        (1, 9, 11, 5, 17, (3, 3), (2, 2), (2, 2), (2, 2, 2, 2), False),
        (1, 11, 10, 3, 5, (3, 3), (3, 3), one, (1, 1, 1, 1), True),
        (1, 10, 7, 3, 5, (3, 3), (2, 1), (1, 2), (1, 2, 1, 2), False),
        (1, 6, 6, 3, 5, (2, 2), (2, 2), one, (0, 0, 0, 0), False),
        (1, 7, 5, 5, 3, (2, 2), one, one, (1, 0, 0, 1), True),
        (1, 8, 9, 5, 6, (5, 5), one, one, (2, 2, 2, 2), False),
        (1, 8, 9, 3, 5, (5, 5), (3, 3), (2, 2), (4, 4, 4, 4), False),
        (1, 9, 6, 3, 5, (1, 7), one, one, (0, 3, 0, 3), False),
        (1, 9, 6, 3, 5, (7, 1), one, one, (3, 0, 3, 0), True),
        (1, 1, 9, 5, 3, (3, 3), one, one, (1, 1, 1, 1), False),             # one pixel high, one wide, both
        (2, 9, 1, 5, 3, (3, 3), one, one, (1, 1, 1, 1), False),
        (3, 1, 1, 17, 5, (3, 3), one, (6, 6), (6, 6, 6, 6), True),
        (3, 1, 1, 33, 17, one, one, one, (0, 0, 0, 0), True),
        (1, 3, 3, 5, 3, (3, 3), one, one, (0, 0, 0, 0), False),             # one output pixel
        (1, 3, 4, 3, 3, (3, 3), one, one, (3, 3, 3, 3), False),             # outputs that see padding only
        (1, 5, 5, 3, 1, (3, 3), (3, 3), one, (0, 0, 0, 0), False),          # input pixels that no output sees
        (1, 6, 5, 1, 1, (3, 3), one, one, (1, 1, 1, 1), True),
        (4, 4, 4, 1, 33, (3, 3), one, one, (1, 1, 1, 1), False),
        (1, 5, 7, 33, 1, (3, 3), one, one, (1, 1, 1, 1), False),
    ]
    for case in chosen:
        conv2d(golden, *case)
    added = 0
    while added < 24:
        kernel, stride = random.choice([1, 2, 3, 5, 7], 2), random.choice([1, 1, 2, 3], 2)
        dilation, pads = random.choice([1, 1, 2, 3, 7], 2), random.integers(0, 5, 4)
        if random.random() < 0.5:
            kernel[1], stride[1], dilation[1], pads[1:] = kernel[0], stride[0], dilation[0], pads[0]
        size, channels = random.integers(1, 10, 2), random.choice([1, 3, 5, 17], 2)
        room = size + pads[:2] + pads[2:] - dilation * (kernel - 1) - 1
        if room.min() < 0 or channels.prod() * kernel.prod() > 1000:
            continue
        conv2d(golden, int(random.integers(1, 3)), *size.tolist(), *channels.tolist(), tuple(kernel.tolist()),
               tuple(stride.tolist()), tuple(dilation.tolist()), tuple(pads.tolist()), added % 3 == 0)
        added += 1


def batch_norm(golden, batch, height, width, channels, mean, std, relu, residual, training):
    inputs = {"input": draw(batch, channels, height, width, mean=mean, std=std), "scale": draw(channels),
              "shift": draw(channels)}
    if residual:
        inputs["residual"] = draw(batch, channels, height, width)
    running_mean, running_variance = draw(channels).detach(), draw(channels, mean=4.0, std=0.3).detach()
    before = {"running_mean": running_mean.clone(), "running_variance": running_variance.clone()}
    output = F.batch_norm(inputs["input"], running_mean, running_variance, inputs["scale"], inputs["shift"],
                          training=bool(training), momentum=0.1, eps=1e-5)
    output = output + inputs["residual"] if residual else output
    output = F.relu(output) if relu else output
    golden.add_with_gradients("batch_norm", dict(relu=relu, training=training), inputs, output,
                              dict(before, new_running_mean=running_mean, new_running_variance=running_variance))


def all_batch_norm(golden):
    for channels, relu, residual, training in itertools.product([3, 17], [0, 1], [0, 1], [0, 1]):
        batch_norm(golden, 2, 3, 5, channels, 0.5, 2.0, relu, residual, training)
    batch_norm(golden, 3, 2, 2, 1, 0.0, 1.0, 0, 0, 1)
    batch_norm(golden, 1, 1, 2, 33, 0.0, 1.0, 0, 0, 1)          # two rows
    batch_norm(golden, 5, 1, 1, 130, -1.0, 3.0, 1, 0, 1)        # 1 x 1 maps, more channels than a slice
    batch_norm(golden, 1, 9, 9, 5, 0.0, 1e-4, 0, 0, 1)          # epsilon matters
    batch_norm(golden, 2, 10, 9, 3, 1000.0, 1.0, 0, 0, 1)      # mean far above the standard deviation


def all_max_pool(golden):
    # batch, height, width, channels, kernel, stride, dilation, pads (same on both sides for PyTorch), ceil_mode, ties
    cases = [
        (2, 8, 8, 3, (3, 3), (2, 2), (1, 1), (1, 1), 0, 0),
        (1, 9, 7, 17, (3, 3), (2, 2), (1, 1), (1, 1), 0, 1),
        (1, 7, 10, 5, (2, 2), (2, 2), (1, 1), (0, 0), 0, 0),
        (1, 7, 10, 5, (2, 2), (2, 2), (1, 1), (0, 0), 1, 1),
        (2, 6, 6, 33, (3, 3), (2, 2), (1, 1), (1, 1), 1, 0),
        (1, 9, 9, 3, (3, 3), (1, 1), (2, 2), (1, 1), 0, 1),
        (1, 5, 8, 3, (3, 2), (1, 3), (1, 2), (1, 0), 0, 1),
        (1, 8, 8, 1, (5, 5), (3, 3), (1, 1), (2, 2), 1, 0),
        (3, 1, 1, 5, (3, 3), (2, 2), (1, 1), (1, 1), 0, 0),
        (1, 1, 9, 5, (3, 3), (2, 2), (1, 1), (1, 1), 0, 0),
        (1, 6, 6, 4, (2, 2), (3, 3), (1, 1), (0, 0), 0, 0),
        (1, 6, 9, 4, (2, 2), (3, 3), (1, 1), (0, 0), 1, 0),  # rounded up, a window would start behind the image
    ]
    for batch, height, width, channels, kernel, stride, dilation, pad, ceil_mode, ties in cases:
        input = draw(batch, channels, height, width)
        if ties:
            input = input.detach().round().requires_grad_()
        output = F.max_pool2d(input, kernel, stride, pad, dilation, ceil_mode=bool(ceil_mode))
        golden.add_with_gradients("max_pool", dict(geometry(kernel, stride, dilation, pad + pad), ceil_mode=ceil_mode),
                                  {"input": input}, output)


def all_resize(golden):
    # batch, channels, from, to
    cases = [
        (1, 1, (4, 6), (32, 48)), (2, 2, (2, 5), (16, 40)), (1, 3, (3, 4), (24, 32)), (1, 5, (4, 4), (9, 7)),
        (1, 19, (3, 2), (24, 16)), (1, 33, (3, 4), (7, 6)), (2, 70, (1, 1), (3, 4)), (1, 17, (2, 3), (3, 2)),
        (1, 5, (9, 11), (4, 3)), (1, 1, (17, 16), (2, 5)), (2, 3, (1, 6), (7, 3)), (1, 8, (6, 1), (3, 4)),
        (1, 4, (5, 7), (5, 7)), (1, 3, (5, 7), (1, 1)), (1, 2, (1, 1), (1, 1)), (1, 9, (2, 2), (1, 9)),
    ]
    for (batch, channels, size, out_size), align_corners in itertools.product(cases, [0, 1]):
        input = draw(batch, channels, *size)
        output = F.interpolate(input, size=out_size, mode="bilinear", align_corners=bool(align_corners))
        golden.add_with_gradients("resize", dict(align_corners=align_corners), {"input": input}, output)


def all_others(golden):
    for batch, height, width, channels in [(1, 1, 1, 1), (2, 3, 5, 17), (3, 5, 4, 5), (1, 3, 3, 130)]:
        input = draw(batch, channels, height, width)
        golden.add_with_gradients("global_average_pool", {}, {"input": input}, input.mean(dim=(2, 3)))
        input = draw(batch, channels, height, width)
        golden.add_with_gradients("relu", {}, {"input": input}, F.relu(input))
        for relu in [0, 1]:
            a, b = draw(batch, channels, height, width), draw(batch, channels, height, width)
            golden.add_with_gradients("add", dict(relu=relu), {"a": a, "b": b}, F.relu(a + b) if relu else a + b)
        a, b = draw(batch, channels, height, width), draw(batch, 5, height, width)
        c = draw(batch, 3, 1, 1)  # the pooled branch: one vector an image
        golden.add_with_gradients("concat", {}, {"a": a, "b": b, "c": c},
                                  torch.cat([a, b, c.expand(-1, -1, height, width)], dim=1))
    for batch, channels_in, channels_out in [(1, 1, 1), (5, 3, 17), (20, 33, 5), (3, 40, 35)]:
        inputs = {"input": draw(batch, channels_in), "weight": draw(channels_out, channels_in),
                  "bias": draw(channels_out)}
        golden.add_with_gradients("linear", {}, inputs, F.linear(*inputs.values()))


def main():
    path = os.path.join(HERE, "ops.h5")
    golden = Golden(path)
    for make in (all_conv2d, all_batch_norm, all_max_pool, all_resize, all_others):
        make(golden)
    for op, cases in golden.file.items():
        print("%-20s %d cases" % (op, len(cases)))
    golden.file.close()
    print("%s: %d KiB" % (path, os.path.getsize(path) // 1024))


if __name__ == "__main__":
    main()
