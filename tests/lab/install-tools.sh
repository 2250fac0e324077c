#!/bin/bash
# Install the programs that tests hold lumienv against, where they are missing: shells to complete in, a
# browser to look at pages and what drives it, a registry to pull images from and a client to fill it, Lmod,
# and strace to see which processes there are.
# Usage: install-tools.sh
set -euo pipefail
. "$(dirname "$0")/common.sh"
need_root
is_debian_amd64 || die "this needs Debian on amd64"
apt_install zsh fish chromium chromium-driver docker-registry skopeo lmod strace
# The tests start a registry of their own, on a port of their own.
if [ -d /run/systemd/system ]; then systemctl disable --now docker-registry >/dev/null 2>&1 || true; fi
