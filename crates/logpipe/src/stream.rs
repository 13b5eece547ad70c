//! One captured stream: a task that reads its pipe, or its terminal, and gives whole lines to the sinks.
//!
//! With the file as the only sink a chunk costs one read(2), two searches, one count and one write(2), however many
//! lines it has. The buffer belongs to the thread and is used by one stream at a time, between two awaits.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{LogSpec, ProcessRef, RunId, RunNumber, Sink, Wall};
use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::console::ConsoleSink;
use crate::crlf::Crlf;
use crate::frame::{self, Framer, Piece};
use crate::journal::{Journal, LaneRef};
use crate::stats::Account;
use crate::store::{self, Lines, Store, Stretch};

/// Bytes read at once. What a pipe can be raised to by default; more brings nothing.
pub(crate) const READ: usize = 256 << 10;
/// A read that brings as much as a pipe holds by default proves that the child writes faster than we read.
const BUSY: usize = 64 << 10;
/// Bytes read at once from a terminal, which hands out at most 4 KiB per system call: for these, several are made.
const TERMINAL_READ: usize = 64 << 10;
/// Reads of one stream before the others get their turn.
const READS_PER_TURN: usize = 4;
/// What is still read when somebody holds a pipe or terminal open beyond the deadline: more than either can hold.
const LAST_READS: usize = 8;

/// The thread's read buffer.
pub(crate) type Buffer = Rc<RefCell<Vec<u8>>>;

/// How the pipeline tells a stream when to end.
#[derive(Default)]
pub(crate) struct Ending {
    at: Cell<Option<Instant>>,
    changed: Notify,
}

impl Ending {
    /// The stream ends at the end of its pipe, but not later than this. An earlier deadline stays.
    pub(crate) fn set(&self, after: Duration) {
        let at = Instant::now() + after;
        if self.at.get().is_none_or(|old| at < old) {
            self.at.set(Some(at));
            self.changed.notify_one();
        }
    }

    async fn reached(&self) {
        loop {
            match self.at.get() {
                None => self.changed.notified().await,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => return,
                    () = self.changed.notified() => {}
                },
            }
        }
    }
}

/// What the streams of one process share.
pub(crate) struct Process {
    pub(crate) who: ProcessRef,
    pub(crate) log: RefCell<LogSpec>,
    pub(crate) lane: Option<LaneRef>,
}

/// Where lines go on this thread.
pub(crate) struct Sinks {
    pub(crate) journal: Option<Rc<Journal>>,
    pub(crate) console: Option<RefCell<ConsoleSink>>,
}

/// One stream of one run.
pub(crate) struct StreamTask {
    pub(crate) pipe: AsyncFd<OwnedFd>,
    pub(crate) run: RunId,
    pub(crate) ending: Rc<Ending>,
    pub(crate) reader: Reader,
}

/// What a task knows beside its pipe.
pub(crate) struct Reader {
    pub(crate) process: Rc<Process>,
    pub(crate) account: Account,
    pub(crate) run: RunNumber,
    pub(crate) store: Rc<Store>,
    pub(crate) sinks: Rc<Sinks>,
    /// The constant part of its journal entries.
    pub(crate) prefix: Box<[u8]>,
    pub(crate) buffer: Buffer,
    pub(crate) framer: Framer,
    /// Its line ends, when it is a terminal.
    pub(crate) terminal: Option<Crlf>,
    /// Whether the pipe's size was raised, or could not be.
    pub(crate) raised: bool,
}

/// What one read brought.
#[derive(PartialEq, Eq)]
enum Got {
    /// As much as there was room for.
    Full,
    /// Less: the pipe is empty now.
    Emptied,
    /// No writer is left.
    End,
}

