# A tiny image with a shell and no Python at all, to see what is said about such a one.
file=no-python.sif
parts=()
python=none

build() {
  local download=(apt-get -qq -o APT::Sandbox::User=root download busybox-static)
  cd "$work"
  # A fresh machine has no package lists yet, or old ones.
  "${download[@]}" || { apt-get update -qq && "${download[@]}"; } >&2
  dpkg -x busybox-static_*.deb busybox
  mkdir -p "$tree"/{bin,dev,etc,home,mnt,opt,proc,root,sys,tmp,usr/bin,var/tmp,.singularity.d/env}
  find "$work/busybox" -path '*/bin/busybox' -type f -exec cp {} "$tree/bin/" \;
  "$tree/bin/busybox" --list | grep -vx busybox | while read -r applet; do ln -s busybox "$tree/bin/$applet"; done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
  echo 'root:x:0:' >"$tree/etc/group"
  : >"$tree/etc/resolv.conf"
  : >"$tree/etc/hosts"
  ln -s /bin/env "$tree/usr/bin/env"
  oci_env PATH=/usr/sbin:/usr/bin:/sbin:/bin
  seal <<<'exec "$@"'
}
