//! Accounting of the log pipeline, by process, stream and sink.

use std::sync::Arc;

use super::{Collect, CollectError};
use crate::family::{Families, count};
use crate::names::{
    Group, LOG_BYTES, LOG_DROPPED, LOG_ERRORS, LOG_LINES, LOG_QUEUED, LOG_TRUNCATED, LOG_WRITTEN, Metric,
};
use crate::source::{LogStream, SinkStats, Source};

/// Collector over [`Source::log_streams`].
pub(crate) struct Logs {
    /// Whom to ask.
    pub(crate) source: Arc<dyn Source>,
}

type OfStream = (&'static Metric, fn(&LogStream) -> u64);
type OfSink = (&'static Metric, fn(&SinkStats) -> u64);

impl Collect for Logs {
    const GROUP: Group = Group::Logs;

    fn collect(&self, out: &mut Families) -> Result<(), CollectError> {
        let streams = self.source.log_streams();
        let of_streams: [OfStream; 2] = [(&LOG_LINES, |s| s.lines), (&LOG_BYTES, |s| s.bytes)];
        for (metric, value) in of_streams {
            out.fill(metric, streams.len(), |f| {
                for s in &streams {
                    f.add(&[s.process.as_str(), s.stream.as_str()], count(value(s)));
                }
            });
        }
        let of_sinks: [OfSink; 5] = [
            (&LOG_WRITTEN, |k| k.written),
            (&LOG_DROPPED, |k| k.dropped),
            (&LOG_TRUNCATED, |k| k.truncated),
            (&LOG_QUEUED, |k| k.queued),
            (&LOG_ERRORS, |k| k.errors),
        ];
        let pairs = streams.iter().map(|s| s.sinks.len()).sum();
        for (metric, value) in of_sinks {
            out.fill(metric, pairs, |f| {
                for (s, k) in streams.iter().flat_map(|s| s.sinks.iter().map(move |k| (s, k))) {
                    f.add(&[s.process.as_str(), s.stream.as_str(), k.sink.as_str()], count(value(k)));
                }
            });
        }
        Ok(())
    }
}
