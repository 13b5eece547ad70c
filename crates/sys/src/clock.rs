//! The two clocks.

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

/// (monotonic, realtime) in nanoseconds: CLOCK_MONOTONIC for durations, UNIX time for display.
#[must_use]
pub fn now() -> (u64, u64) {
    (read(ClockId::CLOCK_MONOTONIC), read(ClockId::CLOCK_REALTIME))
}

fn read(clock: ClockId) -> u64 {
    // These two clocks exist on every Linux. A realtime clock before 1970 reads as 1970.
    let time = clock_gettime(clock).unwrap_or(TimeSpec::new(0, 0));
    let (seconds, nanos) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_nsec()));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    #[test]
    fn both_clocks_are_the_ones_they_claim_to_be() {
        let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let (first, real) = super::now();
        let after = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        assert!((before..=after).contains(&u128::from(real)));
        let (second, _) = super::now();
        assert!(0 < first && first <= second);
    }
}
