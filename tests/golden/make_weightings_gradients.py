"""Writes weightings_gradients.h5: coefficients of tasks' gradients over fixed problems of two and three tasks.

    python3 -m venv venv && venv/bin/pip install "torchjd[full]" h5py
    git clone https://github.com/median-research-group/LibMTL
    LIBMTL=LibMTL/LibMTL venv/bin/python tests/golden/make_weightings_gradients.py

Each case is a group: gradients (T, K, D) and losses (T, K) of T steps, coefficients (T, K) of the tasks' gradients in the
shared one, the keys that are set (attribute `keys`), what made them (`source`), and `tolerance` with its reason in `why`.
torchjd 0.18.0 computes in float64 with its regularisations set to (nearly) 0. Its Frank-Wolfe and its convex solvers
stop early: there by_torchjd has what it says, and coefficients the same problem solved otherwise, to rounding.
"""
import importlib
import itertools
import os
import sys
import types

import h5py
import numpy as np
import scipy.optimize
import torch
import torchjd
from torchjd.aggregation import CAGrad, IMTLG, MGDA, AlignedMTL, NashMTL, PCGrad, UPGrad
from torchjd._linalg import QuadprogProjector

STEPS, SIZE = 6, 7
random = np.random.default_rng(20240623)
torch.set_default_dtype(torch.float64)
HERE = os.path.dirname(os.path.abspath(__file__))
TORCHJD = f"torchjd {getattr(torchjd, '__version__', '0.18.0')}"


