//! What a caller without rights may hold of the daemon: the request's body is short and comes soon, and a list is taken
//! before the next one is made.
//!
//! A request is read before anybody can ask what it says, and an answer is held until its caller takes it. Neither has a
//! bound of its own below that of a connection, and connections are free.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::Body as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tonic::body::Body;
use tonic::codegen::Bytes;

use crate::body::{Polled, Watch, Watched};
use crate::{ControlError, ErrorKind};

/// Longest request of a caller without rights: a thousand names of 64 characters.
const LONGEST: usize = 64 << 10;
/// Until it is here.
const HERE: Duration = Duration::from_secs(10);
/// Until a list is taken.
const TAKEN: Duration = Duration::from_secs(30);

/// A request's body on its way in.
pub(crate) struct Guarded {
    left: usize,
    over: Pin<Box<Sleep>>,
}

impl Guarded {
    pub(crate) fn around(inner: Body) -> Body {
        Watched::around(inner, Self { left: LONGEST, over: Box::pin(sleep(HERE)) })
    }
}

impl Watch for Guarded {
    fn next(&mut self, inner: Pin<&mut Body>, cx: &mut Context<'_>) -> Polled {
        match inner.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                let Some(left) = self.left.checked_sub(size) else {
                    let text = format!("a request of a caller without rights has at most {LONGEST} bytes");
                    return Poll::Ready(Some(Err(ControlError::new(ErrorKind::TooLarge, text).into())));
                };
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending if self.over.as_mut().poll(cx).is_ready() => {
                let text = format!("the request was not here within {} s", HERE.as_secs());
                Poll::Ready(Some(Err(ControlError::new(ErrorKind::DeadlineExceeded, text).into())))
            }
            other => other,
        }
    }
}

/// Holds a caller's turn until its answer is taken. One that is not is cut: there is no room to say so.
pub(crate) struct Held {
    over: Pin<Box<Sleep>>,
    _turn: OwnedSemaphorePermit,
}

impl Held {
    pub(crate) fn around(inner: Body, turn: OwnedSemaphorePermit) -> Body {
        Watched::around(inner, Self { over: Box::pin(sleep(TAKEN)), _turn: turn })
    }
}

impl Watch for Held {
    fn next(&mut self, inner: Pin<&mut Body>, cx: &mut Context<'_>) -> Polled {
        if self.over.as_mut().poll(cx).is_ready() {
            let text = format!("the answer was not taken within {} s", TAKEN.as_secs());
            return Poll::Ready(Some(Err(ControlError::new(ErrorKind::DeadlineExceeded, text).into())));
        }
        inner.poll_frame(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body::Frame;
    use tonic::Status;

    use super::*;

    /// So many bytes in pieces, and then nothing more.
    struct Pieces(VecDeque<usize>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled {
            match self.0.pop_front() {
                Some(size) => Poll::Ready(Some(Ok(Frame::data(vec![0; size].into())))),
                None => Poll::Pending,
            }
        }
    }

    async fn last(pieces: &[usize]) -> Status {
        let mut body = Guarded::around(Body::new(Pieces(pieces.iter().copied().collect())));
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
        let mut body = Held::around(Body::new(Pieces([].into())), held);
        let status =
            std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert_eq!(turn.available_permits(), 0, "not before it is dropped");
        drop(body);
        assert_eq!(turn.available_permits(), 1);
    }
}
