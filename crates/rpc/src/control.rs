//! What the server needs from the rest of the daemon: two traits, and the plain data that they speak.

mod error;
mod stats;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use model::{
    Change, Definition, Mono, ProcessId, ProcessName, ProcessView, RunNumber, Signal, Snapshot, Stream, Wall,
};

pub use error::{ControlError, ErrorKind, Violation};
pub use stats::{Member, Stats, StatsRequest, Usage};

use crate::EventRing;

/// A boxed future that owns all it needs, so that it can go on without its caller.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// A boxed stream that owns all it needs.
pub type BoxStream<T> = Pin<Box<dyn tokio_stream::Stream<Item = T> + Send + 'static>>;

/// The outcome of a request that leaves a process behind.
pub type ViewResult = Result<Arc<ProcessView>, ControlError>;

/// Commands and views. Each returned future resolves when the outcome is known, and the request counts as accepted
/// as soon as the method was called: the server drives the future to its end even when its caller is gone. Only the
/// futures of `fragments` and `override_text`, which change nothing, may be dropped before.
pub trait Control: Send + Sync + 'static {
    /// All processes, sorted by name. Must not block.
    fn snapshot(&self) -> Snapshot;
    /// One process; `None` = there is none of that name. Must not block.
    fn view(&self, name: &ProcessName) -> Option<Arc<ProcessView>> {
        self.snapshot().processes.into_iter().find(|view| view.spec.name == *name)
    }
    /// The last events. It hears of each change of a process after [`Control::view`] shows it.
    fn events(&self) -> Arc<EventRing>;
    /// What processes use now. Reading may take its time.
    fn stats(&self, request: StatsRequest) -> BoxFuture<Result<Stats, ControlError>>;
    /// The daemon itself. Must not block.
    fn status(&self) -> DaemonStatus;
    /// The monotonic clock of the views.
    fn now(&self) -> Mono;
    /// Checks, stores and adds a process, and starts it when asked.
    fn create(&self, create: Create) -> BoxFuture<Result<Created, ControlError>>;
    /// Wants it up; resolves when it is up as its type says.
    fn start(&self, name: ProcessName) -> BoxFuture<ViewResult>;
    /// Wants it down; resolves when nothing of it is alive.
    fn stop(&self, name: ProcessName) -> BoxFuture<ViewResult>;
    /// A new run; resolves when it is up as its type says.
    fn restart(&self, name: ProcessName) -> BoxFuture<ViewResult>;
    /// Makes it read its configuration again; resolves when the hooks are through or the signal is sent.
    fn reload_process(&self, name: ProcessName) -> BoxFuture<ViewResult>;
    /// Sends a signal to its live run: to the main process, or to `all` that the run ever spawned.
    fn signal(&self, name: ProcessName, signal: Signal, all: bool) -> BoxFuture<ViewResult>;
    /// Forgets its failures.
    fn reset(&self, name: ProcessName) -> BoxFuture<ViewResult>;
    /// Changes keys in its runtime layer and applies them, or tells what that would do.
    fn update(&self, update: Update) -> BoxFuture<Result<Updated, ControlError>>;
    /// Changes nothing; resolves when a start that is under way is through, and is an error when it failed.
    fn await_start(&self, name: ProcessName) -> BoxFuture<ViewResult> {
        let view = self.view(&name).ok_or_else(|| model::Refusal::NotFound(name).into());
        Box::pin(std::future::ready(view))
    }
    /// Stops and removes it; resolves when both are done. Refused where others can't do without it, unless by `force`.
    fn delete(&self, name: ProcessName, force: bool) -> BoxFuture<Result<Option<String>, ControlError>>;
    /// Removes what is kept of changes to something that nothing defines any more; its id, `None` = there is nothing.
    fn delete_leftover(&self, _name: ProcessName) -> BoxFuture<Result<Option<ProcessId>, ControlError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    /// Reads the configuration again and applies what changed, or only tells what that would be.
    fn reload(&self, dry_run: bool) -> BoxFuture<Result<ReloadReport, ControlError>>;
    /// What each layer says about it, lowest first, with values that look secret masked.
    fn fragments(&self, name: ProcessName) -> BoxFuture<Result<Vec<Fragment>, ControlError>>;
    /// Its override file, unmasked.
    fn override_text(&self, name: ProcessName) -> BoxFuture<Result<OverrideText, ControlError>>;
    /// Replaces its override file, when what results is good, and applies it; or tells what that would do.
    fn set_override(&self, set: SetOverride) -> BoxFuture<Result<Updated, ControlError>>;
}

/// What a deletion says that found no process, but what the API kept of one.
#[must_use]
pub fn leftover_removed(name: &ProcessName) -> String {
    format!("what was set for {name} over the API is removed; nothing defined it any more")
}

/// The output of processes.
pub trait LogSource: Send + Sync + 'static {
    /// Opens the log of a process that exists. Must not block: reading belongs into the stream, which ends after the
    /// last line, or never when `follow` is set.
    fn open(&self, request: LogRequest) -> Result<BoxStream<Result<LogBatch, ControlError>>, ControlError>;
    /// Opens every log file anew. Must not block.
    fn reopen(&self);
}

/// A process to add.
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    /// Its name.
    pub name: ProcessName,
    /// The keys that were given; not yet checked against each other.
    pub definition: Definition,
    /// Start it now.
    pub start: bool,
    /// Check and tell what it would be, and change nothing.
    pub dry_run: bool,
}

