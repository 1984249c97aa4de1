#!/usr/bin/env bash
# Runs jobs/*.sbatch under a real Slurm of two nodes on this machine. A training job is pre-empted, queues itself again, goes
# on from its checkpoint and ends after the right number of steps; a wrong config is not queued again. A job whose time is over
# queues itself again, one that is cancelled does not; one that loses a rank goes on, and one that may on fewer nodes, too.
# Of an array of four runs one is killed and another loses its node: the list handed in again runs the killed one alone, and
# all of them end.
#
#     tests/check_slurm.sh [PROGRAM]        (build/current/sigmatic; needs root; nothing is left running)
#
# KEEP=1 leaves the scratch folder with all logs. Ports: SLURM_CHECK_PORT and the two after it (16817).
set -u
. "$(dirname "$0")/report.sh"
top=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "${1:-$top/build/current/sigmatic}")
python=${PYTHON:-$(for p in python3 /usr/bin/python3; do $p -c 'import h5py' 2>/dev/null && echo $p && break; done)}
port=${SLURM_CHECK_PORT:-16817}
steps=${STEPS:-400}

# ---- what must be there -----------------------------------------------------------------------------------------------
missing=
for tool in munged:munge slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client; do
    command -v "${tool%%:*}" >/dev/null || [ -x "/usr/sbin/${tool%%:*}" ] || missing+=" ${tool##*:}"
done
if [ -n "$missing" ]; then
    skip_all slurm "missing packages, for apt-get install --no-install-recommends:$missing"
fi
[ -n "$python" ] || skip_all h5py "no Python with h5py"
[ "$(id -u)" -eq 0 ] || skip_all slurm "slurmd needs root"
[ -x "$program" ] || { echo "check_slurm: no program $program: run make" >&2; exit 2; }
PATH=$PATH:/usr/sbin

# ---- a cluster in a scratch folder ------------------------------------------------------------------------------------
scratch=$(mktemp -d /tmp/sigmatic-slurm.XXXXXX)
host=$(hostname -s)
export SLURM_CONF=$scratch/slurm.conf
# Both nodes are this machine: ranks talk over loopback, and may be more than its cores.
export OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo OMPI_MCA_mpi_yield_when_idle=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export SIGMATIC=$program
unset SLURM_JOB_ID SLURM_RESTART_COUNT

write_configuration() {
    mkdir -p "$scratch"/{munge,state,log,tmp.n1,tmp.n2,spool.n1,spool.n2}
    chmod 755 "$scratch" && chmod 700 "$scratch/munge"
    (umask 077 && dd if=/dev/urandom of="$scratch/munge/key" bs=128 count=1 2>/dev/null)
    echo 'CgroupPlugin=cgroup/v1' >"$scratch/cgroup.conf"
    cat >"$SLURM_CONF" <<-END
	ClusterName=check
	SlurmctldHost=$host(127.0.0.1)
	SlurmUser=root
	SlurmdUser=root
	AuthType=auth/munge
	AuthInfo=socket=$scratch/munge/sock,cred_expire=5
	CredType=cred/munge
	SlurmctldPort=$port
	SlurmctldPidFile=$scratch/slurmctld.pid
	SlurmdPidFile=$scratch/slurmd.%n.pid
	StateSaveLocation=$scratch/state
	SlurmdSpoolDir=$scratch/spool.%n
	SlurmctldLogFile=$scratch/log/slurmctld.log
	SlurmdLogFile=$scratch/log/slurmd.%n.log
	ProctrackType=proctrack/linuxproc
	TaskPlugin=task/none
	SwitchType=switch/none
	MpiDefault=pmix
	SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=100000,batch_sched_delay=0
	SelectType=select/cons_tres
	SelectTypeParameters=CR_Core
	JobAcctGatherType=jobacct_gather/none
	AccountingStorageType=accounting_storage/none
	JobCompType=jobcomp/filetxt
	JobCompLoc=$scratch/log/jobcomp.txt
	ReturnToService=2
	JobRequeue=1
	KillWait=5
	MinJobAge=600
	SlurmdTimeout=30
	SlurmdParameters=config_overrides
	PropagateResourceLimits=NONE
	TmpFS=$scratch/tmp.%n
	NodeName=n1 NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=4 RealMemory=1000
	NodeName=n2 NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=4 RealMemory=1000
	PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
	END
}

