//! From kill -9 of a process to its next run. Of many at once: `contest crowd`, which has a floor that is fair to them.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;
use testkit::{Pid, eventually};

use crate::daemon;
use crate::table::{Table, percentile};

const ROUNDS: usize = 500;

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    let mut bare = bare()?;
    let daemon = daemon::idle();
    let definition = "{command: sleep 100000, restart: always, restart_sec: 0, start_limit_burst: 0}";
    daemon.write_config(&daemon::config(1, definition));
    daemon.signal(Signal::SIGHUP);
    daemon::await_children(&daemon, 1);
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| kill_one(daemon.pid())).collect();
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let what = format!("kill -9 to the next run, restart_sec 0, {name}");
        table.times(&what, percentile(&mut times, share), percentile(&mut bare, share));
    }
    Ok(())
}

/// Time until the only child has another pid.
pub(crate) fn kill_one(daemon: u32) -> Duration {
    let old = eventually("the only child", || daemon::children(daemon).first().copied());
    let old_pid = eventually("its entry in /proc", || Pid::of(old));
    let begin = Instant::now();
    old_pid.signal(Signal::SIGKILL);
    while !daemon::children(daemon).iter().any(|pid| *pid != old) {
        std::hint::spin_loop();
    }
    begin.elapsed()
}

/// The same without a supervisor: kill, wait, spawn.
fn bare() -> Result<Vec<Duration>> {
    let mut command = Command::new("/bin/sleep");
    command.arg("100000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        child.kill()?;
        child.wait()?;
        child = command.spawn()?;
        times.push(begin.elapsed());
    }
    child.kill()?;
    child.wait()?;
    Ok(times)
}
