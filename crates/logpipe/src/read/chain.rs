//! One log path as a reader sees it: a chain of files, the oldest first, the current one last.
//!
//! A file is left only after the writer has left it. Which one comes next is decided by the archives' names, which sort
//! by age; a file that became an archive, or was compressed, while it was read is recognized and not read twice.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use model::{Stream, Wall};
use tokio::sync::watch;

use super::backward::start_of_last;
use super::cursor::{Cursor, Mark};
use super::filter::Filter;
use super::segment::{Picking, Piece, Segment, compressed_name, plain_name};
use crate::archive;
use crate::place::FileId;
use crate::tail::TailState;

/// What is read of the chain.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) filter: Filter,
    /// How many of the last lines that pass; `usize::MAX` = all.
    pub(crate) lines: usize,
    pub(crate) follow: bool,
    /// Each line is a piece.
    pub(crate) single: bool,
    /// Where an earlier reader stood. Then `lines` means nothing.
    pub(crate) after: Option<Cursor>,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// There may be more to do; about one block was looked at.
    Busy,
    /// There is nothing to be read for now; without follow: ever.
    Idle,
}

/// The file being read.
#[derive(Debug)]
struct Position {
    segment: Segment,
    /// The name of the archive that it is; of a file that was opened as the current one, of the newest archive then.
    archive: Option<PathBuf>,
    is_archive: bool,
}

#[derive(Debug)]
enum Stage {
    /// No file was looked at yet.
    Fresh,
    /// Counting back for the last lines: the archives that are left, oldest first, and lines found in this file.
    Counting {
        older: Vec<PathBuf>,
        missing: usize,
        found: usize,
    },
    Reading,
    Done,
}

/// The chain.
#[derive(Debug)]
pub(crate) struct Chain {
    path: PathBuf,
    base: PathBuf,
    stream: Option<Stream>,
    tail: watch::Receiver<TailState>,
    stage: Stage,
    position: Option<Position>,
    /// Pieces of the current file that were not taken yet: those of one block.
    ready: VecDeque<Piece>,
    /// While there are some: where the reader stands.
    taken: u64,
    /// Lines that are still to be passed over before the last ones begin.
    skip: usize,
    /// Without follow: where to stop.
    until: Option<Mark>,
    missed: bool,
    /// Where the reader stood when it found that. Until it is told, a reader that goes on has to find it again.
    gap: Option<Mark>,
    left_out: bool,
}

