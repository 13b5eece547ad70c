//! How long the supervisor's turns take: what delays everything else, so it is worth a metric.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::handle::TurnStats;

/// Written by the supervisor, read by anybody. The numbers are of the same turn or of neighboring ones.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Turns within each bound of [`TurnStats::BOUNDS`] and not within the one before; last, those beyond all.
    buckets: [AtomicU64; TurnStats::BOUNDS.len() + 1],
    longest: AtomicU64,
    total: AtomicU64,
    looks: AtomicU64,
}

impl Turns {
    /// A turn took this long, and so many looks at processes were taken in all turns so far.
    pub(crate) fn record(&self, took: Duration, looks: u64) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = TurnStats::BOUNDS.partition_point(|bound| *bound < took);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.longest.fetch_max(nanos, Ordering::Relaxed);
        self.total.fetch_add(nanos, Ordering::Relaxed);
        self.looks.store(looks, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> TurnStats {
        let buckets = std::array::from_fn(|n| self.buckets[n].load(Ordering::Relaxed));
        TurnStats {
            count: buckets.iter().sum(),
            buckets,
            longest: Duration::from_nanos(self.longest.load(Ordering::Relaxed)),
            total: Duration::from_nanos(self.total.load(Ordering::Relaxed)),
            looks: self.looks.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_is_in_one_bucket() {
        let turns = Turns::default();
        for micros in [0, 10, 11, 5_000, 10_000_000] {
            turns.record(Duration::from_micros(micros), 7);
        }
        let stats = turns.read();
        assert_eq!((stats.count, stats.longest, stats.looks), (5, Duration::from_secs(10), 7));
        assert_eq!(stats.buckets[..2], [2, 1], "a bound belongs to its bucket");
        assert_eq!(stats.buckets.last(), Some(&1), "beyond all");
        assert_eq!(stats.buckets.iter().sum::<u64>(), 5);
    }
}
