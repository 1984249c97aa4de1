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
    (cd "$source" && git ls-files 2>/dev/null "$1") | while read -r file; do
        cmp "$source/$file" "$2/$file" || exit 1
    done
}
expect "headers" same_tree include/sigmatic/ "$prefix"
expect "configs" same_tree configs/ "$prefix/share/sigmatic"
expect "jobs" same_tree jobs/ "$prefix/share/sigmatic"
expect "analysis" same_tree analysis/ "$prefix/share/sigmatic"
expect "the installed program reads an installed config" \
    "$prefix/bin/sigmatic" train "$prefix/share/sigmatic/configs/demo.ini" --print-config

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

# ---- uninstall ----
expect "uninstall" as_installed uninstall
listed >"$scratch/after"
expect "uninstall leaves what others have, and nothing else" diff "$scratch/before" "$scratch/after"
expect "empty folders of its own go" [ ! -e "$prefix/include/sigmatic" -a ! -e "$prefix/share/sigmatic/jobs" ]
report_end
