"""What the scripts share: reading run logs (also while a run writes them), smoothing, the look of figures."""

import os

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")  # a live file is open for writing; must precede h5py

import h5py
import matplotlib
import numpy

matplotlib.use("Agg")
from matplotlib import pyplot

COLOURS = ("#2563a8", "#d1602b", "#2f8f5b", "#8a4fa3", "#b8901f", "#c23b5e", "#3a9ca6", "#6b6b6b")
INK, FAINT = "#22262b", "#9aa1a9"
UNITS = {"miou": "mean IoU, %", "pixel_accuracy": "pixel accuracy, %", "error_pixels": "mean error, px",
         "error_metres": "mean error, m", "rms_pixels": "RMS error, px"}


def set_style():
    pyplot.rcParams.update({
        "figure.facecolor": "white", "figure.dpi": 130, "font.size": 9, "font.family": "DejaVu Sans",
        "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.labelsize": 9,
        "axes.edgecolor": FAINT, "axes.labelcolor": INK, "text.color": INK, "axes.linewidth": 0.8,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e8eb",
        "grid.linewidth": 0.7, "axes.axisbelow": True, "xtick.color": INK, "ytick.color": INK, "xtick.labelsize": 8,
        "ytick.labelsize": 8, "legend.frameon": False, "legend.fontsize": 8.5, "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round"})


def text(value):
    """An attribute or a string element as str, however it was stored."""
    return value.decode() if isinstance(value, bytes) else str(value)


def open_checked(path, expected):
    """Opens `path` for reading and makes sure that its root attribute `format` says `expected`."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise SystemExit(f"{path}: not readable as HDF5 ({error})")
    found = text(file.attrs.get("format", "nothing"))
    if found != expected:
        file.close()
        raise SystemExit(f"{path}: attribute format is {found}, expected {expected}")
    return file


def in_order(names):
    """Task names: the usual three first and in their usual order, the others as HDF5 lists them."""
    usual = ("semantic", "instance", "depth")
    return [name for name in usual if name in names] + [name for name in names if name not in usual]


def labels_of(paths, given):
    """--labels a,b, or whatever tells the paths apart: runs/first/run.h5 becomes "first"."""
    if given:
        labels = given.split(",")
        if len(labels) != len(paths):
            raise SystemExit(f"--labels names {len(labels)} for {len(paths)} files")
        return labels
    parts = [os.path.splitext(os.path.abspath(path))[0].split(os.sep) for path in paths]
    while len(parts) > 1 and all(len(p) > 1 for p in parts) and len({p[-1] for p in parts}) == 1:
        parts = [p[:-1] for p in parts]
    stem = [p[-1] for p in parts]
    if len(paths) == 1 and stem[0] == "run":
        stem = [parts[0][-2]]
    return stem


def smooth(values, window):
    """Centred moving mean over `window` rows that leaves NaN out; NaN where nothing is in reach.

    At the ends it reaches over the rows that there are."""
    values = numpy.asarray(values, float)
    valid = numpy.isfinite(values)
    sums = numpy.concatenate(([0.0], numpy.cumsum(numpy.where(valid, values, 0))))
    counts = numpy.concatenate(([0], numpy.cumsum(valid)))
    rows = numpy.arange(len(values))
    half = max(window, 1) // 2
    first, last = numpy.maximum(rows - half, 0), numpy.minimum(rows + half + 1, len(values))
    count = counts[last] - counts[first]
    return numpy.where(count > 0, (sums[last] - sums[first]) / numpy.maximum(count, 1), numpy.nan)


def trailing_mean(values, window):
    """Mean of the last `window` finite values; NaN without any."""
    tail = numpy.asarray(values, float)[-max(window, 1):]
    tail = tail[numpy.isfinite(tail)]
    return tail.mean() if len(tail) else numpy.nan


def log_scale(axes):
    """Logarithmic, if there is anything positive to show, with readable numbers over less than two decades."""
    values = numpy.concatenate([line.get_ydata() for line in axes.lines] or [[]])
    values = values[numpy.isfinite(values) & (values > 0)]
    if not len(values):
        return
    axes.set_yscale("log")
    if values.max() < 100 * values.min():
        plain = pyplot.matplotlib.ticker.FuncFormatter(lambda y, _: f"{y:g}")
        subs = (1, 2, 3, 5, 7) if values.max() < 10 * values.min() else (1, 2, 5)
        axes.yaxis.set_major_locator(pyplot.matplotlib.ticker.LogLocator(subs=subs))
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(pyplot.matplotlib.ticker.NullFormatter())
