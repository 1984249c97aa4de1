#!/usr/bin/env bash
# Replays a measured step on 2, 4 and 8 hosts made of network namespaces, over links of 100 Mbit/s and 1 Gbit/s, for
# analysis/scaling.py --check: measure_scaling.sh PROGRAM OUTPUT.jsonl [FLAGS of sigmatic bench --replay]
# One line of JSON a run. Needs root and iproute2; where namespaces or shaped links are not allowed it says so and passes.
set -u
mkdir -p "$(dirname "$2")"
program=$(realpath "$1") output=$(realpath "$2")
shift 2
given=$*
. "$(dirname "$0")/hosts.sh"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sigmatic-scaling.XXXXXX")
trap 'hosts_down; rm -rf "$scratch"' EXIT
if ! command -v ip >/dev/null || ! hosts_up "$scratch" 8; then
    echo "skipped: network namespaces are not allowed here: $(tail -n 1 "$scratch/setup" 2>/dev/null)"
    exit 0
fi
: >"$output"
for rate in ${RATES:-100mbit 1gbit}; do
    if ! hosts_shape "$rate"; then
        echo "skipped: shaped links are not allowed here: $(tail -n 1 "$scratch/setup")"
        exit 0
    fi
    width=1
    [ "$rate" = 100mbit ] && width=0.5 # a step of seconds, not of a minute
    for hosts in ${HOSTS:-2 4 8}; do
        for compress in ${COMPRESS:-false true}; do
            flags=${given:---backbone resnet18 --multiplier $width --steps 3 --warmup 1}
            if ! hosts_run 1 "$hosts" "$program" bench --replay --json "$flags" \
                --set distributed.compress=$compress >"$scratch/out" 2>"$scratch/log"; then
                echo "failed on $hosts hosts at $rate: $(tail -n 3 "$scratch/log")"
                exit 1
            fi
            sed -n "s/^{/{\"link\":\"$rate\",/p" "$scratch/out" >>"$output"
            echo "$rate, $hosts hosts, compress = $compress"
        done
    done
done
