#!/bin/bash
# Usage: user.sh             create the unprivileged user and the project's directories
#        user.sh COMMAND…    then run the command as that user, in the project directory, with
#                            umask 007 (LUMI's default) and a clean environment
# env:   KEEP="A B"          variables to pass on
#        CWD=DIR             where to start instead
#        LAB_PATH=PATH       the command's PATH
set -euo pipefail
. "$(dirname "$0")/common.sh"
need_root
user=$lab_user group=project_465000000
project=/project/$group scratch=/scratch/$group

getent group "$group" >/dev/null || groupadd "$group"
getent passwd "$user" >/dev/null || useradd -m -s /bin/bash -U -G "$group" "$user"
# LUMI has no subuid ranges, so no fakeroot either; useradd hands them out.
for file in /etc/subuid /etc/subgid; do
  [ ! -e $file ] || sed -i "/^$user:/d" $file
done
for directory in "$project" "$scratch"; do
  [ -d "$directory" ] || install -d -g "$group" -m 2770 "$directory"
done
home=$(getent passwd "$user" | cut -d : -f 6)
chmod 700 "$home"
grep -qs '^umask 007' "$home/.profile" || echo 'umask 007' >>"$home/.profile"
chown "$user:" "$home/.profile"

if [ $# = 0 ]; then
  say "user $user, project $project, scratch $scratch"
  exit
fi
environment=(HOME="$home" USER="$user" LOGNAME="$user" SHELL=/bin/bash LANG=C.UTF-8 TERM="${TERM:-dumb}"
  PATH="${LAB_PATH:-/usr/local/bin:/usr/bin:/bin}")
for name in SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE PIP_CERT PIP_DEFAULT_TIMEOUT SLURM_CONF \
  {http,https,no}_proxy {HTTP,HTTPS,NO}_PROXY ${KEEP:-}; do
  [ -z "${!name+set}" ] || environment+=("$name=${!name}")
done
cd "${CWD:-$project}"
umask 007
exec setpriv --reuid "$user" --regid "$user" --init-groups --reset-env -- env -i "${environment[@]}" "$@"
