//! The journald sink: bounded lanes, one per process, and one task that empties them into the socket in turn.
//!
//! A lane holds at most 1 MiB and all of them 32 MiB of encoded entries. What happens beyond is the process's
//! `journald_overflow`:
//!
//! - `drop_newest`: new lines are dropped, and until half of the lane is free again, so that one marker entry stands for
//!   many. (A lane that is empty takes one entry of any size, so that a long line can pass at all.)
//! - `drop_oldest`: the lane's own oldest entries make room, and a marker stands in their place.
//! - `block`: the process's readers wait until half of the lane is free, and then read only as much as fits, so that its
//!   children wait for the journal, and nobody else does. Its lane can be beyond 1 MiB by one line.
//!
//! Lines that may be dropped leave the last 4 MiB of the 32 to those that may not. Events have a lane of their own,
//! 1 MiB beside the 32, and are sent before any line: lines never hold them up.
//!
//! The task sends up to 128 KiB per datagram and lane, waits for the socket while the journal's queue is full, and
//! connects again (every second, only while something is to be sent) when it is away.

mod lane;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use model::{Event, Overflow, RateLimit, Stream};
use nix::errno::Errno;
use sys::journal::JournalSocket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::entry::Message;
use crate::events;
use crate::ready;
use crate::stats::{Ledger, ProcessCounts};
use crate::store::Lines;
use lane::{Kind, LANE_MAX, Lane};

/// Bytes that all lanes of processes together hold.
pub(crate) const TOTAL_MAX: usize = 32 << 20;
/// Those of them that only lines which may not be dropped get.
const RESERVED: usize = 4 << 20;
/// Datagrams sent before the readers of pipes get their turn: at least what a lane holds.
const PER_TURN: u32 = 16;
/// Between two tries to connect.
const RETRY: Duration = Duration::from_secs(1);

/// A lane, and how its readers learn that there is room.
pub(crate) struct Slot {
    lane: RefCell<Lane>,
    room: Notify,
}

/// A process's lane.
pub(crate) type LaneRef = Rc<Slot>;

/// What became of an entry's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// `false` = dropped.
    pub(crate) taken: bool,
    /// Lines of the same stream that made room for it. All else is booked already.
    pub(crate) evicted: u64,
}

/// What happened to a datagram.
enum Sent {
    /// It is gone: whether to the journal.
    Done(bool),
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
    /// Bytes in the lanes of processes.
    total: Cell<usize>,
    filled: Notify,
    drained: Notify,
    /// Wakes readers that wait because of `total`, one after another.
    room: Notify,
}

fn slot(counts: Option<Arc<ProcessCounts>>) -> LaneRef {
    Rc::new(Slot { lane: RefCell::new(Lane::new(counts)), room: Notify::new() })
}

impl Journal {
    pub(crate) fn new(path: PathBuf, ledger: Arc<Ledger>) -> Self {
        Self {
            path,
            ledger,
            events: slot(None),
            ring: RefCell::default(),
            total: Cell::new(0),
            filled: Notify::new(),
            drained: Notify::new(),
            room: Notify::new(),
        }
    }

    pub(crate) fn lane(&self, counts: Arc<ProcessCounts>) -> LaneRef {
        slot(Some(counts))
    }

    /// Takes an entry of one line or more, or drops it. The caller books its lines.
    pub(crate) fn entry(
        &self,
        slot: &LaneRef,
        policy: Overflow,
        stream: Stream,
        lines: Lines,
        prefix: &[u8],
        message: &Message<'_>,
    ) -> Pushed {
        let len = message.len(prefix);
        let mut lane = slot.lane.borrow_mut();
        let mut evicted = 0;
        if policy == Overflow::DropOldest {
            while !lane.is_empty() && (lane.len() + len > LANE_MAX || !self.has_total(len)) {
                let (bytes, own) = lane.evict(stream);
                self.total.set(self.total.get() - bytes);
                evicted += own;
            }
        }
        let taken = match policy {
            // Its reader has waited for room.
            Overflow::Block => true,
            Overflow::DropOldest => self.has_total(len),
            Overflow::DropNewest => has_room(&mut lane, len) && self.has_total(len),
        };
        if taken {
            let kind = Kind::Lines { stream, whole: lines.whole, cut: lines.cut };
            let more = lane.push(len, kind, |out| message.encode(out, prefix));
            self.total.set(self.total.get() + more);
            self.enter(slot, &mut lane);
        } else {
            lane.behind().dropped += lines.all();
            // Also when it holds nothing, since the others take all the room: the marker must not wait for a further line.
            self.enter(slot, &mut lane);
        }
        Pushed { taken, evicted }
    }

