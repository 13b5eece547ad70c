//! Dev only: what the tests of several crates share. [`eventually`] waits without guessing a time, [`TempDaemon`] runs
//! the real daemon in directories of its own, [`Workload`] finds every process that a daemon has started, and the
//! program `probe` (see `src/bin/probe`) is the child that misbehaves on request.

mod account;
mod authority;
mod binary;
mod daemon;
mod eventually;
mod operate;
mod output;
pub mod printed;
mod workload;

pub use account::{Account, SinkAccount};
pub use authority::{Authority, Pair};
pub use binary::{MissingBinary, binary};
pub use daemon::{TempDaemon, TempDaemonBuilder};
pub use eventually::{PATIENCE_VARIABLE, eventually, eventually_within, patience};
pub use output::{Finished, run};
pub use workload::{Pid, Workload};
