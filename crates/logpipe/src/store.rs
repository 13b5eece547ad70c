//! The file sink: one log file that is appended to in whole lines, rotated, and survives whatever others do to it.
//!
//! - [`file`] puts text into the file: opening, rotation, archives, the index beside it.
//! - A write that fails (no space, I/O error) makes lines *wait* ([`waiting`]); it is tried again every second until it
//!   succeeds. What happens meanwhile is the definition's `overflow`: the readers leave everything else in their pipes,
//!   so that the process waits and nothing is lost, or they go on and lines are dropped beyond a bound, counted, and
//!   marked in the file at the place where they are missing.
//! - A write that was cut short goes on where it stopped, in the same file: no line is torn and none is written twice.

mod file;
mod waiting;

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use model::{Compression, LogFormat, LogSpec, Overflow, RunNumber, Sink, Wall};
use tokio::sync::Notify;

use crate::compress::Compressor;
use crate::disk::{Disk, Real};
use crate::place;
use crate::stats::Account;
use crate::tail::Tail;
use file::LogFile;
pub(crate) use waiting::Room;
use waiting::Waiting;

/// Between two looks at whether the path still names the open file, and between two tries of what failed.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// What a definition says about its files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes; 0 = any.
    pub(crate) max_size: u64,
    /// Of a file's first line; zero = any.
    pub(crate) max_age: Duration,
    /// Rotated files kept.
    pub(crate) max_files: u32,
    /// Lengths of the rotated files together, compressed where they are; 0 = any.
    pub(crate) max_total_size: u64,
    pub(crate) compress: Compression,
    pub(crate) overflow: Overflow,
    /// Of markers; all else comes as it shall be written.
    pub(crate) format: LogFormat,
}

impl From<&LogSpec> for Limits {
    fn from(log: &LogSpec) -> Self {
        Self {
            max_size: log.max_size,
            max_age: log.max_age,
            max_files: log.max_files,
            max_total_size: log.max_total_size,
            compress: log.compress,
            overflow: log.overflow,
            format: log.format,
        }
    }
}

/// How many lines of a process a piece of text holds, for the accounts. Its newlines don't tell: a marker is no line,
/// and one line of a formatted file may stand for several.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines {
    pub(crate) whole: u64,
    pub(crate) cut: u64,
    /// So many of them waited to be joined with others, and are booked as read and queued already.
    pub(crate) held: u64,
}

impl Lines {
    pub(crate) fn all(self) -> u64 {
        self.whole + self.cut
    }
}

/// Where a piece of text comes from, and what it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch<'a> {
    pub(crate) account: &'a Account,
    pub(crate) run: RunNumber,
    /// When it was read.
    pub(crate) at: Wall,
    pub(crate) lines: Lines,
}

/// What all stores share.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    pub(crate) room: Rc<Room>,
    pub(crate) compressor: Compressor,
}

struct Inner {
    file: LogFile,
    waiting: Waiting,
    /// Lines dropped since the file could be written.
    dropped: u64,
}

/// One log file. Shared by all streams of all runs of a process that go to the same path.
pub(crate) struct Store {
    path: Rc<Path>,
    base: Rc<Path>,
    limits: Cell<Limits>,
    inner: RefCell<Inner>,
    unblocked: Notify,
    /// Whether somebody tries again while lines wait.
    retrying: Cell<bool>,
}

/// Tries again every second while lines wait; does nothing when somebody does so already.
pub(crate) fn keep_trying(store: &Rc<Store>) {
    if store.retrying.replace(true) {
        return;
    }
    let store = Rc::clone(store);
    tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(RETRY).await;
            if store.retry() {
                break;
            }
        }
        store.retrying.set(false);
    });
}

impl Store {
    pub(crate) fn new(path: &Path, base: &Path, limits: Limits, tail: Arc<Tail>, shared: &Shared) -> Self {
        let disk = Box::new(Real(shared.compressor.clone()));
        Self::on_disk(path, base, limits, tail, Rc::clone(&shared.room), disk)
    }

