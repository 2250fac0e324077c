# shellcheck shell=bash
# Shared by the laboratory's scripts, which source it.

shopt -s inherit_errexit
LUMIENV_LAB=${LUMIENV_LAB:-/var/tmp/lumienv-lab}
lab_user=lumi
umask 022 # what the laboratory makes is for every user, whatever the caller's umask

# Messages go to stderr, so that a script's stdout is only what it was asked for.
say() { echo "[${0##*/}] $*" >&2; }
die() { say "$*"; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "must run as root"; }

is_debian_amd64() {
  command -v dpkg >/dev/null && [ -e /etc/debian_version ] && [ "$(dpkg --print-architecture)" = amd64 ]
}

apt_install() { # PACKAGE…: install those that are missing
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "apt-get install ${missing[*]}"
  apt-get update -qq || say "apt-get update reported errors (another repository's lists?), going on"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

debian_mirror() { # Debian's own archive (not security or backports), as this machine's apt is configured
  local mirror
  mirror=$(labelled_mirror)
  # The labels stand in the downloaded lists, which a fresh machine does not have yet.
  [ -n "$mirror" ] || { apt-get update -qq >&2 || true; mirror=$(labelled_mirror); }
  [ -n "$mirror" ] || die "apt's configuration names no mirror of Debian"
  echo "$mirror"
}
labelled_mirror() {
  apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' '$1 == "Debian" && !seen++ { sub("/+$", "", $2); print $2 }'
}

pip_index_url() { # the index that the caller's pip is told to use, empty for the default
  if [ -n "${PIP_INDEX_URL:-}" ]; then
    echo "$PIP_INDEX_URL"
  else
    # (`pip config get` would overlook a file that PIP_CONFIG_FILE names)
    { python3 -m pip config list 2>/dev/null || true; } | sed -n "s/^global\.index-url='\(.*\)'$/\1/p"
  fi
}

apt_from() { # SUITE TYPE DIRECTORY -- APT-GET'S ARGUMENTS…: apt-get on another suite of the mirror, in that directory
  local suite=$1 type=$2 directory=$3
  shift 4
  mkdir -p "$directory"/apt/{lists/partial,cache/archives/partial}
  echo "$type [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $suite main" >"$directory/apt/sources.list"
  # A frozen mirror's Release file is past its date; its signature is still checked.
  local options=(-qq -o Dir::Etc::sourcelist="$directory/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::lists="$directory/apt/lists" -o Dir::Cache="$directory/apt/cache" -o APT::Sandbox::User=root
    -o Acquire::Check-Valid-Until=false)
  apt-get "${options[@]}" -o APT::Update::Error-Mode=any update >&2
  (cd "$directory" && apt-get "${options[@]}" "$@" >&2)
}
