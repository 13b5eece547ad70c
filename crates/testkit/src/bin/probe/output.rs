//! Writing to one of the two streams.

use std::io::{self, BufWriter, Read as _, Write};
use std::time::Duration;

use crate::step::Stream;

/// Bytes collected for one write(2) when lines are not paced.
const BATCH: usize = 64 * 1024;

/// Where the steps print.
#[derive(Debug)]
pub(crate) struct Output {
    stream: Stream,
    printed: u64,
    pub(crate) width: usize,
    pub(crate) pause: Duration,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self { stream: Stream::Stdout, printed: 0, width: 11, pause: Duration::ZERO }
    }

    pub(crate) fn switch(&mut self, stream: Stream) {
        self.stream = stream;
    }

    /// Writes past any buffer: what a step has printed has been printed.
    pub(crate) fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        match self.stream {
            Stream::Stdout => {
                // The standard library keeps an incomplete line back until it is flushed.
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Stream::Stderr => io::stderr().lock().write_all(bytes),
        }
    }

    /// A message on standard error, which may be gone.
    pub(crate) fn complain(&self, text: &str) {
        drop(writeln!(io::stderr(), "{text}"));
    }

    /// `line 000001`, `line 000002`, ... filled up to the width. The numbers go on from step to step.
    pub(crate) fn numbered(&mut self, count: u64) -> io::Result<()> {
        let batch = if self.pause.is_zero() { BATCH } else { 0 };
        let fill = "x".repeat(self.width.saturating_sub(12));
        let mut buffer = BufWriter::with_capacity(batch, Raw(self.stream));
        for _ in 0..count {
            self.printed += 1;
            let number = self.printed;
            if fill.is_empty() {
                writeln!(buffer, "line {number:06}")?;
            } else {
                writeln!(buffer, "line {number:06} {fill}")?;
            }
            if !self.pause.is_zero() {
                buffer.flush()?;
                std::thread::sleep(self.pause);
            }
        }
        buffer.flush()
    }

    /// Equal lines, many in one write(2), so that whoever measures a reader measures the reader.
    pub(crate) fn same(&self, count: u64) -> io::Result<()> {
        let line = [vec![b'x'; self.width], vec![b'\n']].concat();
        let batch = BATCH / line.len() + 1;
        let block = line.repeat(batch);
        let mut left = usize::try_from(count).map_err(io::Error::other)?;
        while left > 0 {
            let now = left.min(batch);
            Raw(self.stream).write_all(&block[..now * line.len()])?;
            left -= now;
        }
        Ok(())
    }

    /// One line of `bytes` bytes and its newline.
    pub(crate) fn long(&self, bytes: usize) -> io::Result<()> {
        let mut line = vec![b'x'; bytes];
        line.push(b'\n');
        self.raw(&line)
    }

    /// Bytes of every value in an order that looks random and is the same each time.
    pub(crate) fn garbage(&self, bytes: usize) -> io::Result<()> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let noise = std::iter::repeat_with(|| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        });
        self.raw(&noise.take(bytes).collect::<Vec<u8>>())
    }

    pub(crate) fn close(&self) -> io::Result<()> {
        Ok(nix::unistd::close(match self.stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        })?)
    }

    pub(crate) fn copy_stdin(&self) -> io::Result<()> {
        let mut buffer = vec![0; BATCH];
        loop {
            match io::stdin().lock().read(&mut buffer)? {
                0 => return Ok(()),
                count => self.raw(&buffer[..count])?,
            }
        }
    }
}

/// The stream as a writer without a buffer of its own.
struct Raw(Stream);

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use std::os::fd::AsFd as _;
        Ok(match self.0 {
            Stream::Stdout => nix::unistd::write(io::stdout().as_fd(), bytes)?,
            Stream::Stderr => nix::unistd::write(io::stderr().as_fd(), bytes)?,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
