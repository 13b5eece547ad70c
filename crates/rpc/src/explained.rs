//! Every error says its reason: the one place that guarantees `google.rpc.ErrorInfo`.
//!
//! The service's own errors are [`ControlError`](crate::ControlError)s and have it. Others come from below or beside it: a
//! request that can't be decoded, a method that doesn't exist, the health service. They get it here, by their code.

use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body as _, Frame};
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Response};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::body::{Polled, Watch, Watched};
use crate::fault::{DOMAIN, HINT};

/// Where a status stands in headers and trailers.
const CODE: &str = "grpc-status";
const DETAILS: &str = "grpc-status-details-bin";

/// The answer, whose error, when it has one, says its reason.
pub(crate) fn explained(mut answer: Response<Body>) -> Response<Body> {
    // A refusal without a message has its status at the beginning.
    complete(answer.headers_mut());
    answer.map(|inner| Watched::around(inner, Trailers))
}

/// Completes the status at the end of an answer.
struct Trailers;

impl Watch for Trailers {
    fn next(&mut self, inner: Pin<&mut Body>, cx: &mut Context<'_>) -> Polled {
        match inner.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) if frame.is_trailers() => {
                let mut trailers = frame.into_trailers().unwrap_or_default();
                complete(&mut trailers);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            other => other,
        }
    }
}

fn complete(headers: &mut HeaderMap) {
    let is_error = headers.get(CODE).is_some_and(|code| code != "0");
    if !is_error || headers.contains_key(DETAILS) {
        return;
    }
    let Some(status) = Status::from_header_map(headers) else { return };
    let (reason, hint) = reason(status.code());
    let mut details = ErrorDetails::new();
    let metadata = hint.map(|hint| (HINT.to_owned(), hint.to_owned()));
    details.set_error_info(reason, DOMAIN, metadata.into_iter().collect::<HashMap<_, _>>());
    let status = Status::with_error_details(status.code(), status.message(), details);
    // What can't be written leaves the status as it was.
    let _unexplained = status.add_header(headers);
}

/// By nothing but the code: the reason, and the way out where there is one.
fn reason(code: Code) -> (&'static str, Option<&'static str>) {
    match code {
        Code::Ok => ("OK", None),
        Code::Cancelled => ("CANCELLED", None),
        Code::Unknown => ("UNKNOWN", None),
        Code::InvalidArgument => ("INVALID_REQUEST", None),
        Code::DeadlineExceeded => ("DEADLINE_EXCEEDED", Some("give the call more time")),
        Code::NotFound => ("NOT_FOUND", None),
        Code::AlreadyExists => ("ALREADY_EXISTS", None),
        Code::PermissionDenied => ("PERMISSION_DENIED", None),
        Code::ResourceExhausted => ("BUSY", Some("try again later")),
        Code::FailedPrecondition => ("FAILED_PRECONDITION", None),
        Code::Aborted => ("ABORTED", None),
        Code::OutOfRange => ("TOO_LARGE", Some("requests are bounded: see docs/API.md, Limits")),
        Code::Unimplemented => (
            "NOT_IMPLEMENTED",
            Some("this daemon has no such method: its reflection lists those that there are"),
        ),
        Code::Internal => ("INTERNAL", None),
        Code::Unavailable => ("SHUTTING_DOWN", None),
        Code::DataLoss => ("DATA_LOSS", None),
        Code::Unauthenticated => ("BAD_TOKEN", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that has no details, at the beginning or at the end.
    async fn ended(status: &Status, at_the_end: bool) -> Status {
        let answer = if at_the_end {
            let mut trailers = HeaderMap::new();
            status.add_header(&mut trailers).unwrap();
            Response::new(Body::new(End(Some(trailers))))
        } else {
            status.clone().into_http()
        };
        let answer = explained(answer);
        if !at_the_end {
            return Status::from_header_map(answer.headers()).unwrap();
        }
        let mut body = answer.into_body();
        let last = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
        assert!(body.is_end_stream());
        Status::from_header_map(last.trailers_ref().unwrap()).unwrap()
    }

    struct End(Option<HeaderMap>);

    impl http_body::Body for End {
        type Data = tonic::codegen::Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled {
            Poll::Ready(self.0.take().map(|trailers| Ok(Frame::trailers(trailers))))
        }
    }

    #[tokio::test]
    async fn an_error_of_any_code_says_its_reason() {
        for code in (1..=16).map(Code::from) {
            for at_the_end in [false, true] {
                let status = ended(&Status::new(code, "it's \u{1b}[31m wrong"), at_the_end).await;
                assert_eq!((status.code(), status.message()), (code, "it's \u{1b}[31m wrong"));
                let info = status.get_details_error_info().unwrap();
                assert_eq!(info.domain, DOMAIN);
                assert!(!info.reason.is_empty() && info.reason != "OK", "{code:?}");
            }
        }
        assert_eq!(Code::from(17), Code::Unknown, "there are more codes");
    }

    #[tokio::test]
    async fn what_says_its_reason_itself_is_left_as_it_is() {
        let own = Status::from(crate::ControlError::new(crate::ErrorKind::NotFound, "no").with_hint("look"));
        for at_the_end in [false, true] {
            let status = ended(&own, at_the_end).await;
            assert_eq!((status.message(), status.details()), (own.message(), own.details()));
        }
        let fine = ended(&Status::new(Code::Ok, ""), true).await;
        assert!(fine.details().is_empty());
    }

    #[test]
    fn the_documentation_names_every_reason_by_code() {
        let text = include_str!("../../../docs/API.md");
        for code in
            [Code::Cancelled, Code::DeadlineExceeded, Code::NotFound, Code::OutOfRange, Code::Unimplemented]
        {
            let (reason, _) = reason(code);
            assert!(text.contains(&format!("| `{reason}` |")), "{reason}");
        }
    }
}
