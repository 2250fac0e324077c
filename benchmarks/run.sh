#!/bin/bash
# Measure lumienv against its peers: print a table, write benchmarks/results/*.json.
# Usage: bash benchmarks/run.sh [backtracking] [files] [launchers] [list] [lock] [resolution] [run] [sif] [sync] [--runs N]
# env:   REV             a commit to measure (default: the checkout as it is, which may change meanwhile)
#        LUMIENV_BENCH   where its virtual environment and the recorded index are kept
#        PYTHON          the Python to measure with
set -euo pipefail
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
caches=${LUMIENV_BENCH:-${XDG_CACHE_HOME:-$HOME/.cache}/lumienv-bench}
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  { echo "$python is older than 3.11: name another in PYTHON" >&2; exit 1; }
venv=$caches/venv-$("$python" -c 'import platform; print(platform.python_version())')

mkdir -p "$caches"
exec 9>"$caches/.lock" # two at a time would measure each other
flock -n 9 || { echo "another benchmark is running, waiting for it" >&2; flock 9; }

# What is measured is a copy, installed as users install it: edits during the run do not reach it.
copy=$(mktemp -d /var/tmp/lumienv-bench-source.XXXXXX)
trap 'rm -rf "$copy"' EXIT
cd "$checkout"
if [ -n "${REV:-}" ]; then
  git archive "$REV" | tar x -C "$copy"
  measured=$(git rev-parse --short "$REV")
else
  cp -r lumienv pyproject.toml README.md LICENSE "$copy"
  measured=$(git rev-parse --short HEAD)
  [ -z "$(git status --porcelain -- lumienv pyproject.toml)" ] || measured+=" with uncommitted changes"
fi
[ -x "$venv/bin/pip" ] || "$python" -m venv --clear "$venv"
"$venv/bin/pip" install -qq --disable-pip-version-check "$copy"
"$venv/bin/pip" install -qq --disable-pip-version-check --no-deps --force-reinstall "$copy"

# Only the benchmarks come from the checkout: `import lumienv` has to find the installed one.
mkdir "$copy/path"
ln -s "$checkout/benchmarks" "$copy/path/benchmarks"
PYTHONPATH=$copy/path PYTHONDONTWRITEBYTECODE=1 \
  "$venv/bin/python" -P -m benchmarks --caches "$caches" --measured "$measured" "$@"
