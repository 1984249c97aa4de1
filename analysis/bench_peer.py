#!/usr/bin/env python3
"""Which PyTorch bench.py compares with: the newest that a Python of this machine can import.

    analysis/bench_peer.py      lists each PyTorch found, the newest first, and why others were passed over; fails without one

Looked at are build/torch beside analysis/ (`make bench-setup`), python3, /usr/bin/python3 and every python3.N on the PATH;
with PYTHON_TORCH in the environment that one alone. PyTorch counts where torchvision comes with it, whose networks are used.
"""

import glob
import json
import os
import re
import subprocess
import sys

import script

SOURCES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MADE_BY_SETUP = os.path.join(SOURCES, "build", "torch", "bin", "python")
OLDEST_CURRENT = (2, 0)
GET_CURRENT = "'make bench-setup' puts PyPI's current PyTorch into build/torch"
PROBE_SECONDS, COMPILE_SECONDS = 300, 900  # of machines that others load

# What a Python says of its PyTorch. With ONEDNN_VERBOSE oneDNN itself says by which instructions it would compute.
PROBE = """
import json, platform, re, sys
import torch, torchvision
one_dnn = re.search(r"(?:MKL-DNN|oneDNN) v(\\S+)", torch.__config__.show())
one_dnn = one_dnn[1] if one_dnn and torch.backends.mkldnn.is_available() else None
if one_dnn:
    torch.nn.functional.conv2d(torch.ones(2, 64, 32, 32), torch.ones(64, 64, 3, 3))  # smaller ones go without it
capability = getattr(torch.backends, "cpu", None)
print(json.dumps({"executable": sys.executable, "python": platform.python_version(), "file": torch.__file__,
                  "torch": torch.__version__, "torchvision": torchvision.__version__, "one_dnn": one_dnn,
                  "capability": capability.get_cpu_capability() if capability else None}))
"""

# As much of a network as tells whether its steps can be compiled: forward and backward, into C++ that is built and loaded.
COMPILE = """
import torch
weight = torch.ones(8, 8, requires_grad=True)
torch.compile(lambda x: (x @ weight).relu().sum())(torch.ones(8, 8)).backward()
"""


def version_of(text):
    """(2, 15, 0) of "2.15.0+cu132" """
    return tuple(int(number or 0) for number in re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text).groups())


def candidates():
    """Paths of the Pythons to be asked, each once."""
    if os.environ.get("PYTHON_TORCH"):
        return [os.environ["PYTHON_TORCH"]]
    paths = [MADE_BY_SETUP] if os.path.exists(MADE_BY_SETUP) else []
    folders = dict.fromkeys([*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/bin"])
    for folder in folders:
        paths += sorted(path for path in glob.glob(os.path.join(folder or ".", "python3*"))
                        if re.fullmatch(r"python3(\.\d+)?", os.path.basename(path)) and os.access(path, os.X_OK))
    once = {(os.path.realpath(os.path.dirname(path)), os.path.realpath(path)): path for path in reversed(paths)}
    return [path for path in paths if path in once.values()]


def run(python, code, environment, seconds):
    """(what it printed, None), or (None, why it failed)"""
    try:
        done = subprocess.run([python, "-c", code], env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return None, f"not done within {seconds} s"
    except OSError as error:
        return None, error.strerror
    if done.returncode:
        return None, last_error(done.stderr) or f"exit code {done.returncode}"
    return done.stdout, None


def last_error(text):
    """The exception's line of a traceback, behind which there may be advice; else the first one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Unsupported|Failed)\w*: ", line)]
    return errors[-1] if errors else lines[0] if lines else ""


def ask(python, environment):
    """(what this Python says of its PyTorch, None), or (None, why it has none)"""
    printed, why = run(python, PROBE, {**environment, "ONEDNN_VERBOSE": "1"}, PROBE_SECONDS)
    if why:
        return None, why
    said = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
    isa = re.search(r"^(?:onednn|dnnl)_verbose.*,cpu,isa:(.*)$", printed, re.M)
    return {**said, "one_dnn_isa": isa[1] if isa else None}, None


def find(environment=None):
    """(each PyTorch once, the newest first; [(Python, why it has none)]). \\param environment  in which it will compute"""
    found, passed_over = {}, []
    for python in candidates():
        said, why = ask(python, environment or {})
        if said:
            found.setdefault(said["file"], said)
        else:
            passed_over.append((python, why))
    return sorted(found.values(), key=lambda peer: version_of(peer["torch"]), reverse=True), passed_over


def has_torch(why):
    """Whether who was passed over has a PyTorch all the same, which someone may have meant to be compared with."""
    return bool(re.search("Error|within", why)) and not why.endswith("No module named 'torch'")


def is_current(version):
    return version_of(version) >= OLDEST_CURRENT


def warn_unless_current(version):
    """Loudly: an old peer is easily beaten."""
    if not is_current(version):
        text = (f"PyTorch {version} is the newest found here, older than {'.'.join(map(str, OLDEST_CURRENT))}: not what",
                "people train with today. What is measured against it says little.", f"{GET_CURRENT}.")
        frame = "!" * 80
        print("\n".join(("", frame, *(f"!!  {line}" for line in text), frame, "")), file=sys.stderr, flush=True)


def why_not_compiled(peer, environment):
    """Why torch.compile does not work there, in words; None if it does."""
    if version_of(peer["torch"]) < (2, 0):
        return f"PyTorch {peer['torch']} has no torch.compile"
    why = run(peer["executable"], COMPILE, environment, COMPILE_SECONDS)[1]
    return f"torch.compile fails: {why}" if why else None


def main():
    if len(sys.argv) > 1:
        print(__doc__)
        sys.exit(0 if sys.argv[1] in ("-h", "--help") else 2)
    found, passed_over = find()
    for peer in found:
        print(f"PyTorch {peer['torch']}, torchvision {peer['torchvision']}, oneDNN {peer['one_dnn'] or 'missing'}: "
              f"{peer['executable']}")
    for python, why in passed_over:
        print(f"none: {python}: {why}")
    if not found:
        sys.exit(f"no PyTorch with torchvision here: {GET_CURRENT}")
    warn_unless_current(found[0]["torch"])


if __name__ == "__main__":
    script.run(main)
