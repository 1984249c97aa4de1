"""What analysis/bench*.py do without PyTorch: which one they would take, what runs in turn, the table of runs whose numbers are
known. bench_values.py ANALYSIS SCRATCH; a line "ok NAME" or "FAILED NAME: why" a test.

PyTorch's part is played by folders with modules of its name, which Pythons made here import."""

import contextlib
import io
import json
import os
import sys
import traceback

sys.path.insert(0, sys.argv[1])
import bench
import bench_peer
import bench_report
import bench_runs

SCRATCH = os.path.join(sys.argv[2], "bench")
os.makedirs(SCRATCH)


# ---- Pythons with a PyTorch, or what looks like one -----------------------------------------------------------------------

TORCH = """import types
__version__ = "{version}"
__config__ = types.SimpleNamespace(show=lambda: "  - Intel(R) MKL-DNN v{one_dnn} (Git Hash 0)")
backends = types.SimpleNamespace(mkldnn=types.SimpleNamespace(is_available=lambda: True),
                                 cpu=types.SimpleNamespace(get_cpu_capability=lambda: __import__("os").environ.get("ATEN_CPU_CAPABILITY", "all").upper()))
ones = lambda *sizes, **flags: None
nn = types.SimpleNamespace(functional=types.SimpleNamespace(conv2d=lambda *operands: print("onednn_verbose,v1,info,cpu,isa:Intel AVX2")))
{more}
"""


