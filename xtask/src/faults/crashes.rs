//! Children that print a line and crash, over and over, with nothing between a crash and the restart.
//!
//! The line is the number of the run, so the files say how many runs there were, and in which order they were: the
//! counters have to say the same.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use testkit::{Account, printed};

use super::Size;
use super::bed::{Bed, PATIENCE, counter, many, sum};
use super::report::Report;
use super::watch::Watch;

const CHILDREN: usize = 16;
/// What may be gained from the first fifth to the end, in KiB: one small block for each of 100,000 restarts were 1,600.
const SLACK: u64 = 1024;

pub(crate) fn run(size: &Size) -> Result<Report> {
    let wanted: u64 = size.of(3_000, 100_000);
    let crash = "{command: /bin/sh, args: [-c, 'echo $PROCESS_RUN; echo $PROCESS_RUN >> DIR/$PROCESS_NAME; exit 3'], log: {max_size: 1GiB}}";
    let bed = Bed::start(&many(CHILDREN, crash))?;
    // At rest, with every file open that stays open.
    until(&bed, 100)?;
    bed.stop_all()?;
    let idle = bed.vitals()?;
    let names: Vec<String> = (0..CHILDREN).map(|n| format!("p{n}")).collect();
    bed.pm(&["start", "--no-wait"].into_iter().chain(names.iter().map(String::as_str)).collect::<Vec<_>>());
    let watch = Watch::start(&bed)?;
    let begin = Instant::now();
    until(&bed, wanted / 5)?;
    let warm = bed.vitals()?;
    until(&bed, wanted)?;
    let took = begin.elapsed();
    let end = bed.vitals()?;
    let calls = watch.end_within(Duration::from_secs(10))?;
    bed.stop_all()?;
    let (mut runs, mut restarts) = (0, 0);
    let exposition = settled(&bed)?;
    for number in 0..CHILDREN {
        let name = format!("p{number}");
        let text = std::fs::read_to_string(bed.logs().join(format!("{name}.log")))?;
        let starts = counter(&exposition, "ddprocmgr_process_starts_total", &name);
        let again = counter(&exposition, "ddprocmgr_process_restarts_total", &name);
        let ends: u64 = exits(&exposition, &name);
        // What the child has printed by its own record; whoever was stopped in between has not come to that.
        let record = std::fs::read_to_string(bed.path(&name))?;
        let printed: Vec<u64> = numbers(&record);
        let logged: Vec<u64> = numbers(&text);
        if let Some(pair) = logged.windows(2).find(|pair| pair[0] >= pair[1]) {
            bail!("{name}: the line of run {} stands behind that of run {}", pair[1], pair[0]);
        }
        if let Some(run) = printed.iter().find(|run| logged.binary_search(run).is_err()) {
            bail!(
                "{name}: run {run} has printed a line that is not in the file; {} printed, {} in the file, {:?}:\n{}",
                printed.len(),
                logged.len(),
                Account::of(&exposition, &name),
                told(&bed, &name, *run)
            );
        }
        let lines = logged.len() as u64;
        // Two runs were stopped, which may have been before they printed.
        ensure!(
            lines <= starts && lines + 2 >= starts,
            "{name}: {starts} starts were counted, {lines} runs printed"
        );
        ensure!(again + 2 == starts, "{name}: {starts} starts and {again} restarts were counted");
        ensure!(ends == starts, "{name}: {starts} starts and {ends} ends were counted");
        let account = Account::of(&exposition, &name);
        let file = account.sink("file");
        ensure!(
            account.lines == lines && file.written == lines,
            "{name}: {lines} lines printed, {account:?}"
        );
        (runs, restarts) = (runs + lines, restarts + again);
    }
    ensure!(
        end.anonymous <= warm.anonymous + SLACK || size.quick,
        "memory of its own grew from {} KiB after a fifth to {} KiB at the end",
        warm.anonymous,
        end.anonymous
    );
    idle.until_back(bed.pid())?;
    bed.end()?;
    let rate = restarts as f64 / took.as_secs_f64();
    Ok(Report::load(format!("{CHILDREN} children, {restarts} restarts, {rate:.0} a second"))
        .and(format!("{runs} lines printed and in the files, in order, counters exact"))
        .and(format!(
            "RSS {} KiB after a fifth, {} KiB at the end; of its own {} and {} KiB",
            warm.rss, end.rss, warm.anonymous, end.anonymous
        ))
        .and(calls.to_string()))
}

fn until(bed: &Bed, wanted: u64) -> Result<()> {
    let mut last = 0;
    loop {
        let begin = last;
        // As long as something goes on, however slow the machine is.
        bed.within(PATIENCE, "a restart", || {
            last = sum(&bed.scrape()?, "ddprocmgr_process_restarts_total");
            Ok((last > begin).then_some(()))
        })?;
        if last >= wanted {
            return Ok(());
        }
    }
}

/// The exposition once every line has been written.
pub(crate) fn settled(bed: &Bed) -> Result<String> {
    // A scrape may be a second old, and somebody has scraped just now.
    std::thread::sleep(Duration::from_millis(1_100));
    bed.within(PATIENCE, "every line to be where it belongs", || {
        let exposition = bed.scrape()?;
        let logs = bed.logs();
        let all = Account::all(&exposition).into_iter().filter(|account| !account.process.is_empty());
        let mut late = all.filter(|account| {
            let on_disk = printed::count_lines(&logs, &account.process).unwrap_or_default();
            !account.is_settled() || (account.stream == "stdout" && account.sink("file").written > on_disk)
        });
        Ok(late.next().is_none().then_some(exposition))
    })
}

/// What the daemon's log says of one run.
fn told(bed: &Bed, process: &str, run: u64) -> String {
    let (name, number) = (format!(" {process} "), format!(" run={run} "));
    let log = bed.log();
    let about = |line: &&str| line.contains(&name) && line.contains(&number);
    log.lines().filter(about).collect::<Vec<_>>().join("\n")
}

fn numbers(text: &str) -> Vec<u64> {
    text.lines().map(|line| line.parse().unwrap_or_default()).collect()
}

fn exits(exposition: &str, process: &str) -> u64 {
    let name = "ddprocmgr_process_exits_total{";
    let label = format!("process=\"{process}\"");
    let series = exposition.lines().filter(|line| line.starts_with(name) && line.contains(&label));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
