#!/usr/bin/env bash
# PyPI's newest PyTorch and torchvision in a virtual environment: jobs/setup_torch.sh FOLDER. A second call updates them.
# All that PyPI's wheel wants comes along, CUDA's libraries too: it is linked against them and imports nowhere without.
# Where PyTorch's own index is reached, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu gets a wheel without them.
set -eu
folder=$1
installed_mib=5600 fetched_mib=3000 # of PyTorch 2.15; what is fetched lies there packed until it is installed
wanted_mib=$((installed_mib + fetched_mib))

parent=$(dirname "$folder")
mkdir -p "$parent"
free_mib=$(($(df --output=avail -k "$parent" | tail -n 1) / 1024))
echo "PyPI's PyTorch comes with CUDA's libraries, which it has to find on a CPU as well: some $((installed_mib / 1000)) GB in $folder," \
    "and $((fetched_mib / 1000)) GB more while it is fetched. Free there: $((free_mib / 1000)) GB."
echo "Where https://download.pytorch.org/whl/cpu can be reached, PIP_EXTRA_INDEX_URL=that gets one without, of a fifth."
if [ ! -x "$folder/bin/python" ] && [ -z "${PIP_EXTRA_INDEX_URL:-}${PIP_INDEX_URL:-}" ] && [ "$free_mib" -lt "$wanted_mib" ]; then
    echo "$parent: $free_mib MiB free, $wanted_mib wanted: nothing was installed" >&2
    exit 1
fi

if [ ! -x "$folder/bin/python" ]; then
    base=
    for candidate in python3 /usr/bin/python3; do
        "$candidate" -c 'import venv, ensurepip' 2>/dev/null && base=$candidate && break
    done
    if [ -z "$base" ]; then
        echo "no Python that makes virtual environments: apt-get install python3-venv" >&2
        exit 1
    fi
    trap 'rm -rf "$folder"' EXIT # no half of one, whatever stops this
    "$base" -m venv "$folder"
fi

# Packed wheels go beside the environment: /tmp may be small, and pip's cache would keep 3 GB for nothing.
mkdir -p "$folder/fetched"
TMPDIR=$(realpath "$folder/fetched") "$folder/bin/python" -m pip install --disable-pip-version-check --no-cache-dir --upgrade torch torchvision
rm -rf "$folder/fetched"
"$folder/bin/python" -c 'import torch, torchvision; print(f"PyTorch {torch.__version__}, torchvision {torchvision.__version__}")'
trap - EXIT
echo "$(du -sm "$folder" | cut -f 1) MiB in $folder: 'make bench' takes it if it is the newest that it finds"
