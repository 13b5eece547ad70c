//! Rate limits: a token bucket in exact integers, driven by the instants it is given.
//!
//! It holds `lines` tokens and gets them back evenly over `interval`. Once it has refused a line it refuses all until
//! half of it is full again (at least one token): so one marker stands for many lines, and not one for each.

use std::time::{Duration, Instant};

use model::RateLimit;

/// The bucket of one process and sink.
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: RateLimit,
    /// Tokens times the nanoseconds of `interval`, so that nothing is rounded. Below zero after an entry of several
    /// lines, which passes whole.
    level: i128,
    at: Instant,
    open: bool,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(limit: RateLimit, now: Instant) -> Self {
        let mut bucket = Self { limit, level: 0, at: now, open: true };
        bucket.level = bucket.full();
        bucket
    }

    pub(crate) fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Price of a line.
    fn line(&self) -> i128 {
        nanos(self.limit.interval).max(1)
    }

    fn full(&self) -> i128 {
        self.line() * self.per_nano()
    }

    fn per_nano(&self) -> i128 {
        i128::from(self.limit.lines).max(1)
    }

    /// What has to be in it before lines pass again.
    fn enough(&self) -> i128 {
        (self.full() / 2).max(self.line())
    }

    fn refill(&mut self, now: Instant) {
        let gained = nanos(now.saturating_duration_since(self.at)).saturating_mul(self.per_nano());
        self.level = self.level.saturating_add(gained).min(self.full());
        self.at = self.at.max(now);
        self.open |= self.level >= self.enough();
    }

    /// How many of so many single lines pass: the first ones.
    pub(crate) fn take(&mut self, lines: u64, now: Instant) -> u64 {
        self.refill(now);
        if !self.open {
            return 0;
        }
        let affordable = u64::try_from(self.level.max(0) / self.line()).unwrap_or(u64::MAX);
        let passed = lines.min(affordable);
        self.level -= i128::from(passed) * self.line();
        self.open = passed == lines;
        passed
    }

    /// Whether an entry of so many lines passes. It does when a single line would, and what it took too much is missing
    /// afterwards.
    pub(crate) fn take_whole(&mut self, lines: u64, now: Instant) -> bool {
        self.refill(now);
        self.open &= self.level >= self.line();
        if self.open {
            self.level -= i128::from(lines) * self.line();
        }
        self.open
    }

    /// When lines pass again, if none does now.
    pub(crate) fn opens(&self) -> Instant {
        let missing = if self.open { 0 } else { self.enough() - self.level };
        let nanos = missing / self.per_nano() + i128::from(missing % self.per_nano() > 0);
        self.at + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

fn nanos(d: Duration) -> i128 {
    i128::try_from(d.as_nanos()).unwrap_or(i128::MAX)
}

/// The text of a marker, in every sink.
pub(crate) fn notice(lines: u64, key: &str, limit: RateLimit) -> String {
    format!("{lines} lines suppressed: {key} {limit}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(lines: u32, interval: Duration) -> RateLimit {
        RateLimit { lines, interval }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_passes_and_what_follows_waits_for_half_of_it() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(limit(100, SECOND), begin);
        assert_eq!((bucket.take(70, begin), bucket.take(70, begin)), (70, 30));
        assert_eq!(bucket.opens(), begin + SECOND / 2);
        assert_eq!(bucket.take(1, begin + SECOND / 2 - Duration::from_nanos(1)), 0);
        assert_eq!(bucket.take(100, begin + SECOND / 2), 50);
        assert_eq!(bucket.take(1000, begin + 10 * SECOND), 100);
    }

    #[test]
    fn a_limit_of_one_line_passes_one_each_interval() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(limit(1, SECOND), begin);
        let at = |tenths: u32| begin + SECOND / 10 * tenths;
        let passed: Vec<u64> = (0..31).map(|i| bucket.take(1, at(i))).collect();
        assert_eq!(passed.iter().sum::<u64>(), 4);
        assert_eq!((passed[0], passed[10], passed[20], passed[30]), (1, 1, 1, 1));
    }

    #[test]
    fn an_entry_of_several_lines_passes_whole_and_is_paid_for_later() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(limit(2, SECOND), begin);
        assert!(bucket.take_whole(5, begin));
        assert!(!bucket.take_whole(1, begin + SECOND));
        assert_eq!(bucket.opens(), begin + 2 * SECOND);
        assert!(bucket.take_whole(1, begin + 2 * SECOND));
    }

    #[test]
    fn markers_say_which_limit() {
        assert_eq!(notice(7, "rate_limit", limit(1000, SECOND)), "7 lines suppressed: rate_limit 1000/s");
        assert_eq!(notice(1, "x", limit(5, SECOND / 4)), "1 lines suppressed: x 5/250ms");
    }

    proptest! {
        /// The promise to a user: in no stretch of time pass more lines than the bucket holds and gets back in it.
        #[test]
        fn never_more_than_the_limit(
            lines in 1u32..1000, millis in 100u64..100_000,
            steps in prop::collection::vec((0u64..50_000, 0u64..400), 1..80),
        ) {
            let limit = limit(lines, Duration::from_millis(millis));
            let begin = Instant::now();
            let mut now = begin;
            let mut bucket = Bucket::new(limit, now);
            let mut passed = vec![(now, 0)];
            for (micros, n) in steps {
                now += Duration::from_micros(micros);
                let got = bucket.take(n, now);
                prop_assert!(got <= n);
                prop_assert!(got == n || bucket.opens() > now);
                passed.push((now, got));
            }
            for (i, (from, _)) in passed.iter().enumerate() {
                let sum: u64 = passed[i..].iter().map(|(_, n)| n).sum();
                let gained = (now - *from).as_nanos() * u128::from(lines) / limit.interval.as_nanos();
                prop_assert!(u128::from(sum) <= u128::from(lines) + gained + 1);
            }
        }
    }
}
