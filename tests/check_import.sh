#!/usr/bin/env bash
# Stops and kills imports and lets them go on: the file has the bytes of an import that nobody disturbed, and nothing else
# stays. check_import.sh PROGRAM; needs a Python with numpy.
set -u
. "$(dirname "$0")/frame.sh"
needs_python h5py h5py numpy
program=$(realpath "$1")
launched=
clean_up() { [ -n "$launched" ] && kill "$launched" 2>/dev/null; }
cd "$scratch" || exit 1
SAMPLES=240 LIMIT=120

# Many samples of few files: links. Two are bad.
"$python" - "$SAMPLES" <<'PYTHON' || exit 1
import os, sys
import numpy as np
samples = int(sys.argv[1])
rng = np.random.default_rng(1)
for split, count in ("train", samples * 3 // 4), ("val", samples // 4):
    for kind, make in ("image", lambda: rng.integers(0, 256, (384, 768, 3), np.uint8)), \
                      ("label", lambda: rng.integers(-1, 13, (384, 768)).astype(np.int8)):
        os.makedirs(f"tree/{split}/{kind}")
        for i in range(count):
            path = f"tree/{split}/{kind}/{i}.npy"
            if i < 4:
                np.save(path, make())
            else:
                os.link(f"tree/{split}/{kind}/{i % 4}.npy", path)
os.remove("tree/train/label/100.npy")
np.save("tree/train/label/100.npy", np.full((384, 768), 13, np.int8))
os.remove("tree/val/image/9.npy")
open("tree/val/image/9.npy", "w").write("no array")
PYTHON

import() { # RANKS OUTPUT OPTIONS...: a command that replaces this shell, so that its process is the one launched
    local ranks=$1 output=$2
    shift 2
    local launcher=
    [ "$ranks" -gt 1 ] && launcher="$MPIRUN -n $ranks"
    exec timeout --foreground "$LIMIT" $launcher "$program" data mtan tree "$output" --size 64x128 "$@"
}

# Bytes in the journal that are not zero: they grow with its records.
recorded() { tr -d '\0' <"$1.partial.journal" 2>/dev/null | wc -c; }

# Starts an import in the background and returns once some samples are there.
launch() { # RANKS OUTPUT OPTIONS...
    local output=$2
    { (import "$@") >log 2>&1 </dev/null & } 2>/dev/null
    launched=$!
    for _ in $(seq 2000); do
        [ "$(recorded "$output")" -gt 600 ] && return 0
        kill -0 "$launched" 2>/dev/null || return 1
        sleep 0.01
    done
    return 1
}

ended() { # the exit code of what was launched
    wait "$launched" 2>/dev/null
    code=$?
    launched=
}

processes() { # PARENT: the importing processes below it
    local child
    for child in $(pgrep -P "$1"); do
        if [ "$(readlink "/proc/$child/exe")" = "$program" ]; then
            echo "$child"
        else
            processes "$child"
        fi
    done
}

code_is() { [ "$code" -eq "$1" ] || { echo "exit code $code, $1 expected"; return 1; }; }
nothing_beside() { [ "$(ls -d "$1"*)" = "$1" ] || { ls -d "$1"*; return 1; }; }
goes_on() { grep -q 'goes on, [1-9][0-9]* of 240 samples are there' log; }

disturb() { # NAME RANKS SIGNAL RECEIVER CODE RANKS_AFTER
    local name=$1 output=$1.h5
    expect "$name: starts" launch "$2" "$output" --skip-bad
    case $4 in
    one) kill -s "$3" "$(processes "$$" | tail -n 1)" ;;
    launcher) kill -s "$3" "$(pgrep -P "$launched" | head -n 1)" ;;
    esac
    ended
    expect "$name: exit code" code_is "$5"
    expect "$name: no file yet" test ! -e "$output"
    (import "$6" "$output" --skip-bad) >log 2>&1
    code=$?
    expect "$name: ends well" code_is 0
    expect "$name: goes on" goes_on
    expect "$name: the bytes of an undisturbed import" cmp whole.h5 "$output"
    expect "$name: nothing else stays" nothing_beside "$output"
}

(import 2 whole.h5 --skip-bad) >log 2>&1
code=$?
expect "undisturbed: ends well" code_is 0
expect "undisturbed: names the bad files" sh -c '
    grep -q "tree/train/label/100.npy: label 13 in row 0, column 0.*: this sample is left out" log &&
    grep -q "tree/val/image/9.npy: .*: this sample is left out" log && grep -q "2 of 240 samples are left out" log'
expect "undisturbed: what no sample has is said once" sh -c '
    [ $(grep -c "no sample has depth, as .*: the dataset is made without" log) -eq 1 ] && ! grep "no depth" log'
expect "undisturbed: data info tells" sh -c "'$program' data info whole.h5 | grep -q '2 samples were left out'"
(import 1 first.h5) >log 2>&1
code=$?
expect "without --skip-bad: the first ends it" code_is 2
expect "without --skip-bad: by name" grep -q "error: tree/train/label/100.npy: label 13" log
expect "without --skip-bad: what goes on" grep -q \
    'first.h5.partial: keeps [1-9][0-9]* of 240 .* once that is mended, or, without bad samples, with --skip-bad; other options' log
(import 1 first.h5 --skip-bad) >log 2>&1
code=$?
expect "then with --skip-bad: ends well" code_is 0
expect "then with --skip-bad: goes on" goes_on
expect "then with --skip-bad: the same bytes" cmp whole.h5 first.h5
mkdir -p none/train/image none/train/label # nothing is good: nothing to go on with
cp tree/train/image/0.npy none/train/image/0.npy
cp tree/train/label/100.npy none/train/label/0.npy
expect "nothing good: by name" sh -c "! '$program' data mtan none none.h5 2>&1 | grep -q keeps"
expect "nothing good: no litter" sh -c '! ls none.h5*'
expect "nothing good, left out" sh -c "! '$program' data mtan none none.h5 --skip-bad && ! ls none.h5*"
disturb killed 2 KILL one 137 1
disturb term-one 2 TERM one 75 3
disturb usr1-launcher 3 USR1 launcher 75 2
disturb killed-alone 1 KILL launcher 137 4
report_end
