//! What is encoded is decoded again, whatever it is.

use model::{ProcessId, ProcessName};
use proptest::prelude::*;

use super::decode::{entries, get};
use super::*;

fn who() -> ProcessRef {
    ProcessRef { name: ProcessName::new("web").unwrap(), id: ProcessId::from_digest([0, 0, 0, 0, 0, 1]) }
}

proptest! {
    #[test]
    fn fields_come_back(all in prop::collection::vec(prop::collection::vec(("[A-Z][A-Z0-9_]{0,9}", prop::collection::vec(any::<u8>(), 0..40)), 1..6), 0..5)) {
        let mut out = Vec::new();
        for one in &all {
            for (key, value) in one {
                field(&mut out, key, value);
            }
            out.push(b'\n');
        }
        prop_assert_eq!(entries(&out), all);
    }

    #[test]
    fn lines_come_back(lines in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..60), 0u64..3, 0u8..8), 1..8)) {
        let prefix = line_prefix(&who(), 77, RunNumber(3), InvocationId(9), Stream::Stderr);
        let mut extra = Vec::new();
        field(&mut extra, "TRACE_ID", b"1\n2");
        let mut out = Vec::new();
        let mut expected = Vec::new();
        for (head, cut, priority) in &lines {
            let mark = if *cut > 0 { crate::frame::mark(*cut) } else { String::new() };
            let before = out.len();
            let message = Message::new(*priority, &extra, head, &mark);
            message.encode(&mut out, &prefix);
            prop_assert_eq!(out.len() - before, message.len(&prefix));
            expected.push((priority.to_string(), [head.as_slice(), mark.as_bytes()].concat()));
        }
        let got = entries(&out);
        prop_assert_eq!(got.len(), expected.len());
        for (fields, (priority, message)) in got.iter().zip(&expected) {
            prop_assert_eq!(&fields.last().unwrap().1, message);
            prop_assert_eq!((&get(fields, "PRIORITY"), get(fields, "TRACE_ID")), (priority, "1\n2".into()));
        }
    }
}

#[test]
fn a_lines_fields_are_those_of_the_design() {
    let prefix = line_prefix(&who(), 77, RunNumber(3), InvocationId(9), Stream::Stderr);
    let mut out = Vec::new();
    Message::new(priority(Stream::Stderr), b"", b"hello", "").encode(&mut out, &prefix);
    let fields = &entries(&out)[0];
    let keys: Vec<&str> = fields.iter().map(|(k, _)| k.as_str()).collect();
    let expected = "PRIORITY SYSLOG_IDENTIFIER PROCESS_ID PROCESS_NAME PROCESS_PID PROCESS_RUN PROCESS_INVOCATION_ID PROCESS_STREAM MESSAGE";
    assert_eq!(keys.join(" "), expected);
    let values =
        ["4", "web", "000000000001", "web", "77", "3", "00000000000000000000000000000009", "stderr", "hello"];
    for (key, value) in keys.iter().zip(values) {
        assert_eq!(get(fields, key), value);
    }
}
