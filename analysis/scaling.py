#!/usr/bin/env python3
"""Predicts how a training step scales over nodes, from what one node and one link do.

    sigmatic bench --step --layers --json --backbone resnet101 --batch 2 >one.json
    mpirun -n 2 ... sigmatic bench --allreduce --json >link.json          (across two nodes; on one node: its memory)
    analysis/scaling.py --measure one.json link.json -o scaling.png
    analysis/scaling.py --compute 2.5 --megabytes 240 --latency 20e-6 --bandwidth 1250 --ranks 4
    analysis/scaling.py --check runs.jsonl                                 (tests/measure_scaling.sh makes them)

The model, for P equal nodes of k ranks. A step is forward, backward, the rest. After each op of backward some bytes of
the gradient are final; a bucket that is full of them passes two stages, as in src/comm/exchange.c: its shares to those
who add them, the sums back. Of a bucket of b bytes each stage sends from a node

    hierarchical    b (P - 1) / P            in P - 1 messages; before it, the node's ranks add in shared memory
    flat            k b (N - k) / N          in N - 1 messages a rank, N = P k, through the one link of the node

bytes (half of them as bfloat16), which take latency + bytes / bandwidth + messages * overhead; stages queue on the link
in the order in which they become ready. The second stage begins when somebody notices the end of the first one: up to a
poll later while backward goes on. The step ends when the last bucket has come back and the rest (update, losses) is done;
four small sums of 2 log2 P messages one after the other come on top (and --sums more, for synchronised batch norm).
Blocking: no bucket starts before backward ends. Efficiency is weak: the time of one node's step over that of P nodes.

What it leaves out: nodes that are not equally fast (a step is the slowest one's), a network that blocks inside, and the
cores' share of the work of sending (--handling seconds a GB sent, where no core is to spare).
"""

import argparse
import collections
import heapq
import json
import math
import statistics

import script

MEBIBYTE = 1 << 20
NODES = [2**i for i in range(13)]
SMALL_SUMS = 4  # counts of valid pixels, losses, vote, waits

# op: [(seconds, bytes of the gradient that are final after it)]
Compute = collections.namedtuple("Compute", "forward rest ops")
# bytes a second; node_bandwidth: gradients summed in shared memory; poll, overhead (of a message), latency: seconds
Machine = collections.namedtuple("Machine", "latency bandwidth node_bandwidth poll overhead handling",
                                 defaults=(math.inf, 1e-3, 1e-6, 0.0))
Way = collections.namedtuple("Way", "label hierarchical overlap compress")
WAYS = (Way("blocking", True, False, False), Way("overlap, every rank with every rank", False, True, False),
        Way("overlap, hierarchical", True, True, False), Way("overlap, hierarchical, bfloat16", True, True, True))
MODES = {"blocking": (False, False), "overlapped": (False, True), "hierarchical": (True, True)}
Step = collections.namedtuple("Step", "seconds exposed reduction")


# ---- the model -----------------------------------------------------------------------------------------------------

def compute_seconds(compute):
    return compute.forward + compute.rest + sum(seconds for seconds, _ in compute.ops)


def gradient_bytes(compute):
    return max(final for _, final in compute.ops)


