//! journald doesn't read for a minute, under load; then its socket is gone, and comes back.
//!
//! The files get every line, no child waits, and every line is in the journal or counted as dropped, and a marker there
//! says so.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::Account;

use super::Size;
use super::bed::{Bed, many};
use super::journal::Journal;
use super::printed;
use super::report::Report;
use super::watch::Watch;

const CHILDREN: usize = 4;
const WIDTH: usize = 99;

pub(crate) fn run(size: &Size) -> Result<Report> {
    let stall = size.of(Duration::from_secs(3), Duration::from_secs(60));
    let away = size.of(Duration::from_secs(1), Duration::from_secs(10));
    // 64 KiB each 20 ms are 3 MB a second, or 33,000 lines; they last until after the last trouble.
    let lines = u64::try_from((stall + away + Duration::from_secs(4)).as_millis())? * 33;
    let journal = Journal::start()?;
    let keys = format!(
        "args: [width={WIDTH}, every=20ms, 'account={lines}:DIR', sleep], log: {{max_size: 64MiB, max_files: 1000}}"
    );
    let socket = journal.socket().display().to_string();
    let bed = Bed::with(&many(CHILDREN, &format!("{{command: PROBE, {keys}}}")), |b| {
        b.env("PM_JOURNAL_SOCKET", socket)
    })?;
    let watch = Watch::start(&bed)?;
    let begin = Instant::now();
    thread::sleep(Duration::from_secs(1));
    journal.stall()?;
    let before = read(&bed)?;
    thread::sleep(stall);
    let meanwhile = read(&bed)? - before;
    ensure!(meanwhile > 0, "nothing was read while the journal didn't read");
    ensure!(
        bed.scrape()?.lines().any(|l| l.starts_with("ddprocmgr_process_log_dropped_lines_total")
            && l.contains("journald")
            && !l.ends_with(" 0")),
        "the journal stood still, and nothing was dropped: that was no load"
    );
    journal.go_on()?;
    thread::sleep(Duration::from_secs(1));
    journal.leave()?;
    thread::sleep(away);
    journal.come_back()?;
    bed.until("the journal to be found", || {
        Ok(bed.scrape()?.contains("\nddprocmgr_journald_connected 1\n"))
    })?;
    let accounts = printed::all(&bed, &printed::names("p", CHILDREN), lines, WIDTH, &bed.logs())?;
    let took = begin.elapsed();
    let calls = watch.end_within(Duration::from_secs(10))?;
    bed.stop_all()?;
    bed.end()?;
    let got = journal.end()?;
    let (mut arrived, mut dropped) = (0, 0);
    for account in &accounts {
        let (name, said) = (&account.process, account.sink("journald"));
        let of = got.get(name).copied().unwrap_or_default();
        ensure!(
            of.lines == said.written,
            "{name}: {} lines came to the journal, {said:?} was counted",
            of.lines
        );
        ensure!(
            of.told == said.dropped,
            "{name}: markers speak of {} lines dropped, {said:?} was counted",
            of.told
        );
        (arrived, dropped) = (arrived + of.lines, dropped + of.told);
    }
    Ok(Report::load(format!(
        "{} lines from {CHILDREN} children in {:.0} s",
        lines * CHILDREN as u64,
        took.as_secs_f64()
    ))
    .and(format!(
        "{meanwhile} lines read in {} s without a reader, then {} s without a socket",
        stall.as_secs(),
        away.as_secs()
    ))
    .and("0 lost in the files".to_owned())
    .and(format!("journal: {arrived} arrived, {dropped} dropped, counted and told"))
    .and(calls.to_string()))
}

fn read(bed: &Bed) -> Result<u64> {
    Ok(Account::all(&bed.scrape()?).iter().map(|account| account.lines).sum())
}
