//! No descriptor is left in the daemon: EMFILE for every pipe, pidfd, file and connection.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Size;
use super::bed::Bed;
use super::report::Report;
use super::starve::{Limit, processes, starve};

/// Below what the daemon holds from its start on, so that whatever a child's end sets free is of no use.
const LEFT: u64 = 16;

/// Within this even then: there is a spare descriptor for one caller at a time, and a machine under load.
const ANSWERED: Duration = Duration::from_secs(10);

pub(crate) fn run(size: &Size) -> Result<Report> {
    let lasts = size.of(Duration::from_secs(3), Duration::from_secs(60));
    let lines = size.of(40_000, 400_000);
    let bed = Bed::start(&processes(lines))?;
    let limit = Limit {
        option: "--nofile",
        name: "Max open files",
        said: &["Too many open files", "EMFILE", "os error 24"],
        user: None,
    };
    bed.until_all(&["running"])?;
    let before = bed.vitals()?;
    let starved = starve(&bed, &limit, LEFT, lasts, lines)?;
    let calls = &starved.calls;
    ensure!(calls.answered > 0 && calls.refused == 0, "control did not answer: {calls}");
    ensure!(calls.worst <= ANSWERED, "control answered late: {calls}");
    before.until_back(bed.pid())?;
    bed.stop_all()?;
    bed.end()?;
    Ok(Report::load(format!(
        "24 children, 12 of them killed while no descriptor was to be had for {} s",
        lasts.as_secs()
    ))
    .and(format!("all up again after {} ms, {lines} lines of another, 0 lost", starved.recovered.as_millis()))
    .and(starved.calls.to_string()))
}
