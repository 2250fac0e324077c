#!/usr/bin/env bash
# lumienv's main job from start to end: declare, lock, sync, run.
#
# Needs Python 3.11 or newer and a package index; sets up everything else in a folder of its own, and leaves
# the checkout as it is. Without a container runtime it works on a Python of this machine; with one, on a
# real image too: LUMIENV_QUICKSTART_IMAGE, else the newest of the site's, else the laboratory's (tests/lab),
# else python:3.12-slim from the public registry.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/lumienv-quickstart.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
say() { printf '\n== %s\n' "$*"; }

python=""
for name in python3.13 python3.12 python3.11 python3; do
    if "$name" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    echo "error: no Python 3.11 or newer with its venv module is on PATH" >&2
    echo "help: on LUMI: module load cray-python; on Debian: apt install python3-venv" >&2
    exit 1
fi

say "installing lumienv with $("$python" --version) into a folder of its own"
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$checkout"
export PATH="$work/venv/bin:$PATH"
lumienv --version

# One project: its manifest, two commands, and the job.
project() { # folder, image line
    mkdir "$work/$1"
    cp "$here/train.py" "$work/$1/"
    while IFS= read -r line; do
        case $line in host\ =*) printf '%s\n' "$2" ;; *) printf '%s\n' "$line" ;; esac
    done < "$here/lumienv.toml" > "$work/$1/lumienv.toml"
    cd "$work/$1"
    sed -n '/^dependencies/p; /^\[image\]/,/^$/p' lumienv.toml
    echo '$ lumienv sync'
    lumienv sync
    echo '$ lumienv run -- python train.py'
    lumienv run -- python train.py
    echo '$ lumienv run --print -- python train.py'
    lumienv run --print -- python train.py
}

say "on a Python of this machine, without a container"
(project host "host = \"$(readlink -f "$(command -v "$python")")\"")

if ! command -v singularity >/dev/null && ! command -v apptainer >/dev/null; then
    say "done; there is no container runtime here (singularity or apptainer), so no image was tried"
    exit 0
fi

image=${LUMIENV_QUICKSTART_IMAGE:-}
if [ -z "$image" ]; then
    image=$(lumienv image list --json | python3 -c 'import json, sys; print(next((i["path"] for i in json.load(sys.stdin) if i["what"] in ("pytorch", "multitorch")), ""))')
fi
if [ -z "$image" ]; then
    lab=$(bash "$checkout/tests/lab/build-images.sh" --where 2>/dev/null || true)
    # This checkout's images, else those that another one has built, or this one with another Python.
    image=$(find -L "${lab:-/nonexistent}" "${lab:+${lab%/*}}" -name 'lumi-pytorch-*.sif' 2>/dev/null | head -n 1 || true)
fi
if [ -z "$image" ]; then
    say "no image is at hand: fetching python:3.12-slim"
    image=$work/python.sif
    if ! "$(command -v singularity || command -v apptainer)" pull "$image" docker://python:3.12-slim; then
        echo "error: no image could be had, so only the Python of this machine was tried" >&2
        echo "help: name one: LUMIENV_QUICKSTART_IMAGE=/path/to/image.sif; or as root on Debian 12, build" >&2
        echo "      small ones like LUMI's first: bash tests/lab/build-images.sh" >&2
        exit 1
    fi
fi
say "on the image $image"
(project image "path = \"$image\"")
say "done"
