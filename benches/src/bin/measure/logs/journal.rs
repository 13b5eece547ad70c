//! From a pipe to journald and a file at the same time, beside somebody who does nothing but send to journald.
//!
//! journald is the bottleneck: a child that prints faster than it takes entries must not wait, so that what is measured
//! is the rate at which entries arrive while more lines than that are offered.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::{Account, TempDaemon, binary, eventually_within, patience, run};

use super::private_journal::PrivateJournal;
use super::{median, spread};
use crate::Options;
use crate::scrape::{Metrics, STALE};
use crate::table::Table;

/// Lines a second of a child that is paced: more than a journald takes on a fast machine.
const OFFERED: u64 = 150_000;
/// What a rate is taken over.
const WINDOW: Duration = Duration::from_secs(5);

/// What the child offers.
#[derive(Clone, Copy, Debug)]
enum Offer {
    /// So many lines a second.
    Paced(u64),
    /// As many as are taken.
    Flood,
}

/// Lines a second.
struct Rates {
    read: f64,
    journaled: f64,
}

pub(super) fn measure(table: &mut Table, options: &Options) -> Result<()> {
    if let Err(error) = PrivateJournal::start() {
        table.line(&format!("left out: {error:#}"));
        return Ok(());
    }
    let (mut bare, mut paced, mut flooded) = (Vec::new(), Vec::new(), Vec::new());
    let (mut paced_read, mut flooded_read) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        bare.push(send()?);
        let rates = capture(Offer::Paced(OFFERED))?;
        paced.push(rates.journaled);
        paced_read.push(rates.read);
        let rates = capture(Offer::Flood)?;
        flooded.push(rates.journaled);
        flooded_read.push(rates.read);
    }
    table.raw("bare", "entries/s", &bare)?;
    table.raw("paced", "entries/s", &paced)?;
    table.raw("flooded", "entries/s", &flooded)?;
    table.raw("paced, taken from the child", "lines/s", &paced_read)?;
    table.raw("flooded, taken from the child", "lines/s", &flooded_read)?;
    bare.sort_unstable_by(f64::total_cmp);
    let floor = median(&bare);
    table.head(&["who", "entries/s that arrive", "× bare", "lines/s taken from the child"]);
    let rows = [
        ("bare sender, batching".to_owned(), bare, Vec::new()),
        (format!("dd-procmgrd, file too, {OFFERED} lines/s offered"), paced, paced_read),
        ("dd-procmgrd, file too, as many as it takes".to_owned(), flooded, flooded_read),
    ];
    for (who, mut journaled, mut read) in rows {
        let arrived = spread(&mut journaled, 0);
        let ratio = format!("{:.2}", median(&journaled) / floor);
        let read = if read.is_empty() { String::new() } else { spread(&mut read, 0) };
        table.row(&[who, arrived, ratio, read]);
    }
    table.line(&format!(
        "\n{} rounds of {} s; in each, the entries in the journal were counted: as many as were sent.",
        options.rounds,
        WINDOW.as_secs()
    ));
    Ok(())
}

/// Entries a second of the bare sender.
fn send() -> Result<f64> {
    let journal = PrivateJournal::start()?;
    let mut command = std::process::Command::new(binary("journal_sender")?);
    let done = run(command.arg(journal.socket()).arg(WINDOW.as_secs().to_string()))?;
    ensure!(done.code == 0, "{done}");
    let (sent, seconds) = done.stdout.trim().split_once(' ').context("two numbers")?;
    let arrived = journal.count("bare")?;
    ensure!(sent == arrived.to_string(), "the bare sender sent {sent} entries and {arrived} arrived");
    Ok(sent.parse::<f64>()? / seconds.parse::<f64>()?)
}

/// The daemon's rates while a child offers more than journald takes.
fn capture(offer: Offer) -> Result<Rates> {
    let journal = PrivateJournal::start()?;
    let per_second = match offer {
        Offer::Paced(rate) => rate,
        Offer::Flood => 0,
    };
    let lines = binary("lines")?.display().to_string();
    let daemon = TempDaemon::builder()
        .env("RUST_LOG", "warn")
        .env("PM_JOURNAL_SOCKET", journal.socket().display().to_string())
        .config(&format!(
            "processes:\n  p0: {{command: {lines}, args: ['{}', '{per_second}'], restart: never, \
             log: {{max_size: 128MiB, max_files: 2}}}}\n",
            u64::MAX
        ))
        .start();
    let metrics = Metrics::of(&daemon);
    let before = look(&metrics)?;
    thread::sleep(WINDOW);
    let after = look(&metrics)?;
    let seconds = after.0.duration_since(before.0).as_secs_f64();
    let journald = |account: &Account| account.sink("journald").written;
    let rates = Rates {
        read: (after.1.lines - before.1.lines) as f64 / seconds,
        journaled: (journald(&after.1) - journald(&before.1)) as f64 / seconds,
    };
    daemon.pm(&["stop", "p0"]).success();
    // The part of a line that the stop has cut off comes last, and may come after the first look.
    let mut last = None;
    let same = eventually_within(patience(), || {
        let arrived = journal.count("p0").ok()?;
        let (_, account) = look(&metrics).ok()?;
        last = Some((journald(&account), arrived));
        (account.is_settled() && journald(&account) == u64::try_from(arrived).ok()?).then_some(())
    });
    same.with_context(|| {
        format!("not every entry that the daemon sent has arrived: (sent, arrived) {last:?}")
    })?;
    Ok(rates)
}

/// The child's account, and when it was taken. A scrape may be answered with one that is a second old, and as old at the
/// end of the window as at its beginning.
fn look(metrics: &Metrics) -> Result<(Instant, Account)> {
    thread::sleep(STALE);
    let now = Instant::now();
    Ok((now, Account::of(metrics.scrape()?.text(), "p0")))
}
