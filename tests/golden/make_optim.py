"""Writes optim.h5: ten steps of SGD and AdamW, gradient clipping and learning-rate schedules by PyTorch in float64.

    /usr/bin/python3 tests/golden/make_optim.py
"""
import os

import h5py
import numpy as np
import torch

random = np.random.default_rng(20180618)
STEPS, DECAYED, PLAIN = 10, 131, 37
rates = [0.02 * (1 - i / STEPS) ** 0.9 for i in range(STEPS)]


def run(make, start, gradients):
    """Two groups: the first with weight decay, the second without and with ten times the learning rate."""
    first = torch.tensor(start[:DECAYED], dtype=torch.float64, requires_grad=True)
    second = torch.tensor(start[DECAYED:], dtype=torch.float64, requires_grad=True)
    optimizer = make([{"params": [first]}, {"params": [second], "weight_decay": 0.0}])
    trace = []
    for i in range(STEPS):
        for group, scale in zip(optimizer.param_groups, (1, 10)):
            group["lr"] = scale * rates[i]
        gradient = torch.tensor(gradients[i], dtype=torch.float64)
        first.grad, second.grad = gradient[:DECAYED].clone(), gradient[DECAYED:].clone()
        optimizer.step()
        trace.append(torch.cat([first, second]).detach().numpy().copy())
    states = {name: np.concatenate([optimizer.state[p][name].numpy() for p in (first, second)])
              for name, value in optimizer.state[first].items() if name != "step" and value is not None}
    return np.stack(trace), states


def schedule(make, count):
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([parameter], lr=0.01)
    scheduler = make(optimizer)
    values = []
    for _ in range(count):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(values)


start = random.standard_normal(DECAYED + PLAIN).astype(np.float32)
gradients = random.standard_normal((STEPS, DECAYED + PLAIN)).astype(np.float32)
optimizers = {
    "sgd_plain": lambda p: torch.optim.SGD(p, lr=1, weight_decay=0.1),
    "sgd_momentum": lambda p: torch.optim.SGD(p, lr=1, momentum=0.8, weight_decay=0.1),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
}
lr = torch.optim.lr_scheduler
warm = lambda o: lr.LinearLR(o, start_factor=0.1, end_factor=1, total_iters=7)
schedules = {
    "poly": lambda o: lr.PolynomialLR(o, total_iters=40, power=0.9),
    "cosine": lambda o: lr.CosineAnnealingLR(o, T_max=40, eta_min=0.001),
    "step": lambda o: lr.MultiStepLR(o, milestones=[5, 11, 30], gamma=0.3),
    "constant": lambda o: lr.ConstantLR(o, factor=1.0),
    "poly_warm": lambda o: lr.ChainedScheduler([warm(o), lr.PolynomialLR(o, total_iters=40, power=2)]),
    "step_warm": lambda o: lr.ChainedScheduler([warm(o), lr.MultiStepLR(o, milestones=[5, 11, 30], gamma=0.3)]),
}

with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "optim.h5"), "w") as file:
    file["start"], file["gradients"], file["rates"] = start, gradients, np.array(rates)
    for name, make in optimizers.items():
        trace, states = run(make, start, gradients)
        file[f"{name}/parameters"] = trace
        for key, value in states.items():
            file[f"{name}/{key}"] = value
    for name, make in schedules.items():
        file[f"schedule/{name}"] = schedule(make, 41)
    parameter = torch.nn.Parameter(torch.zeros(DECAYED + PLAIN, dtype=torch.float64))
    parameter.grad = torch.tensor(gradients[0], dtype=torch.float64)
    file["clip/norm"] = torch.nn.utils.clip_grad_norm_([parameter], 2.5).item()
    file["clip/clipped"] = parameter.grad.numpy()
