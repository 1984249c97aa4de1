# To be sourced: the runs of an array, read from a list (jobs/README.md, Arrays of runs).
#
#   rows_arguments CONFIG LIST [--folder FOLDER] [--set SECTION.KEY=VALUE]...
#                  sets config, list, folder, sets; with a message for what is none of these
#   rows_read      reads $list: rows (how many), row_line, row_name and row_overrides from 1 on; overrides are separated by
#                  tabs. Names every bad line on standard error, as FILE:LINE, and fails; the runs of the others are
#                  there all the same. Writes nothing
#   row_arguments N        what train gets for run N, without --resume, in the array `arguments`
#   rows_check FOLDER      asks the program about each run's config, as many at a time as there are cores, and leaves
#                          FOLDER/N.ini; names those that are bad, with all of their words that are. Writes nothing elsewhere
#   row_is_done N INI      run N has ended, with the config INI
#   rows_plan              all of this for those who start runs: reads, checks, and sets `todo`, the numbers of runs that are
#                          neither done nor named in `elsewhere` (an associative array); says how many
#   rows_keep              writes the list as it now stands, a run a line, to $folder/list-<checksum>.txt, and sets `list` to it:
#                          what is edited later does not change what is under way
# $program is set by the caller, and common.sh sourced.

rows_arguments() {
    config='' list='' folder='' sets=()
    while [ $# -gt 0 ]; do
        case $1 in
        --folder | --set)
            [ $# -gt 1 ] || { echo "$1 wants a value" >&2 && return 2; }
            if [ "$1" = --set ]; then sets+=(--set "$2"); else folder=${2%/}; fi
            shift
            ;;
        --folder=*) folder=${1#*=} folder=${folder%/} ;;
        --set=*) sets+=(--set "${1#*=}") ;;
        -*) echo "an array takes --folder and --set, not $1" >&2 && return 2 ;;
        *)
            if [ -z "$config" ]; then
                config=$1
            elif [ -z "$list" ]; then
                list=$1
            else
                echo "more than a config and a list: $1" >&2 && return 2
            fi
            ;;
        esac
        shift
    done
    [ -n "$list" ] || { echo "usage: array.sbatch CONFIG LIST [--folder FOLDER] [--set SECTION.KEY=VALUE]..." >&2 && return 2; }
    for file in "$config" "$list"; do
        [ -f "$file" ] && [ -r "$file" ] || { echo "$file: no such file, or not readable" >&2 && return 2; }
    done
    ! grep -q '^ *\[' "$list" || { echo "$list looks like a config: CONFIG comes first, then LIST" >&2 && return 2; }
    [ -n "$folder" ] || folder=$(basename "$list") folder=runs/${folder%.*}
}

