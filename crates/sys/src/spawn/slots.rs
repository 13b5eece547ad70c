//! Three low descriptors through which a child gets its own.
//!
//! A child needs a table of descriptors with three entries. Copying the daemon's whole table and closing the rest
//! costs milliseconds once thirty thousand are open. So the child shares the table at first and then copies only what
//! is below the highest slot (CLOSE_RANGE_UNSHARE), which is why the three must have low numbers.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::dup3;

use super::Stdio;

#[derive(Debug)]
pub(super) struct Slots {
    /// Something harmless, to keep the numbers while nothing is spawned.
    placeholder: EventFd,
    fds: [OwnedFd; 3],
}

impl Slots {
    pub(super) fn new() -> nix::Result<Self> {
        let placeholder = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
        let slot = || {
            // Above 2, so that the child can place them on 0, 1 and 2 in any order.
            let fd = fcntl(&placeholder, FcntlArg::F_DUPFD_CLOEXEC(3))?;
            // JUSTIFICATION: nix returns a bare number.
            // SAFETY: it was made by the call above and nobody else knows it.
            Ok::<_, Errno>(unsafe { OwnedFd::from_raw_fd(fd) })
        };
        let fds = [slot()?, slot()?, slot()?];
        Ok(Self { placeholder, fds })
    }

    /// Puts what the child shall get into the slots.
    pub(super) fn fill(&mut self, stdio: &Stdio) -> nix::Result<()> {
        let Stdio { stdin, stdout, stderr } = stdio;
        for (fd, slot) in [stdin, stdout, stderr].into_iter().zip(&mut self.fds) {
            if let Err(errno) = dup3(fd, slot, OFlag::O_CLOEXEC) {
                self.clear();
                return Err(errno);
            }
        }
        Ok(())
    }

    /// Puts the placeholder back: a write end of a pipe that stayed here would keep its reader waiting for ever.
    pub(super) fn clear(&mut self) {
        for slot in &mut self.fds {
            // Both are open, so this cannot fail but by a signal, and dup3 of an open number is never interrupted.
            let _cannot_fail = dup3(&self.placeholder, slot, OFlag::O_CLOEXEC);
        }
    }

    pub(super) fn numbers(&self) -> [RawFd; 3] {
        self.fds.each_ref().map(AsRawFd::as_raw_fd)
    }

    pub(super) fn last(&self) -> RawFd {
        self.numbers().into_iter().max().unwrap_or(2)
    }
}
