#!/usr/bin/env python3
"""Turns a PyTorch file of weights (.pth, .pt) into safetensors, which `[model] pretrained` and `sigmatic weights` read.

    python3 analysis/pth_to_safetensors.py resnet50.pth resnet50.safetensors

Needs torch (1.13 or newer) and numpy. The pickle is read with weights_only=True: nothing in it is executed.
"""
import argparse
import json
import os
import struct
import sys

import numpy as np
import torch

TYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}
NESTED = ("state_dict", "model_state_dict", "model")  # where training programs put the weights beside other things


def is_state_dict(loaded):
    return isinstance(loaded, dict) and any(isinstance(value, torch.Tensor) for value in loaded.values())


def find_state_dict(loaded, key=None):
    """The dictionary of tensors in what torch.load() gave."""
    if key is not None:
        if not isinstance(loaded, dict) or key not in loaded:
            raise ValueError(f"there is no '{key}' in it, but {', '.join(map(str, loaded)) or 'nothing'}")
        loaded = loaded[key]
    for name in NESTED:
        if not is_state_dict(loaded) and isinstance(loaded, dict) and is_state_dict(loaded.get(name)):
            loaded = loaded[name]
    if not is_state_dict(loaded):
        raise ValueError("there is no dictionary of tensors in it: name the one to take by --key")
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    for name, tensor in tensors.items():
        if tensor.dtype not in TYPES:
            raise ValueError(f"{name} is {tensor.dtype}, which is not written")
    return tensors


def bytes_of(tensor):
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:  # NumPy has no such type
        tensor = tensor.view(torch.int16)
    array = tensor.numpy()
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def write_safetensors(path, tensors, metadata):
    """Writes a dictionary of tensors (https://huggingface.co/docs/safetensors)."""
    header, offset = {"__metadata__": metadata}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(beside, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for tensor in tensors.values():
                file.write(bytes_of(tensor))
        os.replace(beside, path)
    finally:
        if os.path.exists(beside):
            os.remove(beside)


def numbers(text):
    return json.dumps([float(part) for part in text.split(",")])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", help="file that torch.save() wrote")
    parser.add_argument("output", help="safetensors file to write")
    parser.add_argument("--key", help="entry of the file that holds the tensors, where it is none of the usual ones")
    parser.add_argument("--mean", type=numbers, metavar="R,G,B", help="of the images in [0, 1] that the network expects; kept in the file")
    parser.add_argument("--std", type=numbers, metavar="R,G,B", help="their standard deviation")
    options = parser.parse_args()
    if (options.mean is None) != (options.std is None):
        parser.error("--mean goes with --std")
    if not options.output.endswith(".safetensors"):
        parser.error(f"{options.output}: a name that ends in .safetensors expected")
    try:
        tensors = find_state_dict(torch.load(options.input, map_location="cpu", weights_only=True), options.key)
    except Exception as error:  # torch.load raises whatever the pickle makes it raise
        sys.exit(f"{options.input}: {type(error).__name__}: {error}")
    metadata = {"format": "pt"}
    if options.mean:
        metadata.update(mean=options.mean, std=options.std)
    try:
        write_safetensors(options.output, tensors, metadata)
    except OSError as error:
        sys.exit(f"{options.output}: {type(error).__name__}: {error}")
    except Exception as error:  # a tensor that is no plain array of numbers: a sparse or a quantised one
        sys.exit(f"{options.input}: {type(error).__name__}: {error}")
    print(f"{options.output}: {len(tensors)} tensors, {np.sum([t.numel() for t in tensors.values()])} numbers")


if __name__ == "__main__":
    main()
