//! Points in time as plain numbers, so that the pure core can be driven by hand.

use std::fmt;
use std::time::Duration;

/// Monotonic nanoseconds since an arbitrary origin (CLOCK_MONOTONIC). All deadlines are of this kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

/// Nanoseconds since the Unix epoch (CLOCK_REALTIME). For display only: it may jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

/// Both clocks, read together by the one place that reads clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// For arithmetic and deadlines.
    pub mono: Mono,
    /// For display.
    pub wall: Wall,
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

impl Mono {
    /// `self + d`, saturating: a deadline beyond 584 years is "never".
    #[must_use]
    pub fn after(self, d: Duration) -> Self {
        Self(self.0.saturating_add(nanos(d)))
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Wall {
    /// Seconds since the epoch, with fraction.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a display value: microseconds survive until the year 2255"
    )]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// `self + d`, saturating.
    #[must_use]
    pub fn after(self, d: Duration) -> Self {
        Self(self.0.saturating_add(nanos(d)))
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// RFC 3339 in UTC with milliseconds, `2026-11-20T18:37:30.123Z`.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, millis) = (self.0 / 1_000_000_000, self.0 / 1_000_000 % 1_000);
        let (days, rest) = (secs / 86_400, secs % 86_400);
        // Days to civil date after Howard Hinnant's public-domain `civil_from_days`; valid for all of u64 seconds.
        let z = days + 719_468;
        let (era, doe) = (z / 146_097, z % 146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let (d, m) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
        let y = yoe + era * 400 + u64::from(m <= 2);
        let (hh, mm, ss) = (rest / 3_600, rest / 60 % 60, rest % 60);
        write!(f, "{y:04}-{m:02}-{d:02}T{hh:02}:{mm:02}:{ss:02}.{millis:03}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_prints_rfc3339() {
        assert_eq!(Wall(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Wall(951_782_399_999_000_000).to_string(), "2000-02-28T23:59:59.999Z");
        assert_eq!(Wall(951_782_400_000_000_000).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Wall(1_795_199_850_123_456_789).to_string(), "2026-11-20T18:37:30.123Z");
    }

    #[test]
    fn mono_saturates() {
        assert_eq!(Mono(5).since(Mono(9)), Duration::ZERO);
        assert_eq!(Mono(1).after(Duration::MAX), Mono(u64::MAX));
    }
}
