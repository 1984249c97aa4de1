#!/usr/bin/env bash
# Checks that includes run from the top of the architecture to its bottom (src/README.md, Architecture), that each library has
# one user, that file names are unique, and that no files of a folder call each other in a circle. check_layers.sh [ROOT]
set -u
. "$(dirname "$0")/report.sh"
cd "${1:-$(dirname "$0")/..}" || exit 1

# Row of each module: a file includes its own module and those of smaller rows, never a sibling.
rows="base:0 io:1 comm:1 tensor:1 ops:2 graph:3 model:4 task:4 weighting:4 data:4 optim:4 train:5 cli:6"
# What the rows would allow: messages between ranks reach ops, graph and the modules of row 4 as callbacks or not at all
# (data writes its files together), and only train joins optim with the rest.
forbidden="ops:comm graph:comm model:comm task:comm weighting:comm optim:comm optim:graph optim:ops"
# Siblings that may meet, by header: descriptions of targets, their pictures, and the type of the callback that builds
# them; likelihoods, of a task or of each of its pixels.
exceptions="task:data/sample.h task:data/target.h task:data/target_picture.h task:weighting/likelihood.h"
# The only users of a library: a module or a file.
libraries="mpi.h:comm hdf5.h:io hdf5_hl.h:io png.h:io jpeglib.h:io jansson.h:io csv.h:io libexif/exif-data.h:io blis.h:tensor/gemm.c
           blis/blis.h:tensor/gemm.c cblas.h:tensor/gemm.c"

files=$(find . -name '*.[ch]' -not -path './build/*' -not -path './.git/*' | sort)
{
    sed 's/^/file /' <<<"$files"
    grep -HnE '^[[:space:]]*#[[:space:]]*include' $(grep -E '^\./(src|include)/' <<<"$files") | sed 's/^/include /'
} | awk -v rows="$rows" -v forbidden="$forbidden" -v exceptions="$exceptions" -v libraries="$libraries" '
function fail(message) { print message; failed++ }

function table(text, into,    n, i, pair, parts) {
    n = split(text, pair, /[[:space:]]+/)
    for (i = 1; i <= n; i++) {
        split(pair[i], parts, ":")
        into[parts[1]] = parts[2]
    }
}

function set(text, into,    n, i, items) {
    n = split(text, items, /[[:space:]]+/)
    for (i = 1; i <= n; i++)
        into[items[i]] = 1
}

# module of src/MODULE/x.c or include/sigmatic/MODULE/x.h; "" elsewhere
function module_of(path,    parts, n) {
    n = split(path, parts, "/")
    if (n == 3 && parts[1] == "src")
        return parts[2]
    if (n == 4 && parts[1] == "include" && parts[2] == "sigmatic")
        return parts[3]
    return ""
}

BEGIN { table(rows, row); table(libraries, user); set(forbidden, is_forbidden); set(exceptions, is_exception) }

$1 == "file" {
    path = substr($2, 3)
    name = path
    sub(/.*\//, "", name)
    checked++
    if (path !~ /^tests\// && !(module_of(path) in row))
        fail(path ": no place for a source file: expected src/MODULE, include/sigmatic/MODULE or tests, MODULE one of the table")
    else if (path ~ /^include\// && path !~ /\.h$/)
        fail(path ": only headers belong here")
    if (name in first)
        fail(path ": " first[name] " has the same name")
    first[name] = path
}

$1 == "include" {
    split($2, place, ":")
    path = substr(place[1], 3)
    where = path ":" place[2]
    from = module_of(path)
    checked++
    match($0, /[<"][^>"]*[>"]/)
    quoted = substr($0, RSTART, 1) == "\""
    header = substr($0, RSTART + 1, RLENGTH - 2)
    if (header in user) {
        if (user[header] != from && "src/" user[header] != path)
            fail(where ": <" header "> has one user, " user[header])
        next
    }
    public = sub(/^sigmatic\//, "", header)
    if (!quoted && !public)
        next # the C library, POSIX, OpenMP, intrinsics
    if (split(header, parts, "/") != 2 || !(parts[1] in row)) {
        fail(where ": \"" header "\": expected <sigmatic/MODULE/x.h> or \"MODULE/x.h\"")
        next
    }
    to = parts[1]
    if (quoted && public)
        fail(where ": public headers are included with <>")
    else if (quoted && path ~ /^include\//)
        fail(where ": a public header includes the private \"" header "\"")
    else if (quoted && from != to)
        fail(where ": \"" header "\" is private to " to)
    else if (from != to && row[from] <= row[to] && !((from ":" header) in is_exception))
        fail(where ": " from " (row " row[from] ") must not include " to " (row " row[to] ")")
    else if ((from ":" to) in is_forbidden)
        fail(where ": " from " must not know " to)
}

END {
    if (checked < 100) # nothing was found: a wrong folder must not pass
        fail("only " checked + 0 " files and includes found")
    if (!failed)
        print "OK"
}' | while read -r message; do
    if [ "$message" = OK ]; then
        passed "includes and names of files"
    else
        failed "$message"
    fi
done

circles=$(awk -f tests/circles.awk src/*/*.c)
if [ -z "$circles" ]; then
    passed "no circle between the files of a folder"
else
    failed "circles between files: $circles"
fi

report_end
