//! What the daemon needs when a thousand children print a line a second each.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::{Account, TempDaemon, binary};

use super::private_journal::PrivateJournal;
use crate::Options;
use crate::daemon;
use crate::scrape::{Metrics, STALE};
use crate::table::Table;

const CHILDREN: usize = 1000;
const WATCHED: Duration = Duration::from_secs(20);

pub(super) fn measure(table: &mut Table, _: &Options) -> Result<()> {
    table.head(&["sinks", "lines/s", "processor time of the daemon", "per line"]);
    trickle(table, "files", "off")?;
    match PrivateJournal::start() {
        Ok(journal) => trickle(table, "files and journald", &journal.socket().display().to_string())?,
        Err(error) => table.line(&format!("files and journald: left out: {error:#}")),
    }
    Ok(())
}

fn trickle(table: &mut Table, sinks: &str, journal: &str) -> Result<()> {
    let program = binary("lines")?.display().to_string();
    let definition = format!("{{command: {program}, args: ['{}', '1'], restart: never}}", u64::MAX);
    let daemon = TempDaemon::builder()
        .env("RUST_LOG", "warn")
        .env("PM_JOURNAL_SOCKET", journal)
        .config(&daemon::config(CHILDREN, &definition))
        .start();
    daemon::await_children(&daemon, CHILDREN);
    let metrics = Metrics::of(&daemon);
    // A scrape may be answered with one that is a second old: so old are both.
    let lines = || -> Result<(Instant, u64)> {
        thread::sleep(STALE);
        let now = Instant::now();
        let accounts = Account::all(metrics.scrape()?.text());
        Ok((now, accounts.iter().map(|account| account.lines).sum()))
    };
    let before = lines()?;
    let cpu = cpu(daemon.pid())?;
    thread::sleep(WATCHED);
    let cpu = (self::cpu(daemon.pid())? - cpu).as_secs_f64();
    let after = lines()?;
    ensure!(after.1 > before.1, "nobody has printed anything");
    let rate = (after.1 - before.1) as f64 / after.0.duration_since(before.0).as_secs_f64();
    let share = format!("{:.1} % of one processor", 100.0 * cpu / WATCHED.as_secs_f64());
    let per_line = format!("{:.0} µs", cpu / (rate * WATCHED.as_secs_f64()) * 1e6);
    table.row(&[sinks.to_owned(), format!("{rate:.0}"), share, per_line]);
    Ok(())
}

/// User and system time of a process, all threads.
fn cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(") ").context("no command")?.1.split(' ').collect();
    let ticks = |n: usize| -> Result<u64> { Ok(fields.get(n).context("a short stat")?.parse()?) };
    // Fields 14 and 15 of proc(5), of which the first two are cut off; in hundredths of a second, on every Linux.
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}
