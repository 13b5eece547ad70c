//! The lines of a process on their way to a caller.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_stream::Stream;
use tonic::Status;

use crate::shares::Share;
use crate::{BoxFuture, BoxStream, ControlError, ErrorKind, LogBatch, convert, v1};

/// Lines on their way to a caller. When the server drains, the stream ends with UNAVAILABLE. A caller that reads
/// slowly holds back only this stream: HTTP/2 flow control stops the polling, and the source tells what was deleted before it came to read it.
pub(crate) struct LogStream {
    lines: BoxStream<Result<LogBatch, ControlError>>,
    drained: BoxFuture<()>,
    ended: bool,
    _slot: Share,
}

impl LogStream {
    /// `drained` resolves when the server drains; `slot` is given back when the stream is dropped.
    pub(super) fn new(
        lines: BoxStream<Result<LogBatch, ControlError>>,
        drained: BoxFuture<()>,
        slot: Share,
    ) -> Self {
        Self { lines, drained, ended: false, _slot: slot }
    }
}

impl Stream for LogStream {
    type Item = Result<v1::StreamLogsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Lines first: what is there already reaches the caller even while the server drains.
        match self.lines.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(batch))) => Poll::Ready(Some(Ok(convert::lines(batch)))),
            Poll::Ready(Some(Err(error))) => {
                self.ended = true;
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                std::task::ready!(self.drained.as_mut().poll(cx));
                self.ended = true;
                let error = ControlError::new(ErrorKind::Unavailable, "the daemon is shutting down");
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }
}
