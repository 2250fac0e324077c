# Where the laboratory's Slurm keeps its things; slurm-up.sh and slurm-down.sh source it.

export SLURM_CONF=/etc/slurm/slurm.conf PATH=/usr/sbin:/sbin:$PATH
conf=$SLURM_CONF gres=/etc/slurm/gres.conf
spool=/var/spool/lumienv-lab pids=/run/lumienv-lab logs=/var/log/slurm
munge_pid=/run/munge/lumienv-lab.pid
marker="# written by lumienv's tests/lab/slurm-up.sh"
hosts_marker="# by lumienv's tests/lab/slurm-up.sh"

is_ours() { grep -qE '^# written by .*slurm-up\.sh$' "$conf" 2>/dev/null; }

# A pid file may outlive its process and the number be another's by now: the name must fit too.
runs() { # PIDFILE PROGRAM
  [ -s "$1" ] && [ "$(cat "/proc/$(cat "$1")/comm" 2>/dev/null)" = "$2" ]
}

wait_until() { # SECONDS COMMAND…
  local tries=$(($1 * 10))
  shift
  while ! "$@" >/dev/null 2>&1; do
    ((tries-- > 0)) || return 1
    sleep 0.1
  done
}
