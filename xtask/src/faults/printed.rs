//! Whether everything that children have printed with the probe's step `account` is in their files, once each.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use testkit::printed::{Printed, record, taken};
use testkit::{Account, eventually_within};

use super::bed::Bed;

/// Nothing has moved for this long: something hangs.
const STUCK: Duration = Duration::from_secs(60);
/// Longest time in which everything may be still on its way, however slow the machine is.
const LONGEST: Duration = Duration::from_secs(1800);

/// Waits until each has printed so many lines and none of them waits for a sink, then looks for each in its files.
pub(crate) fn all(
    bed: &Bed,
    names: &[String],
    lines: u64,
    width: usize,
    logs: &Path,
) -> Result<Vec<Account>> {
    let (mut last, mut since) = (Vec::new(), Instant::now());
    let settled = eventually_within(LONGEST, || {
        let exposition = bed.scrape().ok()?;
        let now: Vec<Account> = names.iter().map(|name| Account::of(&exposition, name)).collect();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        let done = last.iter().all(|account| account.lines == lines && account.is_settled());
        (done || since.elapsed() > STUCK).then_some(done)
    });
    ensure!(settled == Some(true), "lines are on their way and don't move: {last:?}");
    for account in &last {
        let (name, file) = (&account.process, account.sink("file"));
        ensure!((file.written, file.dropped, file.truncated) == (lines, 0, 0), "{name}: {file:?}");
        let by_record = taken(&record(&bed.path(""), name, 1)).unwrap_or_default();
        Printed::read(logs, name, width)?.check(1, by_record, Some(lines)).map_err(|wrong| anyhow!(wrong))?;
    }
    Ok(last)
}

/// `p0`, `p1`, ...
pub(crate) fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}
