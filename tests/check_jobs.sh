#!/usr/bin/env bash
# The scripts of jobs/ without Slurm: lists of runs and what is wrong with them, runs side by side, stopping and going on,
# evaluating, what submit.sh would hand in, the examples for sites. check_jobs.sh PROGRAM
# tests/check_slurm.sh runs them under Slurm.
set -u
. "$(dirname "$0")/frame.sh"
export SIGMATIC
SIGMATIC=$(realpath "$1")
jobs=$(realpath "$here/../jobs")
export OMP_WAIT_POLICY=passive # other tests are at work on these cores
unset SLURM_JOB_ID SLURM_SUBMIT_DIR SIGMATIC_SITE SIGMATIC_JOBS LAUNCHER RANKS THREADS AT_ONCE MAX_RESTARTS OMP_NUM_THREADS \
    MOST_FAILURES FAST_SECONDS HOSTS REACH FEWER_RANKS
child=
clean_up() { [ -z "$child" ] || kill "$child" 2>/dev/null; }
cd "$scratch" || exit 1

"$SIGMATIC" data scenes tiny.h5 --train 8 --validation 2 --height 32 --width 64 --seed 1 >/dev/null 2>&1 || exit 1
cat >tiny.ini <<INI
[run]
batch = 2
steps = 4
progress_seconds = 0
[model]
backbone = resnet18
width = 0.0625
aspp_rates = 1,2,3
[data]
train = tiny.h5
validation = tiny.h5
[task.depth]
kind = depth
INI

code_is() { # CODE COMMAND...
    local wanted=$1
    shift
    "$@"
    code=$?
    [ "$code" -eq "$wanted" ] || { echo "exit code $code, expected $wanted: $*"; return 1; }
}
same() { [ "$1" = "$2" ] || { printf '%s\n%s\n' "found:    $1" "expected: $2"; return 1; }; }
wait_child() { # CODE
    wait "$child"
    code=$?
    child=
    same "$code" "$1"
}
array() { "$jobs/local.sh" "$jobs/array.sbatch" tiny.ini "$@" >out 2>err; }

# ---- lists --------------------------------------------------------------------------------------------------------------
# What is said of a list, LINE: MESSAGE; nothing is written, and nothing handed in.
mkdir bin
printf '#!/bin/sh\nprintf "%%s\\n" "$@" >handed_in\n' >bin/sbatch
printf '#!/bin/sh\ncat queue 2>/dev/null\n' >bin/squeue
chmod +x bin/*
submit() { PATH=$scratch/bin:$PATH "$jobs/submit.sh" "$@" >out 2>err; }
bad_list() { # LIST MESSAGE...
    local before
    printf "$1" >bad.txt
    shift
    before=$(find . | sort)
    code_is 2 array bad.txt || return
    same "$(sed 's/^bad.txt:*//' err)" "$(printf '%s\n' "$@")" || return
    code_is 2 submit "$jobs/array.sbatch" tiny.ini bad.txt || return
    same "$(sed 's/^bad.txt:*//' err)" "$(printf '%s\n' "$@")" || return
    same "$(find . | sort)" "$before"
}
touch out err bad.txt said
expect 'an empty list' bad_list '# nothing\n\n' ' no run in it'
expect 'a word without a value, the others are read on' bad_list 'run.seed=1\nhello\nrun.seed=2 x=3\n' \
    '2: "hello" is not of the form SECTION.KEY=VALUE' '3: "x=3" is not of the form SECTION.KEY=VALUE'
expect 'braces and quotes that do not end' bad_list 'run.seed={1..3\nrun.seed=1}\nrun.seed={1,{2}}\ndata.train="a b\n' \
    '1: braces that do not match: run.seed={1..3' '2: braces that do not match: run.seed=1}' \
    '3: braces that do not match: run.seed={1,{2}}' '4: a quote that does not end'
expect 'nothing between braces, and steps of 0' bad_list 'run.seed={}\nrun.seed={1..5..0}\n' \
    '1: nothing between braces, or steps of 0: run.seed={}' '2: nothing between braces, or steps of 0: run.seed={1..5..0}'
expect 'a key twice, a run twice' bad_list 'run.seed=1 run.seed=2\nrun.seed={1..3} run.batch=2\n\nrun.batch=2 run.seed=2\n' \
    '1: run.seed stands there twice' '4: the same run as in line 2: batch=2_seed=2'
expect 'a folder of its own' bad_list 'run.folder=here\n' \
    "1: run.folder: a run of a list gets a folder named for what its line says; --folder names the one above"
