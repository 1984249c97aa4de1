#!/usr/bin/env python3
"""The same training step in PyTorch, for bench.py to compare with; prints one JSON line.

    analysis/torch_peer.py --backbone resnet18 --batch 2 --threads 2 [--project] [--format channels_last] [--compile]

Dilated ResNet, ASPP, three decoders, losses weighed by learned log-variances, SGD with Nesterov momentum, as `sigmatic
bench --step` trains them. Several processes (RANK and WORLD_SIZE in the environment, --store FILE for them to meet) go
through DistributedDataParallel over gloo; each then normalises by the statistics of its own images.

A step here is less than a step there, always in PyTorch's favour: one batch of random numbers stands in for the loader,
nothing is logged, no gradient is checked for being finite, running statistics are not averaged over processes, and the
losses are means over the process's pixels instead of the whole batch's.
"""

import argparse
import json
import math
import os
import statistics
import time

import script

script.needs("torch", "torchvision")

import torch
import torchvision
from torch import nn
from torch.nn import functional

CLASSES = 19  # of the scenes that Sigmatic's bench generates, which are Cityscapes'
IGNORED = 255
WIDTH, POOLED = 256, 4  # channels of ASPP and decoders; index of the ASPP's pooled branch
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet50", help="resnet18 ... resnet152, as torchvision names them")
    parser.add_argument("--project", action="store_true", help="project the ASPP's output to 256 channels")
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2, help="images a process")
    parser.add_argument("--threads", type=int, default=1, help="a process")
    parser.add_argument("--steps", type=int, default=7, help="measured steps; the median is reported")
    parser.add_argument("--warmup", type=int, default=2, help="steps before")
    parser.add_argument("--format", default="contiguous", choices=FORMATS, help="memory format of images and weights")
    parser.add_argument("--compile", action="store_true", help="by torch.compile, in the first step")
    parser.add_argument("--precision", default="float32", choices=("float32", "bf16"),
                        help="bf16: autocast, weights stay float")
    parser.add_argument("--store", help="file through which several processes meet")
    return parser.parse_args()


def conv_norm_relu(channels_in, channels, kernel, rate=1):
    conv = nn.Conv2d(channels_in, channels, kernel, padding=rate * (kernel // 2), dilation=rate, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def dilate(layer, first, others):
    """Takes the stride out of a layer of residual blocks and dilates its 3x3 convolutions. torchvision can do so itself
    for bottlenecks only."""
    for index, block in enumerate(layer):
        rate = others if index else first
        for conv in (module for module in block.modules() if isinstance(module, nn.Conv2d)):
            conv.stride = (1, 1)
            if conv.kernel_size == (3, 3):
                conv.dilation = conv.padding = (rate, rate)


def backbone_of(name):
    """The convolutional part at output stride 8, and its channels."""
    resnet = getattr(torchvision.models, name)()
    dilate(resnet.layer3, 1, 2)
    dilate(resnet.layer4, 2, 4)
    stem = (resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool)
    return nn.Sequential(*stem, resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4), resnet.fc.in_features


class Pyramid(nn.Module):
    def __init__(self, channels, project):
        super().__init__()
        branches = [conv_norm_relu(channels, WIDTH, 1)]
        branches += [conv_norm_relu(channels, WIDTH, 3, rate) for rate in (12, 24, 36)]
        branches += [nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_norm_relu(channels, WIDTH, 1))]
        self.branches = nn.ModuleList(branches)
        self.project = conv_norm_relu(len(branches) * WIDTH, WIDTH, 1) if project else nn.Identity()
        self.channels = WIDTH if project else len(branches) * WIDTH

    def forward(self, x):
        features = [branch(x) for branch in self.branches]
        features[POOLED] = features[POOLED].expand_as(features[0])
        return self.project(torch.cat(features, 1))


def masked_l1(output, truth, valid):
    """The absolute error, summed over components and averaged over valid pixels."""
    return ((output - truth).abs() * valid).sum() / valid.sum().clamp(min=1)


class Network(nn.Module):
    """Images and targets to the one loss: exp(-s) L + s/2 of the classes, exp(-s/2) L + D s/2 of D components."""

    def __init__(self, backbone, project, precision):
        super().__init__()
        self.autocast = precision == "bf16"
        self.backbone, channels = backbone_of(backbone)
        self.aspp = Pyramid(channels, project)
        self.decoders = nn.ModuleList(
            nn.Sequential(*conv_norm_relu(self.aspp.channels, WIDTH, 3), nn.Conv2d(WIDTH, outputs, 1))
            for outputs in (CLASSES, 2, 1))
        self.log_variances = nn.Parameter(torch.zeros(3))

    def outputs(self, images):
        shared = self.aspp(self.backbone(images))
        return [functional.interpolate(decoder(shared), images.shape[2:], mode="bilinear", align_corners=False)
                for decoder in self.decoders]

    def forward(self, images, targets):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            outputs = self.outputs(images)
        semantic, instance, depth = (output.float() for output in outputs)
        losses = (functional.cross_entropy(semantic, targets["semantic"], ignore_index=IGNORED),
                  masked_l1(instance, *targets["instance"]), masked_l1(depth, *targets["depth"]))
        s = self.log_variances
        return (torch.exp(-s[0]) * losses[0] + torch.exp(-s[1] / 2) * losses[1] + torch.exp(-s[2] / 2) * losses[2]
                + s[0] / 2 + 2 * s[1] / 2 + s[2] / 2)


def gflop_per_image(network, height, width):
    """Of a step: forward, and twice that for backward, but once for the first layer, whose input needs no gradient."""
    flop = []

    def count(conv, inputs, output):
        multiply_adds = output[0].numel() * conv.weight[0].numel()
        flop.append(2 * multiply_adds * (2 if conv.in_channels == 3 else 3))

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.Conv2d)]
    network.eval()
    with torch.no_grad():
        network.outputs(torch.zeros(1, 3, height, width))
    network.train()
    for hook in hooks:
        hook.remove()
    return sum(flop) / 1e9


