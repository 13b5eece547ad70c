//! What a caller without rights may hold of the daemon: the request's body is short and comes soon, and a list is taken
//! before the next one is made.
//!
//! A request is read before anybody can ask what it says, and an answer is held until its caller takes it. Neither has a
//! bound of its own below that of a connection, and connections are free.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;

/// Longest request of a caller without rights: a thousand names of 64 characters.
const LONGEST: usize = 64 << 10;
/// Until it is here.
const HERE: Duration = Duration::from_secs(10);
/// Until a list is taken.
const TAKEN: Duration = Duration::from_secs(30);

/// A request's body on its way in.
pub(crate) struct Guarded {
    inner: Body,
    left: usize,
    over: Pin<Box<Sleep>>,
}

impl Guarded {
    pub(crate) fn new(inner: Body) -> Self {
        Self { inner, left: LONGEST, over: Box::pin(sleep(HERE)) }
    }
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                match self.left.checked_sub(size) {
                    Some(left) => self.left = left,
                    None => {
                        let text =
                            format!("a request of a caller without rights has at most {LONGEST} bytes");
                        return Poll::Ready(Some(Err(Status::out_of_range(text))));
                    }
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending if self.over.as_mut().poll(cx).is_ready() => {
                let text = format!("the request was not here within {} s", HERE.as_secs());
                Poll::Ready(Some(Err(Status::deadline_exceeded(text))))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body that holds its caller's turn until it is taken.
pub(crate) struct Held {
    inner: Body,
    over: Pin<Box<Sleep>>,
    _turn: OwnedSemaphorePermit,
}

impl Held {
    pub(crate) fn new(inner: Body, turn: OwnedSemaphorePermit) -> Self {
        Self { inner, over: Box::pin(sleep(TAKEN)), _turn: turn }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over.as_mut().poll(cx).is_ready() {
            let text = format!("the answer was not taken within {} s", TAKEN.as_secs());
            return Poll::Ready(Some(Err(Status::deadline_exceeded(text))));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body::Body as _;

    use super::*;

    /// So many bytes in pieces, and then nothing more.
    struct Pieces(VecDeque<usize>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            match self.0.pop_front() {
                Some(size) => Poll::Ready(Some(Ok(Frame::data(vec![0; size].into())))),
                None => Poll::Pending,
            }
        }
    }

    async fn last(pieces: &[usize]) -> Status {
        let mut body = Guarded::new(Body::new(Pieces(pieces.iter().copied().collect())));
        loop {
            if let Err(status) =
                std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.expect("it has no end")
            {
                return status;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_short_and_comes_soon() {
        assert_eq!(last(&[LONGEST, 1]).await.code(), tonic::Code::OutOfRange);
        assert_eq!(last(&[LONGEST]).await.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(last(&[]).await.code(), tonic::Code::DeadlineExceeded);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_gives_the_turn_back() {
        let turn = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
        let held = turn.clone().try_acquire_owned().unwrap();
        let mut body = Held::new(Body::new(Pieces([].into())), held);
        let status =
            std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(turn.available_permits(), 0, "not before it is dropped");
        drop(body);
        assert_eq!(turn.available_permits(), 1);
    }
}
