//! The daemon at one moment.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::daemon;
use crate::home::Home;

/// Looks that one sample is the median of: starts and ends are on their way at each of them.
const LOOKS: usize = 15;
const APART: Duration = Duration::from_millis(20);

/// What it costs, and what there is of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) restarts: u64,
    pub(super) at: Duration,
    /// Resident set size, proportional set size, and what of it is not from files; KiB.
    pub(super) rss: u64,
    pub(super) pss: u64,
    pub(super) anonymous: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
    /// Zombies included.
    pub(super) children: u64,
    /// Cgroups of runs.
    pub(super) leaves: u64,
    /// In the directories of the notification sockets and of the logs.
    pub(super) sockets: u64,
    pub(super) logs: u64,
}

impl Sample {
    /// Of [`Sample::cells`].
    pub(super) const HEAD: [&str; 12] = [
        "step",
        "restarts",
        "s",
        "RSS KiB",
        "PSS KiB",
        "anonymous KiB",
        "descriptors",
        "threads",
        "children",
        "cgroup leaves",
        "notify files",
        "log files",
    ];

    /// Every number is the median of some looks.
    pub(super) fn median(home: &Home, restarts: u64, at: Duration) -> Result<Self> {
        let mut looks = Vec::with_capacity(LOOKS);
        for _ in 0..LOOKS {
            looks.push(Self::look(home)?);
            thread::sleep(APART);
        }
        let median = |of: fn(&Self) -> u64| {
            let mut values: Vec<u64> = looks.iter().map(of).collect();
            values.sort_unstable();
            values.get(LOOKS / 2).copied().unwrap_or_default()
        };
        Ok(Self {
            restarts,
            at,
            rss: median(|s| s.rss),
            pss: median(|s| s.pss),
            anonymous: median(|s| s.anonymous),
            descriptors: median(|s| s.descriptors),
            threads: median(|s| s.threads),
            children: median(|s| s.children),
            leaves: median(|s| s.leaves),
            sockets: median(|s| s.sockets),
            logs: median(|s| s.logs),
        })
    }

    fn look(home: &Home) -> Result<Self> {
        let pid = home.pid();
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        Ok(Self {
            rss: kib(&rollup, "Rss:")?,
            pss: kib(&rollup, "Pss:")?,
            anonymous: kib(&rollup, "Anonymous:")?,
            descriptors: entries(&format!("/proc/{pid}/fd"))?,
            threads: entries(&format!("/proc/{pid}/task"))?,
            children: count(daemon::children(pid).len()),
            leaves: count(home.leaves()),
            sockets: count(home.notify_sockets().len()),
            logs: entries(&home.logs().display().to_string())?,
            ..Self::default()
        })
    }

    /// One row of the table.
    pub(super) fn cells(&self, step: &str) -> Vec<String> {
        let numbers = [
            self.rss,
            self.pss,
            self.anonymous,
            self.descriptors,
            self.threads,
            self.children,
            self.leaves,
            self.sockets,
            self.logs,
        ];
        let at = if self.at.is_zero() { String::new() } else { format!("{:.0}", self.at.as_secs_f64()) };
        let first = [step.to_owned(), self.restarts.to_string(), at];
        first.into_iter().chain(numbers.iter().map(u64::to_string)).collect()
    }
}

fn kib(rollup: &str, field: &str) -> Result<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(field));
    let value = line.with_context(|| format!("no {field} in smaps_rollup"))?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}

fn entries(dir: &str) -> Result<u64> {
    Ok(count(fs::read_dir(dir).with_context(|| dir.to_owned())?.count()))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