def random_batch(batch, height, width):
    semantic = torch.randint(0, CLASSES, (batch, height, width))
    semantic[torch.rand(semantic.shape) < 0.1] = IGNORED
    return torch.randn(batch, 3, height, width), {
        "semantic": semantic,
        "instance": (torch.randn(batch, 2, height, width), (torch.rand(batch, 1, height, width) < 0.3).float()),
        "depth": (torch.rand(batch, 1, height, width), (torch.rand(batch, 1, height, width) < 0.8).float())}


def optimiser_of(network):
    """The program's defaults: weights of convolutions decay, log-variances learn ten times as fast."""
    groups = {"decayed": [], "plain": []}
    for parameter in network.parameters():
        if parameter is not network.log_variances:
            groups["decayed" if parameter.dim() == 4 else "plain"].append(parameter)
    groups = [{"params": groups["decayed"], "weight_decay": 1e-4}, {"params": groups["plain"]},
              {"params": [network.log_variances], "lr": 0.025}]
    settings = {"lr": 0.0025, "momentum": 0.9, "nesterov": True}
    try:
        return torch.optim.SGD(groups, **settings, fused=True)
    except (TypeError, RuntimeError):  # of an older PyTorch, or not on CPUs
        return torch.optim.SGD(groups, **settings)


def milliseconds_of_steps(model, optimiser, images, targets, count, distributed):
    """([duration of each step], the last loss)"""
    durations, value = [], math.nan
    for _ in range(count):
        begin = time.perf_counter()
        loss = model(images, targets)
        optimiser.zero_grad(set_to_none=not distributed)  # gradients that are views of DDP's buckets stay
        loss.backward()
        optimiser.step()
        value = loss.item()
        durations.append(1e3 * (time.perf_counter() - begin))
    return durations, value


def main():
    options = arguments()
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(options.threads)
    torch.manual_seed(1 + rank)
    model = network = Network(options.backbone, options.project, options.precision)
    gflop = gflop_per_image(network, options.height, options.width)
    if options.batch == 1:
        network.aspp.branches[POOLED][2].eval()  # one value a channel has no variance
    images, targets = random_batch(options.batch, options.height, options.width)
    network.to(memory_format=FORMATS[options.format])
    images = images.to(memory_format=FORMATS[options.format])
    if processes > 1:
        torch.distributed.init_process_group("gloo", init_method=f"file://{os.path.abspath(options.store)}", rank=rank,
                                             world_size=processes)
        model = nn.parallel.DistributedDataParallel(network, gradient_as_bucket_view=True, broadcast_buffers=False)
    if options.compile:
        model = torch.compile(model, dynamic=False)
    optimiser = optimiser_of(network)
    milliseconds_of_steps(model, optimiser, images, targets, options.warmup, processes > 1)
    durations, loss = milliseconds_of_steps(model, optimiser, images, targets, options.steps, processes > 1)
    if processes > 1:  # the job's step is the slowest process's
        slowest = torch.tensor(durations)
        torch.distributed.all_reduce(slowest, torch.distributed.ReduceOp.MAX)
        durations = slowest.tolist()
        torch.distributed.destroy_process_group()
    step, count = statistics.median(durations), options.batch * processes
    if rank == 0:
        print(json.dumps({
            "backbone": options.backbone, "size": f"{options.height}x{options.width}", "procs": processes,
            "threads": options.threads, "batch": options.batch, "format": options.format, "precision": options.precision,
            "compiled": options.compile, "fused": bool(optimiser.defaults.get("fused")), "ms_step": step,
            "ms_min": min(durations), "ms_image": step / count, "images_s": 1e3 * count / step,
            "gflops_nominal": gflop * 1e3 * count / step, "loss": loss}))


if __name__ == "__main__":
    script.run(main)
