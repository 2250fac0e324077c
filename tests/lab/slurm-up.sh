#!/bin/bash
# Start a Slurm cluster on this one machine (Debian's slurm-wlm): two virtual LUMI-G nodes with
# 56 CPUs, 480 GB and 8 GPUs each, none of which need exist. Does nothing if it runs already.
# Usage: slurm-up.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
. "$here/slurm.sh"
need_root
apt_install slurm-wlm munge

nodes=(nid005001 nid005002)
wanted=$(mktemp -d)
trap 'rm -rf "$wanted"' EXIT
cat >"$wanted/slurm.conf" <<EOF
$marker
ClusterName=lumilab
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$spool/slurmctld
SlurmdSpoolDir=$spool/%n
SlurmctldPidFile=$pids/slurmctld.pid
SlurmdPidFile=$pids/slurmd.%n.pid
SlurmctldLogFile=$logs/slurmctld.log
SlurmdLogFile=$logs/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
PropagateResourceLimits=NONE
ReturnToService=2
MpiDefault=none
KillWait=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=nid[005001-005002] NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=[6917-6918] CPUs=56 RealMemory=491520 Gres=gpu:mi250:8 State=UNKNOWN
PartitionName=small      Nodes=ALL Default=YES DefMemPerCPU=1000 MaxTime=3-00:00:00 State=UP
PartitionName=debug      Nodes=ALL DefMemPerCPU=1000 MaxTime=00:30:00 State=UP
PartitionName=standard-g Nodes=ALL DefMemPerCPU=1000 MaxTime=2-00:00:00 State=UP OverSubscribe=EXCLUSIVE
PartitionName=small-g    Nodes=ALL DefMemPerCPU=1000 MaxTime=3-00:00:00 State=UP
PartitionName=dev-g      Nodes=ALL DefMemPerCPU=1000 MaxTime=03:00:00 State=UP
EOF
# Slurm sets ROCR_VISIBLE_DEVICES only for GPUs that are device files; copies of /dev/null will do.
# Where they cannot be made, plain files still give --gpus-per-node and SLURM_GPUS_ON_NODE.
echo "NodeName=nid[005001-005002] Name=gpu Type=mi250 File=$spool/gpu/gpu[0-7] Flags=amd_gpu_env" >"$wanted/gres.conf"
mkdir -p "$spool"/{gpu,slurmctld,nid005001,nid005002} "$logs" "$pids"
# Every node of LUMI's has this one, and jobs bind it (lumienv/site/lumi.toml).
mkdir -p /var/spool/slurmd
for gpu in "$spool"/gpu/gpu{0..7}; do
  [ -c "$gpu" ] || { rm -f "$gpu"; mknod -m 666 "$gpu" c 1 3 2>/dev/null || : >"$gpu"; }
done

if ! cmp -s "$wanted/slurm.conf" "$conf" || ! cmp -s "$wanted/gres.conf" "$gres"; then
  if [ -e "$conf" ] && ! is_ours; then
    ! timeout 5 sinfo -h >/dev/null 2>&1 || die "another Slurm runs here with $conf: it is left alone"
    cp -a "$conf" "$conf.before-lumienv-lab"
  fi
  "$here/slurm-down.sh"
  rm -rf "$spool"/slurmctld/*
  install -D -m 644 "$wanted/slurm.conf" "$conf"
  install -D -m 644 "$wanted/gres.conf" "$gres"
fi

# Programs of a job meet at a node's name.
for node in "${nodes[@]}"; do
  getent hosts "$node" >/dev/null || echo "127.0.0.1 $node $hosts_marker" >>/etc/hosts ||
    say "/etc/hosts cannot be written: programs will not find the node $node"
done

# After slurm-down.sh, which stops the munged of an earlier start.
if ! munge -n 2>/dev/null | unmunge >/dev/null 2>&1; then
  [ -s /etc/munge/munge.key ] || head -c 1024 /dev/urandom >/etc/munge/munge.key
  chown -R munge: /etc/munge /var/log/munge /var/lib/munge
  chmod 400 /etc/munge/munge.key
  chmod 711 /var/lib/munge
  install -d -o munge -g munge -m 755 /run/munge
  setpriv --reuid munge --regid munge --clear-groups munged --pid-file="$munge_pid"
  wait_until 10 sh -c 'munge -n | unmunge' || die "munged does not answer"
fi

start() { # PROGRAM PIDFILE LOG [ARGUMENT…]
  local program=$1 pidfile=$2 log=$3
  shift 3
  ! runs "$pidfile" "$program" || return 0
  "$program" -f "$conf" "$@" || { tail -n 5 "$log" >&2; die "$program does not start"; }
}
start slurmctld "$pids/slurmctld.pid" "$logs/slurmctld.log"
for node in "${nodes[@]}"; do start slurmd "$pids/slurmd.$node.pid" "$logs/slurmd.$node.log" -N "$node"; done

nodes_up() { [ "$(sinfo -h -N -p small -t idle,mixed,alloc,completing -o %N | sort -u | wc -l)" = ${#nodes[@]} ]; }
# A node that was drained or went down in an earlier life stays so until told otherwise.
resume() { scontrol update nodename="${nodes[0]},${nodes[1]}" state=resume 2>/dev/null || true; }
wait_until 5 nodes_up || { resume; wait_until 20 nodes_up; } || { sinfo -N -o '%N %t %E' >&2; die "Slurm's nodes do not come up"; }
say "Slurm runs: $(sinfo -h -p small -o '%D nodes %N, %c CPUs, %G')"
