#!/usr/bin/env bash
# Trains across two hosts made of network namespaces on this machine; then cuts the link in the middle of a run: the ranks
# must say who is missing and end within seconds, instead of hanging. check_hosts.sh PROGRAM
# A rank that hangs behind a sound link ends the job with 3 (tests/test_stall.c); behind a cut one mpirun loses the other
# host's daemon as well, and leaves with a code of its own: 205.
# Needs root and iproute2; where namespaces are not allowed it says so and passes.
set -u
program=$(realpath "$1")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sigmatic-hosts.XXXXXX")
tag=sm$$ # names of namespaces and links are this check's own
passed=0 failed=0
hosts="a b"

tear_down() {
    [ -n "${job:-}" ] && kill -KILL "$job" 2>/dev/null
    for host in $hosts switch; do
        ip netns pids "$tag$host" 2>/dev/null | xargs -r kill -KILL 2>/dev/null
        ip netns del "$tag$host" 2>/dev/null
    done
    rm -rf "$scratch"
}
trap tear_down EXIT

verdict() { # CONDITION-STATUS NAME
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $2"
    fi
}

# ---- hosts on a switch ------------------------------------------------------------------------------------------------
if ! command -v ip >/dev/null || ! ip netns add "${tag}switch" 2>/dev/null; then
    echo "skipped: network namespaces are not allowed here"
    exit 0
fi
{
    ip -n "${tag}switch" link add br0 type bridge && ip -n "${tag}switch" link set br0 up
    ip -n "${tag}switch" addr add 10.77.0.100/24 dev br0
    number=0
    for host in $hosts; do
        number=$((number + 1))
        ip netns add "$tag$host"
        ip -n "$tag$host" link add eth0 type veth peer name "port$host" netns "${tag}switch"
        ip -n "${tag}switch" link set "port$host" master br0 up
        ip -n "$tag$host" addr add "10.77.0.$number/24" dev eth0
        ip -n "$tag$host" link set eth0 up
        ip -n "$tag$host" link set lo up
        echo "10.77.0.$number $tag$host"
    done
} >"$scratch/hosts" 2>"$scratch/setup" || { echo "skipped: $(tail -n 1 "$scratch/setup")"; exit 0; }
printf '127.0.0.1 localhost\n' >>"$scratch/hosts"

# What mpirun calls instead of ssh: the command in the namespaces of a host, with a name and a hosts file of its own.
cat >"$scratch/agent.sh" <<AGENT
#!/usr/bin/env bash
host=\$1
shift
exec nsenter --net=/run/netns/\$host unshare --uts --mount -- \
    bash -c 'hostname "\$1"; mount --bind $scratch/hosts /etc/hosts; exec bash -c "\$2"' _ "\$host" "\$*"
AGENT
chmod +x "$scratch/agent.sh"

across() { # ARGUMENTS of the program on one rank a host; started from host a
    "$scratch/agent.sh" "${tag}a" "cd $scratch && OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1 \
        mpirun --quiet -H ${tag}a:1,${tag}b:1 --map-by node --bind-to none --mca plm rsh --mca plm_rsh_agent $scratch/agent.sh \
        --mca btl self,vader,tcp --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 \
        --mca oob_tcp_keepalive_time 2 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 2 \
        -n 2 $program $*"
}

# ---- a run across them ------------------------------------------------------------------------------------------------
cat >"$scratch/hosts.ini" <<INI
[run]
folder = $scratch/run
batch = 4
steps = 20
progress_seconds = 1
[model]
backbone = resnet18
width = 0.125
[data]
train = $scratch/scenes.h5
[distributed]
stall_seconds = 4
[task.semantic]
kind = semantic
[task.depth]
kind = depth
INI
"$program" data scenes "$scratch/scenes.h5" --train 16 --validation 4 --height 64 --width 96 >"$scratch/log" 2>&1
verdict $? "scenes: $(tail -n 3 "$scratch/log")"
timeout 120 bash -c "$(declare -f across); scratch=$scratch tag=$tag program=$program; across train $scratch/hosts.ini" >"$scratch/log" 2>&1
verdict $? "training across two hosts: $(tail -n 5 "$scratch/log")"
grep -q done "$scratch/run/status"
verdict $? "status of the run across hosts: $(cat "$scratch/run/status")"
"$program" train "$scratch/hosts.ini" --set run.folder="$scratch/alone" >"$scratch/log" 2>&1
verdict $? "the same on one rank: $(tail -n 3 "$scratch/log")"

# ---- the link is cut in the middle ------------------------------------------------------------------------------------
across train "$scratch/hosts.ini" --set run.folder="$scratch/cut" --set run.steps=1000000 >"$scratch/log" 2>&1 &
job=$!
for _ in $(seq 100); do
    grep -q "^step [1-9][0-9]" "$scratch/log" && break
    sleep 0.3
done
grep -q "^step" "$scratch/log"
verdict $? "the run to be cut starts: $(tail -n 5 "$scratch/log")"
ip -n "${tag}switch" link set portb down
begin=$SECONDS
for _ in $(seq 120); do
    kill -0 "$job" 2>/dev/null || break
    sleep 0.5
done
if kill -0 "$job" 2>/dev/null; then
    verdict 1 "still running 60 s after the link was cut"
else
    wait "$job"
    code=$?
    job=
    echo "check_hosts: cut link: exit code $code after $((SECONDS - begin)) s"
    grep -v '^step' "$scratch/log" | grep -i -E 'stalled|waited|rank' | head -n 6
    [ "$code" -eq 3 ] || [ "$code" -eq 205 ]
    verdict $? "exit code 3, or mpirun's 205, expected after the cut, $code found: $(tail -n 5 "$scratch/log")"
    grep -q "stalled: waited .* rank 1 on ${tag}b" "$scratch/log"
    verdict $? "the message names rank 1: $(tail -n 5 "$scratch/log")"
fi
echo "check_hosts: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
