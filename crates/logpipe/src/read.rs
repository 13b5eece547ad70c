//! Reading back: the last lines of a process's files that pass a filter, across rotations and compression, and what is
//! written from then on.
//!
//! A reader has its own descriptor and position, so that a slow one holds up nobody; it is woken by the writer and
//! reads nothing while nothing is written. It leaves a file only after the writer has left it, and goes on with the
//! next one in the order of rotation: no gap, no repeat. Another reader can go on where it stood ([`Cursor`]), also in
//! another life of the daemon. When files it had not read were deleted meanwhile, the next batch says so.
//!
//! Bounds: a reader holds one block of each of its files (64 KiB, or one line) and one batch (64 KiB and what is left
//! of a block, 1024 chunks). It looks at 4 MiB at most before others get their turn on its thread.

mod backward;
mod chain;
mod cursor;
mod filter;
mod gzip;
mod segment;
mod stretches;

use std::io;
use std::path::{Path, PathBuf};

use model::{Output, OutputSpec, ProcessRef, RunNumber, Stream, Wall};
use tokio::task::JoinHandle;

use crate::ends::log_path;
use crate::tail::Tails;
use chain::{Chain, Progress, Wish};
pub use cursor::{Cursor, CursorError};
pub use filter::{Filter, Pattern};
use segment::{BLOCK, Piece};

/// Chunks of a batch; a slow process has one for each line.
const CHUNKS_MAX: usize = 1024;
/// Blocks that a step looks at. A search through gigabytes ends soon after its caller has left, and shares its thread.
const STEP_BLOCKS: usize = 64;

/// What to read.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// Whose lines.
    pub process: ProcessRef,
    /// The definition in force: it says where they are.
    pub output: OutputSpec,
    /// How many of the last lines that pass the filter; `usize::MAX` = all. When stdout and stderr go to different
    /// files, the last lines of each.
    pub lines: usize,
    /// Go on with what is written later.
    pub follow: bool,
    /// Which lines.
    pub filter: Filter,
    /// Go on exactly where a batch or chunk ended; `lines` means nothing then. When that file is gone the reader starts
    /// at the oldest that there is, and says `missed`. A file that had no index can't be told from others any more once
    /// it is compressed, and counts as gone.
    pub after: Option<Cursor>,
    /// Each line is a chunk with a position of its own.
    pub single: bool,
}

/// Lines as they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// They; may be empty.
    pub chunks: Vec<Chunk>,
    /// Older files were deleted before they were read, or one is damaged: lines are missing before this batch.
    pub missed: bool,
    /// Lines were left out of which something that the filter asks for is not known. Said once.
    pub left_out: bool,
    /// Everything of the past was handed out. Said once.
    pub caught_up: bool,
    /// Where a reader goes on that has all of this.
    pub position: Cursor,
}

/// Some whole lines of which the same is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The lines, each with its newline. About 64 KiB at most, unless one line is longer.
    pub bytes: Vec<u8>,
    /// The stream they came from, where that is known.
    pub stream: Option<Stream>,
    /// The run that printed them, where that is known.
    pub run: Option<RunNumber>,
    /// When they were printed, to 10 ms, where that is known.
    pub at: Option<Wall>,
    /// Where a reader goes on that has all up to here. Only where single lines were asked for.
    pub position: Option<Cursor>,
}

/// Why lines can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The stream isn't captured.
    #[error("the output of {} is not captured: its definition says `{stream}: {target}`", process.name)]
    NotCaptured {
        /// The process.
        process: ProcessRef,
        /// `stdout` or `stderr`.
        stream: &'static str,
        /// `null`, `inherit` or `direct:…`.
        target: String,
    },
    /// The lines are not kept in a file.
    #[error("the output of {} is not kept in a file: its definition says `log: {{file: false}}`", process.name)]
    NoFile {
        /// The process.
        process: ProcessRef,
    },
    /// The file can't be read.
    #[error("{path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// An earlier [`LogReader::next_batch`] failed or panicked.
    #[error("this reader has ended after an error")]
    Ended,
}

