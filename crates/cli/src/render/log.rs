//! The keys below `log:`, each with its value.

use std::time::Duration;

use model::RateLimit;
use rpc::v1;
use serde_json::{Value, json};

use super::definition::policy_word;
use super::paint::one_line;
use super::word;
use crate::units;

/// The value of a key.
#[derive(PartialEq)]
enum Setting {
    Flag(bool),
    Count(u32),
    Bytes(u64),
    Time(Duration),
    Text(String),
    List(Vec<String>),
}

/// Every key, in the order of processes.yaml; `None` = the daemon doesn't say, or doesn't know it.
fn settings(log: &v1::LogDefinition) -> [(&'static str, Option<Setting>); 17] {
    use Setting::{Bytes, Count, Flag, List, Text, Time};
    let overflow = |how: v1::Overflow| known(how.into(), word(how.as_str_name(), "OVERFLOW_"));
    let list = |list: &Option<v1::StringList>| list.clone().map(|list| List(list.values));
    [
        ("journald", log.journald.map(Flag)),
        ("file", log.file.map(Flag)),
        ("max_size", log.max_size.map(Bytes)),
        ("max_age", log.max_age.map(|age| Time(units::duration(age)))),
        ("max_files", log.max_files.map(Count)),
        ("max_total_size", log.max_total_size.map(Bytes)),
        ("compress", known(log.compress().into(), word(log.compress().as_str_name(), "COMPRESSION_"))),
        ("format", known(log.format().into(), word(log.format().as_str_name(), "LOG_FORMAT_"))),
        ("max_line", log.max_line.map(|line| Bytes(line.into()))),
        ("overflow", overflow(log.overflow())),
        ("journald_overflow", overflow(log.journald_overflow())),
        ("file_rate_limit", log.file_rate_limit.map(rate)),
        ("rate_limit", log.rate_limit.map(rate)),
        ("multiline", log.multiline.clone().map(Text)),
        ("parse", known(log.parse().into(), policy_word(log.parse().as_str_name(), "LINE_PARSER_"))),
        ("json_fields", list(&log.json_fields)),
        ("redact", list(&log.redact)),
    ]
}

/// The word of an enum that has a value, and one that this version knows.
fn known(raw: i32, word: String) -> Option<Setting> {
    (raw != 0).then_some(Setting::Text(word))
}

/// As written in a definition: `1000/s`, `none`.
fn rate(limit: v1::RateLimit) -> Setting {
    Setting::Text(match limit.lines {
        0 => "none".to_owned(),
        lines => {
            let interval = limit.interval.map(units::duration).unwrap_or_default();
            RateLimit { lines, interval }.to_string()
        }
    })
}

/// For programs; null where there is no value.
pub(crate) fn json(log: &v1::LogDefinition) -> Value {
    let value = |setting| match setting {
        None => Value::Null,
        Some(Setting::Flag(flag)) => json!(flag),
        Some(Setting::Count(count)) => json!(count),
        Some(Setting::Bytes(bytes)) => json!(bytes),
        Some(Setting::Time(time)) => json!(time.as_secs_f64()),
        Some(Setting::Text(text)) => json!(text),
        Some(Setting::List(list)) => json!(list),
    };
    Value::Object(settings(log).into_iter().map(|(key, setting)| (key.to_owned(), value(setting))).collect())
}

/// For people: a line for each key that is not as usual, of a list for each item, as a pattern may hold any separator.
pub(crate) fn unusual(log: &v1::LogDefinition) -> String {
    let usual = settings(&rpc::default_log());
    let differing = settings(log).into_iter().zip(usual).filter(|(found, usual)| found != usual);
    let lines = differing.flat_map(|((key, setting), _)| {
        let texts = setting.map(texts).unwrap_or_default();
        texts.into_iter().map(move |text| format!("{key}: {}", one_line(&text)))
    });
    lines.collect::<Vec<String>>().join("\n")
}

fn texts(setting: Setting) -> Vec<String> {
    vec![match setting {
        Setting::Flag(flag) => flag.to_string(),
        Setting::Count(count) => count.to_string(),
        Setting::Bytes(bytes) => units::bytes(bytes),
        Setting::Time(time) => units::span(time),
        Setting::Text(text) => text,
        Setting::List(list) => return list,
    }]
}
