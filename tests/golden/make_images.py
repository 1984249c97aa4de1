#!/usr/bin/env python3
"""Writes ../image_bytes.h: small PNG and JPEG files made by Pillow (and some PNGs by hand, of kinds that it cannot
write), with the pixels that Pillow reads out of the JPEGs, and EXIF data with what Pillow makes of each orientation."""
import io
import os
import struct
import textwrap
import zlib

import numpy as np
from PIL import Image, ImageOps


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_by_hand(width, height, bits, colours, interlace, rows):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows)))
            + chunk(b"IEND", b""))


y, x = np.mgrid[:8, :12]
colour = Image.fromarray(np.stack([x * 20, y * 30, (x + y) * 10], -1).astype(np.uint8))
grey = Image.fromarray((y * 30).astype(np.uint8))
palette = Image.fromarray(np.array([[0, 1, 2], [2, 0, 1]], np.uint8), "P")
palette.putpalette([10, 20, 30, 40, 50, 60, 255, 0, 128])
rgba = np.array([[[1, 2, 3, 0], [4, 5, 6, 128], [7, 8, 9, 255]]], np.uint8)

files = {
    "palette_png": encoded(palette, "PNG", bits=2),
    "grey_16_png": encoded(Image.fromarray(np.array([[0, 1, 256], [770, 65534, 65535]], np.uint16)), "PNG"),
    "rgba_png": encoded(Image.fromarray(rgba, "RGBA"), "PNG"),
    "one_bit_png": encoded(Image.fromarray(np.array([[0, 255, 0, 255, 255]], np.uint8)).convert("1"), "PNG"),
    # Adam7 of 2 x 2: one row with (0, 0), one with (0, 1), one with the second row
    "interlaced_png": png_by_hand(2, 2, 8, 0, 1, [0, 11, 0, 22, 0, 33, 44]),
    "grey_2_png": png_by_hand(5, 1, 2, 0, 0, [0, 0b00011011, 0b01000000]),
    "grey_4_png": png_by_hand(3, 1, 4, 0, 0, [0, 0x0f, 0x70]),
    "grey_alpha_png": encoded(Image.fromarray(np.array([[[7, 0], [200, 255]]], np.uint8), "LA"), "PNG"),
    "rgba_16_png": png_by_hand(1, 1, 16, 6, 0, [0, 0x12, 0x34, 0xff, 0xfe, 0, 1, 0x80, 0]),
    "rgb_16_png": png_by_hand(1, 2, 16, 2, 0, [0, 0x12, 0x34, 0xff, 0xfe, 0, 1, 0, 0xab, 0xcd, 0, 0, 0x80, 0]),
    # 256 MB are promised
    "huge_png": png_by_hand(16384, 16384, 8, 0, 0, [0] * 16385),
    "rgb_jpeg": encoded(colour, "JPEG", quality=95, subsampling=0, optimize=True),
    "grey_jpeg": encoded(grey, "JPEG", quality=90, optimize=True, progressive=True),
    "cmyk_jpeg": encoded(Image.fromarray(np.zeros((1, 1, 4), np.uint8), "CMYK"), "JPEG", quality=1, optimize=True),
}
exif = Image.Exif()
exif[0x0112] = 6
files["exif_of_6"] = exif.tobytes()
files["turned_png"] = encoded(Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)), "PNG", exif=exif)
# pixel i of 8 x 12 is i: where each goes
for orientation in range(1, 9):
    exif[0x0112] = orientation
    numbered = Image.fromarray(np.arange(96, dtype=np.uint8).reshape(8, 12))
    numbered.info["exif"] = exif.tobytes()
    files["upright_%d" % orientation] = np.asarray(ImageOps.exif_transpose(numbered)).tobytes()
for name in ("rgb_jpeg", "grey_jpeg"):
    files[name + "_pixels"] = np.asarray(Image.open(io.BytesIO(files[name]))).tobytes()

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "image_bytes.h"), "w") as out:
    out.write("/* Made by golden/make_images.py. */\n#ifndef SIGMATIC_TESTS_IMAGE_BYTES_H\n"
              "#define SIGMATIC_TESTS_IMAGE_BYTES_H\n\n#include <stdint.h>\n")
    for name, data in files.items():
        numbers = ", ".join("0x%02x" % byte for byte in data)
        out.write("\nstatic const uint8_t %s[%d] = {\n%s};\n"
                  % (name, len(data), "\n".join("    " + line for line in textwrap.wrap(numbers, 112))))
    out.write("\n#endif\n")