    fn on_disk(
        path: &Path,
        base: &Path,
        limits: Limits,
        tail: Arc<Tail>,
        room: Rc<Room>,
        mut disk: Box<dyn Disk>,
    ) -> Self {
        if limits.compress != Compression::None {
            // What the daemon before this one left.
            disk.compress(path, base);
        }
        let (path, base): (Rc<Path>, Rc<Path>) = (path.into(), base.into());
        let file = LogFile::new(Rc::clone(&path), Rc::clone(&base), tail, disk);
        Self {
            path,
            base,
            limits: Cell::new(limits),
            inner: RefCell::new(Inner { file, waiting: Waiting::new(room), dropped: 0 }),
            unblocked: Notify::new(),
            retrying: Cell::new(false),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        let old = self.limits.replace(limits);
        if limits.compress != old.compress && limits.compress != Compression::None {
            self.inner.borrow_mut().file.compress();
        }
        // Readers that waited may go on now.
        self.unblocked.notify_waiters();
    }

    /// Opens the path anew at the next write.
    pub(crate) fn reopen(&self) {
        self.inner.borrow_mut().file.reopen();
    }

    /// Appends whole lines (or, for the last one, as much as the disk takes) and books them. `false` = lines wait: the
    /// caller must read nothing more while the store [is blocked](Self::is_blocked), and see to it that
    /// [`retry`](Self::retry) is called.
    pub(crate) fn append(&self, text: &[u8], stretch: Stretch<'_>) -> bool {
        let limits = self.limits.get();
        let Inner { file, waiting, dropped } = &mut *self.inner.borrow_mut();
        let mut done = 0;
        if waiting.is_empty() {
            let (n, result) = file.put(text, &stretch, &limits);
            done = n;
            let mut errors = file.take_errors();
            if let Err(e) = &result {
                errors += 1;
                self.tell_failure(e, limits.overflow);
            }
            stretch.account.book(|counts| {
                let sink = counts.sink(Sink::File);
                sink.errors += errors;
                if result.is_ok() {
                    sink.read += stretch.lines.all() - stretch.lines.held;
                    sink.queued -= stretch.lines.held;
                    sink.written += stretch.lines.whole;
                    sink.truncated += stretch.lines.cut;
                    sink.bytes_written += u64::try_from(text.len()).unwrap_or(u64::MAX);
                }
            });
            if result.is_ok() {
                return true;
            }
        }
        *dropped += waiting.offer(text, done, stretch, limits.overflow);
        false
    }

    fn tell_failure(&self, e: &io::Error, overflow: Overflow) {
        let (path, hint) = (self.path.display(), place::hint(&self.path, &self.base, e));
        match overflow {
            Overflow::Block => tracing::warn!(%path, error = %e, hint,
                "log file can't be written; its process waits and the write is tried again every second"),
            Overflow::DropOldest | Overflow::DropNewest => tracing::warn!(%path, error = %e, hint,
                overflow = overflow.as_str(),
                "log file can't be written; lines wait in memory and are dropped beyond 1 MiB; tried again every second"),
        }
    }

    /// Whether readers have to leave lines in their pipes, because others wait for the disk and none may be dropped.
    pub(crate) fn is_blocked(&self) -> bool {
        self.limits.get().overflow == Overflow::Block && !self.inner.borrow().waiting.is_empty()
    }

    /// Waits until readers may go on.
    pub(crate) async fn unblocked(&self) {
        while self.is_blocked() {
            self.unblocked.notified().await;
        }
    }

    /// Tries to write what waits. `true` = nothing waits any more.
    pub(crate) fn retry(&self) -> bool {
        let limits = self.limits.get();
        let Inner { file, waiting, dropped } = &mut *self.inner.borrow_mut();
        if waiting.is_empty() {
            return true;
        }
        while !waiting.is_empty() {
            let written = waiting.write_next(limits.format, |text, stretch| {
                let (n, result) = file.put(text, stretch, &limits);
                let errors = file.take_errors() + u64::from(result.is_err());
                stretch.account.book(|counts| counts.sink(Sink::File).errors += errors);
                (n, result)
            });
            if written.is_err() {
                return false;
            }
        }
        match std::mem::take(dropped) {
            0 => tracing::info!(path = %self.path.display(), "log file can be written again"),
            n => tracing::warn!(path = %self.path.display(), dropped = n,
                "log file can be written again; lines were dropped, and a marker stands in their place"),
        }
        self.unblocked.notify_waiters();
        true
    }

    /// Gives up what waits: the daemon ends and the disk still refuses.
    pub(crate) fn give_up(&self) {
        let Inner { file, waiting, dropped } = &mut *self.inner.borrow_mut();
        waiting.give_up();
        file.leave();
        *dropped = 0;
    }
}

#[cfg(test)]
mod tests;
