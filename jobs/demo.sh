#!/usr/bin/env bash
# The whole chain on two ranks: scenes -> training -> evaluation -> pictures. jobs/demo.sh PROGRAM [--set SECTION.KEY=VALUE]...
set -eu
program=$1
shift
folder=runs/demo
data=data/scenes.h5
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
ranks() { mpirun -n 2 --oversubscribe --bind-to none "$program" "$@"; }
say() { printf '\n== %s\n' "$*"; }

mkdir -p data "$folder"
say "scenes: $data"
[ -f "$data" ] || ranks data scenes "$data" --train 1024 --validation 128 --seed 1
say "training on 2 ranks: configs/demo.ini"
ranks train configs/demo.ini --overwrite "$@"
say "evaluation against the trivial predictor"
ranks eval "$folder/checkpoints/best.h5" --trivial --predictions "$folder/predictions.h5" --prediction-count 4
say "overlays of images, without their labels"
ranks predict "$folder/checkpoints/best.h5" "$data" --split val --output "$folder/predictions" --overwrite
say "the run log"
"$program" show "$folder/run.h5"
say "pictures"
"$PYTHON" analysis/plot_sigma.py "$folder/run.h5" -o "$folder/sigma.png"
"$PYTHON" analysis/show_predictions.py "$folder/predictions.h5" -o "$folder/predictions.png"
"$PYTHON" analysis/report.py "$folder" -o "$folder/report.html" || true # without libjs-dygraphs it says so
printf '\n%s\n' "done: look at $folder/sigma.png, $folder/predictions.png, $folder/report.html and $folder/predictions/overlay/"
