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
pub(crate) struct Report(Vec<(Group, bool, Duration)>);

impl Health {
    /// Runs one collector, which has already taken `spent` for what it prepared. What it wrote before an error is exported
    /// all the same; after a panic a half-written family would be a lie, so all of it goes.
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
        report.0.push((group, success, spent + begun.elapsed()));
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
        self.0.iter().for_each(|(group, success, _)| family.add(&[group.as_str()], *success));
        let mut family = out.family(&COLLECTOR_DURATION);
        self.0.iter().for_each(|(group, _, took)| family.add(&[group.as_str()], *took));
    }
}
