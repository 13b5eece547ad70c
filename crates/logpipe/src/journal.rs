//! The journald sink: bounded lanes, one per process, and one task that empties them into the socket in turn.
//!
//! Nothing here ever makes a stream's reader wait. A lane holds at most 1 MiB and all of them 32 MiB of encoded
//! entries; beyond that the newest lines are dropped and counted, and as soon as half of the lane is free again a
//! marker entry says how many are missing at that place. (A lane that is empty takes one entry of any size, so that
//! a long line can pass at all.) The task sends up to 128 KiB per datagram and lane, waits for the socket while the
//! journal's queue is full, and connects again (every second, only while something is to be sent) when it is away.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use model::{Event, Sink, Stream};
use nix::errno::Errno;
use sys::journal::JournalSocket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::entry;
use crate::events;
use crate::ready;
use crate::stats::{Ledger, ProcessCounts};

/// Bytes that one lane holds.
pub(crate) const LANE_MAX: usize = 1 << 20;
/// Bytes that all lanes together hold.
pub(crate) const TOTAL_MAX: usize = 32 << 20;
/// Bytes of one datagram, unless one entry alone is larger. Well below the default limit of about 208 KiB.
const DATAGRAM: usize = 128 << 10;
/// Datagrams sent before the readers of pipes get their turn: at least what a lane holds.
const PER_TURN: u32 = 16;
/// Between two tries to connect.
const RETRY: Duration = Duration::from_secs(1);

/// What an entry in a lane is, for the accounts.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A line; whether it was cut.
    Line { stream: Stream, cut: bool },
    /// A lifecycle event.
    Event,
    /// "N lines dropped".
    Marker,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    len: usize,
    kind: Kind,
}

/// Entries of one process, or of the daemon's events, that wait for the journal.
pub(crate) struct Lane {
    /// Whose lines; `None` for the lane of events.
    counts: Option<Arc<ProcessCounts>>,
    /// Encoded entries from `head` on, each ended by an empty line.
    buffer: Vec<u8>,
    head: usize,
    entries: VecDeque<Entry>,
    /// Dropped since the last marker.
    dropped: u64,
    /// Whether it stands in the sender's ring.
    in_ring: bool,
}

/// A process's lane.
pub(crate) type LaneRef = Rc<RefCell<Lane>>;

impl Lane {
    fn new(counts: Option<Arc<ProcessCounts>>) -> LaneRef {
        Rc::new(RefCell::new(Self {
            counts,
            buffer: Vec::new(),
            head: 0,
            entries: VecDeque::new(),
            dropped: 0,
            in_ring: false,
        }))
    }

    fn len(&self) -> usize {
        self.buffer.len() - self.head
    }

    /// How many entries, and bytes of them, go into the next datagram.
    fn next(&self) -> (usize, usize) {
        let mut bytes = 0;
        let mut count = 0;
        for entry in &self.entries {
            if count > 0 && bytes + entry.len > DATAGRAM {
                break;
            }
            bytes += entry.len;
            count += 1;
        }
        (count, bytes)
    }

    /// Removes the first `count` entries, `bytes` in all.
    fn consume(&mut self, count: usize, bytes: usize) {
        self.entries.drain(..count);
        self.head += bytes;
        if self.entries.is_empty() {
            // Nothing is kept for a quiet process.
            self.buffer = Vec::new();
            self.entries = VecDeque::new();
            self.head = 0;
        } else if self.head > LANE_MAX / 2 {
            self.buffer.drain(..self.head);
            self.head = 0;
        }
    }

    /// Books the first `count` entries as written, or as dropped.
    fn book(&self, count: usize, written: bool) {
        let Some(counts) = &self.counts else { return };
        for stream in Stream::ALL {
            let (mut whole, mut cut, mut bytes) = (0, 0, 0);
            for entry in self.entries.iter().take(count) {
                if let Kind::Line { stream: of, cut: is_cut } = entry.kind
                    && of == stream
                {
                    *(if is_cut { &mut cut } else { &mut whole }) += 1;
                    bytes += u64::try_from(entry.len).unwrap_or(u64::MAX);
                }
            }
            if whole + cut > 0 {
                let mut all = counts.of(stream);
                let sink = all.sink(Sink::Journald);
                sink.queued -= whole + cut;
                if written {
                    sink.written += whole;
                    sink.truncated += cut;
                    sink.bytes_written += bytes;
                } else {
                    sink.dropped += whole + cut;
                }
            }
        }
    }

