//! One file of the chain as a reader sees it: its text, plain or compressed, cut into pieces of which the same is known.
//!
//! Bounds: a block of text is 64 KiB, or one line of up to [`LINE_MAX`]; a compressed
//! file holds as much again ([`Gzip`]). Nothing is ever read whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use memchr::{memchr, memchr_iter, memrchr};
use model::Stream;

use super::cursor::Mark;
use super::filter::{Facts, Filter, Verdict};
use super::gzip::Gzip;
use super::stretches::Stretches;
use crate::place::{self, FileId};

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64 << 10;
/// A line that is longer comes in pieces; larger than any `max_line` that makes sense.
const LINE_MAX: usize = 4 << 20;

/// The path of an archive before it was compressed: archives sort by it, and their index is named after it.
pub(crate) fn plain_name(path: &Path) -> PathBuf {
    match path.extension() {
        Some(extension) if extension == "gz" => path.with_extension(""),
        _ => path.to_owned(),
    }
}

/// What an archive of this name is called once it is compressed.
pub(crate) fn compressed_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

/// Some whole lines of one stretch.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    pub(crate) facts: Facts,
    /// Where the reader stands after it.
    pub(crate) end: u64,
}

/// How lines are picked from a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Picking<'a> {
    pub(crate) filter: &'a Filter,
    /// The stream, where the file has only one.
    pub(crate) stream: Option<Stream>,
    /// Nothing from this offset on.
    pub(crate) stop: Option<u64>,
    /// Each line is a piece.
    pub(crate) single: bool,
}

/// An open file of the chain.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Its name when it was opened, without `.gz`.
    name: PathBuf,
    file: File,
    gzip: Option<Gzip>,
    /// Of the file that it was before it was compressed, where the index knows that.
    pub(crate) id: FileId,
    index: Option<Stretches>,
    /// The file's size when the index was last looked for in vain.
    looked: Option<u64>,
    /// The next byte to look at.
    pub(crate) at: u64,
    /// The writer has left it: its end is its end.
    pub(crate) is_final: bool,
    /// It has nothing more for this reader, although its end is not known (a compressed file).
    spent: bool,
    /// Lines were left out of which something that the filter asks for is not known.
    pub(crate) left_out: bool,
}

impl Segment {
    /// Opens it; `None` = there is no such file.
    pub(crate) fn open(path: &Path, base: &Path) -> io::Result<Option<Self>> {
        let file = match place::open_to_read(path, base) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let name = plain_name(path);
        let gzip = (name != path).then(|| Gzip::new(&file)).transpose()?;
        let mut segment = Self {
            id: FileId::of(&file.metadata()?),
            name,
            file,
            is_final: gzip.is_some(),
            gzip,
            index: None,
            looked: None,
            at: 0,
            spent: false,
            left_out: false,
        };
        segment.find_index(base);
        Ok(Some(segment))
    }

    /// Takes the index beside it, when it is its own. The index of a compressed file says whose it was.
    fn find_index(&mut self, base: &Path) {
        self.index = Stretches::open(&self.name, base);
        match &self.index {
            Some(index) if self.gzip.is_some() => self.id = index.owner(),
            Some(index) if index.owner() != self.id => self.index = None,
            _ => {}
        }
    }

    /// Looks for what has come to the index, or for an index that has come since the file had another size than this.
    /// It may have been renamed meanwhile along with its file, to `archive`.
    pub(crate) fn refresh_index(
        &mut self,
        base: &Path,
        size: u64,
        archive: impl FnOnce() -> Option<PathBuf>,
    ) {
        if let Some(index) = &mut self.index {
            return index.refresh();
        }
        if self.looked.replace(size) == Some(size) {
            return;
        }
        self.find_index(base);
        if self.index.is_none()
            && let Some(path) = archive()
        {
            self.index = Stretches::open(&plain_name(&path), base).filter(|index| index.owner() == self.id);
        }
    }

