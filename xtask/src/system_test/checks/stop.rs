//! The daemon's own end: asked for, by a restart, by a crash.

use anyhow::{Result, ensure};

use crate::system_test::bed::{Bed, UNIT_CGROUP};

pub(super) fn restart(bed: &Bed) -> Result<()> {
    bed.sh("pm-cli create keeper sleep 2222 --auto-start")?;
    let before = (bed.pid("keeper")?, bed.process("keeper")?.id);
    bed.sh("systemctl restart dd-procmgrd")?;
    let after = (bed.pid("keeper")?, bed.process("keeper")?.id);
    ensure!(!bed.is_alive(before.0)?, "the old run {} is alive beside the new one", before.0);
    ensure!(before.1 == after.1, "the id changed from {} to {}", before.1, after.1);
    ensure!(count(bed, "sleep 2222")? == 1, "more than one run");
    bed.sh("pm-cli delete keeper")?;
    bed.sh("systemctl restart dd-procmgrd")?;
    ensure!(!bed.list()?.iter().any(|p| p.name == "keeper"), "deleted, and back after a restart");
    Ok(())
}

pub(super) fn crash(bed: &Bed) -> Result<()> {
    let old = bed.pid("chatty")?;
    bed.sh("systemctl kill --kill-whom=main --signal=KILL dd-procmgrd")?;
    bed.wait("the daemon to be back", || {
        let back = bed.try_sh("systemctl is-active --quiet dd-procmgrd && pm-cli list --output json")?;
        Ok((back.code == 0).then_some(()))
    })?;
    let new = bed.pid("chatty")?;
    ensure!(new != old && !bed.is_alive(old)?, "the run of before the crash goes on: {old}");
    ensure!(count(bed, "sleep infinity")? == 1, "more than one run of steady");
    Ok(())
}

/// Processes with exactly this command line.
fn count(bed: &Bed, command: &str) -> Result<usize> {
    Ok(bed.try_sh(&format!("pgrep --full --exact '{command}'"))?.stdout.lines().count())
}

pub(super) fn stop(bed: &Bed) -> Result<()> {
    bed.sh("pm-cli create escapee sh -c 'setsid --fork sleep 4321; exec sleep infinity' --auto-start")?;
    bed.wait("the runaway", || Ok((count(bed, "sleep 4321")? == 1).then_some(())))?;
    let inside = format!("find {UNIT_CGROUP} -name cgroup.procs -exec cat {{}} +");
    let pids: Vec<u32> = bed.sh(&inside)?.lines().filter_map(|l| l.parse().ok()).collect();
    ensure!(pids.len() >= 5, "the daemon, chatty, steady, escapee and its runaway are more than {pids:?}");

    let since = bed.sh("date '+@%s.%N'")?;
    bed.sh("systemctl stop dd-procmgrd")?;
    for pid in pids {
        ensure!(!bed.is_alive(pid)?, "{pid} is alive");
    }
    ensure!(bed.try_sh(&format!("test -e {UNIT_CGROUP}"))?.code == 1, "the unit's cgroup is still there");
    ensure!(bed.try_sh("test -e /run/dd-procmgrd")?.code == 1, "/run/dd-procmgrd is still there");
    let shown = bed.sh("systemctl show dd-procmgrd --property=ActiveState,Result")?;
    for line in ["ActiveState=inactive", "Result=success"] {
        ensure!(shown.lines().any(|l| l == line), "no {line} in:\n{shown}");
    }
    let unreachable = bed.try_sh("timeout 10 pm-cli list")?;
    ensure!(unreachable.code == 5, "pm-cli without a daemon ends with 5, not: {unreachable}");
    let read = format!("journalctl --quiet --output=cat --identifier=systemd --since '{}'", since.trim());
    let said = bed.sh(&read)?;
    ensure!(!said.contains("Killing process"), "systemd had to kill what the daemon left:\n{said}");
    Ok(())
}
