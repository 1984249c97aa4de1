#!/usr/bin/env python3
"""Golden numbers of the whole network: forward, losses, gradients, running statistics and ten optimiser steps.

    python3 tests/golden/make_network.py [--output FOLDER] [--case NAME] [--seed N] [--try-seeds N]

Writes one file a case, network_<case>.h5, computed by PyTorch and torchvision's own modules in float64:

    case            backbone    stride  image  ASPP rates  project  L1 likelihood  remarks
    os8             resnet50    8       33x47  2,4,6       no       laplace        SGD
    os16            resnet50    16      49x65  12,24,36    yes      laplace        SGD; every off-centre ASPP tap is padding
    resnet18_os8    resnet18    8       33x47  1,2,4       no       paper_l1       SGD and AdamW; samples 2 and 3 hold no
                                                                                   instance: none on the second of two ranks

Layers are narrow (width 1/32): channels = max(4, round(base * width)) for base 64, 128, 256, 512 (bottlenecks put out
four times as many) and for the 256 of the ASPP and of the decoders. Every stored input (parameters, buffers, images,
targets) is exactly a float32, so that a float32 program starts from the same numbers.

Layout. <name> is a name as in checkpoints ("backbone.layer1.0.conv1.weight", "aspp.convs.0.1.running_var",
"decoders.depth.3.bias", "log_variance.depth"); <task> is semantic, instance or depth. Weights are O,I,kh,kw; maps are
N,H,W,C; float32 unless said otherwise (results, not inputs, are cut to 17 significant bits, 4e-6), scalars float64.

    attributes                    format = "sigmatic-network-golden", backbone, output_stride, width, rates, project,
                                  batch, height, width_pixels, classes, l1_likelihood, log_variance_learning_rate_scale,
                                  versions, tolerance (the largest float32 error of /updates seen when it was made)
    /image                        (4,H,W,3), normalised already: goes straight into the stem
    /targets/semantic             u8 (4,H,W), 255 = ignored
    /targets/instance             (4,H,W,2) x then y, NaN = invalid
    /targets/depth                (4,H,W,1), NaN = invalid
    /targets/valid_pixels/<task>  int64 (4), valid pixels a sample
    /parameters/<name>            before the first step; weight decay applies to those of four dimensions
    /buffers/<name>               running_mean and running_var before the first step
    /activations/<place>          training mode: backbone.layer1 .. backbone.layer4 (after the last ReLU), aspp (shared
                                  representation)
    /outputs/<task>               training mode, (2,H,W,D): samples 0 and 3, bilinearly upsampled, align_corners False
    /losses/<task>                L: sum over the D components, mean over the valid pixels of the batch
    /weights/<task>               d total / d L
    /total                        sum of exp(-s) L + s/2 (semantic) and exp(-s/2) L + D s/2 (laplace)
                                  or exp(-s) L / 2 + s/2 (paper_l1)
    /gradients/<name>             of the total, log_variance.<task> included
    /gradient_norm                L2 norm of all gradients but those of the log-variances
    /buffers_after/<name>         running statistics after that one forward (momentum 0.1, unbiased variance)
    /evaluation/outputs/<task>    (1,H,W,D): sample 0 with the running statistics of /buffers
    /evaluation/losses/<task>     losses of the whole batch with these
    /updates/<optimizer>/<name>   parameter after ten steps minus the parameter before, always on the same batch;
                                  attributes of the group: the optimiser's settings; log-variances are never decayed
    /updates/<optimizer>/total    float64 (10), the total before each step

The numbers are only useful if rounding does not grow: a ReLU whose input crosses zero, a maximum that changes place or
a sign under L1 would let float32 drift away from float64 within ten steps. Targets lie far from what the network
predicts; seeds were chosen so that PyTorch's own float32 (two memory layouts) and float64 from parameters off by 1e-6
stay near the stored updates. The table of these errors is printed, and the script fails beyond the limits.
A perturbation of all parameters by 1e-5 does cross kinks (errors of 1e-2 and more after ten steps): compare updates with
convolutions as exact as direct float32 sums (Winograd F(4x4) is not); outputs, losses and gradients do not mind.
"""