impl LogError {
    /// What an operator can do about it; may be empty.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoFile { process } => {
                format!("journalctl PROCESS_ID={} shows it, unless `log: {{journald: false}}`", process.id)
            }
            Self::NotCaptured { target, stream, .. } => match target.strip_prefix("direct:") {
                Some(path) => format!("the process writes to {path} itself"),
                None => format!("write `{stream}: capture` in its definition"),
            },
            Self::Io { .. } | Self::Ended => String::new(),
        }
    }
}

/// The files of one reader: what moves to a blocking thread for each step.
#[derive(Debug)]
struct Work {
    files: Vec<Chain>,
    wish: Wish,
    caught_up: bool,
    /// Said already.
    left_out: bool,
}

/// What a step came to.
#[derive(Debug)]
enum Outcome {
    Batch(Batch),
    /// Nothing yet; there is more to look at.
    Busy,
    /// Nothing for now; without follow: ever.
    Idle,
}

/// What a step gives back.
type Step = (Work, Result<Outcome, LogError>);

/// Lines, batch by batch.
#[derive(Debug)]
pub struct LogReader {
    /// The writer is gone: what is there is all there will be.
    closing: bool,
    work: Option<Work>,
    /// A step under way. Kept here so that a cancelled [`next_batch`](Self::next_batch) loses nothing.
    step: Option<JoinHandle<Step>>,
}

impl LogReader {
    pub(crate) fn open(dir: &Path, tails: &Tails, request: ReadRequest) -> Result<Self, LogError> {
        Ok(Self { closing: false, work: Some(Work::new(dir, tails, request)?), step: None })
    }

    /// The next lines; `None` at the end: everything was read, or, when following, the process was removed or the
    /// daemon ends. Waits while following and nothing is written. May be cancelled without losing lines.
    ///
    /// Has to be called within a tokio runtime; files are read on its blocking threads, so that a slow disk holds up
    /// nobody else there.
    pub async fn next_batch(&mut self) -> Result<Option<Batch>, LogError> {
        loop {
            if self.step.is_none() {
                let mut work = self.work.take().ok_or(LogError::Ended)?;
                self.step = Some(tokio::task::spawn_blocking(move || {
                    let outcome = work.step();
                    (work, outcome)
                }));
            }
            let step = self.step.as_mut().ok_or(LogError::Ended)?;
            let result = step.await;
            self.step = None;
            let (work, outcome) = result.map_err(|_| LogError::Ended)?;
            let outcome = outcome?;
            let work = self.work.insert(work);
            match outcome {
                Outcome::Batch(batch) => return Ok(Some(batch)),
                Outcome::Busy => {}
                Outcome::Idle if !work.wish.follow || self.closing => return Ok(None),
                // Once more even then: the last lines may have come since the last look.
                Outcome::Idle => self.closing = !work.changed().await,
            }
        }
    }
}

fn both_in_one(output: &OutputSpec) -> bool {
    match (&output.stdout, &output.stderr) {
        (Output::Capture, Output::Capture) => true,
        (Output::File(a), Output::File(b)) => a == b,
        _ => false,
    }
}

