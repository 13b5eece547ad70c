//! No descriptor is left in the daemon: EMFILE for every pipe, pidfd, file and connection.

use std::time::Duration;

use anyhow::Result;

use super::Size;
use super::bed::Bed;
use super::report::Report;
use super::starve::{Limit, processes, starve};

/// Below what the daemon holds from its start on, so that whatever a child's end sets free is of no use.
const LEFT: u64 = 16;

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
