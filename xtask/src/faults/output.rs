//! Ten gigabytes through pipes into files that rotate, while nothing is lost, doubled or cut, and memory stays what it was.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use nix::sys::statvfs::statvfs;
use testkit::Account;
use testkit::printed::{Printed, record, taken};

use super::Size;
use super::bed::{Bed, many};
use super::report::{NotRun, Report};
use super::watch::Watch;

const CHILDREN: usize = 8;
/// Of a line without its newline.
const WIDTH: usize = 249;
/// What memory may gain while all of it passes, in KiB.
const SLACK: u64 = 16 * 1024;
/// No more of it for this long means that something hangs.
const STUCK: Duration = Duration::from_secs(60);

pub(crate) fn run(size: &Size) -> Result<Report> {
    let lines: u64 = size.of(60_000, 5_000_000);
    let bytes = lines * (WIDTH as u64 + 1) * CHILDREN as u64;
    let space = statvfs(&std::env::temp_dir())?;
    let free = space.blocks_available() * space.fragment_size();
    if free < bytes + bytes / 5 {
        return Err(NotRun(format!(
            "needs {} MB of space in {}",
            bytes * 6 / 5_000_000,
            std::env::temp_dir().display()
        ))
        .into());
    }
    let keys = format!(
        "args: [width={WIDTH}, 'account={lines}:DIR', sleep], log: {{max_size: 16MiB, max_files: 1000}}"
    );
    let bed = Bed::start(&many(CHILDREN, &format!("{{command: PROBE, {keys}}}")))?;
    let watch = Watch::start(&bed)?;
    let begin = Instant::now();
    let (mut first, mut most, mut seen, mut since) = (0, 0, 0, Instant::now());
    loop {
        let exposition = bed.scrape()?;
        let accounts: Vec<Account> = Account::all(&exposition);
        let read: u64 = accounts.iter().map(|account| account.bytes).sum();
        let rss = bed.vitals()?.rss;
        if first == 0 && read > bytes / 10 {
            first = rss;
        }
        most = most.max(rss);
        if read == bytes && accounts.iter().all(Account::is_settled) {
            break;
        }
        if read > seen {
            (seen, since) = (read, Instant::now());
        }
        ensure!(since.elapsed() < STUCK, "{read} of {bytes} bytes were read, and then none for {STUCK:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let took = begin.elapsed();
    let calls = watch.end_within(Duration::from_secs(10))?;
    let exposition = bed.scrape()?;
    for number in 0..CHILDREN {
        let name = format!("p{number}");
        let file = Account::of(&exposition, &name).sink("file");
        ensure!((file.written, file.dropped, file.truncated) == (lines, 0, 0), "{name}: {file:?}");
        let printed = Printed::read(&bed.logs(), &name, WIDTH)?;
        let by_record = taken(&record(&bed.path(""), &name, 1)).unwrap_or_default();
        printed.check(1, by_record, Some(lines)).map_err(|wrong| anyhow!(wrong))?;
    }
    ensure!(most <= first.max(1) + SLACK || size.quick, "memory grew from {first} KiB to {most} KiB");
    bed.end()?;
    let rate = bytes as f64 / 1e6 / took.as_secs_f64();
    Ok(Report::load(format!("{:.2} GB from {CHILDREN} children, {rate:.0} MB/s", bytes as f64 / 1e9))
        .and(format!("{} lines printed, 0 lost, 0 twice", lines * CHILDREN as u64))
        .and(format!("RSS {first} KiB after a tenth, {most} KiB at most"))
        .and(calls.to_string()))
}