impl StreamTask {
    /// Reads until the end of the pipe or the deadline; returns the run whose stream has ended.
    pub(crate) async fn run(self) -> RunId {
        let Self { pipe, run, ending, mut reader } = self;
        let store = Rc::clone(&reader.store);
        let reached = ending.reached();
        tokio::pin!(reached);
        loop {
            if store.is_blocked() {
                // Lines stay in the pipe, so that the child waits and nothing is lost.
                tokio::select! {
                    () = store.unblocked() => {}
                    () = &mut reached => break,
                }
            }
            tokio::select! {
                biased;
                ready = pipe.ready(Interest::READABLE) => {
                    let Ok(mut ready) = ready else { break };
                    if store.is_blocked() {
                        // By the other stream, while this one waited.
                        continue;
                    }
                    match reader.turn(&pipe) {
                        Got::Full => tokio::task::yield_now().await,
                        // Hung up, and yet not at its end: somebody has opened the terminal anew by its name. That it
                        // had an end is final, as for a pipe; else its readiness, which stays, would be polled for ever.
                        Got::Emptied if reader.terminal.is_some() && ready.ready().is_read_closed() => break,
                        // Less than there was room for: the pipe was empty at that moment, and what comes now
                        // makes it ready again. The end stays ready.
                        Got::Emptied => ready.clear_ready(),
                        Got::End => break,
                    }
                }
                () = &mut reached => {
                    tracing::debug!(process = %reader.process.who.name, "somebody holds its output open; given up");
                    for _ in 0..LAST_READS {
                        if store.is_blocked() || reader.read(&pipe) != Got::Full {
                            break;
                        }
                    }
                    break;
                }
            }
        }
        reader.finish();
        run
    }
}

/// One read(2): whatever is in a pipe comes at once.
fn fetch(pipe: &OwnedFd, room: &mut [u8]) -> (usize, Got) {
    match nix::unistd::read(pipe, room) {
        Ok(0) => (0, Got::End),
        Ok(n) => (n, if n == room.len() { Got::Full } else { Got::Emptied }),
        Err(Errno::EINTR) => (0, Got::Full),
        Err(Errno::EAGAIN) => (0, Got::Emptied),
        // EIO: nobody has the terminal open any more.
        Err(_) => (0, Got::End),
    }
}

/// Reads until there is no more room or no more to read: from a terminal a short read does not say that it is empty.
fn fetch_all(terminal: &OwnedFd, room: &mut [u8]) -> (usize, Got) {
    let mut filled = 0;
    loop {
        match fetch(terminal, &mut room[filled..]) {
            (0, Got::Full) => {}
            (0, got) => return (filled, got),
            (n, _) => filled += n,
        }
        if filled == room.len() {
            return (filled, Got::Full);
        }
    }
}

/// What one chunk did to the accounts, booked at once at its end. The store keeps its own.
#[derive(Default)]
struct Batch {
    /// When it was read.
    at: Wall,
    lines: u64,
    journal: Tally,
    console: Tally,
}

impl Batch {
    fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at: Wall(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)), ..Self::default() }
    }
}

#[derive(Default)]
struct Tally {
    whole: u64,
    cut: u64,
    dropped: u64,
}

impl Tally {
    fn add(&mut self, taken: bool, cut: bool) {
        *(match (taken, cut) {
            (false, _) => &mut self.dropped,
            (true, false) => &mut self.whole,
            (true, true) => &mut self.cut,
        }) += 1;
    }

    fn all(&self) -> u64 {
        self.whole + self.cut + self.dropped
    }
}

impl Reader {
    /// A few reads: then others get their turn. Only one when the journal is on: a lane has room for the entries of
    /// about one read, and its sender runs between two turns.
    fn turn(&mut self, pipe: &AsyncFd<OwnedFd>) -> Got {
        let reads = if self.per_line() { 1 } else { READS_PER_TURN };
        for _ in 0..reads {
            let got = self.read(pipe);
            if got != Got::Full || self.store.is_blocked() {
                return got;
            }
        }
        Got::Full
    }

    /// One read, and everything that follows from it.
    fn read(&mut self, pipe: &AsyncFd<OwnedFd>) -> Got {
        let shared = Rc::clone(&self.buffer);
        let mut buffer = shared.borrow_mut();
        let carry = self.framer.carry().len();
        let held = self.terminal.as_ref().map_or(&b""[..], Crlf::held);
        let start = carry + held.len();
        if buffer.len() < start + READ {
            buffer.resize(start + READ, 0);
        }
        buffer[..carry].copy_from_slice(self.framer.carry());
        buffer[carry..start].copy_from_slice(held);
        let (n, got) = match self.terminal {
            None => fetch(pipe.get_ref(), &mut buffer[start..start + READ]),
            Some(_) => fetch_all(pipe.get_ref(), &mut buffer[start..start + TERMINAL_READ]),
        };
        if n == 0 {
            return got;
        }
        if n >= BUSY && !self.raised {
            self.raised = true;
            // Not raised (the user's share of pipe memory is used up) is slower and nothing else.
            if let Err(e) = sys::pipe::raise_capacity(pipe.get_ref(), READ) {
                tracing::trace!(error = %e, "a pipe keeps its size");
            }
        }
        let end = match &mut self.terminal {
            None => start + n,
            Some(crlf) => carry + crlf.strip(&mut buffer[carry..start + n]),
        };
        self.take(&buffer[..end], u64::try_from(n).unwrap_or(u64::MAX));
        if buffer.len() > 4 * READ {
            // One stream's giant lines must not stay in memory for ever.
            buffer.truncate(READ);
            buffer.shrink_to_fit();
        }
        got
    }

