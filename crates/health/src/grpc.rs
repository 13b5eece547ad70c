//! A grpc check: grpc.health.v1.Health/Check over HTTP/2 without TLS.
//!
//! tonic makes and reads the messages; the connection is hyper's own and not a `tonic::transport::Channel`, which looks
//! up names on the runtime's blocking threads, reads without a bound of its own, and leaves its tasks to the runtime.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::connect::connect;
use crate::deadline::Deadline;
use crate::failure::{Failure, quote};
use crate::http::{AGENT, MAX_HEAD};
use crate::resolve::Resolver;
use crate::target::Target;
use crate::wire::{End, Record, Seen, Wire};

/// What the other side may send before it is told that we took it, in bytes: the least that HTTP/2 knows. An answer has
/// 7 bytes.
const WINDOW: u32 = 65_535;
/// Largest message of an answer in bytes.
const MAX_MESSAGE: usize = 4 * 1024;

/// Healthy = SERVING.
pub(crate) async fn check(
    address: &str,
    service: &str,
    resolver: &Resolver,
    deadline: Deadline,
) -> Result<(), Failure> {
    let target = Target::parse(address)?;
    let stream = connect(&target, resolver, deadline).await?;
    let answer = deadline.bound(ask(stream, &target, service)).await;
    let status =
        answer.ok_or_else(|| Failure::silent(format!("no answer from {target} within {deadline}")))??;
    let name = match ServingStatus::try_from(status) {
        Ok(ServingStatus::Serving) => return Ok(()),
        Ok(other) => other.as_str_name().to_owned(),
        Err(_) => format!("the unknown status {status}"),
    };
    Err(Failure::said(format!("{name} from {target}{}", about(service))))
}

/// ` for the service a.b.C`
fn about(service: &str) -> String {
    if service.is_empty() { String::new() } else { format!(" for the service {service}") }
}

/// The target as HTTP wants it: the zone of a link-local address means nothing to the other side.
fn authority(target: &Target) -> String {
    let host = target.host.split('%').next().unwrap_or_default().to_owned();
    Target { host, port: target.port }.to_string()
}

/// The status as a number. The connection ends with this future.
async fn ask(stream: TcpStream, target: &Target, service: &str) -> Result<i32, Failure> {
    let (wire, record) = Wire::new(stream);
    let mut tasks = Tasks::default();
    let unusable = |error: &dyn fmt::Display| Failure::said(format!("{target} can't be asked: {error}"));
    let origin = Uri::try_from(format!("http://{}/", authority(target))).map_err(|error| unusable(&error))?;
    let (sender, connection) = http2::Builder::new(tasks.executor())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .max_send_buf_size(MAX_MESSAGE)
        .handshake(TokioIo::new(wire))
        .await
        .map_err(|error| unusable(&error))?;
    tasks.running.push(Box::pin(async move { drop(connection.await) }));
    let mut client = HealthClient::with_origin(Call(sender), origin).max_decoding_message_size(MAX_MESSAGE);
    let answered = tokio::select! {
        // The tasks come last, so that what the request begins goes on at once.
        biased;
        answered = client.check(HealthCheckRequest { service: service.to_owned() }) => answered,
        never = tasks => match never {},
    };
    match answered {
        Ok(response) => Ok(response.into_inner().status),
        Err(status) => Err(Failure::said(explained(&status, &record, target, service))),
    }
}

/// A status other than OK in words.
fn explained(status: &Status, record: &Record, target: &Target, service: &str) -> String {
    if let Some(NotGrpc(why)) = status.source().and_then(|source| source.downcast_ref()) {
        return format!("{target} does not speak gRPC: {why}");
    }
    // Made on this side: the connection failed, or what came over it is no gRPC.
    if status.source().is_some() {
        return broken(record, target);
    }
    match status.code() {
        Code::Unimplemented => {
            format!("{target} answers no health checks: it has no grpc.health.v1.Health (UNIMPLEMENTED)")
        }
        Code::NotFound if !service.is_empty() => {
            format!("{target} does not know the service {service} (NOT_FOUND)")
        }
        code => {
            let message = quote(status.message());
            let colon = if message.is_empty() { "" } else { ": " };
            format!("{} from {target}{}{colon}{message}", name(code), about(service))
        }
    }
}

