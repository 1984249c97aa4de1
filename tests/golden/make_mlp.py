#!/usr/bin/env python3
"""Golden numbers of a perceptron on a table: forward, losses, gradients and ten steps of AdamW, by PyTorch in float64.

    python3 tests/golden/make_mlp.py [--output FOLDER] [--seed N]

Writes mlp.h5, which is a dataset too, as h5py writes one: splits train and val with `features` f32 (N,F) and its `names`,
targets `y` (N,2), `z` (N) and `c` (N, classes), with unknown values among features and targets; attributes mean and std.
Beside the splits a group a network, `linear` (heads are one linear layer each) and `deep` (with a hidden layer):

    attributes           hidden, head_hidden, and of the optimiser learning_rate, beta1, beta2, epsilon, weight_decay
    parameters/<name>    before the first step, float32, names as in checkpoints
    outputs/<task>       of the training split
    losses/<task>        sum over the components, mean over the valid samples
    weights/<task>       d total / d L
    total                y: exp(-s) L / 2 + 2 s/2 (gaussian, D = 2); z: exp(-s/2) L + s/2 (laplace);
                         c: exp(-s) L + s/2 (categorical)
    gradients/<name>     log_variance.<task> included
    updates/<name>       parameter after ten steps on the whole split minus the parameter before; log-variances and biases
                         are not decayed
"""

import argparse
import os

import h5py
import numpy
import torch
from torch import nn
from torch.nn import functional

TRAIN, VALIDATION, FEATURES, CLASSES, STEPS = 11, 5, 4, 3, 10
TASKS = {"y": 2, "z": 1, "c": CLASSES}
LOG_VARIANCES = {"y": 0.3, "z": -0.2, "c": 0.5}
ADAMW = {"learning_rate": 4e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-2, "weight_decay": 1e-2}
CASES = {"linear": {"hidden": (7, 6), "head_hidden": 0}, "deep": {"hidden": (9,), "head_hidden": 5}}


class Network(nn.Module):
    def __init__(self, case):
        super().__init__()
        layers, width = [], FEATURES
        for units in case["hidden"]:
            layers += [nn.Linear(width, units), nn.ReLU()]
            width = units
        self.backbone = nn.Sequential(*layers)
        own = case["head_hidden"]
        self.decoders = nn.ModuleDict({
            task: nn.Sequential(nn.Linear(width, own), nn.ReLU(), nn.Linear(own, outputs)) if own
            else nn.Sequential(nn.Linear(width, outputs)) for task, outputs in TASKS.items()})
        self.log_variance = nn.ParameterDict({task: nn.Parameter(torch.tensor(s)) for task, s in LOG_VARIANCES.items()})

    def forward(self, x):
        shared = self.backbone(x)
        return {task: decoder(shared) for task, decoder in self.decoders.items()}


def objective(network, x, targets):
    outputs, s = network(x), network.log_variance
    known = ~torch.isnan(targets["y"]).any(1)
    losses = {"y": ((outputs["y"] - targets["y"])[known] ** 2).sum(1).mean()}
    known = ~torch.isnan(targets["z"])
    losses["z"] = (outputs["z"][:, 0] - targets["z"])[known].abs().mean()
    losses["c"] = functional.cross_entropy(outputs["c"], targets["c"], ignore_index=255)
    weights = {"y": torch.exp(-s["y"]) / 2, "z": torch.exp(-s["z"] / 2), "c": torch.exp(-s["c"])}
    total = sum(weights[task] * losses[task] for task in TASKS) + s["y"] + s["z"] / 2 + s["c"] / 2
    return outputs, losses, weights, total


def steps(network, x, targets):
    decayed = [p for p in network.parameters() if p.dim() == 2]
    others = [p for p in network.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": ADAMW["weight_decay"]},
                                   {"params": others, "weight_decay": 0}],
                                  lr=ADAMW["learning_rate"], betas=(ADAMW["beta1"], ADAMW["beta2"]),
                                  eps=ADAMW["epsilon"])
    for _ in range(STEPS):
        optimizer.zero_grad()
        objective(network, x, targets)[3].backward()
        optimizer.step()


def write_case(file, name, case, x, targets, generator):
    network = Network(case)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim():
                parameter.normal_(0, 0.6, generator=generator)
    before = {key: value.detach().clone().float() for key, value in network.named_parameters()}
    network = network.double()
    outputs, losses, weights, total = objective(network, x, targets)
    total.backward()
    group = file.create_group(name)
    group.attrs.update(hidden=case["hidden"], head_hidden=case["head_hidden"], **ADAMW)
    for key, value in network.named_parameters():
        group["parameters/" + key] = before[key].numpy()
        group["gradients/" + key] = value.grad.float().numpy()
    for task in TASKS:
        group["outputs/" + task] = outputs[task].detach().float().numpy()
        group["losses/" + task] = losses[task].item()
        group["weights/" + task] = weights[task].item()
    group["total"] = total.item()
    steps(network, x, targets)
    for key, value in network.named_parameters():
        group["updates/" + key] = (value.detach() - before[key].double()).float().numpy()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--output", default=os.path.dirname(os.path.abspath(__file__)))
    arguments.add_argument("--seed", type=int, default=3)
    options = arguments.parse_args()
    random = numpy.random.default_rng(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    mean = random.normal(0, 50, FEATURES)
    std = numpy.exp(random.normal(0, 2, FEATURES))
    with h5py.File(os.path.join(options.output, "mlp.h5"), "w") as file:
        file.attrs.update(format="sigmatic-dataset", format_version=2, source="make_mlp.py", mean=mean, std=std,
                          versions="torch " + torch.__version__)
        for split, count in ("train", TRAIN), ("val", VALIDATION):
            group = file.create_group(split)
            features = (mean + std * random.normal(size=(count, FEATURES))).astype(numpy.float32)
            y = random.normal(3, 2, (count, 2)).astype(numpy.float32)
            z = random.normal(-1, 3, count).astype(numpy.float32)
            c = random.integers(0, CLASSES, count).astype(numpy.uint8)
            features[2, 1] = features[4, 3] = numpy.nan
            y[1, 0] = z[0] = z[3] = numpy.nan
            c[4] = 255
            group["features"], group["y"], group["z"], group["c"] = features, y, z, c
            group["features"].attrs["names"] = ["length", "width, outer", "mass", "age"]
            group["y"].attrs.update(type="real", unit="mm")
            group["z"].attrs["type"] = "real"
            group["c"].attrs.update({"type": "class", "class_names": ["a", "b", "c"]})
        train = file["train"]
        x = (train["features"][...].astype(float) - mean) / std
        x = torch.tensor(numpy.nan_to_num(x, nan=0.0))
        targets = {"y": torch.tensor(train["y"][...]).double(), "z": torch.tensor(train["z"][...]).double(),
                   "c": torch.tensor(train["c"][...].astype(int))}
        for name, case in CASES.items():
            write_case(file, name, case, x, targets, generator)


if __name__ == "__main__":
    main()
