# Run as root in the virtual machine, once it is up. Lines for the report begin with `@@`; each check is a function that says
# what is wrong and returns 1.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
unit=/sys/fs/cgroup/system.slice/dd-procmgrd.service
only=$(cat /payload/only)

say() { printf '@@ %s\n' "$*"; }

# wait_for WHAT COMMAND...: asks for a minute at most.
wait_for() {
    local what=$1 end=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS > end)); then
            echo "waited in vain for $what"
            return 1
        fi
        sleep 0.2
    done
}

check() {
    local name=$1 begin=$SECONDS said
    [[ $name == *"$only"* ]] || return
    if said=$("$name" 2>&1); then
        # What pm-cli says is for those that fail; a figure begins with `=`.
        said=$(sed -n 's/^= //p' <<<"$said")
        say "ok   $((SECONDS - begin)) s  $name${said:+: $said}"
    else
        say "FAIL $((SECONDS - begin)) s  $name"
        while IFS= read -r line; do say "     $line"; done <<<"$said"
        while IFS= read -r line; do say "     $line"; done < <(journalctl -b -u dd-procmgrd --no-pager -n 15 2>&1)
    fi
}

holds() { # TEXT PATTERN
    grep -qE -- "$2" <<<"$1" || { printf 'not %s in:\n%s\n' "$2" "$1"; return 1; }
}

pid_of() { pm-cli list --output json | tr -d '\n' | sed -E "s/.*\"name\": \"$1\"//" | grep -oE '"pid": [0-9]+' | head -1 | tr -dc 0-9; }
leaf_of() { sed -n 's/^0::/\/sys\/fs\/cgroup/p' "/proc/$(pid_of "$1")/cgroup"; }
state_is() { pm-cli describe "$1" | grep -qE "state: $2"; }
metrics() { exec 3<>/dev/tcp/127.0.0.1/9090 && printf 'GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n' >&3 && cat <&3; exec 3<&-; }

install_it() {
    install -m 755 /payload/daemon /usr/bin/dd-procmgrd
    install -m 755 /payload/cli /usr/bin/pm-cli
    mkdir -p /etc/dd-procmgrd
    echo 'processes: {steady: {command: sleep infinity}}' >/etc/dd-procmgrd/processes.yaml
    install -m 644 /payload/dd-procmgrd.service /etc/systemd/system/
    systemctl daemon-reload && systemctl start dd-procmgrd && pm-cli status >/dev/null
}

controllers_are_enabled_in_leaves() {
    holds "$(cat "$unit/processes/cgroup.subtree_control")" 'memory' || return 1
    holds "$(cat "$unit/processes/cgroup.subtree_control")" 'pids' || return 1
    # Time is shared as before until somebody asks for a share.
    ! grep -q cpu "$unit/processes/cgroup.subtree_control" || { echo 'cpu is enabled'; return 1; }
    local leaf=$(leaf_of steady)
    [[ $(cat "$leaf/memory.max") == max && $(cat "$leaf/memory.current") -gt 0 ]] || { echo "no memory in $leaf"; return 1; }
}

memory_max_kills_and_is_reported() {
    pm-cli create hog --memory-max 32M --memory-swap-max 0 --restart never -- tail /dev/zero || return 1
    pm-cli start hog
    wait_for 'the end of hog' state_is hog failed || return 1
    holds "$(pm-cli describe hog)" 'reason: killed by the kernel: out of memory \(memory_max 32M\)' || return 1
    holds "$(pm-cli why hog)" 'out of memory' || return 1
    holds "$(pm-cli list --output json)" '"oom": 1' || return 1
    holds "$(metrics)" 'ddprocmgr_process_exits_total\{process="hog",reason="oom"\} 1' || return 1
    holds "$(metrics)" 'ddprocmgr_process_oom_kills_total\{process="hog"\} 1' || return 1
    holds "$(journalctl -b --no-pager EVENT=exited PROCESS_NAME=hog)" 'was killed by the kernel after .*: out of memory'
}

a_descendant_that_is_killed_is_counted() {
    pm-cli create parent --memory-max 32M --memory-swap-max 0 -- bash -c 'tail /dev/zero; exec sleep infinity' || return 1
    pm-cli start parent || return 1
    local pid=$(pid_of parent)
    counted() { metrics | grep -q 'ddprocmgr_process_oom_kills_total{process="parent"} 1'; }
    wait_for 'the count' counted || return 1
    [[ $(pid_of parent) == "$pid" ]] || { echo 'it was restarted'; return 1; }
    holds "$(journalctl -b --no-pager EVENT=oom_killed PROCESS_NAME=parent)" 'lost a process: the kernel killed it' || return 1
    # The count outlives the daemon.
    systemctl restart dd-procmgrd && wait_for 'the daemon' pm-cli status || return 1
    wait_for 'the count after a restart of the daemon' eval "metrics | grep -qE 'oom_kills_total.process=\"parent\". [1-9]'"
    pm-cli delete parent
}

