//! What is encoded is decoded again, whatever it is.

use model::{ProcessId, ProcessName};
use proptest::prelude::*;

use super::decode::{entries, get};
use super::*;

fn who() -> ProcessRef {
    ProcessRef { name: ProcessName::new("web").unwrap(), id: ProcessId::from_digest([0, 0, 0, 0, 0, 1]) }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![1 => Just(b'\n'), 8 => any::<u8>()], 0..60)
}

proptest! {
    #[test]
    fn what_goes_in_comes_back(
        all in prop::collection::vec(
            (0u8..9, prop::collection::vec((any::<String>(), bytes()), 0..4), bytes(), any::<bool>()), 0..8,
        ),
    ) {
        crate::properties::entries(&all);
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
