//! Signals to processes of other users without CAP_KILL.
//!
//! A daemon with CAP_SETUID alone may start a process of another user but not signal it. It may, however, make a
//! child that becomes that user, which then may. The child shares our memory and does two system calls.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;

use super::send_signal;
use crate::spawn::Stage;
use crate::spawn::child::{self, SignalPlan};
use crate::spawn::vfork::{self, Kind, Stack};

/// A signal was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// No helper could be made.
    #[error("making a process to send the signal: {}", .0.desc())]
    Helper(Errno),
    /// The daemon may not become that user.
    #[error("becoming user {uid} to send the signal: {}; the daemon needs CAP_KILL or CAP_SETUID", errno.desc())]
    Switch {
        /// The user.
        uid: u32,
        /// Why not.
        errno: Errno,
    },
    /// The signal itself: ESRCH when the process has ended, EPERM when it is not that user's either.
    #[error("sending the signal: {}", .0.desc())]
    Send(Errno),
}

/// Sends a signal, and if that is not permitted, again as the user `uid`.
///
/// The second way makes a process, though one without memory of its own that executes nothing.
///
/// # Errors
/// [`SignalError`].
pub fn send_signal_as(pidfd: BorrowedFd<'_>, signo: i32, uid: u32) -> Result<(), SignalError> {
    match send_signal(pidfd, signo) {
        Ok(()) => Ok(()),
        // u32::MAX is "no change" to setresuid.
        Err(Errno::EPERM) if uid != u32::MAX => helped(pidfd, signo, uid),
        Err(errno) => Err(SignalError::Send(errno)),
    }
}

fn helped(pidfd: BorrowedFd<'_>, signo: i32, uid: u32) -> Result<(), SignalError> {
    let raw = |e: &io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(libc::ENOMEM));
    let mut stack = Stack::new().map_err(|e| SignalError::Helper(raw(&e)))?;
    let plan = SignalPlan { uid, pidfd: pidfd.as_raw_fd(), signo, report: child::Report::default() };
    // Without an exit signal nobody who waits for children sees this one.
    let kind = Kind { exit_signal: 0, cgroup: None };
    // JUSTIFICATION: a fork would copy the daemon; a thread that switches its user by itself cannot switch back.
    // SAFETY: `send_signal` is of `child`, wants a SignalPlan, and leaves the shared descriptors alone.
    let born = unsafe { vfork::vfork(&mut stack, &kind, child::send_signal, (&raw const plan).cast()) };
    let (_pid, helper) = born.map_err(SignalError::Helper)?;
    super::wait_gone(helper.as_fd());
    match plan.report.failure() {
        None => Ok(()),
        Some((Stage::Uid, errno)) => Err(SignalError::Switch { uid, errno: Errno::from_raw(errno) }),
        Some((_, errno)) => Err(SignalError::Send(Errno::from_raw(errno))),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    use nix::unistd::geteuid;

    use super::*;
    use crate::pidfd;

    /// CAP_SETUID of linux/capability.h.
    const CAP_SETUID: u32 = 1 << 7;

    fn raw(number: libc::c_long, args: [usize; 5]) -> isize {
        // JUSTIFICATION: libc would change all threads.
        // SAFETY: the callers below pass numbers, and pointers to their own locals.
        unsafe { crate::arch::syscall(number, args) }
    }

    /// Makes this thread alone a user who may switch users and nothing else.
    fn become_unprivileged(uid: usize) {
        let keep = libc::PR_SET_KEEPCAPS.unsigned_abs() as usize;
        assert_eq!(raw(libc::SYS_prctl, [keep, 1, 0, 0, 0]), 0);
        assert_eq!(raw(libc::SYS_setresuid, [uid, uid, uid, 0, 0]), 0);
        // Version 3: effective, permitted, inheritable, for the lower and the upper 32 capabilities.
        let header = [0x2008_0522_u32, 0];
        let sets = [CAP_SETUID, CAP_SETUID, 0, 0, 0, 0];
        assert_eq!(raw(libc::SYS_capset, [header.as_ptr() as usize, sets.as_ptr() as usize, 0, 0, 0]), 0);
    }

    #[test]
    fn another_users_process() {
        if !geteuid().is_root() {
            // Nothing of ours may be another user's, but init is there: looking at it is as forbidden as killing it.
            let init = pidfd::open(1).unwrap();
            let refused = send_signal_as(init.as_fd(), 0, 0);
            assert_eq!(refused, Err(SignalError::Switch { uid: 0, errno: Errno::EPERM }));
            return;
        }
        let (own, other) = (65_001, 65_002);
        let start = |uid: u32| {
            use std::os::unix::process::CommandExt;
            Command::new("/bin/sleep").arg("1000").uid(uid).spawn().unwrap()
        };
        let (mut target, mut stranger) = (start(other), start(65_003));
        thread::scope(|scope| {
            scope.spawn(|| {
                become_unprivileged(own);
                let target = pidfd::open(target.id()).unwrap();
                let stranger = pidfd::open(stranger.id()).unwrap();
                assert_eq!(send_signal(target.as_fd(), libc::SIGTERM), Err(Errno::EPERM));
                // Not even as somebody who has nothing to do with it.
                let refused = Err(SignalError::Send(Errno::EPERM));
                assert_eq!(send_signal_as(stranger.as_fd(), libc::SIGTERM, other), refused);
                assert_eq!(send_signal_as(target.as_fd(), libc::SIGTERM, other), Ok(()));
                assert_eq!(nix::unistd::getuid().as_raw(), 65_001, "this thread is who it was");
            });
        });
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(target.wait().unwrap().signal(), Some(libc::SIGTERM));
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[test]
    fn ones_own_needs_no_help() {
        let mut child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let pidfd = pidfd::open(child.id()).unwrap();
        assert_eq!(send_signal_as(pidfd.as_fd(), libc::SIGKILL, u32::MAX), Ok(()));
        child.wait().unwrap();
        let gone = Err(SignalError::Send(Errno::ESRCH));
        assert_eq!(send_signal_as(pidfd.as_fd(), libc::SIGKILL, u32::MAX), gone);
    }
}
