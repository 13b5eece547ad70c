//! The deadline that a caller gives with its call (`grpc-timeout`): when it is over the call is answered with
//! DEADLINE_EXCEEDED and dropped.
//!
//! tonic drops such a call by itself, but says CANCELLED, and does not look at it again once a stream has begun. What was
//! accepted runs to its end all the same: see `Service::operate`.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body as _, Frame};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Response};

use crate::body::{Polled, Watch, Watched};
use crate::{ControlError, ErrorKind};

/// The answer is on its way so much before the deadline; then it gets there, and before tonic's own.
const AHEAD: Duration = Duration::from_millis(2);

/// The answer, or DEADLINE_EXCEEDED; `None` = there is no deadline.
pub(crate) async fn keep<E>(
    deadline: Option<Instant>,
    answer: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    let Some(deadline) = deadline else { return answer.await };
    match tokio::time::timeout_at(deadline, answer).await {
        Ok(answer) => Ok(answer?.map(|inner| Watched::around(inner, Over(Box::pin(sleep_until(deadline)))))),
        Err(_) => Ok(exceeded().into_http()),
    }
}

fn exceeded() -> Status {
    let text = "the caller's deadline is over; what was accepted goes on";
    ControlError::new(ErrorKind::DeadlineExceeded, text)
        .with_hint("give it more time; a call with a request_id can be made again to hear how it went")
        .into()
}

/// When the call has to be answered; `None` = whenever, also where nobody can understand the header.
pub(crate) fn of(headers: &HeaderMap) -> Option<Instant> {
    let timeout = parse(headers.get("grpc-timeout")?.to_str().ok()?)?;
    // One that lies beyond the clock's end is none.
    Instant::now().checked_add(timeout.saturating_sub(AHEAD))
}

/// At most 8 digits and a unit, as the gRPC protocol has it.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Ends an answer's body at the deadline.
struct Over(Pin<Box<Sleep>>);

impl Watch for Over {
    fn next(&mut self, inner: Pin<&mut Body>, cx: &mut Context<'_>) -> Polled {
        if self.0.as_mut().poll(cx).is_pending() {
            return inner.poll_frame(cx);
        }
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(exceeded().add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_has_them() {
        for (text, wanted) in [
            ("3S", Some(Duration::from_secs(3))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("1n", Some(Duration::from_nanos(1))),
            ("0u", Some(Duration::ZERO)),
            ("100000000S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("+1S", None),
            ("1s", None),
            ("1é", None),
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }

    fn deadline(timeout: &str) -> Option<Instant> {
        of(&[("grpc-timeout".parse().unwrap(), timeout.parse().unwrap())].into_iter().collect())
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_answered_in_time_hears_so() {
        let silent = || std::future::pending::<Result<Response<Body>, Status>>();
        let begun = Instant::now();
        let answer = keep(deadline("3S"), silent()).await.unwrap();
        // A moment before the deadline, as precisely as timers go.
        assert!((2_990..3_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        // A deadline that nobody can understand, or that never comes, is none.
        for timeout in ["soon", "99999999H"] {
            let call = keep(deadline(timeout), silent());
            assert!(tokio::time::timeout(Duration::from_secs(3600), call).await.is_err(), "{timeout}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_at_the_deadline() {
        struct Silent;
        impl http_body::Body for Silent {
            type Data = tonic::codegen::Bytes;
            type Error = Status;
            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled {
                Poll::Pending
            }
        }
        let stream = std::future::ready(Ok::<_, Status>(Response::new(Body::new(Silent))));
        let mut body = keep(deadline("3S"), stream).await.unwrap().into_body();
        let mut next = async || std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let trailers = next().await.unwrap().unwrap().into_trailers().unwrap();
        let status = Status::from_header_map(&trailers).unwrap();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert!(next().await.is_none());
    }
}
