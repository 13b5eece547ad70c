//! The daemon's own metrics, read as Prometheus reads them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result};
use testkit::{TempDaemon, eventually};

/// A scrape shows values that are at most this old: whoever wants to see what was just done waits that long.
pub(crate) const STALE: Duration = Duration::from_millis(1100);

/// Where a daemon's metrics are; the port is one that the kernel chose.
#[derive(Debug)]
pub(crate) struct Metrics {
    address: String,
}

/// One exposition.
#[derive(Debug)]
pub(crate) struct Exposition(String);

impl Metrics {
    pub(crate) fn of(daemon: &TempDaemon) -> Self {
        let address = eventually("the metrics to be served", || {
            let status = daemon.pm(&["status", "--output", "json"]).json();
            let listeners = status["listeners"].as_array()?;
            let found = listeners.iter().find(|l| l["role"] == "metrics" && l["state"] == "listening")?;
            found["address"].as_str().map(str::to_owned)
        });
        Self { address }
    }

    /// Those of another exporter.
    pub(crate) fn at(address: String) -> Self {
        Self { address }
    }

    /// One scrape.
    pub(crate) fn scrape(&self) -> Result<Exposition> {
        let mut stream = TcpStream::connect(&self.address).context("the metrics port")?;
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: measure\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the metrics port gave no HTTP answer")?;
        Ok(Exposition(body.to_owned()))
    }
}

impl Exposition {
    /// As it came.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The sum of all series of this name.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values = self.0.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next());
        values.filter_map(|value| value.parse::<f64>().ok()).sum()
    }

    /// The longest turn of the supervisor since the daemon started.
    pub(crate) fn longest_turn(&self) -> Duration {
        let seconds = self.sum("ddprocmgr_supervisor_longest_turn_seconds");
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_name_are_summed_and_longer_names_are_others() {
        let text =
            "# TYPE a counter\na{process=\"x y\"} 2\na{process=\"z\"} 3\nab 100\na_b{c=\"d\"} 7\nb 1.5e3\n";
        let exposition = Exposition(text.to_owned());
        assert_eq!((exposition.sum("a"), exposition.sum("b"), exposition.sum("none")), (5.0, 1500.0, 0.0));
    }
}
