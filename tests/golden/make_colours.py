"""Writes colours.h5: images under torchvision's changes of brightness, contrast, saturation and hue, in float64.

    python3 tests/golden/make_colours.py          # needs torch, torchvision, h5py, numpy
"""
import os

import h5py
import numpy as np
import torch
from torchvision.transforms import functional

random = np.random.default_rng(20130613)
CASES, HEIGHT, WIDTH = 12, 9, 13
CHANGES = [functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation, functional.adjust_hue]


def image(case):
    pixels = random.integers(0, 256, (HEIGHT, WIDTH, 3))
    pixels[0] = pixels[0, :, :1]                  # grey: without a hue
    pixels[1, :, case % 3] = 255
    pixels[2, :, :2] = pixels[2, :, 2:3] // 2     # two channels alike
    pixels[3] = random.choice([0, 255], (WIDTH, 3))
    return pixels.astype(np.uint8)


def main():
    images = np.stack([image(case) for case in range(CASES)])
    orders = np.stack([random.permutation(4) for _ in range(CASES)])
    factors = random.uniform(0.5, 1.6, (CASES, 4))
    factors[:, 3] = random.uniform(-0.5, 0.5, CASES)
    factors[:4] = np.where(np.eye(4) == 1, factors[:4], [1, 1, 1, 0])  # each alone, then all
    factors[4, :3] = 0, 1, 0
    expected = np.zeros((CASES, HEIGHT, WIDTH, 3))
    for case in range(CASES):
        picture = torch.tensor(images[case] / 255.0).permute(2, 0, 1)
        for change in orders[case]:
            picture = CHANGES[change](picture, factors[case, change])
        expected[case] = picture.permute(1, 2, 0).numpy()
    with h5py.File(os.path.join(os.path.dirname(__file__), "colours.h5"), "w") as file:
        for name, values in {"image": images, "order": orders.astype(np.int32), "factor": factors,
                             "expected": expected}.items():
            file[f"jitter/{name}"] = values


main()
