#!/usr/bin/env python3
"""Turns a PyTorch file of weights (.pth, .pt) into safetensors, which `[model] pretrained` and `sigmatic weights` read.

    python3 analysis/pth_to_safetensors.py resnet50.pth resnet50.safetensors

The file holds a state_dict, or a checkpoint with one in an entry: "state_dict", "model", or the only one that is a dictionary of
tensors; else --key names it. Needs torch (1.13 or newer) and numpy. The pickle is read with weights_only=True: nothing in it is
executed. A model saved as a whole, torch.save(model), is code, and refused with what to do.
"""
import argparse
import json
import os
import re
import struct
import sys
import zipfile

import script

script.needs("numpy", "torch")

import torch

TYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}
NESTED = ("state_dict", "model_state_dict", "model")  # where training programs put the weights beside other things


def is_state_dict(loaded):
    """Tensors by name. A checkpoint may have tensors too, but beside a state_dict."""
    return isinstance(loaded, dict) and any(isinstance(value, torch.Tensor) for value in loaded.values()) and \
        not any(is_state_dict(value) for value in loaded.values())


def holds_weights(loaded):
    return is_state_dict(loaded) or (isinstance(loaded, dict) and any(is_state_dict(loaded.get(name)) for name in NESTED))


def find_key(loaded):
    """The entry of a checkpoint that holds the weights."""
    if not isinstance(loaded, dict):
        raise ValueError(f"holds a {type(loaded).__name__}, a dictionary of tensors expected")
    found = [name for name, value in loaded.items() if holds_weights(value)]
    usual = [name for name in NESTED if name in found]
    if not found:
        raise ValueError(f"there is no dictionary of tensors in it, but {', '.join(map(str, list(loaded)[:8])) or 'nothing'}")
    if not usual and len(found) > 1:
        raise ValueError(f"several dictionaries of tensors are in it: one of --key {', --key '.join(map(str, found))} expected")
    return (usual or found)[0]


def find_state_dict(loaded, key=None):
    """What torch.load() gave -> (the dictionary of tensors, by which keys it was found)"""
    keys = []
    while key is not None or not is_state_dict(loaded):
        if key is not None and (not isinstance(loaded, dict) or key not in loaded):
            raise ValueError(f"there is no '{key}' in it, but {', '.join(map(str, loaded)) or 'nothing'}" if isinstance(loaded, dict) else
                             f"there is no '{key}' in it, it holds a {type(loaded).__name__}")
        keys.append(find_key(loaded) if key is None else key)
        loaded, key = loaded[keys[-1]], None
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    for name, tensor in tensors.items():
        if tensor.dtype not in TYPES:
            raise ValueError(f"{name} is {tensor.dtype}, which is not written")
    return tensors, keys


def refuse_others(path):
    """Files that torch.load() shall not see: of other kinds, cut ones, and programs, which it would load whatever it is told."""
    with open(path, "rb") as file:
        start = file.read(9)
    if start[8:] == b"{" or start.startswith(b"\x89HDF"):
        raise ValueError(f"{'safetensors' if start[8:] == b'{' else 'HDF5'} already, which needs no conversion")
    if start.startswith(b"PK"):
        if not zipfile.is_zipfile(path):
            raise ValueError("truncated: the zip archive that it begins as has no end")
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise ValueError(f"a TorchScript program, not weights. Where you trust it, torch.save(torch.jit.load({path!r}).state_dict(), "
                                 "'weights.pth') writes its weights")
    elif not start.startswith(b"\x80"):
        raise ValueError("not a file that torch.save() writes")


def advice(error):
    """What to do about a pickle that torch.load() refuses, in a line."""
    words = str(error)
    kind = re.search(r"(?:GLOBAL|class) ([\w.]+)", words)
    if kind:
        return (f"holds Python objects ({kind.group(1)}), as torch.save(model) writes them: loading those executes what the file says, "
                "which is not done here. In the program that made it, torch.save(model.state_dict(), 'weights.pth') writes weights alone")
    if re.search("Unsupported operand", words):
        return f"PyTorch {torch.__version__} cannot read it without executing it: a newer one (2.0 or later) can"
    return f"{type(error).__name__}: {words.splitlines()[0] if words else 'cannot be read'}"


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
        refuse_others(options.input)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        sys.exit(f"{options.input}: {getattr(error, 'strerror', None) or error}")
    try:
        loaded = torch.load(options.input, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever the pickle makes it raise
        sys.exit(f"{options.input}: {advice(error)}")
    try:
        tensors, keys = find_state_dict(loaded, options.key)
    except ValueError as error:
        sys.exit(f"{options.input}: {error}")
    metadata = {"format": "pt"}
    if options.mean:
        metadata.update(mean=options.mean, std=options.std)
    try:
        write_safetensors(options.output, tensors, metadata)
    except OSError as error:
        sys.exit(f"{options.output}: {error.strerror or error}")
    except Exception as error:  # a tensor that is no plain array of numbers: a sparse or a quantised one
        sys.exit(f"{options.input}: {type(error).__name__}: {error}")
    numbers_of_all, origin = sum(tensor.numel() for tensor in tensors.values()), "".join(f"['{key}']" for key in keys)
    print(f"{options.output}: {len(tensors)} tensors, {numbers_of_all} numbers{' of ' * bool(origin)}{origin}")


if __name__ == "__main__":
    script.run(main)
