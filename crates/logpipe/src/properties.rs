//! What holds for any bytes: the proptests of this crate and the fuzz targets of the workspace ask the same questions.
//!
//! Public only with the feature `fuzzing`, since what is asked about is not. Each function panics when it doesn't hold.

use model::{
    InvocationId, LineParser, LogFormat, ProcessId, ProcessName, ProcessRef, RunNumber, Stream, Wall,
};
use serde_json::Value;

use crate::entry::{self, Message, decode};
use crate::frame::{self, Framer, Piece};
use crate::lines::format::{self, Origin, Record};
use crate::lines::parse::{self, Field};

/// What a stream looks like to a sink: each line's bytes and how many were cut.
fn split(bytes: &[u8], max_line: usize) -> Vec<(Vec<u8>, u64)> {
    let mut all: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    if all.last().is_some_and(|l| l.is_empty()) {
        all.pop();
    }
    let line = |l: &&[u8]| {
        let kept = l.len().min(max_line);
        (l[..kept].to_vec(), u64::try_from(l.len() - kept).unwrap_or(u64::MAX))
    };
    all.iter().map(line).collect()
}

fn collect(piece: Piece<'_>, max_line: usize, seen: &mut Vec<(Vec<u8>, u64)>) {
    match piece {
        Piece::Whole { bytes, lines } => {
            assert_eq!(bytes.last(), Some(&b'\n'));
            let before = seen.len();
            seen.extend(frame::lines(bytes).map(|l| (l.to_vec(), 0)));
            assert_eq!(u64::try_from(seen.len() - before), Ok(lines));
        }
        Piece::Single { head, cut } => {
            assert!(head.len() <= max_line);
            seen.push((head.to_vec(), cut));
        }
    }
}

/// The lines of a stream that comes in these chunks, each with how many bytes were cut off.
pub fn framed(chunks: &[Vec<u8>], max_line: usize) -> Vec<(Vec<u8>, u64)> {
    let mut framer = Framer::default();
    let mut seen = Vec::new();
    for chunk in chunks {
        let data = [framer.carry(), chunk].concat();
        framer.feed(&data, max_line, |piece| collect(piece, max_line, &mut seen));
        assert!(framer.carry().len() <= max_line);
    }
    framer.finish(|piece| collect(piece, max_line, &mut seen));
    assert!(framer.carry().is_empty());
    seen
}

/// Any chunking gives the lines that splitting the whole gives.
pub fn framing(chunks: &[Vec<u8>], max_line: usize) {
    let max_line = max_line.max(1);
    let whole = chunks.concat();
    let expected = split(&whole, max_line);
    assert_eq!(framed(chunks, max_line), expected);
    assert_eq!(framed(&[whole], max_line), expected);
}

/// A priority, fields, a text, and whether it was cut.
pub type Entry = (u8, Vec<(String, Vec<u8>)>, Vec<u8>, bool);

/// Entries for the journal come back as they went in, several in a row.
pub fn entries(all: &[Entry]) {
    let who = who();
    let prefix = entry::line_prefix(&who, 77, RunNumber(3), InvocationId(9), Stream::Stderr);
    let mut out = Vec::new();
    let mut expected = Vec::new();
    for (priority, fields, text, cut) in all {
        let mut encoded = Vec::new();
        let mut own = Vec::new();
        for (key, value) in fields {
            let name = Field::new(key).name().to_owned();
            entry::field(&mut encoded, &name, value);
            own.push((name, value.clone()));
        }
        let mark = if *cut { frame::mark(7) } else { String::new() };
        let before = out.len();
        let message = Message::new(*priority, &encoded, text, &mark);
        message.encode(&mut out, &prefix);
        assert_eq!(out.len() - before, message.len(&prefix));
        expected.push((priority.min(&7).to_string(), own, [text, mark.as_bytes()].concat()));
    }
    let got = decode::entries(&out);
    assert_eq!(got.len(), expected.len());
    for (fields, (priority, own, message)) in got.iter().zip(expected) {
        assert_eq!(fields[0], ("PRIORITY".to_owned(), priority.into_bytes()));
        assert_eq!(fields[fields.len() - 1], ("MESSAGE".to_owned(), message));
        assert!(fields[..fields.len() - 1].ends_with(&own), "{fields:?}");
    }
}

/// A line is one line of valid UTF-8 in every format but the raw ones, and can be read back.
pub fn formats(text: &[u8], cut: bool) {
    let who = who();
    let from = Origin { who: &who, run: RunNumber(4), stream: Stream::Stdout };
    let mark = if cut { frame::mark(7) } else { String::new() };
    for parser in LineParser::ALL {
        let parsed = parse::parse(parser, text, cut);
        assert!(parsed.priority.is_none_or(|p| (3..=7).contains(&p)));
        let record = Record {
            at: Wall(1_795_284_184_123_456_789),
            message: &parsed.message,
            mark: &mark,
            level: parsed.priority.map(parse::name),
            data: parsed.object.is_some().then_some(text),
        };
        let expected = String::from_utf8_lossy(&parsed.message).into_owned() + &mark;
        let write = |format| {
            let mut out = Vec::new();
            format::record(&mut out, format, from, &record);
            String::from_utf8(out).expect("valid UTF-8")
        };
        let json = write(LogFormat::Json);
        assert_eq!(json.find('\n'), Some(json.len() - 1));
        let back: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(back["message"], expected);
        assert_eq!(back["level"].as_str(), record.level);
        assert_eq!(back.get("data").cloned(), parsed.object.map(Value::Object));

        let logfmt = write(LogFormat::Logfmt);
        assert_eq!(logfmt.find(char::is_control), Some(logfmt.len() - 1));
        let (_, values) = logfmt.split_once(" msg=").expect("a message");
        let message = serde_json::Deserializer::from_str(values).into_iter::<String>().next();
        assert_eq!(message.and_then(Result::ok), Some(expected));
    }
}

fn who() -> ProcessRef {
    ProcessRef {
        name: ProcessName::new("web").expect("a name"),
        id: ProcessId::from_digest([0, 0, 0, 0, 0, 1]),
    }
}
