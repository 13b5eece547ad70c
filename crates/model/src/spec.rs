//! A process as it shall be run: every value resolved, checked and with its unit.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::{
    DependencySpec, EnvironmentFile, ExitMatcher, ExitStatus, HealthSpec, HookSpec, IsolationSpec, LogSpec,
    ProcessId, ProcessName, ResourceLimits, Signal, StartSpec,
};

/// Where a definition came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file that an administrator or a package wrote, with the line of the process's name (1 = first).
    File {
        /// The file.
        path: PathBuf,
        /// The line on which the process's name stands.
        line: usize,
    },
    /// Created over the API and kept under the state directory.
    Runtime,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Runtime => f.write_str("pm-cli create"),
        }
    }
}

/// A complete definition.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSpec {
    /// Its name.
    pub name: ProcessName,
    /// Its stable id.
    pub id: ProcessId,
    /// Where it is defined.
    pub origin: Origin,
    /// One line for humans; may be empty.
    pub description: String,
    /// Names under which it is addressed together with others (`@web`).
    pub groups: Vec<String>,
    /// What to execute.
    pub exec: ExecSpec,
    /// How it comes up.
    pub start: StartSpec,
    /// Whether it is started with the daemon.
    pub auto_start: bool,
    /// Started after these and stopped before them (order only).
    pub after: Vec<ProcessName>,
    /// Started before these and stopped after them (order only).
    pub before: Vec<ProcessName>,
    /// What it needs of others.
    pub needs: DependencySpec,
    /// What follows an exit.
    pub restart: RestartSpec,
    /// How it is stopped.
    pub stop: StopSpec,
    /// What runs around it.
    pub hooks: HookSpec,
    /// Sent to the main process on `pm-cli reload` when there is no `exec_reload`.
    pub reload_signal: Signal,
    /// How it is asked whether it works.
    pub health: Option<HealthSpec>,
    /// The daemon ends, with this process's status, when it ends for good.
    pub critical: bool,
    /// Where its output goes.
    pub output: OutputSpec,
    /// How much of it is exported.
    pub metrics: MetricsDetail,
    /// How much of the machine a run may take as a whole. A change here is applied to the running process.
    pub limits: ResourceLimits,
}

impl ProcessSpec {
    /// A process with the documented default of every key but its command.
    #[must_use]
    pub fn new(name: ProcessName, id: ProcessId, origin: Origin, program: impl Into<String>) -> Self {
        Self {
            name,
            id,
            origin,
            description: String::new(),
            groups: Vec::new(),
            start: StartSpec::default(),
            exec: ExecSpec { program: program.into(), ..ExecSpec::default() },
            auto_start: true,
            after: Vec::new(),
            before: Vec::new(),
            needs: DependencySpec::default(),
            restart: RestartSpec::default(),
            stop: StopSpec::default(),
            hooks: HookSpec::default(),
            reload_signal: Signal::HUP,
            health: None,
            critical: false,
            output: OutputSpec::default(),
            metrics: MetricsDetail::default(),
            limits: ResourceLimits::default(),
        }
    }
}

/// Everything that execve(2) and the steps before it need. A change here needs a new run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// A path, or a name that is looked up in the child's PATH.
    pub program: String,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Working directory; `/` when none is given.
    pub working_dir: Option<PathBuf>,
    /// Variables set on top of the clean base environment.
    pub env: BTreeMap<String, String>,
    /// Files of variables, read at each start; `env` wins over them, and a later file over an earlier one.
    pub environment_files: Vec<EnvironmentFile>,
    /// Variables taken over from the daemon's own environment.
    pub inherit_env: InheritEnv,
    /// User name or number to run as; the daemon's own when none.
    pub user: Option<String>,
    /// Group name or number; the user's primary group when none.
    pub group: Option<String>,
    /// Supplementary groups; `None` = those of the user (initgroups(3)).
    pub supplementary_groups: Option<Vec<String>>,
    /// File mode creation mask; 0o022 when none is given.
    pub umask: Option<u32>,
    /// Limits, priorities, capabilities, directories.
    pub isolation: IsolationSpec,
}

/// Which variables of the daemon's environment a child gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InheritEnv {
    /// None: a clean environment.
    #[default]
    None,
    /// These, where they are set.
    Names(Vec<String>),
    /// All of them.
    All,
}

/// `restart:`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartPolicy {
    /// After every exit that was not asked for.
    Always,
    /// After a failure: a bad exit status, a signal, or a spawn that failed.
    #[default]
    OnFailure,
    /// After a successful exit only.
    OnSuccess,
    /// Never.
    Never,
}

impl RestartPolicy {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Always, Self::OnFailure, Self::OnSuccess, Self::Never];

    /// As written in a definition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OnFailure => "on-failure",
            Self::OnSuccess => "on-success",
            Self::Never => "never",
        }
    }
}

/// `on_start_limit:`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStartLimit {
    /// State `crash_loop`; tried again after a cool-down, again and again.
    #[default]
    Cooldown,
    /// State `failed`; an operator decides.
    Fail,
}

