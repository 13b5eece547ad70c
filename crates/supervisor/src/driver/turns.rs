//! How long the supervisor's turns take: what delays everything else, so it is worth a metric.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::handle::TurnStats;

/// Written by the supervisor, read by anybody. The three numbers are of the same turn or of neighboring ones.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    count: AtomicU64,
    longest: AtomicU64,
    total: AtomicU64,
}

impl Turns {
    pub(crate) fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(nanos, Ordering::Relaxed);
        self.total.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> TurnStats {
        TurnStats {
            count: self.count.load(Ordering::Relaxed),
            longest: Duration::from_nanos(self.longest.load(Ordering::Relaxed)),
            total: Duration::from_nanos(self.total.load(Ordering::Relaxed)),
        }
    }
}
