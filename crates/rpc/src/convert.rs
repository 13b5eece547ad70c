//! The only place where wire types meet `model` types.
//!
//! Inward everything is checked and every fault is reported, not only the first. Outward nothing can fail.

mod daemon;
mod definition;
mod events;
mod logs;
mod process;
mod stats;

use std::time::Duration;

use model::{Definition, Stream, Wall};

use crate::{ControlError, Violation, v1};

pub(crate) use daemon::{change, status};
pub(crate) use definition::{from_wire, log_to_wire, to_wire};
pub(crate) use events::event;
pub(crate) use logs::{lines, log_request};
pub use process::default_log;
pub(crate) use process::{Sight, process, state};
pub(crate) use stats::stats;

/// The definition of a process as a daemon shows it.
///
/// # Errors
/// Each field that this version can't read: the daemon is a newer one.
pub fn read_definition(definition: v1::ProcessDefinition) -> Result<Definition, Vec<Violation>> {
    from_wire(definition)
}

/// The value of an enum field. One of a later version is refused: what the caller wants can't be known.
pub(crate) fn choice<E: TryFrom<i32>>(field: &str, raw: i32) -> Result<E, ControlError> {
    E::try_from(raw).map_err(|_| {
        let text = format!("{raw} is not a value of {field} in this version of the API");
        ControlError::invalid(field, text)
            .with_hint("the values are those of the daemon's own proto file, by reflection")
    })
}

pub(crate) fn timestamp(at: Wall) -> prost_types::Timestamp {
    let seconds = i64::try_from(at.0 / 1_000_000_000).unwrap_or(i64::MAX);
    prost_types::Timestamp { seconds, nanos: i32::try_from(at.0 % 1_000_000_000).unwrap_or(0) }
}

pub(crate) fn duration(d: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(d.subsec_nanos()).unwrap_or(0) }
}

pub(crate) fn stream(stream: Option<Stream>) -> v1::Stream {
    match stream {
        None => v1::Stream::Unspecified,
        Some(Stream::Stdout) => v1::Stream::Stdout,
        Some(Stream::Stderr) => v1::Stream::Stderr,
    }
}

pub(crate) fn stream_from(stream: v1::Stream) -> Option<Stream> {
    match stream {
        v1::Stream::Unspecified => None,
        v1::Stream::Stdout => Some(Stream::Stdout),
        v1::Stream::Stderr => Some(Stream::Stderr),
    }
}
