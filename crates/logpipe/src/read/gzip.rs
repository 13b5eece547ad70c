//! A compressed file as a text that is read forward, at offsets.
//!
//! Bound: what was asked for last is held in plain, since a decompressor can't go back and a reader asks again for a line
//! that was not whole: at most one block or line.

use std::fs::File;
use std::io::{self, Read, Seek};

use flate2::read::MultiGzDecoder;

/// Bytes that are passed over at once.
const STEP: usize = 64 << 10;

/// A compressed text, read forward.
pub(crate) struct Gzip {
    decoder: MultiGzDecoder<File>,
    /// Text that was decoded and may be asked for again, and its offset.
    held: Vec<u8>,
    start: u64,
    /// It ended with an error instead of an end.
    broken: bool,
}

impl std::fmt::Debug for Gzip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gzip").field("start", &self.start).finish_non_exhaustive()
    }
}

impl Gzip {
    /// The text of this file.
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        Ok(Self { decoder: MultiGzDecoder::new(file), held: Vec::new(), start: 0, broken: false })
    }

    /// It ended with an error instead of an end: what is wrong is in the file. What came before it is text all the same.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Fills `bytes` with the text from an offset on; less only at the end. Going back starts anew.
    pub(crate) fn read_at(&mut self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.start {
            *self = Self::new(file)?;
        }
        let behind = usize::try_from(offset - self.start).unwrap_or(usize::MAX).min(self.held.len());
        self.held.drain(..behind);
        self.start += behind as u64;
        while self.start < offset {
            let ahead = usize::try_from(offset - self.start).unwrap_or(usize::MAX).min(STEP);
            self.held.resize(ahead, 0);
            let n = read(&mut self.decoder, &mut self.held);
            self.held.clear();
            match n {
                Ok(0) => return Ok(0),
                Ok(n) => self.start += n as u64,
                Err(e) if damage(&e) => {
                    self.broken = true;
                    return Ok(0);
                }
                Err(e) => return Err(e),
            }
        }
        let mut filled = self.held.len();
        if filled < bytes.len() {
            self.held.resize(bytes.len(), 0);
            while filled < bytes.len() {
                match read(&mut self.decoder, &mut self.held[filled..]) {
                    Ok(0) => break,
                    Ok(n) => filled += n,
                    Err(e) if damage(&e) => {
                        self.broken = true;
                        break;
                    }
                    Err(e) => {
                        self.held.truncate(filled);
                        return Err(e);
                    }
                }
            }
            self.held.truncate(filled);
        }
        let n = filled.min(bytes.len());
        bytes[..n].copy_from_slice(&self.held[..n]);
        Ok(n)
    }
}

fn read(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(bytes) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// What is wrong is in the file and not with the disk.
fn damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}
