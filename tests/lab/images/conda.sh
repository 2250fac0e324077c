# A conda-like prefix for the recipes of the two conda families.
#
# It is a CPython 3.12 prefix of this machine (pyenv's or /usr/local's), cleaned; where there is
# none, CPython 3.11 from Debian 12's source package, the newest there that numpy 1.26 has wheels for.

host_prefix() { # the CPython 3.12 prefix of this machine, empty if none
  local prefix
  for prefix in "${PY312_PREFIX-}" $(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12.* 2>/dev/null | sort -rV) /usr/local; do
    if [ -x "$prefix/bin/python3.12" ] && [ -d "$prefix/lib/python3.12/encodings" ]; then
      echo "$prefix"
      return
    fi
    # An explicit choice, "none" included, is not second-guessed.
    [ -z "${PY312_PREFIX-}" ] || return 0
  done
}

conda_python() { # the Python that a conda-like prefix will have, for the digest
  local prefix
  prefix=$(host_prefix)
  if [ -n "$prefix" ]; then "$prefix/bin/python3.12" -V; else echo "Debian 12's python3.11"; fi
}

built_cpython() { # CPython 3.11 built from Debian 12's source package
  local prefix=$LUMIENV_LAB/cpython-3.11 src=$work/cpython
  if [ ! -d "$prefix" ]; then
    say "no CPython 3.12 prefix here: building CPython 3.11 from Debian's source (some minutes)"
    apt_install build-essential xz-utils dpkg-dev libssl-dev zlib1g-dev libffi-dev libbz2-dev liblzma-dev \
      libsqlite3-dev libreadline-dev
    mkdir -p "$src"
    apt_from bookworm deb-src "$src" -- source --download-only python3.11
    (
      # Chained, as set -e does nothing on the left of ||.
      cd "$src" && tar xf python3.11_*.orig.tar.* && cd Python-3.11* &&
        ./configure -q --prefix="$prefix" --enable-shared --with-ensurepip=no &&
        make -s -j"$(nproc)" && make -s install DESTDIR="$src/root"
    ) >"$work/cpython.log" 2>&1 || { tail "$work/cpython.log" >&2; die "building CPython failed"; }
    mv "$src/root$prefix" "$prefix"
  fi
  echo "$prefix"
}

conda_prefix() { # ENVIRONMENT: sets $prefix (its path in the image) and $version ("3.12")
  local host site
  host=$(host_prefix)
  [ -n "$host" ] || host=$(built_cpython)
  prefix=/opt/miniconda3/envs/$1
  version=$(cd "$host/lib" && ls -d python3.1[0-9] | sort -V | tail -n 1)
  version=${version#python}
  local inside=$tree$prefix
  mkdir -p "$tree"/opt/miniconda3/{bin,condabin,envs}
  cp -a "$host" "$inside"
  chown -hR 0:0 "$inside"

  # What is not CPython's own goes, and what only its tests and its GUI need.
  site=$inside/lib/python$version
  rm -rf "$site"/{test,idlelib,lib2to3/tests,tkinter,turtledemo} "$site"/site-packages/* "$inside/share"
  find "$inside" \( -name '*.a' -o -name __pycache__ \) -prune -exec rm -rf {} +
  find "$inside/bin" -type f ! -name "python$version" -delete
  find "$inside/bin" -xtype l -delete
  ln -sfn "python$version" "$inside/bin/python3"
  ln -sfn python3 "$inside/bin/python"
  in_tree find "$prefix" \( -name "python$version" -o -name '*.so*' \) -type f -exec strip --strip-unneeded {} +
  patchelf --set-rpath '$ORIGIN/../lib' "$inside/bin/python$version"
  # The build host's prefix must not be left in sysconfig and the like.
  { grep -rlIF "$host" "$inside" || true; } | while read -r f; do sed -i "s|$host|$prefix|g" "$f"; done

  in_tree "$prefix/bin/python" -m compileall -q -j 0 "$prefix/lib/python$version"
  in_tree "$prefix/bin/python" -m ensurepip --upgrade --default-pip >"$work/ensurepip.log" 2>&1 ||
    { cat "$work/ensurepip.log" >&2; die "ensurepip failed"; }
  in_tree "$prefix/bin/python" -m pip install -q --upgrade pip setuptools==72.1.0 wheel
  mkdir -p "$inside/conda-meta" "$inside"/etc/conda/{activate,deactivate}.d
  : >"$inside/conda-meta/history"
  install -m 644 "$recipes/standins/conda-activate.sh" "$tree/opt/miniconda3/bin/activate"
  install -m 755 "$recipes/standins/conda" "$tree/opt/miniconda3/condabin/conda"
  ln -sfn ../condabin/conda "$tree/opt/miniconda3/bin/conda"
}

conda_runscript='if [ $# -gt 0 ]; then exec "$@"; else exec /bin/bash; fi'
