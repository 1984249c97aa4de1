# To be sourced: hosts made of network namespaces on a switch, and MPI jobs across them. Needs root and iproute2.
#   hosts_up FOLDER COUNT  names $tag""1 ... on 10.77.0.0/24; fails with the reason in FOLDER/setup
#   hosts_shape RATE       every link in both directions, as tc says it ("100mbit"); "none" = as fast as it goes
#   hosts_run RANKS_PER_HOST HOSTS PROGRAM ARGUMENTS...
#   hosts_do COMMAND       a command for the shell, on the first host, with an environment in which mpirun reaches the others
#   hosts_cut HOST, hosts_join HOST  by number: its link goes down; it comes back, with nothing that ran there
#   $host_folder/reach.sh HOST       succeeds if the host answers, as `ssh HOST true` would
#   hosts_down             ends what runs there and takes all away
tag=sm$$ # names of namespaces are this shell's own

hosts_down() {
    local number
    for number in $(seq "${host_count:-0}") switch; do
        ip netns pids "$tag$number" 2>/dev/null | xargs -r kill -KILL 2>/dev/null
        ip netns del "$tag$number" 2>/dev/null
    done
}

hosts_connect() { # commands that may fail where something is not allowed
    local number
    ip netns add "${tag}switch" && ip -n "${tag}switch" link add br0 type bridge &&
        ip -n "${tag}switch" link set br0 up && ip -n "${tag}switch" addr add 10.77.0.100/24 dev br0 || return 1
    printf '127.0.0.1 localhost\n' >"$host_folder/hosts"
    for number in $(seq "$host_count"); do
        ip netns add "$tag$number" &&
            ip -n "$tag$number" link add eth0 type veth peer name "port$number" netns "${tag}switch" &&
            ip -n "${tag}switch" link set "port$number" master br0 up &&
            ip -n "$tag$number" addr add "10.77.0.$number/24" dev eth0 &&
            ip -n "$tag$number" link set eth0 up && ip -n "$tag$number" link set lo up || return 1
        echo "10.77.0.$number $tag$number" >>"$host_folder/hosts"
    done
}

hosts_up() {
    host_folder=$1 host_count=$2
    hosts_connect 2>"$host_folder/setup" || return 1
    # What mpirun calls instead of ssh: the command in the namespaces of a host, with a name and a hosts file of its own.
    cat >"$host_folder/agent.sh" <<AGENT
#!/usr/bin/env bash
host=\$1
shift
exec nsenter --net=/run/netns/\$host unshare --uts --mount -- \
    bash -c 'hostname "\$1"; mount --bind $host_folder/hosts /etc/hosts; exec bash -c "\$2"' _ "\$host" "\$*"
AGENT
    # A host that is there refuses what nobody listens to; one behind a cut link is silent.
    cat >"$host_folder/reach.sh" <<'REACH'
#!/usr/bin/env bash
timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/9"' "$1" 2>/dev/null
[ $? -ne 124 ]
REACH
    chmod +x "$host_folder/agent.sh" "$host_folder/reach.sh"
    host_environment="OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_plm=rsh \
        OMPI_MCA_plm_rsh_agent=$host_folder/agent.sh OMPI_MCA_plm_rsh_no_tree_spawn=1 OMPI_MCA_btl=self,vader,tcp \
        OMPI_MCA_btl_tcp_if_include=eth0 OMPI_MCA_oob_tcp_if_include=eth0 OMPI_MCA_oob_tcp_keepalive_time=2 \
        OMPI_MCA_oob_tcp_keepalive_intvl=1 OMPI_MCA_oob_tcp_keepalive_probes=2"
}

hosts_cut() { ip -n "${tag}switch" link set "port$1" down; }
hosts_join() { # as a node does that has started anew
    ip netns pids "$tag$1" | xargs -r kill -KILL 2>/dev/null
    ip -n "${tag}switch" link set "port$1" up
}

# Both ends: as with a real switch, what several hosts send to one at a time queues before its port.
hosts_shape() {
    local number action
    for number in $(seq "$host_count"); do
        ip netns exec "$tag$number" tc qdisc del dev eth0 root 2>/dev/null
        ip netns exec "${tag}switch" tc qdisc del dev "port$number" root 2>/dev/null
        [ "$1" = none ] && continue
        action="root tbf rate $1 burst 128kb latency 400ms"
        ip netns exec "$tag$number" tc qdisc add dev eth0 $action 2>>"$host_folder/setup" &&
            ip netns exec "${tag}switch" tc qdisc add dev "port$number" $action 2>>"$host_folder/setup" || return 1
    done
}

# Run as root, whatever Open MPI thinks of it.
hosts_do() { "$host_folder/agent.sh" "${tag}1" "cd $host_folder && export $host_environment && $*"; }

hosts_run() {
    local each=$1 count=$2 list=
    shift 2
    for number in $(seq "$count"); do
        list=$list,$tag$number:$each
    done
    hosts_do "OMP_NUM_THREADS=1 mpirun --quiet -H ${list#,} --map-by ppr:$each:node --bind-to none --oversubscribe \
        -n $((each * count)) $*"
}
