//! What this crate needs to know from the rest of the daemon, as one trait and plain data.

use std::path::PathBuf;
use std::time::Duration;

use model::{InvocationId, ProcessName, Sink, Snapshot, Stream, Wall};

/// The daemon, seen from a scrape. All methods only copy what is already known: a scrape calls each of them
/// once, on a thread that may block, but `ready` also from the I/O threads.
pub trait Source: Send + Sync + 'static {
    /// All processes.
    fn snapshot(&self) -> Snapshot;
    /// Accounting of every captured stream. An entry appears as soon as its process is defined, with zeros:
    /// a counter that is born with a value above 0 hides its first increase from `increase()`. At most one
    /// entry for each process and stream, sorted by process as the snapshot is.
    fn log_streams(&self, each: &mut dyn FnMut(LogStream));
    /// The daemon's own facts.
    fn daemon(&self) -> DaemonFacts;
    /// Whether the daemon has finished its start: part of `/readyz`. Must not block.
    fn ready(&self) -> bool;
    /// The directory of a run's cgroup; `None` = the daemon has no cgroups.
    fn cgroup(&self, process: &ProcessName, invocation: InvocationId) -> Option<PathBuf> {
        let _nobody_has_one = (process, invocation);
        None
    }
}

/// Accounting of one captured stream of one process. Counts never go down while the process is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStream {
    /// Whose.
    pub process: ProcessName,
    /// Which of the two.
    pub stream: Stream,
    /// Lines read from the pipe.
    pub lines: u64,
    /// Bytes read from the pipe.
    pub bytes: u64,
    /// The sinks that were ever on for this stream, in the order of [`Sink::ALL`].
    pub sinks: [Option<SinkStats>; Sink::ALL.len()],
    /// How long the oldest line of the process, of either stream, has been waiting for each sink, in the same order.
    pub lag: [Duration; Sink::ALL.len()],
}

/// What one sink did with the lines of one stream: `read = written + dropped + truncated + queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// Lines written whole.
    pub written: u64,
    /// Bytes written, marks and framing included.
    pub bytes: u64,
    /// Lines that did not get through.
    pub dropped: u64,
    /// Lines written, but cut at `max_line`.
    pub truncated: u64,
    /// Lines that wait in its buffer at this moment.
    pub queued: u64,
    /// Failed writes.
    pub errors: u64,
}

/// Facts about the daemon itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonFacts {
    /// The configuration.
    pub reload: Reload,
    /// The supervisor's main loop.
    pub turns: Turns,
    /// The connection to the journal; `None` = the daemon does not use the journal.
    pub journal: Option<Journal>,
    /// Everything that the daemon listens on, or tries to.
    pub listeners: Vec<Listener>,
    /// Calls of the control API: every method.
    pub grpc: Vec<GrpcMethod>,
}

/// Calls of one method since the daemon started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcMethod {
    /// The service's full name.
    pub service: &'static str,
    /// The method's name.
    pub name: &'static str,
    /// Whether its answer is a stream.
    pub streams: bool,
    /// Calls that began.
    pub started: u64,
    /// Calls that ended, by the name of their status code; a code appears once.
    pub handled: Vec<(&'static str, u64)>,
    /// Calls that ended within each bound and not within the one before; the bounds rise.
    pub took: Vec<(Duration, u64)>,
    /// Time that all that ended took together.
    pub total: Duration,
}

/// How the last load of the configuration went; the first one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// Whether the last one succeeded.
    pub successful: bool,
    /// When the last successful one was; `None` = there was none yet.
    pub last_success: Option<Wall>,
}

/// Turns of the supervisor's main loop since the daemon started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// How many.
    pub count: u64,
    /// Time spent in them.
    pub total: Duration,
    /// The longest one.
    pub longest: Duration,
    /// Those within each bound and not within the one before; the bounds rise.
    pub took: Vec<(Duration, u64)>,
}

/// The connection to the journal; counts since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// Whether it stands now.
    pub connected: bool,
    /// Failed connects and sends.
    pub errors: u64,
    /// Lifecycle events that the journal did not get.
    pub events_dropped: u64,
}

/// One address that the daemon listens on, or tries to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// A fixed name such as `metrics` or `control_socket`; unique within the list.
    pub name: &'static str,
    /// Whether it accepts connections.
    pub up: bool,
}
