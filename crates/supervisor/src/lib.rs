//! The supervision core: a pure state machine and the driver that runs it against Linux.
//!
//! ```text
//!  Handle::submit ─► queue of 64 ─┐                            ┌─► spawner threads: NSS, PATH, stdio, vfork+exec
//!  results of spawns, checks, ────┤  eventfd                   ├─► containment: signals, SIGKILL until nothing is left
//!    pidfiles                     │                            ├─► Prober; the thread that watches pidfiles
//!  pidfd of each run ─────────────┼─► epoll ─► machine::step ──┼─► StdioProvider: drain, reconfigure, forget
//!  notification socket of a run ──┤            (now, input)    ├─► board: Arc of each changed view ─► Handle::snapshot
//!  SIGCHLD (adopted orphans) ─────┤                            └─► Observer (events) and replies, after the board
//!  the one deadline ──────────────┘
//! ```
//!
//! # Who does what
//!
//! * [`machine`] decides. It is pure: no clock, no I/O, no failure.
//! * `driver` is the only loop. One thread, named `supervisor`, owns the machine, every pidfd and every run. It reads
//!   the clock once a turn, and it blocks in epoll_wait(2) alone: with nothing to do it sleeps for ever.
//! * `spawner` does what may take long before a program runs (name services, a log file on a slow disk) on its own
//!   threads, so that a start that hangs delays no stop.
//! * `containment` answers "what did this run ever spawn": exactly where there is a delegated cgroup, else by adopting
//!   orphans (see there for what that can't see). Which of a run's processes is its main process may change.
//! * `notify` is what processes say of themselves (sd_notify(3)): bounded, and with the kernel's word on who speaks.
//! * `board` is what everybody else reads: the lock is held for the copy of pointers, never across I/O.
//!
//! # What the caller owes
//!
//! * SIGCHLD is blocked in every thread of the process before [`start`] is called (block it in `main` before the first
//!   thread). [`start`] blocks it in its own threads; but the kernel tells of the death of an adopted orphan through
//!   the main thread, and drops the signal when it is ignored there: orphans would then stay zombies until the next
//!   exit of a main process.
//! * The main thread never forks: its children are taken for adopted orphans, and reaped.
//! * An [`Observer`] and a reply run on the supervisor's thread. They must not block: hand over and return.
//! * A [`StdioProvider`] returns from `open`, however late: a start that never ends can't be stopped.
//!
//! # Example
//!
//! ```no_run
//! # use std::sync::Arc;
//! # fn example(
//! #     stdio: Arc<dyn supervisor::StdioProvider>,
//! #     prober: Arc<dyn supervisor::Prober>,
//! #     log: Box<dyn supervisor::Observer>,
//! # ) -> Result<(), supervisor::StartError> {
//! let config = supervisor::Config {
//!     spawners: supervisor::Config::SPAWNERS,
//!     containment: supervisor::Containment::Subreaper,
//!     base_env: std::env::vars_os().collect(),
//!     notify_dir: "/run/dd-procmgrd/notify".into(),
//!     process_dirs: "/run/dd-procmgrd/processes".into(),
//!     past: [].into(),
//! };
//! let (handle, thread) = supervisor::start(config, stdio, prober, log)?;
//! for process in handle.snapshot().processes {
//!     println!("{} {}", process.spec.name, process.state);
//! }
//! handle.submit(model::Command::Shutdown, Box::new(|_| ())).ok();
//! thread.join().ok();
//! # Ok(())
//! # }
//! ```

mod board;
mod containment;
mod driver;
mod handle;
mod inbox;
pub mod machine;
mod notify;
mod poller;
mod prober;
#[cfg(any(test, feature = "fuzzing"))]
pub mod properties;
mod spawner;
mod stdio;

pub use containment::Containment;
pub use handle::{Config, Handle, StartError, TurnStats, start};
pub use inbox::{AliveFn, ReplyFn};
pub use machine::{Helper, Notice, Role};
pub use notify::NoticeStats;
pub use prober::{ProbeDone, Prober};
pub use stdio::{Attach, ChildStdio, Observer, RunInfo, StdioError, StdioProvider};
