//! What goes into the machine and what comes out of it: two closed sets, both plain data.

use std::sync::Arc;

use model::{
    Command, Event, ExitStatus, InvocationId, ProcessName, ProcessSpec, Refusal, Reply, RunId, RunNumber,
    Signal, SpawnFailure, Usage,
};

/// Names a caller who waits for an answer. Chosen by the driver; the machine only hands it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Everything that can happen to the supervisor.
///
/// The driver owes this order: `Spawned` or `SpawnFailed` of a run exactly once, `Exited` exactly once and only
/// after `Spawned`, `Leftovers` only after `Exited`. An input whose run is not the process's current one is
/// dropped and counted in [`Machine::stale_inputs`](super::Machine::stale_inputs).
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
    /// Execute the program; answered by `Spawned` or `SpawnFailed`.
    Spawn {
        /// The run's id in every later input and effect.
        run: RunId,
        /// 1, 2, … for this process.
        number: RunNumber,
        /// Its 128-bit id.
        invocation: InvocationId,
        /// What to execute.
        spec: Arc<ProcessSpec>,
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
