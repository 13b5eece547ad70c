//! Collectors: one per source, one file each. A failing one leaves its mark and never fails the scrape.

mod daemon;
mod logs;
mod processes;
mod self_process;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

pub(crate) use daemon::Daemon;
pub(crate) use logs::Logs;
pub(crate) use processes::Processes;
pub(crate) use self_process::SelfProcess;

use crate::family::{Families, flag};
use crate::names::{COLLECTOR_DURATION, COLLECTOR_SUCCESS, Group, Metric, TABLE};
use crate::proc::ProcError;

/// One source of metrics.
pub(crate) trait Collect: Send + Sync {
    /// The part of the table that it exports.
    const GROUP: Group;
    /// Asks its source and adds what it got. What was added before an error is exported all the same.
    fn collect(&self, out: &mut Families) -> Result<(), CollectError>;
}

/// Why a collector left something out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    /// A file of /proc.
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
    /// A bug; the daemon goes on without this collector's metrics.
    #[error("the collector panicked")]
    Panicked,
}

/// A collector with its own success and duration, as the registry wants it.
pub(crate) struct Measured<C> {
    inner: C,
    descs: Vec<Desc>,
    /// So that a lasting failure is logged once and not with every scrape.
    failing: AtomicBool,
}

impl<C: Collect> Measured<C> {
    /// Wraps a collector.
    pub(crate) fn new(inner: C) -> Self {
        let own = TABLE.iter().filter(|m| m.group == C::GROUP).map(|m| describe(m, None));
        // The same two names stand in every wrapper; the label's value as a constant makes them distinct.
        let measured = [&COLLECTOR_SUCCESS, &COLLECTOR_DURATION].map(|m| describe(m, Some(C::GROUP)));
        Self { inner, descs: own.chain(measured).collect(), failing: AtomicBool::new(false) }
    }

    fn attempt(&self) -> (Families, Result<(), CollectError>) {
        let mut out = Families::default();
        // A half-filled family after a panic would be a lie, so all of the collector's families go.
        match catch_unwind(AssertUnwindSafe(|| self.inner.collect(&mut out))) {
            Ok(result) => (out, result),
            Err(_) => (Families::default(), Err(CollectError::Panicked)),
        }
    }

    fn report(&self, result: Result<(), CollectError>) -> bool {
        let collector = C::GROUP.as_str();
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
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

impl<C: Collect> Collector for Measured<C> {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let begun = Instant::now();
        let (mut out, result) = self.attempt();
        let took = begun.elapsed().as_secs_f64();
        let success = self.report(result);
        let labels = [C::GROUP.as_str()];
        out.fill(&COLLECTOR_SUCCESS, 1, |f| f.add(&labels, flag(success)));
        out.fill(&COLLECTOR_DURATION, 1, |f| f.add(&labels, took));
        out.into_inner()
    }
}

fn describe(metric: &Metric, collector: Option<Group>) -> Desc {
    let constant = collector.map(|c| ("collector".to_owned(), c.as_str().to_owned()));
    let variable = metric.labels.iter().filter(|_| constant.is_none()).map(|l| (*l).to_owned()).collect();
    Desc::new(metric.name.to_owned(), metric.help.to_owned(), variable, HashMap::from_iter(constant))
        .expect("names and labels of the table are valid: a test checks them")
}
