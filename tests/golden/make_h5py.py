#!/usr/bin/env python3
"""Writes h5py.h5: what files by other hands may hold, for test_h5.c. It starts with a user block, so that offsets count."""
import os

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))

with h5py.File(os.path.join(HERE, "h5py.h5"), "w", userblock_size=512) as file:
    file.attrs["text"] = "caf\u00e9"
    file.attrs["fixed"] = np.bytes_("abc")
    file.attrs["padded"] = np.array([b"ab", b"abcd", b""], dtype="S4")
    file.attrs["texts"] = ["road", "side walk"]
    file.attrs["bool"] = True
    file.attrs["bools"] = np.array([True, False, True])
    file.attrs["small"] = np.int8(-5)
    file.attrs["one"] = np.array([7], np.uint16)
    file.attrs["half"] = np.float16(0.5)
    file.attrs["swapped"] = np.array([1.5, -2], ">f4")
    file.attrs["palette"] = np.arange(6, dtype=np.uint8).reshape(2, 3)
    file.attrs["empty"] = h5py.Empty("f")
    file["half"] = np.array([[0.5, -2], [1, 65504]], np.float16)
    file["swapped"] = np.array([1, -2, 3e5], ">f4")
    file["swapped_words"] = np.array([1, 65535], ">u2")
    file["bytes"] = np.array([-1, 127], np.int8)
    file["large"] = np.array([2**64 - 1], np.uint64)
    file["flags"] = np.array([True, False])
    file["names"] = np.array([b"one", b"three"])
    file["texts"] = ["one", "caf\u00e9"]
    file["plain"] = np.arange(1000, dtype=np.float32)
    file["null"] = h5py.Empty("f")
    file.create_dataset("late", (4, 5), np.float32)
    file.create_dataset("chunked", data=np.arange(10, dtype=np.int32), chunks=(4,), compression="gzip")
    file["linked"] = h5py.SoftLink("/plain")
    file["dangling"] = h5py.SoftLink("/nowhere")
