//! The file sink: one log file that is appended to in whole lines, rotated, and survives whatever others do to it.
//!
//! - Appended only, never truncated; made with mode 0640. What was opened is checked ([`place`]).
//! - Rotation comes between two lines: a batch that would make the file larger than `max_size` is written up to the
//!   last newline that fits, the file gets its archive name, the rest goes into a new one. A rotation that fails
//!   (nothing may be renamed there) leaves the lines in the old file, beyond its size, and is tried again after 1 s.
//! - Somebody else renamed or removed the file: removal is seen before each write, a rename at most 1 s later. Until
//!   then lines go to the renamed file, which is where logrotate expects them.
//! - A write that fails (no space, I/O error) makes the store *blocked*: it keeps the rest of the one batch it was
//!   given, its readers leave everything else in their pipes, and it is tried again every second until it succeeds.
//!   A write that was cut short goes on where it stopped, in the same file: no line is torn and none is written twice.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::{memchr, memrchr};
use nix::fcntl::OFlag;
use tokio::sync::Notify;

use crate::archive;
use crate::place::{self, FileId};
use crate::stats::Account;
use crate::tail::Tail;
use model::{RunNumber, Sink, Wall};

/// Between two looks at whether the path still names the open file, and between two tries of what failed.
pub(crate) const RETRY: Duration = Duration::from_secs(1);

/// How a batch's bytes reach the disk; replaced in tests by one that writes short or fails.
pub(crate) trait Disk {
    /// Like write(2).
    fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<usize>;
}

/// write(2).
struct Real;

impl Disk for Real {
    fn write(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }
}

/// When to rotate and what to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes; 0 = never rotate.
    pub(crate) max_size: u64,
    /// Rotated files kept.
    pub(crate) max_files: u32,
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
#[expect(dead_code, reason = "the index, which needs all of it, is being built")]
pub(crate) struct Stretch<'a> {
    pub(crate) account: &'a Account,
    pub(crate) run: RunNumber,
    /// When it was read.
    pub(crate) at: Wall,
    pub(crate) lines: Lines,
}

/// Lines that a blocked store owes to an account.
struct Owed {
    account: Account,
    lines: Lines,
    bytes: u64,
}

struct Open {
    file: File,
    id: FileId,
}

struct Inner {
    open: Option<Open>,
    /// When the path was last compared with the open file.
    checked: Instant,
    /// When the last rotation failed.
    rotation_failed: Option<Instant>,
    /// The open file ends in mid-line: ours, because a write was cut short.
    mid_line: bool,
    /// The rest of one batch while the store is blocked: at most what one stream reads at once.
    pending: Vec<u8>,
    owed: Vec<Owed>,
    disk: Box<dyn Disk>,
}

/// One log file. Shared by all streams of all runs of a process that go to the same path.
pub(crate) struct Store {
    path: PathBuf,
    base: PathBuf,
    limits: Cell<Limits>,
    inner: RefCell<Inner>,
    unblocked: Notify,
    /// Whether somebody tries again while the store is blocked.
    retrying: Cell<bool>,
    tail: Arc<Tail>,
}