expect 'too many runs' bad_list 'run.seed={1..200} run.steps={1..200}\n' '1: more than 10000 runs'
expect 'unknown keys and wrong values, by the program; runs of one line once' bad_list \
    'run.seed=1\nrun.stpes={1..3}\nrun.batch=x # no number\n' \
    "2: sigmatic: error: --set: [run] has no key 'stpes', did you mean 'steps'?" \
    "3: sigmatic: error: --set: [run] batch = 'x': expected an integer, 1 .. 1000000"
expect 'a line that is bad by itself and one that the program refuses, at once; all bad words of a line' bad_list \
    'hello there run.seed=2\nrun.stpes=1 run.seed=1 run.bacth=2\nrun.batch=0\n' \
    '1: "hello" is not of the form SECTION.KEY=VALUE' '1: "there" is not of the form SECTION.KEY=VALUE' \
    "2: sigmatic: error: --set: [run] has no key 'stpes', did you mean 'steps'?" \
    "2: sigmatic: error: --set: [run] has no key 'bacth', did you mean 'batch'?" \
    "3: sigmatic: error: --set: [run] batch = '0': expected an integer, 1 .. 1000000"
expect 'a list that is not there' code_is 2 array nowhere.txt
expect 'it is named' grep -qx 'nowhere.txt: no such file, or not readable' err
expect 'arguments swapped' code_is 2 "$jobs/local.sh" "$jobs/array.sbatch" bad.txt tiny.ini
expect 'it is said in one line' same "$(cat said)" 'tiny.ini looks like a config: CONFIG comes first, then LIST'
expect 'an option that arrays do not have' code_is 2 array bad.txt --overwrite

names() { # LIST: names of its runs
    printf "$1" >names.txt
    (. "$jobs/rows.sh" && list=names.txt && rows_read && printf '%s\n' "${row_name[@]}")
}
expect 'braces multiply, the first one slowest; comments, quotes, DOS line ends' same "$(names \
    '; a sweep\r\nrun.seed={1..2} task.depth.weight={0.5, 2}\r\ndata.train="a;b {c}.h5" model.aspp_rates=1,2 # end\noptimizer.learning_rate={3..1..2}e-4\n')" \
    "$(printf '%s\n' seed=1_depth.weight=0.5 seed=1_depth.weight=2 seed=2_depth.weight=0.5 seed=2_depth.weight=2 \
        data.train=a-b-c-.h5_model.aspp_rates=1-2 optimizer.learning_rate=3e-4 optimizer.learning_rate=1e-4)"

# ---- runs ---------------------------------------------------------------------------------------------------------------
printf 'run.seed={1,2}\nrun.steps=6\ndata.train=nowhere.h5 # fails\n' >sweep.txt
states() { (cd runs/sweep && for run in */; do echo "$run$(cut -d: -f1 "$run/status" 2>/dev/null)"; done); }
expect 'an array of which a run fails' code_is 1 array sweep.txt --set data.workers=1
expect 'its runs' same "$(states)" "$(printf '%s\n' data.train=nowhere.h5/failed seed=1/done seed=2/done steps=6/done)"
expect 'the failed one is named with its log' grep -q '^run 4: failed with exit code 2: logs/sweep-4.out$' err
expect 'an array again' code_is 1 array sweep.txt --set data.workers=1
expect 'only the failed run is run again' same "$(grep -c '^run [0-9]* of' err) $(grep '^sweep' err)" \
    '1 sweep.txt: 4 runs in runs/sweep: 3 done, 1 to run'
sed -i '$d' sweep.txt
expect 'nothing left to run' code_is 0 array sweep.txt --set data.workers=1
expect 'a run that is done with another config is run' submit "$jobs/array.sbatch" tiny.ini sweep.txt --set run.steps=8
expect 'it is handed in' grep -qx -- '--array=1,2' handed_in

# ---- what is handed in ---------------------------------------------------------------------------------------------------
kept=$(ls -t runs/sweep/list-*.txt | head -n 1)
echo "1|sigmatic-list:$PWD/$kept" >queue
cat >site.sh <<'SH'
sbatch_flags=(--partition=long --account='of us')
SH
export SIGMATIC_SITE=$scratch/site.sh
rm handed_in
expect 'without the runs that are queued' submit -c 2 "$jobs/array.sbatch" tiny.ini sweep.txt --set run.steps=8
expect 'with the options of site.sh, those of the command line after them' same "$(grep -v '^--comment=' handed_in)" \
    "$(printf '%s\n' --partition=long '--account=of us' --job-name=sweep --array=2 -c 2 "$jobs/array.sbatch" tiny.ini "$kept" \
        --folder runs/sweep --set run.steps=8)"