import argparse
import math
import os

import h5py
import numpy
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.segmentation.deeplabv3 import ASPP

TOLERANCE = 2.5e-5
STEPS = 10
CLASSES = 5
DIMENSIONS = {"semantic": CLASSES, "instance": 2, "depth": 1}
LOG_VARIANCES = {"semantic": 0.3, "instance": -0.2, "depth": 0.5}
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}

SGD = {"learning_rate": 0.01, "momentum": 0.9, "nesterov": 1, "weight_decay": 1e-4}
# epsilon is of the size of small gradients: an update that only keeps a gradient's sign cannot be compared.
ADAMW = {"learning_rate": 4e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-2, "weight_decay": 1e-2}

CASES = {
    "os8": {"backbone": "resnet50", "output_stride": 8, "size": (33, 47), "rates": (2, 4, 6), "project": 0,
            "l1_likelihood": "laplace", "no_instances": (), "optimizers": ("sgd",), "seed": 67},
    "os16": {"backbone": "resnet50", "output_stride": 16, "size": (49, 65), "rates": (12, 24, 36), "project": 1,
             "l1_likelihood": "laplace", "no_instances": (), "optimizers": ("sgd",), "seed": 107},
    "resnet18_os8": {"backbone": "resnet18", "output_stride": 8, "size": (33, 47), "rates": (1, 2, 4), "project": 0,
                     "l1_likelihood": "paper_l1", "no_instances": (2, 3), "optimizers": ("sgd", "adamw"), "seed": 9},
}
WIDTH = 1 / 32
BATCH = 4


def channels(base):
    return max(4, math.floor(base * WIDTH + 0.5))


# ---- network ---------------------------------------------------------------------------------------------------------


class DilatedBasicBlock(nn.Module):
    """torchvision refuses to dilate its basic block; here both convolutions take the dilation."""

    expansion = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1,
                 norm_layer=nn.BatchNorm2d):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn1 = norm_layer(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + shortcut)


class Backbone(ResNet):
    """torchvision's ResNet with a width multiplier and without its classifier."""

    def __init__(self, name, output_stride):
        nn.Module.__init__(self)
        self._norm_layer, self.groups, self.base_width, self.dilation = nn.BatchNorm2d, 1, 64, 1
        self.inplanes = channels(64)
        block = DilatedBasicBlock if name == "resnet18" else Bottleneck
        counts = BLOCKS[name]
        self.conv1 = nn.Conv2d(3, self.inplanes, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(self.inplanes)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, channels(64), counts[0])
        self.layer2 = self._make_layer(block, channels(128), counts[1], 2)
        self.layer3 = self._make_layer(block, channels(256), counts[2], 2, dilate=output_stride <= 8)
        self.layer4 = self._make_layer(block, channels(512), counts[3], 2, dilate=output_stride <= 16)

    def forward(self, x, record):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(self, name)(x)
            record["backbone." + name] = x
        return x


class SharedPyramid(ASPP):
    """torchvision's ASPP, its projection optional and without dropout."""

    def __init__(self, inputs, rates, outputs, project):
        super().__init__(inputs, rates, outputs)
        self.project = nn.Sequential(*list(self.project)[:3]) if project else nn.Sequential()


