# To be sourced by check_*.sh: counting (report.sh), a scratch folder that goes away at the end, MPI on one crowded machine.
#   $here, $scratch, $MPIRUN
#   expect WHAT COMMAND...        a test: the command succeeds. When it does not, what it said is shown, and the end of
#                                 $scratch/log, where longer-lived programs write
#   needs_python WORD MODULE...   sets $python; where none has the modules, the script ends as skipped
# clean_up may be defined anew by a script that leaves more than the folder behind.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/report.sh"
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sigmatic-$report_name.XXXXXX") || exit 1
clean_up() { :; }
trap 'report_early_exit; clean_up; rm -rf "$scratch"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
export OMP_NUM_THREADS=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
MPIRUN=${MPIRUN:-mpirun}
exec </dev/null

expect() {
    local what=$1
    shift
    if "$@" >"$scratch/said" 2>&1; then
        passed "$what"
    else
        failed "$what"
        echo "FAILED: $report_name: $what"
        tail -n 20 "$scratch/said"
        [ -f "$scratch/log" ] && tail -n 8 "$scratch/log"
        return 0
    fi
}

needs_python() {
    local word=$1 candidate
    shift
    for candidate in "${PYTHON:-python3}" python3 /usr/bin/python3; do
        "$candidate" -c "import $(IFS=,; echo "$*")" 2>/dev/null && python=$candidate && return
    done
    skip_all "$word" "no Python with $*"
}
