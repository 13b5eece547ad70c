//! `pm-cli list`, the whole command, beside a program that does nothing.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::daemon;
use crate::table::{Table, percentile};

const PROCESSES: usize = 100;
const ROUNDS: usize = 100;

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    let daemon = daemon::idle();
    daemon.write_config(&daemon::config(PROCESSES, "{command: sleep 100000}"));
    daemon.signal(Signal::SIGHUP);
    daemon::await_children(&daemon, PROCESSES);
    let mut list = Vec::with_capacity(ROUNDS);
    let mut bare = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        daemon.pm(&["list"]).success();
        list.push(begin.elapsed());
        let begin = Instant::now();
        Command::new("/bin/true").stdin(Stdio::null()).output()?;
        bare.push(begin.elapsed());
    }
    let what = format!("pm-cli list of {PROCESSES} processes, beside /bin/true, p50");
    table.times(&what, percentile(&mut list, 0.5), percentile(&mut bare, 0.5));
    Ok(())
}
