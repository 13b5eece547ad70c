//! Where the text goes: into one block of memory as it is, or compressed.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use memmap2::{Advice, MmapMut};

/// What takes the text, piece by piece.
#[derive(Debug)]
pub(super) enum Sink {
    /// As it is.
    Plain(Block),
    /// Level 1: a seventh of the size for a tenth of the time of the default.
    Gzip(GzEncoder<Vec<u8>>),
}

impl Sink {
    /// Takes it as it is, with room for so many bytes.
    pub(super) fn plain(bytes: usize) -> Self {
        Self::Plain(Block::new(bytes))
    }

    /// Compresses it, with room for so many bytes of the result.
    pub(super) fn gzip(bytes: usize) -> Self {
        Self::Gzip(GzEncoder::new(Vec::with_capacity(bytes), Compression::fast()))
    }

    pub(super) fn take(&mut self, text: &[u8]) {
        match self {
            Self::Plain(block) => block.push(text),
            Self::Gzip(encoder) => encoder.write_all(text).expect("a Vec takes everything"),
        }
    }

    /// Forgets what came after so many bytes; `false` = it can't.
    #[must_use]
    pub(super) fn truncate(&mut self, length: usize) -> bool {
        match self {
            Self::Plain(block) => block.length = block.length.min(length),
            Self::Gzip(_) => return false,
        }
        true
    }

    pub(super) fn finish(self) -> Bytes {
        match self {
            Self::Plain(block) => block.finish(),
            Self::Gzip(encoder) => encoder.finish().expect("a Vec takes everything").into(),
        }
    }
}

/// Bytes in memory of their own, which is the system's again when the last client has them.
///
/// An exposition of thousands of processes is megabytes that are new at each scrape
/// ([ADR 0014](../../../../docs/adr/0014-memory.md)): so the kernel is asked for large pages. Getting 4 KiB at a time was a
/// seventh of a scrape.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Absent until something is written.
    map: Option<MmapMut>,
    length: usize,
}

/// A large page, on most machines. Smaller blocks are left as they are: they would only be more memory.
const LARGE: usize = 2 << 20;

impl Block {
    fn new(bytes: usize) -> Self {
        let map = (bytes > 0).then(|| map(bytes));
        Self { map, length: 0 }
    }

    fn push(&mut self, text: &[u8]) {
        let end = self.length + text.len();
        match &mut self.map {
            Some(map) if map.len() >= end => map[self.length..end].copy_from_slice(text),
            _ => {
                let mut larger = map(end + end / 2);
                larger[..self.length].copy_from_slice(&self[..]);
                larger[self.length..end].copy_from_slice(text);
                self.map = Some(larger);
            }
        }
        self.length = end;
    }

    fn finish(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl std::ops::Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], |map| &map[..self.length])
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Memory for at least so many bytes.
fn map(bytes: usize) -> MmapMut {
    let large = bytes > LARGE / 2;
    let length = if large { bytes.next_multiple_of(LARGE) } else { bytes.max(1) };
    let map = MmapMut::map_anon(length).expect("memory for an exposition, as from the allocator");
    if large {
        // A kernel without large pages refuses, and gives small ones.
        let _advised = map.advise(Advice::HugePage).is_ok();
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_grows_and_is_cut() {
        for room in [0, 10, 3 * LARGE] {
            let mut sink = Sink::plain(room);
            let mut expected = Vec::new();
            for n in 0..2000_u32 {
                let text = format!("{n:04096}");
                sink.take(text.as_bytes());
                expected.extend_from_slice(text.as_bytes());
            }
            assert!(sink.truncate(5_000_000));
            sink.take(b"end");
            expected.truncate(5_000_000);
            expected.extend_from_slice(b"end");
            assert!(sink.finish() == expected, "room for {room}");
        }
        assert!(Sink::plain(0).finish().is_empty());
    }
}
