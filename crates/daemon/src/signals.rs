//! Signals as descriptors: the main thread does nothing but wait for them and for the end.
//!
//! A blocked signal is kept for the descriptor even where its default action is to be ignored, and even for PID 1, which
//! the kernel otherwise spares every signal that it has no handler for.

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
    /// SIGTERM or SIGINT; as PID 1 also SIGQUIT.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    Reopen,
    /// Somebody raised the flag.
    Flag,
}

/// Wakes the main thread with [`Wake::Flag`].
#[derive(Clone)]
pub(crate) struct Flag(Arc<EventFd>);

impl Flag {
    pub(crate) fn new() -> Result<Self> {
        let fd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).context("eventfd")?;
        Ok(Self(Arc::new(fd)))
    }

    /// Whether it was raised since the last look.
    pub(crate) fn was_raised(&self) -> bool {
        self.0.read().is_ok()
    }

    pub(crate) fn raise(&self) {
        // Fails only when the counter is full: then the main thread is about to wake anyway.
        let _about_to_wake = self.0.write(1);
    }
}

/// The signals that the daemon takes, blocked in every thread.
pub(crate) struct Signals {
    fd: SignalFd,
    flag: Flag,
}

impl Signals {
    /// Blocks the signals. To be called before the first thread starts: threads inherit the mask, and a signal
    /// that finds one unblocked thread kills the daemon. SIGCHLD is blocked for the supervisor, which reads it.
    ///
    /// SIGQUIT is taken only as `init` (PID 1), where it would do nothing: elsewhere it leaves the core dump that
    /// somebody asks for with it.
    pub(crate) fn block(init: bool) -> Result<Self> {
        let mut taken = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGUSR1] {
            taken.add(signal);
        }
        if init {
            taken.add(Signal::SIGQUIT);
        }
        let mut blocked = taken;
        blocked.add(Signal::SIGCHLD);
        blocked.thread_block().context("blocking signals")?;
        let fd = SignalFd::with_flags(&taken, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .context("signalfd")?;
        Ok(Self { fd, flag: Flag::new()? })
    }

    /// A way for another thread to wake the main thread.
    pub(crate) fn flag(&self) -> Flag {
        self.flag.clone()
    }

    /// Sleeps until something comes.
    pub(crate) fn wait(&self) -> Result<Wake> {
        loop {
            if let Some(info) = self.fd.read_signal().context("reading signals")? {
                match i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok()) {
                    Some(Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT) => return Ok(Wake::Stop),
                    Some(Signal::SIGHUP) => return Ok(Wake::Reload),
                    Some(Signal::SIGUSR1) => return Ok(Wake::Reopen),
                    _ => continue,
                }
            }
            if self.flag.was_raised() {
                return Ok(Wake::Flag);
            }
            let mut fds = [self.fd.as_fd(), self.flag.0.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("waiting for signals"),
            }
        }
    }
}
