#!/usr/bin/env bash
# What `make install` puts into a tree: everything where others look for it, a library that C and C++ programs find by
# pkg-config, headers that compile alone; and `make uninstall` takes away that alone. check_install.sh PROGRAM
set -u
. "$(dirname "$0")/frame.sh"
program=$(realpath "$1")
source=$(realpath "$here/..")
root=$scratch/root
prefix=$root/opt/sigmatic
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root LD_LIBRARY_PATH=$prefix/lib
unset MAKEFLAGS MFLAGS MAKELEVEL
as_installed() {
    make --no-print-directory -C "$source" SETUP=no BUILD="${program%/*}" DESTDIR="$root" PREFIX=/opt/sigmatic "$@"
}
listed() { (cd "$root" && find . ! -type d | sort); }

# ---- install, beside what others have installed ----
mkdir -p "$prefix"/{bin,lib,share/sigmatic/configs,include}
touch "$prefix"/bin/other "$prefix"/lib/libother.so "$prefix"/share/sigmatic/configs/mine.ini "$prefix"/include/other.h
listed >"$scratch/before"
expect "install" as_installed install
cd "$scratch" || exit 1

same_tree() { # every file of the sources that is installed, as it is
    local file
    [ -e "$source/$1" ] && (cd "$source" && find "$1" -type f ! -path '*/__pycache__/*') | while read -r file; do
        cmp "$source/$file" "$2/$file" || exit 1
    done
}
expect "headers" same_tree include/sigmatic "$prefix"
expect "configs" same_tree configs "$prefix/share/sigmatic"
expect "jobs" same_tree jobs "$prefix/share/sigmatic"
expect "analysis" same_tree analysis "$prefix/share/sigmatic"
links_lead_somewhere() { # in the pages below a folder
    local page link
    find "$1" -name '*.md' | while read -r page; do
        grep -oE '\]\([^)#]+' "$page" | cut -c3- | grep -v : | while read -r link; do
            [ -e "$(dirname "$page")/$link" ] || { echo "$page: no $link"; exit 1; }
        done || exit 1
    done
}
expect "links of installed pages lead somewhere" links_lead_somewhere "$prefix/share/sigmatic"
paths_lead_somewhere() { # what pages and examples call by its path, below the folder
    local path
    grep -rhoE '\b(configs|jobs|analysis|include|tests/examples)/[A-Za-z0-9_./-]*[A-Za-z0-9_]' "$1" --include=*.md --include=*.ini | sort -u |
        grep -v NAME | while read -r path; do
        [ -e "$1/$path" ] || [ -e "$prefix/$path" ] || { echo "no $path"; exit 1; }
    done
}
expect "paths in installed pages lead somewhere" paths_lead_somewhere "$prefix/share/sigmatic"
cat >tiny.ini <<'INI'
[run]
batch = 1
steps = 1
[model]
backbone = resnet18
width = 0.0625
[data]
train = tiny.h5
[task.depth]
kind = depth
INI
echo 'run.seed=7' >one.txt
installed_array() { # by the names that the pages have, in a folder of one's own, with the installed program
    "$prefix/bin/sigmatic" data scenes tiny.h5 --train 1 --validation 1 --height 32 --width 32 >said 2>&1 &&
        env -u SIGMATIC PATH=/usr/bin:/bin "$prefix/share/sigmatic/jobs/local.sh" jobs/array.sbatch tiny.ini one.txt >said 2>&1 &&
        [ "$(cat runs/one/seed=7/status)" = done ] || { cat said logs/*; return 1; }
}
expect "an installed job runs" installed_array
expect "the installed program says where they are" grep -qx "configs/, jobs/, analysis/, include/: $prefix/share/sigmatic" \
    <("$prefix/bin/sigmatic" --version)
expect "the installed program reads an installed config" \
    "$prefix/bin/sigmatic" train "$prefix/share/sigmatic/configs/demo.ini" --print-config

# ---- manual page and completion: what --help says ----
manual=$prefix/share/man/man1/sigmatic.1
if command -v groff >/dev/null; then
    well_formed() { [ -z "$(groff -ww -man -Tutf8 -z "$manual" 2>&1)" ]; }
    expect "the manual page is well-formed" well_formed
fi
in_manual() { # each option of a command's --help, with its meaning's first words
    "$program" $1 --help | grep -oE '^  --[a-z-]+' | grep -v -- --help$ | while read -r option; do
        grep -qF "\\fB${option//-/\\-}\\fR" "$manual" || { echo "$1 $option"; exit 1; }
    done
}
for command in train "data folder"; do
    expect "the manual page has the options of $command" in_manual "$command"
done
expect "the manual page has the keys of a config" grep -qx '.B learning_rate' "$manual"
completed() { # EXPECTED WORD...: what bash offers for the last word; it takes '=' for a word
    bash -c 'compopt() { :; }; . "$1"; shift; expected=$1; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _sigmatic
             echo "${COMPREPLY[*]}"; [ "${COMPREPLY[*]}" = "$expected" ]' \
        bash "$prefix/share/bash-completion/completions/sigmatic" "$@"
}
task_weights() { # WORD...: what it offers of task.NAME.weight
    local offered
    offered=$(completed "" "$@")
    [ "$(grep -o '[^ ]*\.weight=' <<<"$offered" | tr '\n' ' ')" = "$expected" ] || { echo "$offered" && return 1; }
}
expect "bash completes commands" completed "train" sigmatic t
expect "bash completes commands of commands" completed "scenes" sigmatic data s
expect "bash completes options" completed "--overwrite" sigmatic train a.ini --o
expect "bash completes values" completed "auto" sigmatic train --resume a
expect "bash completes keys" completed "optimizer.learning_rate=" sigmatic train --set optimizer.le
expect "bash completes keys to explain" completed "optimizer.learning_rate" sigmatic train --help-config optimizer.le
expect "bash completes choices of a key" completed "highest high" sigmatic train a.ini --set run.precision = hi
expect "bash completes all choices of a key" completed "true false" sigmatic eval a.h5 --set data.flip =
expect "bash completes choices behind --set=" completed "sgd" sigmatic train --set = optimizer.kind = s
expect "bash completes values behind =" completed "auto" sigmatic train --resume = a
expect "bash completes words of options" completed "scale whole windows" sigmatic predict --mode ""
expect "bash completes names of weights" completed "resnet" sigmatic weights export a b.safetensors --names r
expect "bash completes lists of words" completed "overlay,npy" sigmatic predict a.h5 b.png --format overlay,n
printf 'include = "base.ini" ; more\n[task.b]\nkind = depth\n' >tasks.ini
printf '[run]\n[task.a] ; one\n' >base.ini
expected='task.b.weight= task.a.weight= '
expect "bash completes keys of the tasks of a config" task_weights sigmatic train tasks.ini --set task.
expected=$(printf 'task.%s.weight= ' semantic instance depth normals regression classification labels)
expect "without a config, those of tasks called as their kinds" task_weights sigmatic train --set task.
expect "bash completes choices of a task's key" completed "l1 l2" sigmatic train tasks.ini --set task.b.loss = l
expect "bash leaves files to itself" completed "" sigmatic train a

# ---- the library as linkers see it ----
version=$(pkg-config --modversion sigmatic)
expect "the program has the library's version" grep -qx "sigmatic $version" <("$prefix/bin/sigmatic" --version)
case $version in
    0.*) soname=libsigmatic.so.${version%.*} ;;
    *) soname=libsigmatic.so.${version%%.*} ;;
esac
expect "the soname is $soname" grep -q "SONAME.*\[$soname\]" <(readelf -d "$prefix/lib/libsigmatic.so")
expect "the linker's name leads to the soname's" cmp "$prefix/lib/libsigmatic.so" "$prefix/lib/$soname"
only_own_names() { ! nm -D --defined-only "$prefix/lib/libsigmatic.so" | grep -v ' sm_'; }
expect "the library exports names of its own only" only_own_names

# ---- headers, alone, in the strictest C and C++ ----
headers=$(cd "$prefix/include" && find sigmatic -name '*.h' | sort)
flags="-Wall -Wextra -Wpedantic -Werror $(pkg-config --cflags sigmatic)"
alone() { # COMPILER STANDARD LANGUAGE
    xargs -n 1 -P "$(nproc)" sh -c 'printf "#include <%s>\nextern int unit;\n" "$1" | '"$1 -std=$2 -x $3"' -fsyntax-only '"$flags"' - ||
        { echo "<$1> alone"; exit 255; }' sh <<<"$headers"
}
expect "every header compiles alone in C" alone "${CC:-gcc}" c11 c
expect "every header compiles alone in C++" alone "${CXX:-g++}" c++11 c++

# A C++ program that names every function of the headers: each is there, under its C name.
sed 's/.*/#include <&>/' <<<"$headers" >all.c
"${CC:-gcc}" -std=c11 $flags -fsyntax-only -aux-info prototypes all.c
functions=$(sed -n 's,^/\* [^ ]*include/sigmatic/[^ ]* \*/ extern [^(]*\b\(sm_[a-z0-9_]*\) (.*,\1,p' prototypes | sort -u)
{
    sed 's/.*/#include <&>/' <<<"$headers"
    echo '#include <cstdio>'
    echo 'void (*const functions[])(void) = {'
    sed 's/.*/    reinterpret_cast<void (*)(void)>(\&&),/' <<<"$functions"
    echo '};'
    echo 'int main(int argc, char **argv) {'
    echo '    if (argc > 1) sm_comm_world();'
    echo '    sm_comm *comm = sm_init(&argc, &argv);'
    echo '    std::printf("%s on %d, %d functions\n", sm_version(), sm_comm_size(comm), (int)(sizeof functions / sizeof *functions));'
    echo '    sm_finalize();'
    echo '}'
} >all.cc
expect "a C++ program links every function of the headers" \
    "${CXX:-g++}" -std=c++11 $flags all.cc $(pkg-config --libs sigmatic) -o all
expect "and runs" grep -qx "$version on 1, $(wc -w <<<"$functions") functions" <(./all)
expect "all functions were found" test "$(wc -w <<<"$functions")" -gt 300
expect "sm_init() is asked for where it is missing" grep -q 'expected sm_init()' <(./all 1 2>&1)

# ---- programs of others ----
cat >host.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <mpi.h>
#include <sigmatic/io/h5.h>
#include <sigmatic/train/init.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    int level, ended = 1, size = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &level);
    int (*start)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "H5open"); /* of the library's HDF5 */
    sm_h5 *file = NULL;
    char path[32];
    if (!start || start() < 0) {
        return 1;
    }
    sm_comm *comm = sm_init(&argc, &argv);
    snprintf(path, sizeof path, "host%d.h5", sm_comm_rank(comm));
    sm_status status = sm_h5_create(path, SM_H5_LATEST, &file);
    status = status == SM_OK ? sm_h5_close(file) : status;
    sm_finalize();
    MPI_Finalized(&ended);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    printf("%s: %s, %d ranks, %s\n", path, status == SM_OK ? "written" : sm_error_message(), size, ended ? "ended" : "goes on");
    return MPI_Finalize();
}
C
expect "a program that starts MPI and HDF5 by itself builds" \
    "${MPICC:-mpicc}" -std=c11 host.c $(pkg-config --cflags --libs sigmatic) -ldl -o host
