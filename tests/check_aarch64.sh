#!/usr/bin/env bash
# Builds for aarch64 by a cross compiler and runs tests under qemu: what computes there is BLIS's micro-kernel for ARM and
# plain loops, where x86 has kernels of its own. check_aarch64.sh FOLDER
# The libraries are Debian's arm64 packages, unpacked in FOLDER/root by an apt with lists and a package state of its own:
# nothing of this system changes, and root is not needed. mpirun is the host's: it starts one qemu a rank.
# SHARE (0.1) is how much of the random and large cases runs, TESTS which programs, MOST_RANKS on how many ranks at most.
set -u
. "$(dirname "$0")/report.sh"
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1" && folder=$(realpath "$1") || exit 1
root=$folder/root
triplet=aarch64-linux-gnu
packages="libc6-dev libopenmpi-dev libhdf5-openmpi-dev libblis-openmp-dev libjansson-dev libcsv-dev libpng-dev libjpeg62-turbo-dev libexif-dev libcunit1-dev"
# test_h5 starts itself again, which would take qemu in the kernel; resume, train and plan_memory take many minutes
tests=${TESTS:-base file image npy csv config comm reduction ops conv2d onnx plan_ops plan_types plan_fusion plan_gradients plan_passes network task_config task_loss task_metric task_target weighting optim augmentation dataset loader sampler}

for tool in $triplet-gcc qemu-aarch64 apt-get dpkg-deb mpirun; do
    command -v $tool >/dev/null || skip_all aarch64 "no $tool: run jobs/setup.sh cross"
done

# ---- the libraries ------------------------------------------------------------------------------------------------------
apt() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root \
        -o Dir::State="$folder/apt/state" -o Dir::State::status="$folder/apt/state/status" -o Dir::Cache="$folder/apt/cache" "$@"
}

# Of what apt would install: the libraries and their headers, no compiler, no interpreter.
unpack_libraries() {
    rm -rf "$folder/apt" "$folder/packages" "$folder/root.part"
    mkdir -p "$folder"/apt/state/lists/partial "$folder"/apt/cache/archives/partial "$folder"/{packages,root.part}
    : >"$folder/apt/state/status"
    apt update || return 1
    # shellcheck disable=SC2086
    apt --simulate install --no-install-recommends $packages >"$folder/apt/plan" || return 1
    (cd "$folder/packages" && apt download $(awk '/^Inst/ && $2 ~ /^(lib|zlib|linux-libc|ocl)/ {print $2}' ../apt/plan)) || return 1
    for package in "$folder"/packages/*.deb; do
        dpkg-deb -x "$package" "$folder/root.part" || return 1
    done
    rm -rf "$folder/packages" "$folder/apt" "$root"
    echo "$packages" >"$folder/root.part/packages"
    mv "$folder/root.part" "$root"
}

if [ "$(cat "$root/packages" 2>/dev/null)" != "$packages" ]; then
    echo "unpacking Debian's arm64 libraries in $root"
    unpack_libraries >"$folder/log" 2>&1 || {
        tail -n 5 "$folder/log" >&2
        skip_all aarch64 "no arm64 packages to be had"
    }
fi

# ---- the build ----------------------------------------------------------------------------------------------------------
libraries=/usr/lib/$triplet
export PKG_CONFIG_LIBDIR=$root$libraries/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
programs=$(cd "$top/tests" && for word in $tests; do ls test_*"$word"*.c; done | sort -u | sed "s|\(.*\)\.c|$folder/build/tests/\1|")
# shellcheck disable=SC2086
make -s -C "$top" --no-print-directory -j"$(nproc)" SETUP=no BUILD="$folder/build" \
    CC="$triplet-gcc --sysroot=$root $(pkg-config --cflags ompi-c)" \
    BLIS_CFLAGS="-isystem $root/usr/include/$triplet/blis-openmp" BLIS_LIBS="-L$root$libraries/blis-openmp -lblis" \
    LDFLAGS="$(pkg-config --libs ompi-c) -Wl,-rpath,$libraries/blis-openmp" \
    "$folder/build/sigmatic" "$folder/build/libsigmatic.so" $programs || exit 1

# ---- the tests ----------------------------------------------------------------------------------------------------------
# qemu looks for the loader and the libraries below -L first, and for everything else in this system.
export RUNNER="qemu-aarch64 -L $root" SIGMATIC_TEST_SHARE=${SHARE:-0.1} MOST_RANKS=${MOST_RANKS:-1}
"$top/tests/run.sh" "$folder/build/tests" "$tests"
report_end
