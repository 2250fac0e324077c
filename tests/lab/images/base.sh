# The steps that the image recipes share; build-images.sh sources it, then a recipe.
#
# A recipe sets `file` (the image's name on LUMI), `parts` (the files beside it that it uses),
# `python` (what decides its Python's version) and defines `build`, which fills the tree $tree and
# ends with `seal`. A recipe, its parts and this file make the digest that decides on a rebuild.
#
# Given by build-images.sh: $recipes (this directory), $work (scratch, removed afterwards),
# $out (where the finished image goes), $LUMIENV_LAB (caches) and the functions of common.sh.

suite=trixie
base_packages=ca-certificates,gcc,g++,libc6-dev,make,procps,libssl3t64,libffi8,libsqlite3-0,libreadline8t64,libbz2-1.0,liblzma5,libexpat1,libuuid1,libgdbm6t64,libncursesw6,libzstd1

root_tree() { # [PACKAGE,PACKAGE…]: start $tree from a Debian with these
  local packages=$base_packages${1:+,$1} cached new=$work/rootfs
  cached=$LUMIENV_LAB/rootfs/$suite-$(echo "$packages" | sha256sum | head -c 12)
  if [ ! -d "$cached" ]; then
    say "debootstrap $suite ${1:-}"
    debootstrap --variant=minbase --include="$packages" "$suite" "$new" "$(debian_mirror)" >"$work/debootstrap.log" 2>&1 ||
      { tail -n 20 "$work/debootstrap.log" >&2; die "debootstrap failed"; }
    rm -rf "$new"/var/cache/apt/archives/*.deb "$new"/var/lib/apt/lists/* "${new:?}"/{dev,proc,sys}/* \
      "$new"/usr/share/{doc,man,locale,info}/* "$new"/usr/lib{,exec}/gcc/x86_64-linux-gnu/*/lto1
    rm -f "$new/etc/resolv.conf"
    : >"$new/etc/resolv.conf"
    : >"$new/etc/hosts"
    chown -hR 0:0 "$new"
    chmod -R u+rwX,go+rX "$new"
    chmod 1777 "$new/tmp"
    find "$new" -xdev \( -type b -o -type c -o -type p -o -type s \) -delete
    mkdir -p "${cached%/*}"
    mv "$new" "$cached"
  fi
  cp -a --reflink=auto "$cached" "$tree"
  mkdir -p "$tree/.singularity.d/env" "$tree"/mnt/{pip,recipes,wheels}
  touch "$tree/etc/ssl/certs/ca-certificates.crt"
}

in_tree() { # COMMAND…: run it in the tree, with network, the host's CA bundle and pip's index
  local binds=(-B "$recipes:/mnt/recipes:ro" -B "$LUMIENV_LAB/pip-cache:/mnt/pip" -B "$work/wheels:/mnt/wheels"
    -B "$work/pip.conf:/etc/pip.conf:ro")
  local ca=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt} settings=() name
  [ ! -s "$ca" ] || binds+=(-B "$ca:/etc/ssl/certs/ca-certificates.crt")
  for name in {http,https,no}_proxy {HTTP,HTTPS,NO}_PROXY PIP_DEFAULT_TIMEOUT; do
    [ -z "${!name:-}" ] || settings+=("$name=${!name}")
  done
  mkdir -p "$LUMIENV_LAB/pip-cache" "$work/wheels"
  touch "$tree/etc/pip.conf"
  if [ ! -e "$work/pip.conf" ]; then
    # A file rather than a variable, as the address may hold a password. Nothing else of the
    # host's configuration may reach the images, above all no further indexes or local wheels.
    local index
    index=$(pip_index_url)
    (umask 077 && echo "[global]${index:+$'\n'index-url = $index}" >"$work/pip.conf")
  fi
  # Through env, as --env does nothing in a tree that has no /.singularity.d/actions yet.
  apptainer -q exec --writable --no-home --pwd / --cleanenv --no-umask "${binds[@]}" "$tree" \
    /usr/bin/env "${settings[@]}" LC_ALL=C.UTF-8 PIP_CONFIG_FILE=/etc/pip.conf PIP_CACHE_DIR=/mnt/pip \
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_WARN_SCRIPT_LOCATION=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt "$@"
}

standin() { # PYTHON NAME VERSION [make_wheel.py's further arguments]
  local python=$1
  shift
  in_tree "$python" /mnt/recipes/make_wheel.py /mnt/wheels "$@"
  in_tree "$python" -m pip install -q --no-index --no-deps --find-links /mnt/wheels "$1==$2"
}

standin_torch() { # PYTHON VERSION HIP [REQUIREMENT…]
  local python=$1 version=$2 hip=$3 standins=/mnt/recipes/standins/torch
  shift 3
  printf '__version__ = "%s"\nhip = "%s"\ncuda = None\ndebug = False\ngit_version = "%040d"\n' \
    "$version" "$hip" 0 >"$work/wheels/version.py"
  standin "$python" torch "$version" "$@" --console-script torchrun=torch.distributed.run:main \
    --file torch/__init__.py=$standins/__init__.py --file torch/version.py=/mnt/wheels/version.py \
    --file torch/cuda/__init__.py=$standins/cuda/__init__.py \
    --file torch/distributed/__init__.py=$standins/distributed/__init__.py \
    --file torch/distributed/run.py=$standins/distributed/run.py
}

standin_imgtool() { # PYTHON
  standin "$1" imgtool 1.0 --file imgtool.py=/mnt/recipes/standins/imgtool.py \
    --console-script imgtool=imgtool:main --plain-script /mnt/recipes/standins/imgtool-file
}

oci_env() { # NAME=VALUE…: the way an OCI conversion writes Docker's ENV
  local script=$tree/.singularity.d/env/10-docker2singularity.sh pair name value
  echo '#!/bin/sh' >"$script"
  for pair in "$@"; do
    name=${pair%%=*} value=${pair#*=}
    if [ "$name" = PATH ]; then
      printf 'export PATH="%s"\n' "$value"
    else
      printf 'export %s="${%s:-"%s"}"\n' "$name" "$name" "$value"
    fi >>"$script"
  done
  chmod 755 "$script"
}

seal() { # the runscript on stdin: pack the tree into $out/$file
  {
    printf 'Bootstrap: localimage\nFrom: %s\n\n%%runscript\n' "$tree"
    sed 's/^/    /'
  } >"$work/image.def"
  # (/mnt holds in_tree's mount points; its pip.conf is one too)
  rm -rf "${tree:?}"/{tmp,dev,mnt,var/tmp}/* "$tree/root/.cache" "$tree/etc/pip.conf"
  chown -hR 0:0 "$tree"
  APPTAINER_TMPDIR=$work apptainer -q build "$out/$file" "$work/image.def" >"$work/build.log" 2>&1 ||
    { tail "$work/build.log" >&2; die "building $file failed"; }
  chmod 755 "$out/$file"
  (cd "$out" && sha256sum "$file" >"$file.sha256")
}