/// Tries again every second while the store is blocked; does nothing when somebody does so already.
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
    pub(crate) fn new(path: PathBuf, base: &Path, limits: Limits, tail: Arc<Tail>) -> Self {
        Self::on_disk(path, base, limits, tail, Box::new(Real))
    }

    pub(crate) fn on_disk(
        path: PathBuf,
        base: &Path,
        limits: Limits,
        tail: Arc<Tail>,
        disk: Box<dyn Disk>,
    ) -> Self {
        let inner = Inner {
            open: None,
            checked: Instant::now(),
            rotation_failed: None,
            mid_line: false,
            pending: Vec::new(),
            owed: Vec::new(),
            disk,
        };
        Self {
            path,
            base: base.to_owned(),
            limits: Cell::new(limits),
            inner: RefCell::new(inner),
            unblocked: Notify::new(),
            retrying: Cell::new(false),
            tail,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        self.limits.set(limits);
    }

    /// Takes over a file that was opened at the path a moment ago, unless there is one already, or another run's lines
    /// have made it an archive meanwhile.
    pub(crate) fn adopt(&self, file: File) -> io::Result<()> {
        let mut inner = self.inner.borrow_mut();
        if inner.open.is_none() && FileId::at(&self.path) == Some(FileId::of(&file.metadata()?)) {
            self.install(&mut inner, file)?;
        }
        Ok(())
    }

    /// Opens the path anew at the next write.
    pub(crate) fn reopen(&self) {
        let mut inner = self.inner.borrow_mut();
        if !inner.mid_line {
            inner.open = None;
        }
    }

    /// Appends whole lines (or, for the last one, as much as the disk takes) and books them. `false` = blocked: the
    /// store has kept the batch; the caller must read nothing more before [`unblocked`](Self::unblocked), and see to
    /// it that [`retry`](Self::retry) is called.
    pub(crate) fn append(&self, text: &[u8], stretch: Stretch<'_>) -> bool {
        let Stretch { account, lines, .. } = stretch;
        let mut inner = self.inner.borrow_mut();
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if inner.pending.is_empty() {
            let mut errors = 0;
            let (done, result) = self.put(&mut inner, text, &mut errors);
            if done > 0 {
                self.tail.grew();
            }
            match result {
                Ok(()) => {
                    account.book(|c| {
                        let sink = c.sink(Sink::File);
                        sink.read += lines.all() - lines.held;
                        sink.queued -= lines.held;
                        sink.written += lines.whole;
                        sink.truncated += lines.cut;
                        sink.bytes_written += bytes;
                        sink.errors += errors;
                    });
                    return true;
                }
                Err(e) => {
                    tracing::warn!(path = %self.path.display(), error = %e, hint = place::hint(&self.path, &self.base, &e),
                        "log file can't be written; its process waits and the write is tried again every second");
                    account.book(|c| c.sink(Sink::File).errors += errors + 1);
                    inner.pending.extend_from_slice(&text[done..]);
                }
            }
        } else {
            inner.pending.extend_from_slice(text);
        }
        account.book(|c| {
            let sink = c.sink(Sink::File);
            sink.read += lines.all() - lines.held;
            sink.queued += lines.all() - lines.held;
        });
        inner.owed.push(Owed { account: account.clone(), lines, bytes });
        false
    }

    /// Whether lines wait for the disk.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.inner.borrow().pending.is_empty()
    }

    /// Waits until nothing waits for the disk any more.
    pub(crate) async fn unblocked(&self) {
        while self.is_blocked() {
            self.unblocked.notified().await;
        }
    }

    /// Tries to write what waits. `true` = nothing waits any more.
    pub(crate) fn retry(&self) -> bool {
        let mut inner = self.inner.borrow_mut();
        if inner.pending.is_empty() {
            return true;
        }
        let pending = std::mem::take(&mut inner.pending);
        let mut errors = 0;
        let (done, result) = self.put(&mut inner, &pending, &mut errors);
        errors += u64::from(result.is_err());
        if let Some(owed) = inner.owed.first() {
            owed.account.book(|c| c.sink(Sink::File).errors += errors);
        }
        if done > 0 {
            self.tail.grew();
        }
        match result {
            Ok(()) => {
                for owed in inner.owed.drain(..) {
                    owed.account.book(|c| {
                        let sink = c.sink(Sink::File);
                        sink.queued -= owed.lines.whole + owed.lines.cut;
                        sink.written += owed.lines.whole;
                        sink.truncated += owed.lines.cut;
                        sink.bytes_written += owed.bytes;
                    });
                }
                tracing::info!(path = %self.path.display(), "log file can be written again");
                self.unblocked.notify_waiters();
                true
            }
            Err(_) => {
                inner.pending = pending;
                inner.pending.drain(..done);
                false
            }
        }
    }

    /// Gives up what waits: the daemon ends and the disk still refuses.
    pub(crate) fn give_up(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.pending = Vec::new();
        for owed in inner.owed.drain(..) {
            owed.account.book(|c| {
                let sink = c.sink(Sink::File);
                sink.queued -= owed.lines.whole + owed.lines.cut;
                sink.dropped += owed.lines.whole + owed.lines.cut;
            });
        }
    }

    /// Writes `text`; tells how much of it was taken, and the failure that stopped it. `errors` counts those that were
    /// got over.
    fn put(&self, inner: &mut Inner, text: &[u8], errors: &mut u64) -> (usize, io::Result<()>) {
        let mut done = 0;
        while done < text.len() {
            let rest = &text[done..];
            let result = self.current(inner, errors).and_then(|size| {
                let end = self.fitting(inner, size, rest);
                if end == 0 {
                    self.rotate(inner, errors);
                    return Ok(0);
                }
                write_some(inner, &rest[..end])
            });
            match result {
                Ok(n) => done += n,
                Err(e) => return (done, Err(e)),
            }
        }
        (done, Ok(()))
    }

    /// How much of `rest` may go into the current file of `size` bytes; 0 = rotate first.
    fn fitting(&self, inner: &Inner, size: u64, rest: &[u8]) -> usize {
        let max = self.limits.get().max_size;
        let new = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        let recently = inner.rotation_failed.is_some_and(|at| at.elapsed() < RETRY);
        if max == 0 || size.saturating_add(new) <= max || recently {
            return rest.len();
        }
        let first = memchr(b'\n', rest).map_or(rest.len(), |i| i + 1);
        let room = usize::try_from(max.saturating_sub(size)).unwrap_or(usize::MAX).min(rest.len());
        let lines = memrchr(b'\n', &rest[..room]).map_or(0, |i| i + 1);
        // The rest of a torn line belongs to the file that has its start, and a file holds at least one line.
        if lines == 0 && (inner.mid_line || size == 0) { first } else { lines }
    }

    /// Opens the file if need be and returns its size.
    fn current(&self, inner: &mut Inner, errors: &mut u64) -> io::Result<u64> {
        if let Some(open) = &inner.open {
            let meta = open.file.metadata()?;
            let removed = meta.nlink() == 0;
            let due = inner.checked.elapsed() >= RETRY;
            if !removed && !due {
                return Ok(meta.size());
            }
            inner.checked = Instant::now();
            let renamed = FileId::at(&self.path) != Some(open.id);
            if inner.mid_line || !(removed || renamed) {
                return Ok(meta.size());
            }
            match place::open_log(&self.path, &self.base) {
                Ok(file) => self.install(inner, file)?,
                // A renamed file still takes lines; a removed one would swallow them.
                Err(e) if removed => return Err(e),
                Err(e) => {
                    *errors += 1;
                    tracing::warn!(path = %self.path.display(), error = %e,
                        "log file was renamed and can't be made anew; lines go to the renamed one");
                    return Ok(meta.size());
                }
            }
        } else {
            let file = place::open_log(&self.path, &self.base)?;
            self.install(inner, file)?;
        }
        let open = inner.open.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(open.file.metadata()?.size())
    }

    fn install(&self, inner: &mut Inner, file: File) -> io::Result<()> {
        let meta = file.metadata()?;
        // What somebody left there without its newline (a crash, an editor) must not swallow our first line.
        if meta.size() > 0 && !ends_with_newline(&self.path, meta.size()) {
            (&file).write_all(b"\n")?;
        }
        let id = FileId::of(&meta);
        inner.open = Some(Open { file, id });
        inner.checked = Instant::now();
        self.tail.moved(id);
        Ok(())
    }

    fn rotate(&self, inner: &mut Inner, errors: &mut u64) {
        let ours = inner.open.as_ref().map(|o| o.id);
        if FileId::at(&self.path) == ours
            && let Err(e) = archive::rotate(&self.path, &self.base)
        {
            *errors += 1;
            inner.rotation_failed = Some(Instant::now());
            tracing::warn!(path = %self.path.display(), error = %e, hint = place::hint(&self.path, &self.base, &e),
                "log file can't be rotated; it grows beyond max_size");
            return;
        }
        // Else somebody was faster: what the path names now is not the file that is full.
        inner.open = None;
        if let Err(e) = archive::prune(&self.path, &self.base, self.limits.get().max_files) {
            *errors += 1;
            tracing::warn!(path = %self.path.display(), error = %e, "old log files can't be deleted");
        }
    }
}

fn write_some(inner: &mut Inner, bytes: &[u8]) -> io::Result<usize> {
    let open = inner.open.as_ref().ok_or(io::ErrorKind::NotFound)?;
    match inner.disk.write(&open.file, bytes) {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(n) => {
            inner.mid_line = bytes[n - 1] != b'\n';
            Ok(n)
        }
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(e) => Err(e),
    }
}

/// Whether the file ends with a newline; also when it can't be read (then nobody can know).
fn ends_with_newline(path: &Path, size: u64) -> bool {
    let last = || -> io::Result<u8> {
        let flags = (OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits();
        let mut file = File::options().read(true).custom_flags(flags).open(path)?;
        file.seek(SeekFrom::Start(size - 1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    last().map_or(true, |b| b == b'\n')
}

#[cfg(test)]
mod tests;