def make_python(name, version="", one_dnn="3.1", torchvision=True, more="", script=None):
    """SCRATCH/name, which imports such a PyTorch; of no version: none."""
    modules = os.path.join(SCRATCH, f"modules-{name.replace('/', '-')}")
    os.makedirs(os.path.join(modules, "torch"))
    if version:
        with open(os.path.join(modules, "torch", "__init__.py"), "w") as file:
            file.write(TORCH.format(version=version, one_dnn=one_dnn, more=more))
    else:
        os.rmdir(os.path.join(modules, "torch"))
    if torchvision:
        with open(os.path.join(modules, "torchvision.py"), "w") as file:
            file.write('__version__ = "0.1"\n')
    path = os.path.join(SCRATCH, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(script or f'#!/bin/sh\nPYTHONPATH={modules} exec {sys.executable} -s "$@"\n')
    os.chmod(path, 0o755)
    return path


@contextlib.contextmanager
def environment(**variables):
    before = dict(os.environ)
    os.environ.pop("PYTHON_TORCH", None)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def said(function, *arguments):
    """(what it returns, what it says on stderr)"""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        value = function(*arguments)
    return value, errors.getvalue()


def the_newest_pytorch_is_taken():
    folder = os.path.join(SCRATCH, "path")
    make_python("path/python3", "1.13.1")
    make_python("path/python3.10", "2.15.0+cpu")
    make_python("path/python3.11", "2.9.1")
    make_python("path/python3.12", "2.16.0", torchvision=False)
    make_python("path/python3.13", "2.17.0", more='raise ImportError("libmissing.so.0: cannot open shared object file")')
    make_python("path/python3.14", torchvision=False)
    make_python("path/python3.10-config", "9.9", script="#!/bin/sh\necho not a Python; exit 1\n")
    with environment(PATH=f"{folder}:{folder}"):
        found, passed_over = bench_peer.find()
    ours = [peer["torch"] for peer in found if peer["file"].startswith(SCRATCH)]
    assert ours == ["2.15.0+cpu", "2.9.1", "1.13.1"], ours
    assert found[0]["one_dnn"] == "3.1" and found[0]["one_dnn_isa"] == "Intel AVX2", found[0]
    why = {os.path.basename(python): why for python, why in passed_over if python.startswith(folder)}
    assert sorted(why) == ["python3.12", "python3.13", "python3.14"], why
    assert "torchvision" in why["python3.12"] and why["python3.13"] == "ImportError: libmissing.so.0: cannot open shared object file", why
    assert [bench_peer.has_torch(why[name]) for name in sorted(why)] == [True, True, False], why


def python_torch_is_the_only_one_asked():
    make_python("only/python3", "2.1.0")
    make_python("only/python3.9", "2.2.0")
    with environment(PATH=os.path.join(SCRATCH, "only"), PYTHON_TORCH=os.path.join(SCRATCH, "only", "python3")):
        found, passed_over = bench_peer.find({"ATEN_CPU_CAPABILITY": "avx2"})
    assert [peer["torch"] for peer in found] == ["2.1.0"] and not passed_over, (found, passed_over)
    assert found[0]["capability"] == "AVX2", "it is asked in the environment in which it will compute"


def an_old_pytorch_is_told_loudly():
    for version, loud in (("1.13.1", True), ("1.9", True), ("2.0.0", False), ("2.15.0+cu132", False), ("10.1.0a0", False)):
        text = said(bench_peer.warn_unless_current, version)[1]
        assert bool(text) == loud, (version, text)
        if loud:
            assert text.count("!" * 80) == 2 and f"PyTorch {version} is" in text and "make bench-setup" in text, text
            assert all(len(line) <= 100 for line in text.splitlines()), text


def compiling_is_left_out_with_a_reason():
    old = {"torch": "1.13.1", "executable": "/nowhere"}
    assert bench_peer.why_not_compiled(old, {}) == "PyTorch 1.13.1 has no torch.compile"
    raises = 'ones = lambda *sizes, **flags: 1\ndef compile(function):\n    raise RuntimeError("InvalidCxxCompiler: no g++")'
    new = {"torch": "2.15.0", "executable": make_python("compile/python3", "2.15.0", more=raises)}
    assert bench_peer.why_not_compiled(new, {}) == "torch.compile fails: RuntimeError: InvalidCxxCompiler: no g++"
    (variants, notes), text = said(bench.usable_variants, options(), new)
    assert variants == ["contiguous", "channels_last"] and "no g++" in notes[0] and "no g++" in text, (variants, notes)
    works = {"torch": "2.15.0", "executable": make_python("works/python3", script="#!/bin/sh\nexit 0\n")}
    assert bench.usable_variants(options(), works) == (list(bench.VARIANTS), [])


# ---- what runs in turn ------------------------------------------------------------------------------------------------

def options(*more):
    arguments = ["--program", "/bin/true", "--output", os.path.join(SCRATCH, "bench.md"), *more]
    before, sys.argv = sys.argv, ["bench.py", *arguments]
    try:
        return bench.arguments()
    finally:
        sys.argv = before


PEER = {"executable": "/peer/python", "python": "3.11.2", "file": "", "torch": "2.15.0+cpu", "torchvision": "0.30.0",
        "one_dnn": "3.13.3", "one_dnn_isa": "Intel AVX2", "capability": "AVX2"}
TIMES = {"contiguous": 205.0, "channels_last": 200.0, "contiguous+compile": 300.0, "channels_last+compile": 219.0}


def compare(monkey, *flags):
    """[(what ran, by which variables)] of a comparison in which nothing is computed; its record."""
    calls = []

    def execute(commands, environments, executable, count):
        words = commands[0]
        value = lambda flag: words[words.index(flag) + 1]
        is_peer = bench_runs.PEER_SCRIPT in words
        variant = value("--format") + ("+compile" if "--compile" in words else "") if is_peer else ""
        what = variant or [word for word in words if word.startswith("run.precision=")][0].split("=")[1]
        assert len(commands) == (count if is_peer else 1) == len(environments)
        assert words[0] == (PEER["executable"] if is_peer else "mpirun" if count > 1 else "/bin/true"), words
        calls.append((what, value("--precision") if is_peer else None, value("--backbone"), count, environments[-1], words))
        ms = TIMES.get(what, 100.0)
        return {"backbone": value("--backbone"), "procs": count, "threads": int(value("--threads")), "batch": 2, "ms_step": 2 * ms,
                "ms_min": 2 * ms, "ms_image": ms, "images_s": 1e3 / ms, "gflops_nominal": 50 * 1e3 / ms, "loss": 1.0, "job_mib": 10.0,
                "instruction_set": environments[0].get("SIGMATIC_ISA", "avx512")} | monkey.get(what, {})

    before, bench_runs.execute = bench_runs.execute, execute
    try:
        settings = options(*flags)
        record = bench_report.Record(os.path.join(SCRATCH, "bench.jsonl"), bench.head_of(settings, PEER, []))
        said(bench.Comparison(settings, PEER, settings.variants.split(","), record).run)
    finally:
        bench_runs.execute = before
    return calls, record


def every_round_runs_everything_once():
    calls, record = compare({}, "--backbones", "resnet18,resnet152", "--networks", "paper", "--layouts", "1x2,2x1", "--rounds", "3")
    trials, rounds = calls[:32], calls[32:]  # 2 arithmetics x 2 backbones x 2 layouts, 4 variants
    assert [call[0] for call in trials] == list(bench.VARIANTS) * 8
    near = ["contiguous", "channels_last", "channels_last+compile"]
    once = [*near, "highest", "high"] * 4 + [*near, "bf16"] * 4
    assert len(rounds) == 3 * len(once), len(rounds)
    by_round = [[call[0] for call in rounds[n * len(once):(n + 1) * len(once)]] for n in range(3)]
    assert by_round[0] == by_round[2] == once, by_round[0]
    assert by_round[1] == ["high", "highest", *near[::-1]] * 4 + ["bf16", *near[::-1]] * 4, by_round[1]
    assert {call[1] for call in calls} == {"float32", "bf16", None} and {call[2] for call in calls} == {"resnet18", "resnet152"}
    assert {(call[3], call[4]["OMP_NUM_THREADS"]) for call in calls} == {(1, "2"), (2, "1")}
    assert bench_report.read(record.path) == (json.loads(json.dumps(record.head)), record.runs), "what is recorded can be read"
    with open(os.path.join(SCRATCH, "bench.md")) as file:
        assert file.read() == bench_report.markdown(*bench_report.read(record.path)), "the table is that of the record"


def both_sides_are_held_to_an_instruction_set():
    quick = ("--quick", "--layouts", "1x2", "--networks", "paper", "--precisions", "highest", "--variants", "contiguous")
    for isa, others in (("avx2", ("avx2", "AVX2")), ("avx512", ("avx512", "AVX512_CORE"))):
        calls, record = compare({}, *quick, "--isa", isa)
        for call in calls:
            variables = call[4]
            assert variables["SIGMATIC_ISA"] == isa, call
            assert (variables["ATEN_CPU_CAPABILITY"], variables["ONEDNN_MAX_CPU_ISA"]) == others, call
        assert f"Both sides held to {isa}: SIGMATIC_ISA={isa}, " in bench_report.markdown(record.head, record.runs)
    free, record = compare({}, *quick)
    assert not any("SIGMATIC_ISA" in call[4] or "ONEDNN_MAX_CPU_ISA" in call[4] for call in free)
    assert "held to" not in bench_report.markdown(record.head, record.runs)
    for answer in ("avx512", None):
        try:
            compare({"highest": {"instruction_set": answer}}, *quick, "--isa", "avx2")
        except SystemExit as error:
            assert "one that knows SIGMATIC_ISA is wanted" in str(error), error
        else:
            raise AssertionError(f"a program that computes by {answer} was taken for one held to AVX2")


def another_network_is_no_comparison():
    try:
        compare({"highest": {"gflops_nominal": 501.0}}, "--quick")
    except SystemExit as error:
        assert "not the same network: 50.1 GFLOP an image, in PyTorch 50.0" in str(error), error
    else:
        raise AssertionError("networks of 50.1 and 50 GFLOP were compared")


# ---- the table of known numbers ----------------------------------------------------------------------------------------

def recorded(torch="2.15.0+cpu", **settings):
    """Three rounds of ResNet-18 on one process: highest, high and, in one round only, bf16."""
    head = {"date": "2026-12-01", "cpu": "A CPU", "instruction_sets": "avx2 fma", "cores": 2, "load": 0.5, "system": "Linux 6",
            "sigmatic": ["sigmatic 0.1.0", "BLIS: 0.9.0"], **PEER, "torch": torch, "notes": [], "environment": {"OMP_WAIT_POLICY": "passive"},
            "held_by": {}, "settings": {"precisions": "highest,high,bf16", "rounds": 3, "steps": 7, "height": 256, "width": 512, "batch": 4,
                                        "isa": None, "set": [], **settings}}
    runs = []

    def add(side, number, ms, mib, **what):
        runs.append({"side": side, "round": number, "backbone": "resnet18", "project": False, "procs": 1, "threads": 2,
                     "ms_image": ms, "ms_min": 0.9 * ms, "job_mib": mib, **what})

    for variant, ms in (("contiguous", 240.0), ("channels_last", 210.0), ("channels_last+compile", 200.0)):
        add("pytorch", 0, ms, 1, precision="float32", variant=variant)
    # channels_last has the least median, not the least single time; ours are 80, 120, 70 % and 50, 60, 40 % of it
    for number, plain, compiled, highest, high in ((1, 200.0, 210.0, 160.0, 100.0), (2, 100.0, 90.0, 120.0, 60.0), (3, 300.0, 330.0, 210.0, 120.0)):
        add("pytorch", number, plain, 500 + number, precision="float32", variant="channels_last")
        add("pytorch", number, compiled, 900, precision="float32", variant="channels_last+compile")
        add("sigmatic", number, highest, 300 + number, precision="highest")
        add("sigmatic", number, high, 200 + number, precision="high")
    add("pytorch", 1, 80.0, 400, precision="bf16", variant="channels_last")
    add("sigmatic", 1, 20.0, 100, precision="bf16")
    return head, runs


def the_table_has_the_numbers_of_the_runs():
    head, runs = recorded()
    lines = bench_report.markdown(head, runs).splitlines()
    rows = [line for line in lines if line.startswith("| resnet")]
    others = "channels_last (contiguous x 1.14, channels_last+compile x 1.05)"
    assert rows == [f"| resnet18, highest | 1 x 2 | 200.0 | 160.0 | **0.80** | 0.70 to 1.20 | 502 | 302 | {others} |",
                    f"| resnet18, high | 1 x 2 | 200.0 | 100.0 | **0.50** | 0.40 to 0.60 | 502 | 202 | {others} |",
                    "| resnet18, bf16 | 1 x 2 | 80.0 | 20.0 | **0.25** | 0.25 to 0.25 | 400 | 100 | channels_last |"], rows
    text = "\n".join(lines)
    for words in ("A training step at 256x512, 4 images a process. Rounds in turn: 1 to 3 of 3, so far; of each run the median of 7 steps. "
                  "OMP_WAIT_POLICY=passive.", "A CPU: avx2 fma; 2 cores, load 0.5 at the start, Linux 6, 2026-12-01.",
                  "sigmatic 0.1.0; BLIS: 0.9.0. PyTorch 2.15.0+cpu (AVX2 kernels, oneDNN 3.13.3 for Intel AVX2), torchvision 0.30.0, Python 3.11.2."):
        assert words in lines, (words, text)
    assert "No current peer" not in text
    whole = bench_report.markdown(head, [run for run in runs if run["precision"] != "bf16"])
    assert "Rounds in turn: 3; " in whole, whole


def a_round_that_was_cut_off_is_left_out():
    head, runs = recorded()
    head["settings"]["rounds"] = 4
    runs.append({**runs[3], "round": 4, "ms_image": 1.0})  # PyTorch's alone
    text = bench_report.markdown(head, runs)
    assert "| 200.0 | 160.0 | **0.80** | 0.70 to 1.20 |" in text and "1 to 3 of 4, so far" in text, text


def the_table_tells_what_is_no_fair_peer():
    text = bench_report.markdown(*recorded(torch="1.13.1"))
    assert text.startswith("**No current peer: PyTorch 1.13.1 is older than 2.0; 'make bench-setup' "), text
    head, runs = recorded()
    head.update(one_dnn=None, notes=["not compiled: torch.compile fails: no g++"])
    text = bench_report.markdown(head, runs)
    assert "**without oneDNN: no fair peer**" in text and "\nNot compiled: torch.compile fails: no g++.\n" in text, text


for test in (the_newest_pytorch_is_taken, python_torch_is_the_only_one_asked, an_old_pytorch_is_told_loudly, compiling_is_left_out_with_a_reason,
             every_round_runs_everything_once, both_sides_are_held_to_an_instruction_set, another_network_is_no_comparison,
             the_table_has_the_numbers_of_the_runs, a_round_that_was_cut_off_is_left_out, the_table_tells_what_is_no_fair_peer):
    try:
        test()
        print("ok bench.py:", test.__name__.replace("_", " "))
    except BaseException:
        print(f"FAILED bench.py: {test.__name__.replace('_', ' ')}: " + " ".join(traceback.format_exc().split("\n")[-4:]))
