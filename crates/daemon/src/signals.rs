//! Signals as descriptors: the main thread does nothing but wait for them and for the end.

use std::os::fd::AsFd;
use std::sync::Arc;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What the main thread wakes up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    Reopen,
    /// Somebody raised the flag.
    Flag,
}

/// Wakes the main thread with [`Wake::Flag`].
pub(crate) struct Flag(Arc<EventFd>);

impl Flag {
    pub(crate) fn raise(&self) {
        // Fails only when the counter is full: then the main thread is about to wake anyway.
        let _about_to_wake = self.0.write(1);
    }
}

/// The signals that the daemon takes, blocked in every thread.
pub(crate) struct Signals {
    fd: SignalFd,
    flag: Arc<EventFd>,
}

impl Signals {
    /// Blocks the signals. To be called before the first thread starts: threads inherit the mask, and a signal
    /// that finds one unblocked thread kills the daemon. SIGCHLD is blocked for the supervisor, which reads it.
    pub(crate) fn block() -> Result<Self> {
        let mut taken = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
            taken.add(signal);
        }
        let mut blocked = taken;
        blocked.add(Signal::SIGCHLD);
        blocked.thread_block().context("blocking signals")?;
        let fd = SignalFd::with_flags(&taken, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context("signalfd")?;
        let flag = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).context("eventfd")?;
        Ok(Self { fd, flag: Arc::new(flag) })
    }

    /// A way for another thread to wake the main thread.
    pub(crate) fn flag(&self) -> Flag {
        Flag(Arc::clone(&self.flag))
    }

    /// Sleeps until something comes.
    pub(crate) fn wait(&self) -> Result<Wake> {
        loop {
            if let Some(info) = self.fd.read_signal().context("reading signals")? {
                match i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok()) {
                    Some(Signal::SIGTERM | Signal::SIGINT) => return Ok(Wake::Stop),
                    Some(Signal::SIGHUP) => return Ok(Wake::Reload),
                    Some(Signal::SIGUSR1) => return Ok(Wake::Reopen),
                    _ => continue,
                }
            }
            if self.flag.read().is_ok() {
                return Ok(Wake::Flag);
            }
            let mut fds = [self.fd.as_fd(), self.flag.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("waiting for signals"),
            }
        }
    }
}