rm handed_in
expect 'a wrong config is not handed in' code_is 2 submit "$jobs/train.sbatch" tiny.ini --set run.stpes=3
expect 'nor a checkpoint that is not there' code_is 2 submit "$jobs/evaluate.sbatch" runs/sweep/seed=1 runs/nothing
expect 'it is named' grep -qx 'runs/nothing: no such checkpoint' err
expect 'nothing is handed in' test ! -e handed_in
expect 'a site file that is not there' code_is 2 env SIGMATIC_SITE=nowhere.sh "$jobs/submit.sh" "$jobs/train.sbatch" tiny.ini
unset SIGMATIC_SITE

# ---- configs that change ------------------------------------------------------------------------------------------------
echo 'run.seed=1' >one.txt
one() { array one.txt --folder runs/sweep --set data.workers=1 "$@"; }
counted() { same "$(grep '^one.txt' err)" "one.txt: 1 runs in runs/sweep: $1"; }
expect 'a change that no run can take on' code_is 1 one --set weighting.method=equal
expect 'again: the run is not done with it' code_is 1 one --set weighting.method=equal
expect 'it is refused each time' same "$(grep -c "weighting.method 'uncertainty', the config says 'equal'" logs/one-1.out)" 2
expect 'with what it was trained with, it is done' code_is 0 one
expect 'nothing is left to run' counted '1 done, 0 to run'
expect 'a change that it takes on' code_is 0 one --set run.steps=5
expect 'again' code_is 0 one --set run.steps=5
expect 'it is done with that' counted '1 done, 0 to run'