/// Why a connection came to nothing.
fn broken(record: &Record, target: &Target) -> String {
    let Seen { bytes, start, end } = record.seen();
    // The first frame of an HTTP/2 server is SETTINGS, type 4 (RFC 9113, 3.4).
    let http2 = bytes >= start.len() && start[3] == 4;
    if bytes > 0 && !http2 && end != Some(End::TooMuch) {
        let what = if start == *b"HTTP" { "it answers in HTTP/1" } else { "it does not answer in HTTP/2" };
        return format!("{target} does not speak gRPC: {what}");
    }
    let fault = record.fault(&target.to_string());
    fault.unwrap_or_else(|| format!("{target} broke off the call"))
}

/// As the documents of gRPC write it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// An answer of something else that speaks HTTP/2.
#[derive(Debug)]
struct NotGrpc(String);

impl fmt::Display for NotGrpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for NotGrpc {}

/// What tonic calls through: one connection.
struct Call(http2::SendRequest<Body>);

impl Service<Request<Body>> for Call {
    type Response = Response<Incoming>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let response = self.0.send_request(request);
        Box::pin(async move {
            let response = response.await?;
            // Without this, a web server's "not found" would look like a gRPC server without the service.
            let kind = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
            if kind.starts_with(b"application/grpc") {
                return Ok(response);
            }
            Err(NotGrpc(format!("it answers with HTTP {}", response.status().as_u16())).into())
        })
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What hyper would spawn, two tasks a connection: here they are a part of the check and end with it. As tasks of the
/// runtime they would be dropped before the check at shutdown, which would then look like a failure of the other side.
#[derive(Default)]
struct Tasks {
    begun: Arc<Mutex<Vec<Task>>>,
    running: Vec<Task>,
}

impl Tasks {
    /// Weak, because the tasks themselves hold it: they would keep each other.
    fn executor(&self) -> Executor {
        Executor(Arc::downgrade(&self.begun))
    }
}

impl Future for Tasks {
    type Output = Infallible;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        loop {
            self.running.retain_mut(|task| task.as_mut().poll(cx).is_pending());
            let begun = std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner));
            if begun.is_empty() {
                return Poll::Pending;
            }
            self.running.extend(begun);
        }
    }
}

/// Begins tasks as long as there are [`Tasks`].
#[derive(Clone)]
struct Executor(Weak<Mutex<Vec<Task>>>);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
{
    fn execute(&self, task: F) {
        if let Some(begun) = self.0.upgrade() {
            let task = Box::pin(async move { drop(task.await) });
            begun.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::parse("127.0.0.1:50051").unwrap()
    }

    #[test]
    fn statuses_are_explained() {
        let say = |status: Status, service| explained(&status, &Record::default(), &target(), service);
        assert_eq!(
            say(Status::unimplemented("x"), ""),
            "127.0.0.1:50051 answers no health checks: it has no grpc.health.v1.Health (UNIMPLEMENTED)"
        );
        assert_eq!(
            say(Status::not_found("x"), "a.B"),
            "127.0.0.1:50051 does not know the service a.B (NOT_FOUND)"
        );
        assert_eq!(say(Status::not_found(""), ""), "NOT_FOUND from 127.0.0.1:50051");
        assert_eq!(
            say(Status::unavailable("data\nbase"), "a.B"),
            "UNAVAILABLE from 127.0.0.1:50051 for the service a.B: data base"
        );
        assert_eq!(say(Status::unauthenticated("who?"), ""), "UNAUTHENTICATED from 127.0.0.1:50051: who?");
    }

    #[test]
    fn a_zone_is_not_sent() {
        let authority = |address| authority(&Target::parse(address).unwrap());
        assert_eq!(authority("[fe80::1%eth0]:80"), "[fe80::1]:80");
        assert_eq!(authority("some_host:80"), "some_host:80");
        for address in ["[fe80::1%eth0]:80", "some_host:80", "127.0.0.1:1"] {
            assert!(Uri::try_from(format!("http://{}/", authority(address))).is_ok(), "{address}");
        }
    }

    #[test]
    fn names_are_those_of_the_documents() {
        for code in (0..=16).map(Code::from_i32) {
            let camel: String =
                name(code).split('_').map(|w| w[..1].to_owned() + &w[1..].to_lowercase()).collect();
            assert_eq!(camel.to_lowercase(), format!("{code:?}").to_lowercase());
        }
    }
}
