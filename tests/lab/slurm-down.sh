#!/bin/bash
# Stop the laboratory's Slurm: only processes that slurm-up.sh started, by the ids in its pid files.
# Usage: slurm-down.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
. "$here/slurm.sh"
need_root

stop() { # PIDFILE PROGRAM
  runs "$1" "$2" || { rm -f "$1"; return 0; }
  local pid
  pid=$(cat "$1")
  kill -TERM "$pid"
  wait_until 10 test ! -d "/proc/$pid" || kill -KILL "$pid"
  rm -f "$1"
  say "stopped $2 ($pid)"
}
setting() { sed -n "s/^$1=//p" "$conf"; }

if is_ours; then
  # The pid files of the configuration in place, which an older slurm-up.sh may have written.
  controller=$(setting SlurmctldPidFile) daemons=$(setting SlurmdPidFile)
  if runs "$controller" slurmctld; then
    mapfile -t jobs < <(timeout 5 squeue -h -o %A 2>/dev/null || true)
    [ ${#jobs[@]} = 0 ] || timeout 5 scancel "${jobs[@]}" || true
    wait_until 5 sh -c 'test -z "$(squeue -h)"' || true
  fi
  for pidfile in ${daemons/\%n/*}; do stop "$pidfile" slurmd; done
  stop "$controller" slurmctld
fi
stop "$munge_pid" munged
if grep -qF "$hosts_marker" /etc/hosts; then
  # (not by renaming: the file may be a mount)
  hosts=$(grep -vF "$hosts_marker" /etc/hosts || true)
  printf '%s\n' "$hosts" >/etc/hosts
fi
