//! Reading back: the last lines of a process's files, across rotations, and what is written from then on.
//!
//! A reader has its own descriptor and position, so that a slow one holds up nobody; it is woken by the writer and
//! reads nothing while nothing is written. It leaves a file only after the writer has left it, and goes on with the
//! next one in the order of rotation: no gap, no repeat. When files it had not read were deleted meanwhile
//! (`max_files`), the next chunk says so.

mod backward;
mod file;

use std::io;
use std::path::{Path, PathBuf};

use model::{Output, OutputSpec, ProcessRef, Stream};
use tokio::task::JoinHandle;

use crate::ends::log_path;
use crate::tail::Tails;
use file::FileReader;

/// What to read.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// Whose lines.
    pub process: ProcessRef,
    /// The definition in force: it says where they are.
    pub output: OutputSpec,
    /// How many of the last lines; `usize::MAX` = all.
    pub lines: usize,
    /// Go on with what is written later.
    pub follow: bool,
    /// Only this stream. `None` = both; when they go to different files, the last lines of each.
    pub stream: Option<Stream>,
}

/// Some whole lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The lines, each with its newline. About 64 KiB at most, unless one line is longer.
    pub bytes: Vec<u8>,
    /// The stream, where the file has only one of them.
    pub stream: Option<Stream>,
    /// Older files were deleted before they were read: lines are missing before this chunk.
    pub missed: bool,
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
    /// An earlier [`LogReader::next_chunk`] failed or panicked.
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
    files: Vec<FileReader>,
    /// Whose turn it is once all files were read to their end for the first time.
    turn: usize,
    live: bool,
}

/// What a step gives back.
type Step = (Work, Result<Option<Chunk>, LogError>);

/// Lines, chunk by chunk.
#[derive(Debug)]
pub struct LogReader {
    follow: bool,
    /// The writer is gone: what is there is all there will be.
    closing: bool,
    work: Option<Work>,
    /// A step under way. Kept here so that a cancelled [`next_chunk`](Self::next_chunk) loses nothing.
    step: Option<JoinHandle<Step>>,
}

impl LogReader {
    pub(crate) fn open(dir: &Path, tails: &Tails, request: &ReadRequest) -> Result<Self, LogError> {
        let wanted = |s: &Stream| request.stream.is_none_or(|only| only == *s);
        let mut paths: Vec<(PathBuf, Option<Stream>)> = Vec::new();
        for stream in Stream::ALL.into_iter().filter(wanted) {
            let Some(path) = log_path(dir, &request.process.name, request.output.of(stream)) else {
                continue;
            };
            match paths.iter_mut().find(|(p, _)| *p == path) {
                Some((_, of)) => *of = None,
                None => paths.push((path, Some(stream))),
            }
        }
        let first = request.stream.unwrap_or(Stream::Stdout);
        if paths.is_empty() {
            return Err(LogError::NotCaptured {
                process: request.process.clone(),
                stream: first.as_str(),
                target: request.output.of(first).to_string(),
            });
        }
        if !request.output.log.file {
            return Err(LogError::NoFile { process: request.process.clone() });
        }
        // A file that both streams share has the lines of both, also when only one was asked for.
        let shared = both_in_one(&request.output);
        let open = |(path, stream): (PathBuf, Option<Stream>)| {
            let tail = tails.follow(&request.process.name, &path);
            let stream = stream.filter(|_| !shared);
            FileReader::open(path.clone(), dir.to_owned(), stream, tail, request.lines, request.follow)
                .map_err(|source| LogError::Io { path, source })
        };
        let files = paths.into_iter().map(open).collect::<Result<_, _>>()?;
        let work = Work { files, turn: 0, live: false };
        Ok(Self { follow: request.follow, closing: false, work: Some(work), step: None })
    }

    /// The next lines; `None` at the end: everything was read, or, when following, the process was removed or the
    /// daemon ends. Waits while following and nothing is written. May be cancelled without losing lines.
    ///
    /// Has to be called within a tokio runtime; files are read on its blocking threads, so that a slow disk holds up
    /// nobody else there.
    pub async fn next_chunk(&mut self) -> Result<Option<Chunk>, LogError> {
        loop {
            if self.step.is_none() {
                let mut work = self.work.take().ok_or(LogError::Ended)?;
                self.step = Some(tokio::task::spawn_blocking(move || {
                    let chunk = work.step();
                    (work, chunk)
                }));
            }
            let step = self.step.as_mut().ok_or(LogError::Ended)?;
            let result = step.await;
            self.step = None;
            let (work, chunk) = result.map_err(|_| LogError::Ended)?;
            if let Some(chunk) = chunk? {
                self.work = Some(work);
                return Ok(Some(chunk));
            }
            let work = self.work.insert(work);
            if !self.follow || self.closing {
                return Ok(None);
            }
            // Once more even then: the last lines may have come since the last look.
            self.closing = !work.changed().await;
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
    /// The next chunk of any file: in order at first, so that the past of one comes as a whole; in turn then.
    fn step(&mut self) -> Result<Option<Chunk>, LogError> {
        let count = self.files.len();
        for i in 0..count {
            let at = (self.turn + i) % count;
            let file = &mut self.files[at];
            let chunk =
                file.next().map_err(|source| LogError::Io { path: file.path().to_owned(), source })?;
            if chunk.is_some() {
                self.turn = if self.live { at + 1 } else { at };
                return Ok(chunk);
            }
        }
        self.live = true;
        Ok(None)
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
