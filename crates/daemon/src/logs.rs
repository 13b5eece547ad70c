//! Between the log pipeline and those who show lines and counts.

use logpipe::{LogError, LogPipe, LogReader, ReadRequest};
use model::{ProcessRef, Refusal, Sink, Snapshot};
use rpc::{BoxStream, ControlError, ErrorKind, LogChunk, LogRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Chunks (of 64 KiB) between a reader and its client. When the client is slow the reader waits: it reads from the
/// file, so that nobody else does.
const CHUNKS_AHEAD: usize = 2;

/// Opens a process's lines as a stream that owns all it needs.
pub(crate) fn open(
    pipe: &LogPipe,
    snapshot: &Snapshot,
    request: &LogRequest,
) -> Result<BoxStream<Result<LogChunk, ControlError>>, ControlError> {
    let view = snapshot.processes.iter().find(|p| p.spec.name == request.name);
    let spec = view.map(|v| &v.spec).ok_or_else(|| Refusal::NotFound(request.name.clone()))?;
    let reader = pipe
        .read(&ReadRequest {
            process: ProcessRef { name: spec.name.clone(), id: spec.id },
            output: spec.output.clone(),
            lines: usize::try_from(request.lines).unwrap_or(usize::MAX),
            follow: request.follow,
            stream: request.stream,
        })
        .map_err(|e| refused(&e))?;
    let (tx, rx) = mpsc::channel(CHUNKS_AHEAD);
    tokio::spawn(pump(reader, tx));
    Ok(Box::pin(ReceiverStream::new(rx)))
}

async fn pump(mut reader: LogReader, tx: mpsc::Sender<Result<LogChunk, ControlError>>) {
    loop {
        let chunk = tokio::select! {
            chunk = reader.next_chunk() => chunk,
            // A follower of a silent process would otherwise stay for ever after its client went away.
            () = tx.closed() => return,
        };
        let item = match chunk {
            Ok(Some(chunk)) => {
                Ok(LogChunk { data: chunk.bytes, stream: chunk.stream, dropped: u64::from(chunk.missed) })
            }
            Ok(None) => return,
            Err(error) => Err(refused(&error)),
        };
        let last = item.is_err();
        if tx.send(item).await.is_err() || last {
            return;
        }
    }
}

fn refused(error: &LogError) -> ControlError {
    let hint = error.hint();
    let kind = match error {
        LogError::NotCaptured { .. } | LogError::NoFile { .. } => ErrorKind::FailedPrecondition,
        LogError::Io { .. } | LogError::Ended => ErrorKind::Internal,
    };
    let refused = ControlError::new(kind, error.to_string());
    if hint.is_empty() { refused } else { refused.with_hint(hint) }
}

/// The accounts of every stream, for the exposition.
pub(crate) fn accounting(pipe: &LogPipe) -> Vec<metrics::LogStream> {
    let of = |stats: &logpipe::StreamStats| {
        let sinks = Sink::ALL.map(|sink| {
            stats.sink(sink).map(|s| metrics::SinkStats {
                written: s.written,
                bytes: s.bytes_written,
                dropped: s.dropped,
                truncated: s.truncated,
                queued: s.queued,
                errors: s.errors,
            })
        });
        metrics::LogStream {
            process: stats.process.name.clone(),
            stream: stats.stream,
            lines: stats.lines_read,
            bytes: stats.bytes_read,
            sinks,
        }
    };
    pipe.stats().iter().map(of).collect()
}

/// The connection to the journal; `None` when there is no journal on this machine.
pub(crate) fn journal(pipe: &LogPipe) -> Option<metrics::Journal> {
    pipe.has_journal().then(|| {
        let totals = pipe.totals();
        metrics::Journal {
            connected: totals.journald_connected,
            errors: totals.journald_errors,
            events_dropped: totals.events_dropped,
        }
    })
}
