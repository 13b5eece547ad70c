//! What is known of the machine and the daemon. Whatever could not be found out says why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rpc::v1;

use crate::when::Clock;

/// Something that was looked for, or why nobody could look.
pub(crate) type Fact<T> = Result<T, String>;

/// Everything that the checks judge.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The time.
    pub(crate) clock: Clock,
    /// Who asks.
    pub(crate) uid: u32,
    /// The version of this program.
    pub(crate) own_version: String,
    /// Whether the daemon is one of this machine: files, /proc and journald are looked at only then.
    pub(crate) here: Fact<()>,
    /// The daemon, or why it does not answer and what to do about it.
    pub(crate) daemon: Result<Answer, Silence>,
    /// Its processes with their definitions.
    pub(crate) processes: Fact<Vec<v1::Process>>,
    /// The definitions as they stand in the files.
    pub(crate) definitions: Fact<Definitions>,
    /// Files and directories whose modes matter.
    pub(crate) files: Fact<Vec<Seen>>,
    /// The daemon in /proc.
    pub(crate) proc: Proc,
    /// The port of the metrics.
    pub(crate) metrics: Metrics,
    /// The journal's socket.
    pub(crate) journal: Journal,
    /// What systemd says of the daemon's unit.
    pub(crate) unit: Fact<Unit>,
    /// Disks: of the log files, of the state.
    pub(crate) disks: Vec<(&'static str, PathBuf, Fact<Disk>)>,
    /// Programs of that name in PATH; links lead to one and the same.
    pub(crate) installed: BTreeMap<&'static str, Vec<PathBuf>>,
}

impl Facts {
    /// The user of the daemon; where it does not answer, whoever asks.
    pub(crate) fn daemon_uid(&self) -> u32 {
        self.daemon.as_ref().map_or(self.uid, |answer| answer.status.uid)
    }

    /// The daemon's status, or why there is none.
    pub(crate) fn status(&self) -> Fact<&v1::DaemonStatus> {
        match &self.daemon {
            Ok(answer) => Ok(&answer.status),
            Err(_) => Err("no daemon answers".to_owned()),
        }
    }
}

/// A daemon that answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Where.
    pub(crate) at: String,
    /// What it says of itself.
    pub(crate) status: v1::DaemonStatus,
}

/// A daemon that did not.
#[derive(Clone, Debug)]
pub(crate) struct Silence {
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// What stands in the files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definitions {
    /// The main file.
    pub(crate) main: PathBuf,
    /// Whether it exists.
    pub(crate) exists: bool,
    /// Definitions that can be used.
    pub(crate) good: usize,
    /// Problems with file, line and column.
    pub(crate) errors: Vec<String>,
    /// The same for warnings.
    pub(crate) warnings: Vec<String>,
    /// Files and directories that this user may not read; they were left out.
    pub(crate) left_out: Vec<PathBuf>,
    /// Files that hold secrets.
    pub(crate) secrets: Vec<PathBuf>,
}

/// What a file is to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Definitions, overrides, and the directories that they are in.
    Config,
    /// The daemon's settings: `daemon.env`.
    Settings,
    /// A file that a definition names in `environment_file`.
    Environment,
    /// What the daemon keeps.
    State,
    /// Definitions that were made over the API.
    Made,
    /// Log files.
    Logs,
    /// Socket and token are in it.
    Runtime,
    /// The control socket.
    Socket,
    /// The token of callers over TCP.
    Token,
    /// The key of a certificate.
    Key,
    /// The program that runs.
    Program,
}

/// A file, or a directory.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) role: Role,
    pub(crate) path: PathBuf,
    /// `None` = it does not exist.
    pub(crate) meta: Fact<Option<Meta>>,
}

/// Whose it is and who may do what with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The lowest twelve bits.
    pub(crate) mode: u32,
    pub(crate) directory: bool,
    /// Whether everybody may pass through all directories above it.
    pub(crate) open: bool,
}

/// The daemon in /proc.
#[derive(Clone, Debug)]
pub(crate) struct Proc {
    /// Capabilities that it has, and those that it and its children can ever have.
    pub(crate) capabilities: Fact<Capabilities>,
    /// The program that it runs; the kernel says ` (deleted)` behind one that is gone.
    pub(crate) exe: Fact<PathBuf>,
    /// How many descriptors it may open.
    pub(crate) nofile: Fact<u64>,
    /// The name of its user.
    pub(crate) user: Option<String>,
}

/// Sets of capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub(crate) effective: u64,
    pub(crate) bounding: u64,
}

/// The port of the metrics.
#[derive(Clone, Debug)]
pub(crate) enum Metrics {
    /// Nobody looked, and why.
    Unknown(String),
    /// It is switched off.
    Off,
    /// The daemon could not open it, and says so itself.
    Closed,
    /// It was asked and gave no answer that can be used.
    Silent(String),
    /// It speaks TLS.
    Encrypted,
    /// It answers.
    Answers(Scrape),
}

/// What the metrics say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scrape {
    /// Of the answer.
    pub(crate) status: u16,
    /// Collectors that left something out.
    pub(crate) incomplete: Vec<String>,
    /// Whether the daemon reaches journald.
    pub(crate) journald: Option<bool>,
    /// Descriptors that it has open.
    pub(crate) open_fds: Option<u64>,
    /// Whether there were metrics at all.
    pub(crate) own: bool,
}

/// The journal's socket.
#[derive(Clone, Debug)]
pub(crate) enum Journal {
    Unknown(String),
    /// Switched off by `PM_JOURNAL_SOCKET`.
    Off,
    /// There is none.
    Missing(PathBuf),
    /// It is there and takes nothing.
    Refuses(PathBuf, String),
    Takes(PathBuf),
}

/// The daemon's unit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unit {
    pub(crate) name: String,
    /// Of a user's systemd.
    pub(crate) user: bool,
    /// What `systemctl show` says, in its words.
    pub(crate) properties: BTreeMap<String, String>,
}

/// What is left of a file system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) bytes: u64,
    pub(crate) bytes_free: u64,
    /// 0 = the file system has no limit.
    pub(crate) inodes: u64,
    pub(crate) inodes_free: u64,
}

/// A path in words.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
