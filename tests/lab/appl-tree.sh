#!/bin/bash
# Lay out LUMI's /appl tree of symlinks (hashed and unhashed names) at any directory.
# Usage: appl-tree.sh DIR IMAGES      IMAGES: the directory that build-images.sh --where prints
set -euo pipefail
appl=$(realpath -m "$1") images=$2
containers=$appl/local/containers laif=$appl/local/laifs/containers
mkdir -p "$containers"/{sif-images,tested-containers,easybuild-sif-images} "$laif"

for image in "$images"/lumi-{mpi4py,pytorch}-*.sif; do
  file=${image##*/}
  ln -sfn "$(realpath "$image")" "$containers/easybuild-sif-images/$file"
  ln -sfn "$(realpath "$image")" "$containers/tested-containers/$file"
  ln -sfn "$containers/tested-containers/$file" "$containers/sif-images/${file%-dockerhash-*}.sif"
done

for image in "$images"/lumi-multitorch-full-*.sif; do
  file=${image##*/}
  release=$laif/lumi-multitorch-${file#lumi-multitorch-full-}
  release=${release%.sif}
  mkdir -p "$release"
  for part in "${image%.sif}".{sif,json} "$image.sha256"; do
    ln -sfn "$(realpath "$part")" "$release/${part##*/}"
  done
  ln -sfn "$release/$file" "$laif/lumi-multitorch-latest.sif"
done
