//! Joins the collectors into one exposition.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::Wall;
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

use crate::collect::{Collect, Daemon, Logs, Measured, Processes, SelfProcess};
use crate::family::Family;
use crate::names::SCRAPE_DURATION;
use crate::proc::ProcFs;
use crate::source::Source;

/// What was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// Version, for example `0.1.0`.
    pub version: &'static str,
    /// Source revision, or empty.
    pub revision: &'static str,
}

/// Everything that /metrics shows. Holds no value of its own: each exposition is collected anew.
pub struct Exporter {
    source: Arc<dyn Source>,
    registry: Registry,
    /// Length of the last exposition, so that the next one is written without growing its buffer step by step.
    last_length: AtomicUsize,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl Exporter {
    /// An exporter of the system that it runs on.
    #[must_use]
    pub fn new(source: Arc<dyn Source>, build: BuildInfo) -> Self {
        Self::on(source, build, ProcFs::detect(), wall_clock)
    }

    /// An exporter with the given /proc and clock.
    pub(crate) fn on(source: Arc<dyn Source>, build: BuildInfo, proc: ProcFs, now: fn() -> Wall) -> Self {
        let proc = Arc::new(proc);
        let registry = Registry::new();
        add(&registry, Processes { source: Arc::clone(&source), proc: Arc::clone(&proc), now });
        add(&registry, Logs { source: Arc::clone(&source) });
        add(&registry, Daemon { source: Arc::clone(&source), build });
        add(&registry, SelfProcess { proc });
        Self { source, registry, last_length: AtomicUsize::new(0) }
    }

    /// The exposition in the text format 0.0.4. Blocks for as long as /proc takes (some 10 µs per live
    /// process): not for an I/O thread.
    ///
    /// # Panics
    /// Never: the encoder refuses only families without a sample, which the registry has left out.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut text = String::with_capacity(self.last_length.load(Ordering::Relaxed));
        TextEncoder::new().encode_utf8(&self.families(), &mut text).expect("no family is empty");
        // A little more than this time: values grow by a digit now and then.
        self.last_length.store(text.len() + text.len() / 64, Ordering::Relaxed);
        text.into_bytes()
    }

    /// All families, sorted by name.
    pub(crate) fn families(&self) -> Vec<MetricFamily> {
        let begun = Instant::now();
        let mut families = self.registry.gather();
        let mut duration = Family::new(&SCRAPE_DURATION, 1);
        duration.add(&[], begun.elapsed().as_secs_f64());
        let place = families.partition_point(|f| f.name() < SCRAPE_DURATION.name);
        families.insert(place, duration.into());
        families
    }

    /// Whether the daemon has finished its start.
    pub(crate) fn ready(&self) -> bool {
        self.source.ready()
    }
}

fn add(registry: &Registry, collector: impl Collect + 'static) {
    registry.register(Box::new(Measured::new(collector))).expect("names are unique: a test checks the table");
}

fn wall_clock() -> Wall {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}