# ---- several that fail at the same time ---------------------------------------------------------------------------------
# In place of the program: ends with its seed, once it may. What started it sees all ends at once: it is stopped meanwhile.
cat >bin/ends_with_its_seed <<'SH'
#!/bin/sh
case $* in *--print-config*) echo "$*" && exit ;; esac
seed=$(echo "$*" | sed 's/.*run.seed=\([0-9]*\).*/\1/')
echo >"started-$seed"
while [ ! -e end ]; do sleep 0.05; done
exit "$seed"
SH
printf '#!/bin/sh\nwhile [ "$1" != "$PWD/bin/ends_with_its_seed" ]; do shift; done\nexec "$@"\n' >bin/one_rank
chmod +x bin/*
echo 'run.seed={9..16}' >ends.txt
wait_until() { # COMMAND...
    for _ in $(seq 400); do
        ! "$@" 2>/dev/null || return 0
        sleep 0.05
    done
    return 1
}
all_said_so() { [ "$(cat logs/ends-*.out | grep -c 'ended with exit code')" -eq 8 ]; }
ends() {
    SIGMATIC=$PWD/bin/ends_with_its_seed MPIRUN=$PWD/bin/one_rank AT_ONCE=8 \
        "$jobs/local.sh" "$jobs/array.sbatch" tiny.ini ends.txt >out 2>err &
    child=$!
    wait_until test -e started-16
    kill -STOP "$child"
    touch end
    wait_until all_said_so
    kill -CONT "$child"
    wait_child 1
}
expect 'runs that fail at the same time' ends
expect 'each is named with its own exit code' same "$(grep 'failed with' err | sort -V)" \
    "$(for run in {1..8}; do echo "run $run: failed with exit code $((run + 8)): logs/ends-$run.out"; done)"

# ---- failures -----------------------------------------------------------------------------------------------------------
# In place of program and mpirun: a start does what the next line of `acts` says (exit code, whether it writes a checkpoint, status),
# and notes with what it was called.
cat >bin/acts <<'SH'
#!/bin/sh
case $* in *--print-config*) printf '[run]\nfolder = acted\n[data]\nfolder = wrong\n' && exit ;; esac
echo "$*" >>started
read -r code checkpoint status <acts
sed -i 1d acts
mkdir -p acted/checkpoints
[ "$checkpoint" = - ] || echo >"acted/checkpoints/$checkpoint"
[ "$status" = - ] || { echo "$status" >new && mv new acted/status; }
exit "$code"
SH
printf '#!/bin/sh\necho "$*" >>launched\nwhile [ "$1" != "$PWD/bin/acts" ]; do shift; done\nexec "$@"\n' >bin/launch
printf '#!/bin/sh\n! grep -qx "$1" gone\n' >bin/reach
chmod +x bin/*
supervised() { # ACTS ARGUMENT of supervise.sh...
    printf "$1" >acts
    shift
    rm -rf acted started launched
    RESTART_SECONDS=0 SIGMATIC=$PWD/bin/acts MPIRUN=$PWD/bin/launch REACH=$PWD/bin/reach "$jobs/supervise.sh" tiny.ini "$@" >out 2>err
}
starts() { same "$(cut -d' ' -f3- started)" "$(printf '%s\n' "$@")"; } # what follows `train tiny.ini`
killed='137 step-1.h5 running\n'
expect 'a run that was killed goes on' code_is 0 supervised "${killed}0 step-2.h5 done\n" --overwrite
expect 'from its checkpoint, which is not overwritten' starts --overwrite '--resume auto'
expect 'of three fast failures the last is the end, a lost rank' code_is 3 supervised "$killed$killed$killed$killed" --set run.seed=2
expect 'it was started three times' starts '--set run.seed=2' '--set run.seed=2 --resume auto' '--set run.seed=2 --resume auto'
expect 'that is said' grep -q '^given up: 3 failures in a row' err
MOST_FAILURES=2 expect 'or of as many as one likes' code_is 3 supervised "$killed$killed$killed"
expect 'a wrong config is not tried twice' code_is 2 supervised '2 - -\n0 - done\n'
expect 'nor is one that is wrong later' code_is 2 supervised "${killed}2 - failed: wrong\n0 - done\n"
export FAST_SECONDS=0
expect 'failures with a new checkpoint each do not count' code_is 0 supervised "$(for i in 1 2 3 4; do
    printf '%s' "137 step-$i.h5 running\n"
done)0 step-9.h5 done\n"
expect 'without one they do' code_is 3 supervised "$killed$(printf '137 - running\\n%.0s' 1 2 3 4)"
expect 'it was started four times, the first failure with one' same "$(wc -l <started)" 4
MAX_RESTARTS=2 expect 'restarts have an end' code_is 3 supervised "$killed$(printf '137 step-%s.h5 running\\n' 2 3 4 5 | tr -d '\n')"
expect 'a checkpoint to begin from stays that until there is an own one' code_is 0 supervised \
    "137 - running\n137 step-1.h5 running\n0 step-2.h5 done\n" --resume other.h5
expect 'then that is taken' starts '--resume other.h5' '--resume other.h5' '--resume auto'
expect 'before it has begun, nothing changes' code_is 0 supervised "1 - -\n0 step-1.h5 done\n" --overwrite
expect 'it is the same start' starts --overwrite --overwrite
MOST_FAILURES=1 expect 'a lost exit code: stalled' code_is 3 supervised '1 - failed: stalled: waited\n'
MOST_FAILURES=1 expect 'a lost exit code: done' code_is 0 supervised '137 - done\n'
MOST_FAILURES=1 expect 'a lost exit code: failed' code_is 1 supervised '255 - failed: disk full\n'
expect 'a lost exit code: pre-empted, which starts it again' code_is 0 supervised '1 step-1.h5 pre-empted: asked\n0 - done\n'
expect 'the end of its own time does not' code_is 75 supervised '75 step-1.h5 pre-empted: the time limit is reached\n0 - done\n'
export HOSTS='h1 h2' RANKS=2 THREADS=1
: >gone
expect 'a run on two hosts' code_is 0 supervised "${killed}0 - done\n"
expect 'has its ranks on both' same "$(grep -c -- '-n 4 -H h1:2,h2:2 ' launched)" 2
echo h2 >gone
expect 'a host is gone: nothing is started on fewer' code_is 1 supervised "${killed}0 - done\n"
expect 'that is said' grep -qx 'of h1 h2 only h1 can be reached; FEWER_RANKS=yes would go on there' err
FEWER_RANKS=yes expect 'where it may, it is' code_is 0 supervised "${killed}0 - done\n"
expect 'on the other one alone' same "$(grep -c -- '-n 2 -H h1:2 ' launched)" 2
unset HOSTS RANKS THREADS FAST_SECONDS

# ---- evaluation, scaling ---------------------------------------------------------------------------------------------------
evaluate() { "$jobs/local.sh" "$jobs/evaluate.sbatch" "$@" >log 2>&1; }
rm runs/sweep/steps=6/checkpoints/best.h5
expect 'evaluation of several runs' evaluate runs/sweep/seed=1/ runs/sweep/seed=2/checkpoints/best.h5 runs/sweep/steps=6 --as e
expect 'its results, also of a run without a best checkpoint' same "$(grep -l '"tasks":{"depth"' runs/sweep/*/e.json)" \
    "$(printf 'runs/sweep/%s/e.json\n' seed=1 seed=2 steps=6)"
