//! What a flood does to the daemon's memory: nothing, however much it is and whoever takes it slowly.

use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::{Account, TempDaemon, binary, eventually_within, patience};

use super::LINE;
use crate::Options;
use crate::idle::pss_kib;
use crate::scrape::Metrics;
use crate::table::Table;

/// Between two looks at the daemon's memory.
const APART: Duration = Duration::from_millis(100);
/// Without a line for so long something hangs.
const STUCK: Duration = Duration::from_secs(60);

pub(super) fn measure(table: &mut Table, options: &Options) -> Result<()> {
    table.head(&["flood", "GB", "s", "PSS before", "largest PSS meanwhile", "PSS after"]);
    flood(table, "into files, no journal", options.gigabytes, None)?;
    // Nobody ever reads it: all buffers are full all the time.
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("socket");
    let stalled = UnixDatagram::bind(&socket)?;
    flood(table, "into files, beside a journald that stalls", options.gigabytes.div_ceil(10), Some(&socket))?;
    drop(stalled);
    Ok(())
}

fn flood(table: &mut Table, what: &str, gigabytes: u64, journal: Option<&std::path::Path>) -> Result<()> {
    let lines = gigabytes * 1_000_000_000 / LINE;
    let program = binary("lines")?.display().to_string();
    let daemon = TempDaemon::builder()
        .env("RUST_LOG", "warn")
        .env("PM_JOURNAL_SOCKET", journal.map_or("off".to_owned(), |path| path.display().to_string()))
        .config(&format!(
            "processes:\n  p0: {{command: {program}, args: ['{lines}'], auto_start: false, restart: never, \
             log: {{max_size: 128MiB, max_files: 3}}}}\n"
        ))
        .start();
    let metrics = Metrics::of(&daemon);
    let account = || metrics.scrape().map(|exposition| Account::of(exposition.text(), "p0"));
    account()?;
    let before = pss_kib(daemon.pid())?;
    let mut largest = before;
    daemon.pm(&["start", "p0"]).success();
    let begin = Instant::now();
    let (mut last, mut since) = (0, begin);
    loop {
        largest = largest.max(pss_kib(daemon.pid())?);
        let read = account()?.lines;
        if read >= lines {
            break;
        }
        if read > last {
            (last, since) = (read, Instant::now());
        }
        ensure!(since.elapsed() < STUCK, "{read} of {lines} lines, and none since {STUCK:?}");
        thread::sleep(APART);
    }
    let seconds = begin.elapsed().as_secs_f64();
    let at_end = eventually_within(patience(), || account().ok().filter(Account::adds_up));
    let at_end = at_end.context("the accounts do not add up")?;
    ensure!(at_end.sink("file").written == lines, "{lines} lines were printed: {at_end:#?}");
    // What the last scrape and the end of the run needed is given back by then.
    thread::sleep(Duration::from_secs(2));
    let after = pss_kib(daemon.pid())?;
    let mb = |kib: f64| format!("{:.1} MB", kib / 1024.0);
    let cells =
        [what.to_owned(), gigabytes.to_string(), format!("{seconds:.1}"), mb(before), mb(largest), mb(after)];
    table.row(&cells);
    Ok(())
}
