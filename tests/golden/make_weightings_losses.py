"""Writes weightings_losses.h5: weights, totals and states of weightings from losses over 40 steps of 2 and of 3 tasks.

    LIBMTL=FOLDER FAMO=FOLDER AUTOMATIC=FOLDER /usr/bin/python3 tests/golden/make_weightings_losses.py

The folders are clones of median-research-group/LibMTL, Cranial-XIX/FAMO and Mikoto10032/AutomaticWeightedLoss; their
code runs here, in float64, and only numbers are kept. The attribute made_by of each group says whose they are:

    dwa, gls, rlw, imtl_l    LibMTL's classes; rlw is given its normal numbers, which a Philox written here from its
                             paper draws
    famo                     the authors' class FAMO
    revised_uncertainty      AutomaticWeightedLoss's module, whose parameters are sigma
    uw_o, uw_so              NumPy, from the paper's equations: there is no published code

A group METHOD_K has loss (STEPS, K), weight, total, and what the method has besides: loss_after (by the updated
parameters), logit (before each step), s (at each step, moved by 0.1 times its slope after it), slope, epoch.
"""
import importlib
import os
import sys
import types

import h5py
import numpy as np
import torch

STEPS, EPOCH_STEPS, SEED, RATE = 40, 8, 11, 0.1
torch.set_default_dtype(torch.float64)


def packages(name, folder):
    """Makes modules of a package importable without what its __init__ wants."""
    module = types.ModuleType(name)
    module.__path__ = [folder]
    sys.modules[name] = module


packages("LibMTL", os.environ["LIBMTL"] + "/LibMTL")
packages("LibMTL.weighting", os.environ["LIBMTL"] + "/LibMTL/weighting")
sys.path[:0] = [os.environ["FAMO"], os.environ["AUTOMATIC"]]
from famo import FAMO  # noqa: E402
from AutomaticWeightedLoss import AutomaticWeightedLoss  # noqa: E402


def problem(tasks):
    """Losses of different size that fall at different rates, noisily, and what an update makes of each."""
    random = np.random.default_rng(20180618 + tasks)
    start, rate = np.array([2.5, 40.0, 0.03])[:tasks], np.array([0.05, 0.01, 0.08])[:tasks]
    steps = np.arange(STEPS)[:, None]
    loss = start * np.exp(-rate * steps) * np.exp(0.2 * random.standard_normal((STEPS, tasks)))
    return loss, loss * np.exp(-0.03 * random.standard_normal((STEPS, tasks)) - rate)


def libmtl(name, tasks):
    """Its weighting of that name, as its trainer prepares one."""
    weighting = getattr(importlib.import_module("LibMTL.weighting." + name), name)()
    weighting.task_num, weighting.device, weighting.rep_grad = tasks, "cpu", False
    weighting.init_param()
    return weighting


def weigh(weighting, losses, **options):
    """Weights, d total / d L, that its backward leaves."""
    leaf = torch.tensor(losses, requires_grad=True)
    weighting.backward(leaf, **options)
    return leaf.grad.numpy()


def dwa(loss, after):
    weighting, tasks = libmtl("DWA", loss.shape[1]), loss.shape[1]
    epoch = np.arange(STEPS) // EPOCH_STEPS
    weighting.train_loss_buffer = loss.reshape(-1, EPOCH_STEPS, tasks).mean(1).T
    weights = []
    for i in range(STEPS):
        weighting.epoch = epoch[i]
        weights.append(weigh(weighting, loss[i], T=2.0))
    weights = np.stack(weights)
    return {"weight": weights, "total": (weights * loss).sum(1), "epoch": epoch}


def gls(loss, after):
    weights = np.stack([weigh(libmtl("GLS", loss.shape[1]), losses) for losses in loss])
    return {"weight": weights, "total": loss.prod(1) ** (1 / loss.shape[1])}


def philox(key, counter):
    """Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011)."""
    words, (k0, k1) = list(counter), key
    for _ in range(10):
        a, b = 0xD2511F53 * words[0], 0xCD9E8D57 * words[2]
        words = [(b >> 32) ^ words[1] ^ k0, b & 0xFFFFFFFF, (a >> 32) ^ words[3] ^ k1, a & 0xFFFFFFFF]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return words


def normal(step, task):
    """By Box and Muller from 24 bits each, of the stream that src/weighting/rlw.c names."""
    word = 0xCBF29CE484222325
    for letter in b"weighting.rlw":  # FNV-1a
        word = (word ^ letter) * 0x100000001B3 & (2**64 - 1)
    key = SEED ^ word
    draws = philox((key & 0xFFFFFFFF, key >> 32), (0, task, step & 0xFFFFFFFF, step >> 32))
    first, second = ((draw >> 8) * 2.0**-24 for draw in draws[:2])
    return np.sqrt(-2 * np.log(1 - first)) * np.cos(2 * np.pi * second)


