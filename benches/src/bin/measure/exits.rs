//! Everything is killed at once: how long until all run again, how long the supervisor's longest turn is meanwhile, and
//! whether ten times as many cost ten times as much.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use testkit::{Pid, eventually_within};

use crate::Options;
use crate::daemon;
use crate::home::{Containment, Home};
use crate::scrape::{Metrics, STALE};
use crate::table::{Table, percentile, text};

const FEW: usize = 100;
const MANY: usize = 1000;
/// The first one gives the one that is compared with, the third one shows where it goes.
const COUNTS: [usize; 3] = [FEW, MANY, 3000];
const ROUNDS: usize = 5;
/// Definitions that are added at a time, so that the longest turn is not that of the start.
const SLICE: usize = 20;
/// Between two looks: seeing who is there costs time of its own, on a core that the daemon may need.
const LOOK: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(60);
/// How much more than ten times the time for a tenth of the processes counts as linear.
const LINEAR: f64 = 1.3;

const DEFINITION: &str = "{command: sleep 100000, restart: always, restart_sec: 0, start_limit_burst: 0}";

/// What one number of processes cost.
struct Cost {
    count: usize,
    p50: Duration,
    max: Duration,
    before: Duration,
    longest: Duration,
    turns: f64,
    busy: f64,
}

pub(crate) fn measure(table: &mut Table, options: &Options) -> Result<()> {
    for containment in Containment::ALL {
        let title = match containment {
            Containment::Subreaper => "exits, subreaper, a kill for each",
            Containment::Cgroup => "exits, cgroup, one cgroup.kill for all",
        };
        if options.leaves_out(title) {
            continue;
        }
        table.title(title);
        table.head(&[
            "processes",
            "all back, p50",
            "max",
            "each",
            "longest turn before",
            "longest turn",
            "turns a round",
            "in turns a round",
        ]);
        let mut costs = Vec::new();
        for count in COUNTS {
            match cost(containment, count) {
                Ok(cost) => {
                    table.row(&cost.cells());
                    costs.push(cost);
                }
                Err(error) => table.line(&format!("{count} left out: {error:#}")),
            }
        }
        verdict(table, &costs);
    }
    Ok(())
}

fn verdict(table: &mut Table, costs: &[Cost]) {
    let of = |count| costs.iter().find(|cost| cost.count == count);
    if let (Some(few), Some(many)) = (of(FEW), of(MANY)) {
        let ratio = |of: fn(&Cost) -> Duration| of(many).as_secs_f64() / of(few).as_secs_f64();
        let (back, turn) = (ratio(|c| c.p50), ratio(|c| c.longest));
        let linear = back <= LINEAR * (MANY / FEW) as f64;
        let said = if linear { "linear" } else { "MORE THAN LINEAR" };
        table.line(&format!(
            "\n{MANY} against {FEW}: all back after {back:.1} times the time, longest turn {turn:.1} times. Verdict: {said}"
        ));
    }
}

fn cost(containment: Containment, count: usize) -> Result<Cost> {
    let home = Home::start(containment, "error")?;
    let metrics = Metrics::of(&home);
    fill(&home, count)?;
    thread::sleep(STALE);
    let before = metrics.scrape()?;
    let mut times = (0..ROUNDS).map(|_| round(&home, count)).collect::<Result<Vec<Duration>>>()?;
    thread::sleep(STALE);
    let after = metrics.scrape()?;
    let gained = |name| (after.sum(name) - before.sum(name)) / ROUNDS as f64;
    Ok(Cost {
        count,
        p50: percentile(&mut times, 0.5),
        max: percentile(&mut times, 1.0),
        before: before.longest_turn(),
        longest: after.longest_turn(),
        turns: gained("ddprocmgr_supervisor_turns_total"),
        busy: gained("ddprocmgr_supervisor_turn_seconds_total"),
    })
}

impl Cost {
    fn cells(&self) -> Vec<String> {
        let each = self.p50 / u32::try_from(self.count).unwrap_or(u32::MAX);
        // A maximum since the start: when it did not rise, that of the rounds was below it.
        let longest = match self.longest > self.before {
            true => text(self.longest),
            false => format!("at most {}", text(self.longest)),
        };
        vec![
            self.count.to_string(),
            text(self.p50),
            text(self.max),
            text(each),
            text(self.before),
            longest,
            format!("{:.0}", self.turns),
            text(Duration::try_from_secs_f64(self.busy).unwrap_or_default()),
        ]
    }
}

/// Starts them in slices.
fn fill(home: &Home, count: usize) -> Result<()> {
    for some in (SLICE..count).step_by(SLICE).chain([count]) {
        home.write_config(&daemon::config(some, DEFINITION));
        home.signal(Signal::SIGHUP);
        let there = || (daemon::children(home.pid()).len() >= some).then_some(());
        ensure!(eventually_within(PATIENCE, there).is_some(), "{some} processes did not come up");
    }
    Ok(())
}

/// From the first kill until all have another pid.
fn round(home: &Home, count: usize) -> Result<Duration> {
    // One that was forked and not executed yet would be killed as such; by then all are what they are.
    thread::sleep(Duration::from_millis(500));
    let old: HashSet<u32> = daemon::children(home.pid()).into_iter().collect();
    let pids: Vec<Pid> = old.iter().filter_map(|pid| Pid::of(*pid)).collect();
    ensure!(pids.len() == count, "{} processes are there, not {count}", pids.len());
    let begin = Instant::now();
    if !home.kill_all_runs()? {
        pids.iter().for_each(|pid| pid.signal(Signal::SIGKILL));
    }
    while {
        let now = daemon::children(home.pid());
        now.iter().filter(|pid| !old.contains(pid)).count() < count
    } {
        ensure!(begin.elapsed() < PATIENCE, "not all were back within {PATIENCE:?}");
        thread::sleep(LOOK);
    }
    Ok(begin.elapsed())
}
