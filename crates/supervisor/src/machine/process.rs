//! One process: what is wanted of it (goal) and what it is (phase).
//!
//! | phase \ goal | Up                                   | Down                             | Gone            |
//! |--------------|--------------------------------------|----------------------------------|-----------------|
//! | Down         | `waiting`: started once unblocked    | at rest                          | removed         |
//! | Preparing    | hooks run, then it is spawned        | hooks are killed, then finished  | as Down         |
//! | Starting     | on its way                           | stopped as soon as it is up      | as Down         |
//! | Up           | `starting`, later `running`          | stopped once its successors are  | as Down         |
//! | Remaining    | counts as up                         | finished once its successors are | as Down         |
//! | Stopping     | started again when nothing is left   | at rest when nothing is left     | removed then    |
//! | Finishing    | hooks run, then the policy decides   | hooks run, then at rest          | removed then    |
//! | Backoff      | started when the delay is over       | cancelled, at rest               | removed         |
//!
//! A phase owns its data, so that a pid without a run or a deadline without a reason can't be written down.

use std::collections::VecDeque;
use std::sync::Arc;

use model::{
    Counters, ExitStatus, Hook, HookKind, InvocationId, LastExit, Mono, ProcessSpec, Reason, ResourceLimits,
    RunId, RunNumber, Stamp, State, Wall,
};

use super::health::Health;
use super::helper::HelperRun;
use super::io::Ticket;
use super::limits::Limits;
use super::notice::{Reload, Watchdog};
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
    /// This condition does not hold.
    Skipped(String),
    /// It has no usable definition.
    Invalid(String),
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// `exec_stop` runs: the hook of this index.
    Hook { next: usize },
    /// Asked politely; SIGKILL follows at this moment.
    Polite { until: Mono, wall: Wall },
    /// SIGKILL was sent; survivors are reported at this moment.
    Killed { until: Mono },
    /// Even SIGKILL did not end it (state D). Tracked until it goes.
    Surviving,
}

/// What is made of the end of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It was asked for: the goal alone decides what follows.
    Asked,
    /// The process said that it is stopping, and will show how.
    Announced,
    /// It ended by itself, or had to be stopped because it failed: the restart policy decides.
    Ended(Ended),
}

/// How far a run that was executed has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not yet up as its type says; it has until then.
    Activating { until: Option<Mono> },
    /// `exec_start_post` runs: the hook of this index.
    Post { next: usize },
    /// Up.
    Ready,
}

/// A run that was executed and is not being stopped.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Live {
    pub(super) run: Run,
    /// The main process; `None` while the daemon of a forking program is looked for.
    pub(super) pid: Option<u32>,
    /// When it was decided to start it.
    pub(super) since: Stamp,
    /// When the program was executed.
    pub(super) started: Stamp,
    pub(super) stage: Stage,
    /// What the first process of a forking program left behind, until its daemon is found.
    pub(super) leftovers: Vec<u32>,
    pub(super) health: Option<Health>,
    pub(super) watchdog: Option<Watchdog>,
    pub(super) reload: Reload,
    pub(super) limits: Limits,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    Down(Rest),
    /// `exec_start_pre` runs: the hook of this index.
    Preparing {
        run: Run,
        since: Stamp,
        next: usize,
    },
    /// The program is being executed, with these limits.
    Starting {
        run: Run,
        since: Stamp,
        limits: ResourceLimits,
    },
    Up(Box<Live>),
    Stopping {
        run: Run,
        /// The main process, while it lives.
        pid: Option<u32>,
        started: Stamp,
        /// Descendants known to be alive after the main process ended.
        leftovers: Vec<u32>,
        verdict: Verdict,
        level: Level,
    },
    /// Nothing of the run is alive; these hooks are left to run, the first of them is running.
    Finishing {
        run: Run,
        hooks: VecDeque<(HookKind, Hook)>,
        verdict: Verdict,
        /// A oneshot that ended well and counts as up from then on.
        remain: bool,
    },
    /// A oneshot that ended well counts as up.
    Remaining {
        run: Run,
        status: ExitStatus,
    },
    Backoff {
        until: Mono,
        wall: Wall,
        ended: Ended,
        crash_loop: bool,
    },
}

