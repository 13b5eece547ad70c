//! What a line says about itself: its priority, its message, its fields.
//!
//! A child's line never gets a priority below 3: for 2 and less journald writes its files to the disk at once, which a
//! child could use to hold it up.

use std::borrow::Cow;

use model::LineParser;
use serde_json::{Map, Value};

use crate::entry;

/// The most urgent priority that a child's line can have.
const MOST_URGENT: u8 = 3;
/// Where a JSON line's level stands; the first that has one counts.
const LEVEL_KEYS: [&str; 5] = ["level", "severity", "lvl", "log.level", "levelname"];
/// Where its message stands.
const MESSAGE_KEYS: [&str; 3] = ["message", "msg", "log"];
/// More names for what [`LEVELS`] has; all in lower case.
const LEVEL_WORDS: [(u8, &[&str]); 5] = [
    (3, &["emerg", "emergency", "alert", "crit", "critical", "fatal", "panic", "dpanic", "err", "severe"]),
    (4, &["warn"]),
    (5, &[]),
    (6, &["information", "informational"]),
    (7, &["trace", "verbose", "fine"]),
];
/// Names of the priorities from 3 on, as file formats show them.
const LEVELS: [&str; 5] = ["error", "warning", "notice", "info", "debug"];

/// A line, or several that belong together.
#[derive(Debug)]
pub(crate) struct Parsed<'a> {
    /// From 3 to 7; `None` = it doesn't say.
    pub(crate) priority: Option<u8>,
    pub(crate) message: Cow<'a, [u8]>,
    /// Only with `parse: json`.
    pub(crate) object: Option<Map<String, Value>>,
}

/// Reads `text`. What isn't in the expected form is the message as it is; so is JSON that was cut.
pub(crate) fn parse(parser: LineParser, text: &[u8], cut: bool) -> Parsed<'_> {
    let plain = Parsed { priority: None, message: Cow::Borrowed(text), object: None };
    match parser {
        LineParser::None => plain,
        LineParser::SyslogPrefix => match text {
            [b'<', digit @ b'0'..=b'7', b'>', rest @ ..] => Parsed {
                priority: Some((digit - b'0').max(MOST_URGENT)),
                message: Cow::Borrowed(rest),
                object: None,
            },
            _ => plain,
        },
        LineParser::Json => match object(text).filter(|_| !cut) {
            Some(object) => Parsed {
                priority: LEVEL_KEYS.iter().find_map(|k| level(lookup(&object, k)?)),
                message: match MESSAGE_KEYS.iter().find_map(|k| lookup(&object, k)?.as_str()) {
                    Some(message) => Cow::Owned(message.as_bytes().to_vec()),
                    None => Cow::Borrowed(text),
                },
                object: Some(object),
            },
            None => plain,
        },
    }
}

fn object(text: &[u8]) -> Option<Map<String, Value>> {
    // Most lines that aren't JSON are known by their first byte.
    text.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(text).ok())?
}

/// The value of a key, which may itself have dots, or of a key in an object in it.
fn lookup<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    object.get(path).or_else(|| {
        let (outer, inner) = path.split_once('.')?;
        lookup(object.get(outer)?.as_object()?, inner)
    })
}

/// Words, syslog's numbers (0 to 7), or those of pino and bunyan (10 to 60).
fn level(value: &Value) -> Option<u8> {
    match value {
        Value::String(word) => {
            let word = word.to_ascii_lowercase();
            let known = |(priority, words): &(u8, &[&str])| {
                (words.contains(&&*word) || name(*priority) == word).then_some(*priority)
            };
            LEVEL_WORDS.iter().find_map(known)
        }
        Value::Number(number) => match number.as_u64()? {
            n @ 0..=7 => u8::try_from(n).ok().map(|n| n.max(MOST_URGENT)),
            10..=29 => Some(7),
            30..=39 => Some(6),
            40..=49 => Some(4),
            50..=60 => Some(3),
            _ => None,
        },
        _ => None,
    }
}

/// A priority's name.
pub(crate) fn name(priority: u8) -> &'static str {
    LEVELS[usize::from(priority.clamp(MOST_URGENT, 7) - MOST_URGENT)]
}

/// A chosen key of JSON lines and its name in the journal.
#[derive(Debug)]
pub(crate) struct Field {
    path: String,
    name: String,
}

impl Field {
    /// The field's name is the path in upper case, with `_` for what a name can't have. `JSON_` stands before one that
    /// couldn't begin so, that is ours, or that journald or journalctl would take for more than the child's word.
    pub(crate) fn new(path: &str) -> Self {
        let plain: String = path
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        let bad_start = !plain.starts_with(|c: char| c.is_ascii_uppercase());
        let reserved = RESERVED.contains(&&*plain) || RESERVED_PREFIXES.iter().any(|p| plain.starts_with(p));
        let mut name = if bad_start || reserved { format!("JSON_{plain}") } else { plain };
        name.truncate(NAME_MAX);
        Self { path: path.to_owned(), name }
    }