def default_bucket_bytes(total, members):
    """As src/comm/reduction.c chooses it."""
    return max(min(max(total // 32, 128 << 10), MEBIBYTE), (16 << 10) * members)


def ready_times(compute, bucket_bytes):
    """[(seconds after the start of backward, bytes)] of every bucket."""
    total, ready, now, final = gradient_bytes(compute), [], 0.0, 0
    for seconds, complete in compute.ops:
        now, final = now + seconds, max(final, complete)
        while len(ready) * bucket_bytes < total and min((len(ready) + 1) * bucket_bytes, total) <= final:
            ready.append((now, min(bucket_bytes, total - len(ready) * bucket_bytes)))
    return ready


def stage_load(bucket, nodes, ranks, way):
    """Bytes and messages that leave a node in one stage of a bucket."""
    wire = bucket / 2 if way.compress else bucket
    if way.hierarchical:
        return wire * (nodes - 1) / nodes, nodes - 1
    everyone = nodes * ranks
    return ranks * wire * (everyone - ranks) / everyone, ranks * (everyone - ranks)


def last_return(ready, backward, nodes, ranks, machine, way):
    """When the last bucket has come back, seconds after the start of backward."""
    queue, end, memory_free, link_free = [], 0.0, 0.0, 0.0
    for number, (at, size) in enumerate(ready):
        if ranks > 1 and way.hierarchical:
            memory_free = max(memory_free, at) + size / machine.node_bandwidth
            at = memory_free
        heapq.heappush(queue, (at, number, 1, size))
    while queue and nodes > 1:
        at, number, stage, size = heapq.heappop(queue)
        load, messages = stage_load(size, nodes, ranks, way)
        link_free = max(link_free, at) + load / machine.bandwidth + messages * machine.overhead
        arrived = link_free + machine.latency
        if arrived < backward:  # noticed by the slowest of all ranks, which poll at any time
            arrived = min(arrived + machine.poll * nodes / (nodes + 1), backward)
        if stage == 1:
            heapq.heappush(queue, (arrived, number, 2, size))
        end = max(end, arrived)
    return max(end, memory_free)


def predict(compute, nodes, ranks, machine, way, bucket_bytes=0, sums=SMALL_SUMS):
    """The Step on `nodes` nodes of `ranks` ranks."""
    backward = sum(seconds for seconds, _ in compute.ops)
    if nodes == 1 and ranks == 1:
        return Step(compute_seconds(compute), 0.0, 0.0)
    members = nodes if way.hierarchical else nodes * ranks
    ready = ready_times(compute, bucket_bytes or default_bucket_bytes(gradient_bytes(compute), members))
    alone = last_return([(0.0, size) for _, size in ready], 0.0, nodes, ranks, machine, way)
    end = last_return(ready, backward, nodes, ranks, machine, way) if way.overlap else backward + alone
    sent = sum(2 * stage_load(size, nodes, ranks, way)[0] for _, size in ready)
    exposed = max(end - backward, 0.0) + (machine.handling * sent if way.overlap else 0.0)
    small = sums * 2 * math.ceil(math.log2(nodes)) * machine.latency
    return Step(compute_seconds(compute) + exposed + small, exposed, alone)


# ---- what was measured ---------------------------------------------------------------------------------------------

def lines_of(paths):
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = [line for line in file if line.startswith("{")]
        except OSError as error:
            raise SystemExit(f"{path}: {error.strerror}")
        try:
            found = [json.loads(line) for line in lines]
        except ValueError as error:
            raise SystemExit(f"{path}: a line that is no JSON: {error}")
        if not found:
            raise SystemExit(f"{path}: no line of JSON: expected what sigmatic bench prints with --json")
        yield from ((path, run) for run in found)


LACKS = KeyError, TypeError, ValueError, IndexError, ZeroDivisionError  # what reading other JSON ends in


def compute_of(run):
    """From a line of `bench --step --layers --json` or `bench --replay --json`."""
    return Compute(run["ms_forward"] / 1e3, run["ms_rest"] / 1e3,
                   [(milliseconds / 1e3, size) for milliseconds, size in run["backward"]])


def stretched(compute, seconds):
    """The same computation in other seconds."""
    factor = seconds / compute_seconds(compute)
    return Compute(compute.forward * factor, compute.rest * factor, [(s * factor, size) for s, size in compute.ops])


def even_compute(seconds, total, ops=100):
    """A step of `seconds`: a third forward, gradients that become final evenly."""
    return Compute(seconds / 3, 0.0, [(seconds * 2 / 3 / ops, total * (op + 1) // ops) for op in range(ops)])


def take_measured(paths):
    """(compute or None, {field of Machine: value})"""
    compute, machine = None, {}
    for path, run in lines_of(paths):
        try:
            if "backward" in run:
                compute = compute_of(run)
            if "ms" in run and run.get("nodes") == 1:  # bench --allreduce on one node
                machine["node_bandwidth"] = run["bytes"][-1] / (run["ms"]["hierarchical, 1 MiB"][-1] / 1e3)
            elif "latency_us" in run and run.get("nodes", 1) > 1:
                machine.update(latency=run["latency_us"] / 1e6, bandwidth=run["bandwidth_mb_s"] * 1e6)
        except LACKS as error:
            raise SystemExit(f"{path}: not what sigmatic bench prints with --json: {error!r}")
    return compute, machine


# ---- model against runs --------------------------------------------------------------------------------------------

Check = collections.namedtuple("Check", "link hosts label measured model hidden use")


def check_run(run, options):
    """Two Checks of a line of `bench --replay --json`: as the run reduced, and blocking."""
    compute = stretched(compute_of(run), run["ms_compute"] / 1e3)
    ranks = run["procs"] // run["nodes"]
    machine = Machine(run["latency_us"] / 1e6, run["bandwidth_mb_s"] * 1e6, poll=options.poll, overhead=options.overhead,
                      node_bandwidth=options.node_bandwidth * 1e6 if options.node_bandwidth else math.inf)
    hierarchical, overlap = MODES[run["reduction"]]
    checks = []
    for kind, key in (("overlap" if overlap else "blocking", "ms_step"), ("blocking", "ms_blocking_step")):
        way = Way("", hierarchical and kind == "overlap", kind == "overlap", bool(run["compress"]))
        model = predict(compute, run["nodes"], ranks, machine, way, options.bucket_bytes)
        label = kind + (", bfloat16" if run["compress"] else "")
        link = run.get("link", f"{run['bandwidth_mb_s']:.0f} MB/s")
        checks.append(Check(link.replace("mbit", " Mbit/s").replace("gbit", " Gbit/s"), run["nodes"], label,
                            run[key] / 1e3, model.seconds, run["hidden"] if key == "ms_step" else math.nan,
                            run["sent_bytes"] / (run["ms_blocking"] * 1e3) / run["bandwidth_mb_s"]))
    return checks


def print_checks(checks):
    print(f"{'link':>10} {'hosts':>5}  {'reduction':20} {'measured s':>10} {'model s':>8} {'model / measured':>16} "
          f"{'hidden':>7} {'link':>6}")
    for check in checks:
        hidden = "" if math.isnan(check.hidden) else f"{100 * check.hidden:.1f} %"
        print(f"{check.link:>10} {check.hosts:5d}  {check.label:20} {check.measured:10.3f} {check.model:8.3f} "
              f"{check.model / check.measured:16.3f} {hidden:>7} {100 * check.use:5.0f}%")
    ratios = [check.model / check.measured for check in checks]
    print("link: share of its measured bandwidth that the reduction alone got, all hosts sending to all")
    print(f"model / measured: {min(ratios):.3f} to {max(ratios):.3f}, median {statistics.median(ratios):.3f}")


# ---- report --------------------------------------------------------------------------------------------------------

def print_table(compute, machine, options, table):
    own, total = compute_seconds(compute), gradient_bytes(compute)
    print(f"computation {own:.3f} s a step, {total / 1e6:.1f} MB of gradients; latency {machine.latency * 1e6:.1f} us, "
          f"{machine.bandwidth / 1e6:.0f} MB/s each way, {options.ranks} rank{'s' * (options.ranks > 1)} a node")
    print(f"{'':6}" + "".join(f"  {way.label:>36}" for way in WAYS))
    print(f"{'nodes':>6}" + f"  {'s a step':>15} {'exposed':>9} {'efficiency':>10}" * len(WAYS))
    for row, nodes in enumerate(NODES):
        cells = [f"  {step.seconds:15.3f} {step.exposed:9.3f} {100 * own / step.seconds:9.1f}%"
                 for step in (table[way][row] for way in WAYS)]
        print(f"{nodes:6d}" + "".join(cells))


def place_labels(axes, x, entries, least_gap):
    """Texts right of the lines' ends, moved apart where they would overlap. entries: [(y, text, colour)]"""
    entries = sorted(entries)
    heights = [y for y, _, _ in entries]
    for _ in range(200):
        for i in range(1, len(heights)):
            overlap = least_gap - (heights[i] - heights[i - 1])
            if overlap > 0:
                heights[i - 1] -= overlap / 2
                heights[i] += overlap / 2
    for i in reversed(range(len(heights))):  # and not above the axes
        heights[i] = min(heights[i], heights[i + 1] - least_gap if i + 1 < len(heights) else 100)
    for height, (_, label, colour) in zip(heights, entries):
        axes.annotate(label, (x, height), xytext=(6, 0), textcoords="offset points", color=colour, va="center",
                      fontsize=8, annotation_clip=False)


def node_axis(axes, ticker):
    axes.set_xscale("log", base=2)
    axes.set_xlim(1, NODES[-1])
    axes.set_xticks([1, 4, 16, 64, 256, 1024, 4096])
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axes.set_ylim(0, 104)
    axes.set(xlabel="nodes", ylabel="efficiency, %")


def draw_ways(axes, common, ticker, compute, machine, options, table):
    own, entries = compute_seconds(compute), []
    for way, colour in zip(WAYS, (common.COLOURS[7], common.COLOURS[1], common.COLOURS[0], common.COLOURS[2])):
        values = [100 * own / step.seconds for step in table[way]]
        same = options.ranks == 1 and not way.hierarchical
        if not same:
            axes.plot(NODES, values, color=colour, marker="o", markersize=2.5)
            entries.append((values[-1], way.label.replace(", ", ",\n", 1), colour))
    node_axis(axes, ticker)
    place_labels(axes, NODES[-1], entries, 11)
    axes.set_title(f"{machine.bandwidth * 8e-9:.3g} Gbit/s between nodes of {options.ranks} "
                   f"rank{'s' * (options.ranks > 1)}")


def draw_links(axes, common, ticker, compute, machine, options):
    own, entries = compute_seconds(compute), []
    way = WAYS[2]
    for gigabits, colour in zip((0.1, 1, 10, 100), (common.COLOURS[5], common.COLOURS[4], common.COLOURS[0],
                                                    common.COLOURS[3])):
        link = machine._replace(bandwidth=gigabits / 8 * 1e9)
        values = [100 * own / predict(compute, nodes, options.ranks, link, way, options.bucket_bytes,
                                      SMALL_SUMS + options.sums).seconds for nodes in NODES]
        axes.plot(NODES, values, color=colour, marker="o", markersize=2.5)
        entries.append((values[-1], f"{gigabits:g} Gbit/s", colour))
    node_axis(axes, ticker)
    axes.set_ylabel("")
    place_labels(axes, NODES[-1], entries, 6)
    axes.set_title("hierarchical overlap, by link")


def draw_checks(axes, common, ticker, checks):
    low = min(min(check.measured, check.model) for check in checks) / 1.4
    high = max(max(check.measured, check.model) for check in checks) * 1.4
    axes.fill_between([low, high], [low * 0.9, high * 0.9], [low * 1.1, high * 1.1], color="#eef1f4", linewidth=0)
    axes.plot([low, high], [low, high], color=common.FAINT, linewidth=0.8)
    axes.text(0.97, 0.04, "shaded: within 10 %", color=common.FAINT, fontsize=8, ha="right", transform=axes.transAxes)
    labels = list(dict.fromkeys(check.label for check in checks))
    links = list(dict.fromkeys(check.link for check in checks))
    for label, colour in zip(labels, common.COLOURS):
        for link, marker in zip(links, "os^v"):
            own = [check for check in checks if check.label == label and check.link == link]
            axes.plot([check.measured for check in own], [check.model for check in own], marker, color=colour,
                      markersize=5, alpha=0.85, markeredgewidth=0)
    line = common.pyplot.Line2D
    handles = [line([], [], marker="o", linestyle="", color=colour, label=label)
               for label, colour in zip(labels, common.COLOURS)]
    handles += [line([], [], marker=marker, linestyle="", color=common.FAINT, label=link)
                for link, marker in zip(links, "os^v")]
    axes.legend(handles=handles, loc="upper left", handletextpad=0.2)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal",
             xlabel="measured, s a step", ylabel="model, s a step",
             title=f"against runs on {', '.join(str(n) for n in sorted({check.hosts for check in checks}))} hosts")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
        axis.set_minor_formatter(ticker.NullFormatter())


def draw(compute, machine, options, table, checks):
    import common
    from matplotlib import ticker
    common.set_style()
    panels = 2 + bool(checks)
    figure, axes = common.pyplot.subplots(1, panels, figsize=(4.6 * panels, 3.5), layout="constrained")
    draw_ways(axes[0], common, ticker, compute, machine, options, table)
    draw_links(axes[1], common, ticker, compute, machine, options)
    if checks:
        draw_checks(axes[2], common, ticker, checks)
    common.save(figure, options.output)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="+", default=[], metavar="JSON",
                        help="lines of bench --step --layers --json, --allreduce --json, --replay --json, in any order")
    parser.add_argument("--check", nargs="+", default=[], metavar="JSON", help="lines of bench --replay --json")
    parser.add_argument("--compute", type=float, metavar="SECONDS", help="of a step on one node, gradients ready evenly")
    parser.add_argument("--megabytes", type=float, help="of gradients, with --compute")
    parser.add_argument("--latency", type=float, metavar="SECONDS", help="one way (20e-6)")
    parser.add_argument("--bandwidth", type=float, metavar="MB/s", help="of a node's link, each way (1250)")
    parser.add_argument("--node-bandwidth", type=float, metavar="MB/s", help="gradients summed in a node's memory (inf)")
    parser.add_argument("--ranks", type=int, default=1, help="a node (1)")
    parser.add_argument("--bucket-mib", type=float, default=0, help="0 = as the program chooses (0)")
    parser.add_argument("--poll", type=float, default=1e-3, metavar="SECONDS", help="between polls (1e-3)")
    parser.add_argument("--overhead", type=float, default=1e-6, metavar="SECONDS", help="of a message (1e-6)")
    parser.add_argument("--handling", type=float, default=0, metavar="SECONDS",
                        help="of computation lost by a GB sent during backward (0)")
    parser.add_argument("--sums", type=int, default=0, help="small sums a step beyond the four: synchronised batch norm")
    parser.add_argument("-o", "--output", type=script.output_file(script.PICTURES), metavar="FILE",
                        help="draw it: .png, .svg or .pdf (needs matplotlib)")
    options = parser.parse_args()
    if options.output:
        import common  # only then: a cluster's Python may lack what it needs
    options.bucket_bytes = int(options.bucket_mib * MEBIBYTE)
    if (options.compute is None) != (options.megabytes is None):
        parser.error("--compute and --megabytes belong together")
    if not options.measure and not options.check and options.compute is None:
        parser.error("say what is known: --measure, --check, or --compute and --megabytes")
    if options.ranks < 1:
        parser.error("--ranks takes 1 and more")
    return options


def main():
    options = arguments()
    checks = []
    for path, run in lines_of(options.check):
        try:
            checks += check_run(run, options)
        except LACKS as error:
            raise SystemExit(f"{path}: not what sigmatic bench --replay prints with --json: {error!r}")
    if checks:
        print_checks(checks)
    compute, measured = take_measured(options.measure)
    if options.compute is not None:
        compute = even_compute(options.compute, int(options.megabytes * 1e6))
    if compute is None:
        if options.measure or not checks:
            raise SystemExit("scaling: no line of bench --step --layers --json among the files, and no --compute")
        return
    given = {"latency": options.latency, "bandwidth": options.bandwidth and options.bandwidth * 1e6,
             "node_bandwidth": options.node_bandwidth and options.node_bandwidth * 1e6}
    machine = Machine(**{"latency": 20e-6, "bandwidth": 1250e6, **measured,
                         **{key: value for key, value in given.items() if value is not None}},
                      poll=options.poll, overhead=options.overhead, handling=options.handling / 1e9)
    table = {way: [predict(compute, nodes, options.ranks, machine, way, options.bucket_bytes, SMALL_SUMS + options.sums)
                   for nodes in NODES] for way in WAYS}
    print_table(compute, machine, options, table)
    if options.output:
        draw(compute, machine, options, table, checks)


if __name__ == "__main__":
    script.run(main)
