//! The file that lines go to: opened, appended to, rotated, and indexed.
//!
//! - Appended only, never truncated; made with mode 0640. What was opened is checked ([`place`]).
//! - Rotation comes between two lines. By size: a batch that would make the file larger than `max_size` is written up to
//!   the last newline that fits, the file gets its archive name, the rest goes into a new one. By age: at the first line
//!   that was read more than `max_age` after the file's first one. That time survives the daemon: it is the one of the
//!   first record of the index, else the file's birth as the file system knows it, else its last change.
//! - A rotation that fails (nothing may be renamed there) leaves the lines in the old file, beyond its size, and is
//!   tried again after 1 s.
//! - Somebody else renamed or removed the file: removal is seen before each write, a rename at most 1 s later. Until
//!   then lines go to the renamed file, which is where logrotate expects them.
//! - No space: the oldest archives of this file go, one at a time, until the write succeeds or none is left.
//! - Each stretch has its record in the [`index`] before it is written. An index that fails is given up for that file.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use memchr::{memchr, memrchr};
use model::{Compression, Wall};
use nix::fcntl::OFlag;

use super::{Limits, RETRY, Stretch};
use crate::disk::Disk;
use crate::index;
use crate::place::{self, FileId};
use crate::tail::Tail;

enum Index {
    /// Not opened yet: nothing was written since the file was opened.
    Ahead,
    On(index::Writer),
    /// It failed.
    Off,
}

struct Open {
    file: File,
    id: FileId,
    index: Index,
    /// When its first line was read; `None` = it has none, or nobody asked yet.
    born: Option<Wall>,
    /// Whether the log was told that archives were deleted to make room for this file.
    freed: bool,
}

/// One path and the file that it names, or named a moment ago.
pub(super) struct LogFile {
    path: Rc<Path>,
    base: Rc<Path>,
    tail: Arc<Tail>,
    disk: Box<dyn Disk>,
    open: Option<Open>,
    /// When the path was last compared with the open file.
    pub(super) checked: Instant,
    /// When the last rotation failed.
    pub(super) rotation_failed: Option<Instant>,
    /// The open file ends in mid-line: ours, because a write was cut short.
    mid_line: bool,
    /// Failures that were got over.
    errors: u64,
    /// There is no archive left that could be deleted: the directory isn't searched at each try.
    bare: bool,
}

impl LogFile {
    pub(super) fn new(path: Rc<Path>, base: Rc<Path>, tail: Arc<Tail>, disk: Box<dyn Disk>) -> Self {
        let checked = Instant::now();
        Self {
            path,
            base,
            tail,
            disk,
            open: None,
            checked,
            rotation_failed: None,
            mid_line: false,
            errors: 0,
            bare: false,
        }
    }

    /// How many failures were got over since the last call.
    pub(super) fn take_errors(&mut self) -> u64 {
        std::mem::take(&mut self.errors)
    }

    pub(super) fn reopen(&mut self) {
        if !self.mid_line {
            self.open = None;
        }
    }

    /// Nothing that was begun will be ended: a torn line is ended like one that a crash left.
    pub(super) fn leave(&mut self) {
        self.open = None;
        self.mid_line = false;
    }

    pub(super) fn compress(&mut self) {
        self.disk.compress(&self.path, &self.base);
    }

    /// Writes text that begins where the last one ended; tells how much of it was taken, and the failure that stopped
    /// it.
    pub(super) fn put(
        &mut self,
        text: &[u8],
        stretch: &Stretch<'_>,
        limits: &Limits,
    ) -> (usize, io::Result<()>) {
        let mut done = 0;
        let mut result = Ok(());
        while done < text.len() {
            match self.step(&text[done..], stretch, limits) {
                Ok(n) => done += n,
                Err(e) if place::is_full(&e) && self.make_room(&e) => {}
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
        }
        if done > 0 {
            self.tail.grew();
        }
        (done, result)
    }

    /// Writes some of `rest`, or rotates.
    fn step(&mut self, rest: &[u8], stretch: &Stretch<'_>, limits: &Limits) -> io::Result<usize> {
        let size = self.current()?;
        let opened = self.open_index(size);
        let end = self.fitting(size, rest, stretch.at, limits);
        if end == 0 {
            self.rotate(limits);
            return Ok(0);
        }
        let indexed = opened.and_then(|()| self.note(size, stretch));
        let result = self.write(&rest[..end]);
        if let (Ok(1..), Some(open)) = (&result, &mut self.open) {
            open.born = open.born.or(Some(stretch.at));
            if let Err(e) = indexed {
                // The text is there and its record is not: the one before it would claim it.
                open.index = Index::Off;
                tracing::warn!(path = %self.path.display(), error = %e, hint = place::hint(&self.path, &self.base, &e),
                    "lines can't be indexed; this file can be read, but not by time, run or stream");
                if let Err(e) = index::give_up(&self.path, &self.base) {
                    tracing::debug!(path = %self.path.display(), error = %e, "an index stays behind");
                }
            }
        }
        result
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let open = self.open.as_ref().ok_or(io::ErrorKind::NotFound)?;
        match self.disk.write(&open.file, bytes) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                self.mid_line = bytes[n - 1] != b'\n';
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(e) => Err(e),
        }
    }

