#!/usr/bin/env bash
# Installs what Sigmatic needs and is missing: jobs/setup.sh [build] [check] [plot] [slurm] ... (groups of packages; build is always in).
# As root or by sudo it uses apt; without either it says which packages to get and stops with 1.
set -eu

build="gcc make pkg-config openmpi-bin libopenmpi-dev libblis-openmp-dev libhdf5-openmpi-dev libjansson-dev libcsv-dev libpng-dev libjpeg62-turbo-dev libexif-dev"
check="g++ libcunit1-dev libonnx-testdata python3-onnx environment-modules"
plot="python3 python3-h5py python3-numpy python3-matplotlib libjs-dygraphs"
slurm="munge slurmctld slurmd slurm-client"
mpich="mpich libmpich-dev libhdf5-dev"
lint="clang-format clang-tidy cppcheck"
fuzz="clang libclang-rt-dev"
threads="clang libclang-rt-dev libomp-dev llvm"
valgrind="valgrind libc6-dbg"
cross="gcc-aarch64-linux-gnu qemu-user"
torch="python3-torch python3-torchvision"
venv="python3-venv python3-dev g++" # torch.compile builds C++ that includes Python's headers
hosts="iproute2"

wanted=$build
for group in "$@"; do
    [ "$group" = build ] || wanted+=" ${!group}"
done

if ! command -v dpkg-query >/dev/null; then
    cat >&2 <<TEXT
This is no Debian system; Sigmatic needs:
  dnf:    gcc make pkgconf openmpi-devel blis-devel hdf5-openmpi-devel jansson-devel libcsv-devel libpng-devel libjpeg-turbo-devel libexif-devel
          CUnit-devel (tests), python3-h5py python3-matplotlib (plots)
  Spack:  spack install openmpi blis hdf5+mpi jansson libpng libjpeg-turbo libexif cunit (libcsv: jobs/install/spack)
  module: load a compiler, an MPI and HDF5; the rest by Spack; then make CC=mpicc HDF5_CFLAGS=... HDF5_LIBS=... BLIS_CFLAGS=... BLIS_LIBS=...
Then run 'make' and the other targets with SETUP=no.
TEXT
    exit 1
fi

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=" $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    apt() { apt-get "$@"; }
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    apt() { sudo apt-get "$@"; }
else
    cat >&2 <<TEXT
These packages are missing, and installing them takes root or sudo:
  apt-get install --no-install-recommends$missing
On a cluster without root:
  Spack:  spack install openmpi blis hdf5+mpi jansson libpng libjpeg-turbo libexif cunit (libcsv: jobs/install/spack)
  module: load a compiler, an MPI and HDF5; then make SETUP=no CC=mpicc HDF5_CFLAGS=... HDF5_LIBS=... BLIS_CFLAGS=... BLIS_LIBS=...
TEXT
    exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt update && apt install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "installing failed; the whole log is $log" >&2
    exit 1
fi
rm -f "$log"
