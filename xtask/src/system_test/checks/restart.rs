//! What an operator sees of a process that dies.

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;
use crate::system_test::{journal, prometheus};

pub(super) fn kill(bed: &Bed) -> Result<()> {
    let restarts = r#"ddprocmgr_process_restarts_total{process="chatty"}"#;
    prometheus::start(bed)?;
    let pid = bed.pid("chatty")?;
    let before = bed.process("chatty")?;
    // The series has to be there before the first restart: an alert on increase() is blind to one that is born later.
    let scraped = prometheus::wait(bed, restarts, |_| true)?;

    bed.sh(&format!("kill -9 {pid}"))?;
    let after = bed.wait("another pid in pm-cli list", || {
        let now = bed.process("chatty")?;
        Ok((now.pid.is_some() && now.pid != Some(pid) && now.state == "running").then_some(now))
    })?;
    ensure!(after.restarts == before.restarts + 1, "{} restarts, then {}", before.restarts, after.restarts);
    ensure!(after.id == before.id, "the id changed from {} to {}", before.id, after.id);

    let exited = journal::latest(bed, &format!("EVENT=exited PROCESS_ID={} PROCESS_PID={pid}", before.id))?;
    exited.expect("EXIT_CODE", "killed")?;
    exited.present("EXIT_STATUS")?;
    let scheduled = journal::latest(bed, &format!("EVENT=restart_scheduled PROCESS_ID={}", before.id))?;
    scheduled.expect("RESTART_COUNT", &after.restarts.to_string())?;
    scheduled.expect("RESTART_DELAY_USEC", "0")?;
    let new_pid = after.pid.unwrap_or_default();
    let line = journal::latest(
        bed,
        &format!("PROCESS_ID={} PROCESS_PID={new_pid} PROCESS_STREAM=stdout", before.id),
    )?;
    let (old, new) = (before.run.unwrap_or_default(), after.run.unwrap_or_default());
    ensure!(new == old + 1, "run {new} came after run {old}");
    line.expect("PROCESS_RUN", &new.to_string())?;

    prometheus::wait(bed, restarts, |value| value == scraped + 1.0)?;
    let alert = format!("sum(increase({restarts}[30s]))");
    prometheus::wait(bed, &alert, |value| value > 0.5).map(drop)
}
