"""Writes losses.h5: losses of labels, real values and directions, and their gradients, by PyTorch in float64.

    /usr/bin/python3 tests/golden/make_losses.py
"""
import os

import h5py
import numpy as np
import torch

random = np.random.default_rng(20170303)
IGNORE = 255
LEAST_LENGTH = 1e-3


def normal(*shape):
    return random.standard_normal(shape).astype(np.float32)


def store(group, loss, gradient, slope=0.0, **values):
    group.update(values)
    group.update({"loss": loss.item(), "slope": slope, "gradient": gradient.numpy()})


def labels(group, count, items, spread, log_variance, weighted, ignored):
    logits = spread * normal(items, count)
    target = random.integers(0, 2, (items, count)).astype(np.uint8)
    target[random.random((items, count)) < ignored] = IGNORE
    target[::5] = IGNORE  # items of which nothing is known
    weights = random.uniform(0.1, 3, count).astype(np.float32) if weighted else np.ones(count, np.float32)
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    s = torch.tensor(log_variance, dtype=torch.float64, requires_grad=True)
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        z * torch.exp(-s), torch.tensor(target == 1, dtype=torch.float64),
        pos_weight=torch.tensor(weights, dtype=torch.float64), reduction="none")
    loss = each[torch.tensor(target != IGNORE)].sum()
    loss.backward()
    store(group, loss, z.grad, s.grad.item(), logits=logits, target=target, class_weights=weights,
          log_variance=log_variance)


def huber(group, channels, items, delta, invalid):
    logits, target = 3 * normal(items, channels), 3 * normal(items, channels)
    target[random.random(items) < invalid] = np.nan
    logits[2] = target[2]
    x = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    y = torch.tensor(target, dtype=torch.float64)
    valid = ~torch.isnan(y)
    loss = torch.nn.functional.huber_loss(x[valid], y[valid], reduction="sum", delta=delta)
    loss.backward()
    store(group, loss, x.grad, logits=logits, target=target, delta=delta)


def cosine(group, channels, items, invalid):
    logits, target = normal(items, channels), normal(items, channels)
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    logits *= 10 ** random.uniform(-2, 2, (items, 1)).astype(np.float32)
    logits[3] = 0
    logits[4] = 2e-4 * target[4]  # shorter than what has a direction
    logits[6] = 5 * target[6]
    logits[7] = -target[7]
    target[random.random(items) < invalid] = np.nan
    x = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    y = torch.tensor(target, dtype=torch.float64)
    valid = ~torch.isnan(y[:, 0])
    x_long = x[valid].norm(dim=1) >= LEAST_LENGTH  # what PyTorch makes of shorter ones differs between its versions
    directions = torch.nn.functional.cosine_embedding_loss(x[valid][x_long], y[valid][x_long],
                                                           torch.ones(int(x_long.sum())), reduction="sum")
    short = (1 - (x[valid][~x_long] * y[valid][~x_long]).sum(1) / LEAST_LENGTH).sum()
    loss = directions + short
    loss.backward()
    store(group, loss, x.grad, logits=logits, target=target)


def gaussian_nll(x, y, s, delta):
    return torch.nn.functional.gaussian_nll_loss(x, y, torch.exp(s)[:, None].expand_as(x), eps=1e-12,
                                                 reduction="none").sum(1)


def laplace_nll(x, y, s, delta):
    density = torch.distributions.Laplace(x, torch.exp(s / 2)[:, None].expand_as(x))
    return (-density.log_prob(y) - np.log(2)).sum(1)


def huber_nll(x, y, s, delta):
    sigma = torch.exp(s / 2)
    normal_part = torch.special.erf(delta / sigma / np.sqrt(2)) * np.sqrt(2 * np.pi) * sigma
    tails = 2 * sigma ** 2 / delta * torch.exp(-(delta / sigma) ** 2 / 2)
    loss = torch.nn.functional.huber_loss(x, y, reduction="none", delta=delta).sum(1)
    return loss / sigma ** 2 + x.shape[1] * torch.log((normal_part + tails) / np.sqrt(2 * np.pi))


def fisher_nll(x, y, s, delta):
    kappa = torch.exp(-s)
    cosine = torch.nn.functional.cosine_similarity(x, y, dim=1)
    return -torch.log(kappa / (4 * np.pi * torch.sinh(kappa)) * torch.exp(kappa * cosine)) - np.log(2 * np.pi)


