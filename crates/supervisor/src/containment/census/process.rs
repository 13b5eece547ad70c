//! A process as more than a number: a pid may be given to another one after it.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::tree::Stat;
use sys::{pidfd, tree};

/// A process for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Identity {
    pub(in super::super) pid: u32,
    start: u64,
}

/// A live process of a run, as it was when it was looked at.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Member {
    pub(in super::super) id: Identity,
    pub(in super::super) parent: u32,
    pub(in super::super) group: u32,
    pub(super) session: u32,
}

impl Identity {
    /// A pidfd of exactly this process. ESRCH when it is gone.
    pub(in super::super) fn open(self) -> nix::Result<OwnedFd> {
        let fd = pidfd::open(self.pid)?;
        // Looked at after opening: if it is the same process now, then the descriptor means it, too.
        match tree::stat(self.pid) {
            Some(stat) if stat.start_ticks == self.start => Ok(fd),
            _ => Err(Errno::ESRCH),
        }
    }
}

impl Member {
    /// The process of this pid, unless it is dead.
    pub(in super::super) fn alive(pid: u32) -> Option<Self> {
        let stat = tree::stat(pid)?;
        let member = Self::of(&stat);
        // Z alone is not death: the first thread of a process may end long before the others.
        let dead = match stat.state {
            'Z' => member.id.open().map_or(true, |fd| has_ended(fd.as_fd())),
            'X' => true,
            _ => false,
        };
        (!dead).then_some(member)
    }

    /// The process of this look, dead or alive.
    pub(in super::super) fn of(stat: &Stat) -> Self {
        let id = Identity { pid: stat.pid, start: stat.start_ticks };
        Self { id, parent: stat.ppid, group: stat.pgrp, session: stat.session }
    }
}

/// Whether the process of a pidfd has ended, though it may not be reaped.
pub(in super::super) fn has_ended(pidfd: impl AsFd) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}
