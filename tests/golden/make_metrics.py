"""Writes metrics.h5: metrics of values, normals, depths, classes of samples and labels by scikit-learn (1.3 or later) and NumPy.

    /usr/bin/python3 tests/golden/make_metrics.py
"""
import os

import h5py
import numpy as np
from sklearn import metrics

random = np.random.default_rng(20201)
IGNORE = 255


def regression(components, items):
    truth = (random.standard_normal((items, components)) * [3, 0.1, 50][:components] + 7).astype(np.float32)
    found = (truth + random.standard_normal(truth.shape) * [1, 0.05, 60][:components]).astype(np.float32)
    kept = random.random(items) < 0.8
    t, f = truth[kept].astype(float), found[kept].astype(float)
    truth[~kept] = np.nan
    return {"target": truth, "logits": found,
            "expected": [np.abs(t - f).sum(1).mean(), np.sqrt(((t - f) ** 2).sum(1).mean()), metrics.r2_score(t, f)]}


def depth(items):
    truth = np.exp(random.uniform(-1, 5, items)).astype(np.float32)  # up to 148 m
    found = (truth * np.exp(0.3 * random.standard_normal(items))).astype(np.float32)
    found[:5] = [-3, 0, 1e-4, 500, truth[4]]
    kept = random.random(items) < 0.8
    kept[:5] = True
    t, f = np.minimum(truth[kept].astype(float), 80), np.minimum(found[kept].astype(float), 80)
    absolute, rms = metrics.mean_absolute_error(t, f), np.sqrt(metrics.mean_squared_error(t, f))
    f = np.maximum(f, 0.001)
    ratio = np.maximum(t / f, f / t)
    truth[~kept] = np.nan
    return {"target": truth, "logits": found,
            "expected": [absolute, rms, metrics.mean_absolute_percentage_error(t, f), np.mean((t - f) ** 2 / t),
                         np.sqrt(metrics.mean_squared_error(np.log(t), np.log(f))),
                         *[100 * np.mean(ratio < 1.25 ** k) for k in (1, 2, 3)]]}


def normals(items):
    truth = random.standard_normal((items, 3))
    truth = (truth / np.linalg.norm(truth, axis=1, keepdims=True)).astype(np.float32)
    found = (3 * (truth + random.uniform(0, 0.8, (items, 1)) * random.standard_normal(truth.shape))).astype(np.float32)
    kept = random.random(items) < 0.8
    t, f = truth[kept].astype(float), found[kept].astype(float)
    cosine = (t * f).sum(1) / np.linalg.norm(t, axis=1) / np.linalg.norm(f, axis=1)
    degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    truth[~kept] = np.nan
    return {"target": truth, "logits": found,
            "expected": [degrees.mean(), np.median(degrees), *[100 * np.mean(degrees < d) for d in (11.25, 22.5, 30)]]}


def classification(classes, items):
    truth, logits = random.integers(0, classes - 1, items), random.standard_normal((items, classes)).astype(np.float32)
    logits[np.arange(items), truth] += 1
    kept = random.random(items) < 0.8
    found = logits.argmax(1)
    every = np.arange(classes)
    recall = metrics.recall_score(truth[kept], found[kept], labels=every, average=None, zero_division=np.nan)
    top = metrics.top_k_accuracy_score(truth[kept], logits[kept], k=5, labels=every) if classes > 5 else np.nan
    return {"target": np.where(kept, truth, IGNORE).astype(np.uint8), "logits": logits,
            "expected": [100 * metrics.accuracy_score(truth[kept], found[kept]), 100 * top], "classes": 100 * recall}


def labels(count, items):
    truth = (random.random((items, count)) < 0.3).astype(np.uint8)
    logits = (random.standard_normal((items, count)) + 1.5 * truth - 0.7).astype(np.float32)
    truth[:, 1], logits[:, 1] = 0, -1  # neither there nor predicted
    known = random.random(truth.shape) < 0.8
    found = logits > 0
    f1, iou = np.full(count, np.nan), np.full(count, np.nan)
    for c in set(range(count)) - {1}:
        t, f = truth[known[:, c], c], found[known[:, c], c]
        f1[c], iou[c] = metrics.f1_score(t, f), metrics.jaccard_score(t, f)
    accuracy = metrics.accuracy_score(truth[known], found[known])
    return {"target": np.where(known, truth, IGNORE).astype(np.uint8), "logits": logits,
            "expected": 100 * np.array([np.nanmean(f1), accuracy, np.nanmean(iou)]), "classes": 100 * np.array([f1, iou])}


with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics.h5"), "w") as file:
    for name, values in {"regression": regression(1, 157), "regression3": regression(3, 211), "depth": depth(301),
                         "normals": normals(211), "classification": classification(9, 143),
                         "classification4": classification(4, 91), "labels": labels(4, 203)}.items():
        for key, value in values.items():
            file[f"{name}/{key}"] = np.asarray(value, float if key in ("expected", "classes") else None)
