//! Accounting of the log pipeline, by process, stream and sink.

use std::collections::HashMap;

use model::{Sink, Stream};

use crate::fleet::Fleet;
use crate::names::{
    Detail, LOG_BYTES, LOG_DROPPED, LOG_ERRORS, LOG_LAG, LOG_LINES, LOG_QUEUED, LOG_TRUNCATED, LOG_WRITTEN,
    LOG_WRITTEN_BYTES, Metric,
};
use crate::source::{LogStream, SinkStats};
use crate::text::Text;

const SINKS: usize = Sink::ALL.len();

type OfStream = (&'static Metric, fn(&LogStream) -> u64);
type OfSink = (&'static Metric, fn(&SinkStats) -> u64);

/// All streams. One of a process that is not in the fleet any more, or not yet, waits for the next scrape.
pub(crate) fn write(fleet: &Fleet, streams: &[LogStream], out: &mut Text) {
    let details: HashMap<&str, Detail> = fleet.rows.iter().map(|row| (row.name(), row.detail)).collect();
    let of = |stream: &LogStream| details.get(stream.process.as_str()).copied().unwrap_or(Detail::Off);
    let streams: Vec<(Detail, &LogStream)> = streams.iter().map(|s| (of(s), s)).collect();

    let of_streams: [OfStream; 2] = [(&LOG_LINES, |s| s.lines), (&LOG_BYTES, |s| s.bytes)];
    for (metric, value) in of_streams {
        let mut family = out.family(metric).by_first(Stream::ALL.map(|stream| [stream.as_str()]));
        for (_, s) in streams.iter().filter(|(detail, _)| metric.is_in(*detail)) {
            family.add(s.process.as_str(), s.stream as usize, value(s));
        }
    }
    let of_sinks: [OfSink; 6] = [
        (&LOG_WRITTEN, |k| k.written),
        (&LOG_WRITTEN_BYTES, |k| k.bytes),
        (&LOG_DROPPED, |k| k.dropped),
        (&LOG_TRUNCATED, |k| k.truncated),
        (&LOG_QUEUED, |k| k.queued),
        (&LOG_ERRORS, |k| k.errors),
    ];
    let of_both = std::array::from_fn(|n| [Stream::ALL[n / SINKS].as_str(), Sink::ALL[n % SINKS].as_str()]);
    for (metric, value) in of_sinks {
        let mut family = out.family(metric).by_first::<{ SINKS * Stream::ALL.len() }, 2>(of_both);
        for (_, s) in streams.iter().filter(|(detail, _)| metric.is_in(*detail)) {
            for (place, stats) in s.sinks.iter().enumerate() {
                let Some(stats) = stats else { continue };
                family.add(s.process.as_str(), s.stream as usize * SINKS + place, value(stats));
            }
        }
    }
    let mut family = out.family(&LOG_LAG).by_first(Sink::ALL.map(|sink| [sink.as_str()]));
    // Both streams of a process say the same, and stand side by side.
    let mut told = [None; SINKS];
    for (_, s) in streams.iter().filter(|(detail, _)| LOG_LAG.is_in(*detail)) {
        for place in (0..SINKS).filter(|place| s.sinks[*place].is_some()) {
            if told[place].replace(s.process.as_str()) != Some(s.process.as_str()) {
                family.add(s.process.as_str(), place, s.lag[place]);
            }
        }
    }
}
