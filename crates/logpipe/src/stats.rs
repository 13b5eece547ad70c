//! Accounting: per process, stream and sink, exact at every moment.
//!
//! `read = written + dropped + truncated + queued` in lines holds in every snapshot, because all that belongs to one
//! batch is booked under one short lock; `queued` is what waits in a bounded buffer and is 0 when the sink is quiet.
//! A process's counters live as long as it is defined, over all its runs, and never go down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::{ProcessName, ProcessRef, Sink, Stream};

/// A sink's place in the arrays of this module: that of [`Sink::ALL`].
fn index(sink: Sink) -> usize {
    sink as usize
}

/// What one sink did with one stream's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkStats {
    /// Lines offered to it: those read while it was on.
    pub read: u64,
    /// Lines handed on whole.
    pub written: u64,
    /// Lines lost: its buffer was full, they were beyond its rate limit, or it could not be reached until the end.
    pub dropped: u64,
    /// Lines handed on, but cut at `max_line`.
    pub truncated: u64,
    /// Lines that wait for it, or for others that they belong to.
    pub queued: u64,
    /// Bytes of the lines handed on, as the sink got them; in a file with newlines, marks and markers.
    pub bytes_written: u64,
    /// Failed writes, openings and rotations.
    pub errors: u64,
}

/// One stream of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// The process.
    pub process: ProcessRef,
    /// The stream.
    pub stream: Stream,
    /// Lines read from its pipes.
    pub lines_read: u64,
    /// Bytes read from its pipes.
    pub bytes_read: u64,
    /// Each sink that was ever on for it, in the order of [`Sink::ALL`].
    pub sinks: [Option<SinkStats>; 3],
    /// How long the oldest line of the process, of either stream, has been waiting for each sink; zero when none waits.
    pub lag: [Duration; 3],
}

impl StreamStats {
    /// One sink's numbers; `None` when it was never on for this stream.
    #[must_use]
    pub fn sink(&self, sink: Sink) -> Option<&SinkStats> {
        self.sinks[index(sink)].as_ref()
    }
}

/// Numbers of the pipeline as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lifecycle events that the journal did not get: more than 4096 were waiting, or the journal was away.
    pub events_dropped: u64,
    /// Whether the journal's socket is connected; `false` also when journald is not configured.
    pub journald_connected: bool,
    /// Times that the connection to the journal was made.
    pub journald_connects: u64,
    /// Failed connects and sends, without "try again".
    pub journald_errors: u64,
}

#[derive(Debug, Default)]
pub(crate) struct StreamCounts {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    sinks: [Option<SinkStats>; 3],
}

impl StreamCounts {
    pub(crate) fn sink(&mut self, sink: Sink) -> &mut SinkStats {
        self.sinks[index(sink)].get_or_insert_default()
    }
}

/// The counters of one process. Each stream's lock is held for a few additions or one copy, never across I/O.
#[derive(Debug)]
pub(crate) struct ProcessCounts {
    process: ProcessRef,
    streams: [Mutex<StreamCounts>; 2],
    /// Since when the oldest line that waits for each sink has been waiting.
    waiting: [Mutex<Option<Instant>>; 3],
}

impl ProcessCounts {
    pub(crate) fn new(process: ProcessRef) -> Self {
        Self { process, streams: Default::default(), waiting: Default::default() }
    }

    pub(crate) fn process(&self) -> &ProcessRef {
        &self.process
    }

    pub(crate) fn of(&self, stream: Stream) -> MutexGuard<'_, StreamCounts> {
        let stream = match stream {
            Stream::Stdout => &self.streams[0],
            Stream::Stderr => &self.streams[1],
        };
        stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits longest for this sink has been waiting since then; `None` = nothing waits.
    pub(crate) fn waits(&self, sink: Sink, since: Option<Instant>) {
        *self.waiting[index(sink)].lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    pub(crate) fn lag(&self) -> [Duration; 3] {
        let since = |place: &Mutex<Option<Instant>>| *place.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.each_ref().map(|place| since(place).map_or(Duration::ZERO, |since| since.elapsed()))
    }

    fn snapshot(&self, stream: Stream) -> StreamStats {
        let lag = self.lag();
        let counts = self.of(stream);
        StreamStats {
            process: self.process.clone(),
            stream,
            lines_read: counts.lines,
            bytes_read: counts.bytes,
            sinks: counts.sinks,
            lag,
        }
    }
}

/// Whose account something is booked on.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) counts: Arc<ProcessCounts>,
    pub(crate) stream: Stream,
}

impl Account {
    pub(crate) fn book(&self, change: impl FnOnce(&mut StreamCounts)) {
        change(&mut self.counts.of(self.stream));
    }
}

/// Every defined process's counters, and the totals.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    processes: Mutex<BTreeMap<ProcessName, Arc<ProcessCounts>>>,
    totals: Mutex<Totals>,
}

impl Ledger {
    pub(crate) fn open(&self, process: &ProcessRef) -> Arc<ProcessCounts> {
        let mut all = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(ProcessCounts::new(process.clone()));
        Arc::clone(all.entry(process.name.clone()).or_insert_with(fresh))
    }

    pub(crate) fn close(&self, name: &ProcessName) {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    pub(crate) fn snapshot(&self) -> Vec<StreamStats> {
        let mut all = Vec::new();
        self.each(|stats| all.push(stats));
        all
    }

    /// Both streams of every process, sorted by name.
    pub(crate) fn each(&self, each: impl FnMut(StreamStats)) {
        // Copied, so that nobody has to wait for what is done with each.
        let all: Vec<_> =
            self.processes.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.iter().flat_map(|p| Stream::ALL.map(|s| p.snapshot(s))).for_each(each);
    }

    pub(crate) fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
