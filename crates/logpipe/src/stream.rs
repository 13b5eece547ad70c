//! One captured stream: a task that reads its pipe, or its terminal, and gives whole lines to the sinks.
//!
//! With the file as the only sink a chunk costs one read(2), two searches, one count and one write(2), however many
//! lines it has. The buffer belongs to the thread and is used by one stream at a time, between two awaits.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use model::RunId;
use nix::errno::Errno;
use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::crlf::Crlf;
use crate::frame::Framer;
use crate::lines::Route;
use crate::turns::{Before, Unread};

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
/// A run that is over has not left more than this in a pipe (what a child may raise its size to by default). So much is
/// read out even when somebody else prints without a pause and it is never found empty.
const PIPE_MAX: u64 = 1 << 20;

/// The thread's read buffer.
pub(crate) type Buffer = Rc<RefCell<Vec<u8>>>;

/// How the pipeline tells a stream that its run is over, and when to end.
#[derive(Default)]
pub(crate) struct Ending {
    at: Cell<Option<Instant>>,
    /// From the end of the run until everything that it had printed is read.
    unread: RefCell<Option<Rc<Unread>>>,
    changed: Notify,
}

impl Ending {
    /// The stream ends at the end of its pipe, but not later than this. An earlier deadline stays.
    pub(crate) fn set(&self, after: Duration) {
        let at = Instant::now() + after;
        if self.at.get().is_none_or(|old| at < old) {
            self.at.set(Some(at));
            self.changed.notify_waiters();
        }
    }

    /// The run is over: whoever waits for what it has printed waits until `unread` is let go of.
    pub(crate) fn over(&self, unread: Rc<Unread>, after: Duration) {
        self.unread.replace(Some(unread));
        self.changed.notify_waiters();
        self.set(after);
    }

    /// Waits for the end of the run; at once until it is read out, and never again then.
    async fn to_read_out(&self) {
        while self.unread.borrow().is_none() {
            self.changed.notified().await;
        }
    }

    fn read_out(&self) {
        self.unread.take();
    }

    async fn reached(&self) {
        loop {
            match self.at.get() {
                None => self.changed.notified().await,
                // On the heap, as every stream has room for what it may wait for, and few ever wait for a time.
                Some(at) => tokio::select! {
                    () = Box::pin(tokio::time::sleep_until(at)) => return,
                    () = self.changed.notified() => {}
                },
            }
        }
    }
}

/// One stream of one run.
pub(crate) struct StreamTask {
    pub(crate) pipe: AsyncFd<OwnedFd>,
    pub(crate) run: RunId,
    pub(crate) ending: Rc<Ending>,
    pub(crate) before: Before,
    pub(crate) reader: Reader,
}

/// What a task knows beside its pipe.
pub(crate) struct Reader {
    pub(crate) route: Route,
    pub(crate) buffer: Buffer,
    pub(crate) framer: Framer,
    /// Its line ends, when it is a terminal.
    pub(crate) terminal: Option<Crlf>,
    /// Whether the pipe's size was raised, or could not be.
    pub(crate) raised: bool,
    /// Bytes read so far.
    pub(crate) bytes: u64,
    /// It reads its last: nothing makes it wait any more.
    pub(crate) ends: bool,
}

/// What one read brought.
#[derive(PartialEq, Eq)]
enum Got {
    /// As much as there was room for.
    Full,
    /// Less: the pipe was empty then. What follows may be its end.
    Emptied,
    /// Nothing, and it has not ended.
    Nothing,
    /// No writer is left.
    End,
}

impl StreamTask {
    /// Reads until the end of the pipe or the deadline; returns the run whose stream has ended.
    ///
    /// The task is used where it lies: as the arguments of an `async fn`, or as locals, its parts would be in the future a
    /// second time, and there is one for each stream of each process.
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
    pub(crate) fn run(mut self) -> impl Future<Output = RunId> {
        async move {
            self.read_all().await;
            self.reader.finish();
            self.run
        }
    }

    async fn read_all(&mut self) {
        let Self { pipe, ending, before, reader, .. } = self;
        let mut reached = pin!(ending.reached());
        let mut over_at = None;
        loop {
            let ready = async {
                before.passed().await;
                reader.ready(pipe, ending).await
            };
            tokio::select! {
                biased;
                ready = ready => {
                    let Ok(ready) = ready else { break };
                    let over_at = ready.is_none().then(|| *over_at.get_or_insert(reader.bytes));
                    let got = reader.turn(pipe);
                    if over_at.is_some_and(|at| got == Got::Nothing || reader.bytes - at >= PIPE_MAX) {
                        reader.route.read_out();
                        ending.read_out();
                    }
                    match (got, ready) {
                        (Got::End, _) => break,
                        // Its last line may lack its newline, so that only the end completes it.
                        (Got::Full, _) | (Got::Emptied, None) => tokio::task::yield_now().await,
                        (Got::Nothing, None) => {}
                        // Hung up, and yet not at its end: somebody has opened the terminal anew by its name. That it
                        // had an end is final, as for a pipe; else its readiness, which stays, would be polled for ever.
                        (_, Some(ready)) if reader.terminal.is_some() && ready.ready().is_read_closed() => break,
                        // Less than there was room for: the pipe was empty at that moment, and what comes now
                        // makes it ready again. The end stays ready.
                        (_, Some(mut ready)) => ready.clear_ready(),
                    }
                }
                () = &mut reached => {
                    tracing::debug!(process = %reader.route.process.who.name, "somebody holds its output open; given up");
                    // Their deadlines are not behind this one.
                    before.passed().await;
                    reader.ends = true;
                    for _ in 0..LAST_READS {
                        if reader.route.store.is_blocked() || reader.read(pipe) != Got::Full {
                            break;
                        }
                    }
                    break;
                }
                now = until(reader.route.due()) => reader.route.tick(now),
            }
        }
    }
}