    /// As the journal has it.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Longest name that journald takes.
const NAME_MAX: usize = 64;
/// Names of our own entries, and of others that mean something to those who read a journal.
const RESERVED: [&str; 13] = [
    "MESSAGE",
    "MESSAGE_ID",
    "PRIORITY",
    "EVENT",
    "EXIT_CODE",
    "EXIT_STATUS",
    "RESTART_COUNT",
    "RESTART_DELAY_USEC",
    "ERRNO",
    "UNIT",
    "USER_UNIT",
    "INVOCATION_ID",
    "USER_INVOCATION_ID",
];
const RESERVED_PREFIXES: [&str; 4] = ["PROCESS_", "SYSLOG_", "OBJECT_", "COREDUMP_"];

/// Appends the chosen fields that the object has: text as it is, anything else as JSON; null is none.
pub(crate) fn fields(out: &mut Vec<u8>, object: &Map<String, Value>, chosen: &[Field]) {
    for Field { path, name } in chosen {
        match lookup(object, path) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => entry::field(out, name, text.as_bytes()),
            Some(other) => entry::show(out, name, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::decode::entries;

    fn read(parser: LineParser, text: &str) -> (Option<u8>, String) {
        let parsed = parse(parser, text.as_bytes(), false);
        (parsed.priority, String::from_utf8(parsed.message.into_owned()).unwrap())
    }

    #[test]
    fn the_prefix_of_sd_daemon() {
        for (text, priority, message) in [
            ("<4>disk is nearly full", Some(4), "disk is nearly full"),
            ("<0>", Some(3), ""),
            ("<7>x", Some(7), "x"),
            ("<8>x", None, "<8>x"),
            ("<13>x", None, "<13>x"),
            (" <4>x", None, " <4>x"),
            ("<4", None, "<4"),
            ("", None, ""),
        ] {
            assert_eq!(read(LineParser::SyslogPrefix, text), (priority, message.to_owned()), "{text}");
            assert_eq!(read(LineParser::None, text), (None, text.to_owned()));
        }
    }

    #[test]
    fn levels_of_json_lines() {
        for (text, priority) in [
            (r#"{"level":"WARN"}"#, Some(4)),
            (r#"{"severity":"NOTICE"}"#, Some(5)),
            (r#"{"lvl":"dbug"}"#, None),
            (r#"{"levelname":"CRITICAL"}"#, Some(3)),
            (r#"{"log.level":"info"}"#, Some(6)),
            (r#"{"log":{"level":"trace"}}"#, Some(7)),
            (r#"{"level":30}"#, Some(6)),
            (r#"{"level":0}"#, Some(3)),
            (r#"{"level":60}"#, Some(3)),
            (r#"{"level":8}"#, None),
            (r#"{"level":-1}"#, None),
            (r#"{"level":null,"lvl":"error"}"#, Some(3)),
            (r#"{}"#, None),
            (r#"[{"level":30}]"#, None),
            (r#"{"level":"error""#, None),
        ] {
            assert_eq!(read(LineParser::Json, text).0, priority, "{text}");
        }
        for (priority, name) in (3..).zip(LEVELS) {
            assert_eq!((level(&name.into()), super::name(priority)), (Some(priority), name));
        }
    }

    #[test]
    fn messages_of_json_lines() {
        for (text, message) in [
            (r#"{"msg":"a\nb","log":"c"}"#, "a\nb"),
            (r#" {"message":"x"} "#, "x"),
            (r#"{"message":7}"#, r#"{"message":7}"#),
            (r#"{"a":1}"#, r#"{"a":1}"#),
            ("no json", "no json"),
        ] {
            assert_eq!(read(LineParser::Json, text).1, message, "{text}");
        }
        let cut = parse(LineParser::Json, br#"{"msg":"x"}"#, true);
        assert!(cut.object.is_none() && *cut.message == *br#"{"msg":"x"}"#);
    }

    #[test]
    fn names_of_fields() {
        for (path, name) in [
            ("trace_id", "TRACE_ID"),
            ("user.id", "USER_ID"),
            ("größe-1", "GR__E_1"),
            ("_pid", "JSON__PID"),
            ("1st", "JSON_1ST"),
            ("", "JSON_"),
            ("message", "JSON_MESSAGE"),
            ("process.id", "JSON_PROCESS_ID"),
            ("object_pid", "JSON_OBJECT_PID"),
        ] {
            assert_eq!(Field::new(path).name, name);
        }
        assert_eq!(Field::new(&"x".repeat(100)).name.len(), NAME_MAX);
    }

    #[test]
    fn chosen_fields_and_no_others() {
        let text = br#"{"trace_id":"t\n1","user":{"id":7,"tags":["a"]},"user.name":"bob","none":null,"x":1}"#;
        let object = parse(LineParser::Json, text, false).object.unwrap();
        let chosen = ["trace_id", "user.id", "user.tags", "user.name", "none", "absent"].map(Field::new);
        let mut out = Vec::new();
        fields(&mut out, &object, &chosen);
        let got = entries(&out).remove(0);
        let expected =
            [("TRACE_ID", "t\n1"), ("USER_ID", "7"), ("USER_TAGS", r#"["a"]"#), ("USER_NAME", "bob")];
        assert_eq!(got, expected.map(|(k, v)| (k.to_owned(), v.as_bytes().to_vec())));
    }

    proptest! {
        #[test]
        fn names_are_those_that_journald_takes(path in any::<String>()) {
            let name = Field::new(&path).name;
            prop_assert!(!name.is_empty() && name.len() <= NAME_MAX && name.starts_with(|c: char| c.is_ascii_uppercase()));
            prop_assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'));
        }
    }
}