    /// Appends the marker for what was dropped.
    fn mark(&mut self) -> usize {
        let before = self.buffer.len();
        let out = &mut self.buffer;
        let what = if self.counts.is_some() { "lines" } else { "events" };
        let text = format!("{} {what} dropped: the journal took them too slowly or was away", self.dropped);
        entry::field(out, "PRIORITY", b"4");
        match &self.counts {
            Some(counts) => {
                entry::show(out, "SYSLOG_IDENTIFIER", &counts.process().name);
                entry::process(out, counts.process());
            }
            None => entry::field(out, "SYSLOG_IDENTIFIER", b"dd-procmgrd"),
        }
        entry::field(out, "MESSAGE", text.as_bytes());
        out.push(b'\n');
        let len = out.len() - before;
        self.entries.push_back(Entry { len, kind: Kind::Marker });
        self.dropped = 0;
        len
    }
}

/// What happened to a datagram.
enum Sent {
    Done,
    /// The journal's queue is full.
    Full,
    /// The journal is away.
    Away,
}

/// The sink.
pub(crate) struct Journal {
    path: PathBuf,
    ledger: Arc<Ledger>,
    events: LaneRef,
    /// Lanes that have something, in the order of their turns.
    ring: RefCell<VecDeque<LaneRef>>,
    total: Cell<usize>,
    filled: Notify,
    drained: Notify,
}

impl Journal {
    pub(crate) fn new(path: PathBuf, ledger: Arc<Ledger>) -> Self {
        Self {
            path,
            ledger,
            events: Lane::new(None),
            ring: RefCell::default(),
            total: Cell::new(0),
            filled: Notify::new(),
            drained: Notify::new(),
        }
    }

    pub(crate) fn lane(&self, counts: Arc<ProcessCounts>) -> LaneRef {
        Lane::new(Some(counts))
    }

    /// Takes one line, or drops it. `true` = taken. The caller books it as read and queued, or as read and dropped.
    pub(crate) fn line(
        &self,
        lane: &LaneRef,
        stream: Stream,
        prefix: &[u8],
        head: &[u8],
        mark: &str,
    ) -> bool {
        let len = entry::line_len(prefix, head, mark);
        let kind = Kind::Line { stream, cut: !mark.is_empty() };
        self.push(lane, len, kind, |out| entry::line(out, prefix, head, mark))
    }

    /// Takes one lifecycle event, or drops and counts it.
    pub(crate) fn event(&self, event: &Event) {
        let mut text = Vec::new();
        events::encode(&mut text, event);
        if !self.push(&self.events, text.len(), Kind::Event, |out| out.extend_from_slice(&text)) {
            self.ledger.totals().events_dropped += 1;
        }
    }

    fn push(&self, lane_ref: &LaneRef, len: usize, kind: Kind, encode: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut lane = lane_ref.borrow_mut();
        // While lines are missing new ones wait for half of the lane: one marker for many and not one for each.
        let limit = if lane.dropped > 0 { LANE_MAX / 2 } else { LANE_MAX };
        let lane_has_room = lane.entries.is_empty() || lane.len() + len <= limit;
        if !lane_has_room || self.total.get() + len > TOTAL_MAX {
            lane.dropped += 1;
            return false;
        }
        let marker = if lane.dropped > 0 { lane.mark() } else { 0 };
        encode(&mut lane.buffer);
        lane.entries.push_back(Entry { len, kind });
        self.total.set(self.total.get() + len + marker);
        self.enter(lane_ref, &mut lane);
        true
    }

    fn enter(&self, lane_ref: &LaneRef, lane: &mut Lane) {
        if !lane.in_ring {
            lane.in_ring = true;
            self.ring.borrow_mut().push_back(Rc::clone(lane_ref));
            self.filled.notify_one();
        }
    }

    /// Waits until everything was sent.
    pub(crate) async fn flushed(&self) {
        while !self.ring.borrow().is_empty() {
            self.drained.notified().await;
        }
    }

    /// Books everything that still waits as dropped.
    pub(crate) fn give_up(&self) {
        for lane_ref in self.ring.borrow_mut().drain(..) {
            let mut lane = lane_ref.borrow_mut();
            let count = lane.entries.len();
            lane.book(count, false);
            let events = lane.entries.iter().filter(|e| matches!(e.kind, Kind::Event)).count();
            self.ledger.totals().events_dropped += u64::try_from(events).unwrap_or(u64::MAX);
            let bytes = lane.len();
            lane.consume(count, bytes);
        }
        self.total.set(0);
    }

