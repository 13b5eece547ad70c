//! Counts calls of the service and measures how long they take, for whoever shows metrics.
//!
//! It sits around the generated service and knows a call by its path. A call ends with its trailers; one whose body is
//! dropped before them was cancelled. Its size is fixed: a row for each RPC, none for paths that are no RPC.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{BoxFuture, Bytes};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use crate::auth::Method;

/// Status codes of gRPC: 0 to 16.
const CODES: usize = 17;

/// Counts of every RPC since the daemon started.
pub struct Meter([Row; Method::TABLE.len()]);

/// One RPC. The numbers are of the same moment or of neighboring ones.
struct Row {
    method: Method,
    started: AtomicU64,
    /// Calls that ended, by status code.
    handled: [AtomicU64; CODES],
    /// Calls that took at most [`Meter::BOUNDS`], each counted once.
    took: [AtomicU64; Meter::BOUNDS.len()],
    nanos: AtomicU64,
}

/// What is known of one RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallStats {
    /// Which.
    pub method: &'static str,
    /// Whether its answer is a stream.
    pub streams: bool,
    /// Calls that began.
    pub started: u64,
    /// Calls that ended, by status code as gRPC numbers them.
    pub handled: [u64; CODES],
    /// Calls that took at most as long as the bound of the same place in [`Meter::BOUNDS`] and longer than the one before.
    pub took: [u64; Meter::BOUNDS.len()],
    /// Time that all of them took.
    pub total: Duration,
}

impl Default for Meter {
    fn default() -> Self {
        Self(Method::TABLE.map(|(method, _)| Row {
            method,
            started: AtomicU64::default(),
            handled: Default::default(),
            took: Default::default(),
            nanos: AtomicU64::default(),
        }))
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read()).finish()
    }
}

impl Meter {
    /// Upper bounds of the time that calls take: from a list of few processes to a start that waits for readiness.
    pub const BOUNDS: [Duration; 8] = [
        Duration::from_millis(1),
        Duration::from_millis(5),
        Duration::from_millis(25),
        Duration::from_millis(100),
        Duration::from_millis(500),
        Duration::from_millis(2500),
        Duration::from_secs(10),
        Duration::from_secs(60),
    ];

    /// The codes' names, in the order of [`CallStats::handled`].
    pub const CODES: [&str; CODES] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];

    /// All RPCs.
    pub fn read(&self) -> impl Iterator<Item = CallStats> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.0.iter().map(move |row| CallStats {
            method: row.method.as_str(),
            streams: matches!(row.method, Method::StreamLogs | Method::WatchEvents),
            started: of(&row.started),
            handled: row.handled.each_ref().map(of),
            took: row.took.each_ref().map(of),
            total: Duration::from_nanos(of(&row.nanos)),
        })
    }

    /// A call begins. `None` = there is no such RPC.
    fn begin(self: &Arc<Self>, path: &str) -> Option<Running> {
        let name = path.strip_prefix('/')?.strip_prefix(crate::SERVICE)?.strip_prefix('/')?;
        let row = self.0.iter().position(|row| row.method.as_str() == name)?;
        self.0[row].started.fetch_add(1, Ordering::Relaxed);
        Some(Running { meter: Arc::clone(self), row, begun: Instant::now(), code: Code::Cancelled })
    }
}

/// A call that goes on. Booked when it is dropped.
struct Running {
    meter: Arc<Meter>,
    row: usize,
    begun: Instant,
    /// How it ended; cancelled unless somebody says otherwise.
    code: Code,
}

impl Running {
    fn learn(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.code = status.code();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let row = &self.meter.0[self.row];
        let took = self.begun.elapsed();
        if let Some(code) = usize::try_from(i32::from(self.code)).ok().and_then(|code| row.handled.get(code))
        {
            code.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(place) = Meter::BOUNDS.iter().position(|bound| took <= *bound) {
            row.took[place].fetch_add(1, Ordering::Relaxed);
        }
        row.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The service with a meter around it.
#[derive(Clone, Debug)]
pub(crate) struct Metered<S> {
    pub(crate) inner: S,
    pub(crate) meter: Arc<Meter>,
}

impl<S: NamedService> NamedService for Metered<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Metered<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Response<Body>, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let running = self.meter.begin(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let Some(mut running) = running else { return Ok(answer) };
            // A refusal without a message has its status here, and no body.
            running.learn(answer.headers());
            Ok(answer.map(|inner| Body::new(MeteredBody { inner, running })))
        })
    }
}

/// An answer's body that looks at the status at its end.
struct MeteredBody {
    inner: Body,
    running: Running,
}

impl http_body::Body for MeteredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.running.learn(trailers);
        }
        polled
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
    use super::*;

    fn stats(meter: &Meter, method: &str) -> CallStats {
        meter.read().find(|stats| stats.method == method).unwrap()
    }

    #[test]
    fn a_call_is_booked_once_under_its_code() {
        let meter = Arc::new(Meter::default());
        let mut call = meter.begin(&format!("/{}/ListProcesses", crate::SERVICE)).unwrap();
        call.learn(&HeaderMap::new());
        assert_eq!(stats(&meter, "ListProcesses").started, 1);
        assert_eq!(stats(&meter, "ListProcesses").handled, [0; CODES]);
        call.learn(&[("grpc-status".parse().unwrap(), "5".parse().unwrap())].into_iter().collect());
        drop(call);
        let ended = stats(&meter, "ListProcesses");
        assert_eq!(
            (ended.handled.iter().sum::<u64>(), ended.handled[5], Meter::CODES[5]),
            (1, 1, "NotFound")
        );
        assert_eq!(ended.took.iter().sum::<u64>(), 1);
        drop(meter.begin(&format!("/{}/StreamLogs", crate::SERVICE)));
        assert_eq!(stats(&meter, "StreamLogs").handled[1], 1, "nobody saw its end: cancelled");
    }

    #[test]
    fn what_is_no_rpc_is_not_counted() {
        let meter = Arc::new(Meter::default());
        for path in ["", "/", "/x/ListProcesses", "/ddprocmgr.v1.ProcessManagerService/Nothing"] {
            assert!(meter.begin(path).is_none(), "{path}");
        }
        assert!(meter.read().all(|stats| stats.started == 0));
    }

    #[test]
    fn the_codes_are_those_of_grpc() {
        let names = Meter::CODES.map(str::to_ascii_lowercase);
        for (number, name) in (0..).zip(names) {
            // The two that are spelled otherwise elsewhere.
            let rust =
                format!("{:?}", Code::from(number)).to_ascii_lowercase().replace("cancelled", "canceled");
            assert_eq!(rust, name, "{number}");
        }
        assert_eq!(Code::from(17), Code::Unknown, "there are more codes");
    }
}
