//! Bytes into lines, in place: pure, no I/O, no allocation per line.
//!
//! A stream's chunk goes in as `carry ++ new bytes`. Out come runs of whole lines (the common case: one run for the
//! whole chunk, found by two searches, with no work per line) and single lines that were cut at `max_line`.

use memchr::{memchr, memchr_iter, memrchr};

/// What a chunk consists of, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// One or more whole lines, each with its newline and at most `max_line` bytes before it.
    Whole {
        /// The lines.
        bytes: &'a [u8],
        /// How many.
        lines: u64,
    },
    /// One line without its newline: too long (`cut` > 0 bytes are missing at its end) or the last one of the stream.
    Single {
        /// What is left of it.
        head: &'a [u8],
        /// Bytes cut off.
        cut: u64,
    },
}

/// The state between two chunks of one stream: the start of a line whose end has not come yet.
///
/// Holds at most `max_line` bytes, allocated exactly and only while there is a partial line.
#[derive(Debug, Default)]
pub struct Framer {
    carry: Vec<u8>,
    /// Bytes of the partial line that came after `max_line` and were not kept.
    cut: u64,
}

fn count(bytes: &[u8]) -> u64 {
    len(memchr_iter(b'\n', bytes).count())
}

fn len(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl Framer {
    /// What the caller has to put in front of the next bytes it reads.
    #[must_use]
    pub fn carry(&self) -> &[u8] {
        &self.carry
    }

    /// Takes `data`, which starts with [`carry`](Self::carry), and hands out every line that ends in it.
    pub fn feed<'a>(&mut self, data: &'a [u8], max_line: usize, mut out: impl FnMut(Piece<'a>)) {
        let mut rest = data;
        if self.cut > 0 {
            // In the middle of an over-long line: `carry` is its head, everything up to its newline is missing.
            let (head, fresh) = data.split_at(self.carry.len());
            match memchr(b'\n', fresh) {
                None => {
                    self.cut += len(fresh.len());
                    return;
                }
                Some(i) => {
                    out(Piece::Single { head, cut: self.cut + len(i) });
                    self.cut = 0;
                    self.carry = Vec::new();
                    rest = &fresh[i + 1..];
                }
            }
        }
        // What is in `carry` was searched when it came: a long line is not searched again with each chunk.
        let searched = self.carry.len();
        let Some(last) = memrchr(b'\n', &rest[searched..]) else {
            self.keep(rest, max_line);
            return;
        };
        let (mut block, tail) = rest.split_at(searched + last + 1);
        while !block.is_empty() {
            let (run, over_long) = block.split_at(short_lines(block, max_line));
            if !run.is_empty() {
                out(Piece::Whole { bytes: run, lines: count(run) });
            }
            let newline = memchr(b'\n', over_long).unwrap_or(0);
            if over_long.is_empty() {
                break;
            }
            out(Piece::Single { head: &over_long[..max_line], cut: len(newline - max_line) });
            block = &over_long[newline + 1..];
        }
        self.carry = Vec::new();
        self.keep(tail, max_line);
    }

    /// The start of a line, of which `carry` has some already.
    fn keep(&mut self, start: &[u8], max_line: usize) {
        let kept = start.len().min(max_line);
        self.cut = len(start.len() - kept);
        self.carry.truncate(kept);
        self.carry.reserve_exact(kept - self.carry.len());
        self.carry.extend_from_slice(&start[self.carry.len()..kept]);
    }

    /// The stream has ended: the last line has no newline, or there is none.
    pub fn finish(&mut self, out: impl FnOnce(Piece<'_>)) {
        let (head, cut) = (std::mem::take(&mut self.carry), std::mem::take(&mut self.cut));
        if !head.is_empty() || cut > 0 {
            out(Piece::Single { head: &head, cut });
        }
    }
}

/// Length of the longest prefix of `block` (which ends with a newline) whose lines all fit into `max_line`.
///
/// Jumps by whole windows, so that it looks at about one line per `max_line` bytes and not at each.
fn short_lines(block: &[u8], max_line: usize) -> usize {
    let mut at = 0;
    while block.len() - at > max_line + 1 {
        match memrchr(b'\n', &block[at..=at + max_line]) {
            Some(i) => at += i + 1,
            None => return at,
        }
    }
    block.len()
}

/// The lines of a run, without their newlines.
pub fn lines(run: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b'\n', run).map(move |end| {
        let line = &run[start..end];
        start = end + 1;
        line
    })
}

/// Appended to a line that was cut, in every sink.
pub(crate) fn mark(cut: u64) -> String {
    format!(" [… {cut} bytes cut]")
}

#[cfg(test)]
mod tests;