    fn take(&mut self, data: &[u8], fresh: u64) {
        let mut framer = std::mem::take(&mut self.framer);
        let max_line = usize::try_from(self.process.log.borrow().max_line).unwrap_or(usize::MAX).max(1);
        let mut batch = Batch::now();
        framer.feed(data, max_line, |piece| self.give(piece, &mut batch));
        self.framer = framer;
        self.book(fresh, &batch);
    }

    /// The pipe is at its end: so is the last line.
    fn finish(mut self) {
        if let Some(crlf) = self.terminal.take()
            && !crlf.held().is_empty()
        {
            // No LF came after this CR: it belongs to the line.
            self.take(&[self.framer.carry(), crlf.held()].concat(), 0);
        }
        let mut framer = std::mem::take(&mut self.framer);
        framer.finish(|piece| {
            let mut batch = Batch::now();
            self.give(piece, &mut batch);
            self.book(0, &batch);
        });
    }

    fn give(&self, piece: Piece<'_>, batch: &mut Batch) {
        match piece {
            Piece::Whole { bytes, lines } => {
                batch.lines += lines;
                self.to_file(bytes, Lines { whole: lines, cut: 0, held: 0 }, batch.at);
                if self.per_line() {
                    for line in frame::lines(bytes) {
                        self.line(line, "", batch);
                    }
                }
            }
            Piece::Single { head, cut } => {
                batch.lines += 1;
                let mark = if cut > 0 { frame::mark(cut) } else { String::new() };
                let text = [head, mark.as_bytes(), b"\n"].concat();
                let is_cut = u64::from(cut > 0);
                self.to_file(&text, Lines { whole: 1 - is_cut, cut: is_cut, held: 0 }, batch.at);
                self.line(head, &mark, batch);
            }
        }
    }

    fn to_file(&self, text: &[u8], lines: Lines, at: Wall) {
        let stretch = Stretch { account: &self.account, run: self.run, at, lines };
        if self.process.log.borrow().file && !self.store.append(text, stretch) {
            store::keep_trying(&self.store);
        }
    }

    /// Whether any sink wants single lines.
    fn per_line(&self) -> bool {
        self.sinks.console.is_some() || self.sinks.journal.is_some() && self.process.log.borrow().journald
    }

    fn line(&self, line: &[u8], mark: &str, batch: &mut Batch) {
        if let (Some(journal), Some(lane), true) =
            (&self.sinks.journal, &self.process.lane, self.process.log.borrow().journald)
        {
            let taken = journal.line(lane, self.account.stream, &self.prefix, line, mark);
            batch.journal.add(taken, !mark.is_empty());
        }
        if let Some(console) = &self.sinks.console {
            batch.console.add(console.borrow().line(&self.process.who.name, line, mark), !mark.is_empty());
        }
    }

    fn book(&self, bytes: u64, batch: &Batch) {
        self.account.book(|counts| {
            counts.lines += batch.lines;
            counts.bytes += bytes;
            if batch.journal.all() > 0 {
                let sink = counts.sink(Sink::Journald);
                sink.read += batch.journal.all();
                sink.queued += batch.journal.whole + batch.journal.cut;
                sink.dropped += batch.journal.dropped;
            }
            if batch.console.all() > 0 {
                let sink = counts.sink(Sink::Console);
                sink.read += batch.console.all();
                sink.written += batch.console.whole;
                sink.truncated += batch.console.cut;
                sink.dropped += batch.console.dropped;
            }
        });
    }
}
