//! How a run ended, or why it never began.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::Signal;

/// Wait status of a main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// Ended by itself with this code (0 to 255).
    Code(u8),
    /// Ended by a signal; `core` when it dumped core.
    Signal {
        /// The signal.
        signal: Signal,
        /// Whether a core was dumped.
        core: bool,
    },
    /// It ended, but nobody can say how (it was not our child any more).
    Unknown,
}

impl ExitStatus {
    /// Whether this is exit code 0.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::Code(0)
    }

    /// The shell's number: the code, or 128 + signal; 255 when unknown.
    #[must_use]
    pub fn shell_code(self) -> u8 {
        match self {
            Self::Code(c) => c,
            Self::Signal { signal, .. } => 128 + u8::try_from(signal.number()).unwrap_or(127),
            Self::Unknown => 255,
        }
    }
}

/// `exit code 3`, `SIGKILL`, `SIGSEGV (core dumped)`.
impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(c) => write!(f, "exit code {c}"),
            Self::Signal { signal, core: false } => write!(f, "{signal}"),
            Self::Signal { signal, core: true } => write!(f, "{signal} (core dumped)"),
            Self::Unknown => f.write_str("unknown status"),
        }
    }
}

/// Why a run ended, as a small fixed set: the values of the `reason` label of exits_total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitReason {
    /// A status that counts as success (0, or one of `success_exit_status`), not asked for.
    Success,
    /// Another exit code.
    ExitCode,
    /// A signal that the supervisor did not send.
    Signal,
    /// The supervisor stopped it (stop, restart, reload, shutdown).
    Stopped,
    /// It never began: the program could not be executed.
    SpawnFailed,
    /// It never began or was stopped again: an `exec_start_pre` or `exec_start_post` failed.
    HookFailed,
    /// Stopped by the supervisor: it was not up within `start_timeout`, or ended before it was.
    NotReady,
    /// Stopped by the supervisor: no `WATCHDOG=1` within `watchdog_sec`.
    Watchdog,
    /// Stopped by the supervisor: `restart_after` health checks failed in a row.
    Unhealthy,
    /// The kernel killed its main process, as memory ran out.
    Oom,
}

impl ExitReason {
    /// Every reason, in the order of the exposition.
    pub const ALL: [Self; 10] = [
        Self::Success,
        Self::ExitCode,
        Self::Signal,
        Self::Stopped,
        Self::SpawnFailed,
        Self::HookFailed,
        Self::NotReady,
        Self::Watchdog,
        Self::Unhealthy,
        Self::Oom,
    ];

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ExitCode => "exit_code",
            Self::Signal => "signal",
            Self::Stopped => "stopped",
            Self::SpawnFailed => "spawn_failed",
            Self::HookFailed => "hook_failed",
            Self::NotReady => "not_ready",
            Self::Watchdog => "watchdog",
            Self::Unhealthy => "unhealthy",
            Self::Oom => "oom",
        }
    }
}

/// One entry of `success_exit_status` or `restart_prevent_exit_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitMatcher {
    /// An exit code.
    Code(u8),
    /// Death by a signal.
    Signal(Signal),
}

impl ExitMatcher {
    /// Whether the status is the one meant.
    #[must_use]
    pub fn matches(self, status: ExitStatus) -> bool {
        match (self, status) {
            (Self::Code(a), ExitStatus::Code(b)) => a == b,
            (Self::Signal(a), ExitStatus::Signal { signal, .. }) => a == signal,
            _ => false,
        }
    }
}

impl fmt::Display for ExitMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(c) => write!(f, "{c}"),
            Self::Signal(s) => write!(f, "{s}"),
        }
    }
}

/// A number is an exit code; anything else is a signal's name.
impl FromStr for ExitMatcher {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s.bytes().all(|b| b.is_ascii_digit()) && !s.is_empty() {
            return s.parse().map(Self::Code).map_err(|_| format!("{s} is not an exit code from 0 to 255"));
        }
        s.parse().map(Self::Signal)
    }
}

