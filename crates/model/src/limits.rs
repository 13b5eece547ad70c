//! How much of the machine a process may take (cgroup v2), and what its program is given to run with: limits of the
//! kernel, priorities, capabilities, directories.

use std::collections::BTreeMap;
use std::fmt;

/// An upper bound that may be written as "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// `max`: no limit, which also takes back what an earlier layer says.
    Max,
    /// This much.
    At(u64),
}

impl Ceiling {
    /// The number; `None` = no limit.
    #[must_use]
    pub fn value(self) -> Option<u64> {
        match self {
            Self::Max => None,
            Self::At(value) => Some(value),
        }
    }
}

/// As the kernel's files take it: `max` or the number.
impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::At(value) => write!(f, "{value}"),
        }
    }
}

/// `resource_limits:`, for a run as a whole. `None` = not written: the kernel's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Bytes; beyond it the kernel kills.
    pub memory_max: Option<Ceiling>,
    /// Bytes; beyond it the kernel slows down and takes memory back.
    pub memory_high: Option<Ceiling>,
    /// Bytes of swap.
    pub memory_swap_max: Option<Ceiling>,
    /// When the kernel kills one process of the run for its memory, it kills all of them.
    pub oom_group: Option<bool>,
    /// Thousandths of one processor.
    pub cpu_max: Option<Ceiling>,
    /// Share of processor time beside others, 1 to 10,000; 100 is usual.
    pub cpu_weight: Option<u16>,
    /// Processes and threads.
    pub pids_max: Option<Ceiling>,
    /// Share of disk time beside others, 1 to 10,000; 100 is usual.
    pub io_weight: Option<u16>,
}

impl ResourceLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts a later layer on top of this one, key by key.
    pub fn overlay(&mut self, later: &Self) {
        // Each field is named, so that a new one is not left out.
        let Self {
            memory_max,
            memory_high,
            memory_swap_max,
            oom_group,
            cpu_max,
            cpu_weight,
            pids_max,
            io_weight,
        } = *later;
        self.memory_max = memory_max.or(self.memory_max);
        self.memory_high = memory_high.or(self.memory_high);
        self.memory_swap_max = memory_swap_max.or(self.memory_swap_max);
        self.oom_group = oom_group.or(self.oom_group);
        self.cpu_max = cpu_max.or(self.cpu_max);
        self.cpu_weight = cpu_weight.or(self.cpu_weight);
        self.pids_max = pids_max.or(self.pids_max);
        self.io_weight = io_weight.or(self.io_weight);
    }
}

/// A limit of the kernel on each process (setrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the kernel's RLIMIT_ of the same name; getrlimit(2) documents them")]
pub enum Rlimit {
    As,
    Core,
    Cpu,
    Data,
    Fsize,
    Locks,
    Memlock,
    Msgqueue,
    Nice,
    Nofile,
    Nproc,
    Rss,
    Rtprio,
    Rttime,
    Sigpending,
    Stack,
}

impl Rlimit {
    /// Every limit.
    pub const ALL: [Self; 16] = [
        Self::As,
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::Fsize,
        Self::Locks,
        Self::Memlock,
        Self::Msgqueue,
        Self::Nice,
        Self::Nofile,
        Self::Nproc,
        Self::Rss,
        Self::Rtprio,
        Self::Rttime,
        Self::Sigpending,
        Self::Stack,
    ];

    /// As written in a definition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::As => "as",
            Self::Core => "core",
            Self::Cpu => "cpu",
            Self::Data => "data",
            Self::Fsize => "fsize",
            Self::Locks => "locks",
            Self::Memlock => "memlock",
            Self::Msgqueue => "msgqueue",
            Self::Nice => "nice",
            Self::Nofile => "nofile",
            Self::Nproc => "nproc",
            Self::Rss => "rss",
            Self::Rtprio => "rtprio",
            Self::Rttime => "rttime",
            Self::Sigpending => "sigpending",
            Self::Stack => "stack",
        }
    }

    /// Whether its number counts bytes.
    #[must_use]
    pub fn is_bytes(self) -> bool {
        matches!(
            self,
            Self::As
                | Self::Core
                | Self::Data
                | Self::Fsize
                | Self::Memlock
                | Self::Msgqueue
                | Self::Rss
                | Self::Stack
        )
    }
}

