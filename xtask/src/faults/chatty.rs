//! One child at full speed beside quiet ones: their lines come as soon as before, and all of them.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use testkit::Account;
use testkit::printed::{Printed, record, taken};

use super::Size;
use super::bed::{Bed, many};
use super::report::Report;
use super::watch::Watch;

const QUIET: usize = 10;
const WIDTH: usize = 59;
/// Longest time from a line that was printed to the same line in its file.
const SEEN: Duration = Duration::from_secs(5);

pub(crate) fn run(size: &Size) -> Result<Report> {
    let lasts = size.of(Duration::from_secs(4), Duration::from_secs(60));
    let lines = u64::try_from(lasts.as_millis())? / 20;
    let loud = "{command: PROBE, args: [width=200, same=100000000000], log: {max_size: 16MiB, max_files: 2}}";
    let one_each = "for i in $(seq 1 COUNT); do echo $(date +%s%N); sleep 0.02; done; sleep 100000"
        .replace("COUNT", &lines.to_string());
    let quiet = format!("{{command: /bin/sh, args: [-c, '{one_each}'], restart: never}}");
    let counted = format!(
        "  counted: {{command: PROBE, args: [width={WIDTH}, every=10ms, 'account={lines}:DIR', sleep]}}\n"
    );
    let bed = Bed::start(&(format!("  loud0: {loud}\n  loud1: {loud}\n") + &many(QUIET, &quiet) + &counted))?;
    let watch = Watch::start(&bed)?;
    let (begin, mut slowest, mut looks) = (Instant::now(), Duration::ZERO, 0);
    while begin.elapsed() < lasts {
        let name = format!("p{}", looks % QUIET);
        // The newest line says when it was printed; the file's time says when it came.
        let path = bed.logs().join(format!("{name}.log"));
        if let (Ok(text), Ok(meta)) = (std::fs::read_to_string(&path), std::fs::metadata(&path))
            && let Some(printed) = text.lines().last().and_then(|line| line.parse::<u64>().ok())
        {
            let came = meta.modified()?.duration_since(std::time::UNIX_EPOCH)?;
            slowest = slowest.max(came.saturating_sub(Duration::from_nanos(printed)));
        }
        looks += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    let calls = watch.end_within(Duration::from_secs(10))?;
    ensure!(slowest < SEEN, "a line of a quiet process took {slowest:?} to its file");
    let loud = Account::of(&bed.scrape()?, "loud0");
    ensure!(loud.bytes > 1_000_000, "the loud one was not loud: {loud:?}");
    bed.until("the quiet lines", || {
        let exposition = bed.scrape()?;
        Ok((0..QUIET).all(|n| Account::of(&exposition, &format!("p{n}")).sink("file").written == lines)
            && Account::of(&exposition, "counted").sink("file").written == lines)
    })?;
    let by_record = taken(&record(&bed.path(""), "counted", 1)).unwrap_or_default();
    let printed = Printed::read(&bed.logs(), "counted", WIDTH)?;
    printed.check(1, by_record, Some(lines)).map_err(|wrong| anyhow!(wrong))?;
    bed.stop_all()?;
    bed.end()?;
    let rate = loud.bytes as f64 / 1e6 / lasts.as_secs_f64();
    Ok(Report::load(format!(
        "2 children of {rate:.0} MB/s each beside {QUIET} quiet ones for {} s",
        lasts.as_secs()
    ))
    .and(format!(
        "{} quiet lines, 0 lost, at most {} ms from printing to the file",
        lines * (QUIET as u64 + 1),
        slowest.as_millis()
    ))
    .and(calls.to_string()))
}