/// The step at which a spawn failed. Steps up to `Stdio` happen in the parent, the rest between clone and exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpawnStage {
    /// Looking up `user`, `group` or `supplementary_groups`.
    Credentials,
    /// Reading `environment_file`.
    Environment,
    /// Finding the program (PATH).
    Resolve,
    /// Opening pipes or files for standard input, output and error.
    Stdio,
    /// Creating the socket that the process reports to.
    Notify,
    /// Making the directories of `runtime_directory`.
    RuntimeDirectory,
    /// Creating or entering the cgroup.
    Cgroup,
    /// Setting `resource_limits` of the cgroup.
    ResourceLimits,
    /// clone(2) itself.
    Clone,
    /// Own session.
    Session,
    /// Placing standard input, output and error.
    Descriptors,
    /// setrlimit(2).
    Rlimits,
    /// setpriority(2).
    Nice,
    /// Writing /proc/self/oom_score_adj.
    OomScoreAdj,
    /// setgroups(2).
    Groups,
    /// setresgid(2).
    Gid,
    /// setresuid(2).
    Uid,
    /// chdir(2) to `working_dir`.
    WorkingDir,
    /// capset(2) and prctl(2), PR_CAP_AMBIENT.
    Capabilities,
    /// prctl(2), PR_SET_NO_NEW_PRIVS.
    NoNewPrivileges,
    /// execve(2).
    Exec,
}

impl SpawnStage {
    /// Every stage, in the order in which they happen.
    pub const ALL: [Self; 21] = [
        Self::Credentials,
        Self::Environment,
        Self::Resolve,
        Self::Stdio,
        Self::Notify,
        Self::RuntimeDirectory,
        Self::Cgroup,
        Self::ResourceLimits,
        Self::Clone,
        Self::Session,
        Self::Descriptors,
        Self::Rlimits,
        Self::Nice,
        Self::OomScoreAdj,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::WorkingDir,
        Self::Capabilities,
        Self::NoNewPrivileges,
        Self::Exec,
    ];

    /// What was being done, as words for a message.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "looking up user and group",
            Self::Environment => "reading environment_file",
            Self::Resolve => "finding the program",
            Self::Stdio => "opening standard output",
            Self::Notify => "creating the notification socket",
            Self::RuntimeDirectory => "making the runtime directory",
            Self::Cgroup => "entering the cgroup",
            Self::ResourceLimits => "setting resource_limits",
            Self::Clone => "creating the process",
            Self::Session => "creating the session",
            Self::Descriptors => "placing the descriptors",
            Self::Rlimits => "setting rlimits",
            Self::Nice => "setting nice",
            Self::OomScoreAdj => "setting oom_score_adj",
            Self::Groups => "setting supplementary groups",
            Self::Gid => "setting the group id",
            Self::Uid => "setting the user id",
            Self::WorkingDir => "entering the working directory",
            Self::Capabilities => "raising ambient_capabilities",
            Self::NoNewPrivileges => "setting no_new_privileges",
            Self::Exec => "executing the program",
        }
    }
}

/// A run that never began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnFailure {
    /// Where it failed.
    pub stage: SpawnStage,
    /// The system's error number; 0 when the failure is not a system call's.
    pub errno: i32,
    /// The thing it failed on, for example the path or the user's name.
    pub subject: String,
    /// The error in words, for example `No such file or directory`.
    pub message: String,
    /// What the operator can do about it, or empty.
    pub hint: String,
}

/// `executing the program "/usr/bin/pyton": No such file or directory`
impl fmt::Display for SpawnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stage.as_str())?;
        if !self.subject.is_empty() {
            write!(f, " {:?}", self.subject)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What a finished run used, from wait4(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User CPU time.
    pub user: Duration,
    /// System CPU time.
    pub system: Duration,
    /// Largest resident set in bytes; 0 = not known, as it was less than the daemon's.
    pub max_rss: u64,
}