    /// The sender: runs as long as the pipeline.
    pub(crate) async fn run(self: Rc<Self>) {
        let mut socket: Option<AsyncFd<Connected>> = None;
        // Whether the last connection has taken nothing yet: one that dies at once is not made anew at once.
        let mut unproven = false;
        let mut in_turn = 0;
        loop {
            let lane = self.ring.borrow().front().cloned();
            let Some(lane) = lane else {
                self.drained.notify_waiters();
                self.filled.notified().await;
                continue;
            };
            let Some(connected) = &socket else {
                match self.connect() {
                    Ok(new) if unproven => {
                        tokio::time::sleep(RETRY).await;
                        socket = Some(new);
                    }
                    Ok(new) => {
                        unproven = true;
                        socket = Some(new);
                    }
                    Err(_) => tokio::time::sleep(RETRY).await,
                }
                continue;
            };
            match self.send(&connected.get_ref().0, &lane) {
                Sent::Done => {
                    unproven = false;
                    in_turn += 1;
                    if in_turn == PER_TURN {
                        in_turn = 0;
                        tokio::task::yield_now().await;
                    }
                }
                Sent::Full => match connected.ready(Interest::WRITABLE).await {
                    Ok(mut ready) => {
                        // The send above said "full", so that readiness from before it means nothing. If the journal
                        // made room meanwhile, the next send succeeds; if not, the next wait is a real one.
                        if matches!(self.send(&connected.get_ref().0, &lane), Sent::Full) {
                            ready.clear_ready();
                        }
                    }
                    Err(_) => socket = None,
                },
                Sent::Away => socket = None,
            }
        }
    }

    fn connect(&self) -> io::Result<AsyncFd<Connected>> {
        let result = JournalSocket::connect(&self.path)
            .and_then(|s| ready::register(Connected(s), Interest::WRITABLE));
        let mut totals = self.ledger.totals();
        match &result {
            Ok(_) => {
                totals.journald_connected = true;
                totals.journald_connects += 1;
            }
            Err(e) => {
                totals.journald_errors += 1;
                tracing::debug!(path = %self.path.display(), error = %e, "journald can't be reached");
            }
        }
        result
    }

    /// Sends the lane's next datagram and gives the turn to the next lane.
    fn send(&self, socket: &JournalSocket, lane_ref: &LaneRef) -> Sent {
        let mut lane = lane_ref.borrow_mut();
        let (count, bytes) = lane.next();
        if count == 0 {
            self.leave(lane_ref, &mut lane);
            return Sent::Done;
        }
        // The empty line behind the last entry separates nothing.
        let datagram = &lane.buffer[lane.head..lane.head + bytes - 1];
        let result = match socket.send(datagram) {
            Err(e) if is(&e, &[Errno::EMSGSIZE, Errno::ENOBUFS]) => socket.send_memfd(datagram),
            other => other,
        };
        let written = match result {
            Ok(()) => true,
            Err(e) if is(&e, &[Errno::EAGAIN, Errno::EINTR]) => return Sent::Full,
            Err(e)
                if is(
                    &e,
                    &[Errno::ECONNREFUSED, Errno::ENOENT, Errno::ENOTCONN, Errno::ECONNRESET, Errno::EPIPE],
                ) =>
            {
                let mut totals = self.ledger.totals();
                totals.journald_errors += 1;
                totals.journald_connected = false;
                return Sent::Away;
            }
            Err(e) => {
                // Nothing that trying again would change (no memory for the memfd, a policy): these are lost, the
                // rest goes on.
                self.ledger.totals().journald_errors += 1;
                tracing::warn!(error = %e, entries = count, "journald refused entries");
                false
            }
        };
        lane.book(count, written);
        if !written {
            let events = lane.entries.iter().take(count).filter(|e| matches!(e.kind, Kind::Event)).count();
            self.ledger.totals().events_dropped += u64::try_from(events).unwrap_or(u64::MAX);
        }
        lane.consume(count, bytes);
        self.total.set(self.total.get() - bytes);
        if lane.entries.is_empty() && lane.dropped > 0 {
            let marker = lane.mark();
            self.total.set(self.total.get() + marker);
        }
        self.leave(lane_ref, &mut lane);
        Sent::Done
    }

    /// The turn is over: to the end of the ring, or out of it when nothing is left.
    fn leave(&self, lane_ref: &LaneRef, lane: &mut Lane) {
        let mut ring = self.ring.borrow_mut();
        ring.pop_front();
        lane.in_ring = !lane.entries.is_empty();
        if lane.in_ring {
            ring.push_back(Rc::clone(lane_ref));
        }
    }
}

fn is(error: &io::Error, any: &[Errno]) -> bool {
    error.raw_os_error().is_some_and(|e| any.contains(&Errno::from_raw(e)))
}

/// The socket as tokio wants it.
struct Connected(JournalSocket);

impl AsRawFd for Connected {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
