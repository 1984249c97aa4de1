#!/usr/bin/env bash
# Builds against MPICH and serial HDF5 and runs a part of the tests. check_mpich.sh
set -u
. "$(dirname "$0")/report.sh"
command -v mpicc.mpich >/dev/null && command -v mpirun.mpich >/dev/null || skip_all mpich "no MPICH: run jobs/setup.sh mpich"
pkg-config --exists hdf5-serial || skip_all mpich "no serial HDF5: run jobs/setup.sh mpich"
export MPIRUN=mpirun.mpich
make -C "$(dirname "$0")/.." --no-print-directory SETUP=no CC=mpicc.mpich HDF5_PACKAGE=hdf5-serial OPTIMIZE=-O1 check-fast \
    T="test_network test_resume test_comm"
report_end