keeps_them() { # and is ended by them neither before nor after
    "$MPIRUN" -n 2 ./host | sort >hosted && printf 'host%d.h5: written, 2 ranks, goes on\n' 0 1 | diff - hosted
}
expect "and keeps them" keeps_them
examples=$prefix/share/sigmatic/tests/examples
for example in "$examples"/*.[ch]; do
    expect "${example##*/} is short" test "$(wc -l <"$example")" -lt 150
done
expect "the examples build" "${CC:-gcc}" -std=c11 -O1 $flags "$examples"/*.c $(pkg-config --libs sigmatic) -o own_training
sed -n '/^```c$/,/^```$/p' "$source/include/README.md" | grep -v '^```' >first.c
expect "the first program of include/README.md builds" "${CC:-gcc}" -std=c11 $flags first.c $(pkg-config --libs sigmatic) -o first
asks() { ./first; [ $? = 2 ]; }
expect "and asks for a config" asks
for ranks in 1 2; do
    mkdir "on_$ranks" || exit 1
    expect "the examples train on $ranks ranks" "$MPIRUN" -n $ranks ./own_training "on_$ranks"
    cp said "on_$ranks/said"
done
learns() { # both losses fall; of the first step each weight is 1 / (K loss): the mean of one loss is that loss
    awk '$1 == "step" {
             steps++
             for (i = 3; i <= NF; i += 5) { if (steps == 1) first[i] = $(i + 2); last[i] = $(i + 2)
                 if (steps == 1 && ($(i + 2) * $(i + 4) * 2 - 1) ^ 2 > 1e-6) bad = 1 }
         }
         /relative_error/ { measured = 1 }
         END { for (i in first) if (!(last[i] < 0.8 * first[i])) bad = 1
               exit bad || steps != 4 || length(first) != 2 || !measured }' "$1" || { cat "$1"; return 1; }
}
expect "the examples learn" learns on_1/said
results() { grep -E '^step|^near|^classes' "on_$1/said"; }
alike() { diff <(results 1) <(results 2); }
expect "the examples train alike on 1 and 2 ranks" alike

# ---- a tarball ----
if git -C "$source" rev-parse HEAD >/dev/null 2>&1; then
    expect "dist" make --no-print-directory -C "$source" SETUP=no dist
    tar -xzf "$source/build/sigmatic-$version.tar.gz"
    whole() { diff <(git -C "$source" ls-tree -r --name-only HEAD | sort) <(cd "sigmatic-$version" && find . ! -type d | cut -c 3- | sort); }
    expect "the tarball has every file" whole
    buildable() ( # without git, and from nothing: every source would be compiled, and one is
        cd "sigmatic-$version" && [ "$(make -n SETUP=no all | grep -c '^echo .* CC ')" -gt 200 ] && make SETUP=no BUILD=build/one build/one/src/base/version.o
    )
    expect "the tarball builds" buildable
    dist_again() { # of an unpacked tarball: what is there, without what was built
        make --no-print-directory -C "sigmatic-$version" SETUP=no dist && mkdir again &&
            tar -xzf "sigmatic-$version/build/sigmatic-$version.tar.gz" -C again &&
            diff -r -x build "sigmatic-$version" "again/sigmatic-$version" && [ ! -e "again/sigmatic-$version/build" ]
    }
    expect "dist inside of a tarball" dist_again
fi

# ---- uninstall ----
mkdir -p home/bin home/share/sigmatic && touch home/bin/sigmatic home/share/sigmatic/LICENSE
(cd home && find .) | sort >home_before
refuses() { # PREFIX=... GOAL: with one sentence, and nothing is touched; DESTDIR keeps what fails here to a folder of the test
    ! make --no-print-directory -C "$source" SETUP=no BUILD="${program%/*}" DESTDIR="$PWD/home" "$1" "$2" >refused 2>&1 &&
        grep -qF "PREFIX='${1#*=}': an absolute path is wanted" refused &&
        (cd home && find .) | sort | diff home_before - && [ ! -e homenone ] || { cat refused && return 1; }
}
for goal in uninstall install; do
    expect "$goal refuses an empty PREFIX" refuses PREFIX= $goal
    expect "$goal refuses a relative PREFIX" refuses PREFIX=none $goal
done
expect "uninstall" as_installed uninstall
listed >"$scratch/after"
expect "uninstall leaves what others have, and nothing else" diff "$scratch/before" "$scratch/after"
expect "empty folders of its own go" [ ! -e "$prefix/include/sigmatic" -a ! -e "$prefix/share/sigmatic/jobs" ]
report_end
