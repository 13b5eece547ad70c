//! What children print: from their pipes, in whole lines, to rotated files, to journald and to the terminal.
//!
//! One thread reads all pipes. What it promises:
//!
//! - A line is never split, merged, reordered within its stream or written twice, up to `max_line`; a longer one is
//!   cut, marked and counted. Bytes are kept as they are, NUL and invalid UTF-8 included.
//! - `read = written + dropped + truncated + queued` lines, for each process, stream and sink, at every moment.
//! - Files are lossless: a full disk makes the one child wait. The journal and the terminal never make a child wait:
//!   bounded buffers, then lines are dropped, counted, and a marker says so. A definition can choose otherwise for each
//!   of the two, and it can leave out lines beyond a rate, which are counted and marked as well.
//! - What a definition wants out of its lines (`redact`) reaches no sink.
//! - What a child printed before it ended is read to the end, at the latest until the drain deadline when somebody
//!   else holds its pipe open.
//! - Any number of runs of one process may print at the same time (the process, its hooks, its health checks): each has
//!   pipes of its own, and they share files, counters and bounds.
//! - What a run has printed before its end stands before anything of a run that was started after that.
//!
//! What may be lost, when and how it is told: lines as above; lines that the disk refuses, with `overflow: drop_oldest`
//! or `drop_newest` beyond a buffer (`dropped` of the file sink and a marker line in the file), else only those refused
//! until the very end of the daemon (`dropped`, and an error in the daemon's log).

mod archive;
mod compress;
mod console;
mod crlf;
mod disk;
mod ends;
mod entry;
mod events;
pub mod frame;
mod hub;
mod index;
mod journal;
mod lines;
mod mailbox;
mod place;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod properties;
mod read;
mod ready;
mod release;
mod stats;
mod store;
mod stream;
mod tail;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod turns;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{Event, InvocationId, OutputSpec, ProcessName, ProcessRef, RunId, RunNumber};

pub use ends::{Captured, ChildEnds, OutputError};
pub use events::{MESSAGE_IDS, catalog, describe, priority};
pub use read::{Batch, Chunk, Cursor, CursorError, Filter, LogError, LogReader, Pattern, ReadRequest};
pub use stats::{SinkStats, StreamStats, Totals};

use console::ConsoleSink;
use mailbox::{Mailbox, Message};

/// How the pipeline is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of the default log files; made when missing (0750).
    pub dir: PathBuf,
    /// The journal's native socket, usually `/run/systemd/journal/socket`; `None` = no journal.
    pub journald: Option<PathBuf>,
    /// Show the children's lines on standard output.
    pub console: Option<Console>,
    /// How long output is still read after everything of a run is gone, when somebody else holds its pipe open.
    pub drain_deadline: Duration,
}

/// The terminal.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Colour the names, and let the children's own colours through.
    pub colour: bool,
}

/// The reading ends of a run that was just started.
#[derive(Debug)]
pub struct Source {
    /// Whose.
    pub process: ProcessRef,
    /// Named again in [`LogPipe::finished`].
    pub run: RunId,
    /// Shown as PROCESS_RUN.
    pub number: RunNumber,
    /// Shown as PROCESS_INVOCATION_ID.
    pub invocation: InvocationId,
    /// Shown as PROCESS_PID.
    pub pid: u32,
    /// Where it goes: the definition that [`LogPipe::open`] was called with.
    pub output: OutputSpec,
    /// What [`LogPipe::open`] returned.
    pub captured: Captured,
}

/// What the handle and the thread share.
#[derive(Default)]
pub(crate) struct Shared {
    mailbox: Mailbox,
    ledger: Arc<stats::Ledger>,
    tails: tail::Tails,
}

