//! States that a user sees, and the reason for each.

use std::fmt;
use std::time::Duration;

use crate::{ExitStatus, HookKind, Lack, ProcessName, ProcessType, Signal, SpawnFailure};

/// The visible state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Down because nobody wants it up. Nothing that it ever spawned is alive.
    Stopped,
    /// On its way: its hooks run, it is being spawned, or it is not up yet as its type says.
    Starting,
    /// Up.
    Running,
    /// Was asked to reload and has not answered yet.
    Reloading,
    /// Being stopped: something of it is still alive.
    Stopping,
    /// Down; will be started when the delay is over.
    Backoff,
    /// Failed too often in too short a time; will be tried again when the cool-down is over.
    CrashLoop,
    /// Ended successfully by itself; its policy asks for no restart. With `remain_after_exit` it counts as up.
    Exited,
    /// Ended badly, or could not be started; its policy asks for no restart.
    Failed,
    /// Wanted up; waits for others that come first or that it needs.
    Waiting,
    /// Its definition is broken; it can't be started.
    Invalid,
    /// A condition kept it from starting.
    Skipped,
}

impl State {
    /// Every state, in the order of the documentation and the exposition.
    pub const ALL: [Self; 12] = [
        Self::Stopped,
        Self::Starting,
        Self::Running,
        Self::Reloading,
        Self::Stopping,
        Self::Backoff,
        Self::CrashLoop,
        Self::Exited,
        Self::Failed,
        Self::Waiting,
        Self::Invalid,
        Self::Skipped,
    ];

