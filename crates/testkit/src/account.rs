//! What the daemon's metrics say of its processes' lines.

use std::collections::BTreeMap;

const PREFIX: &str = "ddprocmgr_process_log_";

/// One stream of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The process's name.
    pub process: String,
    /// stdout or stderr.
    pub stream: String,
    /// Lines read.
    pub lines: u64,
    /// Bytes read.
    pub bytes: u64,
    sinks: BTreeMap<String, SinkAccount>,
}

/// What became of them at one sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkAccount {
    /// Handed on whole.
    pub written: u64,
    /// Lost, and counted.
    pub dropped: u64,
    /// Handed on, but cut.
    pub truncated: u64,
    /// Still waiting.
    pub queued: u64,
    /// Failed writes.
    pub errors: u64,
}

impl Account {
    /// Every account of an exposition.
    #[must_use]
    pub fn all(exposition: &str) -> Vec<Self> {
        let mut all: BTreeMap<(String, String), Self> = BTreeMap::new();
        for (name, labels, value) in exposition.lines().filter_map(parse) {
            let label = |name: &str| labels.get(name).copied().unwrap_or_default().to_owned();
            let key = (label("process"), label("stream"));
            let account = all.entry(key.clone()).or_insert_with(|| Self {
                process: key.0,
                stream: key.1,
                ..Self::default()
            });
            if labels.contains_key("sink") {
                let sink = account.sinks.entry(label("sink")).or_default();
                match name {
                    "written_lines_total" => sink.written = value,
                    "dropped_lines_total" => sink.dropped = value,
                    "truncated_lines_total" => sink.truncated = value,
                    "queued_lines" => sink.queued = value,
                    "write_errors_total" => sink.errors = value,
                    _ => {}
                }
            } else {
                match name {
                    "lines_total" => account.lines = value,
                    "bytes_total" => account.bytes = value,
                    _ => {}
                }
            }
        }
        all.into_values().collect()
    }

    /// Standard output of one process; zeros when it has none there.
    #[must_use]
    pub fn of(exposition: &str, process: &str) -> Self {
        let mut all = Self::all(exposition).into_iter();
        let found = all.find(|account| account.process == process && account.stream == "stdout");
        found.unwrap_or_else(|| Self {
            process: process.to_owned(),
            stream: "stdout".to_owned(),
            ..Self::default()
        })
    }

    /// One sink's numbers; zeros when it is not on.
    #[must_use]
    pub fn sink(&self, name: &str) -> SinkAccount {
        self.sinks.get(name).copied().unwrap_or_default()
    }

    /// Whether every line is accounted for at every sink. In the middle of a batch the sides are booked one after the
    /// other; at rest they are equal.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.sinks.values().all(|s| self.lines == s.written + s.dropped + s.truncated + s.queued)
    }

    /// Whether nothing waits for any sink.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.adds_up() && self.sinks.values().all(|sink| sink.queued == 0)
    }
}

/// Name without the prefix, labels and value of a series; no label that is of interest here has anything to escape.
fn parse(line: &str) -> Option<(&str, BTreeMap<&str, &str>, u64)> {
    let (series, value) = line.strip_prefix(PREFIX)?.rsplit_once(' ')?;
    let (name, labels) = series.strip_suffix('}')?.split_once('{')?;
    let label = |text| -> Option<(&str, &str)> {
        let (name, value) = str::split_once(text, "=\"")?;
        Some((name, value.strip_suffix('"')?))
    };
    Some((name, labels.split(',').filter_map(label).collect(), value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# TYPE ddprocmgr_process_log_lines_total counter
ddprocmgr_process_log_lines_total{process=\"a\",stream=\"stdout\"} 7
ddprocmgr_process_log_bytes_total{process=\"a\",stream=\"stdout\"} 70
ddprocmgr_process_log_written_lines_total{process=\"a\",stream=\"stdout\",sink=\"file\"} 4
ddprocmgr_process_log_queued_lines{process=\"a\",stream=\"stdout\",sink=\"file\"} 3
ddprocmgr_process_log_lines_total{process=\"a\",stream=\"stderr\"} 1
";

    #[test]
    fn an_exposition_is_read() {
        let account = Account::of(TEXT, "a");
        assert_eq!((account.lines, account.bytes, account.sink("file").written), (7, 70, 4));
        assert!(account.adds_up() && !account.is_settled());
        assert_eq!(Account::all(TEXT).len(), 2);
        assert!(!Account::of(&TEXT.replace("} 3", "} 2"), "a").adds_up());
    }
}
