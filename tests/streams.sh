# To be sourced by check_*.sh after frame.sh: runs $program in $scratch, and looks at what it wrote to which stream.
#   run EXIT-CODE ARGUMENT...   on one rank; leaves the streams in the files `out` and `err`
#   run_ranks [RANKS] ARGUMENT...   on two, or as many; has to succeed
#   holds FILE PATTERN, lacks FILE PATTERN, count FILE PATTERN N   lines by extended regular expressions
#   json PYTHON   checks `result`, the one object in `out`
run() {
    local code=$1 found
    shift
    "$program" "$@" >out 2>err </dev/null
    found=$?
    [ $found -eq "$code" ] || { echo "exit code $found, $code expected"; cat err; return 1; }
}
run_ranks() {
    local ranks=2
    [[ $1 == [0-9]* ]] && ranks=$1 && shift
    $MPIRUN -n "$ranks" "$program" "$@" >out 2>err </dev/null || { cat err; return 1; }
}
holds() { grep -qE -- "$2" "$1" || { echo "$1 lacks '$2'"; cat "$1"; return 1; }; }
lacks() { ! grep -E -- "$2" "$1"; }
count() {
    local found
    found=$(grep -cE -- "$2" "$1")
    [ "$found" -eq "$3" ] || { echo "$1 has $found lines with '$2', $3 expected"; cat "$1"; return 1; }
}
json() { # NaN is no JSON
    "$python" - "$1" <<'PYTHON'
import json, sys
def refuse(word):
    raise SystemExit(f"{word} is no JSON")
text = open("out").read()
result = json.loads(text, parse_constant=refuse)
assert isinstance(result, dict) and text.count("\n") == 1, text
exec(sys.argv[1])
PYTHON
}
