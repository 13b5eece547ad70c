//! The limit on open files: high for the daemon, as it was for its children.

use std::io;
use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// `struct rlimit64` of prlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Limit {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// What was in force before it was raised: a fact about the process, hence one for all spawners.
static BEFORE: OnceLock<Limit> = OnceLock::new();

/// Raises the soft limit on open files to the hard one, and returns the new limit. Each process needs four: two pipes,
/// its log file and its pidfd; a soft limit of 1024 is used up by some 250 processes.
///
/// Children get the soft limit of before back: programs that use select(2) break with descriptors above 1023, and
/// others loop over all descriptors up to the limit.
///
/// # Errors
/// Those of setrlimit(2); the old limit stays in force.
pub fn raise_open_files() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        // A second call finds soft = hard and never comes here.
        let _first_time = BEFORE.set(Limit { soft, hard });
    }
    Ok(hard)
}

/// What a child has to be given back; `None` = nothing was raised.
pub(crate) fn of_children() -> Option<Limit> {
    BEFORE.get().copied()
}
