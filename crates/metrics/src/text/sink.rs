//! Where the text goes: to one client piece by piece, or into memory as a whole; as it is, or compressed.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use tokio::sync::mpsc;

/// A part of an exposition.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) text: Bytes,
    /// Whether it is the end. An exposition that has none was not written to the end.
    pub(crate) last: bool,
}

/// The queue from who writes an exposition to who sends it. Its bound: the exposition itself, which is what a client that
/// reads slower than it is written has to wait for.
pub(crate) type Pieces = mpsc::UnboundedSender<Piece>;

/// What takes the text.
#[derive(Debug)]
pub(super) enum Sink {
    /// As it is.
    Plain(Outlet),
    /// Level 1: a seventh of the size for a tenth of the time of the default.
    Gzip(GzEncoder<Outlet>),
}

impl Sink {
    pub(super) fn new(outlet: Outlet, gzip: bool) -> Self {
        if gzip { Self::Gzip(GzEncoder::new(outlet, Compression::fast())) } else { Self::Plain(outlet) }
    }

    /// Takes all of it, and leaves an empty buffer.
    pub(super) fn take(&mut self, text: &mut Vec<u8>) {
        match self {
            Self::Plain(outlet) => outlet.take(text),
            Self::Gzip(encoder) => {
                encoder.write_all(text).expect("memory takes everything");
                text.clear();
            }
        }
    }

    /// This comes, and nothing more. What was written, unless it went to a client.
    pub(super) fn finish(self, text: Vec<u8>) -> Bytes {
        match self {
            Self::Plain(outlet) => outlet.finish(text),
            Self::Gzip(mut encoder) => {
                encoder.write_all(&text).expect("memory takes everything");
                encoder.finish().expect("memory takes everything").finish(Vec::new())
            }
        }
    }
}

/// The way out.
#[derive(Debug)]
pub(super) enum Outlet {
    /// All of it stays in memory.
    Whole(Vec<u8>),
    /// To a client.
    Pieces {
        to: Pieces,
        /// Gathers what comes in bits, as from the compressor.
        next: Vec<u8>,
        /// How much makes a piece.
        size: usize,
        spare: Spare,
    },
}

impl Outlet {
    pub(super) fn pieces(to: Pieces, size: usize) -> Self {
        Self::Pieces { to, next: Vec::new(), size, spare: Spare::default() }
    }

    /// All that is there, without copying it where it is a piece.
    fn take(&mut self, text: &mut Vec<u8>) {
        match self {
            Self::Whole(whole) => {
                whole.extend_from_slice(text);
                text.clear();
            }
            Self::Pieces { to, spare, .. } => {
                let capacity = text.capacity();
                send(to, spare.lend(std::mem::take(text)), false);
                *text = spare.take(capacity);
            }
        }
    }

    /// With this at the end.
    fn finish(self, mut text: Vec<u8>) -> Bytes {
        match self {
            Self::Whole(mut whole) => {
                whole.append(&mut text);
                whole.into()
            }
            Self::Pieces { to, mut next, .. } => {
                next.append(&mut text);
                send(&to, next.into(), true);
                Bytes::new()
            }
        }
    }
}

/// What a compressor does with it.
impl Write for Outlet {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        match self {
            Self::Whole(whole) => whole.extend_from_slice(text),
            Self::Pieces { to, next, size, spare } => {
                next.extend_from_slice(text);
                if next.len() >= *size {
                    send(to, spare.lend(std::mem::take(next)), false);
                    *next = spare.take(*size);
                }
            }
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client that has left has all it wants.
fn send(to: &Pieces, text: Bytes, last: bool) {
    drop(to.send(Piece { text, last }));
}

/// Buffers of one exposition that were sent. The next pieces are written into them: megabytes that are new at each scrape
/// would be a seventh of its time, for the kernel to clear their pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spare {
    fn take(&self, capacity: usize) -> Vec<u8> {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        sent.unwrap_or_else(|| Vec::with_capacity(capacity))
    }

    fn lend(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, home: self.clone() })
    }

    fn give_back(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// A buffer that comes back once it was sent.
struct Lent {
    buffer: Vec<u8>,
    home: Spare,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.home.give_back(buffer);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn unpacked(gzip: bool, bytes: &[u8]) -> Vec<u8> {
        if !gzip {
            return bytes.to_vec();
        }
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
        plain
    }

    /// Writes some megabytes, and calls between two parts.
    fn fill(mut sink: Sink, mut between: impl FnMut()) -> (Bytes, Vec<u8>) {
        let mut expected = Vec::new();
        let mut text = Vec::new();
        for n in 0..2000_u32 {
            // Not to be compressed to nothing.
            (0..512).for_each(|i| {
                text.extend(format!("{:08x}", (n * 512 + i).wrapping_mul(0x9e37_79b9)).bytes());
            });
            expected.extend_from_slice(&text);
            sink.take(&mut text);
            assert!(text.is_empty());
            between();
        }
        (sink.finish(Vec::new()), expected)
    }

    #[test]
    fn all_of_it_arrives_in_order() {
        for gzip in [false, true] {
            let (whole, expected) = fill(Sink::new(Outlet::Whole(Vec::new()), gzip), || {});
            assert!(unpacked(gzip, &whole) == expected, "gzip: {gzip}");

            let (to, mut from) = mpsc::unbounded_channel();
            let (whole, expected) = fill(Sink::new(Outlet::pieces(to, 4096), gzip), || {});
            assert!(whole.is_empty());
            let (mut pieces, mut ends) = (Vec::new(), Vec::new());
            while let Some(piece) = from.blocking_recv() {
                pieces.extend_from_slice(&piece.text);
                ends.push(piece.last);
            }
            assert!(unpacked(gzip, &pieces) == expected, "gzip: {gzip}");
            assert!(
                ends.len() > 10 && ends.iter().rposition(|last| !last) == Some(ends.len() - 2),
                "one end, at the end"
            );
        }
    }

    #[test]
    fn what_was_sent_is_written_into_again() {
        let (to, mut from) = mpsc::unbounded_channel();
        let sink = Sink::new(Outlet::pieces(to, 4096), false);
        let Sink::Plain(Outlet::Pieces { spare, .. }) = &sink else { unreachable!("it was made as that") };
        let spare = spare.clone();
        fill(sink, || drop(from.try_recv()));
        let buffers = spare.0.lock().unwrap().len();
        assert!(buffers <= 2, "{buffers} buffers, although the client was always quicker");
    }

    #[test]
    fn a_client_that_leaves_costs_nothing() {
        let (to, from) = mpsc::unbounded_channel();
        drop(from);
        let sink = Sink::new(Outlet::pieces(to, 4096), false);
        let Sink::Plain(Outlet::Pieces { spare, .. }) = &sink else { unreachable!("it was made as that") };
        let spare = spare.clone();
        fill(sink, || {});
        assert!(spare.0.lock().unwrap().len() <= 2);
    }
}
