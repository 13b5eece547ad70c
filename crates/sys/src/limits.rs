//! Limits of setrlimit(2): that on open files, high for the daemon and as it was for its children; and those that a child
//! is given.

use std::io;
use std::sync::OnceLock;

use nix::sys::resource::{Resource as Nix, getrlimit, setrlimit};

/// `struct rlimit64` of prlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Limit {
    /// In force; `u64::MAX` = none.
    pub soft: u64,
    /// Up to which it may be raised.
    pub hard: u64,
}

/// Which limit: the kernel's number, the same on both supported processors (asm-generic/resource.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
#[expect(missing_docs, reason = "each is the kernel's RLIMIT_ of the same name; getrlimit(2) documents them")]
pub enum Resource {
    Cpu = 0,
    Fsize = 1,
    Data = 2,
    Stack = 3,
    Core = 4,
    Rss = 5,
    Nproc = 6,
    Nofile = 7,
    Memlock = 8,
    As = 9,
    Locks = 10,
    Sigpending = 11,
    Msgqueue = 12,
    Nice = 13,
    Rtprio = 14,
    Rttime = 15,
}

/// The daemon's own limit.
///
/// # Errors
/// None that is known: EINVAL for a resource that the kernel does not have.
pub fn own(resource: Resource) -> io::Result<Limit> {
    let mut limit = Limit { soft: 0, hard: 0 };
    let args = [0, resource as usize, 0, (&raw mut limit) as usize, 0];
    // JUSTIFICATION: nix does not know every limit on every C library.
    // SAFETY: nothing is set, and the old limit is written to memory of its layout.
    let answer = unsafe { crate::arch::syscall(libc::SYS_prlimit64, args) };
    if answer < 0 {
        return Err(io::Error::from_raw_os_error(i32::try_from(-answer).unwrap_or(libc::EIO)));
    }
    Ok(limit)
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
    let (soft, hard) = getrlimit(Nix::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Nix::RLIMIT_NOFILE, hard, hard)?;
        // A second call finds soft = hard and never comes here.
        let _first_time = BEFORE.set(Limit { soft, hard });
    }
    Ok(hard)
}

/// What a child has to be given back; `None` = nothing was raised.
pub(crate) fn of_children() -> Option<Limit> {
    BEFORE.get().copied()
}
