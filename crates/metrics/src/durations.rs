//! How long starts, stops, restarts and health checks take, measured as they happen.
//!
//! The one part of the exposition that is not read when somebody asks: it is told of events, and of checks. Everything
//! here is of the daemon as a whole, so that its size does not grow with the number of processes: a histogram per process
//! would be most of the exposition.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Event, EventKind, Mono, ProcessName};
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

use crate::names::{
    HEALTH_CHECKS, HEALTH_DURATION, Metric, READY_DURATION, RESTART_LATENCY, SPAWN_DURATION, STOP_DURATION,
    TABLE,
};
use crate::text::Text;

/// Upper bounds in seconds: from a spawn, some milliseconds, to the longest usual `stop_timeout`.
const BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0];

/// Hears of events and keeps histograms of what they tell.
#[derive(Debug)]
pub struct Durations {
    registry: Registry,
    spawn: Histogram,
    ready: Histogram,
    stop: Histogram,
    restart: Histogram,
    check: Histogram,
    checks: IntCounterVec,
    /// What has begun and not ended: at most one entry for each process.
    open: Mutex<HashMap<ProcessName, Open>>,
}

/// What is going on with a process.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    /// When it was asked to stop.
    stopping: Option<Mono>,
    /// When its main process ended.
    exited: Option<Mono>,
    /// When an automatic restart is due.
    due: Option<Mono>,
}

impl Default for Durations {
    fn default() -> Self {
        let registry = Registry::new();
        let histogram = |metric: &Metric| {
            let options = HistogramOpts::new(metric.name, metric.help).buckets(BUCKETS.to_vec());
            add(&registry, Histogram::with_opts(options))
        };
        // One label: with more of them the library's hash of their values takes different ones for the same.
        let checks =
            IntCounterVec::new(Opts::new(HEALTH_CHECKS.name, HEALTH_CHECKS.help), HEALTH_CHECKS.labels);
        let durations = Self {
            spawn: histogram(&SPAWN_DURATION),
            ready: histogram(&READY_DURATION),
            stop: histogram(&STOP_DURATION),
            restart: histogram(&RESTART_LATENCY),
            check: histogram(&HEALTH_DURATION),
            checks: add(&registry, checks),
            open: Mutex::default(),
            registry,
        };
        // From 0, so that the first failure is an increase.
        for result in ["passed", "failed"] {
            durations.checks.with_label_values(&[result]).reset();
        }
        durations
    }
}

impl Durations {
    /// Something happened. Takes a lock for a moment and never blocks.
    pub fn event(&self, event: &Event) {
        let (name, now) = (&event.process.name, event.at.mono);
        match &event.kind {
            EventKind::Started { took } => {
                self.spawn.observe(took.as_secs_f64());
                // One that was started by hand before it was due is no automatic restart.
                if let Some(due) = self.take(name).due.filter(|due| *due <= now) {
                    self.restart.observe(now.since(due).as_secs_f64());
                }
            }
            EventKind::Ready { took } => self.ready.observe(took.as_secs_f64()),
            EventKind::Stopping { .. } => self.note(name, |open| open.stopping = Some(now)),
            EventKind::Exited { .. } => {
                let mut stopping = None;
                self.note(name, |open| {
                    stopping = open.stopping.take();
                    open.exited = Some(now);
                });
                if let Some(stopping) = stopping {
                    self.stop.observe(now.since(stopping).as_secs_f64());
                }
            }
            EventKind::RestartScheduled { delay, .. }
            | EventKind::StartLimitReached { cooldown: Some(delay), .. } => self.note(name, |open| {
                // The delay begins when nothing of the run is left, but the outage with its main process's end.
                open.due = Some(open.exited.take().unwrap_or(now).after(*delay));
            }),
            EventKind::Stopped | EventKind::Removed => drop(self.take(name)),
            _ => {}
        }
    }

    /// A health check over the network is over.
    pub fn health_check(&self, took: Duration, passed: bool) {
        self.check.observe(took.as_secs_f64());
        self.checks.with_label_values(&[if passed { "passed" } else { "failed" }]).inc();
    }

    /// All families.
    pub(crate) fn write(&self, out: &mut Text) {
        for family in self.registry.gather() {
            if let Some(metric) = TABLE.iter().find(|m| m.name == family.name()) {
                out.library(metric, &family);
            }
        }
    }

