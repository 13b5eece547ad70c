//! What processes use, as plain data.

use std::sync::Arc;
use std::time::Duration;

use model::{ProcessView, Wall};

/// Whose usage to read.
#[derive(Clone, Debug)]
pub struct StatsRequest {
    /// The processes; they are in the snapshot.
    pub processes: Vec<Arc<ProcessView>>,
    /// With every process of each run.
    pub members: bool,
}

/// What processes use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// When it was read.
    pub at: Wall,
    /// One for each process that was asked for, in that order.
    pub usages: Vec<Usage>,
}

/// What a run uses, all its processes together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processes, without zombies.
    pub processes: u32,
    /// Resident memory.
    pub resident_bytes: u64,
    /// CPU time, with that of children that were waited for.
    pub cpu: Duration,
    /// Resident memory of the main process.
    pub main_resident_bytes: u64,
    /// CPU time of the main process alone.
    pub main_cpu: Duration,
    /// Threads.
    pub threads: u32,
    /// Open descriptors; `None` = the daemon may not look.
    pub fds: Option<u32>,
    /// Bytes that they made the kernel read from storage and write to it; `None` = the daemon may not look.
    pub io: Option<[u64; 2]>,
    /// Each of them, the main one first; empty unless it was asked for.
    pub members: Vec<Member>,
}

/// A process of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its pid.
    pub pid: u32,
    /// The pid of its parent.
    pub parent: u32,
    /// The program's name, as the kernel has it.
    pub name: String,
    /// Its program and arguments; empty = there are none to be seen.
    pub command_line: String,
    /// Its resident memory.
    pub resident_bytes: u64,
    /// Its CPU time, with that of children that it waited for.
    pub cpu: Duration,
    /// When it was started.
    pub started: Wall,
    /// R, S, D, Z, T, …
    pub state: char,
}
