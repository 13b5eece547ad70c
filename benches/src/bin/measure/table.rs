//! The output.
#![expect(clippy::print_stdout, reason = "a command for developers; this is its output")]

use std::time::Duration;

/// Prints a line as soon as it is known.
#[derive(Debug)]
pub(crate) struct Table;

impl Table {
    pub(crate) fn new() -> Self {
        println!("{:<52} {:>12} {:>12} {:>8}", "what", "daemon", "bare", "ratio");
        Self
    }

    /// Two times for the same work; a ratio below 1 means that the daemon is faster.
    pub(crate) fn times(&mut self, what: &str, daemon: Duration, bare: Duration) {
        let ratio = daemon.as_secs_f64() / bare.as_secs_f64();
        println!("{what:<52} {:>12} {:>12} {ratio:>8.2}", text(daemon), text(bare));
    }

    /// Two rates in bytes per second; a ratio above 1 means that the daemon is faster.
    pub(crate) fn rates(&mut self, what: &str, daemon: f64, bare: f64) {
        let text = |rate: f64| format!("{:.0} MB/s", rate / 1e6);
        println!("{what:<52} {:>12} {:>12} {:>8.2}", text(daemon), text(bare), daemon / bare);
    }

    /// A number that has no bare counterpart.
    pub(crate) fn number(&mut self, what: &str, value: &str) {
        println!("{what:<52} {value:>12}");
    }
}

fn text(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 100.0 { format!("{ms:.3} ms") } else { format!("{ms:.0} ms") }
}

/// The value that this share of the samples does not exceed; `share` from 0.0 to 1.0.
pub(crate) fn percentile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    let wanted = share * samples.len() as f64;
    let rank = samples.iter().zip(1_u32..).find(|(_, n)| f64::from(*n) >= wanted);
    rank.map_or(Duration::ZERO, |(time, _)| *time)
}