    /// Whether this archive holds what this file holds: it is it, or it is what became of it.
    pub(crate) fn is_at(&self, archive: &Path, base: &Path) -> bool {
        if FileId::at(archive) == Some(self.id) {
            return true;
        }
        let name = plain_name(archive);
        if name == archive {
            return false;
        }
        let theirs = Stretches::open(&name, base);
        if theirs.as_ref().is_some_and(|index| index.owner() != self.id) {
            return false;
        }
        let born = |index: &Option<Stretches>| index.as_ref().and_then(Stretches::born);
        if let (Some(ours), Some(theirs)) = (born(&self.index), born(&theirs)) {
            return ours == theirs;
        }
        // Without an index only the time is left: an archive keeps that of the file that it was made from.
        let modified = |meta: std::fs::Metadata| (meta.mtime(), meta.mtime_nsec());
        let theirs = std::fs::symlink_metadata(archive).map(modified);
        matches!((theirs, self.file.metadata().map(modified)), (Ok(a), Ok(b)) if a == b)
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() > 0)
    }

    /// A place in it.
    pub(crate) fn mark(&self, offset: u64) -> Mark {
        let born = self.index.as_ref().and_then(Stretches::born).unwrap_or_else(|| self.made());
        Mark { file: self.id, born, offset }
    }

    /// Whether the mark was made in this file, and not in an earlier one that had the same inode.
    pub(crate) fn has(&self, mark: &Mark) -> bool {
        let born = self.index.as_ref().and_then(Stretches::born);
        let same_birth = mark.born == 0 || born == Some(mark.born) || self.made() == mark.born;
        self.id == mark.file && same_birth && self.size().is_ok_and(|size| size >= mark.offset)
    }

    /// When the file was made, in microseconds; 0 where the file system doesn't know.
    fn made(&self) -> u64 {
        let made = self.file.metadata().and_then(|meta| meta.created()).unwrap_or(UNIX_EPOCH);
        let since = made.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or_default()
    }

    /// Bytes of text; of a compressed file, where nobody knows, `u64::MAX`.
    pub(crate) fn size(&self) -> io::Result<u64> {
        if self.gzip.is_some() { Ok(u64::MAX) } else { Ok(self.file.metadata()?.size()) }
    }

    /// Where the text can be looked at from the end: only that of a plain file.
    pub(crate) fn plain(&self) -> Option<&File> {
        self.gzip.is_none().then_some(&self.file)
    }

    /// Nothing in it was written at this time or later.
    pub(crate) fn ends_before(&self, time: SystemTime) -> bool {
        self.file.metadata().and_then(|meta| meta.modified()).is_ok_and(|modified| modified < time)
    }

    pub(crate) fn has_index(&self) -> bool {
        self.index.is_some()
    }

    /// It could not be decompressed to its end.
    pub(crate) fn is_damaged(&self) -> bool {
        self.gzip.as_ref().is_some_and(Gzip::is_broken)
    }

    /// Back to its start.
    pub(crate) fn rewind(&mut self) {
        self.at = 0;
        self.spent = false;
    }

    /// To its end: nothing of it is wanted.
    pub(crate) fn skip(&mut self) -> io::Result<()> {
        match self.plain() {
            Some(_) => self.at = self.size()?,
            None => self.spent = true,
        }
        Ok(())
    }

    /// The wanted lines of the next block; `None` = there is nothing more for now. The caller has called
    /// [`refresh_index`](Self::refresh_index) after it last learned that the file grew.
    pub(crate) fn pieces(&mut self, picking: Picking<'_>, size: u64) -> io::Result<Option<Vec<Piece>>> {
        if self.spent {
            return Ok(None);
        }
        if size < self.at {
            // Somebody emptied it.
            self.at = 0;
        }
        let end = picking.stop.unwrap_or(size).min(size);
        if picking.filter.asks_facts() {
            self.pass_over(picking, end);
            if self.spent {
                return Ok(None);
            }
        }
        let cut_off = self.is_final || picking.stop.is_some();
        let Some((mut bytes, taken)) = self.block(end, cut_off)? else { return Ok(None) };
        let start = self.at;
        let mut pieces = Vec::new();
        let mut from = 0;
        while from < bytes.len() {
            let offset = start + from as u64;
            let (facts, next) = self.facts(offset, picking.stream);
            let whole = |next: u64| {
                let to = usize::try_from(next - start).unwrap_or(usize::MAX).min(bytes.len());
                // A stretch ends with a line; if its index says otherwise, the line counts.
                let rest = if bytes[to - 1] == b'\n' { None } else { memchr(b'\n', &bytes[to..]) };
                rest.map_or(to, |i| to + i + 1)
            };
            let to = next.map_or(bytes.len(), whole);
            let end = (start + to as u64).min(start + taken);
            match picking.filter.judge(facts) {
                Verdict::Wanted if from == 0 && to == bytes.len() && takes_all(picking) => {
                    pieces.push(Piece { bytes: std::mem::take(&mut bytes), facts, end });
                    break;
                }
                Verdict::Wanted => pick(&bytes[from..to], facts, offset..end, picking, &mut pieces),
                Verdict::Unwanted => {}
                Verdict::Unknown => self.left_out = true,
            }
            from = to;
        }
        self.at = start + taken;
        Ok(Some(pieces))
    }

    /// Goes on to the first stretch that is wanted, without reading what is not.
    fn pass_over(&mut self, picking: Picking<'_>, end: u64) {
        while self.at < end {
            let (facts, next) = self.facts(self.at, picking.stream);
            match picking.filter.judge(facts) {
                Verdict::Wanted => return,
                Verdict::Unwanted => {}
                Verdict::Unknown => self.left_out = true,
            }
            match next {
                Some(next) if next <= end => self.at = next,
                _ if self.gzip.is_some() => {
                    self.spent = true;
                    return;
                }
                _ => self.at = end,
            }
        }
    }

    fn facts(&mut self, offset: u64, stream: Option<Stream>) -> (Facts, Option<u64>) {
        let (record, next) = self.index.as_mut().map_or((None, None), |index| index.find(offset));
        let facts = Facts {
            stream: record.map(|r| r.stream).or(stream),
            run: record.map(|r| r.run),
            at: record.map(|r| r.at),
        };
        (facts, next)
    }

    /// Whole lines from here on, and how many bytes of the file they are. The last line of a file that has ended is
    /// whole as it is, and gets its newline.
    fn block(&mut self, end: u64, cut_off: bool) -> io::Result<Option<(Vec<u8>, u64)>> {
        let left = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let mut wanted = BLOCK;
        loop {
            let mut bytes = vec![0; wanted.min(left)];
            let n = self.read_at(&mut bytes)?;
            bytes.truncate(n);
            if let Some(i) = memrchr(b'\n', &bytes) {
                bytes.truncate(i + 1);
                return Ok(Some((bytes, i as u64 + 1)));
            }
            let no_more = n < wanted;
            if n >= LINE_MAX || (no_more && cut_off && n > 0) {
                bytes.push(b'\n');
                return Ok(Some((bytes, n as u64)));
            }
            if no_more {
                return Ok(None);
            }
            wanted *= 4;
        }
    }

    /// Fills `bytes` from here on; less only at the end.
    fn read_at(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(gzip) = &mut self.gzip else {
            let mut n = 0;
            while n < bytes.len() {
                match self.file.read_at(&mut bytes[n..], self.at + n as u64) {
                    Ok(0) => break,
                    Ok(more) => n += more,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            return Ok(n);
        };
        gzip.read_at(&self.file, bytes, self.at)
    }
}

/// Whether a wanted block goes out as it is.
fn takes_all(picking: Picking<'_>) -> bool {
    picking.filter.grep.is_none() && !picking.single
}

/// Adds what of a stretch matches.
fn pick(
    text: &[u8],
    facts: Facts,
    range: std::ops::Range<u64>,
    picking: Picking<'_>,
    pieces: &mut Vec<Piece>,
) {
    if takes_all(picking) {
        return pieces.push(Piece { bytes: text.to_vec(), facts, end: range.end });
    }
    let matches = |line: &[u8]| picking.filter.grep.as_ref().is_none_or(|pattern| pattern.fits(line));
    let mut together = Vec::new();
    let mut from = 0;
    for i in memchr_iter(b'\n', text) {
        let line = &text[from..=i];
        from = i + 1;
        if !matches(line) {
        } else if picking.single {
            // A newline that was added at the end of the file is no byte of it.
            let end = (range.start + from as u64).min(range.end);
            pieces.push(Piece { bytes: line.to_vec(), facts, end });
        } else {
            together.extend_from_slice(line);
        }
    }
    if !together.is_empty() {
        pieces.push(Piece { bytes: together, facts, end: range.end });
    }
}
