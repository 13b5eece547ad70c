//! Where output goes.

use std::time::Duration;

use model::{Definition, LineParser, Output, RateLimit};

use super::flag;
use crate::import::draft::Import;
use crate::import::systemd::specifier::Specifiers;
use crate::import::systemd::time::span;
use crate::import::systemd::unit::Assignment;

pub(super) fn read(
    from: &Assignment,
    specifiers: &Specifiers<'_>,
    definition: &mut Definition,
    into: &mut Import,
) {
    match from.key.as_str() {
        "StandardOutput" => {
            if let Some(output) = target(from, specifiers, into) {
                definition.stdout = Some(output);
            }
        }
        // What standard output has, when it says so.
        "StandardError" if from.value == "inherit" => definition.stderr.clone_from(&definition.stdout),
        "StandardError" => {
            definition.stderr = target(from, specifiers, into).filter(|output| *output != Output::Capture);
        }
        "SyslogLevelPrefix" => {
            definition.log.parse =
                (flag::read(&from.value) == Some(true)).then_some(LineParser::SyslogPrefix);
        }
        "LogRateLimitBurst" => match from.value.parse::<u32>().ok().filter(|lines| *lines > 0) {
            Some(lines) => {
                let interval = definition
                    .log
                    .rate_limit
                    .flatten()
                    .map_or(Duration::from_secs(30), |limit| limit.interval);
                definition.log.rate_limit = Some(Some(RateLimit { lines, interval }));
            }
            None => definition.log.rate_limit = None,
        },
        "LogRateLimitIntervalSec" => match span(&from.value) {
            Some(interval) if !interval.is_zero() && interval <= Duration::from_secs(86_400) => {
                let lines = definition.log.rate_limit.flatten().map_or(10_000, |limit| limit.lines);
                definition.log.rate_limit = Some(Some(RateLimit { lines, interval }));
            }
            Some(_) => definition.log.rate_limit = None,
            None => into.lost(&from.at, &from.written(), "it is no time", ""),
        },
        _ => into.lost(
            &from.at,
            &from.written(),
            "the identifier in the journal is the process's name",
            "look for PROCESS_NAME= or SYSLOG_IDENTIFIER= of the new name",
        ),
    }
}

fn target(from: &Assignment, specifiers: &Specifiers<'_>, into: &mut Import) -> Option<Output> {
    let (word, path) = from.value.split_once(':').unwrap_or((&from.value, ""));
    match word {
        "null" => Some(Output::Null),
        "journal" | "syslog" | "kmsg" | "inherit" => Some(Output::Capture),
        "journal+console" | "syslog+console" | "kmsg+console" => {
            into.changed(&from.at, &from.written(), "lines don't go to the console", "");
            Some(Output::Capture)
        }
        "file" | "append" | "truncate" => {
            if word == "truncate" {
                into.changed(
                    &from.at,
                    &from.written(),
                    "a file is never truncated",
                    "it is rotated as `log:` says",
                );
            }
            match specifiers.expand(path) {
                Ok(path) => Some(Output::File(path.into())),
                Err(why) => {
                    into.lost(&from.at, &from.written(), why, "write the path out");
                    None
                }
            }
        }
        _ => {
            into.lost(
                &from.at,
                &from.written(),
                "output goes to files and journald",
                "write `inherit` for the daemon's own",
            );
            None
        }
    }
}
