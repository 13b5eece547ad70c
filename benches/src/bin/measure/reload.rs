//! What a preview and a reload cost, the whole command, when one of many definitions changed. The longest turn of the
//! supervisor is that since the daemon started: the first one is the load of all definitions.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::TempDaemon;

use crate::Options;
use crate::daemon;
use crate::home::{Containment, Home};
use crate::scrape::{Metrics, STALE};
use crate::table::{Table, percentile, text};

const ROUNDS: usize = 15;
const COMMANDS: [[&str; 1]; 2] = [["plan"], ["reload-config"]];

pub(crate) fn measure(table: &mut Table, options: &Options) -> Result<()> {
    let title = "reload, the whole command";
    table.title(title);
    table.head(&["definitions", "of which run", "command", "changed", "p50", "max", "longest turn so far"]);
    for (count, running) in [(100, 100), (1000, 0), (1000, 1000), (10_000, 0)] {
        if options.leaves_out(&format!("{title}, {count}")) {
            continue;
        }
        let home = Home::start(Containment::Subreaper, "error")?;
        let metrics = Metrics::of(&home);
        home.write_config(&config(count, running, 0));
        home.pm(&["reload-config"]).success();
        daemon::await_children(&home, running);
        let pids = pids(&home);
        let mut version = 0;
        for command in COMMANDS {
            for changed in [0, 1] {
                let mut times = Vec::with_capacity(ROUNDS);
                for _ in 0..ROUNDS {
                    version += changed;
                    home.write_config(&config(count, running, version));
                    times.push(once(&home, &command, changed)?);
                }
                let rest = [percentile(&mut times, 0.5), percentile(&mut times, 1.0)].map(text);
                std::thread::sleep(STALE);
                let turn = text(metrics.scrape()?.longest_turn());
                let first = [count, running].map(|n| n.to_string());
                let second = [command.join(" "), changed.to_string()];
                table.row(&first.into_iter().chain(second).chain(rest).chain([turn]).collect::<Vec<_>>());
                if command == ["plan"] && changed == 1 {
                    // So that the next command finds nothing changed.
                    home.pm(&["reload-config"]).success();
                }
            }
        }
        ensure!(self::pids(&home) == pids, "a reload restarted something");
    }
    Ok(())
}

/// `running` of them are up; the first one's description says the version.
fn config(count: usize, running: usize, version: usize) -> String {
    let define = |n: usize| {
        let changes = if n == 0 { format!(", description: version {version}") } else { String::new() };
        let up = n < running;
        format!("  p{n}: {{command: sleep 100000, auto_start: {up}, restart_sec: 5{changes}}}\n")
    };
    (0..count).fold("processes:\n".to_owned(), |all, n| all + &define(n))
}

fn once(daemon: &TempDaemon, command: &[&str], changed: usize) -> Result<Duration> {
    let begin = Instant::now();
    let done = daemon.pm(command);
    let took = begin.elapsed();
    let told = done.success().lines().filter(|line| line.contains("p0")).count();
    ensure!(told == changed, "{command:?} told of {told} changes, not of {changed}");
    Ok(took)
}

fn pids(daemon: &TempDaemon) -> Vec<u32> {
    let mut pids = daemon::children(daemon.pid());
    pids.sort_unstable();
    pids
}
