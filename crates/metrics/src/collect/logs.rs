//! Accounting of the log pipeline, by process, stream and sink.

use std::time::Duration;

use model::{Sink, Stream};

use crate::fleet::Fleet;
use crate::names::{
    Detail, LOG_BYTES, LOG_DROPPED, LOG_ERRORS, LOG_LAG, LOG_LINES, LOG_QUEUED, LOG_TRUNCATED, LOG_WRITTEN,
    LOG_WRITTEN_BYTES, Metric,
};
use crate::source::{LogStream, SinkStats, Source};
use crate::text::Text;

const SINKS: usize = Sink::ALL.len();

/// One stream of a process that is to be shown.
struct Read<'a> {
    process: &'a str,
    detail: Detail,
    stream: Stream,
    lines: u64,
    bytes: u64,
}

/// What one sink did with it. Apart, since most of what is not captured has none.
struct Passed<'a> {
    process: &'a str,
    detail: Detail,
    stream: Stream,
    /// In [`Sink::ALL`].
    sink: usize,
    stats: SinkStats,
    lag: Duration,
}

type OfStream = (&'static Metric, fn(&Read<'_>) -> u64);
type OfSink = (&'static Metric, fn(&SinkStats) -> u64);

/// All streams.
pub(crate) fn write(fleet: &Fleet, source: &dyn Source, out: &mut Text) {
    let (streams, sinks) = read(fleet, source);

    let of_streams: [OfStream; 2] = [(&LOG_LINES, |s| s.lines), (&LOG_BYTES, |s| s.bytes)];
    for (metric, value) in of_streams {
        let mut family = out.family(metric).by_first(Stream::ALL.map(|stream| [stream.as_str()]));
        for s in streams.iter().filter(|s| metric.is_in(s.detail)) {
            family.add(s.process, s.stream as usize, value(s));
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
        for s in sinks.iter().filter(|s| metric.is_in(s.detail)) {
            family.add(s.process, s.stream as usize * SINKS + s.sink, value(&s.stats));
        }
    }
    let mut family = out.family(&LOG_LAG).by_first(Sink::ALL.map(|sink| [sink.as_str()]));
    // Both streams of a process say the same, and stand side by side.
    let mut told = [None; SINKS];
    for s in sinks.iter().filter(|s| LOG_LAG.is_in(s.detail)) {
        if told[s.sink].replace(s.process) != Some(s.process) {
            family.add(s.process, s.sink, s.lag);
        }
    }
}

/// What is to be shown: one walk beside the fleet. A stream of a process that is not in it any more, or not yet, waits for the
/// next scrape.
fn read<'a>(fleet: &'a Fleet, source: &dyn Source) -> (Vec<Read<'a>>, Vec<Passed<'a>>) {
    let mut streams = Vec::with_capacity(fleet.rows.len() * Stream::ALL.len());
    let mut sinks = Vec::new();
    let mut rows = fleet.rows.iter().map(|row| (fleet.name(row), row.detail)).peekable();
    source.log_streams(&mut |LogStream { process, stream, lines, bytes, sinks: of_sinks, lag }| {
        while rows.next_if(|(name, _)| *name < process.as_str()).is_some() {}
        let Some((process, detail)) = rows.peek().copied().filter(|(name, _)| *name == process.as_str())
        else {
            return;
        };
        streams.push(Read { process, detail, stream, lines, bytes });
        for (sink, stats) in of_sinks.into_iter().enumerate().filter_map(|(sink, stats)| Some((sink, stats?)))
        {
            sinks.push(Passed { process, detail, stream, sink, stats, lag: lag[sink] });
        }
    });
    (streams, sinks)
}
