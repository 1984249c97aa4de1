# To be sourced: what submit.sh, local.sh and the jobs share. `jobs` is the folder of this file.

wrong() {
    echo "$*" >&2
    exit 2
}

# Site files are not written for `set -u`, nor are those of modules and Spack.
read_site() {
    local site=${SIGMATIC_SITE:-$jobs/site.sh}
    [ -r "$site" ] || wrong "$site: no such file, or not readable (SIGMATIC_SITE)"
    set +u
    # shellcheck disable=SC1090
    . "$site"
    set -u
}

# Sets `job`: a file, or one of this folder's by its name, which may have jobs/ before it wherever the scripts are installed.
find_job() {
    job=$1
    [ -r "$job" ] || [[ $job == */* && $job != jobs/* ]] || job=$jobs/${1##*/}
    [ -r "$job" ] || wrong "$1: no such job; there are$(printf ' jobs/%s' $(cd "$jobs" && echo *.sbatch))"
}

find_program() {
    local candidate
    for candidate in ${SIGMATIC:+"$SIGMATIC"} "${SLURM_SUBMIT_DIR:-.}/build/current/sigmatic" \
        "$jobs/../build/current/sigmatic" "$jobs/../../../bin/sigmatic" sigmatic; do
        program=$(command -v "$candidate") && return
        [ -z "${SIGMATIC:-}" ] || break
    done
    wrong "no program ${SIGMATIC:-build/current/sigmatic, here or beside $jobs, nor an installed one there or in PATH}: run make, or set SIGMATIC"
}

# Cores that this process may use; nproc would count those of OpenMP.
cores_here() { env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc; }
