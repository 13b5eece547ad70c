//! The daemon is stopped (SIGSTOP, a debugger, a frozen machine) while its children end and print.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Size;
use super::bed::{Bed, counter, many};
use super::printed;
use super::report::Report;

const SLEEPERS: usize = 40;
const VICTIMS: usize = 30;
const PRINTERS: usize = 4;
const WIDTH: usize = 99;

pub(crate) fn run(size: &Size) -> Result<Report> {
    let lasts = size.of(Duration::from_secs(3), Duration::from_secs(30));
    let lines: u64 = size.of(100_000, 400_000);
    let mut processes = many(SLEEPERS, "{command: PROBE sleep}");
    for number in 0..PRINTERS {
        processes += &format!(
            "  out{number}: {{command: PROBE, args: [width={WIDTH}, every=2ms, 'account={lines}:DIR', sleep]}}\n"
        );
    }
    let bed = Bed::start(&processes)?;
    bed.until_all(&["running"])?;
    let pids: Vec<i64> = bed
        .processes()?
        .iter()
        .filter_map(|p| Some((p["name"].as_str()?, p["pid"].as_i64()?)))
        .filter(|(name, _)| name.starts_with('p'))
        .map(|(_, pid)| pid)
        .collect();
    ensure!(pids.len() == SLEEPERS, "{} of {SLEEPERS} are up", pids.len());
    bed.signal(Signal::SIGSTOP);
    for pid in pids.iter().take(VICTIMS) {
        kill(Pid::from_raw(i32::try_from(*pid)?), Signal::SIGKILL)?;
    }
    std::thread::sleep(lasts);
    bed.signal(Signal::SIGCONT);
    let begin = Instant::now();
    let answer = bed.pm(&["status"]);
    let first = begin.elapsed();
    ensure!(answer.code == 0 && first < Duration::from_secs(10), "the first call took {first:?}: {answer}");
    bed.until("all to be back", || {
        let exposition = bed.scrape()?;
        Ok((0..SLEEPERS)
            .map(|n| counter(&exposition, "ddprocmgr_process_restarts_total", &format!("p{n}")))
            .sum::<u64>()
            >= VICTIMS as u64)
    })?;
    let back = begin.elapsed();
    bed.until_all(&["running"])?;
    let exposition = bed.scrape()?;
    let now = bed.processes()?;
    for process in now.iter().filter(|p| p["name"].as_str().is_some_and(|name| name.starts_with('p'))) {
        let name = process["name"].as_str().context("no name")?;
        let restarts = counter(&exposition, "ddprocmgr_process_restarts_total", name);
        let stayed = process["pid"].as_i64().is_some_and(|pid| pids.contains(&pid));
        ensure!(
            restarts == u64::from(!stayed),
            "{name}: {restarts} restarts, and its pid {} stayed",
            if stayed { "has" } else { "has not" }
        );
    }
    printed::all(&bed, &printed::names("out", PRINTERS), lines, WIDTH, &bed.logs())?;
    bed.stop_all()?;
    bed.end()?;
    Ok(Report::load(format!(
        "stopped for {} s, {VICTIMS} of {SLEEPERS} children killed, {PRINTERS} printing",
        lasts.as_secs()
    ))
    .and(format!("all back {} ms after SIGCONT, each counted once", back.as_millis()))
    .and(format!("first call answered in {} ms", first.as_millis()))
    .and(format!("{} lines, 0 lost", lines * PRINTERS as u64)))
}
