//! Between the log pipeline and those who show lines and counts.

use logpipe::{Batch, Cursor, CursorError, Filter, LogError, LogPipe, LogReader, Pattern, ReadRequest};
use model::{ProcessName, ProcessRef, Refusal, Sink, Snapshot};
use rpc::{BoxStream, ControlError, ErrorKind, LogBatch, LogPart, LogRequest};
use supervisor::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Batches (of 64 KiB) between a reader and its client. When the client is slow the reader waits: it reads from the
/// file, so that nobody else does.
const BATCHES_AHEAD: usize = 2;

/// Opens a process's lines as a stream that owns all it needs.
pub(crate) fn open(
    pipe: &LogPipe,
    supervisor: &Handle,
    request: LogRequest,
) -> Result<BoxStream<Result<LogBatch, ControlError>>, ControlError> {
    let snapshot = supervisor.snapshot();
    let view = snapshot.processes.iter().find(|p| p.spec.name == request.name);
    let spec = view.map(|v| &v.spec).ok_or_else(|| Refusal::NotFound(request.name.clone()))?;
    let filter = Filter {
        stream: request.stream,
        run: request.run,
        since: request.since,
        until: request.until,
        grep: request.grep.map(|text| pattern(&text)).transpose()?,
    };
    let reader = pipe
        .read(ReadRequest {
            process: ProcessRef { name: spec.name.clone(), id: spec.id },
            output: spec.output.clone(),
            lines: request.lines.map_or(usize::MAX, |lines| usize::try_from(lines).unwrap_or(usize::MAX)),
            follow: request.follow,
            filter,
            after: request.after.map(|text| cursor(&text)).transpose()?,
            single: request.split,
        })
        .map_err(|e| refused(&e))?;
    let (tx, rx) = mpsc::channel(BATCHES_AHEAD);
    let (supervisor, name) = (supervisor.clone(), request.name);
    // A follower whose process is still there sees the end of the daemon.
    let cut_off = move || request.follow && is_defined(&supervisor.snapshot(), &name);
    tokio::spawn(pump(reader, tx, cut_off));
    Ok(Box::pin(ReceiverStream::new(rx)))
}

fn is_defined(snapshot: &Snapshot, name: &ProcessName) -> bool {
    snapshot.processes.iter().any(|view| view.spec.name == *name)
}

fn pattern(text: &str) -> Result<Pattern, ControlError> {
    Pattern::new(text).map_err(|error| {
        let error = ControlError::invalid("grep", format!("grep is no regular expression: {error}"));
        error.with_hint(
            "to search for a text as it is, put a backslash before each of . + * ? ( ) [ ] { } ^ $ | \\",
        )
    })
}

fn cursor(text: &str) -> Result<Cursor, ControlError> {
    text.parse().map_err(|error: CursorError| {
        let error = ControlError::invalid("after_cursor", format!("after_cursor is {text:?}; {error}"));
        error.with_hint("take it as it came in a response, or leave it out and say how many lines")
    })
}

async fn pump(
    mut reader: LogReader,
    tx: mpsc::Sender<Result<LogBatch, ControlError>>,
    cut_off: impl Fn() -> bool,
) {
    loop {
        let batch = tokio::select! {
            batch = reader.next_batch() => batch,
            // A follower of a silent process would otherwise stay for ever after its client went away.
            () = tx.closed() => return,
        };
        let item = match batch {
            Ok(Some(batch)) => Ok(lines(batch)),
            Ok(None) if cut_off() => Err(Refusal::ShuttingDown.into()),
            Ok(None) => return,
            Err(error) => Err(refused(&error)),
        };
        let last = item.is_err();
        if tx.send(item).await.is_err() || last {
            return;
        }
    }
}

fn lines(batch: Batch) -> LogBatch {
    let Batch { chunks, missed, left_out, caught_up, position } = batch;
    let parts = chunks.into_iter().map(|chunk| LogPart {
        data: chunk.bytes,
        stream: chunk.stream,
        run: chunk.run,
        at: chunk.at,
        cursor: chunk.position.map(|position| position.to_string()),
    });
    LogBatch { parts: parts.collect(), cursor: position.to_string(), missed, left_out, caught_up }
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
pub(crate) fn accounting(pipe: &LogPipe, each: &mut dyn FnMut(metrics::LogStream)) {
    pipe.each_stats(|stats: logpipe::StreamStats| {
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
        each(metrics::LogStream {
            process: stats.process.name,
            stream: stats.stream,
            lines: stats.lines_read,
            bytes: stats.bytes_read,
            sinks,
            lag: stats.lag,
        });
    });
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
