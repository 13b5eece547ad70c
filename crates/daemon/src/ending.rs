//! Why the daemon ends, and with which exit status: somebody asked for it, or a `critical` process ended for good.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::signals::Flag;

/// Set once, by whatever comes first; the main thread is woken to look at it.
pub(crate) struct Ending {
    status: OnceLock<u8>,
    down: AtomicBool,
    wake: Flag,
}

impl Ending {
    pub(crate) fn new(wake: Flag) -> Self {
        Self { status: OnceLock::new(), down: AtomicBool::new(false), wake }
    }

    /// A signal asked for the end.
    pub(crate) fn asked(&self) {
        self.decide(0);
    }

    /// The main thread can't do its work any more.
    pub(crate) fn failed(&self) {
        self.decide(1);
    }

    /// A critical process ended for good: so does the daemon, with the status of that process. The event says which.
    pub(crate) fn critical(&self, status: u8) {
        if self.decide(status) {
            self.wake.raise();
        }
    }

    /// Everything is down.
    pub(crate) fn all_down(&self) {
        self.down.store(true, Ordering::Release);
        self.wake.raise();
    }

    /// The first cause counts. What follows from it (critical processes that are stopped, a SIGTERM by somebody who
    /// does not want to wait) changes nothing.
    fn decide(&self, status: u8) -> bool {
        self.status.set(status).is_ok()
    }

    /// The exit status; `None` = there is no reason to end.
    pub(crate) fn status(&self) -> Option<u8> {
        self.status.get().copied()
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_decides_and_a_later_signal_does_not() {
        let ending = Ending::new(Flag::new().unwrap());
        assert_eq!(ending.status(), None);
        ending.critical(137);
        ending.asked();
        ending.critical(3);
        assert_eq!(ending.status(), Some(137));
        assert!(ending.wake.was_raised(), "the main thread looks");

        let ending = Ending::new(Flag::new().unwrap());
        ending.asked();
        ending.critical(137);
        assert_eq!(ending.status(), Some(0), "what ends because it was asked to is no failure");
        assert!(!ending.wake.was_raised() && !ending.is_down());
        ending.all_down();
        assert!(ending.wake.was_raised() && ending.is_down());
    }
}