start_daemons() {
    munged --force --socket="$scratch/munge/sock" --key-file="$scratch/munge/key" --pid-file="$scratch/munge/pid" \
        --log-file="$scratch/munge/log" --seed-file="$scratch/munge/seed" || return 1
    slurmctld -c -f "$SLURM_CONF" || return 1
    for node in n1 n2; do # each needs a host name of its own
        unshare --uts sh -c "hostname $node; exec slurmd -N $node -f '$SLURM_CONF'" || return 1
    done
}

end_process() { # pid file
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null
    for _ in $(seq 50); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null
}

tear_down() {
    local code=$?
    report_early_exit
    trap - EXIT
    trap '' INT TERM
    for job in "${jobs[@]}"; do
        timeout 10 scancel "$job" 2>/dev/null
    done
    wait_for 15 'no job' no_jobs quietly
    for name in slurmd.n1 slurmd.n2 slurmctld munge/; do
        end_process "$scratch/${name%/}$([ "${name%/}" = "$name" ] && echo .pid || echo /pid)"
    done
    if [ "$code" -ne 0 ]; then
        echo "---- the end of the logs ----" >&2
        tail -n 25 "$scratch"/work/logs/*.out "$scratch"/log/slurmctld.log >&2 2>/dev/null
    fi
    if [ -n "${KEEP:-}" ]; then
        echo "kept: $scratch"
    else
        rm -rf "$scratch"
    fi
    exit "$code"
}

# ---- helpers ----------------------------------------------------------------------------------------------------------
jobs=()
say() { echo "check_slurm: $*"; }
fail() {
    echo "check_slurm: FAILED: $*" >&2
    failed "$*"
    report_end
    exit 1
}
wait_for() { # seconds, what, command...; `quietly` as last argument: no failure
    local limit=$1 what=$2 quiet=
    shift 2
    [ "${!#}" = quietly ] && quiet=yes && set -- "${@:1:$#-1}"
    for _ in $(seq $((limit * 5))); do
        "$@" && return 0
        sleep 0.2
    done
    [ -n "$quiet" ] || fail "$what: not within $limit s"
    return 1
}
idle_nodes() { [ "$(sinfo -h -o '%t %D' 2>/dev/null)" = 'idle 2' ]; }
no_jobs() { [ -z "$(timeout 10 squeue -h 2>/dev/null)" ]; }
field() { scontrol show job "$1" -o | tr ' ' '\n' | sed -n "s/^$2=//p" | head -1; }
state_is() { [ "$(field "$1" JobState)" = "$2" ]; }
ended() { case $(field "$1" JobState) in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) ;; *) return 1 ;; esac; }
log_of() { cat "logs/sigmatic-$1.out" 2>/dev/null; }
has_restarted() { [ "$(field "$1" Restarts)" -ge 1 ]; }
is_at_start() { log_of "$1" | grep -q "job $1, start $2,"; } # the script listens from before this line on
is_training() { log_of "$1" | grep -q "^step [0-9]*/"; }
expect() { # what, found, expected
    [ "$2" = "$3" ] || fail "$1 is '$2', expected '$3'"
    passed "$1: $2"
    say "$1: $2"
}

# ---- the check --------------------------------------------------------------------------------------------------------
trap tear_down EXIT
trap 'exit 130' INT TERM
write_configuration
start_daemons || fail "the daemons do not start; logs in $scratch/log"
wait_for 20 'two idle nodes' idle_nodes
say "$(scontrol --version) is up: two nodes"

mkdir -p "$scratch/work/logs" && cd "$scratch/work" || exit 1
"$program" data scenes scenes.h5 --train 16 --validation 4 --height 64 --width 128 --seed 1 >/dev/null || fail 'no scenes'
cat >small.ini <<END
[run]
folder = run
batch = 4
steps = $steps
progress_seconds = 0
[model]
backbone = resnet18
width = 0.0625
aspp_rates = 2,4,6
[data]
train = scenes.h5
validation = scenes.h5
[task.semantic]
kind = semantic
[task.depth]
kind = depth
END

job=$(sbatch --parsable -N 2 --ntasks-per-node=1 -c 1 --time=10 "$top/jobs/train.sbatch" small.ini --set run.seed=2) || fail 'sbatch'
jobs+=("$job")
wait_for 60 "job $job trains" is_training "$job"
expect 'nodes of the job' "$(field "$job" NumNodes)" 2
scancel --batch --signal=USR1 "$job"
say "job $job trains on two nodes; pre-empted with USR1"
wait_for 60 "job $job is queued again" state_is "$job" PENDING
expect 'status of the run' "$(cut -d: -f1 run/status)" pre-empted
first=$(ls run/checkpoints | sed -n 's/^step-0*\([0-9]*\)\.h5$/\1/p' | tail -1)
[ "${first:-$steps}" -lt "$steps" ] || fail "no checkpoint of the pre-empted run before step $steps"
say "checkpoint of step $first"

# A second warning while the step starts must not be lost or fail the job.
wait_for 90 "job $job starts again" is_at_start "$job" 2
scancel --batch --signal=USR1 "$job"
wait_for 60 "job $job is queued for the third time" state_is "$job" PENDING
say 'pre-empted while starting: queued again'

# Its time is over long before its steps; the signal is one that means nothing, and Slurm sends no other before it kills.
limited=$(sbatch --parsable -n 1 -c 1 --time=1 --signal=B:URG@1 "$top/jobs/train.sbatch" small.ini --set run.folder=limited \
    --set run.steps=10000000 --set run.evaluate_interval=0) || fail 'sbatch'
jobs+=("$limited")
wrong=$(sbatch --parsable -N 1 --ntasks-per-node=1 -c 1 "$top/jobs/train.sbatch" small.ini --set run.stpes=5 --set run.folder=other) || fail 'sbatch'
jobs+=("$wrong")
by_mpirun=$(LAUNCHER=mpirun sbatch --parsable -N 2 --ntasks-per-node=1 -c 1 "$top/jobs/train.sbatch" small.ini --set run.folder=mpirun --set run.steps=5) || fail 'sbatch'
jobs+=("$by_mpirun")
wait_for 120 "job $limited is queued again" has_restarted "$limited"
expect 'why a run stopped whose job has no more time' "$(cut -d, -f1 limited/status | sed 's/of step [0-9]*/of step N/')" \
    'pre-empted: the time limit is reached: checkpoint of step N is written'
log_of "$limited" | grep -q 'time limit of the Slurm job: 0:0[01]:[0-9]* left' || fail 'the run does not say how much time is left'
wait_for 60 "job $limited starts again" is_at_start "$limited" 2
scancel "$limited"
wait_for 60 "job $limited ends" ended "$limited"
sleep 3
expect 'state of a job that is cancelled' "$(field "$limited" JobState)" CANCELLED

wait_for 300 "job $job ends" ended "$job"
expect 'state of the job' "$(field "$job" JobState)" COMPLETED
expect 'exit code' "$(field "$job" ExitCode)" 0:0
expect 'restarts' "$(field "$job" Restarts)" 2
expect 'status of the run' "$(cat run/status)" done
log_of "$job" | grep -q "resuming from .* at step $first\$" || fail "the second start does not resume at step $first"
rows=$(HDF5_USE_FILE_LOCKING=FALSE "$python" - run/run.h5 <<'END'
import sys, h5py
with h5py.File(sys.argv[1], "r") as file:
    step = list(file["steps/step"])
print(step[-1] if step == list(range(1, len(step) + 1)) else f"not one row a step: {step}")
END
)
expect 'steps in the run log, each once' "$rows" "$steps"
[ -f "run/checkpoints/$(printf 'step-%08d.h5' "$steps")" ] || fail "no checkpoint of step $steps"

wait_for 60 "job $wrong ends" ended "$wrong"
expect 'state of a job with a wrong key' "$(field "$wrong" JobState)" FAILED
expect 'its exit code' "$(field "$wrong" ExitCode)" 2:0
expect 'its restarts' "$(field "$wrong" Restarts)" 0

# ---- ranks and nodes that are lost ----------------------------------------------------------------------------------------
process_of() { # FOLDER: the ranks that train there
    local process
    for process in $(pgrep -f -- "run.folder=\"*$1\"*( |\$)"); do
        [ "$(readlink "/proc/$process/exe")" != "$program" ] || echo "$process"
    done
}
steps_of() { # FOLDER: the steps in its log, if each is there once
    HDF5_USE_FILE_LOCKING=FALSE "$python" -c 'import sys, h5py
step = list(h5py.File(sys.argv[1], "r")["steps/step"])
print(len(step) if step == list(range(1, len(step) + 1)) else step)' "$1/run.h5"
}
says() { log_of "$1" | grep -q "$2"; }
lossy_steps=$((steps * 3 / 8))
lossy=(--no-kill -N 2 --ntasks-per-node=1 -c 1 --time=10 "$top/jobs/train.sbatch" small.ini --set run.folder=lossy
    --set run.steps=$lossy_steps --set checkpoint.interval=10 --set distributed.threads=1)
lossy=$(FEWER_RANKS=yes RESTART_SECONDS=1 sbatch --parsable "${lossy[@]}") || fail 'sbatch'
jobs+=("$lossy")
wait_for 90 "job $lossy has a checkpoint" eval 'compgen -G "lossy/checkpoints/step-*.h5" >checkpoints'
kill -9 "$(process_of lossy | tail -n 1)"
wait_for 90 'the run starts again in its job' says "$lossy" 'start 2, from the newest checkpoint, ranks: 2'
wait_for 90 'it goes on from a checkpoint' says "$lossy" 'resuming from lossy/checkpoints/step-'
wait_for 60 'on two ranks' eval '[ "$(process_of lossy | wc -l)" -eq 2 ]'
scontrol update nodename=n2 state=down reason=check
wait_for 120 'the run starts again on the node that is left' says "$lossy" 'start 3, from the newest checkpoint, ranks: 1'
wait_for 200 "job $lossy ends" ended "$lossy"
expect 'state of the job that lost a rank and a node' "$(field "$lossy" JobState)" COMPLETED
expect 'its restarts by Slurm' "$(field "$lossy" Restarts)" 0
expect 'its status' "$(cat lossy/status)" done
expect 'its steps, each once' "$(steps_of lossy)" "$lossy_steps"
wait_for 60 'two nodes again' eval '! sinfo -h -o %t | grep -q down'

# ---- an array -----------------------------------------------------------------------------------------------------------
submit() { "$top/jobs/submit.sh" --parsable "$@" 2>said; }
export MOST_FAILURES=0 # a run that is killed stays so
run_trains() { grep -q '^step [0-9]*/' "logs/sweep-$1.out" 2>/dev/null && [ -n "$(process_of "$2")" ]; } # TASK FOLDER
task_of() { squeue -h -r -j "$1" -o '%K %A' | sed -n "s/^$2 //p"; } # ARRAY NUMBER: each task is a job with a number of its own

printf 'run.seed=1\nrun.stpes=5\nrun.seed=\n' >bad.txt
submit "$top/jobs/array.sbatch" small.ini bad.txt && fail 'a list with bad lines is handed in'
expect 'what is said of a list with bad lines' "$(cut -d: -f1,2 said | tr '\n' ' ')" 'bad.txt:2 bad.txt:3 '
[ ! -e runs ] || fail 'a list with bad lines leaves something behind'

long=200
one_thread=(--set distributed.threads=1) # -c 2 spreads the runs over the nodes; the cores are fewer than that
cat >sweep.txt <<END
run.seed={1,2} run.steps=$long checkpoint.interval=20    ; these two are disturbed
run.seed={3,4} run.steps=3
END
killed_run=runs/sweep/seed=1_steps=${long}_checkpoint.interval=20
moved_run=runs/sweep/seed=2_steps=${long}_checkpoint.interval=20
array=$(submit -n 1 -c 2 --time=10 "$top/jobs/array.sbatch" small.ini sweep.txt "${one_thread[@]}") || fail "submit.sh: $(cat said)"
jobs+=("$array")
wait_for 90 'run 1 of the array trains' run_trains "${array}_1" "$killed_run"
wait_for 90 'run 2 of the array trains' run_trains "${array}_2" "$moved_run"
wait_for 60 "job $by_mpirun ends" ended "$by_mpirun"
killed=$(task_of "$array" 1) moved=$(task_of "$array" 2)
kill -9 "$(process_of "$killed_run")"
wait_for 60 'the killed run ends' ended "$killed"
expect 'state of the killed run' "$(field "$killed" JobState)" FAILED
node=$(field "$moved" BatchHost)
scontrol update "nodename=$node" state=down reason=check
say "$node of run 2 is down; it returns to service by itself"
again=$(submit -n 1 -c 2 --time=10 "$top/jobs/array.sbatch" small.ini sweep.txt "${one_thread[@]}") || fail "submit.sh: $(cat said)"
jobs+=("$again")
expect 'what is handed in again' "$(squeue -h -r -j "$again" -o '%K')" 1
wait_for 120 'the run whose node was lost ends' ended "$moved"
expect 'state of the run whose node was lost' "$(field "$moved" JobState)" COMPLETED
expect 'its restarts' "$(field "$moved" Restarts)" 1
wait_for 120 'the killed run ends' ended "$again"
wait_for 60 'the array ends' no_jobs
expect 'runs of the array that are done' "$(cat runs/sweep/*/status | tr '\n' ' ')" 'done done done done '
expect 'steps of the killed run, each once' "$(steps_of "$killed_run")" $long
expect 'steps of the run that moved, each once' "$(steps_of "$moved_run")" $long
submit "$top/jobs/array.sbatch" small.ini sweep.txt "${one_thread[@]}"
expect 'what is left of the list' "$(sed 's/.*: //' said)" '4 done, 0 to run'

# ---- other jobs, at the same time ---------------------------------------------------------------------------------------
evaluate=$(submit -N 2 --ntasks-per-node=1 "$top/jobs/evaluate.sbatch" runs/sweep/*/) || fail "submit.sh: $(cat said)"
scaling=$(submit -N 2 --ntasks-per-node=1 "$top/jobs/scaling.sbatch" --backbone resnet18 --multiplier 0.1 --height 32 --width 64 \
    --steps 1 --warmup 0) || fail "submit.sh: $(cat said)"
jobs+=("$evaluate" "$scaling")
for job in "$evaluate" "$scaling"; do
    wait_for 60 "job $job ends" ended "$job"
done
expect 'state of a job started by mpirun' "$(field "$by_mpirun" JobState)" COMPLETED
expect 'its ranks' "$(log_of "$by_mpirun" | sed -n 's/^\([0-9]*\) ranks x.*/\1/p')" 2
expect 'state of evaluate.sbatch' "$(field "$evaluate" JobState)" COMPLETED
expect 'evaluations' "$(grep -l '^{"checkpoint":.*}$' runs/sweep/*/evaluation.json | wc -l)" 4
expect 'state of scaling.sbatch' "$(field "$scaling" JobState)" COMPLETED
expect 'its files' "$(cd runs/scaling-2x1 && echo *.json)" 'link.json scaling.json step.json'
expect 'ranks that the scaling went to' "$(grep -o '"ranks":2' runs/scaling-2x1/scaling.json | sort -u)" '"ranks":2'
report_end