impl OnStartLimit {
    /// Every action.
    pub const ALL: [Self; 2] = [Self::Cooldown, Self::Fail];

    /// As written in a definition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown",
            Self::Fail => "fail",
        }
    }
}

/// What follows an exit.
#[derive(Clone, Debug, PartialEq)]
pub struct RestartSpec {
    /// When to restart at all.
    pub policy: RestartPolicy,
    /// First delay; doubles with each failure in a row. Zero = at once.
    pub delay: Duration,
    /// Largest delay.
    pub max_delay: Duration,
    /// Each delay is spread by up to this share of it, 0.0 to 1.0, so that many do not restart in step.
    pub jitter: f64,
    /// A run that lasted this long makes the delay fall back to its base.
    pub stable_after: Duration,
    /// Automatic starts allowed within `limit_interval`; 0 = no limit.
    pub limit_burst: u32,
    /// Length of the window that `limit_burst` counts in.
    pub limit_interval: Duration,
    /// What happens when the limit is reached.
    pub on_limit: OnStartLimit,
    /// Statuses that count as success beside exit code 0.
    pub success: Vec<ExitMatcher>,
    /// Statuses after which it is never restarted.
    pub prevent: Vec<ExitMatcher>,
}

impl Default for RestartSpec {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::default(),
            delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            jitter: 0.1,
            stable_after: Duration::from_secs(10),
            limit_burst: 5,
            limit_interval: Duration::from_secs(10),
            on_limit: OnStartLimit::default(),
            success: Vec::new(),
            prevent: Vec::new(),
        }
    }
}

impl RestartSpec {
    /// Whether the status counts as success.
    #[must_use]
    pub fn is_success(&self, status: ExitStatus) -> bool {
        status.is_zero() || self.success.iter().any(|m| m.matches(status))
    }
}

/// `kill_mode:`: who gets `kill_signal`. In every mode `stopped` means that nothing is left alive: what outlives
/// `stop_timeout` gets SIGKILL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KillMode {
    /// All of its processes get `kill_signal`.
    #[default]
    ControlGroup,
    /// The main process gets `kill_signal`; the rest gets SIGKILL as soon as the main process is gone.
    Mixed,
    /// The main process gets `kill_signal`; the rest has until `stop_timeout` to go by itself.
    Process,
}

impl KillMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::ControlGroup, Self::Mixed, Self::Process];

    /// As written in a definition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlGroup => "control-group",
            Self::Mixed => "mixed",
            Self::Process => "process",
        }
    }
}

/// `metrics:`: how much of a process is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricsDetail {
    /// Nothing but its part of the counts of all processes.
    Off,
    /// What tells whether it is up, how often it was restarted, and what it takes: a fifth of the series.
    Basic,
    /// Everything.
    #[default]
    Full,
}

impl MetricsDetail {
    /// Every one, the most first.
    pub const ALL: [Self; 3] = [Self::Full, Self::Basic, Self::Off];

    /// As written in a definition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Basic => "basic",
            Self::Off => "off",
        }
    }
}

/// How a process is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSpec {
    /// The polite signal.
    pub signal: Signal,
    /// Who gets it.
    pub mode: KillMode,
    /// Time until SIGKILL.
    pub timeout: Duration,
    /// Send SIGHUP right after `signal` (shells and what they started).
    pub send_sighup: bool,
}

impl Default for StopSpec {
    fn default() -> Self {
        Self {
            signal: Signal::TERM,
            mode: KillMode::default(),
            timeout: Duration::from_secs(10),
            send_sighup: false,
        }
    }
}

/// One of the two streams of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Stdout, Self::Stderr];

    /// `stdout` or `stderr`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// `stdout:` / `stderr:`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Through a pipe to `<logs>/<name>.log` and journald.
    #[default]
    Capture,
    /// Through a pipe to this file and journald.
    File(PathBuf),
    /// To /dev/null.
    Null,
    /// The daemon's own stdout or stderr.
    Inherit,
    /// This file is handed to the child; nothing is captured.
    Direct(PathBuf),
}

impl Output {
    /// Whether the daemon reads this stream.
    #[must_use]
    pub fn is_captured(&self) -> bool {
        matches!(self, Self::Capture | Self::File(_))
    }
}

/// As written in a definition: `capture`, `null`, `inherit`, `direct:/path` or a path.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture => f.write_str("capture"),
            Self::File(p) => write!(f, "{}", p.display()),
            Self::Null => f.write_str("null"),
            Self::Inherit => f.write_str("inherit"),
            Self::Direct(p) => write!(f, "direct:{}", p.display()),
        }
    }
}

/// Where output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputSpec {
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
    /// Standard output is a terminal, when it is captured: programs that buffer into a pipe print at once.
    pub pty: bool,
    /// What happens to captured lines. A change here is applied to the running process.
    pub log: LogSpec,
}

impl OutputSpec {
    /// The target of one stream.
    #[must_use]
    pub fn of(&self, stream: Stream) -> &Output {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }
}
