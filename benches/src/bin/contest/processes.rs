//! What /proc says about a supervisor and its helpers: memory, wake-ups, processor time.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

/// A process and all below it, in the order of a walk.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut next = 0;
    while let Some(pid) = all.get(next) {
        all.extend(children(*pid));
        next += 1;
    }
    all
}

/// The same without those that are supervised.
pub(crate) fn helpers(root: u32, supervised: &HashSet<u32>) -> Vec<u32> {
    tree(root).into_iter().filter(|pid| !supervised.contains(pid)).collect()
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Proportional set size of all of them, in MB of 2^20 bytes.
pub(crate) fn pss(pids: &[u32]) -> f64 {
    let of = |pid: &u32| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    pids.iter().filter_map(of).sum::<f64>() / 1024.0
}

/// What threads have done so far, by the number of the thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Activity(HashMap<String, Done>);

/// What has been done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// Voluntary context switches: each is a sleep that ended.
    pub(crate) wakeups: u64,
    /// On a processor.
    pub(crate) cpu: Duration,
}

impl Activity {
    /// Of all threads of these processes.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let mut all = HashMap::new();
        for pid in pids {
            for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let read = |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
                let status = read("status");
                let switches = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
                let wakeups = switches.and_then(|s| s.trim().parse().ok()).unwrap_or_default();
                let nanos = read("schedstat").split(' ').next().and_then(|n| n.parse().ok());
                let cpu = Duration::from_nanos(nanos.unwrap_or_default());
                all.insert(thread.file_name().to_string_lossy().into_owned(), Done { wakeups, cpu });
            }
        }
        Self(all)
    }

    /// Since then. What a thread did that has ended meanwhile is not known.
    pub(crate) fn since(&self, before: &Self) -> Done {
        let mut sum = Done::default();
        for (thread, done) in &self.0 {
            let old = before.0.get(thread).copied().unwrap_or_default();
            sum.wakeups += done.wakeups.saturating_sub(old.wakeups);
            sum.cpu += done.cpu.saturating_sub(old.cpu);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_in_the_tree_until_it_is_left_out() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let own = std::process::id();
        let all = tree(own);
        let others = helpers(own, &HashSet::from([child.id()]));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(all.contains(&own) && all.contains(&child.id()), "{all:?}");
        assert!(others.contains(&own) && !others.contains(&child.id()), "{others:?}");
    }

    #[test]
    fn one_that_runs_has_memory_and_has_used_the_processor() {
        let own = [std::process::id()];
        assert!(pss(&own) > 0.0);
        assert!(Activity::of(&own).since(&Activity::default()).cpu > Duration::ZERO);
        assert_eq!(pss(&[]), 0.0);
    }

    #[test]
    fn a_thread_that_has_ended_takes_nothing_away() {
        let done = |wakeups| Done { wakeups, cpu: Duration::ZERO };
        let before = Activity(HashMap::from([("1".to_owned(), done(5)), ("2".to_owned(), done(100))]));
        let after = Activity(HashMap::from([("1".to_owned(), done(7)), ("3".to_owned(), done(1))]));
        assert_eq!(after.since(&before).wakeups, 3);
    }
}
