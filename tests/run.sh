#!/bin/bash
# Run every check: ruff, mypy, the documentation, the unit tests, and the integration tests as the caller and as an
# unprivileged user; and, behind all of them, that no command or option was left out (tests/exercised.py). As root on
# Debian it first sets up the laboratory (tests/lab) that the integration tests need; elsewhere they skip what is
# missing, with the reason.
# Usage: bash tests/run.sh [pytest arguments…]
# env:   LUMIENV_TEST_STRICT=1   a missing part or a skipped integration test is a failure
#        LUMIENV_TEST_COVERAGE=1 measure which lines the tests of the caller reach, in all processes; a share below
#                                that in pyproject.toml is a failure (tests/measure.py)
#        LUMIENV_LAB             where the laboratory's images live (default /var/tmp/lumienv-lab)
#        PYTHON                  the Python to test with
set -euo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=${tests%/*}
. "$tests/lab/common.sh"
cd "$checkout"

failures=() missing=() tests_ran=no slurm_started=no copy= other= measured=
said=$(mktemp)
finish() {
  # pytest and what it has started; user.sh becomes setpriv, which becomes pytest.
  [ -z "$other" ] || kill "$other" 2>/dev/null || true
  rm -f "$said"
  [ -z "$measured" ] || { "$venv/bin/python" "$tests/measure.py" off && rm -rf "$measured"; } || true
  [ -z "$copy" ] || rm -rf "$copy"
  [ $slurm_started = no ] || "$tests/lab/slurm-down.sh" || true
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- the laboratory
if [ "$(id -u)" != 0 ]; then
  missing+=("not root: the laboratory is not set up, and no tests run as another user")
elif ! is_debian_amd64; then
  missing+=("not Debian on amd64: the laboratory is not set up, and no tests run as another user")
else
  apt_install python3 python3-venv git
  "$tests/lab/install-runtime.sh"
  "$tests/lab/install-tools.sh"
  "$tests/lab/user.sh"
  "$tests/lab/build-images.sh"
  # Both runs are told, as the user cannot see what the directory's name depends on.
  LUMIENV_LAB_IMAGES=$("$tests/lab/build-images.sh" --where)
  export LUMIENV_LAB_IMAGES
  if ! timeout 10 sinfo -h >/dev/null 2>&1; then slurm_started=yes; fi
  "$tests/lab/slurm-up.sh"
fi

# --- a copy of the checkout that every user can read, and from which the package is installed
copy=$(mktemp -d /var/tmp/lumienv-checkout.XXXXXX)
chmod 755 "$copy"
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
  done
else
  find . -name .git -prune -o -name __pycache__ -prune -o ! -type d -print0
fi | tar --null --no-recursion -T - -cf - | tar xf - -C "$copy" --no-same-owner
chmod -R u+rwX,go+rX "$copy"

# --- a virtual environment outside the checkout, made once and kept up to date
fits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
find_python() {
  local candidates=("${PYTHON:-}" python3 python3.13 python3.12 python3.11) candidate
  # Not root's own Python (pyenv's, say), which the unprivileged user cannot read.
  [ "$(id -u)" != 0 ] || candidates=("${PYTHON:-}" /usr/bin/python3 "${candidates[@]:1}")
  for candidate in "${candidates[@]}"; do
    if [ -n "$candidate" ] && fits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  die "no Python 3.11 or newer with venv here: install one, or name it in PYTHON"
}
digest_of() { (cd "$copy" && find "$@" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | head -c 16); }

python=$(find_python)
caches=${XDG_CACHE_HOME:-$HOME/.cache}/lumienv-tests
[ "$(id -u)" != 0 ] || caches=/var/tmp/lumienv-tests
key=$("$python" -c 'import platform; print(platform.python_version())')-$(echo "$checkout" | sha256sum | head -c 8)
venv=$caches/$key
mkdir -p "$caches"
# One test run at a time for each checkout: another would swap the package under this one.
exec 8>"$caches/$key.lock"
flock -n 8 || { say "another test run of this checkout is going on, waiting for it"; flock 8; }
if [ "$(cat "$venv/.dependencies" 2>/dev/null)" != "$(digest_of pyproject.toml)" ]; then
  say "installing into $venv"
  "$python" -m venv --clear "$venv"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check "${copy}[test,dev]"
  echo "$checkout" >"$venv/.checkout"
  digest_of pyproject.toml >"$venv/.dependencies"
  digest_of lumienv pyproject.toml >"$venv/.package"
fi
if [ "$(cat "$venv/.package" 2>/dev/null)" != "$(digest_of lumienv pyproject.toml)" ]; then
  rm -f "$venv/.package"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --force-reinstall "$copy"
  digest_of lumienv pyproject.toml >"$venv/.package"
fi
# Those of checkouts that are gone.
for old in "$caches"/*/.checkout; do
  [ -d "$(cat "$old")" ] || rm -rf "${old%/.checkout}" "${old%/.checkout}.lock"
done

# --- what the machine's own index has said to the tests that ask it
export LUMIENV_TEST_INDEX_CACHE=$caches/index
[ ! -d "$LUMIENV_TEST_INDEX_CACHE" ] || find "$LUMIENV_TEST_INDEX_CACHE" -type f -mtime +30 -delete

# --- each call of the installed program is noted down, to see in the end which commands and options were used
"$venv/bin/python" "$tests/exercised.py" start "$venv"

# --- what is measured
"$venv/bin/python" "$tests/measure.py" off # a run that was killed may have left it on
if [ "${LUMIENV_TEST_COVERAGE:-}" = 1 ]; then
  measured=$(mktemp -d /var/tmp/lumienv-measured.XXXXXX)
  "$venv/bin/python" "$tests/measure.py" on "$measured"
fi

# --- the checks
stage() { # NAME COMMAND…
  local name=$1
  shift
  echo
  echo "=== $name"
  "$@" || failures+=("$name")
}
arguments=$#
run_pytest() { # COMMAND…: a pytest run; the caller's arguments may leave it without any test (5)
  local status=0
  "$@" || status=$?
  [ $status = 5 ] || tests_ran=yes
  [ $status = 0 ] || { [ $status = 5 ] && [ "$arguments" -gt 0 ]; }
}
export PATH=$venv/bin:$PATH
stage "ruff check" ruff check .
stage "ruff format" ruff format --check .
stage "mypy" mypy lumienv
stage "documentation" env NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict --site-dir "$copy/site"

slowest=--durations=12
# Paths among the arguments choose the tests instead of the stages' own.
options=() unit=() integration=()
for argument in "$@"; do
  case $argument in
    tests/integration*) integration+=("$argument") ;;
    tests/*) unit+=("$argument") ;;
    *) options+=("$argument") ;;
  esac
done
if [ ${#unit[@]} = 0 ] && [ ${#integration[@]} = 0 ]; then
  unit=(tests --ignore=tests/integration) integration=(tests/integration)
fi
# On all cores, a file on one; not where tests were chosen, which may be to debug them.
cores=()
[ "$arguments" -gt 0 ] || cores=(-n auto --dist loadfile)
if [ ${#unit[@]} -gt 0 ]; then
  stage "unit tests" run_pytest pytest $slowest "${cores[@]}" "${unit[@]}" "${options[@]}"
fi
as_lab_user() { # becomes the tests of an unprivileged user, from the copy
  chown -R "$lab_user:" "$copy"
  local index
  index=$(pip_index_url)
  [ -z "$index" ] || export PIP_INDEX_URL=$index
  export CWD=$copy LAB_PATH=$venv/bin:/usr/local/bin:/usr/bin:/bin
  export KEEP="LUMIENV_TEST_STRICT LUMIENV_LAB_IMAGES PIP_INDEX_URL UV_INDEX_URL UV_DEFAULT_INDEX"
  exec "$tests/lab/user.sh" "$venv/bin/pytest" $slowest -m "not once" "${integration[@]}" "${options[@]}"
}
if [ ${#integration[@]} -gt 0 ]; then
  # Both users' tests at once: they spend half of their time waiting, for containers and for Slurm. Most are one
  # user's (the markers in pyproject.toml); what is measured is the caller's, who then runs them all.
  own=()
  [ -z "$measured" ] || own=("${cores[@]}")
  if [ "$(id -u)" = 0 ] && is_debian_amd64 && [ -z "$measured" ]; then
    own=(-m "once or not unprivileged")
    as_lab_user </dev/null >"$said" 2>&1 &
    other=$!
  fi
  stage "integration tests as $(id -un)" run_pytest pytest $slowest "${own[@]}" "${integration[@]}" "${options[@]}"
  if [ -n "$other" ]; then
    said_by_other() { local status=0; wait "$other" || status=$?; other=; cat "$said"; return $status; }
    stage "integration tests as $lab_user" run_pytest said_by_other
  fi
fi
if [ -n "$measured" ]; then
  stage "coverage" python "$tests/measure.py" report "$measured"
fi

# Where tests were chosen, or their laboratory is missing, there is nothing to conclude.
if [ "$arguments" = 0 ] && [ ${#missing[@]} = 0 ]; then
  stage "every command and option is used by a test" "$venv/bin/python" "$tests/exercised.py" report "$venv"
fi

echo
for part in "${missing[@]}"; do echo "missing: $part"; done
[ ${#missing[@]} = 0 ] || [ "${LUMIENV_TEST_STRICT:-}" != 1 ] || failures+=("a missing part (LUMIENV_TEST_STRICT=1)")
[ $tests_ran = yes ] || failures+=("no test ran")
for failure in "${failures[@]}"; do echo "failed: $failure"; done
[ ${#failures[@]} = 0 ] && echo "all checks passed"
