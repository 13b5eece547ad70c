//! Does anything pile up? Children that crash at once are restarted a hundred thousand times, and at each tenth of that
//! the daemon is looked at: memory, descriptors, threads, cgroups, files.
//!
//! The restarts are counted by the daemon's own metrics. What must not grow is compared from the first fifth on: by then
//! every cache is warm and every thread has been there once. What can be counted exactly is also counted at rest, with
//! everything stopped, after the first tenth and at the end: there the numbers have to be the same.

mod sample;
mod variant;
mod verdict;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::eventually_within;

use crate::Options;
use crate::daemon;
use crate::home::{Containment, Home};
use crate::scrape::Metrics;
use crate::table::Table;
use sample::Sample;
use variant::Variant;

/// Children that crash side by side: more than there are spawners, so that starts queue up as well.
const CHILDREN: usize = 8;
const STEPS: u64 = 10;
/// The longest time without a single restart: then something hangs.
const STUCK: Duration = Duration::from_secs(30);
/// How long everything may take to come to rest after it was stopped.
const SETTLED: Duration = Duration::from_secs(10);

pub(crate) fn measure(table: &mut Table, options: &Options) -> Result<()> {
    let mut grown = Vec::new();
    for variant in Variant::all()? {
        for containment in Containment::ALL {
            let title = format!("endurance, {}, {containment}", variant.name);
            if options.leaves_out(&title) {
                continue;
            }
            match Home::start(containment, "info") {
                Ok(home) => {
                    table.title(&format!("{title}: {}", variant.what));
                    let growth = endure(table, &home, &variant, options.restarts).context(title.clone())?;
                    grown.extend(growth.into_iter().map(|what| format!("{title}: {what}")));
                }
                Err(error) => table.line(&format!("{title}: left out: {error:#}")),
            }
        }
    }
    ensure!(grown.is_empty(), "something grows:\n{}", grown.join("\n"));
    Ok(())
}

/// Prints what it sees; returns what grew.
fn endure(table: &mut Table, home: &Home, variant: &Variant, restarts: u64) -> Result<Vec<String>> {
    let metrics = Metrics::of(home);
    home.write_config(&daemon::config(CHILDREN, &variant.definition));
    home.pm(&["reload-config"]).success();
    table.head(&Sample::HEAD);
    let begin = Instant::now();
    let mut samples = Vec::new();
    let mut rest = Vec::new();
    for step in 1..=STEPS {
        let wanted = restarts * step / STEPS;
        let counted = await_restarts(&metrics, wanted)?;
        let sample = Sample::median(home, counted, begin.elapsed())?;
        table.row(&sample.cells(&format!("{} %", step * 100 / STEPS)));
        samples.push(sample);
        if step == 1 || step == STEPS {
            let sample = at_rest(home, &metrics)?;
            table.row(&sample.cells("at rest"));
            rest.push(sample);
        }
        if step == 1 {
            each(home, "start");
        }
    }
    let growth = verdict::growth(&samples, &rest);
    let rate = restarts as f64 / begin.elapsed().as_secs_f64();
    let said =
        if growth.is_empty() { "nothing grows".to_owned() } else { format!("GROWS: {}", growth.join("; ")) };
    table.line(&format!("\n{restarts} restarts, {rate:.0} per second. Verdict: {said}"));
    Ok(growth)
}

/// Waits until the daemon has counted this many restarts; returns how many there are.
fn await_restarts(metrics: &Metrics, wanted: u64) -> Result<u64> {
    let (mut last, mut since) = (0.0, Instant::now());
    loop {
        let counted = metrics.scrape()?.sum("ddprocmgr_process_restarts_total");
        if counted >= wanted as f64 {
            return Ok(format!("{counted:.0}").parse()?);
        }
        if counted > last {
            (last, since) = (counted, Instant::now());
        }
        ensure!(since.elapsed() < STUCK, "no restart within {STUCK:?}, after {counted} of {wanted}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// Stops everything, and looks once nothing moves any more.
fn at_rest(home: &Home, metrics: &Metrics) -> Result<Sample> {
    each(home, "stop");
    let quiet = || (daemon::children(home.pid()).is_empty() && home.leaves() == 0).then_some(());
    // What is left after that is seen in the sample.
    let _left = eventually_within(SETTLED, quiet);
    // tokio keeps an idle thread of its blocking pool for 10 s.
    thread::sleep(Duration::from_secs(12));
    let counted = metrics.scrape()?.sum("ddprocmgr_process_restarts_total");
    Sample::median(home, format!("{counted:.0}").parse()?, Duration::ZERO)
}

/// A start is refused when the crash comes first; what comes of it is seen in the metrics.
fn each(home: &Home, verb: &str) {
    let names: Vec<String> = (0..CHILDREN).map(|n| format!("p{n}")).collect();
    let words: Vec<&str> = [verb].into_iter().chain(names.iter().map(String::as_str)).collect();
    let _outcome = home.pm(&words);
}
