//! The index beside a log file as a reader uses it: what is known of the bytes at an offset.
//!
//! Bound: one block of records is held, 12 KiB; an index may be larger than memory. It grows under the reader. Whatever
//! is wrong with it (gone, torn, another file's) only means that less is known.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::index::{HEADER, RECORD, Record, name_of, owner};
use crate::place::{self, FileId};

/// Records held at a time.
const BLOCK: u64 = 512;

/// An open index.
#[derive(Debug)]
pub(crate) struct Stretches {
    file: File,
    owner: FileId,
    /// Whole records in the file when it was last looked at.
    count: u64,
    block: Vec<Record>,
    /// Number of the first record in `block`.
    first: u64,
    /// Where the last search ended: reading goes forward, so that the next one ends there or one further.
    here: u64,
    /// Microseconds of the first record; `None` = it has no record.
    born: Option<u64>,
}

impl Stretches {
    /// The index of a log file or archive of this name (without `.gz`); `None` = there is none that can be used.
    pub(crate) fn open(log: &Path, base: &Path) -> Option<Self> {
        let (dir, name) = place::split(log).ok()?;
        let file = place::open_to_read(&dir.join(name_of(name)), base).ok()?;
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0).ok()?;
        let owner = owner(&header)?;
        let mut index = Self { file, owner, count: 0, block: Vec::new(), first: 0, here: 0, born: None };
        index.refresh();
        Some(index)
    }

    /// The file that it belongs to.
    pub(crate) fn owner(&self) -> FileId {
        self.owner
    }

    /// Microseconds of the first record; `None` = it has no record yet.
    pub(crate) fn born(&self) -> Option<u64> {
        self.born
    }

    /// Looks for records that were added. Records are written before the text that they describe: after a look at the
    /// text's size, this finds all that it needs.
    pub(crate) fn refresh(&mut self) {
        let size = self.file.metadata().map_or(0, |meta| meta.size());
        let count = size.saturating_sub(HEADER as u64) / RECORD as u64;
        if count != self.count {
            self.count = count;
            // Its last block may have been short.
            self.block.clear();
        }
        if self.born.is_none() {
            self.born = self.get(0).map(|record| record.at.0 / 1000);
        }
    }

    /// The record that covers an offset, and the offset at which the next one begins.
    pub(crate) fn find(&mut self, offset: u64) -> (Option<Record>, Option<u64>) {
        let after = [self.here, self.here + 1]
            .into_iter()
            .find(|n| self.splits(*n, offset))
            .unwrap_or_else(|| self.search(offset));
        self.here = after;
        let record = after.checked_sub(1).and_then(|n| self.get(n));
        // Offsets that go back (somebody emptied the file) must not make a reader stand still.
        (record, self.get(after).map(|next| next.offset).filter(|next| *next > offset))
    }

    /// Whether the records before the `n`th begin at or before this offset, and the others after it.
    fn splits(&mut self, n: u64, offset: u64) -> bool {
        n <= self.count
            && (n == 0 || self.get(n - 1).is_some_and(|r| r.offset <= offset))
            && (n == self.count || self.get(n).is_some_and(|r| r.offset > offset))
    }

    fn search(&mut self, offset: u64) -> u64 {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|r| r.offset <= offset) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn get(&mut self, n: u64) -> Option<Record> {
        let held = self.first..self.first + self.block.len() as u64;
        if !held.contains(&n) {
            if n >= self.count {
                return None;
            }
            self.first = n / BLOCK * BLOCK;
            let records = usize::try_from(BLOCK.min(self.count - self.first)).ok()?;
            let mut bytes = vec![0; records * RECORD];
            self.block.clear();
            self.file.read_exact_at(&mut bytes, HEADER as u64 + self.first * RECORD as u64).ok()?;
            self.block.extend(bytes.chunks_exact(RECORD).map(Record::decode));
        }
        self.block.get(usize::try_from(n - self.first).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use model::{RunNumber, Stream, Wall};
    use proptest::prelude::*;

    use super::*;
    use crate::index::{at, header, records};

    fn index(bytes: &[u8]) -> (tempfile::TempDir, Stretches) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".web.log.idx"), bytes).unwrap();
        let index = Stretches::open(&dir.path().join("web.log"), dir.path()).unwrap();
        (dir, index)
    }

    fn record(offset: u64, run: u64) -> Record {
        Record { offset, at: Wall(run * 1000), run: RunNumber(run), stream: Stream::Stderr }
    }

    proptest! {
        #[test]
        fn any_order_of_questions_finds_what_the_whole_index_says(
            steps in prop::collection::vec(0u64..3, 0..1200),
            questions in prop::collection::vec(0u64..2400, 1..40),
        ) {
            let mut offset = 0;
            let mut bytes = header(FileId { device: 1, inode: 2 }).to_vec();
            for (run, step) in (1..).zip(&steps) {
                offset += step;
                bytes.extend_from_slice(&record(offset, run).encode());
            }
            // A torn record at the end is none.
            bytes.extend_from_slice(&[9; 5]);
            let all = records(&bytes);
            let (_dir, mut index) = index(&bytes);
            let next = |offset: u64| all.iter().map(|r| r.offset).find(|o| *o > offset);
            for question in questions.into_iter().chain(0..100) {
                prop_assert_eq!(index.find(question), (at(&all, question).copied(), next(question)));
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), offset: u64) {
            let mut all = header(FileId { device: 1, inode: 2 }).to_vec();
            all.extend_from_slice(&bytes);
            let (_dir, mut index) = index(&all);
            let (_, next) = index.find(offset);
            prop_assert!(next.is_none_or(|next| next > offset));
        }
    }

    #[test]
    fn it_grows_under_the_reader() {
        let owner = FileId { device: 1, inode: 2 };
        let (dir, mut index) = index(&header(owner));
        assert_eq!((index.owner(), index.born(), index.find(7)), (owner, None, (None, None)));
        let mut file = File::options().append(true).open(dir.path().join(".web.log.idx")).unwrap();
        for i in 1..1000 {
            file.write_all(&record(10 * i, i).encode()).unwrap();
            index.refresh();
            assert_eq!(index.find(10 * i), (Some(record(10 * i, i)), None));
        }
        assert_eq!((index.born(), index.find(25)), (Some(1), (Some(record(20, 2)), Some(30))));
    }

    #[test]
    fn what_is_no_index_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("web.log");
        assert!(Stretches::open(&log, dir.path()).is_none());
        for bad in [&b""[..], &[0; 31], &[1; 500]] {
            std::fs::write(dir.path().join(".web.log.idx"), bad).unwrap();
            assert!(Stretches::open(&log, dir.path()).is_none());
        }
    }
}