/// The handle. Clones stand for the same pipeline.
#[derive(Clone)]
pub struct LogPipe {
    dir: Arc<Path>,
    has_journal: bool,
    shared: Arc<Shared>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl std::fmt::Debug for LogPipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogPipe").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Starts the pipeline's thread.
///
/// Fails when the log directory can't be made or a thread can't be started. A journal that is away is no failure.
pub fn start(config: Config) -> io::Result<LogPipe> {
    let config = Config { dir: std::path::absolute(&config.dir)?, ..config };
    place::open_dir(&config.dir, &config.dir)?;
    let console = config.console.map(|c| ConsoleSink::start(c.colour, Box::new(io::stdout()))).transpose()?;
    let shared = Arc::new(Shared::default());
    let handle = LogPipe {
        dir: config.dir.as_path().into(),
        has_journal: config.journald.is_some(),
        shared: Arc::clone(&shared),
        thread: Arc::default(),
    };
    let thread = std::thread::Builder::new().name("logpipe".into()).spawn(move || {
        // Also when it unwinds: nobody may wait for a thread that is gone.
        let _closed = CloseOnDrop(&shared);
        if let Err(e) = hub::run(&config, &shared, console) {
            tracing::error!(error = %e, "the log pipeline could not start");
        }
    })?;
    *handle.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    Ok(handle)
}

struct CloseOnDrop<'a>(&'a Shared);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.mailbox.close();
        self.0.tails.clear();
    }
}

impl LogPipe {
    /// Opens what a child of this process starts with, and the log files, so that an error comes before the child.
    /// Called on the thread that spawns.
    pub fn open(&self, name: &ProcessName, output: &OutputSpec) -> Result<ChildEnds, OutputError> {
        ChildEnds::open(&self.dir, name, output)
    }

    /// Reads a started child's output from now on. Never lost: waits when 1024 attaches are waiting already.
    pub fn attach(&self, source: Source) {
        self.shared.mailbox.post_attach(source);
    }

    /// A definition is in force. `log:` applies at once, paths to the next run. Its counters exist from now on.
    pub fn configure(&self, process: ProcessRef, output: OutputSpec) {
        self.shared.mailbox.post(Message::Configure { process, output: Box::new(output) });
    }

    /// Nothing of this run is alive: its output ends at the end of its pipes, at the latest after the drain deadline.
    pub fn finished(&self, run: RunId) {
        self.shared.mailbox.post(Message::Finished(run));
    }

    /// A process is no longer defined: its counters go, its followers end, its files stay.
    pub fn forget(&self, name: &ProcessName) {
        self.shared.mailbox.post(Message::Forget(name.clone()));
    }

    /// Sends a lifecycle event to the journal. Never waits: beyond 4096 waiting ones events are dropped and counted.
    pub fn event(&self, event: &Event) {
        if self.has_journal && !self.shared.mailbox.post_event(event) {
            self.shared.ledger.totals().events_dropped += 1;
        }
    }

    /// Whether there is a journal to send to.
    #[must_use]
    pub fn has_journal(&self) -> bool {
        self.has_journal
    }

    /// Opens every log file anew: after somebody has moved them away.
    pub fn reopen(&self) {
        self.shared.mailbox.post(Message::Reopen);
    }

    /// The accounts of every defined process, sorted by name, stdout before stderr.
    #[must_use]
    pub fn stats(&self) -> Vec<StreamStats> {
        self.shared.ledger.snapshot()
    }

    /// The same one by one: of thousands of processes they are megabytes.
    pub fn each_stats(&self, each: impl FnMut(StreamStats)) {
        self.shared.ledger.each(each);
    }

    /// The numbers that belong to no process.
    #[must_use]
    pub fn totals(&self) -> Totals {
        *self.shared.ledger.totals()
    }

    /// Reads a process's log files: the last lines, and what is written from then on.
    ///
    /// Fails when its output isn't kept in files.
    pub fn read(&self, request: ReadRequest) -> Result<LogReader, LogError> {
        LogReader::open(&self.dir, &self.shared.tails, request)
    }

    /// Reads all pipes to their end, empties the buffers and ends the thread, all within about `deadline`; what can't
    /// be delivered by then is counted as dropped. Other clones do nothing from then on.
    pub fn shutdown(self, deadline: Duration) {
        self.shared.mailbox.post(Message::Shutdown(deadline));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|t| t.join().is_err()) {
            tracing::error!("the log pipeline's thread panicked");
        }
    }
}