expect 'two checkpoints of one run' code_is 2 evaluate runs/sweep/seed=1 runs/sweep/seed=1/checkpoints/step-00000005.h5 --as g
expect 'are named with the result that both would write' grep -q \
    "^runs/sweep/seed=1 and runs/sweep/seed=1/checkpoints/step-00000005.h5: both results would be .*/runs/sweep/seed=1/g.json;" log
expect 'before anything is evaluated' same "$(find . -name 'g.json*')" ''
expect 'threads that local.sh binds have cores of their own' code_is 1 grep 'warning: .* thread' log
expect 'an evaluation that fails' code_is 2 evaluate runs/sweep/seed=1 --as f --split nowhere
expect 'leaves no file' same "$(find . -name 'f.json*')" ''

# ---- stopping and going on -------------------------------------------------------------------------------------------------
launch() { # ARGUMENT of local.sh...: returns when steps are made
    : >log
    "$jobs/local.sh" "$@" >log 2>&1 &
    child=$!
    for _ in $(seq 400); do
        ! cat log logs/long-*.out 2>/dev/null | grep -q '^step 5/' || return 0
        kill -0 "$child" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}
expect 'a run starts' launch tiny.ini --set run.folder=long --set run.steps=100000 --overwrite
kill -USR1 "$child"
again() {
    for _ in $(seq 400); do
        ! grep -q '^resuming from long/checkpoints/step-' log || return 0
        sleep 0.05
    done
    return 1
}
expect 'USR1: it goes on from its checkpoint' again
kill -TERM "$child"
expect 'TERM: it stops' wait_child 75
expect 'with a checkpoint' same "$(cut -d: -f1 long/status)" pre-empted
expect 'it says how to go on' grep -qx 'stopped with a checkpoint; with --resume auto the same command goes on' log
expect 'there is no queue to speak of' code_is 1 grep -q queue log
printf 'run.steps=100000 run.seed={1,2}\n' >long.txt
expect 'an array starts' launch "$jobs/array.sbatch" tiny.ini long.txt
kill -TERM "$child"
expect 'TERM: it stops' wait_child 75
expect 'its runs too' same "$(cat runs/long/*/status | cut -d: -f1 | sort -u)" pre-empted

# ---- sites -----------------------------------------------------------------------------------------------------------------
# The lines of site.sh that are examples, as if all were wanted.
examples() {
    mkdir -p home/spack/share/spack
    echo 'spack() { echo "spack $*"; }' >home/spack/share/spack/setup-env.sh
    sed 's/^#\([^ !]\)/\1/' "$jobs/site.sh" >examples.sh
    (
        module() { echo "module $*"; }
        set -e
        HOME=$PWD/home
        unset SIGMATIC
        . ./examples.sh
        echo "$LAUNCHER, $SIGMATIC, ${sbatch_flags[*]}"
    )
}
expect 'the examples of site.sh' same "$(examples)" "$(printf '%s\n' 'module purge' 'module load gcc openmpi hdf5' \
    "module use $PWD/home/modules" 'module load sigmatic' 'spack load sigmatic' 'spack env activate sigmatic' \
    "srun, $PWD/home/sigmatic/bin/sigmatic, --partition=standard --account=my_project --qos=normal --time=12:00:00")"
version=$("$SIGMATIC" --version | sed -n '1s/.* //p')
expect 'the module file and the easyconfig are of this version' test -f "$jobs/install/modules/sigmatic/$version" \
    -a -n "$(ls "$jobs/install/easybuild/Sigmatic-$version-"*.eb)"
load_module() { HOME=/home/of modulecmd bash load "$jobs/install/modules/sigmatic/$version"; }
if command -v modulecmd >/dev/null; then
    expect 'the module file' same "$(load_module | sed -n 's/^PATH=\([^:]*\):.*/\1/p')" /home/of/sigmatic/bin
else
    skip modules 'the module file' 'no modulecmd (environment-modules)'
fi
parse() { "${PYTHON:-/usr/bin/python3}" -c 'import ast, sys
for path in sys.argv[1:]: ast.parse(open(path).read(), path)' "$@"; }
expect 'what Spack and EasyBuild read is Python' parse "$jobs"/install/spack/packages/*/package.py "$jobs"/install/easybuild/*.eb
report_end
