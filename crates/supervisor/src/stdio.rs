//! What the driver needs from the outside: the ends of standard input and output of each child, and who hears events.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::machine::Helper;
use model::{Event, InvocationId, ProcessName, ProcessSpec, RunId, RunNumber};

/// A run that is about to be spawned.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// Its id in later calls.
    pub run: RunId,
    /// 1, 2, … for this process.
    pub number: RunNumber,
    /// Its 128-bit id.
    pub invocation: InvocationId,
    /// The definition that it belongs to.
    pub spec: Arc<ProcessSpec>,
    /// What is executed instead of the definition's program.
    pub helper: Option<Helper>,
    /// Whether the definition's conditions are checked first.
    pub first: bool,
}

/// The child's descriptors 0, 1 and 2. The driver's copies are closed once the child has its own.
#[derive(Debug)]
pub struct ChildStdio {
    /// Standard input.
    pub stdin: OwnedFd,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
}

/// Called with the pid once exec has succeeded, before anybody hears of the start; dropped when the start failed.
pub type Attach = Box<dyn FnOnce(u32) + Send>;

/// Standard input or output could not be opened: the run fails with stage `opening standard output`.
#[derive(Debug, thiserror::Error)]
#[error("{subject}: {source}")]
pub struct StdioError {
    /// What could not be opened, for example the path of the log file.
    pub subject: String,
    /// Why.
    pub source: io::Error,
    /// What the operator can do about it, or empty.
    pub hint: String,
}

/// Opens and keeps the other ends of the children's standard input and output.
///
/// `open` is called on a spawner thread, several at once for different processes, and may take its time: meanwhile
/// only that process's start (and, when every spawner is taken, other starts) waits. The other calls come from the
/// supervisor's thread and must not block.
pub trait StdioProvider: Send + Sync + 'static {
    /// The child's ends for this run, and what to call when it runs.
    ///
    /// # Errors
    /// The run fails with the error's subject and hint, and its restart policy decides what follows.
    fn open(&self, run: &RunInfo) -> Result<(ChildStdio, Attach), StdioError>;
    /// Nothing of this run, which had been attached, is alive: drain what is left, then close.
    fn finished(&self, run: RunId);
    /// The definition in force changed while the process may be running.
    fn configure(&self, spec: &Arc<ProcessSpec>);
    /// The process left the table.
    fn forget(&self, name: &ProcessName);
}

/// Hears every event, in order, on the supervisor's thread, after the snapshot that shows it. Must not block.
pub trait Observer: Send {
    /// Something happened.
    fn event(&mut self, event: &Event);
    /// Processes look different from now on; also where no event says so.
    fn changed(&mut self) {}
}
