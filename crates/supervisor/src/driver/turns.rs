//! How long the supervisor's turns take: what delays everything else, so it is worth a metric.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::handle::TurnStats;

/// Written by the supervisor, read by anybody. The numbers are of the same turn or of neighboring ones.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    count: AtomicU64,
    longest: AtomicU64,
    total: AtomicU64,
    looks: AtomicU64,
}

impl Turns {
    /// A turn took this long, and so many looks at processes were taken in all turns so far.
    pub(crate) fn record(&self, took: Duration, looks: u64) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(nanos, Ordering::Relaxed);
        self.total.fetch_add(nanos, Ordering::Relaxed);
        self.looks.store(looks, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> TurnStats {
        TurnStats {
            count: self.count.load(Ordering::Relaxed),
            longest: Duration::from_nanos(self.longest.load(Ordering::Relaxed)),
            total: Duration::from_nanos(self.total.load(Ordering::Relaxed)),
            looks: self.looks.load(Ordering::Relaxed),
        }
    }
}
