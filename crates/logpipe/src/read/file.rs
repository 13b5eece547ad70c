//! One log path as a reader sees it: a chain of files, the oldest first, the current one last.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use model::Stream;
use tokio::sync::watch;

use super::Chunk;
use super::backward::start_of_last;
use crate::archive;
use crate::place::{self, FileId};
use crate::tail::TailState;

/// Bytes of a chunk.
const CHUNK: usize = 64 << 10;
/// A line that is longer comes in pieces; larger than any `max_line` that makes sense.
const LINE_MAX: usize = 4 << 20;

/// The file being read.
#[derive(Debug)]
struct Position {
    file: File,
    id: FileId,
    at: u64,
    /// The greatest archive name that is not newer than this file; `None` = there was none.
    archive: Option<PathBuf>,
    /// The writer has left it: its end is its end.
    is_final: bool,
}

/// The chain.
#[derive(Debug)]
pub(crate) struct FileReader {
    path: PathBuf,
    base: PathBuf,
    stream: Option<Stream>,
    tail: watch::Receiver<TailState>,
    position: Option<Position>,
    /// Without follow: where to stop.
    until: Option<(FileId, u64)>,
    follow: bool,
    missed: bool,
    done: bool,
}

impl FileReader {
    pub(crate) fn open(
        path: PathBuf,
        base: PathBuf,
        stream: Option<Stream>,
        tail: watch::Receiver<TailState>,
        lines: usize,
        follow: bool,
    ) -> io::Result<Self> {
        let mut reader = Self {
            path,
            base,
            stream,
            tail,
            position: None,
            until: None,
            follow,
            missed: false,
            done: false,
        };
        reader.seek(lines)?;
        Ok(reader)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a change. `false` = none will come.
    pub(crate) async fn changed(&mut self) -> bool {
        !self.tail.borrow().ended && self.tail.changed().await.is_ok()
    }

    fn archives(&self) -> io::Result<Vec<PathBuf>> {
        match archive::list(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    fn open_file(&self, path: &Path, archive: Option<PathBuf>) -> io::Result<Option<Position>> {
        match place::open_to_read(path, &self.base) {
            Ok(file) => {
                let id = FileId::of(&file.metadata()?);
                Ok(Some(Position { file, id, at: 0, archive, is_final: false }))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Finds the start of the last `lines` lines: from the current file back through the archives.
    fn seek(&mut self, lines: usize) -> io::Result<()> {
        // The current file first: if it is rotated now, it is found again among the archives and not read twice.
        let current = self.open_file(&self.path, None)?;
        let mut archives = self.archives()?;
        let mut missing = lines;
        if let Some(mut position) = current {
            if let Some(i) = archives.iter().position(|p| FileId::at(p) == Some(position.id)) {
                archives.truncate(i);
            }
            let size = position.file.metadata()?.size();
            let (start, found) = start_of_last(&position.file, size, missing)?;
            self.until = Some((position.id, size));
            position.at = start;
            position.archive = archives.last().cloned();
            self.position = Some(position);
            missing -= found;
        }
        while missing > 0
            && let Some(path) = archives.pop()
        {
            let Some(mut position) = self.open_file(&path, Some(path.clone()))? else { break };
            let size = position.file.metadata()?.size();
            let (start, found) = start_of_last(&position.file, size, missing)?;
            self.until = self.until.or(Some((position.id, size)));
            position.at = start;
            self.position = Some(position);
            missing -= found;
        }
        if lines == 0 && self.position.is_none() {
            // Nothing of the past is wanted, and the current file does not exist yet.
            if let Some(last) = archives.pop() {
                self.position = self.open_file(&last, Some(last.clone()))?;
                if let Some(position) = &mut self.position {
                    position.at = position.file.metadata()?.size();
                }
            }
        }
        self.done = !self.follow && self.position.is_none();
        Ok(())
    }

    /// The next lines; `None` = nothing for now (or, without follow, ever).
    pub(crate) fn next(&mut self) -> io::Result<Option<Chunk>> {
        loop {
            if self.done {
                return Ok(None);
            }
            // From here on every change wakes us, whatever the look at the file below misses.
            let writer = self.tail.borrow_and_update().writer;
            if self.position.is_none() {
                self.position = self.successor(None)?;
                if self.position.is_none() {
                    return Ok(None);
                }
            }
            if let Some(bytes) = self.lines()? {
                let missed = std::mem::take(&mut self.missed);
                return Ok(Some(Chunk { bytes, stream: self.stream, missed }));
            }
            if self.done {
                continue;
            }
            let Some(position) = &mut self.position else { continue };
            if !position.is_final {
                let here = Some(position.id);
                if writer == here || FileId::at(&self.path) == here {
                    return Ok(None);
                }
                // Read once more: what was appended between the last look and the writer's move.
                position.is_final = true;
                continue;
            }
            match self.successor(self.position.as_ref())? {
                Some(next) => {
                    let deleted = self.position.as_ref().is_some_and(|p| !is_linked(&p.file));
                    self.missed |= deleted;
                    self.position = Some(next);
                }
                None => return Ok(None),
            }
        }
    }

    /// The file that comes after `position` in the order of rotation.
    fn successor(&self, position: Option<&Position>) -> io::Result<Option<Position>> {
        let archives = self.archives()?;
        let known = position.and_then(|p| archives.iter().position(|a| FileId::at(a) == Some(p.id)));
        let next = match (known, position) {
            (Some(i), _) => archives.get(i + 1),
            // Deleted, or renamed by somebody else: the first one that was rotated after it was opened.
            (None, Some(p)) => archives.iter().find(|a| Some(*a) > p.archive.as_ref()),
            (None, None) => archives.first(),
        };
        match next {
            Some(path) => self.open_file(path, Some(path.clone())),
            None => self.open_file(&self.path, archives.last().cloned()),
        }
    }

    /// Whole lines from the position on; the last line of a file that has ended is whole as it is.
    fn lines(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(position) = &mut self.position else { return Ok(None) };
        let size = position.file.metadata()?.size();
        let stop = self.until.filter(|(id, _)| !self.follow && *id == position.id).map(|(_, end)| end);
        let end = stop.unwrap_or(size).min(size);
        if size < position.at {
            // Somebody emptied it.
            position.at = 0;
        }
        let mut bytes = Vec::new();
        loop {
            let left = usize::try_from(end.saturating_sub(position.at)).unwrap_or(usize::MAX);
            let filled = bytes.len();
            let more = CHUNK.min(left.saturating_sub(filled));
            if more == 0 {
                break;
            }
            bytes.resize(filled + more, 0);
            let offset = position.at + u64::try_from(filled).unwrap_or_default();
            let n = position.file.read_at(&mut bytes[filled..], offset)?;
            bytes.truncate(filled + n);
            if let Some(i) = memchr::memrchr(b'\n', &bytes) {
                bytes.truncate(i + 1);
                position.at += u64::try_from(i + 1).unwrap_or_default();
                return Ok(Some(bytes));
            }
            if n == 0 || bytes.len() >= LINE_MAX {
                break;
            }
        }
        let whole = position.is_final || stop.is_some() || bytes.len() >= LINE_MAX;
        if !bytes.is_empty() && whole {
            position.at += u64::try_from(bytes.len()).unwrap_or_default();
            bytes.push(b'\n');
            return Ok(Some(bytes));
        }
        self.done = stop.is_some();
        Ok(None)
    }
}

fn is_linked(file: &File) -> bool {
    file.metadata().is_ok_and(|m| m.nlink() > 0)
}