    /// Whether lines that may be dropped may have so many bytes more.
    fn has_total(&self, len: usize) -> bool {
        self.total.get() + len <= TOTAL_MAX - RESERVED
    }

    /// Lines were kept from the journal by their process's limit. A marker says so before its next entry, or when
    /// [`settle`](Self::settle) is called.
    pub(crate) fn suppress(&self, slot: &LaneRef, lines: u64, limit: RateLimit) {
        slot.lane.borrow_mut().suppress(lines, limit);
    }

    /// The marker for suppressed lines comes now, or as soon as everything before it is sent.
    pub(crate) fn settle(&self, slot: &LaneRef) {
        let mut lane = slot.lane.borrow_mut();
        if lane.settle() {
            self.total.set(self.total.get() + lane.mark());
            self.enter(slot, &mut lane);
        }
    }

    /// Whether readers whose lines may not be dropped have to wait: for half of the lane, and for room in all.
    pub(crate) fn is_full(&self, slot: &LaneRef) -> bool {
        slot.lane.borrow().len() > LANE_MAX / 2 || self.total.get() > TOTAL_MAX - LANE_MAX
    }

    /// Waits until it is not full, and no longer than `blocks` says so.
    pub(crate) async fn room(&self, slot: &LaneRef, blocks: impl Fn() -> bool) {
        while self.is_full(slot) && blocks() {
            // One's own lane gets free in its turn; all the others' room is given out one by one.
            let own = slot.lane.borrow().len() > LANE_MAX / 2;
            if own { slot.room.notified().await } else { self.room.notified().await }
        }
    }

    /// A policy has changed: whoever waits for room asks again whether it has to.
    pub(crate) fn ask_again(&self, slot: &LaneRef) {
        slot.room.notify_waiters();
        self.room.notify_waiters();
    }

    /// How many bytes of lines surely fit into the lane, each line's entry being this long without its text.
    pub(crate) fn fitting(&self, slot: &LaneRef, entry: usize) -> usize {
        // The worst are empty lines: one byte each.
        LANE_MAX.saturating_sub(slot.lane.borrow().len()) / (entry + 1)
    }

    /// Takes one lifecycle event, or drops and counts it.
    pub(crate) fn event(&self, event: &Event) {
        let mut text = Vec::new();
        events::encode(&mut text, event);
        let mut lane = self.events.lane.borrow_mut();
        if has_room(&mut lane, text.len()) {
            lane.push(text.len(), Kind::Event, |out| out.extend_from_slice(&text));
            self.enter(&self.events, &mut lane);
        } else {
            lane.behind().dropped += 1;
            self.ledger.totals().events_dropped += 1;
        }
    }