def rlw(loss, after):
    tasks = loss.shape[1]
    weights, plain = [], torch.randn
    for i in range(STEPS):
        torch.randn = lambda count: torch.tensor([normal(i + 1, task) for task in range(count)])
        weights.append(weigh(libmtl("RLW", tasks), loss[i]))
    torch.randn = plain
    weights = np.stack(weights)
    return {"weight": weights, "total": (weights * loss).sum(1)}


def imtl_l(loss, after):
    """With losses of a shared parameter, for the class balances gradients too, and of a parameter of each task, whose
    gradient is the factor of its loss."""
    tasks = loss.shape[1]
    weighting = libmtl("IMTL", tasks)
    shared = torch.zeros(5, requires_grad=True)
    directions = torch.tensor(np.random.default_rng(tasks).standard_normal((tasks, 5)))
    weighting.get_share_params = lambda: [shared]
    weighting.zero_grad_share_params = lambda: setattr(shared, "grad", None)
    found = {"s": [], "slope": [], "weight": []}
    for losses in loss:
        own = torch.zeros(tasks, requires_grad=True)
        shared.grad = torch.zeros(5)
        weighting.loss_scale.grad = None
        found["s"].append(weighting.loss_scale.detach().numpy().copy())
        weighting.backward(torch.tensor(losses) + directions @ shared + own)
        found["slope"].append(weighting.loss_scale.grad.numpy().copy())
        found["weight"].append(own.grad.numpy().copy())
        with torch.no_grad():
            weighting.loss_scale -= RATE * weighting.loss_scale.grad
    found = {name: np.stack(rows) for name, rows in found.items()}
    return {**found, "total": (found["weight"] * loss - found["s"]).sum(1)}


def revised_uncertainty(loss, after):
    module = AutomaticWeightedLoss(loss.shape[1])
    s = np.zeros(loss.shape[1])
    found = {"s": [], "slope": [], "weight": [], "total": []}
    for losses in loss:
        module.params.data = torch.tensor(np.exp(s / 2))
        module.params.grad = None
        leaf = torch.tensor(losses, requires_grad=True)
        total = module(*leaf)
        total.backward()
        slope = (module.params.grad * module.params / 2).detach().numpy()
        for name, value in (("s", s), ("slope", slope), ("weight", leaf.grad.numpy()), ("total", total.item())):
            found[name].append(value)
        s = s - RATE * slope
    return {name: np.stack(rows) for name, rows in found.items()}


def famo(loss, after):
    authors = FAMO(loss.shape[1], "cpu", gamma=0.001, w_lr=0.025)
    found = {"logit": [], "weight": [], "total": []}
    for losses, losses_after in zip(loss, after):
        found["logit"].append(authors.w.detach().numpy().copy())
        leaf = torch.tensor(losses, requires_grad=True)
        found["total"].append(authors.backward(leaf).item())
        found["weight"].append(leaf.grad.numpy())
        with torch.no_grad():
            authors.update(torch.tensor(losses_after))
    return {**{name: np.stack(rows) for name, rows in found.items()}, "loss_after": after}


def uw_o(loss, after):
    return {"weight": 1 / loss, "total": np.log(loss).sum(1)}


def uw_so(loss, after):
    powers = np.exp(1 / loss - (1 / loss).max(1, keepdims=True))
    weights = powers / powers.sum(1, keepdims=True)
    return {"weight": weights, "total": (weights * loss).sum(1)}


MADE_BY = {
    dwa: "LibMTL at 43368048, LibMTL/weighting/DWA.py",
    gls: "LibMTL at 43368048, LibMTL/weighting/GLS.py",
    rlw: "LibMTL at 43368048, LibMTL/weighting/RLW.py, with normal numbers of a Philox in NumPy",
    imtl_l: "LibMTL at 43368048, LibMTL/weighting/IMTL.py",
    famo: "Cranial-XIX/FAMO at 0a6ad06d, famo.py",
    revised_uncertainty: "Mikoto10032/AutomaticWeightedLoss at 40b15304, AutomaticWeightedLoss.py",
    uw_o: "NumPy, from the paper's equations",
    uw_so: "NumPy, from the paper's equations",
}

with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "weightings_losses.h5"), "w") as file:
    for method, made_by in MADE_BY.items():
        for tasks in (2, 3):
            loss, after = problem(tasks)
            group = file.create_group(f"{method.__name__}_{tasks}")
            group.attrs["made_by"] = made_by
            for name, values in {"loss": loss, **method(loss, after)}.items():
                group.create_dataset(name, data=np.asarray(values, dtype=np.float64))
