//! How a line is written to a file when it isn't written as it was printed. Pure.
//!
//! Each function appends exactly one line of valid UTF-8. Times are UTC with microseconds: when the line was read.

use std::fmt::Write as _;

use model::{LogFormat, ProcessRef, RunNumber, Stream, Wall};

/// Where a record comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) who: &'a ProcessRef,
    pub(crate) run: RunNumber,
    pub(crate) stream: Stream,
}

/// One line, or several that belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) at: Wall,
    pub(crate) message: &'a [u8],
    /// What stands behind the message when it was cut, or nothing.
    pub(crate) mark: &'a str,
    /// The level's name, when the line says one.
    pub(crate) level: Option<&'a str>,
    /// The text of the JSON object that the line is.
    pub(crate) data: Option<&'a [u8]>,
}

/// Appends a record and its newline.
pub(crate) fn record(out: &mut Vec<u8>, format: LogFormat, from: Origin<'_>, record: &Record<'_>) {
    match format {
        LogFormat::Raw => raw(out, record),
        LogFormat::Prefixed => {
            out.extend_from_slice(time(record.at).as_bytes());
            out.extend_from_slice(b" ");
            out.extend_from_slice(from.stream.as_str().as_bytes());
            out.extend_from_slice(b" ");
            raw(out, record);
        }
        LogFormat::Json => json(out, from, record),
        LogFormat::Logfmt => logfmt(out, from, record),
    }
}

fn raw(out: &mut Vec<u8>, record: &Record<'_>) {
    out.extend_from_slice(record.message);
    out.extend_from_slice(record.mark.as_bytes());
    out.push(b'\n');
}

fn json(out: &mut Vec<u8>, Origin { who, run, stream }: Origin<'_>, record: &Record<'_>) {
    // Names and ids have no character that JSON escapes.
    let head = format!(
        r#"{{"time":"{}","process":"{}","process_id":"{}","run":{run},"stream":"{}""#,
        time(record.at),
        who.name,
        who.id,
        stream.as_str()
    );
    out.extend_from_slice(head.as_bytes());
    if let Some(level) = record.level {
        out.extend_from_slice(br#","level":"#);
        quote(out, &[level.as_bytes()]);
    }
    out.extend_from_slice(br#","message":"#);
    quote(out, &[record.message, record.mark.as_bytes()]);
    if let Some(data) = record.data {
        out.extend_from_slice(br#","data":"#);
        // In JSON a line end stands between two tokens and nowhere else, where a blank means the same.
        out.extend(data.trim_ascii().iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }));
    }
    out.extend_from_slice(b"}\n");
}

fn logfmt(out: &mut Vec<u8>, Origin { who, run, stream }: Origin<'_>, record: &Record<'_>) {
    let head = format!("time={} process={} run={run} stream={}", time(record.at), who.name, stream.as_str());
    out.extend_from_slice(head.as_bytes());
    if let Some(level) = record.level {
        out.extend_from_slice(b" level=");
        out.extend_from_slice(level.as_bytes());
    }
    out.extend_from_slice(b" msg=");
    quote(out, &[record.message, record.mark.as_bytes()]);
    if let Some(data) = record.data {
        out.extend_from_slice(b" data=");
        quote(out, &[data.trim_ascii()]);
    }
    out.push(b'\n');
}

/// `2026-11-21T18:03:04.123456Z`
fn time(at: Wall) -> String {
    let mut text = at.to_string();
    // Ends with milliseconds and `Z`.
    text.pop();
    write!(text, "{:03}Z", at.0 / 1000 % 1000).unwrap_or_default();
    text
}

/// Appends the parts as one string of JSON, which is how logfmt quotes, too. Invalid UTF-8 becomes U+FFFD; all control
/// characters are escaped, also those that JSON would let through, so that a file can be looked at on a terminal.
fn quote(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.push(b'"');
    for chunk in parts.iter().flat_map(|part| part.utf8_chunks()) {
        let text = chunk.valid();
        let mut copied = 0;
        for (i, c) in text.char_indices().filter(|(_, c)| matches!(c, '"' | '\\') || c.is_control()) {
            out.extend_from_slice(&text.as_bytes()[copied..i]);
            copied = i + c.len_utf8();
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                // Control characters are below U+0100.
                c => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            }
        }
        out.extend_from_slice(&text.as_bytes()[copied..]);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::web;

    const AT: Wall = Wall(1_795_284_184_123_456_789);

    fn formatted(format: LogFormat, of: &Record<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let who = web();
        record(&mut out, format, Origin { who: &who, run: RunNumber(4), stream: Stream::Stderr }, of);
        out
    }

    fn plain(message: &[u8]) -> Record<'_> {
        Record { at: AT, message, mark: "", level: None, data: None }
    }

    fn text(format: LogFormat, record: &Record<'_>) -> String {
        String::from_utf8(formatted(format, record)).unwrap()
    }

    #[test]
    fn a_line_in_each_format() {
        let record = Record { mark: " [cut]", level: Some("error"), ..plain(b"a \"b\"\t\\") };
        assert_eq!(text(LogFormat::Raw, &record), "a \"b\"\t\\ [cut]\n");
        assert_eq!(
            text(LogFormat::Prefixed, &record),
            "2026-11-21T18:03:04.123456Z stderr a \"b\"\t\\ [cut]\n"
        );
        assert_eq!(
            text(LogFormat::Json, &record),
            concat!(
                r#"{"time":"2026-11-21T18:03:04.123456Z","process":"web","process_id":"000000000001","run":4,"#,
                r#""stream":"stderr","level":"error","message":"a \"b\"\t\\ [cut]"}"#,
                "\n"
            )
        );
        assert_eq!(
            text(LogFormat::Logfmt, &record),
            concat!(
                "time=2026-11-21T18:03:04.123456Z process=web run=4 stream=stderr level=error ",
                r#"msg="a \"b\"\t\\ [cut]""#,
                "\n"
            )
        );
    }

    #[test]
    fn an_object_stands_under_data_as_it_was_written() {
        let data = b" {\"z\":1e400,\n \"a\":\"x y\"}\n";
        let record = Record { data: Some(data), ..plain(b"m") };
        assert!(
            text(LogFormat::Json, &record)
                .ends_with("\"message\":\"m\",\"data\":{\"z\":1e400,  \"a\":\"x y\"}}\n")
        );
        assert!(
            text(LogFormat::Logfmt, &record)
                .ends_with(" msg=\"m\" data=\"{\\\"z\\\":1e400,\\n \\\"a\\\":\\\"x y\\\"}\"\n")
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        let json = text(LogFormat::Json, &plain(b"\xff\0\x1b[2J\x7f\xc2\x9b"));
        assert!(json.contains(r#""message":"�\u0000\u001b[2J\u007f\u009b"}"#), "{json}");
    }

    /// Text that is nearly always JSON, nearly JSON, or anything.
    fn printed() -> impl Strategy<Value = Vec<u8>> {
        let object = (any::<String>(), any::<String>(), any::<bool>()).prop_map(|(key, value, pretty)| {
            let object = serde_json::json!({ "msg": value, "level": 30, key: [1.5, null] });
            if pretty {
                serde_json::to_vec_pretty(&object).unwrap()
            } else {
                serde_json::to_vec(&object).unwrap()
            }
        });
        prop_oneof![
            object,
            prop::collection::vec(any::<u8>(), 0..80),
            "<[0-9]>.{0,20}".prop_map(String::into_bytes)
        ]
    }

    proptest! {
        #[test]
        fn every_format_can_be_read_back(text in printed(), cut in any::<bool>()) {
            crate::properties::formats(&text, cut);
        }
    }
}
