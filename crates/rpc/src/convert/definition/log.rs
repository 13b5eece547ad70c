//! What happens to the lines that a process prints.

use model::{Compression, LineParser, LogDefinition, LogFormat, Multiline, Overflow, RateLimit};

use super::check::Check;
use super::{duration, strings};
use crate::v1;

/// Absent when no key below `log:` is written.
pub(crate) fn log_to_wire(log: LogDefinition) -> Option<v1::LogDefinition> {
    (log != LogDefinition::default()).then(|| v1::LogDefinition {
        journald: log.journald,
        file: log.file,
        max_size: log.max_size,
        max_age: log.max_age.map(duration),
        max_files: log.max_files,
        max_total_size: log.max_total_size,
        compress: log.compress.map_or(v1::Compression::Unspecified, compress).into(),
        format: log.format.map_or(v1::LogFormat::Unspecified, format).into(),
        max_line: log.max_line,
        overflow: log.overflow.map_or(v1::Overflow::Unspecified, overflow).into(),
        journald_overflow: log.journald_overflow.map_or(v1::Overflow::Unspecified, overflow).into(),
        file_rate_limit: log.file_rate_limit.map(rate_limit),
        rate_limit: log.rate_limit.map(rate_limit),
        multiline: log.multiline.map(|multiline| multiline.as_str().to_owned()),
        parse: log.parse.map_or(v1::LineParser::Unspecified, parse).into(),
        json_fields: log.json_fields.map(strings),
        redact: log.redact.map(strings),
    })
}

fn compress(how: Compression) -> v1::Compression {
    match how {
        Compression::None => v1::Compression::None,
        Compression::Gzip => v1::Compression::Gzip,
    }
}

fn format(format: LogFormat) -> v1::LogFormat {
    match format {
        LogFormat::Raw => v1::LogFormat::Raw,
        LogFormat::Prefixed => v1::LogFormat::Prefixed,
        LogFormat::Json => v1::LogFormat::Json,
        LogFormat::Logfmt => v1::LogFormat::Logfmt,
    }
}

fn overflow(overflow: Overflow) -> v1::Overflow {
    match overflow {
        Overflow::Block => v1::Overflow::Block,
        Overflow::DropOldest => v1::Overflow::DropOldest,
        Overflow::DropNewest => v1::Overflow::DropNewest,
    }
}

fn parse(parser: LineParser) -> v1::LineParser {
    match parser {
        LineParser::None => v1::LineParser::None,
        LineParser::Json => v1::LineParser::Json,
        LineParser::SyslogPrefix => v1::LineParser::SyslogPrefix,
    }
}

/// No limit is a message without lines.
fn rate_limit(limit: Option<RateLimit>) -> v1::RateLimit {
    limit.map_or_else(v1::RateLimit::default, |limit| v1::RateLimit {
        lines: limit.lines,
        interval: Some(duration(limit.interval)),
    })
}

impl Check {
    pub(super) fn log(&mut self, log: Option<v1::LogDefinition>) -> LogDefinition {
        let log = log.unwrap_or_default();
        LogDefinition {
            journald: log.journald,
            file: log.file,
            max_size: log.max_size,
            max_age: self.duration("log.max_age", log.max_age),
            max_files: log.max_files,
            max_total_size: log.max_total_size,
            compress: self.choice("log.compress", log.compress, |w| match w {
                v1::Compression::Unspecified => None,
                v1::Compression::None => Some(Compression::None),
                v1::Compression::Gzip => Some(Compression::Gzip),
            }),
            format: self.choice("log.format", log.format, |w| match w {
                v1::LogFormat::Unspecified => None,
                v1::LogFormat::Raw => Some(LogFormat::Raw),
                v1::LogFormat::Prefixed => Some(LogFormat::Prefixed),
                v1::LogFormat::Json => Some(LogFormat::Json),
                v1::LogFormat::Logfmt => Some(LogFormat::Logfmt),
            }),
            max_line: log.max_line,
            overflow: self.overflow("log.overflow", log.overflow),
            journald_overflow: self.overflow("log.journald_overflow", log.journald_overflow),
            file_rate_limit: self.rate_limit("log.file_rate_limit", log.file_rate_limit),
            rate_limit: self.rate_limit("log.rate_limit", log.rate_limit),
            multiline: log.multiline.map(|text| match text.as_str() {
                "none" => Multiline::None,
                "indent" => Multiline::Indent,
                _ => Multiline::Start(text),
            }),
            parse: self.choice("log.parse", log.parse, |w| match w {
                v1::LineParser::Unspecified => None,
                v1::LineParser::None => Some(LineParser::None),
                v1::LineParser::Json => Some(LineParser::Json),
                v1::LineParser::SyslogPrefix => Some(LineParser::SyslogPrefix),
            }),
            json_fields: log.json_fields.map(|l| l.values),
            redact: log.redact.map(|l| l.values),
        }
    }

    fn overflow(&mut self, field: &str, raw: i32) -> Option<Overflow> {
        self.choice(field, raw, |w| match w {
            v1::Overflow::Unspecified => None,
            v1::Overflow::Block => Some(Overflow::Block),
            v1::Overflow::DropOldest => Some(Overflow::DropOldest),
            v1::Overflow::DropNewest => Some(Overflow::DropNewest),
        })
    }

    fn rate_limit(&mut self, field: &str, limit: Option<v1::RateLimit>) -> Option<Option<RateLimit>> {
        let limit = limit?;
        if limit.lines == 0 {
            return Some(None);
        }
        let field = format!("{field}.interval");
        if limit.interval.is_none() {
            self.fault(&field, "a rate needs the time in which so many lines may come");
        }
        let interval = self.duration(&field, limit.interval)?;
        Some(Some(RateLimit { lines: limit.lines, interval }))
    }
}
