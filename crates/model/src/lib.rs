//! The vocabulary that every other crate speaks: names, definitions, states, commands, events, snapshots.
//!
//! Standard library only, no I/O, no clock, no serialisation: a wire or file format mirrors these types at
//! the edge (`config`, `rpc`), so that changing one of them never changes a promise made to a stranger.

mod command;
mod definition;
mod dependency;
mod event;
mod exit;
mod health;
mod id;
mod limits;
mod log;
mod plan;
mod signal;
mod snapshot;
mod spec;
mod start;
mod state;
mod time;

pub use command::{Command, Desired, InvalidDefinition, Refusal, Reply};
pub use definition::{Definition, LogDefinition};
pub use dependency::{Dependency, DependencySpec, Lack, Readiness};
pub use event::{Event, EventKind, ProcessRef};
pub use exit::{ExitMatcher, ExitReason, ExitStatus, SpawnFailure, SpawnStage, Usage};
pub use health::{HealthSpec, HealthState, HealthView, Probe};
pub use id::{IdError, InvocationId, NameError, ProcessId, ProcessName, RunId, RunNumber, Seq};
pub use limits::{Capabilities, Ceiling, IsolationSpec, LimitPair, ResourceLimits, Rlimit, Rlimits};
pub use log::{Compression, LineParser, LogFormat, LogSpec, Multiline, Overflow, RateLimit, Sink};
pub use plan::{Change, Impact, plan, plan_one};
pub use signal::Signal;
pub use snapshot::{Counters, LastExit, NextAction, NextActionKind, ProcessView, RunView, Snapshot};
pub use spec::{
    ExecSpec, InheritEnv, KillMode, MetricsDetail, OnStartLimit, Origin, Output, OutputSpec, ProcessSpec,
    RestartPolicy, RestartSpec, StopSpec, Stream,
};
pub use start::{
    CommandLine, EnvironmentFile, Hook, HookKind, HookSpec, PathCondition, ProcessType, StartSpec,
    is_shell_word,
};
pub use state::{Reason, State};
pub use time::{Mono, Stamp, Wall};
