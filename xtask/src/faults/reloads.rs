//! Fifty reloads a second, by signal and by call, while children crash and somebody writes the file in place, bit by bit.
//!
//! Whatever a reload finds there, a process that every version of the file defines alike is never touched.

use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::sys::signal::Signal;

use super::Size;
use super::bed::{Bed, counter};
use super::report::Report;
use super::watch::Watch;

const STEADY: usize = 20;
const PACE: Duration = Duration::from_millis(20);
/// The writer stands still that long in the middle of the file.
const HALF_WRITTEN: Duration = Duration::from_millis(30);

pub(crate) fn run(size: &Size) -> Result<Report> {
    let lasts = size.of(Duration::from_secs(5), Duration::from_secs(120));
    let bed = Bed::start(&text(0))?;
    for number in 0..STEADY {
        bed.wait_for_state(&format!("steady{number}"), "running");
    }
    let pids = steady(&bed)?;
    let watch = Watch::start(&bed)?;
    let over = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let calls = AtomicU64::new(0);
    let mut signals = 0_u64;
    thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| write_in_place(&bed, &over, &written));
        let caller = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // A reload of a broken file is an answer as well.
                bed.pm(&["reload-config"]);
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
        let end = Instant::now() + lasts;
        while Instant::now() < end {
            let next = Instant::now() + PACE;
            bed.signal(Signal::SIGHUP);
            signals += 1;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        over.store(true, Ordering::Relaxed);
        caller.join().map_err(|_| anyhow!("pm-cli can't be executed"))?;
        writer.join().map_err(|_| anyhow!("the writer has panicked"))?
    })?;
    let asked = watch.end_within(Duration::from_secs(10))?;
    bed.write_config(&bed.document(&text(1))?);
    bed.until("a good file to be in force", || Ok(bed.pm(&["reload-config"]).code == 0))?;
    let after = steady(&bed)?;
    let moved = pids.iter().zip(&after).filter(|(before, after)| before != after).count();
    ensure!(moved == 0, "{moved} of {STEADY} processes that nobody changed were restarted by a reload");
    let exposition = bed.scrape()?;
    let crashes = counter(&exposition, "ddprocmgr_process_restarts_total", "crasher");
    ensure!(crashes > 0, "the crashing child was not restarted");
    bed.stop_all()?;
    bed.end()?;
    Ok(Report::load(format!(
        "{signals} SIGHUP and {} calls in {} s, {} versions of the file written in place",
        calls.load(Ordering::Relaxed),
        lasts.as_secs(),
        written.load(Ordering::Relaxed)
    ))
    .and(format!(
        "{STEADY} processes that nobody changed kept their pids; {crashes} crashes of another restarted"
    ))
    .and(asked.to_string()))
}

/// A version of the file: only the child `changing` differs.
fn text(version: u64) -> String {
    let steady: String = (0..STEADY).map(|n| format!("  steady{n}: {{command: PROBE sleep}}\n")).collect();
    // Last, so that a file that is cut is cut in the middle of these.
    format!(
        "{steady}  crasher: {{command: PROBE text=oh exit=1, restart_sec: 0.05, restart_max_delay_sec: 0.05}}\n  \
         changing: {{command: PROBE, args: [sleep], env: {{VERSION: \"{version}\"}}}}\n"
    )
}

/// As an editor does that doesn't rename: the file is empty, then half of it is there, then all.
fn write_in_place(bed: &Bed, over: &AtomicBool, written: &AtomicU64) -> Result<()> {
    while !over.load(Ordering::Relaxed) {
        let version = written.fetch_add(1, Ordering::Relaxed);
        let text = bed.document(&text(version))?;
        // Within the last definition: what is there is no whole document.
        let cut = text.rfind("VERSION").context("no version")?;
        let mut file = File::create(bed.config_path())?;
        thread::sleep(HALF_WRITTEN);
        file.write_all(&text.as_bytes()[..cut])?;
        thread::sleep(HALF_WRITTEN);
        file.write_all(&text.as_bytes()[cut..])?;
        drop(file);
        thread::sleep(HALF_WRITTEN);
    }
    Ok(())
}

fn steady(bed: &Bed) -> Result<Vec<i64>> {
    let all = bed.processes()?;
    (0..STEADY)
        .map(|n| {
            let name = format!("steady{n}");
            let found =
                all.iter().find(|p| p["name"] == name.as_str()).with_context(|| format!("{name} is gone"))?;
            found["pid"].as_i64().with_context(|| format!("{name} has no pid: {found}"))
        })
        .collect()
}