    /// What it means, in one sentence of the documentation.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Stopped => "Down because nobody wants it up. Nothing that it ever spawned is alive.",
            Self::Starting => {
                "On its way: its hooks run, it is being executed, or it is not up yet as its `type` says."
            }
            Self::Running => "Up.",
            Self::Reloading => "Up, and reading its configuration again.",
            Self::Stopping => {
                "Being stopped, or cleaned up after its end: something of it is alive, or its hooks run."
            }
            Self::Backoff => "Down after a failure; started again by itself when the delay is over.",
            Self::CrashLoop => {
                "Failed too often in too short a time; started again by itself when the cool-down is over."
            }
            Self::Exited => {
                "Ended successfully by itself, and its policy asks for no restart. With `remain_after_exit` it counts as up."
            }
            Self::Failed => "Ended badly or could not be started, and its policy asks for no restart.",
            Self::Waiting => {
                "Wanted up, and kept down by others: those that come first, that it needs, or that it conflicts with."
            }
            Self::Invalid => "Its definition is broken, and there was no good one before.",
            Self::Skipped => "A condition of its definition did not hold when it was to be started.",
        }
    }

    /// Its name in lists, labels and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Reloading => "reloading",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::CrashLoop => "crash_loop",
            Self::Exited => "exited",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Invalid => "invalid",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a process is in its state. `Display` is the sentence that a user reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Defined with `auto_start: false` and never started.
    NotStarted,
    /// It is wanted up: at boot, or because somebody asked.
    Wanted,
    /// This one, which was started, needs it.
    WantedBy(ProcessName),
    /// An operator stopped it.
    StoppedByOperator,
    /// It had failed, or was kept from starting, and an operator said to forget that.
    Reset,
    /// It needs this one, which goes down or is restarted.
    StoppedWith(ProcessName),
    /// This one was started, and the two can't be up together.
    ConflictsWith(ProcessName),
    /// A changed definition needs a new run.
    DefinitionChanged,
    /// An operator asked for a new run.
    RestartRequested,
    /// It is being removed.
    Removed,
    /// The daemon ends.
    Shutdown,
    /// The last run ended like this.
    Exited(ExitStatus),
    /// The last run could not be started.
    SpawnFailed(SpawnFailure),
    /// A hook failed: which, and how.
    HookFailed(HookKind, String),
    /// It ended like this before it was up as its type says.
    EndedBeforeReady(ProcessType, ExitStatus),
    /// It was not up within this time.
    StartTimedOut(Duration),
    /// It forked, but its daemon can't be found: why.
    NoMainProcess(String),
    /// It did not send `WATCHDOG=1` within this time.
    WatchdogExpired(Duration),
    /// Its health check failed too often; what the last one said.
    Unhealthy(String),
    /// The kernel killed its main process, as memory ran out: `memory_max`, where it has one.
    OutOfMemory(Option<u64>),
    /// This condition kept it from starting.
    ConditionFailed(String),
    /// A hook is running: which, its number, and of how many.
    RunsHook(HookKind, usize, usize),
    /// Executed, but not up yet as its type says.
    NotReadyYet(ProcessType),
    /// It said itself that it is stopping.
    StopAnnounced,
    /// `burst` automatic starts within `interval`, the last one ended as told.
    StartLimit {
        /// Allowed starts.
        burst: u32,
        /// Within this time.
        interval: Duration,
        /// How the last attempt ended.
        last: Box<Reason>,
    },
    /// These come first and are not up yet.
    WaitsFor(Vec<ProcessName>),
    /// It needs this one, which is not as far and won't be by itself soon.
    Lacks(ProcessName, Lack),
    /// These started after it and have to be down first.
    WaitsForStopOf(Vec<ProcessName>),
    /// Its main process is gone, these descendants are not.
    Leftovers(Vec<u32>),
    /// It did not end within `stop_timeout` and was sent this signal.
    StopTimedOut(Signal),
    /// The definition is broken: the message with file, line and column.
    Invalid(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("not started: auto_start is false"),
            Self::Wanted => f.write_str("wanted up"),
            Self::WantedBy(name) => write!(f, "wanted up by {name}"),
            Self::StoppedWith(name) => write!(f, "needs {name}, which went down or is restarted"),
            Self::ConflictsWith(name) => write!(f, "conflicts with {name}, which was started"),
            Self::HookFailed(hook, why) => write!(f, "{} failed: {why}", hook.as_str()),
            Self::EndedBeforeReady(kind, status) => {
                let until = if *kind == ProcessType::Notify { "it sent READY=1" } else { "it was up" };
                write!(f, "ended with {status} before {until}")
            }
            Self::StartTimedOut(timeout) => {
                write!(f, "was not up within start_timeout ({} s)", timeout.as_secs_f64())
            }
            Self::NoMainProcess(why) => write!(f, "its daemon can't be found: {why}"),
            Self::WatchdogExpired(timeout) => {
                write!(f, "sent no WATCHDOG=1 within watchdog_sec ({} s)", timeout.as_secs_f64())
            }
            Self::Unhealthy(message) => write!(f, "its health check failed too often: {message}"),
            Self::OutOfMemory(limit) => {
                f.write_str("killed by the kernel: out of memory")?;
                limit.map_or(Ok(()), |limit| write!(f, " (memory_max {})", Size(limit)))
            }
            Self::ConditionFailed(condition) => {
                write!(f, "condition_path_exists {condition} does not hold")
            }
            Self::RunsHook(hook, number, of) => write!(f, "runs {} {number} of {of}", hook.as_str()),
            Self::NotReadyYet(kind) => f.write_str(match kind {
                ProcessType::Simple => "is about to be up",
                ProcessType::Notify => "has not sent READY=1 yet",
                ProcessType::Oneshot => "does its work",
                ProcessType::Forking => "has not forked its daemon yet",
            }),
            Self::StopAnnounced => f.write_str("said that it is stopping"),
            Self::Lacks(name, lack) => write!(f, "needs {name}, which {lack}"),
            Self::StoppedByOperator => f.write_str("stopped by an operator"),
            Self::Reset => f.write_str("its failure was reset; nothing starts it again by itself"),
            Self::DefinitionChanged => f.write_str("its definition changed"),
            Self::RestartRequested => f.write_str("restart requested"),
            Self::Removed => f.write_str("being removed"),
            Self::Shutdown => f.write_str("the daemon is shutting down"),
            Self::Exited(status) => write!(f, "ended with {status}"),
            Self::SpawnFailed(failure) => write!(f, "could not start: {failure}"),
            Self::StartLimit { burst, interval, last } => {
                write!(f, "start limit reached ({burst} starts within {} s); {last}", interval.as_secs_f64())
            }
            Self::WaitsFor(names) => write!(f, "waits for {}", Names(names)),
            Self::WaitsForStopOf(names) => write!(f, "waits for the stop of {}", Names(names)),
            Self::Leftovers(pids) => {
                f.write_str("main process gone, still alive: pid")?;
                pids.iter().try_for_each(|p| write!(f, " {p}"))
            }
            Self::StopTimedOut(signal) => write!(f, "did not stop in time, sent {signal}"),
            Self::Invalid(message) => f.write_str(message),
        }
    }
}

impl Reason {
    /// The processes that keep it from what is wanted, as far as this reason names them.
    #[must_use]
    pub fn held_up_by(&self) -> &[ProcessName] {
        match self {
            Self::WaitsFor(names) | Self::WaitsForStopOf(names) => names,
            Self::Lacks(name, _) | Self::StoppedWith(name) => std::slice::from_ref(name),
            _ => &[],
        }
    }
}

/// As in a definition: the largest unit that leaves no rest.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = [("G", 30), ("M", 20), ("K", 10)]
            .into_iter()
            .find(|(_, shift)| self.0.trailing_zeros() >= *shift);
        match unit {
            Some((unit, shift)) if self.0 > 0 => write!(f, "{}{unit}", self.0 >> shift),
            _ => write!(f, "{} bytes", self.0),
        }
    }
}

struct Names<'a>(&'a [ProcessName]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
