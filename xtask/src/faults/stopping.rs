//! Control calls while other processes refuse to stop: nobody waits for somebody else's `stop_timeout`.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::Size;
use super::bed::{Bed, many};
use super::report::Report;
use super::watch::Watch;

const STUBBORN: usize = 20;

pub(crate) fn run(size: &Size) -> Result<Report> {
    let timeout = size.of(Duration::from_secs(4), Duration::from_secs(20));
    let rounds = size.of(1, 3);
    let stubborn = format!("{{command: PROBE ignore=TERM sleep, stop_timeout: {}s}}", timeout.as_secs());
    let bed = Bed::start(&(many(STUBBORN, &stubborn) + "  other: {command: PROBE sleep}\n"))?;
    let names: Vec<String> = (0..STUBBORN).map(|n| format!("p{n}")).collect();
    let (mut slowest, mut calls) = (Duration::ZERO, 0_u64);
    let watch = Watch::start(&bed)?;
    for _ in 0..rounds {
        bed.until_all(&["running"])?;
        thread::scope(|scope| -> Result<()> {
            let (daemon, names) = (&bed, &names);
            let begin = Instant::now();
            let words: Vec<&str> = ["stop"].into_iter().chain(names.iter().map(String::as_str)).collect();
            let stop = scope.spawn(move || daemon.pm(&words));
            bed.wait_for_state("p0", "stopping");
            while begin.elapsed() < timeout.mul_f64(0.7) {
                for words in [
                    &["restart", "other"][..],
                    &["stop", "other"],
                    &["start", "other"],
                    &["list"],
                    &["why", "p0"],
                    &["reload-config"],
                ] {
                    let asked = Instant::now();
                    let answer = bed.pm(words);
                    ensure!(answer.code == 0, "{answer}");
                    slowest = slowest.max(asked.elapsed());
                    calls += 1;
                }
            }
            let answer = stop.join().map_err(|_| anyhow!("pm-cli can't be executed"))?;
            ensure!(answer.code == 0, "{answer}");
            let took = begin.elapsed();
            ensure!(
                took < timeout * 2 + Duration::from_secs(5),
                "{STUBBORN} stops side by side took {took:?}"
            );
            Ok(())
        })?;
        let words: Vec<&str> = ["start"].into_iter().chain(names.iter().map(String::as_str)).collect();
        ensure!(bed.pm(&words).code == 0, "they can't be started again");
    }
    ensure!(slowest < timeout.mul_f64(0.7), "a call took {slowest:?} while others were stopping");
    let asked = watch.end_within(timeout.mul_f64(0.7))?;
    bed.end()?;
    Ok(Report::load(format!(
        "{STUBBORN} processes that ignore SIGTERM for {} s, {rounds} times",
        timeout.as_secs()
    ))
    .and(format!(
        "{calls} starts, stops, restarts, reloads and lists of others meanwhile, the slowest in {} ms",
        slowest.as_millis()
    ))
    .and(asked.to_string()))
}
