//! No address space is left in the daemon: ENOMEM for whatever it asks the kernel for.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Size;
use super::bed::Bed;
use super::report::Report;
use super::starve::{Limit, processes, starve};

/// What it may still map, in bytes: enough for a block of the allocator, not for a thread's stack.
const LEFT: u64 = 1 << 20;

pub(crate) fn run(size: &Size) -> Result<Report> {
    let lasts = size.of(Duration::from_secs(3), Duration::from_secs(60));
    let lines = size.of(40_000, 400_000);
    let bed = Bed::start(&processes(lines))?;
    bed.until_all(&["running"])?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", bed.pid()))?;
    let kib = status.lines().find_map(|l| l.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let used: u64 = kib.context("no VmSize")?.trim().parse()?;
    let limit = Limit { option: "--as", name: "Max address space", said: &[], user: None };
    let starved = starve(&bed, &limit, used * 1024 + LEFT, lasts, lines)?;
    bed.stop_all()?;
    bed.end()?;
    Ok(Report::load(format!(
        "24 children, 12 of them killed while 1 MiB of address space was left for {} s",
        lasts.as_secs()
    ))
    .and(format!("all up again after {} ms, {lines} lines of another, 0 lost", starved.recovered.as_millis()))
    .and(starved.calls.to_string()))
}