/// Waits for this moment, or for ever; returns the time.
async fn until(due: Option<std::time::Instant>) -> std::time::Instant {
    match due {
        Some(due) => Box::pin(tokio::time::sleep_until(due.into())).await,
        None => std::future::pending().await,
    }
    std::time::Instant::now()
}

/// One read(2): whatever is in a pipe comes at once.
fn fetch(pipe: &OwnedFd, room: &mut [u8]) -> (usize, Got) {
    match nix::unistd::read(pipe, room) {
        Ok(0) => (0, Got::End),
        Ok(n) => (n, if n == room.len() { Got::Full } else { Got::Emptied }),
        Err(Errno::EINTR) => (0, Got::Full),
        Err(Errno::EAGAIN) => (0, Got::Nothing),
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
            (0, Got::Nothing) if filled > 0 => return (filled, Got::Emptied),
            (0, got) => return (filled, got),
            (n, _) => filled += n,
        }
        if filled == room.len() {
            return (filled, Got::Full);
        }
    }
}

impl Reader {
    /// Waits until there is something to read and its lines may be taken: until then they stay in the pipe, so that the
    /// child waits and nothing is lost. `None` = the run is over: whether there is something to read is not known yet,
    /// and must not wait for the next look at all descriptors, which shows those of the next run as well.
    async fn ready<'a>(
        &self,
        pipe: &'a AsyncFd<OwnedFd>,
        ending: &Ending,
    ) -> io::Result<Option<AsyncFdReadyGuard<'a, OwnedFd>>> {
        loop {
            self.route.store.unblocked().await;
            self.route.room().await;
            let ready = tokio::select! {
                biased;
                () = ending.to_read_out() => None,
                ready = pipe.ready(Interest::READABLE) => Some(ready?),
            };
            // Another stream may have filled the file's batch or the journal's lane while this one waited for its pipe.
            if !self.route.store.is_blocked() && !self.route.is_full() {
                return Ok(ready);
            }
        }
    }

    /// A few reads: then others get their turn. Only one when the journal is on: a lane has room for the entries of
    /// about one read, and its sender runs between two turns.
    fn turn(&mut self, pipe: &AsyncFd<OwnedFd>) -> Got {
        let reads = if self.route.per_line() { 1 } else { READS_PER_TURN };
        for _ in 0..reads {
            let got = self.read(pipe);
            if got != Got::Full || self.route.store.is_blocked() {
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
        let most = if self.terminal.is_some() { TERMINAL_READ } else { READ };
        let room = if self.ends { most } else { self.route.fitting(most) };
        let room = &mut buffer[start..start + room];
        let (n, got) = match self.terminal {
            None => fetch(pipe.get_ref(), room),
            Some(_) => fetch_all(pipe.get_ref(), room),
        };
        if n == 0 {
            return got;
        }
        let fresh = u64::try_from(n).unwrap_or(u64::MAX);
        self.bytes += fresh;
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
        self.take(&buffer[..end], fresh);
        if buffer.len() > 4 * READ && self.framer.carry().len() < READ {
            // One stream's giant lines must not stay in memory for ever; while one comes its next read needs as much.
            buffer.truncate(READ);
            buffer.shrink_to_fit();
        }
        got
    }

    fn take(&mut self, data: &[u8], fresh: u64) {
        let mut batch = self.route.begin(self.ends);
        let max_line = batch.max_line();
        self.framer.feed(data, max_line, |piece| self.route.give(piece, &mut batch));
        self.route.end(fresh, batch);
    }

    /// The pipe is at its end: so is the last line.
    fn finish(&mut self) {
        self.ends = true;
        if let Some(crlf) = self.terminal.take()
            && !crlf.held().is_empty()
        {
            // No LF came after this CR: it belongs to the line.
            self.take(&[self.framer.carry(), crlf.held()].concat(), 0);
        }
        let mut batch = self.route.begin(true);
        self.framer.finish(|piece| self.route.give(piece, &mut batch));
        self.route.end(0, batch);
        self.route.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<F: Future>(_: fn(StreamTask) -> F) -> usize {
        size_of::<F>()
    }

    /// There are two for each process, and most of them wait for years.
    #[test]
    fn a_stream_that_waits_takes_little_room() {
        let (task, future) = (size_of::<StreamTask>(), size(StreamTask::run));
        assert!(future <= 1024, "{future} bytes, {task} of them its parts");
    }
}
