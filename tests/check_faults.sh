#!/usr/bin/env bash
# What a run survives: kills, signals, failing disks and damaged files at chosen moments (faults/). check_faults.sh PROGRAM [CELL...]
#   FAULTS=short      some cells of each kind, in minutes (the default); full: every operation; kills: random kills only; soak
#   FAULTS_SHARE=1/4  a quarter of the cells of the short or full form: 1/4 to 4/4 are all
#   FAULTS_SEED=1     chooses positions and bits
#   KILLS=40          random kills
#   SOAK_MINUTES=240  of the soak
# CELL is the name of one that failed, which says all that is needed to repeat it.
set -u
[ -d /dev/shm ] && export TMPDIR=${TMPDIR:-/dev/shm} # a disk would mostly be waited for
. "$(dirname "$0")/frame.sh"
needs_python h5py h5py numpy
program=$1
shift
"$python" "$here/faults/matrix.py" "$program" "$scratch" "$@" --form "${FAULTS:-short}" --seed "${FAULTS_SEED:-1}" \
    --share "${FAULTS_SHARE:-1/1}" --kills "${KILLS:-40}" --minutes "${SOAK_MINUTES:-240}" || grep -q '^failed ' "$SIGMATIC_SUMMARY" || failed "the matrix"
report_end
