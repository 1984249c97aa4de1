#!/usr/bin/env python3
"""How much of the reduction of gradients is hidden behind backward? For check_hosts.sh, between two hosts.

    hidden.py bench FILE LEAST         the line of JSON of `sigmatic bench --replay --json`
    hidden.py rate TRACE SHARE         prints the kbit/s at which the reduction would take SHARE of the backward pass
    hidden.py trace TRACE RATE LEAST   the timeline of `sigmatic train --trace` on a link of RATE kbit/s

hidden = 1 - exposed / reduction; exposed: what the rank that comes last to the end of backward waits for the sum;
reduction: what its bytes take on the link if nothing else delays them, so that the share is rather too low.
LEAST is demanded of the median step, beyond a constant for the bucket that becomes ready last.
"""

import json
import statistics
import sys

LAST_BUCKET_MS = 5


def of_bench(path):
    with open(path) as file:
        run = json.loads([line for line in file if line.startswith("{")][-1])
    print(f"check_hosts: a reduction of {run['ms_blocking']:.0f} ms behind a backward pass of "
          f"{run['ms_backward']:.0f} ms: {100 * run['hidden']:.1f} % hidden")
    return run["hidden"]


def end(event):
    return event["ts"] + event["dur"]


class Step:
    """One step of one rank; times in ms."""

    def __init__(self, events):
        ops = [event for event in events if event["cat"] == "ops" and "backward" in event["name"]]
        buckets = [event for event in events if event["cat"] == "buckets"]
        waits = [event for event in events if event["name"] == "end of the reduction"]
        assert ops and buckets and len(waits) == 1, "a step has ops of backward, buckets and one wait for their end"
        begin, done = min(event["ts"] for event in ops), max(end(event) for event in ops)
        self.backward = (done - begin) / 1000
        self.waited = waits[0]["dur"] / 1000
        self.megabytes = sum(float(event["name"].split(": ")[1].split(" MB")[0]) for event in buckets)
        self.inside = sum(min(end(event), done) - event["ts"] > 0 for event in buckets) / len(buckets)


def steps_of(path):
    """[step][rank], without the first step."""
    with open(path) as file:
        events = [event for event in json.load(file)["traceEvents"] if event["ph"] == "X"]
    ranks = []
    for rank in sorted({event["pid"] for event in events}):
        own = [event for event in events if event["pid"] == rank]
        steps = sorted((event for event in own if event["cat"] == "step"), key=lambda event: event["ts"])[1:]
        ranks.append([Step([event for event in own if step["ts"] <= event["ts"] and end(event) <= end(step) + 1])
                      for step in steps])
    return list(zip(*ranks))


def backward_of(steps):
    return statistics.median(max(step.backward for step in ranks) for ranks in steps)


def rate_of(path, share):
    steps = steps_of(path)
    print(round(8e6 * steps[0][0].megabytes / (share * backward_of(steps))))


def of_trace(path, rate):
    steps = steps_of(path)
    inside = statistics.median(step.inside for ranks in steps for step in ranks)
    assert inside > 0.5, f"only {inside} of the buckets are on the way while backward goes on"
    reduction = 8e6 * steps[0][0].megabytes / rate
    exposed = statistics.median(min(step.waited for step in ranks) for ranks in steps)
    hidden = 1 - max(exposed - LAST_BUCKET_MS, 0) / reduction
    print(f"check_hosts: timeline: a reduction of {reduction:.0f} ms behind a backward pass of "
          f"{backward_of(steps):.0f} ms: {exposed:.1f} ms exposed, {100 * hidden:.1f} % hidden")
    return hidden


def main():
    what, path, *numbers = sys.argv[1:]
    if what == "rate":
        rate_of(path, float(numbers[0]))
    else:
        share = of_bench(path) if what == "bench" else of_trace(path, float(numbers[0]))
        sys.exit(0 if share >= float(numbers[-1]) else 1)


if __name__ == "__main__":
    main()
