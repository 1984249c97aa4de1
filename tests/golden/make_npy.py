#!/usr/bin/env python3
"""Writes ../npy_bytes.h: small .npy files made by NumPy, one or more of each type, in both byte orders, in C and
Fortran order, in all formats, with the numbers that NumPy reads out of them."""
import io
import os
import textwrap

import numpy as np

# name, type in the file, numbers, shape, Fortran order, format
WHOLE = [-3, 0, 1, 2, 100, -128, 127, 5, -6, 7, 8, -9]
POSITIVE = [abs(n) for n in WHOLE]
REAL = [0.5, -1.25, 3, 65504, -0.0, 2.0 ** -24, float("inf"), float("-inf"), 1000.5, 7, -8, 2.0 ** -14]
FILES = [
    ("bool", "|b1", [n > 0 for n in WHOLE], (12,), False, (1, 0)),
    ("int8", "|i1", WHOLE, (3, 4), True, (1, 0)),
    ("uint8", "|u1", POSITIVE, (2, 3, 2), True, (2, 0)),
    ("int16", ">i2", WHOLE, (3, 4), False, (1, 0)),
    ("uint16", "<u2", [65535] + POSITIVE[1:], (2, 1, 2, 3), True, (3, 0)),
    ("int32", "<i4", [-2 ** 31] + WHOLE[1:], (12, 1), False, (1, 0)),
    ("uint32", ">u4", [2 ** 32 - 1] + POSITIVE[1:], (1, 12), True, (1, 0)),
    ("int64", ">i8", [-2 ** 63, 2 ** 63 - 1, 2 ** 24 + 1] + WHOLE[3:], (4, 3), True, (1, 0)),
    ("uint64", "<u8", [2 ** 63 - 1, 2 ** 40 + 2 ** 16 + 1] + POSITIVE[2:], (12,), True, (1, 0)),
    ("float16", ">f2", REAL, (3, 4), True, (1, 0)),
    ("float32", "<f4", REAL, (2, 2, 3), False, (1, 0)),
    ("float64", ">f8", [1 / 3, 1e300, 1e-300] + REAL[3:], (2, 3, 2), True, (2, 0)),
    ("scalar", "<f8", [2.5], (), False, (1, 0)),
    ("empty", "<f4", [], (0, 3), False, (1, 0)),
    ("whole_float", "<f4", [-1, 0, 19, 2.0 ** 62], (4,), False, (1, 0)),
]


def number(value):
    return {np.inf: "INFINITY", -np.inf: "-INFINITY"}.get(float(value), float(value).hex() + "f")


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "npy_bytes.h"), "w") as out, \
        np.errstate(over="ignore"):
    out.write("/* Made by golden/make_npy.py. */\n#ifndef SIGMATIC_TESTS_NPY_BYTES_H\n#define SIGMATIC_TESTS_NPY_BYTES_H\n\n"
              "#include <sigmatic/io/npy.h>\n\n#include <math.h>\n#include <stdint.h>\n")
    rows = []
    for name, kind, numbers, shape, fortran, version in FILES:
        array = np.array(numbers, kind).reshape(shape)
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.asfortranarray(array) if fortran else array, version)
        data = stream.getvalue()
        stream.seek(0)
        read = np.load(stream)
        floats, bits = read.astype(np.float32).ravel(), ", ".join("0x%02x" % byte for byte in data)
        out.write("\nstatic const uint8_t %s_npy[%d] = {\n%s};\n"
                  % (name, len(data), "\n".join("    " + line for line in textwrap.wrap(bits, 112))))
        wholes = all(np.isfinite(float(n)) and float(n) == int(n) for n in read.ravel())
        rows.append('    {"%s", %s_npy, sizeof %s_npy, SM_NPY_%s%d, %d, {%s}, %d, {%s}, %d, {%s}},\n' % (
            name, name, name, "BOOL" if kind[1] == "b" else kind[1].upper(), 8 * int(kind[2]), len(shape),
            ", ".join(map(str, shape or (0,))), read.size, ", ".join(map(number, floats)) or "0", wholes,
            (", ".join("INT64_MIN" if n == -2 ** 63 else str(int(n)) for n in read.ravel()) if wholes else "") or "0"))
    out.write("\nstatic const struct {\n    const char *name;\n    const uint8_t *file;\n    size_t bytes;\n    sm_npy_type type;\n"
              "    int rank;\n    size_t shape[SM_NPY_MAX_RANK], count;\n    float floats[12];\n    int are_whole;\n    int64_t wholes[12];\n"
              "} npy_files[] = {\n%s};\n\n#endif\n" % "".join(rows).replace("SM_NPY_BOOL8", "SM_NPY_BOOL"))
