#!/bin/bash
# Install Apptainer on Debian 12, as `apptainer` and `singularity`, with the helpers it needs.
# Usage: install-runtime.sh [--force]
#
# Debian has Apptainer only in sid, built against a newer glibc than Debian 12's. So its libraries
# go into a directory of their own, and only its own two binaries are pointed at them.
set -euo pipefail
. "$(dirname "$0")/common.sh"
need_root
is_debian_amd64 || die "this needs Debian on amd64"
libraries=/opt/apptainer/lib

apt_install uidmap fuse2fs squashfuse fuse-overlayfs squashfs-tools patchelf fuse3 ca-certificates \
  debian-archive-keyring e2fsprogs

install_apptainer() {
  local package binary
  work=$(mktemp -d) # not local: the trap runs after this function
  trap 'rm -rf "$work"' EXIT
  apt_from sid deb "$work" -- download apptainer libc6 libseccomp2 libsqlite3-0 libgcc-s1 zlib1g
  for package in "$work"/*.deb; do
    case $package in
      */apptainer_*) dpkg -x "$package" "$work/apptainer" ;;
      *) dpkg -x "$package" "$work/packages" ;;
    esac
  done

  mkdir -p "$work/lib"
  find "$work/packages" \( -path '*/x86_64-linux-gnu/*.so*' -o -path '*/lib64/*.so*' \) \
    ! -path '*/gconv/*' ! -path '*/audit/*' \( -type f -o -type l \) -exec cp -an {} "$work/lib/" \;
  # Links that led out of their directory dangle in the flat one.
  find "$work/lib" -xtype l -delete
  [ -e "$work/lib/ld-linux-x86-64.so.2" ] || die "Debian's libc6 has no dynamic loader where it is expected"

  for binary in usr/bin/apptainer usr/lib/x86_64-linux-gnu/apptainer/bin/starter; do
    patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libraries" \
      "$work/apptainer/$binary"
  done

  mkdir -p "$libraries"
  unpack_over "$work/lib" "$libraries"
  unpack_over "$work/apptainer" /
  say "installed $(basename "$work"/apptainer_*.deb) with $(basename "$work"/libc6_*.deb) in $libraries"
}

# Each file is replaced by unlinking, so that a running binary stays usable; directories that exist
# keep their modes.
unpack_over() { # FROM TO
  (cd "$1" && find . -mindepth 1 -type d -print0) | (cd "$2" && xargs -0r mkdir -p)
  (cd "$1" && find . ! -type d -print0 | tar --null -T - -cf -) | tar xf - -C "$2" --unlink-first
}

if [ "${1:-}" = --force ] || ! apptainer --version >/dev/null 2>&1; then install_apptainer; fi
ln -sfn apptainer /usr/bin/singularity

# A virtual machine's root without CAP_SYS_RESOURCE cannot hand out every capability.
conf=/etc/apptainer/apptainer.conf
sed -i 's/^root default capabilities = .*/root default capabilities = no/' "$conf"
grep -q '^root default capabilities = no$' "$conf" || echo 'root default capabilities = no' >>"$conf"

# A plain user mounts images through /dev/fuse in a user namespace.
[ -e /dev/fuse ] || modprobe fuse 2>/dev/null || mknod /dev/fuse c 10 229 2>/dev/null || true
chmod 666 /dev/fuse 2>/dev/null || say "no /dev/fuse: a plain user cannot mount images"
namespaces=/proc/sys/kernel/unprivileged_userns_clone
if [ "$(cat $namespaces 2>/dev/null || echo 1)" = 0 ]; then
  echo 1 >$namespaces || say "user namespaces are off: a plain user cannot start containers"
fi

say "$(singularity --version)"