class Network(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.backbone = Backbone(case["backbone"], case["output_stride"])
        width = channels(256)
        self.aspp = SharedPyramid(self.backbone.inplanes, case["rates"], width, case["project"])
        shared = width if case["project"] else 5 * width
        self.decoders = nn.ModuleDict({
            task: nn.Sequential(nn.Conv2d(shared, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                                nn.Conv2d(width, dimensions, 1))
            for task, dimensions in DIMENSIONS.items()})
        self.log_variance = nn.ParameterDict({task: nn.Parameter(torch.tensor(s)) for task, s in LOG_VARIANCES.items()})

    def forward(self, image):
        record = {}
        shared = record["aspp"] = self.aspp(self.backbone(image, record))
        outputs = {task: functional.interpolate(decoder(shared), image.shape[-2:], mode="bilinear", align_corners=False)
                   for task, decoder in self.decoders.items()}
        return outputs, record


def make_network(case, generator):
    """Everything that a fresh network would hold at its neutral value (BN, running statistics, biases) gets a value of
    its own, so that a mix-up shows. The scales keep ten steps comparable:
    - BN biases stand well off zero compared with BN weights, most of them above: few pixels lie near the kink of a
      ReLU, and still most channels have some below it. The stem's are nearer to zero: a channel that a maximum never
      clips has a bias without gradient, because the next BN takes it away again.
    - The last BN of a block is small, so that rounding does not grow from block to block.
    - Weights before a BN and BN parameters are small (the next BN undoes that): ten updates are then 1e-3 to 1e-1 of
      them, well above the rounding of the parameter itself."""
    network = Network(case)
    uniform = lambda parameter, low, high: parameter.uniform_(low, high, generator=generator)
    last_norm = ".bn2" if case["backbone"] == "resnet18" else ".bn3"
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
                module.weight.normal_(0, 0.2 * math.sqrt(2 / fan_out), generator=generator)
                if module.bias is not None:
                    uniform(module.bias, -0.2, 0.2)
            elif isinstance(module, nn.BatchNorm2d):
                if name.endswith(last_norm):
                    uniform(module.weight, 0.03, 0.06)
                    uniform(module.bias, -0.02, 0.04)
                else:
                    uniform(module.weight, 0.06, 0.12)
                    uniform(module.bias, 0.12, 0.2)
                    negative = torch.rand(module.bias.shape, generator=generator) < 0.15
                    module.bias[negative] *= -0.5
                    if name == "backbone.bn1":
                        uniform(module.bias, -0.04, 0.1)
                uniform(module.running_mean, -0.5, 0.5)
                uniform(module.running_var, 0.5, 2.0)
        network.aspp.convs[4][2].weight *= 2.5  # four pixels a channel: let the ReLU clip some of them
        for decoder in network.decoders.values():
            decoder[1].weight *= 2
            decoder[1].bias *= 2
            decoder[3].weight.normal_(0, 0.5, generator=generator)
    return network


# ---- data and objective ----------------------------------------------------------------------------------------------


def make_batch(case, random):
    """Smooth coloured patches of few levels (small files), targets with uneven holes."""
    height, width = case["size"]
    shape = (BATCH, height, width)
    coarse = random.integers(-16, 17, (BATCH, height // 6 + 1, width // 6 + 1, 3))
    patches = coarse.repeat(6, 1).repeat(6, 2)[:, :height, :width]
    cast = random.integers(-16, 17, (BATCH, 1, 1, 3))  # images differ, or the pooled branch would normalise mere rounding
    image = ((patches + random.integers(-8, 9, shape + (3,)) + cast) / 16).astype(numpy.float32)

    semantic = numpy.digitize(patches.sum(-1), (-14, -5, 5, 14)).astype(numpy.uint8)
    # far from any prediction, so that no |difference| changes sign
    instance = (random.choice((-1, 1, 1, 1), shape + (2,)) * random.integers(16, 41, shape + (2,)) / 8).astype(numpy.float32)
    depth = (random.integers(16, 41, shape + (1,)) / 8).astype(numpy.float32)
    for sample, kept in enumerate((0.95, 0.4, 0.75, 0.2)):
        semantic[sample][random.random((height, width)) > kept] = 255
        instance[sample][random.random((height, width)) > 0.7 * (1 - kept) + 0.1] = numpy.nan
        depth[sample][random.random((height, width)) > 1.1 - kept] = numpy.nan
    instance[list(case["no_instances"])] = numpy.nan
    return image, {"semantic": semantic, "instance": instance, "depth": depth}


def valid_pixels(task, target):
    return target != 255 if task == "semantic" else ~numpy.isnan(target[..., 0])


def task_loss(task, output, target):
    if task == "semantic":
        return functional.cross_entropy(output, torch.from_numpy(target).long(), ignore_index=255)
    valid = torch.from_numpy(valid_pixels(task, target))
    difference = output.permute(0, 2, 3, 1)[valid] - torch.from_numpy(target).to(output.dtype)[valid]
    return difference.abs().sum() / valid.sum()


def objective_term(case, task, loss, s):
    if task == "semantic":
        return torch.exp(-s) * loss + s / 2
    if case["l1_likelihood"] == "laplace":
        return torch.exp(-s / 2) * loss + DIMENSIONS[task] * s / 2
    return torch.exp(-s) * loss / 2 + s / 2


def evaluate_objective(case, network, image, targets):
    outputs, record = network(image)
    losses = {task: task_loss(task, outputs[task], targets[task]) for task in DIMENSIONS}
    total = sum(objective_term(case, task, losses[task], network.log_variance[task]) for task in DIMENSIONS)
    return total, losses, outputs, record


def make_optimizer(name, network):
    settings = SGD if name == "sgd" else ADAMW
    parameters = list(network.parameters())
    groups = [{"params": [p for p in parameters if p.dim() == 4], "weight_decay": settings["weight_decay"]},
              {"params": [p for p in parameters if p.dim() < 4], "weight_decay": 0.0}]
    if name == "sgd":
        return torch.optim.SGD(groups, lr=SGD["learning_rate"], momentum=SGD["momentum"], nesterov=True)
    return torch.optim.AdamW(groups, lr=ADAMW["learning_rate"], betas=(ADAMW["beta1"], ADAMW["beta2"]),
                             eps=ADAMW["epsilon"])


def run_steps(case, state, image, targets, optimizer_name, dtype=torch.float64, layout=torch.contiguous_format,
              perturbation=0.0):
    """Ten steps on one batch from `state`. Returns {name: update} and the total before each step."""
    network = Network(case)
    network.load_state_dict(state)
    network.to(dtype).to(memory_format=layout).train()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 1 + perturbation * torch.randn(parameter.shape, generator=generator, dtype=dtype)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    inputs = torch.from_numpy(image).permute(0, 3, 1, 2).to(dtype).contiguous(memory_format=layout)
    optimizer = make_optimizer(optimizer_name, network)
    totals = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        total = evaluate_objective(case, network, inputs, targets)[0]
        total.backward()
        optimizer.step()
        totals.append(total.item())
    updates = {name: (parameter.detach() - before[name]).double().numpy()
               for name, parameter in network.named_parameters()}
    return updates, numpy.array(totals)


# ---- evidence --------------------------------------------------------------------------------------------------------


def relative_error(found, expected):
    assert numpy.linalg.norm(expected) > 0
    return numpy.linalg.norm(found - expected) / numpy.linalg.norm(expected)


# (arguments of run_steps, largest error allowed). The last shows that no kink is near: crossing one costs 1e-3 or more,
# smooth sensitivity to all parameters together about 30 times the perturbation.
VARIANTS = {
    "float32": ({"dtype": torch.float32}, TOLERANCE),
    "float32 NHWC": ({"dtype": torch.float32, "layout": torch.channels_last}, TOLERANCE),
    "float64, parameters off by 1e-6": ({"perturbation": 1e-6}, 2e-4),
}


def worst_errors(case, state, image, targets, optimizer_name, exact):
    """{variant: (largest relative L2 error of a tensor's update, its name, whether it is allowed)}"""
    worst = {}
    for variant, (arguments, limit) in VARIANTS.items():
        updates = run_steps(case, state, image, targets, optimizer_name, **arguments)[0]
        error, name = max((relative_error(updates[name], exact[name]), name) for name in exact)
        worst[variant] = error, name, error <= limit
        if error > 50 * limit:
            break  # a seed to be thrown away
    return worst


def prepare(case, seed):
    generator = torch.Generator().manual_seed(seed)
    state = make_network(case, generator).state_dict()
    image, targets = make_batch(case, numpy.random.default_rng(seed))
    return state, image, targets


def try_seed(case, seed):
    """The optimisers' errors as text, "good" in front if all are allowed."""
    state, image, targets = prepare(case, seed)
    words, good = [], True
    for optimizer_name in case["optimizers"]:
        exact = run_steps(case, state, image, targets, optimizer_name)[0]
        worst = worst_errors(case, state, image, targets, optimizer_name, exact)
        words += [f"{error:.1e} {name}" for error, name, _ in worst.values()]
        good = all(allowed for _, _, allowed in worst.values())
        if not good:
            break
    return ("good " if good else "") + ", ".join(words)


# ---- file ------------------------------------------------------------------------------------------------------------


def shorten(value):
    """The nearest float32 with 17 significant bits (relative error at most 4e-6), so that gzip finds zeros."""
    bits = value.astype(numpy.float32).view(numpy.uint32)
    return ((bits + numpy.uint32(0x40)) & numpy.uint32(0xFFFFFF80)).view(numpy.float32)


def write(group, name, value, exact=False):
    """Real arrays become float32, shortened unless they are inputs."""
    value = numpy.asarray(value)
    if value.ndim > 0 and value.dtype in (numpy.float32, numpy.float64):
        value = value.astype(numpy.float32) if exact else shorten(value)
    options = {"compression": "gzip", "compression_opts": 9, "shuffle": True} if value.size > 256 else {}
    return group.create_dataset(name, data=value, **options)


def to_nhwc(tensor):
    return tensor.detach().permute(0, 2, 3, 1).numpy()


def write_first_step(file, case, state, image, targets):
    network = Network(case)
    network.load_state_dict(state)
    network.double().train()
    for name, parameter in network.named_parameters():
        write(file, "parameters/" + name, parameter.detach().numpy(), exact=True)
    for name, value in network.named_buffers():
        if "running" in name:
            write(file, "buffers/" + name, value.numpy(), exact=True)

    inputs = torch.from_numpy(image).permute(0, 3, 1, 2).double()
    network.eval()
    with torch.no_grad():
        _, losses, outputs, _ = evaluate_objective(case, network, inputs, targets)
    for task in DIMENSIONS:
        write(file, "evaluation/outputs/" + task, to_nhwc(outputs[task][:1]))
        write(file, "evaluation/losses/" + task, losses[task].item())

    network.train()
    total, losses, outputs, record = evaluate_objective(case, network, inputs, targets)
    leaves = {task: loss.detach().requires_grad_() for task, loss in losses.items()}
    parts = sum(objective_term(case, task, leaves[task], network.log_variance[task]) for task in DIMENSIONS)
    slopes = torch.autograd.grad(parts, list(leaves.values()))
    total.backward()
    for task, slope in zip(leaves, slopes):
        write(file, "losses/" + task, losses[task].item())
        write(file, "weights/" + task, slope.item())
        write(file, "outputs/" + task, to_nhwc(outputs[task][[0, 3]]))
    write(file, "total", total.item())
    for place, activation in record.items():
        write(file, "activations/" + place, to_nhwc(activation))
    square = 0.0
    for name, parameter in network.named_parameters():
        write(file, "gradients/" + name, parameter.grad.numpy())
        if not name.startswith("log_variance"):
            square += (parameter.grad ** 2).sum().item()
    write(file, "gradient_norm", math.sqrt(square))
    for name, value in network.named_buffers():
        if "running" in name:
            write(file, "buffers_after/" + name, value.numpy())


def first_gradients(case, state, image, targets, mixed):
    """Outputs and gradients of weights: in float64, or with convolutions and maps of bfloat16 by autocast."""
    network = Network(case)
    network.load_state_dict(state)
    dtype = torch.float32 if mixed else torch.float64
    network.to(dtype).train()
    inputs = torch.from_numpy(image).permute(0, 3, 1, 2).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        outputs = network(inputs)[0]
    outputs = {task: output.to(dtype) for task, output in outputs.items()}
    losses = {task: task_loss(task, outputs[task], targets[task]) for task in DIMENSIONS}
    sum(objective_term(case, task, losses[task], network.log_variance[task]) for task in DIMENSIONS).backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters() if "log_variance" not in name}
    return [{name: value.detach().double().numpy() for name, value in values.items()}
            for values in (outputs, gradients)]


def write_autocast(file, case, state, image, targets):
    """How far bfloat16 is from float64: the largest relative error of outputs, the median and the ninth decile of the
    gradients' of all tensors."""
    exact = first_gradients(case, state, image, targets, mixed=False)
    mixed = first_gradients(case, state, image, targets, mixed=True)
    outputs, gradients = ([relative_error(found[name], expected[name]) for name in expected]
                                  for found, expected in zip(mixed, exact))
    errors = {"outputs": max(outputs), "gradients_median": numpy.median(gradients),
              "gradients_ninth_decile": numpy.quantile(gradients, 0.9)}
    file.create_group("autocast").attrs.update(errors)
    print("  autocast to bfloat16: " + ", ".join(f"{name} {error:.1e}" for name, error in errors.items()))


def write_updates(file, case, state, image, targets):
    """Returns the largest float32 error and whether all errors are allowed."""
    largest, good = 0, True
    for optimizer_name in case["optimizers"]:
        updates, totals = run_steps(case, state, image, targets, optimizer_name)
        group = file.create_group("updates/" + optimizer_name)
        group.attrs.update(dict(SGD if optimizer_name == "sgd" else ADAMW, steps=STEPS))
        for name, update in updates.items():
            write(group, name, update)
        group["total"] = totals
        print(f"  {optimizer_name}: total {totals[0]:.6f} -> {totals[-1]:.6f} over {STEPS} steps; "
              f"updates of {len(updates)} tensors against float64, relative L2")
        for variant, row in worst_errors(case, state, image, targets, optimizer_name, updates).items():
            error, name, allowed = row
            print(f"    {variant:34} at most {error:.1e}  ({name}){'' if allowed else '  TOO LARGE'}")
            largest = max(largest, error if variant.startswith("float32") else 0)
            good = good and allowed
    return largest, good


def make_case(case_name, folder, seed):
    case = CASES[case_name]
    state, image, targets = prepare(case, seed)
    path = os.path.join(folder, f"network_{case_name}.h5")
    height, width = case["size"]
    with h5py.File(path, "w", libver="v110") as file:
        file.attrs.update({
            "format": "sigmatic-network-golden", "backbone": case["backbone"], "output_stride": case["output_stride"],
            "width": WIDTH, "rates": case["rates"], "project": case["project"], "batch": BATCH, "height": height,
            "width_pixels": width, "classes": CLASSES, "l1_likelihood": case["l1_likelihood"],
            "log_variance_learning_rate_scale": 1.0, "seed": seed,
            "versions": f"torch {torch.__version__}, torchvision {torchvision.__version__}"})
        write(file, "image", image, exact=True)
        for task, target in targets.items():
            write(file, "targets/" + task, target, exact=True)
            write(file, "targets/valid_pixels/" + task, valid_pixels(task, target).sum((1, 2)).astype(numpy.int64))
        print(f"{case_name} (seed {seed})")
        write_first_step(file, case, state, image, targets)
        write_autocast(file, case, state, image, targets)
        largest, good = write_updates(file, case, state, image, targets)
        file.attrs["tolerance"] = largest
        parameters = sum(d.size for d in file["parameters"].values())
    print(f"  {path}: {parameters} parameters, {os.path.getsize(path)} bytes")
    if not good:
        raise SystemExit(f"{case_name}: errors too large; choose another seed (--try-seeds 20)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default=os.path.dirname(os.path.abspath(__file__)), help="folder of the files")
    parser.add_argument("--case", choices=CASES, help="only this one")
    parser.add_argument("--seed", type=int, help="instead of the case's own")
    parser.add_argument("--try-seeds", type=int, metavar="N", help="write nothing; print the errors of N seeds")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in [arguments.case] if arguments.case else CASES:
        if arguments.try_seeds:
            for seed in range(arguments.try_seeds):
                print(f"{name} seed {seed}: {try_seed(CASES[name], seed)}", flush=True)
        else:
            make_case(name, arguments.output, CASES[name]["seed"] if arguments.seed is None else arguments.seed)


if __name__ == "__main__":
    main()
