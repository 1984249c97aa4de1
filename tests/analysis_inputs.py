"""Gives every script of analysis/ inputs that are wrong: each must end in a sentence that names the culprit, with another
exit code than 0, and never in a traceback. analysis_inputs.py ANALYSIS RUN DATASET PREDICTIONS SCRATCH

Prints "ok NAME" or "FAILED NAME: why" for each pair of script and input."""

import contextlib
import importlib
import io
import os
import shutil
import sys

analysis, run, dataset, predictions, scratch = sys.argv[1:]
sys.path.insert(0, analysis)
import common  # before h5py: it says how files are locked

import h5py
import numpy

HERE = os.path.join(scratch, "inputs")


def made(name, make):
    """A file or folder of inputs/, made by make(path)."""
    path = os.path.join(HERE, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    make(path)
    return path


def written(content):
    def write(path):
        with open(path, "wb") as file:
            file.write(content)
    return write


def changed(source, change):
    def copy(path):
        shutil.copy(source, path)
        with h5py.File(path, "a") as file:
            change(file)
    return copy


def without_steps(file):
    for group in (file["steps"], file["timing"], *file["tasks"].values(), file["evaluations/val"],
                  *(item for item in file["evaluations/val"].values() if isinstance(item, h5py.Group))):
        for name, column in list(group.items()):
            if isinstance(column, h5py.Dataset):
                kind = column.dtype
                del group[name]
                group.create_dataset(name, (0,), kind)


def without(name):
    def change(file):
        del file[name]
    return change


def replaced(name, value):
    def change(file):
        del file[name]
        file[name] = value
    return change


log = os.path.join(run, "run.h5")
with open(log, "rb") as file:
    head = file.read(5000)
EMPTY_RUN = made("empty_run/run.h5", changed(log, without_steps))
# name: (path, what the sentence has besides the name of the file or folder)
ANY = {
    "nothing": (os.path.join(HERE, "absent.h5"), "no such file"),
    "a text": (made("text.h5", written(b"epoch,loss\n1,2\n")), ""),
    "an empty file": (made("zero.h5", written(b"")), ""),
    "a torn file": (made("torn/run.h5", written(head)), ""),
    "another program's HDF5": (made("other.h5", lambda path: h5py.File(path, "w").close()), ""),
    "a dataset": (dataset, "dataset"),
    "a checkpoint": (os.path.join(run, "checkpoints", "best.h5"), "checkpoint"),
    "a folder without a run": (made("bare", os.makedirs), ""),
    "a folder of folders": (made("nest/a/b", os.makedirs)[: -len("/a/b")], ""),
}
RUNS = {
    **ANY,
    "predictions": (predictions, "eval --predictions"),
    "a run without a step": (os.path.dirname(EMPTY_RUN), "no step"),
    "a run that failed before its log": (os.path.dirname(made("early/status", written(b"failed: the disk is full\n"))), "the disk is full"),
    "a log without steps": (made("lacks/run.h5", changed(log, without("steps"))), "damaged"),
    "a log without its tasks' losses": (made("loss/run.h5", changed(log, without("tasks/depth/loss"))), "damaged"),
    "a log with a text for a group": (made("odd/run.h5", changed(log, replaced("tasks", "none"))), "damaged"),
}
PREDICTIONS = {
    **ANY,
    "a run": (log, "log of a run"),
    "predictions without pictures": (made("image.h5", changed(predictions, without("image"))), "damaged"),
    "predictions without tasks": (made("tasks.h5", changed(predictions, without("tasks"))), "damaged"),
    "predictions of nothing": (made("none.h5", changed(predictions, replaced("image", numpy.zeros((0, 4, 4, 3), "u1")))), "no sample"),
}
JSON = {
    **{name: (path, "") for name, (path, _) in ANY.items() if "folder" not in name},
    "other JSON": (made("list.json", written(b"[1]\n")), ""),
    "half of it": (made("half.json", written(b'{"classes": {"a"\n')), ""),
    "a number for a table": (made("number.json", written(b'{"classes": {"semantic": 3}, "backward": 3}\n')), ""),
}
OUT = os.path.join(HERE, "out")
# script: its words, {input: ...}
SCRIPTS = {
    "plot_sigma": (["{}", "-o", f"{OUT}.png"], RUNS),
    "compare": (["{}"], RUNS),
    "report": (["{}", "-o", f"{OUT}.html"], RUNS),
    "report --predictions": ([run, "-o", f"{OUT}.html", "--predictions", "{}"], PREDICTIONS),
    "report --evaluation": ([run, "-o", f"{OUT}.html", "--evaluation", "{}"], JSON),
    "export csv": (["csv", "{}"], {name: one for name, one in RUNS.items() if name != "a run without a step"}),
    "show_predictions": (["{}", "-o", f"{OUT}.png"], PREDICTIONS),
    "scaling --measure": (["--measure", "{}", "-o", f"{OUT}.png"], JSON),
    "scaling --check": (["--check", "{}"], JSON),
}
# script: its words for an output, endings that it takes
OUTPUTS = {
    "plot_sigma": ([run, "-o"], ".png"), "compare -o": ([run, "-o"], ".csv"), "compare --picture": ([run, "--picture"], ".svg"),
    "report": ([run, "-o"], ".html"), "show_predictions": ([predictions, "-o"], ".pdf"), "bench": (["--program", sys.executable, "--output"], ".md"),
    "scaling": (["--compute", "1", "--megabytes", "1", "-o"], ".png"),
}


def call(script, words):
    """(exit code, what it said)"""
    said = io.StringIO()
    sys.argv = [script, *words]
    code = 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            importlib.import_module(script.split()[0]).main()
        except SystemExit as end:
            code = 1 if isinstance(end.code, str) else end.code or 0
            print(end.code if isinstance(end.code, str) else "")
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}; a traceback")
        finally:
            common.pyplot.close("all")
    return code, said.getvalue()


def check(name, script, words, *expected):
    try:
        code, said = call(script, words)
        assert code != 0, "exit code 0"
        assert all(word in said for word in expected), f"{' and '.join(expected)} expected, said: {said}"
        assert not os.path.exists(f"{OUT}.png") and not os.path.exists(f"{OUT}.html"), "there is an output"
        print(f"ok {script}: {name}")
    except AssertionError as error:
        print(f"FAILED {script}: {name}: {str(error)[:400]}".replace("\n", " "))


for script, (words, inputs) in SCRIPTS.items():
    for name, (path, expected) in inputs.items():
        check(name, script, [word.replace("{}", path) for word in words], path, expected)
for script, (words, ending) in OUTPUTS.items():
    check("an output of another kind", script, [*words, os.path.join(HERE, "c.xyz")], "c.xyz", ending)
