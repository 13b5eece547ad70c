//! Processes that fork without end, leave their session and shrug off SIGTERM; and one that fills its limit of processes.
//!
//! `stop` means that nothing of it is alive, and meanwhile everybody else is served.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use nix::unistd::geteuid;
use testkit::eventually_within;

use super::Size;
use super::bed::{Bed, PATIENCE, counter, one_line};
use super::report::Report;
use super::watch::Watch;

/// A bomb stays below this many processes: nobody else on this machine may suffer.
const FUSE: u64 = 150;
/// So many different processes have to be met, so that it was a bomb.
const MET: usize = 60;
/// From the stop of a bomb to the end of its last process, with `stop_timeout: 1s`.
const STOPPED: Duration = Duration::from_secs(30);

pub(crate) fn run(size: &Size) -> Result<Report> {
    // Ten a second each: the table of processes is everybody's.
    let heads = size.of(10, 30);
    let rounds = size.of(1, 5);
    let stop = "stop_timeout: 1s, restart: never";
    let mut processes = format!(
        "  hydra: {{command: PROBE, args: ['hydra={heads}:100ms', sleep], {stop}}}\n  \
         storm: {{command: PROBE, args: [storm=50], {stop}}}\n  \
         escapees: {{command: PROBE, args: ['orphan=ignore=TERM,sleep', 'orphan=orphan=sleep,sleep', 'child=session,ignore=TERM,sleep', sleep], {stop}}}\n  \
         family: {{command: PROBE, args: ['orphan=every=50ms,print', exit=7], stop_timeout: 1s}}\n  \
         bystander: {{command: PROBE sleep}}\n"
    );
    // root has no limit of processes, so that the bomb needs a user.
    let user = if geteuid().is_root() { ", user: nobody" } else { "" };
    let bomb = geteuid().is_root();
    if bomb {
        processes += &format!(
            "  bomb: {{command: /bin/sh, args: [-c, 'f() {{ f | f & }}; while true; do f; sleep 0.1; done'], rlimits: {{nproc: {FUSE}}}, {stop}{user}}}\n"
        );
    }
    let bed = Bed::start(&processes)?;
    let idle = bed.vitals()?;
    let names: Vec<&str> =
        ["hydra", "storm", "escapees", "bomb"].into_iter().filter(|n| bomb || *n != "bomb").collect();
    let watch = Watch::start(&bed)?;
    let (mut most, mut slowest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        for name in &names {
            bed.pm(&["start", "--no-wait", name]);
        }
        // On a busy machine a look takes longer than most of them live, so that those count that it has met.
        let mut workload = bed.workload()?;
        let seen = eventually_within(PATIENCE, || {
            workload.look();
            (workload.seen() > MET).then_some(workload.seen())
        });
        let Some(seen) = seen else {
            let states: Vec<String> = bed.processes()?.iter().map(one_line).collect();
            bail!("the bombs didn't go off: {} were met; {}", workload.seen(), states.join("; "));
        };
        most = most.max(seen);
        // A run whose main process is gone while its grandchild prints is not reported as running, and is ended.
        bed.until("the crash of family to be told although its grandchild lives", || {
            Ok(counter(&bed.scrape()?, "ddprocmgr_process_restarts_total", "family") > 0)
        })?;
        let begin = Instant::now();
        let mut words = vec!["stop", "family"];
        words.extend(&names);
        let answer = bed.pm(&words);
        ensure!(answer.code == 0, "{answer}");
        let took = begin.elapsed();
        slowest = slowest.max(took);
        ensure!(took < STOPPED, "stop took {took:?}");
        let alive = bed.workload()?.alive();
        ensure!(
            alive.len() <= 1,
            "stopped, and {} processes are alive beside the bystander",
            alive.len() - 1
        );
        ensure!(bed.pm(&["start", "--no-wait", "family"]).code == 0, "family can't be started again");
    }
    let calls = watch.end_within(Duration::from_secs(20))?;
    ensure!(
        counter(&bed.scrape()?, "ddprocmgr_process_restarts_total", "bystander") == 0,
        "a bystander was restarted"
    );
    bed.stop_all()?;
    idle.until_back(bed.pid())?;
    bed.end()?;
    Ok(Report::load(format!(
        "{rounds} rounds of {} bombs, {most} processes met in one of them{}",
        names.len(),
        if bomb { "" } else { " (no limit of processes without root)" }
    ))
    .and(format!("stopped in {} ms at most, nothing left", slowest.as_millis()))
    .and(calls.to_string()))
}