# One line of output a run: number of the line, name, overrides. Braces are expanded before blanks separate words.
# shellcheck disable=SC2016
readonly rows_program='
function complain(what) {
    gsub(/[^ -~\200-\377]/, "?", what)
    what = length(what) > 200 ? substr(what, 1, 200) "..." : what
    printf "%s:%d: %s\n", file, FNR, what >"/dev/stderr"
    bad = 1
}
# The place of the first of `wanted` outside of quotes; 0 without any.
function find(text, wanted,    i, c, quoted) {
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "\"") quoted = !quoted
        else if (!quoted && index(wanted, c)) return i
    }
    return 0
}
function without_comment(text,    i, c, quoted, before) {
    before = " "
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "\"") quoted = !quoted
        else if (!quoted && (c == "#" || c == ";") && before == " ") return substr(text, 1, i - 1)
        before = c
    }
    if (quoted) complain("a quote that does not end")
    return text
}
function trimmed(text) {
    gsub(/^ +| +$/, "", text)
    return text
}
# Of "a,b" or "1..9" or "1..9..2": their number, and each in item[].
function items(text, item,    n, i, part, value, step) {
    if (text !~ /^ *-?[0-9]+\.\.-?[0-9]+(\.\.[0-9]+)? *$/) {
        n = split(text, item, ",")
        for (i = 1; i <= n; i++) item[i] = trimmed(item[i])
        return n
    }
    split(trimmed(text), part, /\.\./)
    step = part[3] == "" ? 1 : part[3] + 0
    if (step == 0) return 0
    for (value = part[1] + 0; part[1] + 0 <= part[2] + 0 ? value <= part[2] + 0 : value >= part[2] + 0;
         value += part[1] + 0 <= part[2] + 0 ? step : -step) {
        item[++n] = value
        if (n > most) break
    }
    return n
}
function expand(text,    first, last, inside, item, n, i) {
    if (bad_line == FNR) return
    first = find(text, "{}")
    if (first == 0) {
        run(text)
        return
    }
    inside = substr(text, first + 1)
    last = find(inside, "{}")
    if (substr(text, first, 1) == "}" || last == 0 || substr(inside, last, 1) == "{") {
        complain("braces that do not match: " text)
        bad_line = FNR
        return
    }
    n = items(substr(inside, 1, last - 1), item)
    if (n == 0) {
        complain("nothing between braces, or steps of 0: " text)
        bad_line = FNR
    }
    for (i = 1; i <= n; i++) expand(substr(text, 1, first - 1) item[i] substr(inside, last + 1))
}
function run(text,    key, value, name, overrides, equals, i, j, n, word, sorted, seen) {
    for (text = trimmed(text); text != ""; text = trimmed(text)) {
        i = find(text, " ")
        word[++n] = i ? substr(text, 1, i - 1) : text
        text = i ? substr(text, i) : ""
    }
    for (i = 1; i <= n; i++) {
        equals = index(word[i], "=")
        key = substr(word[i], 1, equals - 1)
        value = substr(word[i], equals + 1)
        if (equals == 0 || key !~ /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$/) {
            complain("\"" word[i] "\" is not of the form SECTION.KEY=VALUE")
        } else if (key == "run.folder") {
            complain("run.folder: a run of a list gets a folder named for what its line says; --folder names the one above")
        } else if (key in seen) {
            complain(key " stands there twice")
        }
        seen[key] = 1
        overrides = overrides "\t" word[i]
        sub(/^(run|task)\./, "", key)
        gsub(/"/, "", value)
        gsub(/[^A-Za-z0-9.+-]+/, "-", value)
        name = name (i > 1 ? "_" : "") key "=" value
        for (j = i - 1; j > 0 && sorted[j] > word[i]; j--) sorted[j + 1] = sorted[j]
        sorted[j + 1] = word[i]
    }
    if (bad) {
        bad_line = FNR
        return
    }
    for (i = 1; i <= n; i++) all = (i > 1 ? all "\t" : "") sorted[i]
    if (length(name) > 200) {
        complain("too much for the name of a folder: " name)
    } else if (all in line_of || name in line_of) {
        complain("the same run as in line " (all in line_of ? line_of[all] : line_of[name]) ": " name)
    } else if (++count > most) {
        complain("more than " most " runs")
    }
    if (bad) {
        bad_line = FNR
        return
    }
    line_of[all] = line_of[name] = FNR
    made = made FNR "\t" name overrides "\n"
}
{
    gsub(/[\t\r]/, " ")
    text = trimmed(without_comment($0))
    if (text != "" && bad_line != FNR) expand(text)
    was_bad += bad
    bad = 0
}
END {
    if (count == 0 && !was_bad) printf "%s: no run in it\n", file >"/dev/stderr"
    if (count <= most) printf "%s", made
    if (count == 0 || was_bad) exit 2
}'

rows_read() {
    local made line name overrides code
    made=$(LC_ALL=C awk -v file="$list" -v most=10000 "$rows_program" "$list")
    code=$?
    rows=0 row_line=() row_name=() row_overrides=()
    while [ -n "$made" ] && IFS=$'\t' read -r line name overrides; do
        rows=$((rows + 1))
        row_line[rows]=$line row_name[rows]=$name row_overrides[rows]=$overrides
    done <<<"$made"
    return $code
}

row_arguments() {
    local override overrides
    IFS=$'\t' read -r -a overrides <<<"${row_overrides[$1]}"
    arguments=("$config" "${sets[@]}")
    for override in "${overrides[@]}"; do
        arguments+=(--set "$override")
    done
    arguments+=(--set "run.folder=\"$folder/${row_name[$1]}\"")
}

# What the program says of each override by itself: the first bad one hides those behind it.
row_say_all() { # N FOLDER
    local override overrides
    cat "$2/$1.said"
    IFS=$'\t' read -r -a overrides <<<"${row_overrides[$1]}"
    [ ${#overrides[@]} -gt 1 ] && grep -q 'error: --set: ' "$2/$1.said" || return 0
    for override in "${overrides[@]}"; do
        "$program" train "$config" "${sets[@]}" --set "$override" --print-config 2>&1 >/dev/null </dev/null | grep 'error: --set: '
    done
}

row_complain() { # N LINES: each with its place in the list
    local line
    while IFS= read -r line; do
        printf '%s:%d: %s\n' "$list" "${row_line[$1]}" "$line"
    done <<<"$2"
}

rows_check() {
    local row running=0 bad='' said cores
    cores=$(cores_here)
    for ((row = 1; row <= rows; row++)); do
        if [ "$running" -ge "$cores" ]; then
            wait -n
            running=$((running - 1))
        fi
        row_arguments "$row"
        "$program" train "${arguments[@]}" --print-config >"$1/$row.ini" 2>"$1/$row.said" </dev/null || echo bad >"$1/$row.bad" &
        running=$((running + 1))
    done
    wait
    declare -A told=()
    for ((row = 1; row <= rows; row++)); do
        [ -f "$1/$row.bad" ] || continue
        bad=yes
        said=$(row_say_all "$row" "$1" | awk '!told[$0]++')
        [ -n "${told[${row_line[row]}$said]:-}" ] || row_complain "$row" "${said:-$program says nothing}" >&2
        told[${row_line[row]}$said]=yes
    done
    [ -z "$bad" ]
}

row_is_done() {
    local run=$folder/${row_name[$1]}
    [ "$(cat "$run/status" 2>/dev/null)" = done ] && cmp -s "$2" "$run/config.ini"
}

rows_plan() {
    local scratch row finished=0 under_way=0 bad=''
    rows_read || bad=yes
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/sigmatic-rows.XXXXXX") || return 1
    rows_check "$scratch" || bad=yes
    [ -z "$bad" ] || { rm -rf "$scratch" && return 2; }
    todo=()
    for ((row = 1; row <= rows; row++)); do
        if [ -n "${elsewhere[${row_name[row]}]:-}" ]; then
            under_way=$((under_way + 1))
        elif row_is_done "$row" "$scratch/$row.ini"; then
            finished=$((finished + 1))
        else
            todo+=("$row")
        fi
    done
    rm -rf "$scratch"
    echo "$list: $rows runs in $folder: $finished done, ${#todo[@]} to run${elsewhere[*]:+, $under_way queued or running}" >&2
}

rows_keep() {
    local row kept text=''
    for ((row = 1; row <= rows; row++)); do
        text+=${row_overrides[row]//$'\t'/ }$'\n'
    done
    kept=$folder/list-$(printf '%s' "$text" | cksum | cut -d' ' -f1).txt
    mkdir -p "$folder" && printf '%s' "$text" >"$kept~" && mv "$kept~" "$kept" || return 1
    list=$kept
}
