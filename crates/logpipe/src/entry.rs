//! Entries of journald's native protocol: `KEY=value` lines, or key, length and bytes when the value has a newline.
//!
//! Several entries in one datagram are separated by an empty line. A child's line never holds a newline, so that its
//! MESSAGE always takes the short form, NUL and invalid UTF-8 included.

use std::fmt::Write as _;

use model::{InvocationId, ProcessRef, RunNumber, Stream};

/// PRIORITY of a child's standard output: informational.
const STDOUT: u8 = 6;
/// PRIORITY of a child's standard error: warning. Never 2 or less: journald syncs its files for those.
const STDERR: u8 = 4;

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

/// What all entries of one stream of one run have in common: everything but MESSAGE.
pub(crate) fn line_prefix(
    who: &ProcessRef,
    pid: u32,
    number: RunNumber,
    invocation: InvocationId,
    stream: Stream,
) -> Box<[u8]> {
    let mut out = Vec::with_capacity(256);
    show(&mut out, "PRIORITY", if stream == Stream::Stdout { STDOUT } else { STDERR });
    show(&mut out, "SYSLOG_IDENTIFIER", &who.name);
    process(&mut out, who);
    show(&mut out, "PROCESS_PID", pid);
    run(&mut out, number, invocation);
    field(&mut out, "PROCESS_STREAM", stream.as_str().as_bytes());
    out.into_boxed_slice()
}

/// Length of what [`line`] appends.
pub(crate) fn line_len(prefix: &[u8], head: &[u8], mark: &str) -> usize {
    prefix.len() + b"MESSAGE=\n\n".len() + head.len() + mark.len()
}

/// Appends the entry of a child's line, which holds no newline, and the empty line that ends it.
pub(crate) fn line(out: &mut Vec<u8>, prefix: &[u8], head: &[u8], mark: &str) {
    out.extend_from_slice(prefix);
    out.extend_from_slice(b"MESSAGE=");
    out.extend_from_slice(head);
    out.extend_from_slice(mark.as_bytes());
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
pub(crate) mod decode;
#[cfg(test)]
mod tests;
