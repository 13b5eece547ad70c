//! The wall clock jumps a year ahead, two back, and home again: a bad time server, a battery that is empty.
//!
//! Only the daemon's clock jumps, by a library that is loaded before libc and adds to what the kernel says: the clock of
//! the machine belongs to others as well. It is compiled on the spot; that needs `cc`, as Rust itself does.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Size;
use super::bed::{Bed, counter};
use super::report::{NotRun, Report};
use super::watch::Watch;

const YEAR: i64 = 365 * 86_400;
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long long *ahead;
__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("PM_FAULTS_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *page = mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) ahead = page;
    close(fd);
}
int clock_gettime(clockid_t id, struct timespec *t) {
    int r = syscall(SYS_clock_gettime, id, t);
    if (!r && ahead && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += *ahead;
    return r;
}
int gettimeofday(struct timeval *t, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *t) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}
"#;

pub(crate) fn run(size: &Size) -> Result<Report> {
    let dir = tempfile::Builder::new().prefix("pm-clock-").tempdir()?;
    let (library, offset) = (compile(dir.path())?, dir.path().join("ahead"));
    fs::write(&offset, 0_i64.to_ne_bytes())?;
    let processes = "  \
        sleeper: {command: PROBE sleep}\n  \
        victim: {command: PROBE sleep}\n  \
        ticker: {command: PROBE text=tick exit=1, restart_sec: 1, restart_max_delay_sec: 1, restart_jitter: 0}\n  \
        stubborn: {command: PROBE ignore=TERM sleep, stop_timeout: 2s}\n";
    let bed = Bed::with(processes, |b| {
        b.env("LD_PRELOAD", library).env("PM_FAULTS_CLOCK", offset.display().to_string())
    })?;
    let watch = Watch::start(&bed)?;
    bed.wait_for_state("stubborn", "running");
    let begin = Instant::now();
    let window = size.of(Duration::from_secs(3), Duration::from_secs(15));
    let mut jumps = Vec::new();
    for ahead in [YEAR, -YEAR, 0] {
        let ticks = |bed: &Bed| -> Result<u64> {
            Ok(counter(&bed.scrape()?, "ddprocmgr_process_restarts_total", "ticker"))
        };
        let before = (ticks(&bed)?, Instant::now());
        // A timeout that is running when the clock jumps.
        ensure!(bed.pm(&["start", "stubborn"]).code == 0, "start was refused");
        ensure!(bed.pm(&["stop", "--no-wait", "stubborn"]).code == 0, "stop was refused");
        let stopping = Instant::now();
        jump(&offset, ahead)?;
        bed.wait_for_state("stubborn", "stopped");
        let took = stopping.elapsed();
        ensure!(
            took > Duration::from_millis(1_500) && took < Duration::from_secs(8),
            "a stop_timeout of 2 s took {took:?}"
        );
        restarted_at_once(&bed)?;
        std::thread::sleep(window.saturating_sub(stopping.elapsed()));
        let (ticked, passed) = (ticks(&bed)? - before.0, before.1.elapsed().as_secs_f64());
        ensure!(
            ticked as f64 >= passed * 0.5 - 1.0 && ticked as f64 <= passed + 1.0,
            "one restart a second was {ticked} in {passed:.1} s after a jump by {ahead} s"
        );
        let exposition = bed.scrape()?;
        let uptime = value(&exposition, "ddprocmgr_process_uptime_seconds{process=\"sleeper\"}")?;
        let lived = begin.elapsed().as_secs_f64();
        ensure!((0.0..=lived + 5.0).contains(&uptime), "sleeper is up for {uptime} s after {lived:.1} s");
        // pm-cli has a clock of its own, which has not jumped.
        for (of, shown) in [
            ("sleeper", bed.process("sleeper").context("sleeper is gone")?["uptime_seconds"].clone()),
            ("the daemon", bed.pm(&["status", "--output", "json"]).json()["uptime_seconds"].clone()),
        ] {
            let shown = shown.as_f64().with_context(|| format!("no uptime of {of}"))?;
            ensure!(
                (0.0..=lived + 5.0).contains(&shown),
                "pm-cli shows {shown} s of {of} after {lived:.1} s"
            );
        }
        let delay = value(&exposition, "ddprocmgr_process_restart_delay_seconds{process=\"ticker\"}")?;
        ensure!((0.0..=1.5).contains(&delay), "the next restart is {delay} s away");
        ensure!(
            counter(&exposition, "ddprocmgr_process_restarts_total", "sleeper") == 0,
            "sleeper was restarted"
        );
        let why = bed.pm(&["why", "ticker"]);
        ensure!(why.code == 0, "{why}");
        jumps.push(format!("{ticked} ticks in {passed:.0} s"));
    }
    let calls = watch.end_within(Duration::from_secs(10))?;
    bed.stop_all()?;
    bed.end()?;
    Ok(Report::load("jumps by +1, -2 and +1 years").and(jumps.join(", ")).and(calls.to_string()))
}

/// Without the daemon's clock having jumped, the rest would be about nothing.
fn jump(offset: &Path, ahead: i64) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    // In place: the daemon has mapped it.
    Ok(fs::File::options().write(true).open(offset)?.write_all_at(&ahead.to_ne_bytes(), 0)?)
}

/// A process that is killed comes back with the new time as its start.
fn restarted_at_once(bed: &Bed) -> Result<()> {
    let started = |bed: &Bed| -> Result<f64> {
        value(&bed.scrape()?, "ddprocmgr_process_start_time_seconds{process=\"victim\"}")
    };
    let before = started(bed)?;
    let pid = bed.wait_for_state("victim", "running")["pid"].as_i64().context("no pid")?;
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)?;
    bed.wait_for("victim", "be back", |p| p["state"] == "running" && p["pid"].as_i64() != Some(pid));
    bed.until(
        "the jump to be seen in a start time",
        || Ok((started(bed)? - before).abs() > YEAR as f64 * 0.9),
    )
}

fn value(exposition: &str, series: &str) -> Result<f64> {
    let line = exposition
        .lines()
        .find_map(|line| line.strip_prefix(series))
        .with_context(|| format!("no {series}"))?;
    Ok(line.trim().parse()?)
}

fn compile(dir: &Path) -> Result<String> {
    let (source, library) = (dir.join("clock.c"), dir.join("clock.so"));
    fs::write(&source, SHIM)?;
    let mut cc = Command::new("cc");
    let output = cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output();
    match output {
        Ok(output) if output.status.success() => Ok(library.display().to_string()),
        Ok(output) => Err(NotRun(format!("cc: {}", String::from_utf8_lossy(&output.stderr).trim())).into()),
        Err(error) => Err(NotRun(format!("cc can't be executed: {error}")).into()),
    }
}
