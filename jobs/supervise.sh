#!/usr/bin/env bash
# Trains on this machine, or on several without Slurm, and starts the run again whenever it fails: from its newest whole
# checkpoint, until it is done. It gives up after some failures in a row that came fast, and never starts a run again whose
# config, arguments or input are wrong (exit code 2).
#
#     RANKS=2 THREADS=4 jobs/supervise.sh CONFIG [--set SECTION.KEY=VALUE]... [--resume auto] [--overwrite]
#     HOSTS="node1 node2" RANKS=2 THREADS=4 FEWER_RANKS=yes jobs/supervise.sh CONFIG
#
# Signals, exit codes and the other variables are those of local.sh; train.sbatch does the same within its job.
#
# Environment: MOST_FAILURES    fast failures in a row after which it gives up (3)
#              FAST_SECONDS     a failure is fast if the start took less (300), or wrote no checkpoint
#              RESTART_SECONDS  pause before a start, times the number of fast failures so far (5)
#              HOSTS            where to start RANKS ranks each, by ssh; FEWER_RANKS=yes goes on without those that
#                               `REACH HOST true` (ssh) does not reach any more
set -u
jobs=$(cd "$(dirname "$0")" && pwd)
if [ $# -eq 0 ]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
export MOST_FAILURES=${MOST_FAILURES:-3}
exec "$jobs/local.sh" "$@"
