//! What happens to the lines that a process prints.

use std::fmt;
use std::time::Duration;

/// `log:` of a definition. Everything in it applies to the running process at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSpec {
    /// Send lines to journald, when it is there.
    pub journald: bool,
    /// Write lines to the file.
    pub file: bool,
    /// Rotate when the file would grow beyond this many bytes; 0 = never.
    pub max_size: u64,
    /// Rotate a file whose first line is older than this, at the next line; zero = never.
    pub max_age: Duration,
    /// Rotated files kept beside the current one.
    pub max_files: u32,
    /// Bytes that the rotated files may take together, as they are on disk; the oldest go first; 0 = no bound.
    pub max_total_size: u64,
    /// What becomes of a rotated file.
    pub compress: Compression,
    /// How a line is written to the file.
    pub format: LogFormat,
    /// Longest line in bytes; longer ones are cut, marked and counted.
    pub max_line: u32,
    /// What happens to new lines while the file can't be written.
    pub overflow: Overflow,
    /// What happens to new lines while journald takes none and the buffer for it is full.
    pub journald_overflow: Overflow,
    /// At most this many lines go to the file; `None` = all.
    pub file_rate_limit: Option<RateLimit>,
    /// At most this many lines go to journald; `None` = all. The file gets them all the same.
    pub rate_limit: Option<RateLimit>,
    /// Which lines belong together as one journal entry.
    pub multiline: Multiline,
    /// What is read from a line for the journal's fields.
    pub parse: LineParser,
    /// Keys of a JSON line that become fields of its journal entry, in upper case. Only with `parse: json`.
    pub json_fields: Vec<String>,
    /// Regular expressions; what matches is replaced in each line before any sink gets it.
    pub redact: Vec<String>,
}

impl Default for LogSpec {
    fn default() -> Self {
        Self {
            journald: true,
            file: true,
            max_size: 50 << 20,
            max_age: Duration::ZERO,
            max_files: 5,
            max_total_size: 0,
            compress: Compression::None,
            format: LogFormat::Raw,
            max_line: 256 << 10,
            overflow: Overflow::Block,
            journald_overflow: Overflow::DropNewest,
            file_rate_limit: None,
            rate_limit: None,
            multiline: Multiline::None,
            parse: LineParser::None,
            json_fields: Vec::new(),
            redact: Vec::new(),
        }
    }
}

macro_rules! words {
    ($name:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $name {
            /// Every one.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// As written in a definition.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
    };
}

/// `compress:`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Rotated files stay as they are.
    #[default]
    None,
    /// They are compressed in the background.
    Gzip,
}

words!(Compression: None = "none", Gzip = "gzip");

/// `format:`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Byte for byte as printed.
    #[default]
    Raw,
    /// `<time> <stream> ` and the line.
    Prefixed,
    /// One JSON object a line.
    Json,
    /// `key=value` pairs.
    Logfmt,
}

words!(LogFormat: Raw = "raw", Prefixed = "prefixed", Json = "json", Logfmt = "logfmt");

/// What happens to lines when a sink takes no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The process waits at its next write: no line is lost.
    #[default]
    Block,
    /// The oldest lines that wait are dropped, counted and marked.
    DropOldest,
    /// New lines are dropped, counted and marked.
    DropNewest,
}

words!(Overflow: Block = "block", DropOldest = "drop_oldest", DropNewest = "drop_newest");

/// `rate_limit:` so many lines within so much time; what is beyond is dropped, counted and marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Lines; at least 1.
    pub lines: u32,
    /// Within this time; not zero.
    pub interval: Duration,
}

/// As written in a definition: `1000/s`, `500/10s`, by the largest unit that leaves no rest.
impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u128); 6] = [
            ("d", 86_400_000_000_000),
            ("h", 3_600_000_000_000),
            ("m", 60_000_000_000),
            ("s", 1_000_000_000),
            ("ms", 1_000_000),
            ("us", 1_000),
        ];
        let nanos = self.interval.as_nanos();
        let whole = UNITS.into_iter().find(|(_, unit)| nanos > 0 && nanos.is_multiple_of(*unit));
        let (unit, length) = whole.unwrap_or(("ns", 1));
        match nanos / length {
            1 => write!(f, "{}/{unit}", self.lines),
            count => write!(f, "{}/{count}{unit}", self.lines),
        }
    }
}

/// `multiline:`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Multiline {
    /// Each line is an entry.
    #[default]
    None,
    /// A line that starts with a blank or a tab belongs to the one before it.
    Indent,
    /// A line that doesn't match this regular expression belongs to the one before it.
    Start(String),
}

impl Multiline {
    /// As written in a definition.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "none",
            Self::Indent => "indent",
            Self::Start(pattern) => pattern,
        }
    }
}

/// `parse:`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineParser {
    /// The line is the message.
    #[default]
    None,
    /// A JSON object: its level becomes the priority, its message the message.
    Json,
    /// `<N>` at its start is the priority, as sd-daemon(3) has it.
    SyslogPrefix,
}

words!(LineParser: None = "none", Json = "json", SyslogPrefix = "syslog-prefix");

/// Where captured lines go, as the value of the `sink` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sink {
    /// The process's log file.
    File,
    /// The journal.
    Journald,
    /// The terminal that the daemon runs on.
    Console,
}

impl Sink {
    /// Every sink.
    pub const ALL: [Self; 3] = [Self::File, Self::Journald, Self::Console];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Journald => "journald",
            Self::Console => "console",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_one_spelling() {
        for (nanos, text) in [
            (1_000_000_000, "7/s"),
            (10_000_000_000, "7/10s"),
            (60_000_000_000, "7/m"),
            (90_000_000_000, "7/90s"),
            (86_400_000_000_000, "7/d"),
            (7_200_000_000_000, "7/2h"),
            (100_000_000, "7/100ms"),
            (1_000_500_000, "7/1000500us"),
            (1_000_000_001, "7/1000000001ns"),
            (0, "7/0ns"),
        ] {
            let limit = RateLimit { lines: 7, interval: Duration::from_nanos(nanos) };
            assert_eq!(limit.to_string(), text);
        }
    }
}