    fn enter(&self, slot: &LaneRef, lane: &mut Lane) {
        if !lane.in_ring {
            lane.in_ring = true;
            line_up(&mut self.ring.borrow_mut(), slot, lane);
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
        for slot in self.ring.borrow_mut().drain(..) {
            let mut lane = slot.lane.borrow_mut();
            let count = lane.count();
            self.ledger.totals().events_dropped += lane.events(count);
            lane.pop(count, false);
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
            if self.ring.borrow().is_empty() {
                self.drained.notify_waiters();
                self.room.notify_waiters();
                self.filled.notified().await;
                continue;
            }
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
            match self.send(&connected.get_ref().0) {
                Sent::Done(_) => {
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
                        if matches!(self.send(&connected.get_ref().0), Sent::Full) {
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

    /// Sends the next lane's next datagram and gives the turn to the one after it.
    fn send(&self, socket: &JournalSocket) -> Sent {
        let Some(slot) = self.ring.borrow().front().cloned() else { return Sent::Done(true) };
        let mut lane = slot.lane.borrow_mut();
        if let Some(marker) = lane.ahead() {
            let sent = self.transmit(socket, &marker);
            if matches!(sent, Sent::Done(_)) {
                lane.ahead_sent();
                self.leave(&slot, &mut lane);
            }
            return sent;
        }
        let (count, entries) = lane.next();
        let sent = if count == 0 { Sent::Done(true) } else { self.transmit(socket, entries) };
        let Sent::Done(written) = sent else { return sent };
        if !written {
            self.ledger.totals().events_dropped += lane.events(count);
        }
        let mut bytes = lane.pop(count, written);
        let marker = if lane.is_due() { lane.mark() } else { 0 };
        if lane.is_events() {
            bytes = 0;
        } else {
            self.total.set(self.total.get() + marker - bytes);
        }
        if bytes > 0 {
            if lane.len() <= LANE_MAX / 2 {
                slot.room.notify_waiters();
            }
            self.room.notify_one();
        }
        self.leave(&slot, &mut lane);
        sent
    }

    /// Sends one datagram. `false` = nothing waits.
    #[cfg(test)]
    pub(crate) fn send_one(&self, socket: &JournalSocket) -> bool {
        !self.ring.borrow().is_empty() && matches!(self.send(socket), Sent::Done(true))
    }

    fn transmit(&self, socket: &JournalSocket, entries: &[u8]) -> Sent {
        // The empty line behind the last entry separates nothing.
        let datagram = &entries[..entries.len() - 1];
        let result = match socket.send(datagram) {
            Err(e) if is(&e, &[Errno::EMSGSIZE, Errno::ENOBUFS]) => socket.send_memfd(datagram),
            other => other,
        };
        match result {
            Ok(()) => Sent::Done(true),
            Err(e) if is(&e, &[Errno::EAGAIN, Errno::EINTR]) => Sent::Full,
            Err(e)
                if is(
                    &e,
                    &[Errno::ECONNREFUSED, Errno::ENOENT, Errno::ENOTCONN, Errno::ECONNRESET, Errno::EPIPE],
                ) =>
            {
                let mut totals = self.ledger.totals();
                totals.journald_errors += 1;
                totals.journald_connected = false;
                Sent::Away
            }
            Err(e) => {
                // Nothing that trying again would change (no memory for the memfd, a policy): these are lost, the
                // rest goes on.
                self.ledger.totals().journald_errors += 1;
                tracing::warn!(error = %e, bytes = datagram.len(), "journald refused entries");
                Sent::Done(false)
            }
        }
    }

    /// The turn is over: to the end of the ring, or out of it when nothing is left.
    fn leave(&self, slot: &LaneRef, lane: &mut Lane) {
        let mut ring = self.ring.borrow_mut();
        ring.pop_front();
        lane.in_ring = !lane.is_quiet();
        if lane.in_ring {
            line_up(&mut ring, slot, lane);
        }
    }
}

/// Events go before all lines.
fn line_up(ring: &mut VecDeque<LaneRef>, slot: &LaneRef, lane: &Lane) {
    if lane.is_events() {
        ring.push_front(Rc::clone(slot));
    } else {
        ring.push_back(Rc::clone(slot));
    }
}

/// Whether a lane takes an entry more. While entries are missing new ones wait for half of the lane: one marker for many
/// and not one for each.
fn has_room(lane: &mut Lane, len: usize) -> bool {
    let limit = if lane.behind().dropped > 0 { LANE_MAX / 2 } else { LANE_MAX };
    lane.is_empty() || lane.len() + len <= limit
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
