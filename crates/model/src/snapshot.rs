//! What readers see: plain immutable data, published by the supervisor after each turn.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    ExitReason, ExitStatus, HealthView, InvocationId, ProcessSpec, Reason, RunId, RunNumber, Seq, Stamp,
    State, Usage, Wall,
};

/// All processes at one moment, sorted by name.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Number of the last event that this snapshot reflects.
    pub seq: Seq,
    /// The processes.
    pub processes: Vec<Arc<ProcessView>>,
}

/// One process at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessView {
    /// The definition in force (a placeholder when the state is `invalid`).
    pub spec: Arc<ProcessSpec>,
    /// What it is.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Wall,
    /// Whether somebody wants it up.
    pub wanted_up: bool,
    /// The live run, or the one being stopped.
    pub run: Option<RunView>,
    /// What the supervisor will do by itself, and when.
    pub next: Option<NextAction>,
    /// How the last finished runs ended, newest first; at most [`ProcessView::EXITS`].
    pub exits: Arc<[LastExit]>,
    /// What it said of itself (`STATUS=`, sd_notify(3)); empty when it said nothing.
    pub status: String,
    /// Its health, while it is up and has a health check.
    pub health: Option<HealthView>,
    /// They never go down while the process is defined.
    pub counters: Counters,
    /// A newer definition that is broken and therefore not in force.
    pub problem: Option<String>,
    /// What of its definition can't be done on this machine, although it runs.
    pub degraded: Option<String>,
}

impl ProcessView {
    /// Past runs that are remembered. One takes some 200 bytes.
    pub const EXITS: usize = 5;

    /// One that was never started, and that nobody wants up.
    #[must_use]
    pub fn new(spec: Arc<ProcessSpec>, since: Wall) -> Self {
        Self {
            spec,
            state: State::Stopped,
            reason: Reason::NotStarted,
            since,
            wanted_up: false,
            run: None,
            next: None,
            exits: Arc::new([]),
            status: String::new(),
            health: None,
            counters: Counters::default(),
            problem: None,
            degraded: None,
        }
    }

    /// How the last finished run ended.
    #[must_use]
    pub fn last_exit(&self) -> Option<&LastExit> {
        self.exits.first()
    }
}

/// A live run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunView {
    /// Unique within the daemon's life.
    pub id: RunId,
    /// 1, 2, … for this process.
    pub number: RunNumber,
    /// 128-bit id.
    pub invocation: InvocationId,
    /// Main process; `None` while it is being spawned, and once it is gone and only leftovers are left.
    pub pid: Option<u32>,
    /// When the program was executed. How long that is ago is for the monotonic half to say: the clock may have been set.
    pub started: Stamp,
}

/// What comes next without anybody asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextAction {
    /// What.
    pub kind: NextActionKind,
    /// When.
    pub at: Wall,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextActionKind {
    /// It will be started.
    Start,
    /// It will be sent SIGKILL.
    Kill,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LastExit {
    /// Its number.
    pub run: RunNumber,
    /// How it ended; `None` = it never began.
    pub status: Option<ExitStatus>,
    /// Why, when the status does not tell: what failed, or what the supervisor stopped it for.
    pub cause: Option<Reason>,
    /// How that is counted.
    pub reason: ExitReason,
    /// When.
    pub at: Wall,
    /// How long it ran.
    pub ran: Duration,
    /// What it used.
    pub usage: Usage,
}

/// Counts of a process. They go on where an earlier daemon with the same state directory left them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Runs begun: the number of the last one. More than `starts` when some never reached exec.
    pub runs: u64,
    /// Automatic restarts.
    pub restarts: u64,
    /// All starts that reached exec, automatic or asked for.
    pub starts: u64,
    /// Ends by reason, in the order of [`ExitReason::ALL`].
    pub exits: [u64; ExitReason::ALL.len()],
    /// CPU time of finished runs, so that the exported counter is monotonic over runs.
    pub cpu: Duration,
    /// Processes of it that the kernel killed, as memory ran out; known where cgroups account for memory.
    pub oom_kills: u64,
}

impl Counters {
    /// Deleted processes whose last run number is remembered; the oldest is forgotten.
    pub const DELETED: usize = 4096;
}

impl Snapshot {
    /// Number of processes in each state, in the order of [`State::ALL`].
    #[must_use]
    pub fn count_by_state(&self) -> [usize; State::ALL.len()] {
        State::ALL.map(|s| self.processes.iter().filter(|p| p.state == s).count())
    }
}
