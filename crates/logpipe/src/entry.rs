//! Entries of journald's native protocol: `KEY=value` lines, or key, length and bytes when the value has a newline.
//!
//! Several entries in one datagram are separated by an empty line. A single line's MESSAGE takes the short form, NUL and
//! invalid UTF-8 included.

use std::fmt::Write as _;

use model::{InvocationId, ProcessRef, RunNumber, Stream};

/// PRIORITY of a child's standard output: informational.
const STDOUT: u8 = 6;
/// PRIORITY of a child's standard error: warning. Never 2 or less: journald syncs its files for those.
const STDERR: u8 = 4;
/// PRIORITY of a marker for lines that are missing.
pub(crate) const MARKER: u8 = 4;

/// Appends one field.
pub(crate) fn field(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    out.extend_from_slice(key.as_bytes());
    if memchr::memchr(b'\n', value).is_none() {
        out.push(b'=');
    } else {
        out.push(b'\n');
        out.extend_from_slice(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_le_bytes());
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Appends one field whose value is shown with `Display` and can't hold a newline.
pub(crate) fn show(out: &mut Vec<u8>, key: &str, value: impl std::fmt::Display) {
    let mut text = String::new();
    write!(text, "{value}").unwrap_or_default();
    field(out, key, text.as_bytes());
}

/// The fields that every entry about a process has.
pub(crate) fn process(out: &mut Vec<u8>, process: &ProcessRef) {
    show(out, "PROCESS_ID", process.id);
    show(out, "PROCESS_NAME", &process.name);
}

/// The fields that tell one run from another.
pub(crate) fn run(out: &mut Vec<u8>, number: RunNumber, invocation: InvocationId) {
    show(out, "PROCESS_RUN", number);
    show(out, "PROCESS_INVOCATION_ID", invocation);
}

/// PRIORITY of a child's line that says none itself.
pub(crate) fn priority(stream: Stream) -> u8 {
    if stream == Stream::Stdout { STDOUT } else { STDERR }
}

/// What all entries of one stream of one run have in common: everything but what [`Message`] has.
pub(crate) fn line_prefix(
    who: &ProcessRef,
    pid: u32,
    number: RunNumber,
    invocation: InvocationId,
    stream: Stream,
) -> Box<[u8]> {
    let mut out = Vec::with_capacity(256);
    show(&mut out, "SYSLOG_IDENTIFIER", &who.name);
    process(&mut out, who);
    show(&mut out, "PROCESS_PID", pid);
    run(&mut out, number, invocation);
    field(&mut out, "PROCESS_STREAM", stream.as_str().as_bytes());
    out.into_boxed_slice()
}

/// What an entry of a child's line has of its own.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    priority: u8,
    /// Encoded already.
    fields: &'a [u8],
    text: &'a [u8],
    mark: &'a str,
    /// Whether the text has several lines and takes the long form.
    several: bool,
}

impl<'a> Message<'a> {
    pub(crate) fn new(priority: u8, fields: &'a [u8], text: &'a [u8], mark: &'a str) -> Self {
        Self { priority, fields, text, mark, several: memchr::memchr(b'\n', text).is_some() }
    }

    /// Length of what [`encode`](Self::encode) appends.
    pub(crate) fn len(&self, prefix: &[u8]) -> usize {
        let size = if self.several { size_of::<u64>() } else { 0 };
        let keys = b"PRIORITY=0\nMESSAGE=\n\n".len();
        prefix.len() + keys + size + self.fields.len() + self.text.len() + self.mark.len()
    }

    /// Appends the entry, and the empty line that ends it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, prefix: &[u8]) {
        out.extend_from_slice(b"PRIORITY=");
        out.extend_from_slice(&[b'0' + self.priority.min(7), b'\n']);
        out.extend_from_slice(prefix);
        out.extend_from_slice(self.fields);
        if self.several {
            let size = u64::try_from(self.text.len() + self.mark.len()).unwrap_or(u64::MAX);
            out.extend_from_slice(b"MESSAGE\n");
            out.extend_from_slice(&size.to_le_bytes());
        } else {
            out.extend_from_slice(b"MESSAGE=");
        }
        out.extend_from_slice(self.text);
        out.extend_from_slice(self.mark.as_bytes());
        out.extend_from_slice(b"\n\n");
    }
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod decode;
#[cfg(test)]
mod tests;
