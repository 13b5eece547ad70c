//! One process: what is wanted of it (goal) and what it is (phase).
//!
//! | phase \ goal | Up                                  | Down                             | Gone            |
//! |--------------|-------------------------------------|----------------------------------|-----------------|
//! | Down         | `waiting`: started once unblocked   | at rest                          | removed         |
//! | Starting     | on its way                          | stopped as soon as it is up      | as Down         |
//! | Up           | `running`                           | stopped once its successors are  | as Down         |
//! | Stopping     | started again when nothing is left  | at rest when nothing is left     | removed then    |
//! | Backoff      | started when the delay is over      | cancelled, at rest               | removed         |
//!
//! A phase owns its data, so that a pid without a run or a deadline without a reason can't be written down.

use std::sync::Arc;

use model::{
    Counters, InvocationId, LastExit, Mono, ProcessSpec, Reason, RunId, RunNumber, Stamp, State, Wall,
};

use super::io::Ticket;
use super::restart::{Ended, StartRecord};

/// A process's place in the table; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(pub(super) u32);

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Up,
    Down,
    /// Down, then out of the table.
    Gone,
}

/// One incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) number: RunNumber,
    pub(super) invocation: InvocationId,
}

/// Why a process at rest is at rest.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rest {
    /// Nobody wants it up; the reason is the process's `cause`.
    Stopped,
    /// Ended well by itself.
    Exited(Reason),
    /// Ended badly, or never began, and the policy gives up.
    Failed(Reason),
    /// It has no usable definition.
    Invalid(String),
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Asked politely; SIGKILL follows at this moment.
    Polite { until: Mono, wall: Wall },
    /// SIGKILL was sent; survivors are reported at this moment.
    Killed { until: Mono },
    /// Even SIGKILL did not end it (state D). Tracked until it goes.
    Surviving,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    Down(Rest),
    Starting {
        run: Run,
        since: Mono,
        /// The definition changed after the spawn began: replace the run as soon as it is up.
        replace: bool,
    },
    Up {
        run: Run,
        pid: u32,
        started: Stamp,
    },
    Stopping {
        run: Run,
        /// The main process, while it lives.
        pid: Option<u32>,
        started: Stamp,
        /// Descendants known to be alive after the main process ended.
        leftovers: Vec<u32>,
        /// How the main process ended, when it did so without being asked: the restart policy decides.
        unasked: Option<Ended>,
        level: Level,
    },
    Backoff {
        until: Mono,
        wall: Wall,
        ended: Ended,
        crash_loop: bool,
    },
}

impl Phase {
    /// The one moment at which this phase wants to be woken.
    pub(super) fn deadline(&self) -> Option<Mono> {
        match self {
            Self::Stopping { level: Level::Polite { until, .. } | Level::Killed { until }, .. }
            | Self::Backoff { until, .. } => Some(*until),
            Self::Stopping { level: Level::Surviving, .. }
            | Self::Down(_)
            | Self::Starting { .. }
            | Self::Up { .. } => None,
        }
    }

    /// The run that inputs may speak of.
    pub(super) fn run(&self) -> Option<Run> {
        match self {
            Self::Starting { run, .. } | Self::Up { run, .. } | Self::Stopping { run, .. } => Some(*run),
            Self::Down(_) | Self::Backoff { .. } => None,
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Self::Up { pid, .. } => Some(*pid),
            Self::Stopping { pid, .. } => *pid,
            Self::Down(_) | Self::Starting { .. } | Self::Backoff { .. } => None,
        }
    }
}

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Up,
    Down,
    Gone,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) spec: Arc<ProcessSpec>,
    pub(super) goal: Goal,
    /// Why the goal is what it is.
    pub(super) cause: Reason,
    pub(super) phase: Phase,
    /// The visible state as last published, and since when.
    pub(super) shown: (State, Wall),
    pub(super) last_number: RunNumber,
    pub(super) record: StartRecord,
    pub(super) counters: Counters,
    pub(super) exits: Arc<[LastExit]>,
    /// Callers that wait for an outcome. Bounded by the driver's ticket queue.
    pub(super) waiters: Vec<(Ticket, Want)>,
    /// A newer definition that is broken and therefore not in force.
    pub(super) problem: Option<String>,
}