impl Chain {
    pub(crate) fn new(
        path: PathBuf,
        base: PathBuf,
        stream: Option<Stream>,
        tail: watch::Receiver<TailState>,
    ) -> Self {
        Self {
            path,
            base,
            stream,
            tail,
            stage: Stage::Fresh,
            position: None,
            ready: VecDeque::new(),
            taken: 0,
            skip: 0,
            until: None,
            missed: false,
            gap: None,
            left_out: false,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a change. `false` = none will come.
    pub(crate) async fn changed(&mut self) -> bool {
        !self.tail.borrow().ended && self.tail.changed().await.is_ok()
    }

    /// The time of the next piece, when one is ready: `None` in it = not known.
    pub(crate) fn next_at(&self) -> Option<Option<Wall>> {
        self.ready.front().map(|piece| piece.facts.at)
    }

    pub(crate) fn take(&mut self) -> Option<Piece> {
        let piece = self.ready.pop_front()?;
        self.taken = piece.end;
        Some(piece)
    }

    /// Where a reader that has taken all that it took would go on.
    pub(crate) fn mark(&self) -> Option<Mark> {
        if self.gap.is_some() {
            return self.gap;
        }
        let Position { segment, .. } = self.position.as_ref()?;
        let offset = if self.ready.is_empty() { segment.at } else { self.taken };
        Some(segment.mark(offset))
    }

    /// Lines are missing before the next piece.
    pub(crate) fn has_missed(&self) -> bool {
        self.missed
    }

    pub(crate) fn take_missed(&mut self) -> bool {
        self.gap = None;
        std::mem::take(&mut self.missed)
    }

    /// Lines are missing behind this place.
    fn miss(&mut self, behind: Option<Mark>) {
        self.missed = true;
        self.gap = self.gap.or(behind);
    }

    /// Lines were left out of which something that the filter asks for is not known.
    pub(crate) fn has_left_out(&self) -> bool {
        self.left_out
    }

    /// Reads about one block. To be called only while no piece is ready.
    pub(crate) fn advance(&mut self, wish: &Wish, nth: usize) -> io::Result<Progress> {
        match self.stage {
            Stage::Fresh => self.begin(wish, nth).map(|()| Progress::Busy),
            Stage::Counting { .. } => self.count(wish).map(|()| Progress::Busy),
            Stage::Reading => self.read(wish),
            Stage::Done => Ok(Progress::Idle),
        }
    }

    fn archives(&self) -> io::Result<Vec<PathBuf>> {
        match archive::list(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    /// Opens an archive of the list; `None` = it was deleted since.
    fn open_archive(&self, path: &Path) -> io::Result<Option<Position>> {
        let segment = match Segment::open(path, &self.base)? {
            // It may have been compressed since.
            None => Segment::open(&compressed_name(path), &self.base)?,
            found => found,
        };
        Ok(segment.map(|segment| Position { segment, archive: Some(path.to_owned()), is_archive: true }))
    }

    /// Opens the current file; whoever asks adds the newest archive.
    fn open_current(&self) -> io::Result<Option<Position>> {
        let segment = Segment::open(&self.path, &self.base)?;
        Ok(segment.map(|segment| Position { segment, archive: None, is_archive: false }))
    }

    /// Opens what the reader begins with.
    fn begin(&mut self, wish: &Wish, nth: usize) -> io::Result<()> {
        // The current file first: if it is rotated now, it is found again among the archives and not read twice.
        let mut current = self.open_current()?;
        let mut archives = self.archives()?;
        if let Some(position) = &mut current {
            if let Some(i) = archives.iter().position(|path| position.segment.is_at(path, &self.base)) {
                archives.truncate(i);
            }
            position.archive = archives.last().cloned();
            if !wish.follow {
                self.until = Some(position.segment.mark(position.segment.size()?));
            }
        }
        self.stage = Stage::Reading;
        if let Some(cursor) = &wish.after {
            return self.resume(cursor, nth, current, archives);
        }
        match wish.lines {
            // Everything: `read` goes on from no position to the oldest file.
            usize::MAX => {}
            // An empty past: from the end of what there is.
            0 => {
                self.position = match (current, archives.last()) {
                    (None, Some(path)) => self.open_archive(path)?,
                    (current, _) => current,
                };
                if let Some(position) = &mut self.position {
                    position.segment.skip()?;
                }
            }
            missing => {
                self.position = match current {
                    Some(position) => Some(position),
                    None => archives.pop().map_or(Ok(None), |path| self.open_archive(&path))?,
                };
                if self.position.is_some() {
                    self.stage = Stage::Counting { older: archives, missing, found: 0 };
                }
            }
        }
        Ok(())
    }

    /// Goes on where an earlier reader stood. When that file is gone: from the oldest that there is.
    fn resume(
        &mut self,
        cursor: &Cursor,
        nth: usize,
        current: Option<Position>,
        archives: Vec<PathBuf>,
    ) -> io::Result<()> {
        let own: Vec<&Mark> = match cursor.0.get(nth) {
            // Nothing was there yet.
            Some(None) => return Ok(()),
            Some(Some(mark)) => vec![mark],
            // It was made with other files than now.
            None => cursor.0.iter().flatten().collect(),
        };
        let mut next = current;
        let mut older = archives.into_iter().rev();
        loop {
            if let Some(mut position) = next
                && let Some(mark) = own.iter().find(|mark| position.segment.has(mark))
            {
                position.segment.at = mark.offset;
                self.position = Some(position);
                return Ok(());
            }
            let Some(path) = older.next() else { break };
            next = self.open_archive(&path)?;
        }
        self.miss(own.first().copied().copied());
        Ok(())
    }

    /// Counts one block, or a plain file that is wanted whole, and goes on to the file before it when that was not
    /// enough.
    fn count(&mut self, wish: &Wish) -> io::Result<()> {
        let Stage::Counting { older, missing, found } = &mut self.stage else { return Ok(()) };
        let Some(position) = &mut self.position else { return Ok(()) };
        let segment = &mut position.segment;
        let stop = self.until.filter(|until| segment.has(until)).map(|until| until.offset);
        let size = segment.size()?;
        if wish.filter.passes_all()
            && let Some(file) = segment.plain()
        {
            let (start, lines) = start_of_last(file, stop.unwrap_or(size).min(size), *missing)?;
            segment.at = start;
            *missing -= lines;
        } else {
            segment.refresh_index(&self.base, size, || None);
            let picking = Picking { filter: &wish.filter, stream: self.stream, stop, single: false };
            if let Some(pieces) = segment.pieces(picking, size)? {
                let newlines = |piece: &Piece| memchr::memchr_iter(b'\n', &piece.bytes).count();
                *found += pieces.iter().map(newlines).sum::<usize>();
                return Ok(());
            }
            // The whole file was looked at: its last lines are those behind the ones to be skipped.
            self.left_out |= segment.left_out;
            segment.rewind();
            self.skip = found.saturating_sub(*missing);
            *missing = missing.saturating_sub(*found);
            *found = 0;
        }
        let before = if *missing > 0 { older.pop() } else { None };
        let opened = before.map_or(Ok(None), |path| self.open_archive(&path))?;
        match opened {
            Some(position) => self.position = Some(position),
            // Enough, or there is nothing older (any more).
            None => self.stage = Stage::Reading,
        }
        Ok(())
    }

    fn read(&mut self, wish: &Wish) -> io::Result<Progress> {
        // From here on every change wakes us, whatever the look at the file below misses.
        let writer = self.tail.borrow_and_update().writer;
        if self.position.is_none() {
            self.position = self.successor()?;
        }
        let Some(position) = &mut self.position else { return Ok(self.idle(wish)) };
        let segment = &mut position.segment;
        let stop = self.until.filter(|until| segment.has(until)).map(|until| until.offset);
        let size = segment.size()?;
        let (path, newest, is_archive) = (&self.path, &position.archive, position.is_archive);
        segment.refresh_index(&self.base, size, || {
            let mut archives = archive::list(path).unwrap_or_default().into_iter();
            archives.find(|archive| !is_archive && Some(archive) > newest.as_ref())
        });
        if too_old(segment, wish) {
            segment.skip()?;
        }
        // While lines are skipped each one counts.
        let single = wish.single || self.skip > 0;
        let picking = Picking { filter: &wish.filter, stream: self.stream, stop, single };
        let before = segment.at;
        let pieces = segment.pieces(picking, size)?;
        self.left_out |= segment.left_out;
        if let Some(mut pieces) = pieces {
            let skipped = pieces.drain(..self.skip.min(pieces.len()));
            self.taken = before;
            for piece in skipped {
                self.skip -= 1;
                self.taken = piece.end;
            }
            self.ready = pieces.into();
            return Ok(Progress::Busy);
        }
        if segment.is_damaged() {
            let here = segment.mark(before);
            self.missed = true;
            self.gap = self.gap.or(Some(here));
        }
        if stop.is_some() {
            self.stage = Stage::Done;
            return Ok(Progress::Idle);
        }
        if !segment.is_final {
            let here = Some(segment.id);
            if writer == here || FileId::at(&self.path) == here {
                return Ok(self.idle(wish));
            }
            // Read once more: what was appended between the last look and the writer's move.
            segment.is_final = true;
            return Ok(Progress::Busy);
        }
        match self.successor()? {
            Some(next) => {
                if self.is_lost()? {
                    self.miss(self.mark());
                }
                self.position = Some(next);
                Ok(Progress::Busy)
            }
            None => Ok(self.idle(wish)),
        }
    }

    fn idle(&mut self, wish: &Wish) -> Progress {
        if !wish.follow {
            self.stage = Stage::Done;
        }
        Progress::Idle
    }

    /// The file that comes after the position in the order of rotation.
    fn successor(&self) -> io::Result<Option<Position>> {
        let name = self.position.as_ref().and_then(|position| position.archive.as_deref()).map(plain_name);
        loop {
            // The current file first: if it is rotated now, it is found among the archives.
            let current = self.open_current()?;
            let archives = self.archives()?;
            let newer = archives.partition_point(|path| Some(plain_name(path)) <= name);
            let mut newer = archives[newer..].iter().peekable();
            // What was the current file has become the first of the newer ones, unless somebody else renamed it.
            if let Some(position) = self.position.as_ref().filter(|position| !position.is_archive) {
                newer.next_if(|first| position.segment.is_at(first, &self.base));
            }
            let Some(path) = newer.next() else {
                return Ok(current.map(|current| Position { archive: archives.last().cloned(), ..current }));
            };
            if let Some(archive) = self.open_archive(path)? {
                return Ok(Some(archive));
            }
            // Deleted since the list was made: there is another one now.
        }
    }

    /// Whether the file being left was deleted: others that came after it may have been, too.
    fn is_lost(&self) -> io::Result<bool> {
        let Some(position) = self.position.as_ref().filter(|position| !position.segment.is_linked()) else {
            return Ok(false);
        };
        let name = position.archive.as_deref().map(plain_name);
        // Compressed is not deleted.
        let mut archives = self.archives()?.into_iter();
        let lives = if position.is_archive {
            archives.any(|path| Some(plain_name(&path)) == name)
        } else {
            archives.any(|path| position.segment.is_at(&path, &self.base))
        };
        Ok(!lives)
    }
}

/// Nothing in this file can be as young as what is wanted, although it has no index that would say so.
fn too_old(segment: &Segment, wish: &Wish) -> bool {
    let since = wish.filter.since.filter(|_| !segment.has_index());
    since.is_some_and(|since| segment.ends_before(UNIX_EPOCH + Duration::from_nanos(since.0)))
}
