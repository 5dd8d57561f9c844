#!/usr/bin/env bash
# A real SLURM of one node, with everything that it needs and writes in FOLDER:
#   eval "$(tests/cluster/slurm.sh start FOLDER)"   starts munged, slurmctld and slurmd, and prints the line that points clients at them
#   tests/cluster/slurm.sh stop FOLDER              ends its jobs and the three daemons
# It needs root, and slurmctld, slurmd, munged and the clients (Debian: slurm-wlm); where it cannot start, it says why and exits with 77.
# Partitions: "low", whose jobs are requeued when one of "high" needs their place, 10 s or more
# after the signal that they asked for, or else SIGTERM, which their tasks get; and "high".
# CPUS is how many processors the node claims, whatever the machine has (default: 4).
set -euo pipefail

skip() {
    echo "no SLURM here: $*" >&2
    exit 77
}

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000)) # below the ports that Linux hands out
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

wait_for() { # SECONDS COMMAND...
    local tries=$(($1 * 5))
    shift
    until "$@" >/dev/null 2>&1; do
        ((tries--)) || return 1
        sleep 0.2
    done
}

write_config() {
    local host controller node
    host=$(hostname -s)
    controller=$(free_port)
    until node=$(free_port) && [[ $node != "$controller" ]]; do :; done
    cat >"$folder/slurm.conf" <<CONF
ClusterName=vidfer
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller
SlurmdPort=$node
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
CredType=cred/munge
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=100000,batch_sched_delay=0
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
KillWait=5
MinJobAge=3600
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=4000 State=UNKNOWN
PartitionName=low Nodes=$host Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=10 State=UP
PartitionName=high Nodes=$host PriorityTier=10 PreemptMode=OFF State=UP
CONF
    cat >"$folder/cgroup.conf" <<'CONF'
CgroupAutomount=no
ConstrainCores=no
ConstrainRAMSpace=no
CONF
}

start() {
    local program
    for program in munged slurmctld slurmd sbatch srun squeue scontrol scancel; do
        command -v "$program" >/dev/null || skip "$program is not installed (Debian: slurm-wlm)"
    done
    ((EUID == 0)) || skip "slurmd starts jobs as root only"
    mkdir -p "$folder"
    [[ -e $folder/slurm.conf ]] && skip "$folder holds one already"
    mkdir -m 700 "$folder/state" "$folder/spool"
    (umask 077 && head -c 128 /dev/urandom >"$folder/munge.key")
    munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
        --log-file "$folder/munged.log" --seed-file "$folder/munge.seed" 2>"$folder/munged.err" ||
        skip "munged: $(tail -1 "$folder/munged.err")"
    export SLURM_CONF=$folder/slurm.conf
    for _ in 1 2 3; do # another one may take a port between its choice and its use
        write_config
        { slurmctld -c && slurmd -c; } >"$folder/daemons.err" 2>&1 </dev/null || true
        wait_for 10 sinfo --noheader --states=idle --format=%n && [[ $(sinfo --noheader --states=idle --format=%n) ]] &&
            wait_for 1 answers && echo "export SLURM_CONF=$SLURM_CONF" && return
        end slurmd
        end slurmctld
    done
    local why
    why=$(cat "$folder"/{daemons.err,slurmctld.log,slurmd.log} 2>/dev/null | grep -E 'error|fatal' | tail -1 || true)
    stop
    skip "its daemons do not start: ${why:-nothing in $folder says why}"
}

answers() {
    scontrol ping | grep -q UP
}

end() { # NAME: ends the daemon of this folder
    local pid file=$folder/$1.pid
    [[ -s $file ]] || return 0
    pid=$(<"$file")
    grep -q "^$1" "/proc/$pid/cmdline" 2>/dev/null || return 0 # its number may be another's by now
    kill "$pid"
    wait_for 10 gone "$pid" || kill -9 "$pid" 2>/dev/null || true
}

gone() { # a zombie that nobody waits for has no command line either
    [[ -z $(tr -d '\0' <"/proc/$1/cmdline" 2>/dev/null) ]]
}

idle() {
    [[ -z $(squeue --noheader --states=RUNNING,COMPLETING,SUSPENDED) ]]
}

stop() {
    export SLURM_CONF=$folder/slurm.conf
    if [[ -s $folder/slurmctld.pid ]] && timeout 10 scontrol ping 2>/dev/null | grep -q UP; then
        timeout 10 scancel --full --signal=KILL --state=RUNNING --user=root || true
        timeout 10 scancel --user=root || true
        wait_for 10 idle || true
    fi
    end slurmd
    end slurmctld
    end munged
}

[[ $# == 2 && ($1 == start || $1 == stop) ]] || {
    echo "usage: $0 start|stop FOLDER" >&2
    exit 2
}
folder=$(realpath -m "$2")
cpus=${CPUS:-4}
"$1"
