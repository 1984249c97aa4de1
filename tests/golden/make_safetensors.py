#!/usr/bin/env python3
"""Makes safetensors.safetensors with the format's own library (PyPI: safetensors, torch): every type that is read, a number by itself,
an empty tensor, text. test_safetensors.c knows the values."""
import os
import torch
from safetensors.torch import save_file

steps = torch.arange(12, dtype=torch.float64) / 8 - 0.5
save_file({
    "f64": (steps / 3).reshape(3, 4),
    "f32": steps.float().reshape(2, 3, 2),
    "f16": torch.tensor([1.0, -2.5, 2.0 ** -24, 65504, float("inf")], dtype=torch.float16),
    "bf16": torch.tensor([1.0, -2.5, 2.0 ** -100, 3.0 * 2.0 ** 100], dtype=torch.bfloat16),
    "i64": torch.tensor(7),
    "scalar": torch.tensor(0.25),
    "empty": torch.zeros(0, 3),
    "bool": torch.tensor([True, False]),
}, os.path.join(os.path.dirname(os.path.abspath(__file__)), "safetensors.safetensors"),
    {"format": "pt", "mean": "[0.5, 0.25, 0.125]", "note": "caf\u00e9"})