impl Work {
    fn new(dir: &Path, tails: &Tails, request: ReadRequest) -> Result<Self, LogError> {
        let ReadRequest { process, output, lines, follow, filter, after, single } = request;
        let wanted = |s: &Stream| filter.stream.is_none_or(|only| only == *s);
        let mut paths: Vec<(PathBuf, Option<Stream>)> = Vec::new();
        for stream in Stream::ALL.into_iter().filter(wanted) {
            let Some(path) = log_path(dir, &process.name, output.of(stream)) else { continue };
            match paths.iter_mut().find(|(p, _)| *p == path) {
                Some((_, of)) => *of = None,
                None => paths.push((path, Some(stream))),
            }
        }
        let first = filter.stream.unwrap_or(Stream::Stdout);
        if paths.is_empty() {
            let target = output.of(first).to_string();
            return Err(LogError::NotCaptured { process, stream: first.as_str(), target });
        }
        if !output.log.file {
            return Err(LogError::NoFile { process });
        }
        let shared = both_in_one(&output);
        let open = |(path, stream): (PathBuf, Option<Stream>)| {
            let tail = tails.follow(&process.name, &path);
            Chain::new(path, dir.to_owned(), stream.filter(|_| !shared), tail)
        };
        let files = paths.into_iter().map(open).collect();
        let wish = Wish { filter, lines, follow, single, after };
        Ok(Self { files, wish, caught_up: false, left_out: false })
    }

    /// The next lines of all files, by time as far as it is known: lines of unknown time come as soon as those before
    /// them in their file, and stdout's first.
    fn step(&mut self) -> Result<Outcome, LogError> {
        let mut budget = STEP_BLOCKS;
        let mut idle = vec![false; self.files.len()];
        let (mut chunks, mut size, mut missed) = (Vec::new(), 0, false);
        while size < BLOCK && chunks.len() < CHUNKS_MAX {
            for (nth, file) in self.files.iter_mut().enumerate() {
                while file.next_at().is_none() && !idle[nth] {
                    if budget == 0 {
                        // What the other file has ready may have to come after what this one is looking for.
                        let empty = chunks.is_empty();
                        return Ok(if empty { Outcome::Busy } else { self.batch(chunks, missed, false) });
                    }
                    budget -= 1;
                    let progress = file.advance(&self.wish, nth);
                    let progress =
                        progress.map_err(|source| LogError::Io { path: file.path().to_owned(), source })?;
                    idle[nth] = progress == Progress::Idle;
                }
            }
            let ready = self.files.iter_mut().filter(|file| file.next_at().is_some());
            let Some(file) = ready.min_by_key(|file| file.next_at()) else { break };
            if file.has_missed() && !chunks.is_empty() {
                // It is told before the lines that come after the gap.
                return Ok(self.batch(chunks, missed, false));
            }
            missed |= file.take_missed();
            let Some(Piece { bytes, facts, .. }) = file.take() else { break };
            size += bytes.len();
            let position = self.wish.single.then(|| self.position());
            chunks.push(Chunk { bytes, stream: facts.stream, run: facts.run, at: facts.at, position });
        }
        if !chunks.is_empty() && self.files.iter().any(Chain::has_missed) {
            // Told before what comes after the gap, or at the end.
            return Ok(self.batch(chunks, missed, false));
        }
        let done = self.files.iter().zip(&idle).all(|(file, idle)| *idle && file.next_at().is_none());
        let caught_up = done && !self.caught_up;
        self.caught_up |= done;
        if chunks.is_empty() && !caught_up {
            return Ok(Outcome::Idle);
        }
        missed |= self.files.iter_mut().any(Chain::take_missed);
        Ok(self.batch(chunks, missed, caught_up))
    }

    fn batch(&mut self, chunks: Vec<Chunk>, missed: bool, caught_up: bool) -> Outcome {
        let left_out = self.files.iter().any(Chain::has_left_out) && !self.left_out;
        self.left_out |= left_out;
        Outcome::Batch(Batch { chunks, missed, left_out, caught_up, position: self.position() })
    }

    fn position(&self) -> Cursor {
        Cursor(self.files.iter().map(Chain::mark).collect())
    }

    /// Waits for a change of any file. `false` = no more changes will come.
    async fn changed(&mut self) -> bool {
        match self.files.as_mut_slice() {
            [a, b] => tokio::select! {
                ok = a.changed() => ok,
                ok = b.changed() => ok,
            },
            [one, ..] => one.changed().await,
            [] => false,
        }
    }
}

#[cfg(test)]
mod tests;
