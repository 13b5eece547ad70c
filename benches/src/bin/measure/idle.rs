//! What the daemon costs when nothing happens: memory, and how often it wakes up.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use crate::daemon;
use crate::table::Table;

const WATCHED: Duration = Duration::from_secs(5);

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    let daemon = daemon::idle();
    let empty = pss_kib(daemon.pid())?;
    table.number("memory (PSS), no process", &format!("{:.1} MB", empty / 1024.0));
    for count in [100, 300] {
        daemon.write_config(&daemon::config(count, "{command: sleep 100000}"));
        daemon.signal(Signal::SIGHUP);
        daemon::await_children(&daemon, count);
        // What the start itself needs is freed and written by then.
        thread::sleep(Duration::from_secs(2));
        let full = pss_kib(daemon.pid())?;
        table.number(&format!("memory (PSS), {count} processes"), &format!("{:.1} MB", full / 1024.0));
    }
    let before = switches(daemon.pid())?;
    thread::sleep(WATCHED);
    let wakeups = switches(daemon.pid())? - before;
    table.number(&format!("wake-ups of all threads in {WATCHED:?}, 300 processes"), &wakeups.to_string());
    Ok(())
}

/// Proportional set size.
pub(crate) fn pss_kib(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|l| l.strip_prefix("Pss:")).context("no Pss: in smaps_rollup")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Voluntary context switches of all threads: each is a sleep that ended.
fn switches(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("status"))?;
        let line = text.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
        sum += line.context("no voluntary_ctxt_switches")?.trim().parse::<u64>()?;
    }
    Ok(sum)
}