impl Phase {
    /// The run that the driver knows of.
    pub(super) fn run(&self) -> Option<Run> {
        match self {
            Self::Starting { run, .. } | Self::Stopping { run, .. } => Some(*run),
            Self::Up(live) => Some(live.run),
            Self::Down(_)
            | Self::Preparing { .. }
            | Self::Finishing { .. }
            | Self::Remaining { .. }
            | Self::Backoff { .. } => None,
        }
    }

    /// The run that events and hooks belong to.
    pub(super) fn context(&self) -> Option<Run> {
        match self {
            Self::Preparing { run, .. } | Self::Finishing { run, .. } | Self::Remaining { run, .. } => {
                Some(*run)
            }
            Self::Starting { .. } | Self::Up(_) | Self::Stopping { .. } => self.run(),
            Self::Down(_) | Self::Backoff { .. } => None,
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Self::Up(live) => live.pid,
            Self::Stopping { pid, .. } => *pid,
            _ => None,
        }
    }

    /// The one moment at which this phase wants to be woken.
    fn deadline(&self) -> Option<Mono> {
        match self {
            Self::Stopping { level: Level::Polite { until, .. } | Level::Killed { until }, .. }
            | Self::Backoff { until, .. } => Some(*until),
            Self::Up(live) => {
                let activating = match live.stage {
                    Stage::Activating { until } => until,
                    Stage::Post { .. } | Stage::Ready => None,
                };
                let watchdog = live.watchdog.map(|w| w.until);
                let health = live.health.as_ref().and_then(Health::due);
                [activating, watchdog, health].into_iter().flatten().min()
            }
            _ => None,
        }
    }

    /// Whether something of it is alive, or its hooks run.
    pub(super) fn is_busy(&self) -> bool {
        !matches!(self, Self::Down(_) | Self::Remaining { .. } | Self::Backoff { .. })
    }

    /// Whether it counts as up.
    pub(super) fn is_up(&self) -> bool {
        match self {
            Self::Up(live) => live.stage == Stage::Ready,
            Self::Remaining { .. } => true,
            _ => false,
        }
    }
}

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Up,
    Down,
    Gone,
    Reloaded,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) spec: Arc<ProcessSpec>,
    pub(super) goal: Goal,
    /// Why the goal is what it is.
    pub(super) cause: Reason,
    /// The current run is to be replaced by a new one although it is wanted up: why.
    pub(super) renew: Option<Reason>,
    pub(super) phase: Phase,
    /// Hooks and checks that are alive. At most one hook and one check, and those that are being killed.
    pub(super) helpers: Vec<HelperRun>,
    /// Its entry among the timers.
    pub(super) timer: Option<Mono>,
    /// The visible state as last published, and since when.
    pub(super) shown: (State, Stamp),
    /// What it said of itself; at most 512 bytes (the driver cuts).
    pub(super) status: String,
    /// Whether directories were made for its runs, which are to be removed.
    pub(super) directories: bool,
    /// Why it could not be started although it is wanted up, as told last.
    pub(super) held: Option<Reason>,
    pub(super) record: StartRecord,
    pub(super) counters: Counters,
    pub(super) exits: Arc<[LastExit]>,
    /// Callers that wait for an outcome. Bounded by the driver's ticket queue.
    pub(super) waiters: Vec<(Ticket, Want)>,
    /// A newer definition that is broken and therefore not in force.
    pub(super) problem: Option<String>,
}

impl Process {
    /// When it wants to be woken.
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.helpers.iter().filter_map(|h| h.until).chain(self.phase.deadline()).min()
    }

    pub(super) fn live(&self) -> Option<&Live> {
        match &self.phase {
            Phase::Up(live) => Some(live),
            _ => None,
        }
    }

    pub(super) fn live_mut(&mut self) -> Option<&mut Live> {
        match &mut self.phase {
            Phase::Up(live) => Some(live),
            _ => None,
        }
    }
}
