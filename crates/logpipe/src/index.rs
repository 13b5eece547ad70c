//! The index beside a log file: when, by which run and to which stream each stretch of it was written.
//!
//! A raw log file has only what the process printed. So that it can still be read by time, run and stream, a small
//! file stands beside it (`.web.log.idx` for `web.log`), with one record for each stretch of bytes. It is a help and
//! never a condition: without it, or where it ends early, lines are read as ever and these three are unknown.
//!
//! Format, little-endian: a header of 32 bytes (magic, device and inode of the log file it belongs to, 0), then records
//! of 24 bytes (first byte of the stretch; microseconds since the epoch; run number << 1 | 1 for stderr). Offsets are
//! those of the uncompressed text, so that the index of an archive stays true when the archive is compressed. A record
//! may stand for a write that never came (a full disk, a crash): then the next one has the same offset and replaces it.
//! A torn record at the end is no record.
//!
//! Bound: lines of one stream and run within [`RESOLUTION`] share a record, so that a file grows by at most 2.4 kB/s of
//! index, and by 24 bytes for each line of a slow process.

mod writer;

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use model::{RunNumber, Stream, Wall};

use crate::place::FileId;

pub(crate) use writer::{Writer, give_up};

/// How exact the time of a line is.
pub(crate) const RESOLUTION: Duration = Duration::from_millis(10);

const MAGIC: &[u8; 8] = b"DDPMIDX1";
pub(crate) const HEADER: usize = 32;
pub(crate) const RECORD: usize = 24;

/// One stretch, up to the next record's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) offset: u64,
    /// When its first line was read; whole microseconds.
    pub(crate) at: Wall,
    pub(crate) run: RunNumber,
    pub(crate) stream: Stream,
}

impl Record {
    pub(crate) fn encode(&self) -> [u8; RECORD] {
        let run = self.run.0 << 1 | u64::from(self.stream == Stream::Stderr);
        let mut bytes = [0; RECORD];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&(self.at.0 / 1000).to_le_bytes());
        bytes[16..].copy_from_slice(&run.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let run = number(&bytes[16..]);
        Self {
            offset: number(bytes),
            at: Wall(number(&bytes[8..]).saturating_mul(1000)),
            run: RunNumber(run >> 1),
            stream: if run & 1 == 1 { Stream::Stderr } else { Stream::Stdout },
        }
    }

    /// Whether lines of this stream and run that come at this time need a record of their own.
    pub(crate) fn covers(&self, at: Wall, run: RunNumber, stream: Stream) -> bool {
        // A clock that was set back starts a new stretch as well.
        (self.run, self.stream) == (run, stream) && self.at <= at && at.since(self.at) < RESOLUTION
    }
}

fn number(bytes: &[u8]) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(number)
}

/// The name of the index of a log file or archive of this name.
pub(crate) fn name_of(file: &OsStr) -> OsString {
    let mut name = OsString::from(".");
    name.push(file);
    name.push(".idx");
    name
}

pub(crate) fn header(file: FileId) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&file.device.to_le_bytes());
    bytes[16..24].copy_from_slice(&file.inode.to_le_bytes());
    bytes
}

/// The file that an index belongs to (for an archive that was compressed: the file it was before); `None` = not an index.
pub(crate) fn owner(index: &[u8]) -> Option<FileId> {
    let header = index.get(..HEADER).filter(|h| h.starts_with(MAGIC))?;
    Some(FileId { device: number(&header[8..]), inode: number(&header[16..]) })
}

/// The records of an index, by offset. What can't be true (offsets that go back) is left out.
#[cfg_attr(not(test), expect(dead_code, reason = "its reader is being built"))]
pub(crate) fn records(index: &[u8]) -> Vec<Record> {
    let mut all: Vec<Record> = Vec::new();
    for record in index.get(HEADER..).unwrap_or_default().chunks_exact(RECORD).map(Record::decode) {
        while all.last().is_some_and(|last| last.offset >= record.offset) {
            all.pop();
        }
        all.push(record);
    }
    all
}

/// The record that covers an offset; `None` = unknown.
#[cfg_attr(not(test), expect(dead_code, reason = "its reader is being built"))]
pub(crate) fn at(records: &[Record], offset: u64) -> Option<&Record> {
    records[..records.partition_point(|r| r.offset <= offset)].last()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(offset: u64, at: u64, run: u64, stream: Stream) -> Record {
        Record { offset, at: Wall(at * 1000), run: RunNumber(run), stream }
    }

    #[test]
    fn what_is_written_is_read() {
        let file = FileId { device: 7, inode: u64::MAX };
        let mut bytes = header(file).to_vec();
        let all =
            [record(0, 5, 1, Stream::Stdout), record(80, u64::MAX / 1000, u64::MAX >> 1, Stream::Stderr)];
        all.iter().for_each(|r| bytes.extend_from_slice(&r.encode()));
        bytes.extend_from_slice(&[1; RECORD - 1]);
        assert_eq!((owner(&bytes), &*records(&bytes)), (Some(file), &all[..]));
        assert_eq!(owner(b"something else that is longer than a header"), None);
        assert_eq!((owner(b""), records(b"").len()), (None, 0));
    }

    #[test]
    fn a_line_belongs_to_the_last_record_before_it_and_a_repeated_offset_replaces() {
        let bytes = [
            record(10, 1, 1, Stream::Stdout),
            record(30, 2, 1, Stream::Stderr),
            record(30, 3, 2, Stream::Stdout),
        ];
        let index: Vec<u8> = header(FileId { device: 0, inode: 0 })
            .into_iter()
            .chain(bytes.iter().flat_map(Record::encode))
            .collect();
        let all = records(&index);
        let run_at = |offset| at(&all, offset).map(|r| (r.run.0, r.at.0));
        assert_eq!(
            (run_at(9), run_at(10), run_at(29), run_at(30)),
            (None, Some((1, 1000)), Some((1, 1000)), Some((2, 3000)))
        );
    }

    #[test]
    fn a_record_covers_its_own_stream_and_run_for_a_moment() {
        let one = record(0, 1_000_000, 3, Stream::Stdout);
        let at = |micros: u64| Wall(micros * 1000);
        assert!(one.covers(at(1_009_999), RunNumber(3), Stream::Stdout));
        assert!(!one.covers(at(1_010_000), RunNumber(3), Stream::Stdout));
        assert!(!one.covers(at(999_999), RunNumber(3), Stream::Stdout));
        assert!(!one.covers(at(1_000_000), RunNumber(4), Stream::Stdout));
        assert!(!one.covers(at(1_000_000), RunNumber(3), Stream::Stderr));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), offset in any::<u64>()) {
            let all = records(&bytes);
            prop_assert!(all.is_sorted_by(|a, b| a.offset < b.offset));
            at(&all, offset);
            owner(&bytes);
        }
    }
}
