//! What goes into the machine and what comes out of it: two closed sets, both plain data.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{
    Command, CommandLine, Event, ExitStatus, HookKind, InvocationId, Probe, ProcessName, ProcessSpec,
    Refusal, Reply, ResourceLimits, RunId, RunNumber, Signal, SpawnFailure, Usage,
};

/// Names a caller who waits for an answer. Chosen by the driver; the machine only hands it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Everything that can happen to the supervisor.
///
/// The driver owes this order: `Spawned`, `SpawnFailed` or `Skipped` of a run exactly once; `Exited` exactly once for
/// each main process and only after `Spawned`; `Leftovers` only after `Exited`. A run has a second main process after
/// `MainFound`, and then a second `Exited`. What a process says of itself comes before its exit. An input whose run is
/// not a current one of its process is dropped and counted in
/// [`Machine::stale_inputs`](super::Machine::stale_inputs).
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Somebody asks for something.
    Command {
        /// Whom to answer.
        ticket: Ticket,
        /// What is asked.
        command: Command,
    },
    /// The program of this run was executed.
    Spawned {
        /// The run.
        run: RunId,
        /// Its main process.
        pid: u32,
    },
    /// This run never began.
    SpawnFailed {
        /// The run.
        run: RunId,
        /// Where and why.
        failure: SpawnFailure,
    },
    /// This run was not begun: a condition of its definition does not hold.
    Skipped {
        /// The run.
        run: RunId,
        /// The condition, as written in the definition.
        condition: String,
    },
    /// Somebody of this run spoke on its notification socket. Who may speak is the driver's to check.
    Notified {
        /// The run.
        run: RunId,
        /// What was said.
        notice: Notice,
    },
    /// The answer to [`Effect::FindMain`]: this member of the run is its main process from now on, watched and reaped.
    MainFound {
        /// The run.
        run: RunId,
        /// Its pid.
        pid: u32,
    },
    /// The answer to [`Effect::FindMain`] when there is none to be found.
    MainNotFound {
        /// The run.
        run: RunId,
        /// Why, in words.
        problem: String,
    },
    /// The answer to [`Effect::Probe`].
    Probed {
        /// The check's id.
        run: RunId,
        /// Healthy, or what is wrong, in words.
        result: Result<(), String>,
    },
    /// The main process of this run ended.
    Exited {
        /// The run.
        run: RunId,
        /// How.
        status: ExitStatus,
        /// What it used.
        usage: Usage,
        /// What it had spawned and is still alive. Empty = nothing.
        leftovers: Vec<u32>,
    },
    /// The kernel killed processes of this run for lack of memory, the main process perhaps among them: then `Exited`
    /// follows.
    OomKilled {
        /// The run.
        run: RunId,
        /// How many, since it was told last.
        kills: u64,
    },
    /// The answer to [`Effect::Limit`]; also comes after `Spawned` when not all limits are in force.
    Limited {
        /// The run.
        run: RunId,
        /// The limits that were to be set.
        limits: ResourceLimits,
        /// What of them is not in force, in words.
        degraded: Option<String>,
    },
    /// The leftovers of this run changed after its main process ended. Empty = nothing is alive any more.
    Leftovers {
        /// The run.
        run: RunId,
        /// Those alive.
        pids: Vec<u32>,
    },
    /// The moment that [`Machine::next_deadline`](super::Machine::next_deadline) named has come.
    Deadline,
}

/// What a process said of itself in one datagram (sd_notify(3)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// `READY=1`
    pub ready: bool,
    /// `RELOADING=1`
    pub reloading: bool,
    /// `STOPPING=1`
    pub stopping: bool,
    /// `STATUS=`
    pub status: Option<String>,
    /// `MAINPID=`: verified to be a member of the run, and already watched as its main process.
    pub main_pid: Option<u32>,
    /// `WATCHDOG=1`
    pub watchdog_ping: bool,
    /// `WATCHDOG=trigger`
    pub watchdog_trigger: bool,
    /// `WATCHDOG_USEC=`
    pub watchdog_every: Option<Duration>,
    /// `EXTEND_TIMEOUT_USEC=`
    pub extend: Option<Duration>,
}

/// Why a command runs beside or instead of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A hook.
    Hook(HookKind),
    /// A health check of type exec.
    HealthCheck,
}

/// A command that runs for a process: as its user, in its environment, with its limits. It is a run of its own, so that
/// it can be killed with all that it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// What its descendants are recognized by, as those of a main process by the run's invocation id.
    pub id: InvocationId,
    /// Why it runs.
    pub role: Role,
    /// What is executed.
    pub command: CommandLine,
    /// Variables on top of the process's own.
    pub env: Vec<(&'static str, String)>,
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The main process.
    Main,
    /// Everything that the run ever spawned and that is alive.
    All,
}

/// What the driver shall do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Execute the program, or a helper; answered by `Spawned`, `SpawnFailed` or `Skipped`.
    Spawn {
        /// Its id in every later input and effect.
        run: RunId,
        /// The number of the run that it is or helps: 1, 2, … for this process.
        number: RunNumber,
        /// The 128-bit id of the run that it is or helps.
        invocation: InvocationId,
        /// The definition in force.
        spec: Arc<ProcessSpec>,
        /// A helper to execute instead of the program.
        helper: Option<Helper>,
        /// Whether the definition's conditions are checked first: it is the first thing that a start executes.
        first: bool,
    },
    /// Find the daemon that a forking program left behind; answered by `MainFound` or `MainNotFound`, or never when the
    /// run is released before. Waits for the pidfile as long as something of the run is alive.
    FindMain {
        /// The run, whose first process has ended.
        run: RunId,
        /// Where it writes its pid; `None` = the only process that is left of the run is meant.
        pidfile: Option<PathBuf>,
    },
    /// Ask over the network whether the process is healthy; answered by `Probed`, within the timeout.
    Probe {
        /// The check's id.
        run: RunId,
        /// What to ask; never [`Probe::Exec`].
        probe: Probe,
        /// Longest wait.
        timeout: Duration,
    },
    /// Send a signal once. A process that is gone already is no error: `Exited` or `Leftovers` tells.
    Signal {
        /// The run.
        run: RunId,
        /// The signal.
        signal: Signal,
        /// Who gets it.
        target: Target,
    },
    /// SIGKILL everything that the run ever spawned, and again whatever it spawns meanwhile, until nothing is
    /// left: told by `Exited` (for the main process) and `Leftovers`.
    Kill {
        /// The run.
        run: RunId,
    },
    /// Nothing of this run is alive: let go of its descriptors and its cgroup.
    Release {
        /// The run.
        run: RunId,
    },
    /// Change the limits of a run that is there; answered by `Limited`.
    Limit {
        /// The run.
        run: RunId,
        /// Whose it is.
        process: ProcessName,
        /// Its 128-bit id.
        invocation: InvocationId,
        /// What holds.
        old: ResourceLimits,
        /// What shall hold.
        new: ResourceLimits,
    },
    /// Remove the directories that were made for the runs of a process up to this one.
    CleanUp {
        /// The process.
        process: ProcessName,
        /// The number of the run, which is over.
        run: RunNumber,
    },
    /// The output settings of a process changed while it may be running.
    Configure {
        /// The definition now in force.
        spec: Arc<ProcessSpec>,
    },
    /// The process left the table.
    Forget {
        /// Its name.
        name: ProcessName,
    },
    /// Tell the observers.
    Emit(Event),
    /// Answer a caller. Each ticket gets exactly one answer.
    Reply {
        /// Whom.
        ticket: Ticket,
        /// What.
        result: Result<Reply, Refusal>,
    },
}
