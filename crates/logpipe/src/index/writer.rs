//! Writing an index: each record before the text that it describes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use model::{RunNumber, Stream, Wall};
use nix::fcntl::OFlag;

use super::{HEADER, RECORD, Record, header, name_of, owner};
use crate::disk::Disk;
use crate::place::{self, FileId};

/// The open index of the open log file.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    /// What counts of it; more is a record that was cut short.
    len: u64,
    torn: bool,
    /// The last record of this daemon's.
    last: Option<Record>,
}

fn bytes(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl Writer {
    /// Opens the index of the log file at `path`, which is `log` and has `size` bytes, or makes it anew when what is there
    /// belongs to another file. Tells also when the first line was read, if the index knows that.
    pub(crate) fn open(
        path: &Path,
        base: &Path,
        log: FileId,
        size: u64,
        disk: &mut dyn Disk,
    ) -> io::Result<(Self, Option<Wall>)> {
        let (dir, name) = place::split(path)?;
        let (dir, name) = (place::open_dir(dir, base)?, name_of(name));
        if size > 0
            && let Ok(file) = place::open_own(&dir, &name, OFlag::O_RDWR | OFlag::O_APPEND)
            && let Ok(Some(known)) = Self::resume(file, log, size)
        {
            return Ok(known);
        }
        place::remove(&dir, &name)?;
        let file = place::create(&dir, &name, place::FILE_MODE)?;
        let mut index = Self { file, len: 0, torn: false, last: None };
        index.write(&header(log), disk)?;
        Ok((index, None))
    }

    /// `None` = it belongs to another file, or to one that has since been emptied.
    fn resume(file: File, log: FileId, size: u64) -> io::Result<Option<(Self, Option<Wall>)>> {
        let mut head = [0; HEADER];
        file.read_exact_at(&mut head, 0)?;
        if owner(&head) != Some(log) {
            return Ok(None);
        }
        let (header, record) = (bytes(HEADER), bytes(RECORD));
        let there = file.metadata()?.len();
        let records = (there - header) / record;
        let nth = |n: u64| -> io::Result<Record> {
            let mut bytes = [0; RECORD];
            file.read_exact_at(&mut bytes, header + n * record)?;
            Ok(Record::decode(&bytes))
        };
        let (first, last) = match records {
            0 => (None, None),
            n => (Some(nth(0)?), Some(nth(n - 1)?)),
        };
        if last.is_some_and(|last| last.offset > size) {
            return Ok(None);
        }
        let len = header + records * record;
        // Runs are counted anew by each daemon: no record of an earlier one covers a line of this one.
        let index = Self { file, len, torn: there > len, last: None };
        Ok(Some((index, first.filter(|r| r.offset == 0).map(|r| r.at))))
    }

    /// Lines that are written at `offset` from now on are these. Writes nothing when the last record says so.
    pub(crate) fn note(
        &mut self,
        offset: u64,
        at: Wall,
        run: RunNumber,
        stream: Stream,
        disk: &mut dyn Disk,
    ) -> io::Result<()> {
        // Beyond the offset: somebody has emptied the file.
        if self.last.is_some_and(|last| last.offset <= offset && last.covers(at, run, stream)) {
            return Ok(());
        }
        let record = Record { offset, at, run, stream };
        self.write(&record.encode(), disk)?;
        self.last = Some(record);
        Ok(())
    }

    fn write(&mut self, entry: &[u8], disk: &mut dyn Disk) -> io::Result<()> {
        if self.torn {
            // What follows half a record could not be read.
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        let n = disk.write_index(&self.file, entry)?;
        self.torn = n > 0 && n < entry.len();
        if n < entry.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.len += bytes(n);
        Ok(())
    }
}

/// Deletes the index of the log file at `path`: it would be wrong from now on.
pub(crate) fn give_up(path: &Path, base: &Path) -> io::Result<()> {
    let (dir, name) = place::split(path)?;
    place::remove(&place::open_dir(dir, base)?, &name_of(name))
}
