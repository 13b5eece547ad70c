//! What happened, as data: one variant per thing that an operator may want to see, count or be woken by.

use std::time::Duration;

use crate::{
    ExitReason, ExitStatus, HealthState, HookKind, InvocationId, ProcessId, ProcessName, Reason, RunNumber,
    Seq, Signal, SpawnFailure, Stamp, Usage,
};

/// Which process an event or a line belongs to. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRef {
    /// Its name.
    pub name: ProcessName,
    /// Its stable id.
    pub id: ProcessId,
}

/// One happening.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its number: no gaps within the daemon's life.
    pub seq: Seq,
    /// When.
    pub at: Stamp,
    /// Of which process.
    pub process: ProcessRef,
    /// The run it concerns: number and invocation id, where there is one.
    pub run: Option<(RunNumber, InvocationId)>,
    /// Its main process, where there is one.
    pub pid: Option<u32>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// A definition came into the table.
    Created,
    /// The definition in force changed; the keys that differ.
    Updated {
        /// Keys, as written in a definition.
        keys: Vec<&'static str>,
    },
    /// The process left the table.
    Removed,
    /// A definition is broken; the message with file, line and column.
    Invalid {
        /// The message.
        problem: String,
    },
    /// The program was executed.
    Started {
        /// From the decision to the successful exec.
        took: Duration,
    },
    /// It is up as its type says; not told of a simple one without hooks, which is up once it is started.
    Ready {
        /// From the decision to start it.
        took: Duration,
    },
    /// The program could not be executed.
    SpawnFailed(SpawnFailure),
    /// A condition kept it from starting.
    Skipped {
        /// The condition.
        condition: String,
    },
    /// It can't be started: what it needs is not there. Told once for each reason.
    Held {
        /// Why.
        reason: Reason,
    },
    /// A hook failed.
    HookFailed {
        /// Which.
        hook: HookKind,
        /// How.
        why: String,
        /// Whether that is all.
        ignored: bool,
    },
    /// It was not up within `start_timeout`.
    StartTimedOut {
        /// The time that was given.
        timeout: Duration,
    },
    /// No `WATCHDOG=1` came within `watchdog_sec`.
    WatchdogExpired {
        /// The time that was given.
        timeout: Duration,
    },
    /// Its health changed.
    Health {
        /// What it is now.
        state: HealthState,
        /// What the last failure said.
        message: String,
    },
    /// It is made to read its configuration again.
    Reloading,
    /// It did.
    Reloaded,
    /// It has another main process from now on.
    MainProcess {
        /// Its pid.
        pid: u32,
    },
    /// A `critical` process ended for good: the daemon ends with this exit code.
    CriticalEnded {
        /// The code.
        code: u8,
    },
    /// The kernel killed processes of it, as memory ran out. When the main process is among them, `Exited` follows.
    OomKilled {
        /// How many.
        kills: u64,
    },
    /// It runs, but something of its definition can't be done on this machine.
    Degraded {
        /// What, and the way out.
        problem: String,
    },
    /// The main process ended.
    Exited {
        /// How.
        status: ExitStatus,
        /// How that is counted.
        reason: ExitReason,
        /// How long it had run.
        ran: Duration,
        /// What it used.
        usage: Usage,
    },
    /// A restart will happen after `delay`.
    RestartScheduled {
        /// The delay, jitter included.
        delay: Duration,
        /// Automatic restarts so far, this one included.
        restarts: u64,
    },
    /// The start limit was reached.
    StartLimitReached {
        /// Allowed starts.
        burst: u32,
        /// Within this time.
        interval: Duration,
        /// Time until the next try; `None` = an operator decides.
        cooldown: Option<Duration>,
    },
    /// The stop began.
    Stopping {
        /// The signal sent.
        signal: Signal,
    },
    /// `stop_timeout` is over: SIGKILL to everything.
    StopTimedOut {
        /// The time that was given.
        timeout: Duration,
    },
    /// The main process is gone but these are not; they are being killed.
    LeftoversKilled {
        /// Their pids.
        pids: Vec<u32>,
    },
    /// These survived SIGKILL (state D); they stay tracked.
    Survivors {
        /// Their pids.
        pids: Vec<u32>,
    },
    /// Nothing of it is alive any more, as asked.
    Stopped,
}

impl EventKind {
    /// Every name that [`EventKind::as_str`] gives.
    pub const NAMES: [&str; 27] = [
        "created",
        "updated",
        "removed",
        "invalid",
        "started",
        "ready",
        "spawn_failed",
        "skipped",
        "held",
        "hook_failed",
        "start_timed_out",
        "watchdog_expired",
        "health",
        "reloading",
        "reloaded",
        "main_process",
        "critical_ended",
        "oom_killed",
        "degraded",
        "exited",
        "restart_scheduled",
        "start_limit_reached",
        "stopping",
        "stop_timed_out",
        "leftovers_killed",
        "survivors",
        "stopped",
    ];

    /// EVENT= in the journal and `kind` in the API.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated { .. } => "updated",
            Self::Removed => "removed",
            Self::Invalid { .. } => "invalid",
            Self::Started { .. } => "started",
            Self::Ready { .. } => "ready",
            Self::SpawnFailed(_) => "spawn_failed",
            Self::Skipped { .. } => "skipped",
            Self::Held { .. } => "held",
            Self::HookFailed { .. } => "hook_failed",
            Self::StartTimedOut { .. } => "start_timed_out",
            Self::WatchdogExpired { .. } => "watchdog_expired",
            Self::Health { .. } => "health",
            Self::Reloading => "reloading",
            Self::Reloaded => "reloaded",
            Self::MainProcess { .. } => "main_process",
            Self::CriticalEnded { .. } => "critical_ended",
            Self::OomKilled { .. } => "oom_killed",
            Self::Degraded { .. } => "degraded",
            Self::Exited { .. } => "exited",
            Self::RestartScheduled { .. } => "restart_scheduled",
            Self::StartLimitReached { .. } => "start_limit_reached",
            Self::Stopping { .. } => "stopping",
            Self::StopTimedOut { .. } => "stop_timed_out",
            Self::LeftoversKilled { .. } => "leftovers_killed",
            Self::Survivors { .. } => "survivors",
            Self::Stopped => "stopped",
        }
    }
}
