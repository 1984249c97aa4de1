"""What the scripts share as command lines: naming in one line what this Python lacks, refusing arguments before any work
is done, ending quietly where nobody reads on. Needs nothing but Python."""

import argparse
import importlib
import os
import sys

DEBIAN = {"numpy": "python3-numpy", "h5py": "python3-h5py", "matplotlib": "python3-matplotlib"}  # else only PyPI's will do


def needs(*names):
    """Before the imports: ends the script where one of these modules cannot be imported."""
    missing, why = [], ""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(name)
            why = "" if isinstance(error, ModuleNotFoundError) else f" ({error})"
    if missing:
        packages = [DEBIAN.get(name) for name in missing]
        by_apt = f"apt-get install {' '.join(packages)} and call it by /usr/bin/python3, or " if all(packages) else ""
        raise SystemExit(f"{os.path.basename(sys.argv[0])}: {sys.executable} has no {', '.join(missing)}{why}: {by_apt}"
                         f"{sys.executable} -m pip install {' '.join(missing)}")


PICTURES = ".png", ".svg", ".pdf"


def output_file(endings):
    """For argparse's `type`: the name of a file that can be written, refused before any work is done."""
    def checked(path):
        folder = os.path.dirname(path) or "."
        if os.path.splitext(path)[1].lower() not in endings:
            raise argparse.ArgumentTypeError(f"{path}: a name that ends in {', '.join(endings[:-1])}{' or ' * (len(endings) > 1)}{endings[-1]} expected")
        if not os.path.isdir(folder) or os.path.isdir(path):
            raise argparse.ArgumentTypeError(f"{path}: a folder" if os.path.isdir(path) else f"{path}: no folder {folder}")
        return path
    return checked


def whole_number(words):
    """For argparse's `type`: 1 and more."""
    if not words.isdecimal() or int(words) < 1:
        raise argparse.ArgumentTypeError(f"{words}: a whole number from 1 expected")
    return int(words)


def run(main):
    """Of a script: who reads its output may stop (`| head`), and so may who waits for it."""
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the end of Python flushes once more
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except MemoryError:
        raise SystemExit(f"{os.path.basename(sys.argv[0])}: not enough memory")
