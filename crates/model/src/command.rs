//! What can be asked of the supervisor, and what it answers.

use std::fmt;
use std::sync::Arc;

use crate::{Change, ProcessName, ProcessSpec, ProcessView, Signal, SpawnFailure, State};

/// The definitions that should exist from now on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desired {
    /// Good definitions.
    pub specs: Vec<Arc<ProcessSpec>>,
    /// Broken ones. A process that has a good definition in force keeps it; else it is shown as `invalid`.
    pub invalid: Vec<InvalidDefinition>,
}

/// A definition that can't be used. `spec` carries name, id and origin for display.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidDefinition {
    /// A placeholder with the right name, id and origin; never executed.
    pub spec: Arc<ProcessSpec>,
    /// The error with file, line and column.
    pub problem: String,
}

/// A request. Each gets exactly one answer, when its outcome is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Adds a process that must not exist yet; answered once it is in the table ([`Reply::Done`]), or once it runs
    /// when `start` is set. When the start fails the process stays defined.
    Create {
        /// Its definition.
        spec: Arc<ProcessSpec>,
        /// Start it now.
        start: bool,
    },
    /// Wants it up, with all that it needs; answered when it is up as its type says. Already up = at once.
    Start(ProcessName),
    /// Wants it down; answered when nothing of it is alive. Already down = at once. Cancels a pending restart.
    Stop(ProcessName),
    /// A new run, in place, also of those that require it; answered when it is up.
    Restart(ProcessName),
    /// Makes it read its configuration again (`exec_reload`, else `reload_signal`), the run stays; answered when the
    /// hooks are through or the signal is sent.
    Reload(ProcessName),
    /// Sends a signal to a live run.
    Signal {
        /// Whose.
        name: ProcessName,
        /// Which.
        signal: Signal,
        /// To everything that the run ever spawned, not to its main process alone.
        all: bool,
    },
    /// Forgets its failures: one in `backoff` or `crash_loop` is tried again at once, one that `failed` or was
    /// `skipped` becomes `stopped`. Counters stay.
    Reset(ProcessName),
    /// Changes nothing; answered when it is up as its type says or that start failed. At once where it is not on its way:
    /// nobody wants it up, or it waits for the time of its restart.
    AwaitStart(ProcessName),
    /// Stops it and removes it from the table; answered when both are done.
    Delete(ProcessName),
    /// Makes the table equal to the desired set; answered at once with what is going to happen. Runtime-created
    /// processes are part of the desired set.
    Apply(Desired),
    /// Answers what `Apply` would do, and does nothing.
    Plan(Desired),
    /// Stops everything in reverse order and refuses all further commands; answered when nothing is left.
    Shutdown,
}

/// A good answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The process as it is now.
    Done(Arc<ProcessView>),
    /// The process is gone from the table.
    Deleted,
    /// What `Apply` does, or would do, process by process; unchanged ones are left out.
    Applied(Vec<Change>),
    /// Everything is down.
    ShutDown,
}

/// A bad answer. `Display` is the sentence that a user reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// No process of that name.
    NotFound(ProcessName),
    /// `Create` of a name that exists.
    AlreadyExists(ProcessName),
    /// Its definition is broken; the text has file, line and column.
    Invalid(ProcessName, String),
    /// The start was tried and failed. What happens next (backoff, failed) is in the process's view.
    StartFailed(ProcessName, SpawnFailure),
    /// It ended before it was up, or the start limit keeps it down: the reason in words.
    NotStarted(ProcessName, String),
    /// It is being removed: what is not defined any more can't be started.
    BeingRemoved(ProcessName),
    /// It is not up, so that it can't be reloaded or signalled; its state.
    NotRunning(ProcessName, State),
    /// Its `exec_reload` failed: how.
    ReloadFailed(ProcessName, String),
    /// Another command took over before this one's outcome was reached.
    Superseded(ProcessName, &'static str),
    /// The daemon is shutting down.
    ShuttingDown,
    /// More commands are waiting than the supervisor accepts (64).
    Busy,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(n) => write!(f, "no process is called {n}"),
            Self::AlreadyExists(n) => write!(f, "a process called {n} exists already"),
            Self::Invalid(n, problem) => write!(f, "the definition of {n} is broken: {problem}"),
            Self::StartFailed(n, failure) => write!(f, "{n} could not start: {failure}"),
            Self::NotStarted(n, why) => write!(f, "{n} did not start: {why}"),
            Self::BeingRemoved(n) => write!(f, "{n} is being removed"),
            Self::NotRunning(n, state) => write!(f, "{n} is not running: it is {state}"),
            Self::ReloadFailed(n, why) => write!(f, "{n} was not reloaded: {why}"),
            Self::Superseded(n, by) => write!(f, "a later command ({by}) took over {n}"),
            Self::ShuttingDown => f.write_str("the daemon is shutting down"),
            Self::Busy => f.write_str("too many commands are waiting; try again"),
        }
    }
}

impl std::error::Error for Refusal {}