oom_group_kills_all_of_it() {
    pm-cli create group --memory-max 32M --memory-swap-max 0 --oom-group --restart never -- \
        bash -c 'sleep infinity & tail /dev/zero; exec sleep infinity' || return 1
    pm-cli start group
    wait_for 'the end of group' state_is group failed || return 1
    holds "$(pm-cli describe group)" 'killed by the kernel: out of memory' && pm-cli delete group
}

pids_max_stops_a_fork_bomb() {
    pm-cli create bomb --pids-max 15 --restart never --stop-timeout 1 -- bash -c 'f() { f | f & }; f; f; f; exec sleep infinity' || return 1
    pm-cli start bomb || return 1
    local leaf=$(leaf_of bomb)
    wait_for 'a refused fork' eval "grep -qE 'max [1-9]' '$leaf/pids.events'" || return 1
    (($(cat "$leaf/pids.current") <= 15)) || { echo "$(cat "$leaf/pids.current") processes"; return 1; }
    pm-cli delete bomb || return 1
    [[ ! -d $leaf ]] || { echo 'the leaf is still there'; return 1; }
}

used() { sed -n 's/^usage_usec //p' "$1/cpu.stat"; }

# Thousandths of a processor over some seconds.
measure() {
    local a=$(used "$1") from=$(cut -d' ' -f1 /proc/uptime | tr -d .)
    sleep 4
    local b=$(used "$1") to=$(cut -d' ' -f1 /proc/uptime | tr -d .)
    echo $(((b - a) / ((to - from) * 10)))
}

cpu_max_limits_and_changes_live() {
    pm-cli create busy --cpu-max 20% -- bash -c 'while :; do :; done' || return 1
    pm-cli start busy || return 1
    local pid=$(pid_of busy) leaf=$(leaf_of busy) slow fast
    [[ $(cat "$leaf/cpu.max") == '20000 100000' ]] || { cat "$leaf/cpu.max"; return 1; }
    slow=$(measure "$leaf")
    pm-cli update busy --cpu-max 80% --cpu-weight 50 --memory-max 64M --pids-max 9 >/dev/null || return 1
    wait_for 'the new limit' grep -q '80000 100000' "$leaf/cpu.max" || return 1
    wait_for 'the others' eval "[[ \$(cat $leaf/cpu.weight) == 50 && \$(cat $leaf/memory.max) == 67108864 && \$(cat $leaf/pids.max) == 9 ]]" || return 1
    fast=$(measure "$leaf")
    [[ $(pid_of busy) == "$pid" ]] || { echo 'it was restarted'; return 1; }
    pm-cli update busy --memory-max max --cpu-max max >/dev/null
    wait_for 'no limit' eval "[[ \$(cat $leaf/memory.max) == max && \$(cat $leaf/cpu.max) == 'max 100000' ]]" || return 1
    pm-cli delete busy
    echo "= 20% used $slow, 80% used $fast thousandths of a processor"
    ((slow > 120 && slow < 280 && fast > slow * 2))
}

metrics_have_data() {
    local all=$(metrics)
    holds "$all" 'ddprocmgr_process_cgroup_memory_bytes\{process="steady"\} [1-9]' || return 1
    holds "$all" 'ddprocmgr_process_cgroup_pressure_seconds_total\{process="steady",resource="memory"\} [0-9]' || return 1
    ! grep -q 'collector_success{[^}]*} 0' <<<"$all" || { grep 'collector_success' <<<"$all"; return 1; }
    pm-cli create roomy --memory-max 64M -- sleep infinity && pm-cli start roomy || return 1
    holds "$(metrics)" 'ddprocmgr_process_cgroup_memory_limit_bytes\{process="roomy"\} 67108864' && pm-cli delete roomy
}

