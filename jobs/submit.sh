#!/usr/bin/env bash
# Hands a job in to Slurm with the site's settings (site.sh), once its arguments have been looked at.
#
#     jobs/submit.sh [OPTION of sbatch]... jobs/NAME.sbatch ARGUMENT...
#     jobs/submit.sh -N 2 --ntasks-per-node=2 -c 8 --time=4:00:00 jobs/train.sbatch configs/demo.ini
#     jobs/submit.sh -c 8 --time=1:00:00 jobs/array.sbatch configs/demo.ini sweep.txt
#
# A wrong config, a list with a bad line or a checkpoint that is not there ends it with 2 before anything is handed in or
# written. Of an array it hands in the runs that are neither done nor in the queue: called again, those that failed.
# Environment: AT_ONCE (how many runs of an array at a time: all), SIGMATIC, SIGMATIC_SITE, and what the job reads
set -u
jobs=$(cd "$(dirname "$0")" && pwd)
. "$jobs/common.sh"

options=() sbatch_flags=()
while [ $# -gt 0 ] && [[ $1 != *.sbatch ]]; do
    options+=("$1")
    shift
done
if [ $# -eq 0 ]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
find_job "$1"
shift
read_site
export SIGMATIC_JOBS=$jobs
[ -z "${SIGMATIC:-}" ] || export SIGMATIC
[ -z "${LAUNCHER:-}" ] || export LAUNCHER

# The queue knows an array's runs by their list, which its comment names.
readonly MARK=sigmatic-list:
find_elsewhere() {
    local number comment list rows row_line row_name row_overrides
    declare -gA elsewhere=()
    while IFS='|' read -r number comment; do
        [[ $comment == "$MARK$(realpath -m "$folder")"/* ]] || continue
        list=${comment#"$MARK"}
        [ -r "$list" ] && rows_read 2>/dev/null && elsewhere[${row_name[number]:-none}]=yes
    done < <(squeue -h -r -u "$(id -un)" -t PENDING,CONFIGURING,RUNNING,SUSPENDED -o '%K|%k' 2>/dev/null)
}

plan_array() {
    local numbers
    . "$jobs/rows.sh"
    find_program
    rows_arguments "$@" || exit
    site_options+=(--job-name="$(basename "${list%.*}")")
    find_elsewhere
    rows_plan || exit
    [ ${#todo[@]} -gt 0 ] || exit 0
    rows_keep || exit 1
    numbers=$(IFS=, && echo "${todo[*]}")
    site_options+=(--array="$numbers${AT_ONCE:+%$AT_ONCE}" --comment="$MARK$(realpath "$list")")
    arguments=("$config" "$list" --folder "$folder" "${sets[@]}")
}

site_options=("${sbatch_flags[@]}") arguments=("$@")
if [ "$(basename "$job")" = array.sbatch ]; then
    plan_array "$@"
else
    SIGMATIC_CHECK=yes SIGMATIC_LOCAL='' bash "$job" "$@" || exit 2
fi
command -v sbatch >/dev/null || wrong 'no sbatch: jobs/local.sh runs without Slurm'
mkdir -p logs || exit 1
exec sbatch "${site_options[@]}" "${options[@]}" "$job" "${arguments[@]}"
