//! The deadline that a caller gives with its call (`grpc-timeout`): when it is over the call is answered with
//! DEADLINE_EXCEEDED and dropped.
//!
//! tonic drops such a call by itself, but says CANCELLED, and does not look at it again once a stream has begun. What was
//! accepted runs to its end all the same: see `Service::operate`.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{BoxFuture, Bytes};
use tonic::server::NamedService;
use tower::Service;

/// The answer is on its way so much before the deadline; then it gets there, and before tonic's own.
const AHEAD: Duration = Duration::from_millis(2);

/// A service that keeps deadlines.
#[derive(Clone, Debug)]
pub(crate) struct Deadlined<S>(pub(crate) S);

impl<S: NamedService> NamedService for Deadlined<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Deadlined<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Response<Body>, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let deadline = deadline(request.headers());
        let answer = self.0.call(request);
        Box::pin(async move {
            let Some(deadline) = deadline else { return answer.await };
            match tokio::time::timeout_at(deadline, answer).await {
                Ok(answer) => Ok(answer?.map(|inner| {
                    let over = Box::pin(sleep_until(deadline));
                    Body::new(DeadlinedBody { inner, over: Some(over) })
                })),
                Err(_) => Ok(exceeded().into_http()),
            }
        })
    }
}

fn exceeded() -> Status {
    Status::deadline_exceeded("the caller's deadline is over; what was accepted goes on")
}

/// When the call has to be answered; `None` = whenever, also where nobody can understand the header.
fn deadline(headers: &HeaderMap) -> Option<Instant> {
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

/// An answer's body that ends at the deadline.
struct DeadlinedBody {
    inner: Body,
    /// `None` = it was over.
    over: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for DeadlinedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(over) = &mut self.over else { return Poll::Ready(None) };
        if over.as_mut().poll(cx).is_pending() {
            return Pin::new(&mut self.inner).poll_frame(cx);
        }
        self.over = None;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(exceeded().add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.over.is_none() || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
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

    fn request(timeout: &str) -> Request<Body> {
        Request::builder().header("grpc-timeout", timeout).body(Body::empty()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_not_answered_in_time_hears_so() {
        let silent = |_: Request<Body>| std::future::pending::<Result<Response<Body>, Status>>();
        let begun = Instant::now();
        let answer = Deadlined(tower::service_fn(silent)).call(request("3S")).await.unwrap();
        // A moment before the deadline, as precisely as timers go.
        assert!((2_990..3_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        // A deadline that nobody can understand, or that never comes, is none.
        for timeout in ["soon", "99999999H"] {
            let call = Deadlined(tower::service_fn(silent)).call(request(timeout));
            assert!(tokio::time::timeout(Duration::from_secs(3600), call).await.is_err(), "{timeout}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_at_the_deadline() {
        struct Silent;
        impl http_body::Body for Silent {
            type Data = Bytes;
            type Error = Status;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
                Poll::Pending
            }
        }
        let streams =
            |_: Request<Body>| std::future::ready(Ok::<_, Status>(Response::new(Body::new(Silent))));
        let answer = Deadlined(tower::service_fn(streams)).call(request("3S")).await.unwrap();
        let mut body = answer.into_body();
        let mut next =
            async || std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await;
        let trailers = next().await.unwrap().unwrap().into_trailers().unwrap();
        let status = Status::from_header_map(&trailers).unwrap();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
        assert!(next().await.is_none());
    }
}
