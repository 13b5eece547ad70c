//! How a process comes up, and the commands that run around it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// `type:`: when a start counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProcessType {
    /// Once the program is executed.
    #[default]
    Simple,
    /// Once it sent `READY=1` to `$NOTIFY_SOCKET` (sd_notify(3)).
    Notify,
    /// Once it ended successfully.
    Oneshot,
    /// Once its first process ended successfully and a daemon that it left behind is found.
    Forking,
}

impl ProcessType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::Simple, Self::Notify, Self::Oneshot, Self::Forking];

    /// As written in a definition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Notify => "notify",
            Self::Oneshot => "oneshot",
            Self::Forking => "forking",
        }
    }
}

/// A program and its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// A path, or a name that is looked up in the child's PATH.
    pub program: String,
    /// Arguments after the program's name.
    pub args: Vec<String>,
}

/// The program and its words, as in a log; not meant to be parsed again.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program)?;
        self.args.iter().try_for_each(|arg| write!(f, " {arg}"))
    }
}

/// Whether a word means something to a shell and is no program: who names it as one has copied a line of a script.
#[must_use]
pub fn is_shell_word(word: &str) -> bool {
    const WORDS: [&str; 22] = [
        ".", "[[", "alias", "case", "cd", "eval", "exec", "export", "for", "function", "if", "select", "set",
        "shift", "source", "trap", "ulimit", "unset", "until", "while", "{", "(",
    ];
    WORDS.contains(&word)
}

/// A command that runs around the process, as its user, in its environment, with its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// What to execute.
    pub command: CommandLine,
    /// Time until it is killed, with all that it started; `None` = `start_timeout` for the hooks of a start and of a
    /// reload, `stop_timeout` for those of a stop.
    pub timeout: Option<Duration>,
    /// Whether its failure is only noted (`-` before the command).
    pub ignore_failure: bool,
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookKind {
    /// Before the program; a failure means that it is not started.
    StartPre,
    /// Once the program is up as its type says; a failure means that it is stopped.
    StartPost,
    /// On `pm-cli reload`.
    Reload,
    /// Before `kill_signal`.
    Stop,
    /// Once nothing is left of it, however it ended.
    StopPost,
}

impl HookKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::StartPre, Self::StartPost, Self::Reload, Self::Stop, Self::StopPost];

    /// The key that defines it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartPre => "exec_start_pre",
            Self::StartPost => "exec_start_post",
            Self::Reload => "exec_reload",
            Self::Stop => "exec_stop",
            Self::StopPost => "exec_stop_post",
        }
    }
}

/// All hooks of a process; those of one kind run one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the list of the kind of the same name")]
pub struct HookSpec {
    pub start_pre: Vec<Hook>,
    pub start_post: Vec<Hook>,
    pub reload: Vec<Hook>,
    pub stop: Vec<Hook>,
    pub stop_post: Vec<Hook>,
}

impl HookSpec {
    /// The hooks of one kind.
    #[must_use]
    pub fn of(&self, kind: HookKind) -> &[Hook] {
        match kind {
            HookKind::StartPre => &self.start_pre,
            HookKind::StartPost => &self.start_post,
            HookKind::Reload => &self.reload,
            HookKind::Stop => &self.stop,
            HookKind::StopPost => &self.stop_post,
        }
    }
}

/// One entry of `condition_path_exists`: without what it asks for, the process is `skipped`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathCondition {
    /// The path.
    pub path: PathBuf,
    /// Whether it must not exist (`!` before the path).
    pub negated: bool,
}

/// As written in a definition.
impl fmt::Display for PathCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negated { "!" } else { "" }, self.path.display())
    }
}

/// One entry of `environment_file`, read again at each start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentFile {
    /// The file.
    pub path: PathBuf,
    /// Whether it may be missing (`-` before the path).
    pub optional: bool,
}

/// As written in a definition.
impl fmt::Display for EnvironmentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.optional { "-" } else { "" }, self.path.display())
    }
}

/// How it comes up, and how it says that it still does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartSpec {
    /// When a start counts as done.
    pub kind: ProcessType,
    /// A oneshot that ended well counts as up until it is stopped.
    pub remain_after_exit: bool,
    /// Where a forking program writes the pid of its daemon.
    pub pidfile: Option<PathBuf>,
    /// Time from exec until it is up as its type says; `None` = for ever.
    pub timeout: Option<Duration>,
    /// Longest silence between two `WATCHDOG=1`; `None` = it may be silent.
    pub watchdog: Option<Duration>,
    /// Checked before each start, all of them.
    pub conditions: Vec<PathCondition>,
}

impl StartSpec {
    /// `start_timeout` where none is given; a oneshot has none, as nobody can say how long its work takes.
    pub const TIMEOUT: Duration = Duration::from_secs(90);

    /// Whether the process gets a socket to report to.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.kind == ProcessType::Notify || self.watchdog.is_some()
    }
}

impl Default for StartSpec {
    fn default() -> Self {
        Self {
            kind: ProcessType::default(),
            remain_after_exit: false,
            pidfile: None,
            timeout: Some(Self::TIMEOUT),
            watchdog: None,
            conditions: Vec::new(),
        }
    }
}
