"""Writes optics.h5: orders, reachabilities, cores, predecessors and labels by scikit-learn 1.9, and ELKI's orders and
reachabilities, which scikit-learn's own tests hold.

    python3 tests/golden/make_optics.py
"""
import ast
import inspect
import os
import warnings

import h5py
import numpy as np
from sklearn import cluster
from sklearn.cluster.tests import test_optics

random = np.random.default_rng(1999)
groups = {}


def case(name, points, min_samples, max_distance=np.inf, threshold=None):
    points = np.asarray(points, dtype=np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "all reachability values are inf" is a case
        # algorithm="auto" may take distances by expanded squares, which are not exact
        found = cluster.OPTICS(min_samples=min_samples, max_eps=max_distance, algorithm="kd_tree",
                               cluster_method="dbscan", eps=threshold).fit(points)
    groups[name] = {"points": points, "min_samples": min_samples, "max_distance": max_distance,
                    "threshold": max_distance if threshold is None else threshold, "order": found.ordering_,
                    "reachability": found.reachability_, "core_distance": found.core_distances_,
                    "predecessor": found.predecessor_, "labels": found.labels_}


def elki():
    """test_compare_to_ELKI's local lists: reachability, order and predecessor of two runs."""
    lists = {}
    for node in ast.walk(ast.parse(inspect.getsource(test_optics.test_compare_to_ELKI))):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            expression = compile(ast.Expression(node.value), "list", "eval")
            lists[node.targets[0].id] = np.array(eval(expression, {"np": np}))
    for name, run, max_distance in (("all", "1", np.inf), ("near", "2", 0.5)):
        groups[f"elki/{name}"] = {"points": test_optics.X, "min_samples": 5, "max_distance": max_distance,
                                  "order": lists["o" + run], "predecessor": lists["p" + run],
                                  "reachability": lists["r" + run]}


def blobs(centres, points, spread):
    centres = np.asarray(centres)
    return centres[random.integers(0, len(centres), points)] + spread * random.standard_normal((points, 2))


def lattice(side, step):
    y, x = np.divmod(random.permutation(side * side), side)
    return step * np.stack([x, y], -1)


def centroids():
    """Pixel plus a float vector, as a network gives it: six objects of a picture, and stray ones."""
    objects = [(12, 20), (40, 22), (44, 30), (90, 50), (96, 50), (70, 10)]
    chosen = random.integers(0, len(objects), 420)
    pixel = np.asarray(objects)[chosen] + random.integers(-8, 9, (420, 2))
    vector = (np.asarray(objects)[chosen] - pixel + 0.8 * random.standard_normal((420, 2))).astype(np.float32)
    return np.concatenate([pixel + vector.astype(np.float64), random.uniform(0, 128, (40, 2))])


spread = blobs(random.uniform(-20, 20, (6, 2)), 300, 1.0)
case("cases/blobs_infinite", spread, 5, np.inf, 1.5)
case("cases/blobs_finite", spread, 8, 2.0, 1.0)
case("cases/blobs_pairs", spread, 2, 0.7, 0.7)
case("cases/blobs_many_samples", spread, 60, np.inf, 3.0)
case("cases/uniform", random.uniform(0, 1, (350, 2)), 10, 0.2, 0.09)
case("cases/lattice_infinite", lattice(13, 1), 4, np.inf, 1.0)
case("cases/lattice_to_neighbours", lattice(13, 1), 5, 1.0, 1.0)
case("cases/lattice_diagonal", lattice(13, 1), 6, np.sqrt(2), np.sqrt(2))
case("cases/lattice_of_tenths", lattice(14, 0.1), 5, 0.25, 0.15)
case("cases/lattice_far_away", 1e6 + lattice(9, 0.3), 4, 0.7, 0.35)
duplicates = np.repeat(random.integers(0, 9, (25, 2)), random.integers(1, 14, 25), axis=0)
case("cases/duplicates", random.permutation(duplicates), 6, 3.0, 1.0)
case("cases/duplicates_infinite", random.permutation(duplicates), 3, np.inf, 1.0)
case("cases/duplicates_no_distance", random.permutation(duplicates), 3, 0.0, 0.0)
case("cases/all_equal", np.full((70, 2), 3.25), 7, 1.0, 0.5)
case("cases/collinear", np.stack([np.round(random.uniform(0, 30, 120), 1), np.zeros(120)], -1), 4, 2.0, 0.4)
case("cases/collinear_steps", 0.1 * np.stack([random.permutation(90)] * 2, -1), 3, 0.5, 0.15)
case("cases/as_many_as_samples", random.uniform(0, 1, (9, 2)), 9, np.inf, 0.6)
case("cases/two", [[0, 0], [3, 4]], 2, 5.0, 5.0)
case("cases/two_too_far", [[0, 0], [3, 4]], 2, 4.9, 4.0)
case("cases/all_noise", 10 * lattice(6, 1), 3, 5.0, 5.0)
case("cases/centroids", centroids(), 8, 6.0, 2.0)
case("cases/centroids_infinite", centroids(), 10, np.inf, 1.5)
elki()

with h5py.File(os.path.join(os.path.dirname(os.path.abspath(__file__)), "optics.h5"), "w") as file:
    for group, values in groups.items():
        for key, value in values.items():
            value = np.asarray(value)
            real = value.ndim == 0 or key in ("points", "reachability", "core_distance")
            file.create_dataset(f"{group}/{key}", data=value.astype(np.float64 if real else np.int32))
