"""Writes tasks.h5: losses and their gradients by PyTorch in float64, confusion matrices by scikit-learn, centroids by SciPy.

    /usr/bin/python3 tests/golden/make_tasks.py
"""
import os

import h5py
import numpy as np
import torch
from scipy import ndimage
from sklearn import metrics

random = np.random.default_rng(20180617)
IGNORE = 255


def cross_entropy(group, classes, pixels, spread, log_variance, weighted, ignored):
    logits = (spread * random.standard_normal((pixels, classes))).astype(np.float32)
    target = random.integers(0, classes, pixels).astype(np.uint8)
    target[random.random(pixels) < ignored] = IGNORE
    weights = random.uniform(0.1, 3, classes).astype(np.float32) if weighted else np.ones(classes, np.float32)
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    s = torch.tensor(log_variance, dtype=torch.float64, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(z * torch.exp(-s), torch.tensor(target, dtype=torch.long),
                                             torch.tensor(weights, dtype=torch.float64), ignore_index=IGNORE,
                                             reduction="sum")
    loss.backward()
    group.update({"logits": logits, "target": target, "class_weights": weights, "log_variance": log_variance,
                  "loss": loss.item(), "slope": s.grad.item(), "gradient": z.grad.numpy()})


def regression(group, channels, pixels, function, invalid):
    logits = (20 * random.standard_normal((pixels, channels))).astype(np.float32)
    target = (20 * random.standard_normal((pixels, channels))).astype(np.float32)
    target[random.random(pixels) < invalid] = np.nan
    logits[2] = target[2]
    x = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    valid = ~torch.isnan(torch.tensor(target))
    loss = function(x[valid], torch.tensor(target, dtype=torch.float64)[valid], reduction="sum")
    loss.backward()
    group.update({"logits": logits, "target": target, "loss": loss.item(), "slope": 0.0, "gradient": x.grad.numpy()})


def confusion(group, classes, shape, absent):
    """`absent` classes are neither in the truth nor predicted."""
    present = np.setdiff1d(np.arange(classes), absent)
    truth = random.choice(present, shape)
    predicted = np.where(random.random(shape) < 0.6, truth, random.choice(present, shape))
    logits = random.standard_normal((*shape, classes)).astype(np.float32)
    np.put_along_axis(logits, predicted[..., None], 9, -1)
    labels = np.where(random.random(shape) < 0.2, IGNORE, truth)
    kept = labels != IGNORE
    iou = metrics.jaccard_score(labels[kept], predicted[kept], labels=present, average=None)
    group.update({"logits": logits, "target": labels.astype(np.uint8), "present": present,
                  "matrix": metrics.confusion_matrix(labels[kept], predicted[kept], labels=np.arange(classes)),
                  "iou": iou, "miou": 100 * iou.mean(),
                  "accuracy": 100 * metrics.accuracy_score(labels[kept], predicted[kept])})


def vectors(instance):
    """Centroid minus position, x then y, on instances; NaN elsewhere."""
    out = np.full((*instance.shape, 2), np.nan)
    for number in np.unique(instance[instance > 0]):
        y, x = ndimage.center_of_mass(instance == number)
        rows, columns = np.nonzero(instance == number)
        out[rows, columns] = np.stack([x - columns, y - rows], -1)
    return out


def instances(group):
    """Blobs that overlap each other; ids up to the largest; then flip, enlarge 3 x 2 and crop, by array operations."""
    instance = np.zeros((33, 57), np.uint16)
    for number in (1, 2, 26001, 26002, 300, 65535):
        row, column = random.integers(0, 25), random.integers(0, 45)
        instance[row:row + random.integers(1, 12), column:column + random.integers(1, 16)] = number
    instance[32, 0] = instance[5, 50] = 777  # one instance in two far pieces
    whole = vectors(instance)
    enlarged = vectors(np.repeat(np.repeat(instance[:, ::-1], 2, axis=0), 3, axis=1))
    group.update({"instance": instance, "vectors": whole, "cropped": enlarged[9:9 + 31, 40:40 + 83]})


def write(path, groups):
    with h5py.File(path, "w") as file:
        for name, values in groups.items():
            for key, value in values.items():
                file.create_dataset(f"{name}/{key}", data=value)


groups = {}


def case(name, function, *arguments):
    groups[name] = {}
    function(groups[name], *arguments)


#                                         classes pixels spread log_variance weighted ignored
case("cross_entropy/two", cross_entropy, 2, 17, 1.0, 0.0, False, 0.3)
case("cross_entropy/steep", cross_entropy, 19, 131, 60.0, 0.0, False, 0.1)
case("cross_entropy/warm", cross_entropy, 19, 67, 3.0, 1.3, False, 0.2)
case("cross_entropy/cold", cross_entropy, 7, 65, 2.0, -1.1, True, 0.2)
case("cross_entropy/one", cross_entropy, 5, 1, 1.0, 0.4, True, 0.0)
case("cross_entropy/none", cross_entropy, 3, 5, 1.0, 0.0, False, 1.0)
case("instance/l1", regression, 2, 131, torch.nn.functional.l1_loss, 0.4)
case("instance/l2", regression, 2, 129, torch.nn.functional.mse_loss, 0.4)
case("depth/l1", regression, 1, 133, torch.nn.functional.l1_loss, 0.2)
case("depth/l2", regression, 1, 67, torch.nn.functional.mse_loss, 0.2)
case("confusion/some", confusion, 7, (13, 21), [2, 5])
case("confusion/all", confusion, 19, (17, 23), [])
case("centroids", instances)
write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tasks.h5"), groups)
