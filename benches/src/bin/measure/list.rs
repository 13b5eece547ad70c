//! `pm-cli list`, the whole command, beside a program that does nothing; and `pm-cli start`, which waits until the process
//! is up.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;
use testkit::TempDaemon;

use crate::daemon;
use crate::table::{Table, percentile};

const SIZES: [usize; 2] = [100, 1_000];
const ROUNDS: usize = 100;

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    let daemon = daemon::idle();
    for processes in SIZES {
        let quick = "  quick: {command: sleep 100000, auto_start: false}\n";
        daemon.write_config(&(daemon::config(processes, "{command: sleep 100000}") + quick));
        daemon.signal(Signal::SIGHUP);
        daemon::await_children(&daemon, processes);
        list(table, &daemon, processes)?;
    }
    start(table, &daemon)
}

fn list(table: &mut Table, daemon: &TempDaemon, processes: usize) -> Result<()> {
    let mut list = Vec::with_capacity(ROUNDS);
    let mut bare = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        list.push(timed(|| drop(daemon.pm(&["list"]).success())));
        let mut command = Command::new("/bin/true");
        let begin = Instant::now();
        command.stdin(Stdio::null()).output()?;
        bare.push(begin.elapsed());
    }
    let what = format!("pm-cli list of {processes} processes, beside /bin/true, p50");
    table.times(&what, percentile(&mut list, 0.5), percentile(&mut bare, 0.5));
    Ok(())
}

/// The command less the same command when there is nothing to start: what the start itself takes.
fn start(table: &mut Table, daemon: &TempDaemon) -> Result<()> {
    let mut starts = Vec::with_capacity(ROUNDS);
    let mut nothing = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        starts.push(timed(|| drop(daemon.pm(&["start", "quick"]).success())));
        nothing.push(timed(|| drop(daemon.pm(&["start", "quick"]).success())));
        daemon.pm(&["stop", "quick"]).success();
    }
    let what = "pm-cli start, until it is up, beside one that is up, p50";
    table.times(what, percentile(&mut starts, 0.5), percentile(&mut nothing, 0.5));
    Ok(())
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}