/// The two values of such a limit. The soft one is in force; a process may raise it up to the hard one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitPair {
    /// In force.
    pub soft: u64,
    /// Its bound.
    pub hard: u64,
}

impl LimitPair {
    /// The kernel's number for no limit.
    pub const UNLIMITED: u64 = u64::MAX;
}

/// `rlimits:`
pub type Rlimits = BTreeMap<Rlimit, LimitPair>;

/// A set of capabilities (capabilities(7)); bit 0 is CAP_CHOWN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u64);

/// In the order of their numbers, without `CAP_`.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl Capabilities {
    /// The set with this one in it as well, by its name, with or without `CAP_`, in any case.
    #[must_use]
    pub fn with(self, name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let number = CAPABILITIES.iter().position(|known| *known == bare)?;
        Some(Self(self.0 | 1 << number))
    }

    /// The set of these bits. What this version has no name for is left out.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits & ((1 << CAPABILITIES.len()) - 1))
    }

    /// Bit by bit.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names: `CAP_NET_BIND_SERVICE`.
    pub fn names(self) -> impl Iterator<Item = String> {
        let known = CAPABILITIES.iter().enumerate();
        known.filter(move |(number, _)| self.0 & 1 << number != 0).map(|(_, name)| format!("CAP_{name}"))
    }

    /// Every name, with `CAP_`.
    pub fn all_names() -> impl Iterator<Item = String> {
        CAPABILITIES.iter().map(|name| format!("CAP_{name}"))
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(", "))
    }
}

/// What a program is given to run with. A change here needs a new run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IsolationSpec {
    /// Limits on each of its processes; what is not named is the daemon's.
    pub rlimits: Rlimits,
    /// -20 (first) to 19 (last); `None` = the daemon's.
    pub nice: Option<i8>,
    /// -1000 (never) to 1000 (first): how likely the kernel is to kill it when memory is short; `None` = the daemon's.
    pub oom_score_adj: Option<i16>,
    /// What it may do although its user is not root.
    pub ambient_capabilities: Capabilities,
    /// Nothing that it executes gains privileges (set-user-id programs, file capabilities).
    pub no_new_privileges: bool,
    /// Directories that are made for each run, below the daemon's runtime directory, and removed after it.
    pub runtime_directories: Vec<String>,
    /// Their mode; 0o755 when none is given.
    pub runtime_directory_mode: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_by_name() {
        let set = Capabilities::default().with("net_bind_service").and_then(|s| s.with("CAP_CHOWN")).unwrap();
        assert_eq!((set.bits(), set.to_string().as_str()), (1 << 10 | 1, "CAP_CHOWN, CAP_NET_BIND_SERVICE"));
        assert_eq!(Capabilities::default().with("CAP_EVERYTHING"), None);
        assert_eq!(Capabilities::default().with(""), None);
        let last = Capabilities::default().with("CAP_CHECKPOINT_RESTORE").unwrap();
        assert_eq!(last.bits(), 1 << 40);
        assert_eq!(Capabilities::from_bits(u64::MAX).names().count(), 41);
    }

    #[test]
    fn a_later_layer_wins_key_by_key() {
        let mut limits = ResourceLimits {
            memory_max: Some(Ceiling::At(64)),
            cpu_weight: Some(50),
            oom_group: Some(true),
            ..ResourceLimits::default()
        };
        let later = ResourceLimits {
            memory_max: Some(Ceiling::Max),
            pids_max: Some(Ceiling::At(5)),
            oom_group: Some(false),
            ..ResourceLimits::default()
        };
        limits.overlay(&later);
        assert_eq!(
            limits,
            ResourceLimits { cpu_weight: Some(50), ..later },
            "max takes back a number, and what is not written stays"
        );
    }
}