def per_pixel_values(group, channels, items, function, delta, invalid):
    """A log-variance of each item is the last of its outputs."""
    outputs, target = 2 * normal(items, channels + 1), 2 * normal(items, channels)
    if function is fisher_nll:
        target /= np.linalg.norm(target, axis=1, keepdims=True)
    target[random.random(items) < invalid] = np.nan
    x = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    y = torch.tensor(target, dtype=torch.float64)
    valid = ~torch.isnan(y[:, 0])
    loss = function(x[valid, :-1], y[valid], x[valid, -1], delta).sum()
    loss.backward()
    store(group, loss, x.grad, outputs[valid.numpy(), -1].astype(np.float64).sum(), logits=outputs, target=target,
          delta=delta)


def per_pixel_draws(group, channels, items, draws, of_labels, weighted):
    """Logits with noise of the item's own sigma; the mean of the probabilities over draws, which the file holds."""
    outputs, noise = 2 * normal(items, channels + 1), normal(items, draws, channels)
    shape = (items, channels) if of_labels else (items,)
    target = random.integers(0, 2 if of_labels else channels, shape).astype(np.uint8)
    if of_labels:
        target[random.random(shape) < 0.3] = IGNORE
    weights = random.uniform(0.1, 3, channels).astype(np.float32) if weighted else np.ones(channels, np.float32)
    x = torch.tensor(outputs, dtype=torch.float64, requires_grad=True)
    z = x[:, None, :-1] + torch.exp(x[:, None, -1:] / 2) * torch.tensor(noise, dtype=torch.float64)
    w = torch.tensor(weights, dtype=torch.float64)
    truth = torch.tensor(target, dtype=torch.long)
    if of_labels:
        true_logs = torch.nn.functional.logsigmoid(torch.where(truth[:, None] == 1, z, -z))
        each = -(torch.logsumexp(true_logs, 1) - np.log(draws)) * torch.where(truth == 1, w, torch.ones_like(w))
        losses = torch.where(truth == IGNORE, torch.zeros_like(each), each).sum(1)
    else:
        true_logs = torch.log_softmax(z, 2).gather(2, truth[:, None, None].expand(items, draws, 1))[..., 0]
        losses = -(torch.logsumexp(true_logs, 1) - np.log(draws))
    loss = losses.sum()
    loss.backward()
    store(group, loss, x.grad, logits=outputs, target=target, noise=noise, class_weights=weights,
          losses=losses.detach().numpy())


def write(path, groups):
    with h5py.File(path, "w") as file:
        for name, values in groups.items():
            for key, value in values.items():
                file.create_dataset(f"{name}/{key}", data=value)


groups = {}


def case(name, function, *arguments):
    groups[name] = {}
    function(groups[name], *arguments)


#                      labels items spread log_variance weighted ignored
case("labels/one", labels, 1, 67, 2.0, 0.0, False, 0.2)
case("labels/many", labels, 41, 33, 3.0, 0.0, True, 0.3)
case("labels/steep", labels, 3, 50, 60.0, 0.0, False, 0.1)
case("labels/warm", labels, 5, 31, 3.0, 1.3, True, 0.2)
case("labels/cold", labels, 2, 29, 2.0, -1.1, False, 0.0)
case("huber/one", huber, 1, 133, 1.0, 0.2)
case("huber/narrow", huber, 3, 61, 0.25, 0.3)
case("huber/wide", huber, 2, 67, 7.5, 0.4)
case("cosine/space", cosine, 3, 131, 0.3)
case("cosine/plane", cosine, 2, 40, 0.0)
#                                    channels items function delta invalid
case("per_pixel/laplace", per_pixel_values, 2, 67, laplace_nll, 0.0, 0.3)
case("per_pixel/gaussian", per_pixel_values, 1, 71, gaussian_nll, 0.0, 0.3)
case("per_pixel/huber", per_pixel_values, 3, 65, huber_nll, 0.7, 0.3)
case("per_pixel/fisher", per_pixel_values, 3, 66, fisher_nll, 0.0, 0.3)
#                               channels items draws of_labels weighted
case("drawn/classes", per_pixel_draws, 7, 20, 10, False, False)
case("drawn/one", per_pixel_draws, 3, 9, 1, False, False)
case("drawn/labels", per_pixel_draws, 4, 20, 6, True, True)
write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "losses.h5"), groups)
