//! Values of the keys below `log:`.

use std::time::Duration;

use model::{Compression, LineParser, LogFormat, Multiline, Overflow, RateLimit};
use serde_yaml::Value;

use super::choice::choice;
use super::number::{Seconds, time};
use super::pattern::{Pattern, check_pattern};
use super::{Kind, each, one_or_each, one_or_list, replaced_as_a_whole, scalar};
use crate::fault::Faults;
use crate::tree::{Node, Yaml, quoted};

/// `max_age`
pub(crate) struct Age;

/// A file a second is what nobody wants, but it works; anything shorter is a mistake in the unit.
const YOUNGEST: Duration = Duration::from_secs(1);

impl Kind for Age {
    type Value = Duration;
    const WORDS: &'static str = "0, or a time from `1` second on (`12h`, `7d`)";

    fn read(node: &Node, faults: &mut Faults) -> Option<Duration> {
        Seconds::read(node, faults)
    }

    fn check(value: &Duration, faults: &mut Faults) {
        Seconds::check(value, faults);
        if !value.is_zero() && *value < YOUNGEST {
            faults.value("less than a second", "write 0 for never, or a time such as 12h or 7d");
        }
    }

    fn write(value: &Duration) -> Value {
        Seconds::write(value)
    }

    replaced_as_a_whole!();
}

/// `compress`
pub(crate) struct CompressionKind;

impl Kind for CompressionKind {
    type Value = Compression;
    const WORDS: &'static str = "`none` or `gzip`";

    fn read(node: &Node, faults: &mut Faults) -> Option<Compression> {
        if let Some(text @ ("zstd" | "zst" | "xz" | "lz4" | "bzip2" | "brotli")) = node.value.text() {
            faults.value(format!("{} is not supported by this version", quoted(text)), "write gzip");
            return None;
        }
        let foreign = [("true", "gzip"), ("yes", "gzip"), ("gz", "gzip"), ("false", "none"), ("no", "none")];
        choice(node, faults, &Compression::ALL.map(|c| (c.as_str(), c)), &foreign)
    }

    fn write(value: &Compression) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// `format`
pub(crate) struct FormatKind;

impl Kind for FormatKind {
    type Value = LogFormat;
    const WORDS: &'static str = "`raw`, `prefixed`, `json` or `logfmt`";

    fn read(node: &Node, faults: &mut Faults) -> Option<LogFormat> {
        let foreign = [
            ("none", "raw"),
            ("plain", "raw"),
            ("text", "raw"),
            ("prefix", "prefixed"),
            ("timestamp", "prefixed"),
            ("jsonl", "json"),
            ("ndjson", "json"),
        ];
        choice(node, faults, &LogFormat::ALL.map(|f| (f.as_str(), f)), &foreign)
    }

    fn write(value: &LogFormat) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// `overflow` and `journald_overflow`
pub(crate) struct OverflowKind;

impl Kind for OverflowKind {
    type Value = Overflow;
    const WORDS: &'static str = "`block`, `drop_oldest` or `drop_newest`";

    fn read(node: &Node, faults: &mut Faults) -> Option<Overflow> {
        let foreign = [
            ("wait", "block"),
            ("blocking", "block"),
            ("non-blocking", "drop_newest"),
            ("drop", "drop_newest"),
            ("discard", "drop_newest"),
            ("drop_new", "drop_newest"),
            ("drop_old", "drop_oldest"),
            ("ring", "drop_oldest"),
        ];
        choice(node, faults, &Overflow::ALL.map(|o| (o.as_str(), o)), &foreign)
    }

    fn write(value: &Overflow) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// `parse`
pub(crate) struct ParserKind;

impl Kind for ParserKind {
    type Value = LineParser;
    const WORDS: &'static str = "`none`, `json` or `syslog-prefix`";

    fn read(node: &Node, faults: &mut Faults) -> Option<LineParser> {
        let foreign = [
            ("raw", "none"),
            ("false", "none"),
            ("jsonl", "json"),
            ("ndjson", "json"),
            ("syslog", "syslog-prefix"),
            ("prefix", "syslog-prefix"),
            ("sd-daemon", "syslog-prefix"),
            ("true", "syslog-prefix"),
        ];
        choice(node, faults, &LineParser::ALL.map(|p| (p.as_str(), p)), &foreign)
    }

    fn write(value: &LineParser) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// `rate_limit` and `file_rate_limit`
pub(crate) struct Rate;

const RATES: &str = "write lines, a `/` and a time (1000/s, 500/10s, 60000/m), or none";
/// More lines than a machine can print in the longest interval: beyond it a number is a mistake.
const LINES: std::ops::RangeInclusive<u32> = 1..=1_000_000_000;
/// Shorter ones are no limit but a jitter; longer ones would let a day's lines through at once.
const INTERVAL: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60);

/// `500/10s`. A unit alone is one of it.
fn rate(text: &str) -> Option<RateLimit> {
    let (lines, interval) = text.split_once('/')?;
    let (lines, interval) = (lines.trim(), interval.trim());
    if lines.is_empty() || !lines.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let one = if interval.starts_with(|c: char| c.is_ascii_alphabetic()) { "1" } else { "" };
    let nanos = time(&format!("{one}{interval}"))?;
    // What is too large for its type is too large for `check`, which says so.
    Some(RateLimit {
        lines: lines.parse().unwrap_or(u32::MAX),
        interval: Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)),
    })
}

impl Kind for Rate {
    /// `None` = no limit.
    type Value = Option<RateLimit>;
    const WORDS: &'static str = "lines in a time (`1000/s`, `500/10s`), or `none`";