    /// Sees to it that the open file of `size` bytes has its index, and learns how old it is.
    fn open_index(&mut self, size: u64) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if size == 0 {
            // New, or emptied by somebody.
            open.born = None;
        }
        if matches!(open.index, Index::Ahead) {
            let opened = index::Writer::open(&self.path, &self.base, open.id, size, &mut *self.disk);
            if size > 0 {
                let known = opened.as_ref().ok().and_then(|(_, first)| *first);
                open.born = known.or_else(|| oldest_known(&open.file.metadata().ok()?));
            }
            open.index = Index::On(opened?.0);
        }
        Ok(())
    }

    /// Says in the index what comes at `size`.
    fn note(&mut self, size: u64, stretch: &Stretch<'_>) -> io::Result<()> {
        match self.open.as_mut().map(|open| &mut open.index) {
            // The rest of a torn line belongs to its start.
            Some(Index::On(index)) if !self.mid_line => {
                index.note(size, stretch.at, stretch.run, stretch.account.stream, &mut *self.disk)
            }
            _ => Ok(()),
        }
    }

    /// How much of `rest`, read at `at`, may go into the current file of `size` bytes; 0 = rotate first.
    fn fitting(&self, size: u64, rest: &[u8], at: Wall, limits: &Limits) -> usize {
        if self.rotation_failed.is_some_and(|at| at.elapsed() < RETRY) {
            return rest.len();
        }
        let born = self.open.as_ref().and_then(|open| open.born);
        let old = !limits.max_age.is_zero() && born.is_some_and(|born| at.since(born) > limits.max_age);
        if old && size > 0 && !self.mid_line {
            return 0;
        }
        let max = limits.max_size;
        let new = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        if max == 0 || size.saturating_add(new) <= max {
            return rest.len();
        }
        let first = memchr(b'\n', rest).map_or(rest.len(), |i| i + 1);
        let room = usize::try_from(max.saturating_sub(size)).unwrap_or(usize::MAX).min(rest.len());
        let lines = memrchr(b'\n', &rest[..room]).map_or(0, |i| i + 1);
        // The rest of a torn line belongs to the file that has its start, and a file holds at least one line.
        if lines == 0 && (self.mid_line || size == 0) { first } else { lines }
    }

    /// Opens the file if need be and returns its size.
    fn current(&mut self) -> io::Result<u64> {
        if let Some(open) = &self.open {
            let meta = open.file.metadata()?;
            let removed = meta.nlink() == 0;
            let due = self.checked.elapsed() >= RETRY;
            if !removed && !due {
                return Ok(meta.size());
            }
            self.checked = Instant::now();
            let renamed = FileId::at(&self.path) != Some(open.id);
            if self.mid_line || !(removed || renamed) {
                return Ok(meta.size());
            }
            match place::open_log(&self.path, &self.base) {
                Ok(file) => self.install(file)?,
                // A renamed file still takes lines; a removed one would swallow them.
                Err(e) if removed => return Err(e),
                Err(e) => {
                    self.errors += 1;
                    tracing::warn!(path = %self.path.display(), error = %e,
                        "log file was renamed and can't be made anew; lines go to the renamed one");
                    return Ok(meta.size());
                }
            }
        } else {
            let file = place::open_log(&self.path, &self.base)?;
            self.install(file)?;
        }
        let open = self.open.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(open.file.metadata()?.size())
    }

    fn install(&mut self, file: File) -> io::Result<()> {
        let meta = file.metadata()?;
        // What somebody left there without its newline (a crash, an editor) must not swallow our first line.
        if meta.size() > 0 && !ends_with_newline(&self.path, meta.size()) {
            self.disk.write(&file, b"\n")?;
        }
        let id = FileId::of(&meta);
        self.open = Some(Open { file, id, index: Index::Ahead, born: None, freed: false });
        self.checked = Instant::now();
        self.tail.moved(id);
        Ok(())
    }

    fn rotate(&mut self, limits: &Limits) {
        let ours = self.open.as_ref().map(|o| o.id);
        if FileId::at(&self.path) == ours
            && let Err(e) = self.disk.rotate(&self.path, &self.base)
        {
            self.errors += 1;
            self.rotation_failed = Some(Instant::now());
            tracing::warn!(path = %self.path.display(), error = %e, hint = place::hint(&self.path, &self.base, &e),
                "log file can't be rotated; it grows beyond max_size and max_age");
            return;
        }
        // Else somebody was faster: what the path names now is not the file that is full.
        self.open = None;
        self.bare = false;
        if let Err(e) = self.disk.prune(&self.path, &self.base, limits) {
            self.errors += 1;
            tracing::warn!(path = %self.path.display(), error = %e, "old log files can't be deleted");
        }
        if limits.compress != Compression::None {
            self.compress();
        }
    }

    /// Deletes the oldest archive. `false` = there is none, or it can't be deleted.
    fn make_room(&mut self, full: &io::Error) -> bool {
        if self.bare {
            return false;
        }
        match self.disk.free_oldest(&self.path, &self.base) {
            Ok(Some(archive)) => {
                self.errors += 1;
                let told = self.open.as_mut().is_some_and(|open| std::mem::replace(&mut open.freed, true));
                if !told {
                    tracing::warn!(path = %self.path.display(), error = %full, deleted = %archive.display(),
                        hint = "give the logs more room, or lower max_size, max_files or max_total_size",
                        "no space for a log file; its oldest rotated files are deleted");
                }
                true
            }
            Ok(None) => {
                self.bare = true;
                false
            }
            Err(e) => {
                tracing::debug!(path = %self.path.display(), error = %e, "no archive can be deleted to make room");
                false
            }
        }
    }
}

/// When a file with lines from before this daemon was made, as far as the file system knows.
fn oldest_known(meta: &Metadata) -> Option<Wall> {
    let time = meta.created().or_else(|_| meta.modified()).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(Wall(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
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
