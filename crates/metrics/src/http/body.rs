//! What is sent of an answer: bytes that are there, or an exposition while it is written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::text::Piece;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Content {
    /// All of it; absent when it was sent.
    Whole(Option<Bytes>),
    /// The first piece, until it was sent, and the way that the others come.
    Pieces {
        /// What is there already.
        first: Option<Bytes>,
        /// What comes.
        rest: mpsc::UnboundedReceiver<Piece>,
        /// When the client has to have it. A stream that stalls has its own limit, which begins anew with each piece.
        until: Instant,
        /// Whether the end was sent.
        ended: bool,
    },
}

impl Content {
    /// Waits until there is something to send, which a client then has to take in this time. `None` = the writer gave up
    /// before.
    pub(crate) async fn of(mut pieces: mpsc::UnboundedReceiver<Piece>, limit: Duration) -> Option<Self> {
        let first = pieces.recv().await?;
        if first.last {
            return Some(first.text.into());
        }
        let until = Instant::now() + limit;
        Some(Self::Pieces { first: Some(first.text), rest: pieces, until, ended: false })
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let bytes = match self.get_mut() {
            Self::Whole(bytes) => bytes.take(),
            Self::Pieces { ended: true, .. } => None,
            Self::Pieces { until, .. } if Instant::now() > *until => {
                return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
            }
            Self::Pieces { first: first @ Some(_), .. } => first.take(),
            Self::Pieces { rest, ended, .. } => match std::task::ready!(rest.poll_recv(cx)) {
                Some(piece) => {
                    *ended = piece.last;
                    Some(piece.text).filter(|text| !text.is_empty())
                }
                // The connection is closed then, so that nobody takes a part of it for all.
                None => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            },
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None) | Self::Pieces { ended: true, .. })
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Pieces { .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// A body of these pieces, the last one being the end or not.
    async fn content(pieces: &[&'static str], ends: bool) -> Option<Content> {
        let (to, from) = mpsc::unbounded_channel();
        for (n, piece) in pieces.iter().enumerate() {
            let last = ends && n + 1 == pieces.len();
            to.send(Piece { text: Bytes::from_static(piece.as_bytes()), last }).unwrap();
        }
        drop(to);
        Content::of(from, LIMIT).await
    }

    #[tokio::test]
    async fn one_piece_has_a_length_and_several_come_in_order() {
        let one = content(&["all"], true).await.unwrap();
        assert_eq!(one.size_hint().exact(), Some(3));
        assert_eq!(one.collect().await.unwrap().to_bytes(), "all");
        for pieces in [&["a", "b", "c"][..], &["a", "bc", ""]] {
            let several = content(pieces, true).await.unwrap();
            assert_eq!(several.size_hint().exact(), None);
            assert_eq!(several.collect().await.unwrap().to_bytes(), "abc");
        }
    }

    #[tokio::test]
    async fn what_was_not_written_to_the_end_is_an_error() {
        assert!(content(&[], false).await.is_none());
        let broken = content(&["a", "b"], false).await.unwrap();
        assert_eq!(broken.collect().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_client_that_takes_a_piece_now_and_then_runs_out_of_time() {
        let (to, from) = mpsc::unbounded_channel();
        to.send(Piece { text: Bytes::from_static(b"a"), last: false }).unwrap();
        let mut slow = Content::of(from, LIMIT).await.unwrap();
        assert!(slow.frame().await.unwrap().is_ok());
        let Content::Pieces { until, .. } = &mut slow else { unreachable!("there is more than one") };
        *until = Instant::now() - Duration::from_millis(1);
        to.send(Piece { text: Bytes::from_static(b"b"), last: true }).unwrap();
        assert_eq!(slow.frame().await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
