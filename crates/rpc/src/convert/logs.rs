//! Requests for lines, and lines.

use model::{ProcessName, RunNumber, Wall};

use super::{choice, stream, stream_from, timestamp};
use crate::{ControlError, LogBatch, LogRequest, v1};

/// Lines shown first when the caller doesn't say.
const DEFAULT_LINES: u32 = 20;

/// What a caller asks for, of the process that it means.
pub(crate) fn log_request(
    wire: &v1::StreamLogsRequest,
    name: ProcessName,
) -> Result<LogRequest, ControlError> {
    let (since, until) = (moment("since", wire.since)?, moment("until", wire.until)?);
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        let text = format!("since ({since}) is after until ({until})");
        return Err(ControlError::invalid("since", text).with_hint("exchange the two"));
    }
    let said = |text: &String| (!text.is_empty()).then(|| text.clone());
    Ok(LogRequest {
        name,
        lines: Some(wire.lines.unwrap_or(DEFAULT_LINES)).filter(|lines| *lines != u32::MAX),
        follow: wire.follow,
        stream: stream_from(choice("stream", wire.stream)?),
        since,
        until,
        run: (wire.run != 0).then_some(RunNumber(wire.run)),
        grep: said(&wire.grep),
        after: said(&wire.after_cursor),
        split: wire.split_lines,
    })
}

fn moment(field: &str, wire: Option<prost_types::Timestamp>) -> Result<Option<Wall>, ControlError> {
    let Some(wire) = wire else { return Ok(None) };
    let nanos = u64::try_from(wire.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let seconds = u64::try_from(wire.seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000_000));
    let wall = nanos.and_then(|nanos| seconds?.checked_add(nanos));
    wall.map(|nanos| Some(Wall(nanos))).ok_or_else(|| {
        let text = format!("{field} is {} s and {} ns since the epoch", wire.seconds, wire.nanos);
        ControlError::invalid(field, text).with_hint("a time between 1970 and 2554, with 0 to 999999999 ns")
    })
}

/// Lines as they are sent.
pub(crate) fn lines(batch: LogBatch) -> v1::StreamLogsResponse {
    let first = batch.parts.first().and_then(|part| part.stream);
    let same = batch.parts.iter().all(|part| part.stream == first);
    let mut data = Vec::with_capacity(batch.parts.iter().map(|part| part.data.len()).sum());
    let mut parts = Vec::with_capacity(batch.parts.len());
    for part in batch.parts {
        data.extend_from_slice(&part.data);
        parts.push(v1::LogPart {
            size: u32::try_from(part.data.len()).unwrap_or(u32::MAX),
            stream: stream(part.stream).into(),
            run: part.run.map_or(0, |run| run.0),
            time: part.at.map(timestamp),
            cursor: part.cursor.unwrap_or_default(),
        });
    }
    v1::StreamLogsResponse {
        data,
        stream: stream(first.filter(|_| same)).into(),
        dropped_lines: batch.missed.into(),
        parts,
        cursor: batch.cursor,
        missed: batch.missed,
        left_out: batch.left_out,
        caught_up: batch.caught_up,
    }
}

#[cfg(test)]
mod tests {
    use model::Stream;

    use super::*;
    use crate::LogPart;

    fn name() -> ProcessName {
        ProcessName::new("web").unwrap()
    }

    #[test]
    fn a_request_that_says_nothing_wants_the_last_twenty_lines() {
        let asked = log_request(&v1::StreamLogsRequest::default(), name()).unwrap();
        let expected = LogRequest {
            name: name(),
            lines: Some(20),
            follow: false,
            stream: None,
            since: None,
            until: None,
            run: None,
            grep: None,
            after: None,
            split: false,
        };
        assert_eq!(asked, expected);
        let all = v1::StreamLogsRequest { lines: Some(u32::MAX), ..Default::default() };
        assert_eq!(log_request(&all, name()).unwrap().lines, None);
    }

    #[test]
    fn times_that_can_not_be_are_refused_by_name() {
        let time = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
        for (since, until, field) in [
            (time(-1, 0), None, "since"),
            (None, time(0, -1), "until"),
            (None, time(0, 1_000_000_000), "until"),
            (time(i64::MAX, 0), None, "since"),
            (time(5, 1), time(5, 0), "since"),
        ] {
            let wire = v1::StreamLogsRequest { since, until, ..Default::default() };
            let error = log_request(&wire, name()).unwrap_err();
            assert!(error.to_string().contains(field) && error.hint.is_some(), "{error}");
        }
        let wire = v1::StreamLogsRequest { since: time(5, 1), until: time(5, 1), ..Default::default() };
        assert_eq!(log_request(&wire, name()).unwrap().since, Some(Wall(5_000_000_001)));
    }

    #[test]
    fn parts_tell_the_bytes_apart() {
        let part = |data: &[u8], stream| LogPart { data: data.to_vec(), stream, ..LogPart::default() };
        let two = |stream| LogBatch {
            parts: vec![part(b"a\n", Some(Stream::Stderr)), part(b"b\nc\n", stream)],
            missed: true,
            ..LogBatch::default()
        };
        let sent = lines(two(None));
        assert_eq!(
            (&sent.data[..], sent.stream(), sent.dropped_lines),
            (&b"a\nb\nc\n"[..], v1::Stream::Unspecified, 1)
        );
        assert_eq!(sent.parts.iter().map(|part| part.size).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(lines(two(Some(Stream::Stderr))).stream(), v1::Stream::Stderr);
    }
}
