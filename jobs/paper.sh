#!/usr/bin/env bash
# The experiment of analysis/paper.md, stage by stage: data, gate, learning rates, all runs, those that hang on what these
# reached, evaluation on the test split, tables and pictures. What is done is not done again: the same call goes on.
#
#     jobs/paper.sh [--set SECTION.KEY=VALUE]...          (of all runs; `make paper` calls it)
#
# Environment: HOURS     about so many hours on two cores (3): it scales the length of the runs
#              STEPS     the length itself, instead
#              SIZE      of the scenes (64x128); DIFFICULTY (0)
#              FOLDER    of the runs (runs/paper), DATA of the datasets (data/paper), RESULTS of digest, tables, pictures (FOLDER/results)
#              SUBMIT    what runs a job and waits for its end (jobs/local.sh); on a cluster 'jobs/submit.sh --wait -c 8 --time=4:00:00'
#              FORCE=yes goes on although the gate does not hold
#              LISTS     the folder of gate.txt, rates.txt, main.txt and chosen.txt (jobs/paper)
#              SCENES    numbers of training, validation and test scenes ('2000 400 400')
#              PYTHON    (/usr/bin/python3), and the environment of jobs/local.sh
set -u
# measured: analysis/paper.md, The time
readonly STEPS_AN_HOUR=220
jobs=$(cd "$(dirname "$0")" && pwd)
. "$jobs/common.sh"
find_program
export SIGMATIC=$program
config=$jobs/../configs/paper_scenes.ini
analysis=$jobs/../analysis/paper.py
size=${SIZE:-64x128} folder=${FOLDER:-runs/paper} data=${DATA:-data/paper} lists=${LISTS:-$jobs/paper} python=${PYTHON:-/usr/bin/python3}
results=${RESULTS:-$folder/results}
read -r train validation test <<<"${SCENES:-2000 400 400}"
steps=${STEPS:-$(awk -v hours="${HOURS:-3}" -v rate=$STEPS_AN_HOUR 'BEGIN { printf "%d", hours * rate + 0.5 }')}
[[ $steps =~ ^[0-9]+$ ]] && [ "$steps" -ge 2 ] || wrong "HOURS=${HOURS:-} STEPS=${STEPS:-}: $steps steps a run, expected 2 or more"
[[ $size =~ ^[0-9]+x[0-9]+$ ]] || wrong "SIZE=$size: expected HEIGHTxWIDTH, such as 64x128"
read -r -a submit <<<"${SUBMIT:-$jobs/local.sh}"
given=("$@" --set "data.train=\"$data/scenes.h5\"" --set "data.validation=\"$data/scenes.h5\"")
say() { printf '\n== %s  %s\n' "$(date '+%T')" "$*" >&2; }

# ---- data ----------------------------------------------------------------------------------------------------------------
scenes() { # NAME OPTION...: written once; of noisy labels only the training scenes, which are else those of scenes.h5
    local file=$data/$1.h5
    shift
    [ -f "$file" ] || "$program" data scenes "$file" --train "$train" --height "${size%x*}" --width "${size#*x}" --seed 1 \
        --difficulty "${DIFFICULTY:-0}" "$@"
}
say "data: $data"
mkdir -p "$data" "$folder/lists" || exit
scenes scenes --validation "$validation" --test "$test" || exit
for noise in 0.25 0.5 1; do
    scenes disparity-$noise --validation 0 --disparity-noise $noise || exit
done
for noise in 1 2 4; do
    scenes vectors-$noise --validation 0 --vector-noise $noise || exit
done

# ---- runs ----------------------------------------------------------------------------------------------------------------
# Words that stand for what earlier stages found are filled in: folder/lists has the list as it was run.
failed=''
array() { # STAGE FOLDER STEPS
    local code
    say "$1: runs of $3 steps"
    "$python" "$analysis" fill "$lists/$1.txt" "$folder" --data "$data" >"$folder/lists/$1.txt~" || exit
    mv "$folder/lists/$1.txt~" "$folder/lists/$1.txt" || exit
    "${submit[@]}" "$jobs/array.sbatch" "$config" "$folder/lists/$1.txt" --folder "$folder/$2" "${given[@]}" --set "run.steps=$3"
    code=$?
    case $code in
    0) ;;
    1) failed=yes ;; # of some runs: the others stand, and what needs the lost ones says so
    *) exit "$code" ;;
    esac
}
# A checkpoint's folder lies beside its evaluation; what is older than the checkpoint is another's.
evaluate() { # NAME OPTION... -- RUN...
    local name=$1 options=() runs=() run checkpoint
    shift
    for (( ; $# > 0; )); do
        [ "$1" != -- ] || { shift && break; }
        options+=("$1") && shift
    done
    for run in "$@"; do
        [ "$(cat "$run/status" 2>/dev/null)" = done ] || continue
        checkpoint=$(find "$run/checkpoints" -name 'step-*.h5' | sort | tail -n 1)
        [ "$run/$name.json" -nt "$checkpoint" ] || runs+=("$run")
    done
    [ ${#runs[@]} -eq 0 ] || "${submit[@]}" "$jobs/evaluate.sbatch" "${runs[@]}" --as "$name" "${options[@]}"
}

array gate full "$steps"
fixed=("$folder"/full/weighting.method=fixed_*)
evaluate trivial --trivial -- "${fixed[0]}" || exit
# Once learning rates are chosen, the runs behind a gate that was passed need not be those that count any more.
[ -s "$folder/choices.json" ] || "$python" "$analysis" gate "$folder" || [ "${FORCE:-}" = yes ] || exit
array rates short $((steps / 2))
array main full "$steps"
array chosen full "$steps"

say "evaluation on the test split"
runs=("$folder"/full/*/)
evaluate test --split test -- "${runs[@]%/}" || exit
say "digest, tables and pictures: $results"
mkdir -p "$results" || exit
"$python" "$analysis" digest "$folder" -o "$results/digest.json" && "$python" "$analysis" draw "$results/digest.json" -o "$results" || exit
[ -z "$failed" ] || { echo "some runs failed; the same command runs them again" >&2 && exit 1; }