/// A process that was added, or would be.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// The process as it is now.
    pub view: Arc<ProcessView>,
    /// What probably doesn't do what is meant: each begins with its key in backticks and ends with the way out.
    pub warnings: Vec<String>,
}

/// Keys to change in the runtime layer of a process.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Its name; it is in the snapshot.
    pub name: ProcessName,
    /// The keys to set; not yet checked against each other.
    pub definition: Definition,
    /// The keys to take out, as the caller wrote them: they may be unknown. Never empty together with `definition`.
    pub unset: Vec<String>,
    /// Check and tell, and change nothing.
    pub dry_run: bool,
}

/// What an update did, or would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Updated {
    /// The process as it is now.
    pub view: Arc<ProcessView>,
    /// What it means for the process; `None` = nothing differs.
    pub change: Option<Change>,
    /// What probably doesn't do what is meant of what differs; as in [`Created`].
    pub warnings: Vec<String>,
}

/// What one place says about a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The place: `/etc/…/x.yaml:12`, or `pm-cli create/update`.
    pub origin: String,
    /// Its keys as YAML, with values that look secret masked.
    pub text: String,
}

/// An override file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideText {
    /// Where it is, or would be.
    pub path: PathBuf,
    /// What it says, unmasked; empty when it doesn't exist.
    pub text: String,
    /// Whether it exists.
    pub exists: bool,
}

/// A new override file for a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetOverride {
    /// Its name; it is in the snapshot.
    pub name: ProcessName,
    /// What the file shall say, at most 1 MiB; empty = the file is removed.
    pub text: String,
    /// Check and tell, and change nothing.
    pub dry_run: bool,
}

/// Which lines to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// Of which process; it is in the snapshot.
    pub name: ProcessName,
    /// How many of the last lines come first; `None` = all.
    pub lines: Option<u32>,
    /// Whether each new line follows.
    pub follow: bool,
    /// One stream only; `None` = both.
    pub stream: Option<Stream>,
    /// Not before this moment.
    pub since: Option<Wall>,
    /// Not after this moment.
    pub until: Option<Wall>,
    /// Of this run only.
    pub run: Option<RunNumber>,
    /// A regular expression that lines have to match, as the caller wrote it: it may be wrong (field `grep`).
    pub grep: Option<String>,
    /// Where to go on, as the caller gave it: it may be wrong (field `after_cursor`).
    pub after: Option<String>,
    /// Each line is a part of its own, with its cursor.
    pub split: bool,
}

/// Some lines, in parts; far below the 4 MiB of one message (64 KiB is a good size).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogBatch {
    /// The lines; may be empty.
    pub parts: Vec<LogPart>,
    /// Where to go on for a caller that has all of this.
    pub cursor: String,
    /// Lines are missing before these.
    pub missed: bool,
    /// Lines were left out of which what the caller asks for is not known.
    pub left_out: bool,
    /// Everything of the past was handed out.
    pub caught_up: bool,
}

/// Some lines of which the same is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPart {
    /// Whole lines, each with its newline.
    pub data: Vec<u8>,
    /// The stream they came from; `None` = not known.
    pub stream: Option<Stream>,
    /// The run that printed them; `None` = not known.
    pub run: Option<RunNumber>,
    /// When they were printed; `None` = not known.
    pub at: Option<Wall>,
    /// Where to go on for a caller that has all up to here, where single lines were asked for.
    pub cursor: Option<String>,
}

/// What a reload does, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// Affected processes.
    pub changes: Vec<Change>,
    /// What is wrong in the files, each with file, line and column, and beginning with `error:` or `warning:`.
    pub problems: Vec<String>,
}

/// Facts about the daemon that only its composition root knows. Counts by state come from the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// Its pid.
    pub pid: u32,
    /// The user id it runs as.
    pub uid: u32,
    /// When it started.
    pub started: Wall,
    /// How long ago that is by the monotonic clock.
    pub up: Duration,
    /// The main configuration file.
    pub config_path: PathBuf,
    /// How the last (re)load of the configuration went.
    pub last_reload: Option<ReloadResult>,
    /// What it listens on, metrics included.
    pub listeners: Vec<Listener>,
    /// How it keeps hold of what a process spawns: `cgroup` or `subreaper`.
    pub containment: String,
    /// Whether it shuts down.
    pub draining: bool,
    /// Its own resident memory; `None` = not known.
    pub resident_bytes: Option<u64>,
    /// The directory of its state.
    pub state_dir: PathBuf,
}

/// How a (re)load of the configuration went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadResult {
    /// When.
    pub at: Wall,
    /// What is wrong in the files, each with file, line and column, and beginning with `error:` or `warning:`.
    pub problems: Vec<String>,
}

impl ReloadResult {
    /// Whether everything in the files is in force: nothing worse than a warning.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.problems.iter().all(|problem| problem.starts_with("warning:"))
    }
}

/// An address of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What it is for: `control socket`, `control tcp`, `metrics`.
    pub role: String,
    /// The address or path.
    pub address: String,
    /// Whether it works.
    pub state: ListenerState,
}

/// Whether an address works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerState {
    /// It accepts connections.
    Listening,
    /// It could not be bound and is tried again: why.
    Failed(String),
    /// It is switched off.
    Disabled,
}
