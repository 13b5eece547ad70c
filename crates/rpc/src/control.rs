//! What the server needs from the rest of the daemon: two traits, and the plain data that they speak.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use model::{Change, Definition, ProcessName, ProcessView, Refusal, Snapshot, Stream, Wall};

/// A boxed future that owns all it needs, so that it can go on without its caller.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// A boxed stream that owns all it needs.
pub type BoxStream<T> = Pin<Box<dyn tokio_stream::Stream<Item = T> + Send + 'static>>;

/// The outcome of a request that leaves a process behind.
pub type ViewResult = Result<Arc<ProcessView>, ControlError>;

/// Commands and views. Each returned future resolves when the outcome is known, and the request counts as accepted
/// as soon as the method was called: the server drives the future to its end even when its caller is gone.
pub trait Control: Send + Sync + 'static {
    /// All processes, sorted by name. Must not block.
    fn snapshot(&self) -> Snapshot;
    /// The daemon itself. Must not block.
    fn status(&self) -> DaemonStatus;
    /// Checks, stores and adds a process, and starts it when asked.
    fn create(&self, create: Create) -> BoxFuture<ViewResult>;
    /// Wants it up; resolves when it runs.
    fn start(&self, name: ProcessName) -> BoxFuture<ViewResult>;
    /// Wants it down; resolves when nothing of it is alive.
    fn stop(&self, name: ProcessName) -> BoxFuture<ViewResult>;
    /// A new run; resolves when it runs.
    fn restart(&self, name: ProcessName) -> BoxFuture<ViewResult>;
    /// Stops and removes it; resolves when both are done.
    fn delete(&self, name: ProcessName) -> BoxFuture<Result<(), ControlError>>;
    /// Reads the configuration again and applies what changed.
    fn reload(&self) -> BoxFuture<Result<ReloadReport, ControlError>>;
}

/// The output of processes.
pub trait LogSource: Send + Sync + 'static {
    /// Opens the log of a process that exists. Must not block: reading belongs into the stream, which ends after the
    /// last line, or never when `follow` is set.
    fn open(&self, request: LogRequest) -> Result<BoxStream<Result<LogChunk, ControlError>>, ControlError>;
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
}

/// Which lines to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// Of which process; it is in the snapshot.
    pub name: ProcessName,
    /// How many of the last lines come first.
    pub lines: u32,
    /// Whether each new line follows.
    pub follow: bool,
    /// One stream only; `None` = both.
    pub stream: Option<Stream>,
}

/// Some lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogChunk {
    /// Whole lines, each with its newline; far below the 4 MiB of one message (64 KiB is a good size).
    pub data: Vec<u8>,
    /// The stream they came from; `None` = a file that holds both.
    pub stream: Option<Stream>,
    /// Lines left out before these because the follower was too slow.
    pub dropped: u64,
}

/// What a reload does.
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
    /// The main configuration file.
    pub config_path: PathBuf,
    /// How the last (re)load of the configuration went.
    pub last_reload: Option<ReloadResult>,
    /// What it listens on, metrics included.
    pub listeners: Vec<Listener>,
    /// How it keeps hold of what a process spawns: `cgroup` or `subreaper`.
    pub containment: String,
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

/// A request that was not carried out, or went wrong. `message` is the sentence a user reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    /// What kind, which decides the status code and the exit code.
    pub kind: ErrorKind,
    /// The thing and what is wrong with it.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

/// Kinds of errors; each has one gRPC code and one ErrorInfo reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No such process.
    NotFound,
    /// A process of that name exists.
    AlreadyExists,
    /// The request itself is wrong.
    Invalid {
        /// Which fields, and why.
        violations: Vec<Violation>,
    },
    /// The process's state or definition doesn't allow it.
    FailedPrecondition,
    /// The start was tried and failed.
    StartFailed,
    /// The caller's token is not the daemon's.
    Unauthenticated,
    /// The caller's role doesn't allow it.
    PermissionDenied,
    /// The daemon is shutting down.
    Unavailable,
    /// A queue is full; trying again later helps.
    Busy,
    /// A fault of the daemon.
    Internal,
}

/// One wrong field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its path, for example `definition.after`.
    pub field: String,
    /// What is wrong with it.
    pub text: String,
}

impl ControlError {
    /// An error without a hint.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// The same with the way out.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// One wrong field.
    #[must_use]
    pub fn invalid(field: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let violations = vec![Violation { field: field.to_owned(), text: text.clone() }];
        Self::new(ErrorKind::Invalid { violations }, text)
    }
}

impl From<Refusal> for ControlError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NotFound(_) => Self::new(ErrorKind::NotFound, message),
            Refusal::AlreadyExists(name) => Self::new(ErrorKind::AlreadyExists, message)
                .with_hint(format!("pick another name, or remove it first: pm-cli delete {name}")),
            Refusal::Invalid(..) => Self::new(ErrorKind::FailedPrecondition, message)
                .with_hint("correct the definition, then: pm-cli reload-config"),
            Refusal::StartFailed(_, failure) if !failure.hint.is_empty() => {
                Self::new(ErrorKind::StartFailed, message).with_hint(failure.hint)
            }
            Refusal::StartFailed(name, _) | Refusal::NotStarted(name, _) => {
                Self::new(ErrorKind::StartFailed, message)
                    .with_hint(format!("see what it printed: pm-cli logs {name}"))
            }
            Refusal::NotRunning(name, _) => Self::new(ErrorKind::FailedPrecondition, message)
                .with_hint(format!("start it first: pm-cli start {name}")),
            Refusal::ReloadFailed(name, _) => Self::new(ErrorKind::FailedPrecondition, message)
                .with_hint(format!("see what it printed: pm-cli logs {name}")),
            Refusal::BeingRemoved(name) => Self::new(ErrorKind::FailedPrecondition, message)
                .with_hint(format!("once it is gone, define it again: pm-cli create {name} …")),
            Refusal::Superseded(name, _) => Self::new(ErrorKind::FailedPrecondition, message)
                .with_hint(format!("see what it does now: pm-cli describe {name}")),
            Refusal::ShuttingDown => Self::new(ErrorKind::Unavailable, message),
            Refusal::Busy => Self::new(ErrorKind::Busy, message),
        }
    }
}