def problem(tasks):
    """Gradients that conflict in some steps and not in others, of lengths a hundred times apart; losses that fall."""
    gradients = random.standard_normal((STEPS, tasks, SIZE))
    gradients[: STEPS // 2] += 1.2 * random.standard_normal((STEPS // 2, 1, SIZE))
    gradients[STEPS // 2 :] -= 0.6 * gradients[STEPS // 2 :].mean(axis=1, keepdims=True)
    gradients *= np.array([0.05, 1, 5])[:tasks, None]
    losses = np.array([0.4, 2.5, 30])[:tasks] * np.exp(-0.2 * np.arange(STEPS)[:, None] * random.random((STEPS, tasks)))
    return gradients, losses


PROBLEMS = {tasks: problem(tasks) for tasks in (2, 3)}


def equally_long(gradients):
    return 3 * gradients / np.linalg.norm(gradients, axis=2, keepdims=True)


def of_each_step(weighting, gradients):
    return np.stack([weighting(torch.tensor(g)).detach().numpy() for g in gradients])


def gram_weighting(aggregator):
    return lambda g: aggregator.gramian_weighting(g @ g.T)


def shortest(gradients):
    """min |sum alpha g| on the simplex, the shortest of those that are it on a face."""
    tasks, length = len(gradients), np.linalg.norm(gradients, axis=1)
    unit = gradients / length[:, None]
    best = None
    for support in (s for n in range(1, tasks + 1) for s in itertools.combinations(range(tasks), n)):
        rows = unit[list(support)]
        y = np.linalg.solve(rows @ rows.T, 1 / length[list(support)])
        alpha = np.zeros(tasks)
        alpha[list(support)] = y / length[list(support)]
        alpha /= alpha.sum()
        if (alpha >= 0).all() and (best is None or np.linalg.norm(alpha @ gradients) < np.linalg.norm(best @ gradients)):
            best = alpha
    return best


def bargain(gradients):
    """G alpha = 1 / alpha, by Levenberg and Marquardt's method from a good start."""
    gram = gradients @ gradients.T
    size = np.sqrt(np.diag(gram))
    cosine = gram / np.outer(size, size)
    start = -0.5 * np.log(cosine.sum() / len(size)) * np.ones(len(size))
    found = scipy.optimize.root(lambda z: np.exp(z) * (cosine @ np.exp(z)) - 1, start, method="lm", tol=1e-15)
    assert np.abs(found.fun).max() < 1e-11, found
    return np.exp(found.x) / size


def conflict_averse(gradients, c):
    """The problem over the simplex, by sequential quadratic programming from several starts."""
    gram, tasks = gradients @ gradients.T, len(gradients)
    mean = np.ones(tasks) / tasks
    radius = c * np.sqrt(mean @ gram @ mean)
    found = [scipy.optimize.minimize(lambda w: w @ gram @ mean + radius * np.sqrt(w @ gram @ w), start, method="SLSQP",
                                     bounds=[(0, 1)] * tasks, constraints={"type": "eq", "fun": lambda w: 1 - w.sum()},
                                     options={"ftol": 1e-15, "maxiter": 2000})
             for start in [mean, *(0.95 * np.eye(tasks) + 0.05 / tasks)]]
    w = min(found, key=lambda f: f.fun).x
    return mean + radius / np.sqrt(w @ gram @ w) * w


def shorten(alpha, gradients, most):
    norm = np.linalg.norm(alpha @ gradients)
    return alpha * (min(1, most / norm) if most else 1)


def libmtl(name):
    """A class of LibMTL's weighting/, without the package's __init__, which wants more than is needed here."""
    for package, folder in (("LibMTL", ""), ("LibMTL.weighting", "weighting")):
        module = sys.modules.setdefault(package, types.ModuleType(package))
        module.__path__ = [os.path.join(os.environ["LIBMTL"], folder)]
    return getattr(importlib.import_module("LibMTL.weighting." + name), name)


def gradnorm(gradients, losses, alpha, rate):
    """LibMTL's GradNorm: its backward() gives the weights of the step and the gradient of its own weights' logits; these
    then go down it, over the mean length of the weighted gradients."""
    class Fixed(libmtl("GradNorm")):
        def _get_grads(self, *_, **__):
            return torch.tensor(self.fixed)

        def _backward_new_grads(self, *_, **__):
            pass

    weighting = Fixed()
    weighting.task_num, weighting.device, weighting.rep_grad, weighting.epoch = losses.shape[1], "cpu", False, 1
    weighting.init_param()
    weighting.loss_scale.data = weighting.loss_scale.data.double() * 0
    weighting.train_loss_buffer = losses[0][:, None]
    weights = []
    for step, loss in zip(gradients, losses):
        weighting.fixed = step
        weighting.loss_scale.grad = None
        weights.append(np.array(weighting.backward(torch.tensor(loss), alpha=alpha)))
        mean = (weights[-1] * np.linalg.norm(step, axis=1)).mean()
        weighting.loss_scale.data -= rate / mean * weighting.loss_scale.grad
    return np.stack(weights)


def normalised(gradients, losses, kind):
    """LibMTL's normalisers of MGDA; its solver stops at 1e-5, so that only they are taken of it."""
    weighting = libmtl("MGDA")()
    weighting.device = "cpu"
    return np.stack([weighting._gradient_normalizers(torch.tensor(g), torch.tensor(l), kind).numpy()
                     for g, l in zip(gradients, losses)])


def pcgrad_in(order, gradients):
    """torchjd's PCGrad in given orders: order[i] permutes all tasks for task i."""
    draws = iter(order)
    original = torch.randperm
    torch.randperm = lambda n: torch.tensor(next(draws))
    try:
        return gram_weighting(PCGrad())(torch.tensor(gradients)).numpy()
    finally:
        torch.randperm = original


def write(file, method, tasks, coefficients, keys, source, tolerance, why, alike="", **more):
    gradients, losses = PROBLEMS[tasks]
    gradients = gradients if not alike else equally_long(gradients)
    name = "_".join([method, str(tasks), *([alike] if alike else []), *(k.split("=")[1].replace(".", "").replace("+", "plus") for k in keys.split(";") if k)])
    group = file.create_group(f"/cases/{name}")
    group.attrs.update(method=method, keys=keys, source=source, tolerance=tolerance, why=why)
    for dataset, values in {"gradients": gradients, "losses": losses, "coefficients": coefficients, **more}.items():
        group[dataset] = np.asarray(values, dtype="f8")


with h5py.File(os.path.join(HERE, "weightings_gradients.h5"), "w") as file:
    exact = "solved exactly by both: rounding, times the condition of the dot products"
    for tasks, (gradients, losses) in PROBLEMS.items():
        projector = QuadprogProjector(norm_eps=0.0, reg_eps=1e-14)
        write(file, "upgrad", tasks, of_each_step(gram_weighting(UPGrad(projector=projector)), gradients), "", TORCHJD,
              1e-8, "an addition of 1e-10 to a diagonal here")
        write(file, "imtl_g", tasks, of_each_step(gram_weighting(IMTLG()), gradients), "", TORCHJD, 1e-9, exact)
        write(file, "aligned_mtl", tasks, of_each_step(gram_weighting(AlignedMTL()), gradients), "", TORCHJD, 1e-9, exact)
        for c in (0.4, 0.9):
            by_torchjd = of_each_step(gram_weighting(CAGrad(c=c, norm_eps=0.0)), gradients)
            write(file, "cagrad", tasks, np.stack([conflict_averse(g, c) for g in gradients]), f"weighting.cagrad_c={c}",
                  f"{TORCHJD} (by_torchjd), then the same problem by scipy", 1e-5,
                  "the minimum to 1e-15, whose square root is the error of the minimiser", by_torchjd=by_torchjd)
        for kind in ("none", "l2", "loss", "loss+"):
            scaled = normalised(gradients, losses, kind)
            by_torchjd = of_each_step(gram_weighting(MGDA(epsilon=1e-9, max_iters=5000)), scaled)
            write(file, "mgda", tasks, np.stack([shortest(g) for g in scaled]), f"weighting.mgda_normalisation={kind}",
                  f"normalisation by LibMTL; minimum by {TORCHJD} (by_torchjd), then among all faces of the simplex by numpy",
                  1e-8, "an addition of 1e-10 to a diagonal here", by_torchjd=by_torchjd)
        for norm in (0, 1):
            for alike in ("", "equally_long"):
                steps = equally_long(gradients) if alike else gradients
                more = {}
                if alike:
                    solver = NashMTL(n_tasks=tasks, max_norm=norm, optim_niter=500)
                    more["by_torchjd"] = of_each_step(lambda g: solver.weighting(g), steps)
                write(file, "nash_mtl", tasks, np.stack([shorten(bargain(g), g, norm) for g in steps]),
                      f"weighting.nash_max_norm={norm}", "the paper's equations by scipy"
                      + (f", and {TORCHJD} (by_torchjd)" if alike else
                         ", for torchjd's series of approximations does not arrive where lengths differ"),
                      1e-9, "solved exactly by both", alike=alike, **more)
        for alpha, rate in ((1.5, 0.025), (0, 0.5)):
            write(file, "gradnorm", tasks, gradnorm(gradients, losses, alpha, rate),
                  f"weighting.gradnorm_alpha={alpha};weighting.gradnorm_learning_rate={rate}",
                  "LibMTL's GradNorm, its logits moved by their gradient over the mean length", 1e-6,
                  "LibMTL keeps the ratios of the losses in float32")
        orders = [np.array(o) for o in itertools.product(itertools.permutations(range(tasks)), repeat=tasks)]
        all_orders = [np.unique(np.round([pcgrad_in(o, g) for o in orders], 12), axis=0) for g in gradients]
        group = file.create_group(f"/pcgrad/{tasks}")
        group.attrs.update(source=TORCHJD + " in every order")
        group["gradients"], group["losses"] = gradients, losses
        for step, rows in enumerate(all_orders):
            group[f"coefficients_{step}"] = rows
