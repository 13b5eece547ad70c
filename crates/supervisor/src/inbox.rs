//! What other threads hand to the supervisor, and the one eventfd that wakes it up for that.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Command, Refusal, Reply};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::spawner::Outcome;

/// Called once with the answer, on the supervisor's thread. Must not block.
pub type ReplyFn = Box<dyn FnOnce(Result<Reply, Refusal>) + Send>;

/// Commands that wait for the supervisor's next turn. One more is refused with [`Refusal::Busy`]: a turn takes
/// microseconds, so a full queue means that somebody floods it, and the flooder is the one to wait.
pub(crate) const COMMANDS: usize = 64;

/// Commands and spawn results on their way to the supervisor.
#[derive(Debug)]
pub(crate) struct Inbox {
    mail: Mutex<Mail>,
    wake: EventFd,
}

#[derive(Default)]
struct Mail {
    commands: VecDeque<(Command, ReplyFn)>,
    /// At most one per process: the machine starts no second run before it knows of the first one's fate.
    outcomes: Vec<Outcome>,
    closed: bool,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail")
            .field("commands", &self.commands.len())
            .field("outcomes", &self.outcomes.len())
            .field("closed", &self.closed)
            .finish()
    }
}

impl Inbox {
    pub(crate) fn new() -> nix::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { mail: Mutex::default(), wake })
    }

    /// Queues a command, or refuses it.
    pub(crate) fn submit(&self, command: Command, reply: ReplyFn) -> Result<(), Refusal> {
        let mut mail = self.lock();
        if mail.closed {
            return Err(Refusal::ShuttingDown);
        }
        if mail.commands.len() >= COMMANDS {
            return Err(Refusal::Busy);
        }
        mail.commands.push_back((command, reply));
        self.wake(mail);
        Ok(())
    }

    /// Queues what became of a spawn.
    pub(crate) fn report(&self, outcome: Outcome) {
        let mut mail = self.lock();
        mail.outcomes.push(outcome);
        self.wake(mail);
    }

    /// Takes everything. The eventfd is reset first: what arrives in between wakes the next turn once too often, while
    /// the other order could leave something behind with nobody to wake up for it.
    pub(crate) fn take(&self) -> (VecDeque<(Command, ReplyFn)>, Vec<Outcome>) {
        let _nothing_to_reset = self.wake.read();
        let mut mail = self.lock();
        (std::mem::take(&mut mail.commands), std::mem::take(&mut mail.outcomes))
    }

    /// Refuses everything from now on and hands out the callers who came too late.
    pub(crate) fn close(&self) -> VecDeque<(Command, ReplyFn)> {
        let mut mail = self.lock();
        mail.closed = true;
        std::mem::take(&mut mail.commands)
    }

    /// Only the first entry needs a wake-up: whoever takes it takes all.
    fn wake(&self, mail: MutexGuard<'_, Mail>) {
        let first = mail.commands.len() + mail.outcomes.len() == 1;
        drop(mail);
        if first {
            // It fails only when the counter is near 2^64, and then the reader is awake anyway.
            let _already_awake = self.wake.write(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixty_fifth_command_is_refused_and_the_queue_recovers() {
        let inbox = Inbox::new().unwrap();
        for _ in 0..COMMANDS {
            inbox.submit(Command::Shutdown, Box::new(|_| ())).unwrap();
        }
        assert_eq!(inbox.submit(Command::Shutdown, Box::new(|_| ())), Err(Refusal::Busy));
        assert_eq!(inbox.take().0.len(), COMMANDS);
        assert_eq!(inbox.submit(Command::Shutdown, Box::new(|_| ())), Ok(()));
    }

    #[test]
    fn a_closed_inbox_hands_back_who_was_late_and_refuses_the_rest() {
        let inbox = Inbox::new().unwrap();
        inbox.submit(Command::Shutdown, Box::new(|_| ())).unwrap();
        assert_eq!(inbox.close().len(), 1);
        assert_eq!(inbox.submit(Command::Shutdown, Box::new(|_| ())), Err(Refusal::ShuttingDown));
    }

    #[test]
    fn a_burst_is_one_wake_up() {
        let inbox = Inbox::new().unwrap();
        for _ in 0..10 {
            inbox.submit(Command::Shutdown, Box::new(|_| ())).unwrap();
        }
        assert_eq!(inbox.wake.read(), Ok(1));
    }
}