    fn note(&self, name: &ProcessName, change: impl FnOnce(&mut Open)) {
        change(self.lock().entry(name.clone()).or_default());
    }

    fn take(&self, name: &ProcessName) -> Open {
        self.lock().remove(name).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProcessName, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: prometheus::Result<C>) -> C {
    let collector = collector.expect("names and labels of the table are valid: a test checks them");
    registry.register(Box::new(collector.clone())).expect("names are unique: a test checks the table");
    collector
}

#[cfg(test)]
mod tests {
    use model::{ExitReason, ExitStatus, ProcessId, ProcessRef, Seq, Signal, Stamp, Usage, Wall};

    use super::*;

    /// Tells a story of one process: what happened, and at which millisecond.
    fn after(story: &[(u64, EventKind)]) -> Durations {
        let durations = Durations::default();
        let name = ProcessName::new("web").unwrap();
        let process = ProcessRef { name, id: ProcessId::from_digest([0; 6]) };
        for (millis, kind) in story {
            let at = Stamp { mono: Mono(millis * 1_000_000), wall: Wall(0) };
            let (process, kind) = (process.clone(), kind.clone());
            durations.event(&Event { seq: Seq(1), at, process, run: None, pid: None, kind });
        }
        durations
    }

    /// How many were observed, and their sum in milliseconds.
    fn of(histogram: &Histogram) -> (u64, u64) {
        let millis = Duration::from_secs_f64(histogram.get_sample_sum() + 1e-6).as_millis();
        (histogram.get_sample_count(), u64::try_from(millis).unwrap())
    }

    fn started() -> EventKind {
        EventKind::Started { took: Duration::from_millis(3) }
    }

    fn exited() -> EventKind {
        let (status, reason) = (ExitStatus::Code(1), ExitReason::ExitCode);
        EventKind::Exited { status, reason, ran: Duration::ZERO, usage: Usage::default() }
    }

    fn scheduled(millis: u64) -> EventKind {
        EventKind::RestartScheduled { delay: Duration::from_millis(millis), restarts: 1 }
    }

    #[test]
    fn a_restart_takes_as_long_as_the_outage_without_its_delay() {
        let durations = after(&[(0, started()), (100, exited()), (102, scheduled(1000)), (1107, started())]);
        assert_eq!(of(&durations.restart), (1, 7));
        assert_eq!(of(&durations.spawn), (2, 6));
        assert_eq!(of(&durations.stop), (0, 0));
        let cooldown = EventKind::StartLimitReached {
            burst: 5,
            interval: Duration::from_secs(10),
            cooldown: Some(Duration::from_millis(400)),
        };
        let durations = after(&[(100, exited()), (100, cooldown), (501, started())]);
        assert_eq!(of(&durations.restart), (1, 1));
        assert!(durations.lock().is_empty(), "nothing is open while it runs");
        // A restart that fails has no end of a main process: the next one is measured from its own moment.
        let again = [(100, exited()), (100, scheduled(10)), (112, scheduled(500)), (613, started())];
        assert_eq!(of(&after(&again).restart), (1, 1));
    }

    #[test]
    fn a_start_by_hand_is_no_restart() {
        let durations = after(&[(100, exited()), (100, scheduled(1000)), (500, started())]);
        assert_eq!(of(&durations.restart), (0, 0));
        let durations =
            after(&[(100, exited()), (100, scheduled(10)), (105, EventKind::Stopped), (500, started())]);
        assert_eq!(of(&durations.restart), (0, 0));
    }

    #[test]
    fn a_stop_and_a_readiness() {
        let ready = EventKind::Ready { took: Duration::from_millis(40) };
        let stopping = EventKind::Stopping { signal: Signal::TERM };
        let durations = after(&[(0, ready), (100, stopping), (125, exited()), (126, EventKind::Stopped)]);
        assert_eq!((of(&durations.ready), of(&durations.stop)), ((1, 40), (1, 25)));
        assert!(durations.lock().is_empty(), "nothing is left of a process that is down");
    }

    #[test]
    fn checks_are_counted_by_their_result() {
        let durations = Durations::default();
        durations.health_check(Duration::from_millis(5), true);
        durations.health_check(Duration::from_millis(6), true);
        durations.health_check(Duration::from_secs(5), false);
        let count = |result: &str| durations.checks.with_label_values(&[result]).get();
        assert_eq!((count("passed"), count("failed"), of(&durations.check)), (2, 1, (3, 5011)));
    }
}
