//! A connection that reads a bounded number of bytes and remembers how it ended.
//!
//! An answer to a health check is small. Whatever the other side sends without end, be it headers, informational
//! responses or HTTP/2 frames that want to be answered, stops here.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read from one connection; more is an error of the other side. Above the largest head of an answer
/// ([`crate::http::MAX_HEAD`]), so that this one is reported as such.
pub(crate) const MAX_READ: usize = 64 * 1024;

/// What has come over a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Bytes read.
    pub(crate) bytes: usize,
    /// The first of them: enough to tell protocols apart.
    pub(crate) start: [u8; 4],
    /// How it ended, when it did.
    pub(crate) end: Option<End>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The other side closed it.
    Closed,
    /// It broke.
    Broken(io::ErrorKind),
    /// The other side sent more than [`MAX_READ`].
    TooMuch,
}

/// What a [`Wire`] has seen, for whoever gave it away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Seen>>);

impl Record {
    /// As of now.
    pub(crate) fn seen(&self) -> Seen {
        *self.lock()
    }

    /// What is wrong in words, judging by what was seen; `None` when nothing is, as far as the connection goes.
    pub(crate) fn fault(&self, subject: &str) -> Option<String> {
        let seen = self.seen();
        Some(match seen.end? {
            End::Closed | End::Broken(io::ErrorKind::BrokenPipe) if seen.bytes == 0 => {
                format!("{subject} closed the connection without an answer")
            }
            End::Closed | End::Broken(io::ErrorKind::BrokenPipe) => {
                format!("{subject} closed the connection in the middle of its answer")
            }
            End::Broken(io::ErrorKind::ConnectionReset) => format!("connection reset by {subject}"),
            End::Broken(kind) => format!("the connection to {subject} broke: {kind}"),
            End::TooMuch => {
                format!("{subject} sent more than {} KiB, a check reads no more", MAX_READ / 1024)
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream with a [`Record`].
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: S,
    record: Record,
}

impl<S> Wire<S> {
    /// Records what comes over `stream`.
    pub(crate) fn new(stream: S) -> (Self, Record) {
        let record = Record::default();
        (Self { stream, record: record.clone() }, record)
    }

    fn broken<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.record.lock().end.get_or_insert(End::Broken(error.kind()));
        }
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.broken(result)?;
        let new = &buf.filled()[before..];
        let read = new.len();
        let mut seen = self.record.lock();
        let known = seen.bytes.min(seen.start.len());
        seen.start[known..].iter_mut().zip(new).for_each(|(start, byte)| *start = *byte);
        seen.bytes += read;
        if seen.bytes > MAX_READ {
            seen.end = Some(End::TooMuch);
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        if read == 0 && buf.remaining() > 0 {
            seen.end.get_or_insert(End::Closed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        Poll::Ready(self.broken(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        Poll::Ready(self.broken(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