isolation_as_another_user() {
    cat >/etc/dd-procmgrd/processes.d/web.yaml 2>/dev/null <<'END' || { mkdir -p /etc/dd-procmgrd/processes.d; return 1; }
processes:
  web:
    command: sleep infinity
    user: nobody
    nice: -5
    oom_score_adj: -500
    ambient_capabilities: CAP_NET_BIND_SERVICE
    no_new_privileges: true
    rlimits: {nofile: 77, memlock: unlimited}
    runtime_directory: web
END
    pm-cli reload-config >/dev/null && pm-cli start web >/dev/null || return 1
    local pid=$(pid_of web)
    holds "$(cat "/proc/$pid/status")" 'CapEff:.0000000000000400' || return 1
    holds "$(cat "/proc/$pid/status")" 'NoNewPrivs:.1' || return 1
    holds "$(cut -d' ' -f19 "/proc/$pid/stat") $(cat "/proc/$pid/oom_score_adj")" '^-5 -500$' || return 1
    holds "$(cat "/proc/$pid/limits")" 'Max open files +77 +77' || return 1
    holds "$(stat -c '%U %a' /run/dd-procmgrd/processes/web)" '^nobody 755$' || return 1
    pm-cli stop web >/dev/null
    rm /etc/dd-procmgrd/processes.d/web.yaml && pm-cli reload-config >/dev/null
    wait_for 'the removal of the directory' eval '[[ ! -e /run/dd-procmgrd/processes/web ]]'
}

# A daemon in a group by hand, with some of the controllers: systemd enables all of them wherever it delegates.
what_is_not_delegated_is_told() {
    local group=/sys/fs/cgroup/hand dir=/run/hand said
    mkdir -p $group $dir/state $dir/logs $dir/run && echo '+memory +pids' >$group/cgroup.subtree_control && mkdir -p $group/d || return 1
    echo 'processes: {share: {command: sleep infinity, resource_limits: {cpu_max: 50%, memory_max: 64M}}}' >$dir/p.yaml
    bash -c "echo \$\$ >$group/d/cgroup.procs && exec env PM_CGROUP_DELEGATED=1 PM_CONFIG_PATH=$dir/p.yaml STATE_DIRECTORY=$dir/state \
        LOGS_DIRECTORY=$dir/logs RUNTIME_DIRECTORY=$dir/run PM_BIND_ADDRESS=127.0.0.1:50052 METRICS_ENABLED=false dd-procmgrd" &
    hand() { pm-cli --socket $dir/run/control.sock "$@"; }
    degraded() { hand describe share | grep -q 'degraded: resource_limits.cpu_max is not in force: the cpu controller is not delegated'; }
    wait_for 'the problem to be shown' degraded || { hand describe share; return 1; }
    said=$(cat $group/d/processes/share.*/memory.max)
    [[ $said == 67108864 ]] || { echo "memory_max is not in force: $said"; return 1; }
    kill %1 && wait
}

the_hardened_unit_limits_as_well() {
    systemctl stop dd-procmgrd && install -m 644 /payload/dd-procmgrd-secure.service /etc/systemd/system/dd-procmgrd.service
    systemctl daemon-reload && systemctl start dd-procmgrd || return 1
    pm-cli create tight --memory-max 32M --memory-swap-max 0 --cpu-max 50% --pids-max 9 --user nobody --restart never \
        --runtime-directory tight --oom-score-adj -100 --rlimit memlock=unlimited -- sleep infinity || return 1
    pm-cli start tight || return 1
    local leaf=$(leaf_of tight)
    [[ $(cat "$leaf/memory.max" "$leaf/pids.max" | tr '\n' ' ') == '33554432 9 ' ]] || return 1
    holds "$(stat -c %U /run/dd-procmgrd/processes/tight)" nobody || return 1
    # It has no CAP_SYS_NICE.
    pm-cli create first --nice -5 --restart never -- sleep infinity || return 1
    ! pm-cli start first || { echo 'it was started'; return 1; }
    holds "$(pm-cli why first)" 'setting nice .*CAP_SYS_NICE|CAP_SYS_NICE'
}

say "$(uname -r), $(systemctl --version | head -1), up after $(cut -d' ' -f1 /proc/uptime) s"
mkdir -p /etc/dd-procmgrd/processes.d
if ! said=$(install_it 2>&1); then
    say "FAIL the installation: $said"
    journalctl -b -u dd-procmgrd --no-pager -n 20
    exit
fi
check what_is_not_delegated_is_told
check controllers_are_enabled_in_leaves
check memory_max_kills_and_is_reported
check a_descendant_that_is_killed_is_counted
check oom_group_kills_all_of_it
check pids_max_stops_a_fork_bomb
check cpu_max_limits_and_changes_live
check metrics_have_data
check isolation_as_another_user
check the_hardened_unit_limits_as_well
