//! kill -9 of the daemon at random moments, again and again, while children crash, print and are created.
//!
//! Afterwards: every definition that somebody was told of is there, no counter fell by more than the 20 ms that may be lost
//! (ADR 0019), no child runs twice (each holds a lock on a file of its own), and no line in a file is damaged.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::{Workload, eventually_within};

use super::Size;
use super::bed::{Bed, PATIENCE, counter};
use super::dice::Dice;
use super::report::Report;
use super::starve::tail;

const HOLDERS: usize = 8;
/// Longest life of a daemon.
const LIFE: Duration = Duration::from_millis(400);
/// What was seen that long before the end has to be remembered. 20 ms are promised; a busy machine needs more.
const REMEMBERED: Duration = Duration::from_millis(300);
/// How long something that was left behind may take to be gone after the successor is up.
const GONE: Duration = Duration::from_secs(10);

pub(crate) fn run(size: &Size) -> Result<Report> {
    let kills = size.of(10, 200);
    let mut dice = Dice::new(size.seed);
    // Whoever finds the lock taken says so; the lock goes on to the probe, which never lets go of it.
    let holder = "exec 9>>DIR/$PROCESS_NAME.lock; flock -n 9 || { echo $PROCESS_NAME >> DIR/doubled; exit 99; }; exec PROBE every=5ms print";
    let mut processes = String::new();
    for number in 0..HOLDERS {
        processes +=
            &format!("  h{number}: {{command: /bin/sh, args: [-c, '{holder}'], restart_sec: 0.05}}\n");
    }
    processes += "  crasher: {command: /bin/sh, args: [-c, 'echo $PROCESS_RUN >> DIR/runs; exit 1'], restart_sec: 0.01, restart_max_delay_sec: 0.01, start_limit_burst: 0}\n";
    let mut bed = Bed::start(&processes)?;
    let begin = Instant::now();
    let (mut created, mut unsure, mut lost): (Vec<String>, u64, u64) = (Vec::new(), 0, 0);
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        let name = format!("c{kill}");
        let told = thread::scope(|scope| -> Result<Option<String>> {
            let bed = &bed;
            // A definition is on its way when the end comes, most times.
            let create = scope.spawn(|| bed.pm(&["create", &name, "--", "/bin/true"]));
            thread::sleep(dice.time(LIFE));
            bed.signal(nix::sys::signal::Signal::SIGKILL);
            let answer = create.join().ok().context("pm-cli can't be executed")?;
            Ok((answer.code == 0).then(|| name.clone()))
        })?;
        match told {
            Some(name) => created.push(name),
            None => unsure += 1,
        }
        let left = bed.crash();
        let again = Instant::now();
        bed.start_again();
        slowest = slowest.max(again.elapsed());
        nobody_twice(&bed, &left)?;
        if kill % 10 == 9 || kill + 1 == kills {
            whole(&bed, &created)?;
            lost += remembered(&mut bed)?;
        }
    }
    bed.stop_all()?;
    for number in 0..HOLDERS {
        undamaged(&fs::read(bed.logs().join(format!("h{number}.log")))?)
            .with_context(|| format!("h{number}.log"))?;
    }
    let runs = fs::read_to_string(bed.path("runs"))?.lines().count() as u64;
    let counted = counter(&bed.scrape()?, "ddprocmgr_process_starts_total", "crasher");
    ensure!(counted <= runs, "{counted} starts were counted, {runs} happened");
    // At most what happens in 20 ms and one in flight, for each kill: some three runs.
    let most = u64::try_from(kills)? * 6;
    ensure!(
        counted + most >= runs,
        "{runs} runs happened, {counted} are counted: more than {most} were forgotten"
    );
    let took = begin.elapsed();
    bed.end()?;
    Ok(Report::load(format!(
        "{kills} kills in {:.0} s, {HOLDERS} children with locks, one that crashes",
        took.as_secs_f64()
    ))
    .and("no child twice".to_owned())
    .and(format!("{} definitions told and all there, {unsure} cut off", created.len()))
    .and(format!("{runs} runs, {counted} counted; {lost} counters fell"))
    .and(format!("up again in {} ms at most", slowest.as_millis())))
}

fn nobody_twice(bed: &Bed, left: &Workload) -> Result<()> {
    let gone = eventually_within(GONE, || left.alive().is_empty().then_some(()));
    ensure!(gone.is_some(), "of the daemon before there is still:\n{left}");
    let doubled = fs::read_to_string(bed.path("doubled")).unwrap_or_default();
    ensure!(doubled.is_empty(), "these ran twice at the same time: {doubled}\n{}", tail(&bed.log()));
    Ok(())
}

/// Every definition, and nothing that the daemon calls damaged.
fn whole(bed: &Bed, created: &[String]) -> Result<()> {
    let all = bed.processes()?;
    let is_there = |name: &str| all.iter().any(|p| p["name"] == name && p["state"] != "invalid");
    for name in created.iter().map(String::as_str).chain(["crasher"]) {
        ensure!(is_there(name), "{name} was defined, and is gone or broken");
    }
    ensure!((0..HOLDERS).all(|n| is_there(&format!("h{n}"))), "a process of the file is gone");
    let status = bed.pm(&["status", "--output", "json"]).json();
    let problems = status["last_reload"]["problems"].as_array().map_or(0, Vec::len);
    ensure!(problems == 0, "what was stored is damaged: {}", status["last_reload"]["problems"]);
    Ok(())
}

/// What a scrape has shown is not forgotten with a kill that comes a little later.
fn remembered(bed: &mut Bed) -> Result<u64> {
    let counts = |bed: &Bed| -> Result<u64> {
        Ok(counter(&bed.scrape()?, "ddprocmgr_process_restarts_total", "crasher"))
    };
    bed.until("a restart", || Ok(counts(bed)? > 0))?;
    let before = counts(bed)?;
    thread::sleep(REMEMBERED);
    let left = bed.crash();
    bed.start_again();
    nobody_twice(bed, &left)?;
    let after = bed.within(PATIENCE, "the metrics", || Ok(counts(bed).ok()))?;
    ensure!(
        after >= before,
        "crasher had {before} restarts, and has {after} after a kill {REMEMBERED:?} later"
    );
    Ok(u64::from(after < before))
}

/// Lines of the probe and nothing else; whoever was killed may have left the beginning of one.
fn undamaged(log: &[u8]) -> Result<()> {
    for line in log.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let text = String::from_utf8_lossy(line);
        let good =
            text.strip_prefix("line ").is_some_and(|n| n.len() >= 6 && n.bytes().all(|b| b.is_ascii_digit()));
        ensure!(good || "line 000000".starts_with(&*text) || text.len() < 11, "{text:?} was not printed");
    }
    Ok(())
}
