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

use model::{Stream, Wall};

use crate::v1;

pub(crate) use daemon::{change, status};
pub(crate) use definition::{from_wire, log_to_wire, to_wire};
pub(crate) use events::event;
pub(crate) use logs::{lines, log_request};
pub use process::default_log;
pub(crate) use process::{Sight, process, state};
pub(crate) use stats::stats;

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
