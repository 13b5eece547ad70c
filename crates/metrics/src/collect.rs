//! Collectors: one per source, one file each. A failing one leaves its mark and never fails the scrape.

pub(crate) mod cgroups;
pub(crate) mod daemon;
pub(crate) mod grpc;
pub(crate) mod logs;
pub(crate) mod proc;
pub(crate) mod processes;
pub(crate) mod self_process;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::names::{COLLECTOR_DURATION, COLLECTOR_SUCCESS, Group};
use crate::proc::ProcError;
use crate::text::Text;

/// How a collector ended.
pub(crate) type Collected = Result<(), CollectError>;

/// Why a collector left something out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    /// A file of /proc or of a cgroup.
    #[error(transparent)]
    Proc(#[from] ProcError),
    /// The same for some of the managed processes.
    #[error("{first} (and {more} more processes)")]
    Processes {
        /// The first failure.
        first: ProcError,
        /// How many others failed too.
        more: usize,
    },
    /// More processes on the machine than a scrape looks at.
    #[error("there are more than {0} processes on this machine: the metrics of process trees are left out")]
    TooMany(usize),
    /// When the sample was taken that is shown.
    #[error(transparent)]
    Earlier(Arc<CollectError>),
    /// A bug; the daemon goes on without this collector's metrics.
    #[error("the collector panicked")]
    Panicked,
}

/// The failures of single processes, told as one.
#[derive(Debug, Default)]
pub(crate) struct Failures(Option<(ProcError, usize)>);

impl Failures {
    /// One more.
    pub(crate) fn add(&mut self, error: ProcError) {
        self.0 = Some(self.0.take().map_or((error, 0), |(first, more)| (first, more + 1)));
    }

    /// All of them; `Ok` when there was none.
    pub(crate) fn into_result(self) -> Collected {
        self.0.map_or(Ok(()), |(first, more)| Err(CollectError::Processes { first, more }))
    }
}

/// How each collector is doing.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// So that a lasting failure is logged once and not with every scrape.
    failing: [AtomicBool; Group::ALL.len()],
}

/// How the collectors of one scrape did.
#[derive(Debug, Default)]
pub(crate) struct Report {
    collectors: Vec<(Group, bool, Duration)>,
}

impl Health {
    /// Runs one collector, which has already taken `spent` for what it prepared. What it wrote before an error is exported
    /// all the same. After a panic it is taken back, as far as no client has it yet: whole samples, and a mark that tells that
    /// they are not all.
    pub(crate) fn watch(
        &self,
        report: &mut Report,
        group: Group,
        spent: Duration,
        out: &mut Text,
        collect: impl FnOnce(&mut Text) -> Collected,
    ) {
        let (begun, mark) = (Instant::now(), out.mark());
        let result = catch_unwind(AssertUnwindSafe(|| collect(out))).unwrap_or_else(|_| {
            out.rewind(mark);
            Err(CollectError::Panicked)
        });
        let success = self.note(group, result);
        report.collectors.push((group, success, spent + begun.elapsed()));
    }

    fn note(&self, group: Group, result: Collected) -> bool {
        let collector = group.as_str();
        let was_failing = self.failing[group as usize].swap(result.is_err(), Ordering::Relaxed);
        match result {
            Ok(()) if was_failing => tracing::info!(collector, "metrics are complete again"),
            Err(error) if !was_failing => {
                tracing::warn!(collector, %error, "metrics are incomplete until this is solved");
                return false;
            }
            Ok(()) => {}
            Err(_) => return false,
        }
        true
    }
}

impl Report {
    /// The metrics of the collectors themselves.
    pub(crate) fn write(&self, out: &mut Text) {
        let mut family = out.family(&COLLECTOR_SUCCESS);
        self.collectors.iter().for_each(|(group, success, _)| family.add(&[group.as_str()], *success));
        let mut family = out.family(&COLLECTOR_DURATION);
        self.collectors.iter().for_each(|(group, _, took)| family.add(&[group.as_str()], *took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{PROCESS_RESTARTS, PROCESS_UP};
    use crate::text::Format;

    #[test]
    fn a_collector_that_panics_is_taken_back() {
        let (health, mut report) = (Health::default(), Report::default());
        let mut out = Text::whole(Format::Text, false);
        out.family(&PROCESS_UP).add(&["web"], true);
        health.watch(&mut report, Group::Logs, Duration::ZERO, &mut out, |out| {
            out.family(&PROCESS_RESTARTS).add(&["web"], 1_u64);
            panic!("a bug")
        });
        health.watch(&mut report, Group::Daemon, Duration::ZERO, &mut out, |_| Ok(()));
        report.write(&mut out);
        let text = String::from_utf8(out.finish().into()).unwrap();
        assert!(!text.contains("restarts"), "{text}");
        assert!(text.contains("ddprocmgr_process_up{process=\"web\"} 1\n"));
        assert!(text.contains("success{collector=\"logs\"} 0\n"));
        assert!(text.contains("success{collector=\"daemon\"} 1\n"));
    }

    #[test]
    fn what_a_client_may_have_already_is_whole_samples() {
        let (health, mut report) = (Health::default(), Report::default());
        let mut out = Text::whole(Format::Text, false);
        health.watch(&mut report, Group::Logs, Duration::ZERO, &mut out, |out| {
            let mut family = out.family(&PROCESS_RESTARTS);
            (0..10_000_u64).for_each(|n| family.add(&[&format!("web-{n}")], n));
            panic!("a bug")
        });
        report.write(&mut out);
        let text = String::from_utf8(out.finish().into()).unwrap();
        let samples =
            text.lines().filter(|line| line.starts_with("ddprocmgr_process_restarts_total{")).count();
        assert!((1_000..10_000).contains(&samples), "some were passed on, some were not: {samples}");
        for (n, line) in text.lines().skip(2).take(samples).enumerate() {
            assert_eq!(line, format!("ddprocmgr_process_restarts_total{{process=\"web-{n}\"}} {n}"));
        }
        assert!(text.contains("success{collector=\"logs\"} 0\n"));
    }
}
