//! `cargo xtask churn`: processes are created, crash, are killed and deleted, for an hour, below a real Prometheus that
//! scrapes every two seconds. At the end Prometheus has to have seen all of it: no scrape that failed, no series twice, none
//! left of a process that is gone, no counter that went back.
//!
//! Needs `prometheus` (Debian: `apt-get install prometheus`), no root and no network but loopback.

mod page;
mod verdict;

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testkit::{TempDaemon, binary};

use crate::programs::Build;
use crate::prometheus::{Prometheus, free_port};
use page::Page;

/// Processes that come and go, alive at the same time.
const ALIVE: usize = 40;
/// Between two changes: four in a second are ten thousand in an hour.
const PACE: Duration = Duration::from_millis(250);
/// Between two looks at everything.
const LOOK: Duration = Duration::from_secs(30);
/// Seconds between two scrapes, and for each of them. One would be too few on a machine that also compiles.
pub(crate) const INTERVAL: u32 = 2;
/// What a scrape shows is at most a second old (docs/METRICS.md), and the last one may have been an interval ago.
const SETTLED: Duration = Duration::from_millis(4_500);

/// They stay: their counters must never go back.
const STEADY: &str = "\
processes:
  steady: {command: PROBE every=100ms print}
  crasher: {command: PROBE text=oh exit=3, restart_sec: 0.5, restart_max_delay_sec: 0.5, start_limit_burst: 0}
  looper: {command: PROBE exit=3, restart_sec: 0, start_limit_burst: 3, start_limit_interval_sec: 5}
  family: {command: PROBE child=sleep child=sleep sleep}
  target: {command: PROBE sleep, restart: always, restart_sec: 0, start_limit_burst: 0}
";

/// Options of the task.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    build: Build,
    /// How long
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
}

/// The daemon, and what it should hold.
#[derive(Debug)]
struct Churn {
    daemon: TempDaemon,
    probe: String,
    metrics: SocketAddr,
    /// Those that come and go, oldest first.
    alive: VecDeque<String>,
    made: u64,
    kills: u64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    args.build.run()?;
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let probe = binary("probe")?.display().to_string();
    let daemon = TempDaemon::builder()
        .config(&STEADY.replace("PROBE", &probe))
        .env("METRICS_PORT", metrics.port().to_string())
        .start();
    let prometheus = Prometheus::start(&metrics.to_string(), None, INTERVAL)?;
    let mut churn = Churn { daemon, probe, metrics, alive: VecDeque::new(), made: 0, kills: 0 };
    let lasts = Duration::try_from_secs_f64(args.minutes * 60.0).context("--minutes")?;
    let (begin, mut looked) = (Instant::now(), Instant::now());
    say(&format!("{:>8}  {:>7} {:>7} {:>7} {:>9} {:>9}", "time", "made", "alive", "killed", "series", "RSS"));
    while begin.elapsed() < lasts {
        churn.change()?;
        thread::sleep(PACE);
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            churn.look(begin.elapsed())?;
        }
    }
    churn.look(begin.elapsed())?;
    thread::sleep(SETTLED);
    verdict::check(&prometheus, &churn.names(), churn.kills, begin.elapsed())?;
    say(&format!(
        "ok: {} processes came and {} went, {} were killed",
        churn.made,
        churn.made - churn.alive.len() as u64,
        churn.kills
    ));
    Ok(ExitCode::SUCCESS)
}

impl Churn {
    /// One change: a process comes, of one kind after the other; the oldest goes; every few one is killed or restarted.
    fn change(&mut self) -> Result<()> {
        let name = format!("churn-{}", self.made);
        let steps: &[&str] = match self.made % 5 {
            0 => &["sleep"],
            1 => &["print=10", "exit=1"],
            2 => &["child=sleep", "sleep"],
            3 => &["exit=0"],
            _ => &["every=50ms", "print"],
        };
        let mut create = vec!["create", name.as_str(), "--auto-start", "--", self.probe.as_str()];
        create.extend(steps);
        // It may crash while its start is waited for, which is no start that failed.
        self.daemon.pm(&create).success();
        self.made += 1;
        self.alive.push_back(name);
        if self.made.is_multiple_of(3) {
            self.daemon.pm(&["kill", "--signal", "KILL", "target"]).success();
            self.kills += 1;
            let kills = self.kills;
            self.daemon.wait_for("target", "be back", |p| p["restarts"] == kills && p["state"] == "running");
        }
        if self.made.is_multiple_of(7)
            && let Some(name) = self.alive.get(self.alive.len() / 2)
        {
            self.daemon.pm(&["restart", name]);
        }
        if self.alive.len() > ALIVE
            && let Some(name) = self.alive.pop_front()
        {
            self.daemon.pm(&["delete", &name]).success();
        }
        Ok(())
    }

    /// Every process that is defined now.
    fn names(&self) -> BTreeSet<String> {
        let steady = ["steady", "crasher", "looper", "family", "target"].map(str::to_owned);
        self.alive.iter().cloned().chain(steady).collect()
    }

    /// Reads the exposition as it stands, when nothing has changed for longer than a sample may be old.
    fn look(&self, since: Duration) -> Result<()> {
        thread::sleep(SETTLED);
        let page = Page::read(self.metrics)?;
        ensure!(page.twice.is_empty(), "series that are there twice: {:?}", page.twice);
        ensure!(
            page.processes == self.names(),
            "shown but not defined: {:?}; defined but not shown: {:?}",
            page.processes.difference(&self.names()),
            self.names().difference(&page.processes)
        );
        ensure!(page.failed.is_empty(), "collectors that failed: {:?}", page.failed);
        let minutes = since.as_secs_f64() / 60.0;
        say(&format!(
            "{minutes:>6.1} m  {:>7} {:>7} {:>7} {:>9} {:>6.1} MB",
            self.made,
            self.alive.len(),
            self.kills,
            page.series,
            page.resident / 1e6
        ));
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "a command for developers; this is its output")]
fn say(line: &str) {
    println!("{line}");
}
