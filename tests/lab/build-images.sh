#!/bin/bash
# Build the laboratory's images, each once per recipe, outside the checkout.
# Usage: build-images.sh                  build what is missing (root)
#        build-images.sh --where          only print the directory that holds (or will hold) them
#        build-images.sh --appl DIR       also lay out LUMI's /appl tree of symlinks at DIR
# env:   LUMIENV_LAB    where images and caches live (default /var/tmp/lumienv-lab)
#        PY312_PREFIX   the CPython 3.12 prefix for the conda images, or "none"
# Prints one line per image with its path.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
recipes=$here/images
. "$recipes/base.sh"
names=(mpi4py pytorch multitorch no_python)

recipe_digest() ( # NAME
  . "$recipes/$1.sh"
  cd "$recipes"
  {
    echo "$python"
    find base.sh "$1.sh" "${parts[@]}" -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum
  } | sha256sum | head -c 16
)

build_image() ( # NAME DIRECTORY
  . "$recipes/$1.sh"
  work=$scratch/$1 tree=$scratch/$1/tree out=$scratch/$1/out
  mkdir -p "$work" "$out"
  say "building $1 ($python)"
  build
  # One rename publishes it: a build that was killed leaves only scratch behind.
  mkdir -p "${2%/*}"
  mv "$out" "$2"
  rm -rf "$work"
  say "built $(du -m "$2/$file" | cut -f 1) MB $file"
)

digests=()
for name in "${names[@]}"; do
  digest=$(recipe_digest "$name")
  digests+=("$digest")
done
# The current images under one directory. It is named by what it holds, so that checkouts with
# different recipes can share a laboratory.
current=$LUMIENV_LAB/current/$(printf '%s\n' "${digests[@]}" | sha256sum | head -c 16)
appl=
case ${1:-} in
  --where) echo "$current"; exit ;;
  --appl) appl=${2:?--appl needs a directory} ;;
  "") ;;
  *) die "unknown argument $1" ;;
esac

if [ ! -d "$current" ]; then
  need_root
  command -v apptainer >/dev/null || die "no apptainer here: run install-runtime.sh first"
  apt_install debootstrap patchelf
  mkdir -p "$LUMIENV_LAB/images"
  exec 9>"$LUMIENV_LAB/.images.lock"
  flock -n 9 || { say "another build is running, waiting for it"; flock 9; }
  scratch=$LUMIENV_LAB/build
  rm -rf "$scratch" # of a build that failed or was killed; the lock outlives its last process
  mkdir -p "$scratch/current"
  for i in "${!names[@]}"; do
    image=$LUMIENV_LAB/images/${digests[i]}
    # (not `build_image || …`, which would switch off set -e inside)
    if [ ! -d "$image" ]; then build_image "${names[i]}" "$image"; fi
    ln -s "$image"/* "$scratch/current/"
  done
  mkdir -p "${current%/*}"
  [ -d "$current" ] || mv "$scratch/current" "$current"
  rm -rf "$scratch"
fi
if [ -n "$appl" ]; then "$here/appl-tree.sh" "$appl" "$current"; fi
realpath "$current"/*.sif
