//! Counts calls of the service and measures how long they take, for whoever shows metrics.
//!
//! A call is known by its path. It ends with its trailers; one whose body is
//! dropped before them was cancelled. Its size is fixed: a row for each RPC, none for paths that are no RPC.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body::Body as _;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Response};
use tonic::{Code, Status};

use crate::auth::Method;
use crate::body::{Polled, Watch, Watched};

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
    pub(crate) fn begin(self: &Arc<Self>, path: &str) -> Option<Running> {
        let name = crate::front::method(path)?;
        let row = self.0.iter().position(|row| row.method.as_str() == name)?;
        self.0[row].started.fetch_add(1, Ordering::Relaxed);
        Some(Running { meter: Arc::clone(self), row, begun: Instant::now(), code: Code::Cancelled })
    }
}

/// A call that goes on. Booked when it is dropped.
pub(crate) struct Running {
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

/// Looks at the status at the end of an answer. A refusal without a message has it at the beginning, and no body.
pub(crate) fn metered(running: Option<Running>, answer: Response<Body>) -> Response<Body> {
    let Some(mut running) = running else { return answer };
    running.learn(answer.headers());
    answer.map(|inner| Watched::around(inner, running))
}

impl Watch for Running {
    fn next(&mut self, inner: Pin<&mut Body>, cx: &mut Context<'_>) -> Polled {
        let polled = inner.poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(last) = frame.trailers_ref() {
                    self.learn(last);
                }
            }
            Poll::Ready(Some(Err(status))) => self.code = status.code(),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
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
