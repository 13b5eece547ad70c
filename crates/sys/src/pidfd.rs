//! Processes by descriptor: a pidfd means one process for its whole life, a number may mean another one tomorrow.

mod signal_as;

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};

pub use signal_as::{SignalError, send_signal_as};

/// The end of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// How it ended.
    pub status: Wait,
    /// CPU time in user mode, with that of its descendants that it waited for.
    pub user: Duration,
    /// CPU time in the kernel, likewise.
    pub system: Duration,
    /// Largest resident set in bytes, of itself or a descendant that it waited for; 0 = not known. The kernel counts the
    /// memory that was shared with the daemon until execve, so that it never tells less than the daemon has: what does
    /// not exceed that is the daemon's, and not known of the child.
    pub max_rss: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// By itself, with this code from 0 to 255.
    Code(i32),
    /// By a signal.
    Signal {
        /// Its number.
        signo: i32,
        /// Whether a core was dumped.
        core: bool,
    },
}

/// A pidfd of whoever has this pid now. Close-on-exec.
///
/// To be sure that it is the process that was meant, compare its start time afterwards ([`crate::tree::stat`]).
///
/// # Errors
/// ESRCH when there is none; EMFILE, ENFILE, ENOMEM.
pub fn open(pid: u32) -> nix::Result<OwnedFd> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| Errno::ESRCH)?;
    // JUSTIFICATION: nix has no pidfd_open.
    // SAFETY: two numbers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // JUSTIFICATION: the kernel hands it over as a number.
    // SAFETY: it was made by the call above and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal (0 = only look whether that would be possible).
///
/// # Errors
/// ESRCH when it has ended; EPERM when it is another user's (see [`send_signal_as`]); EINVAL for no signal's number.
pub fn send_signal(pidfd: BorrowedFd<'_>, signo: i32) -> nix::Result<()> {
    let no_info: *const libc::siginfo_t = ptr::null();
    // JUSTIFICATION: nix has no pidfd_send_signal.
    // SAFETY: the descriptor is open; a null siginfo is allowed and means what kill(2) would send.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signo, no_info, 0) };
    Errno::result(sent).map(drop)
}

/// Takes the status of a child that has ended; `None` = it has not. Never waits.
///
/// # Errors
/// ECHILD when it is no child of ours or its status was taken already.
pub fn reap(pidfd: BorrowedFd<'_>) -> nix::Result<Option<Exit>> {
    let (info, usage) = wait(pidfd, libc::WEXITED | libc::WNOHANG)?;
    // JUSTIFICATION: the field is in a union.
    // SAFETY: waitid has filled the SIGCHLD member; with nothing to report it is all zeros.
    if unsafe { info.si_pid() } == 0 {
        return Ok(None);
    }
    // JUSTIFICATION: as above.
    // SAFETY: as above.
    let value = unsafe { info.si_status() };
    let status = match info.si_code {
        libc::CLD_EXITED => Wait::Code(value),
        code => Wait::Signal { signo: value, core: code == libc::CLD_DUMPED },
    };
    Ok(Some(Exit {
        status,
        user: duration(usage.ru_utime),
        system: duration(usage.ru_stime),
        max_rss: beyond_ours(usage.ru_maxrss).saturating_mul(1024),
    }))
}

/// A largest resident set in KiB, when it is larger than that of this process.
fn beyond_ours(kib: libc::c_long) -> u64 {
    let ours = getrusage(UsageWho::RUSAGE_SELF).map_or(libc::c_long::MAX, |usage| usage.max_rss());
    if kib > ours { u64::try_from(kib).unwrap_or(0) } else { 0 }
}

/// Waits for a child that is on its way out and forgets its status. Already taken by somebody else is as good.
pub(crate) fn wait_gone(pidfd: BorrowedFd<'_>) {
    while wait(pidfd, libc::WEXITED | libc::__WALL) == Err(Errno::EINTR) {}
}

fn wait(pidfd: BorrowedFd<'_>, options: i32) -> nix::Result<(libc::siginfo_t, libc::rusage)> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // JUSTIFICATION: waitid(3) of the C library cannot return what the child used.
    // SAFETY: the descriptor is open, and both pointers are to memory of the right type that the kernel may fill.
    let waited = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            pidfd.as_raw_fd(),
            info.as_mut_ptr(),
            options,
            usage.as_mut_ptr(),
        )
    };
    Errno::result(waited)?;
    // JUSTIFICATION: C structs of numbers, filled by the kernel.
    // SAFETY: zeros are valid for both, and so is what the kernel wrote.
    let info = unsafe { info.assume_init() };
    // JUSTIFICATION: as above.
    // SAFETY: as above.
    Ok((info, unsafe { usage.assume_init() }))
}

fn duration(time: libc::timeval) -> Duration {
    let (secs, micros) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
    Duration::from_secs(secs.unwrap_or(0)) + Duration::from_micros(micros.unwrap_or(0))
}