    fn read(node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        let text = scalar(node, "a rate such as `1000/s`", faults)?.trim();
        if text == "none" {
            return Some(None);
        }
        if let Some(limit) = rate(text) {
            return Some(Some(limit));
        }
        let hint = match text {
            "0" | "no" | "off" | "false" | "unlimited" | "infinity" => "write none for no limit".to_owned(),
            _ if text.len() < 11 && text.bytes().all(|b| b.is_ascii_digit()) => {
                format!("say in which time: {text}/s")
            }
            _ => RATES.to_owned(),
        };
        faults.value(format!("expected a rate such as `1000/s`, found {}", quoted(text)), hint);
        None
    }

    fn check(value: &Self::Value, faults: &mut Faults) {
        let Some(limit) = value else { return };
        if limit.lines == 0 {
            faults.value("a rate of 0 lines would drop them all", "write none for no limit");
        } else if !LINES.contains(&limit.lines) {
            faults.value("more than 1000000000 lines", RATES);
        }
        if !INTERVAL.contains(&limit.interval) {
            faults.value("the time of a rate is from 100ms to 1d", RATES);
        }
    }

    fn write(value: &Self::Value) -> Value {
        value.map_or_else(|| "none".into(), |limit| limit.to_string().into())
    }

    replaced_as_a_whole!();
}

/// `multiline`
pub(crate) struct MultilineKind;

const MULTILINE: &str = "write none, indent, or a regular expression that a first line matches: '^\\d{4}-'";

impl Kind for MultilineKind {
    type Value = Multiline;
    const WORDS: &'static str = "`none`, `indent`, or a regular expression";

    fn read(node: &Node, faults: &mut Faults) -> Option<Multiline> {
        // Both would be taken for regular expressions, which nobody means.
        if let Yaml::Bool(..) | Yaml::Number(_) = node.value {
            faults.value(format!("expected a word or a regular expression, found {}", node.value), MULTILINE);
            return None;
        }
        let text = scalar(node, "a word or a regular expression", faults)?;
        Some(match text {
            "none" => Multiline::None,
            "indent" => Multiline::Indent,
            "yes" | "no" | "on" | "off" | "auto" | "indented" | "java" | "python" | "go" => {
                faults.value(format!("{} is no way to join lines", quoted(text)), MULTILINE);
                return None;
            }
            pattern => Multiline::Start(pattern.to_owned()),
        })
    }

    fn check(value: &Multiline, faults: &mut Faults) {
        let Multiline::Start(pattern) = value else { return };
        check_pattern(pattern, faults);
        // It would be written as the word, and read back as that.
        if matches!(pattern.as_str(), "none" | "indent") {
            faults.value(
                format!("{} is a word of this key", quoted(pattern)),
                format!("write ({pattern}) for a line that contains it"),
            );
        }
    }

    fn write(value: &Multiline) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}

/// `json_fields`
pub(crate) struct JsonKeys;

/// Each line is looked through for all of them.
const MOST: usize = 64;
/// Longest key; a field of the journal has no more.
const KEY: usize = 64;

fn few(count: usize, what: &str, faults: &mut Faults) {
    if count > MOST {
        faults.value(format!("{count} {what}"), format!("write at most {MOST}"));
    }
}

impl Kind for JsonKeys {
    type Value = Vec<String>;
    const WORDS: &'static str = "a key, or a list of them: `[trace_id, user.id]`";

    fn read(node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
        one_or_each(node, "a key", faults, |node, faults| scalar(node, "a key", faults).map(str::to_owned))
    }

    fn check(value: &Vec<String>, faults: &mut Faults) {
        few(value.len(), "keys", faults);
        each(value, faults, |key, faults| {
            let part = |part: &str| part.contains(|c: char| c.is_ascii_alphanumeric());
            let plain = |c: char| !c.is_whitespace() && !c.is_control();
            if key.len() > KEY || !key.chars().all(plain) || !key.split('.').all(part) {
                let hint =
                    "write it as it stands in the line, inner ones behind a dot: user.id; at most 64 bytes";
                faults.value(format!("{} can't become a field of the journal", quoted(key)), hint);
            }
        });
    }

    fn write(value: &Vec<String>) -> Value {
        one_or_list(value.iter().map(|key| key.as_str().into()).collect())
    }

    replaced_as_a_whole!();
}

/// `redact`
pub(crate) struct Patterns;

impl Kind for Patterns {
    type Value = Vec<String>;
    const WORDS: &'static str = "a regular expression, or a list of them";

    fn read(node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
        one_or_each(node, "a regular expression", faults, |node, faults| {
            if let Yaml::Bool(..) = node.value {
                let hint = r"write what is to be hidden: 'password=\S+'; there is no list of such things";
                faults.value(format!("expected a regular expression, found {}", node.value), hint);
                return None;
            }
            scalar(node, "a regular expression", faults).map(str::to_owned)
        })
    }

    fn check(value: &Vec<String>, faults: &mut Faults) {
        few(value.len(), "regular expressions", faults);
        // Those beyond are not compiled, as there may be a hundred thousand.
        each(value.get(..MOST).unwrap_or(value), faults, |pattern, faults| {
            if check_pattern(pattern, faults) == Some(Pattern::Empty) {
                let hint = "let it match at least one character: `+` instead of `*`";
                faults.value("this matches where there is nothing to replace", hint);
            }
        });
    }

    fn write(value: &Vec<String>) -> Value {
        one_or_list(value.iter().map(|pattern| pattern.as_str().into()).collect())
    }

    replaced_as_a_whole!();
}
