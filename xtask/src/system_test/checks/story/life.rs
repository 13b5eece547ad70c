//! The daemon's own life: enabled or not, frozen, stopped, and over a reboot.

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;

pub(super) fn enabling(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    let systemctl = variant.systemctl;
    for (verb, state) in [("disable", "disabled\n"), ("enable", "enabled\n")] {
        variant.sh(bed, &format!("{systemctl} {verb} --quiet dd-procmgrd"))?;
        let said = variant.try_sh(bed, &format!("{systemctl} is-enabled dd-procmgrd"))?;
        ensure!(said.stdout == state, "after {verb}: {said}");
    }
    // The same words for a process; `disable` does not stop it.
    let pid = variant.pid(bed, "lab")?;
    for (verb, code) in [("disable", 1), ("enable", 0)] {
        variant.sh(bed, &format!("pm-cli {verb} lab"))?;
        let said = variant.try_sh(bed, "pm-cli is-enabled lab")?;
        ensure!(said.code == code, "after {verb}: {said}");
    }
    ensure!(variant.pid(bed, "lab")? == pid, "it was restarted");
    variant.sh(bed, "pm-cli create made sleep 6666 && pm-cli enable made").map(drop)
}

pub(super) fn frozen(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    let (dir, systemctl) = (variant.drop_ins, variant.systemctl);
    variant.sh(bed, &format!("mkdir -p {dir}"))?;
    bed.write(&format!("{dir}/watchdog.conf"), "[Service]\nWatchdogSec=5\nTimeoutAbortSec=1")?;
    variant.sh(bed, &format!("{systemctl} daemon-reload && {systemctl} restart dd-procmgrd"))?;
    let (daemon, lab) = (variant.daemon(bed)?, variant.pid(bed, "lab")?);
    bed.sh(&format!("kill -STOP {daemon}"))?;
    bed.wait("systemd to end it and start another one", || {
        let now = variant.daemon(bed)?;
        let is_active = variant.try_sh(bed, &format!("{systemctl} is-active --quiet dd-procmgrd"))?.code == 0;
        Ok((now != daemon && now != 0 && is_active).then_some(()))
    })?;
    variant.next_pid(bed, "lab", lab)?;
    ensure!(!bed.is_alive(lab)?, "two of one process");
    let said = variant.sh(bed, &format!("{} --output=cat", variant.journalctl))?;
    ensure!(said.contains("Watchdog timeout (limit 5s)"), "{said}");
    variant
        .sh(bed, &format!("rm -r {dir} && {systemctl} daemon-reload && {systemctl} restart dd-procmgrd"))
        .map(drop)
}

pub(super) fn stop(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    let runaway = "setsid --fork sleep 4321; exec sleep infinity";
    variant.sh(bed, &format!("pm-cli create escapee sh -c '{runaway}' --auto-start"))?;
    bed.wait("the runaway", || Ok((bed.try_sh("pgrep -xf 'sleep 4321'")?.code == 0).then_some(())))?;
    let cgroup = variant.unit_cgroup;
    let inside = bed.sh(&format!("find {cgroup} -name cgroup.procs -exec cat {{}} +"))?;
    let pids: Vec<u32> = inside.lines().filter_map(|line| line.parse().ok()).collect();
    ensure!(pids.len() >= 4, "the daemon, lab, escapee and its runaway are more than {pids:?}");
    variant.sh(bed, &format!("{} stop dd-procmgrd", variant.systemctl))?;
    for pid in pids {
        ensure!(!bed.is_alive(pid)?, "{pid} is alive");
    }
    for path in [cgroup, variant.runtime] {
        ensure!(bed.try_sh(&format!("test -e {path}"))?.code == 1, "{path} is still there");
    }
    let said = variant.sh(bed, &format!("{} -n 30 --output=cat", variant.journalctl))?;
    ensure!(!said.contains("Killing process"), "systemd had to kill what the daemon left:\n{said}");
    let result =
        variant.sh(bed, &format!("{} show --value --property=Result dd-procmgrd", variant.systemctl))?;
    ensure!(result.trim() == "success", "it ended with {result}:\n{said}");
    let unreachable = variant.try_sh(bed, "pm-cli list")?;
    ensure!(unreachable.code == 5, "{unreachable}");
    variant.sh(bed, &format!("{} start dd-procmgrd && pm-cli delete escapee", variant.systemctl)).map(drop)
}

pub(super) fn reboot(bed: &Bed) -> Result<()> {
    let variant = bed.variant()?;
    variant.sh(bed, "pm-cli start spare && pm-cli stop made")?;
    let before = variant.process(bed, "lab")?;
    bed.reboot()?;
    bed.wait("the daemon", || Ok((variant.try_sh(bed, "pm-cli list")?.code == 0).then_some(())))?;
    for name in ["lab", "made"] {
        variant.pid(bed, name)?;
    }
    let spare = variant.process(bed, "spare")?;
    ensure!(spare.state == "stopped", "it was started by hand, and is {} after the reboot", spare.state);
    let after = variant.process(bed, "lab")?;
    ensure!(before.id == after.id && after.run > before.run, "{before:?}, then {after:?}");
    let shown = variant.sh(bed, "pm-cli cat lab")?;
    ensure!(shown.contains("restart_sec: 2"), "the override is gone:\n{shown}");
    // A unit that is disabled stays off.
    variant.sh(bed, &format!("{} disable --quiet dd-procmgrd", variant.systemctl))?;
    bed.reboot()?;
    let left = bed.try_sh("pgrep dd-procmgrd")?;
    ensure!(left.code == 1, "disabled, and it runs: {left}");
    Ok(())
}
