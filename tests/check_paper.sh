#!/usr/bin/env bash
# The experiment of `make paper`: each run of its lists is a config that trains, the stages in small, what analysis/paper.py makes
# of numbers that are known. check_paper.sh PROGRAM
set -u
. "$(dirname "$0")/frame.sh"
needs_python matplotlib h5py numpy matplotlib
export SIGMATIC PYTHON=$python OMP_WAIT_POLICY=passive
SIGMATIC=$(realpath "$1")
root=$(realpath "$here/..")
unset SLURM_JOB_ID SLURM_SUBMIT_DIR SIGMATIC_SITE SIGMATIC_JOBS RANKS THREADS AT_ONCE HOURS STEPS SIZE DIFFICULTY FOLDER DATA RESULTS SUBMIT FORCE LISTS SCENES
cd "$scratch" || exit 1

mkdir values && "$python" "$here/paper_values.py" "$root/analysis" values >values.log 2>&1
expect "what is made of known numbers" test "$(grep -c '^ok ' values.log)" -eq 8 || tail -n 5 values.log

# ---- the lists -----------------------------------------------------------------------------------------------------------
lists_are_runs() { # every run is one of its own, with a config that training takes
    mkdir lists && echo '{"rates": {"semantic": 0.005, "instance": 0.005, "depth": 0.005, "equal": 0.005, "uncertainty": 0.0125},
        "best": [0.89, 0.01, 0.1], "final": [0.2, 0.1, 0.7]}' >lists/choices.json
    local name jobs=$root/jobs
    for name in gate rates main chosen; do
        "$python" "$root/analysis/paper.py" fill "$root/jobs/paper/$name.txt" lists --data lists >lists/$name.txt || return
        (. "$jobs/common.sh" && . "$jobs/rows.sh" && find_program &&
            rows_arguments "$root/configs/paper_scenes.ini" lists/$name.txt && rows_read && echo "$rows" >>lists/count &&
            sed -i 's/run.seed={1[.][.][35]}/run.seed=1/' "$list" && rows_read && # one seed's config is as good as the others'
            mkdir lists/$name && rows_check lists/$name) || return
    done
    [ "$(paste -sd ' ' lists/count)" = '12 15 116 10' ]
}
expect "every run of the lists" lists_are_runs

# ---- the stages, of networks that learn nothing ----------------------------------------------------------------------------
mkdir tiny && cat >tiny/gate.txt <<'LIST'
run.tasks={semantic,instance,depth} weighting.method=equal optimizer.learning_rate=0.005 run.seed=1
weighting.method=fixed task.semantic.weight=0.8 task.instance.weight=0.1 task.depth.weight=0.1 optimizer.learning_rate=0.005 run.seed=1
LIST
cat >tiny/rates.txt <<'LIST'
run.tasks={semantic,instance,depth} weighting.method=equal optimizer.learning_rate=0.005 run.seed=1
weighting.method={equal,uncertainty} optimizer.learning_rate=0.005 run.seed=1
LIST
cat >tiny/main.txt <<'LIST'
run.tasks=depth weighting.method=equal optimizer.learning_rate=RATE_depth run.seed=1
weighting.method=uncertainty data.train=DATA/{scenes,disparity-1}.h5 optimizer.learning_rate=RATE_uncertainty run.seed=1
LIST
echo 'FINAL_WEIGHTS optimizer.learning_rate=RATE_equal run.seed=1' >tiny/chosen.txt
paper() { # CODE
    local wanted=$1
    shift
    LISTS=tiny STEPS=4 SIZE=32x64 SCENES='8 4 4' "$root/jobs/paper.sh" --set model.width=0.0625 --set run.batch=4 "$@" >out 2>err
    [ $? -eq "$wanted" ] || { tail -n 5 err && return 1; }
}
expect "what learnt nothing stops at the gate" paper 1
expect "it says so" grep -q '^the gate does not hold' out
expect "nothing was run behind it" test ! -e runs/paper/short
before=$(ls -l --time-style=full-iso runs/paper/full/*/run.h5)
export FORCE=yes
expect "on request it goes on to the end" paper 0
expect "what was done is not done again" test "$(ls -l --time-style=full-iso runs/paper/full/*/run.h5 | grep -xFc -e "$before")" -eq 4
expect "every other run is" test "$(cat runs/paper/{short,full}/*/status | sort | uniq -c | tr -s ' ')" = ' 12 done'
expect "the noisy one is known" grep -q '"noise": {"disparity": 1.0}' runs/paper/results/digest.json
expect "each of whole length is evaluated on the test split" test "$(ls runs/paper/full/*/test.json | wc -l)" -eq 7
expect "tables" grep -q '^| uncertainty beats equal' runs/paper/results/paper_results.md
unset FORCE
echo "no run" >tiny/rates.txt # where the next stage ends
expect "called again, it does not stop at a gate that lies behind it" paper 2
report_end
