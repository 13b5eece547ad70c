//! Starting many processes: from the reload of the file that defines them until the last one is there.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::daemon;
use crate::table::Table;

const COUNT: usize = 1000;

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    let begin = Instant::now();
    let mut children = (0..COUNT).map(|_| bare()).collect::<Result<Vec<Child>>>()?;
    let floor = begin.elapsed();
    for child in &mut children {
        child.kill()?;
        child.wait()?;
    }

    let daemon = daemon::idle();
    daemon.write_config(&daemon::config(COUNT, "{command: sleep 100000}"));
    let begin = Instant::now();
    daemon.signal(Signal::SIGHUP);
    daemon::await_children(&daemon, COUNT);
    table.times(&format!("{COUNT} processes started, definitions read"), begin.elapsed(), floor);
    Ok(())
}

/// posix_spawn(3), which has the semantics of vfork: it returns when the program was executed.
fn bare() -> Result<Child> {
    let mut command = Command::new("/bin/sleep");
    Ok(command.arg("100000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}
