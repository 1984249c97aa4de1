"""Writes a small file as nyu_depth_v2_labeled.mat is: MATLAB 7.3, axes reversed, names as references, compressed.

nyuv2_mat.py OUTPUT IMAGES WIDTH HEIGHT [FLAW]...

With flaws it writes one file of each, OUTPUT.FLAW.
"""
import sys

import h5py
import numpy as np

# Labels of the official file by their place, from 1: those whose class among 40 has their name.
NAMED = {21: "wall", 11: "floor", 3: "cabinet", 157: "bed", 5: "chair", 83: "sofa", 19: "table", 28: "door",
         59: "window", 88: "bookshelf", 64: "picture", 7: "counter", 80: "blinds", 36: "desk", 42: "shelves",
         89: "curtain", 169: "dresser", 119: "pillow", 122: "mirror", 143: "floor mat", 141: "clothes", 4: "ceiling",
         85: "books", 17: "refridgerator", 172: "television", 15: "paper", 135: "towel", 123: "shower curtain",
         26: "box", 45: "whiteboard", 331: "person", 158: "night stand", 124: "toilet", 24: "sink", 144: "lamp",
         136: "bathtub", 55: "bag"}


def write(output, count, width, height, flaw):
    names = [NAMED.get(i, f"label {i}") for i in range(1, 895)]
    if flaw == "other-names":
        names[4], names[18] = names[18], names[4]
    if flaw == "few-names":
        names = names[:100]

    n, x, y = np.meshgrid(np.arange(count), np.arange(width), np.arange(height), indexing="ij")
    images = np.stack([(n * 31 + 7 * x + 11 * y + 50 * c) % 256 for c in range(3)], axis=1).astype(np.uint8)
    depths = (1 + n + x / 8 + y / 4).astype(np.float32)
    raw = np.where((x + y) % 5 == 0, 0, depths).astype(np.float32)
    labels = ((y * width + x + n) % 895).astype(np.uint16)
    instances = ((x // 4 + y // 3) % 3).astype(np.uint8)
    if flaw == "unknown-label":
        labels[-1, 2, 1] = 895
    if flaw == "negative-depth":
        depths[-1, 2, 1] = -1
    if flaw == "narrow-labels":
        labels = labels[:, 1:]
    if flaw == "float-labels":
        labels = labels.astype(np.float32)
    if flaw == "turned-images":
        images = images.transpose(0, 2, 3, 1)

    with h5py.File(output, "w", userblock_size=512) as mat:
        arrays = {"images": images, "depths": depths, "rawDepths": raw, "labels": labels, "instances": instances}
        for name, array in arrays.items():
            if (name, flaw) not in (("labels", "no-labels"), ("images", "no-images"), ("depths", "no-depths")):
                mat.create_dataset(name, data=array, compression="gzip", chunks=(min(count, 3), *array.shape[1:]))
        texts = mat.create_group("#refs#")
        references = np.empty((1, len(names)), dtype=h5py.ref_dtype)
        for i, name in enumerate(names):
            text = texts.create_dataset(f"n{i}", data=np.array([[ord(c)] for c in name], dtype=np.uint16))
            references[0, i] = text.ref
        if flaw == "bad-reference":
            references[0, 6] = h5py.Reference()
        if flaw == "group-reference":
            references[0, 6] = texts.ref
        if flaw != "no-names":
            mat.create_dataset("names", data=references if flaw != "number-names" else np.zeros((1, 894)),
                               dtype=h5py.ref_dtype if flaw != "number-names" else None)
    if flaw == "truncated":
        with open(output, "r+b") as mat:
            mat.truncate(20000)
    else:
        with open(output, "r+b") as mat:
            mat.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64 HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM")


output, count, width, height = sys.argv[1], *map(int, sys.argv[2:5])
for flaw in sys.argv[5:]:
    write(f"{output}.{flaw}", count, width, height, flaw)
if len(sys.argv) == 5:
    write(output, count, width, height, "")
