#!/bin/bash
# Install lumienv for everybody on a cluster, below a folder that login and compute nodes see.
# Usage: bash contrib/install.sh PREFIX
# env:   PYTHON   the Python that lumienv is to run with, 3.11 or newer (default: the first that PATH has)
#
# PREFIX/VERSION/venv                  lumienv and what it depends on, from the index that pip is configured with
# PREFIX/VERSION/bin/lumienv           starts it; nothing else lies in that folder, as it comes on PATH
# PREFIX/modules/lumienv/VERSION.lua   the module file, written last: what was not finished, nobody can load
# PREFIX/site.toml                     if you put it there: the site's profile, for all versions (docs/sites.md)
set -euo pipefail
umask 022 # for everybody, whatever the administrator's umask

die() { echo "error: $1" >&2; echo "help: $2" >&2; exit 1; }
[ $# = 1 ] && [ -n "$1" ] || die "one word is wanted: the folder to install into" "bash contrib/install.sh /appl/local/lumienv"

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$checkout/lumienv/__init__.py")
mkdir -p "$1"
prefix=$(cd "$1" && pwd)
root=$prefix/$version
module=$prefix/modules/lumienv/$version.lua
[ ! -e "$module" ] || die "lumienv $version is installed in $prefix already, and may be in use" \
  "to make it anew, remove it first: rm -r $root $module"
[ ! -e "$root" ] || [ -d "$root/venv" ] || die "$root is there, and was not made by this script" "choose another folder"

fits() { "$1" -Ic 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
python=
for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
  if [ -z "$python" ] && fits "$candidate"; then python=$(command -v "$candidate"); fi
  [ -z "${PYTHON:-}" ] || break # only the one that was asked for
done
[ -n "$python" ] || die "no Python 3.11 or newer with venv was found${PYTHON:+: not $PYTHON}" \
  "name one that login and compute nodes have: PYTHON=/opt/cray/pe/python/3.11.7/bin/python3 bash contrib/install.sh $prefix"

# -I here and below: what modules have put into PYTHONPATH is neither installed from nor taken for installed.
"$python" -I -m venv --clear "$root/venv"
PIP_USER=0 "$root/venv/bin/python" -I -m pip install --quiet --disable-pip-version-check "$checkout"

mkdir -p "$root/bin" "${module%/*}"
cat >"$root/bin/lumienv" <<END
#!/bin/sh
# -I: PYTHONPATH and ~/.local are for other Pythons than this one.
exec "$root/venv/bin/python" -I "$root/venv/bin/lumienv" "\$@"
END
chmod 755 "$root/bin/lumienv"
[ "$("$root/bin/lumienv" --version)" = "lumienv $version" ] || die "what was installed is not lumienv $version" "remove $root and try again"

cp "$checkout/contrib/lmod/lumienv/$version.lua" "$module.new"
mv "$module.new" "$module"
echo "lumienv $version is in $root"
echo "module use $prefix/modules; module load lumienv"
