//! What other threads hand to the supervisor, and the one eventfd that wakes it up for that.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Command, Refusal, Reply, RunId};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::driver::Reading;
use crate::spawner::Outcome;

/// Called once with the answer, on the supervisor's thread. Must not block.
pub type ReplyFn = Box<dyn FnOnce(Result<Reply, Refusal>) + Send>;

/// Called once at the end of a turn, on the supervisor's thread. Must not block.
pub type AliveFn = Box<dyn FnOnce() + Send>;

/// Commands that wait for the supervisor's next turn. One more is refused with [`Refusal::Busy`]: a turn takes
/// microseconds, so a full queue means that somebody floods it, and the flooder is the one to wait.
pub(crate) const COMMANDS: usize = 64;

/// Commands and results on their way to the supervisor.
#[derive(Debug)]
pub(crate) struct Inbox {
    mail: Mutex<Mail>,
    wake: EventFd,
}

/// What came in since the last look.
#[derive(Default)]
pub(crate) struct Mail {
    /// At most [`COMMANDS`].
    pub(crate) commands: VecDeque<(Command, ReplyFn)>,
    /// At most two per process, one of a run or a hook and one of a health check: the machine starts no second one of
    /// either before it knows of the first one's fate.
    pub(crate) outcomes: Vec<Outcome>,
    /// What health checks found. At most one per process and restart: the machine asks again only after an answer, and
    /// forgets about an answer that is outstanding only when it starts a new run.
    pub(crate) probed: Vec<(RunId, Result<(), String>)>,
    /// The newest content of each pidfile that is waited for: at most one per run.
    pub(crate) pidfiles: BTreeMap<RunId, Reading>,
    /// Who asks whether the loop turns: one, as only the watchdog does. Beside the commands, so that a flood of those,
    /// which the loop works off, is not taken for a loop that hangs.
    pub(crate) alive: Option<AliveFn>,
    closed: bool,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail")
            .field("commands", &self.commands.len())
            .field("outcomes", &self.outcomes.len())
            .field("probed", &self.probed.len())
            .field("pidfiles", &self.pidfiles.len())
            .field("alive", &self.alive.is_some())
            .field("closed", &self.closed)
            .finish()
    }
}

impl Mail {
    fn is_empty(&self) -> bool {
        let Self { commands, outcomes, probed, pidfiles, alive, closed: _ } = self;
        commands.is_empty()
            && outcomes.is_empty()
            && probed.is_empty()
            && pidfiles.is_empty()
            && alive.is_none()
    }
}

impl Inbox {
    pub(crate) fn new() -> nix::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { mail: Mutex::default(), wake })
    }

    /// Queues a command, or refuses it.
    pub(crate) fn submit(&self, command: Command, reply: ReplyFn) -> Result<(), Refusal> {
        let mail = self.lock();
        if mail.closed {
            return Err(Refusal::ShuttingDown);
        }
        if mail.commands.len() >= COMMANDS {
            return Err(Refusal::Busy);
        }
        self.put(mail, |mail| mail.commands.push_back((command, reply)));
        Ok(())
    }

    /// Queues what became of a spawn.
    pub(crate) fn report(&self, outcome: Outcome) {
        self.put(self.lock(), |mail| mail.outcomes.push(outcome));
    }

    /// Queues what a health check found.
    pub(crate) fn probed(&self, run: RunId, result: Result<(), String>) {
        self.put(self.lock(), |mail| mail.probed.push((run, result)));
    }

    /// Queues what stands in the pidfile of a run, in place of what stood there before.
    pub(crate) fn pidfile(&self, run: RunId, reading: Reading) {
        self.put(self.lock(), |mail| drop(mail.pidfiles.insert(run, reading)));
    }

    /// Asks whether the loop turns, in place of whoever asked before and has no answer yet.
    pub(crate) fn ask_alive(&self, answer: AliveFn) {
        self.put(self.lock(), |mail| mail.alive = Some(answer));
    }

    /// Takes everything. The eventfd is reset first: what arrives in between wakes the next turn once too often, while
    /// the other order could leave something behind with nobody to wake up for it.
    pub(crate) fn take(&self) -> Mail {
        let _nothing_to_reset = self.wake.read();
        let mut mail = self.lock();
        let closed = mail.closed;
        std::mem::replace(&mut *mail, Mail { closed, ..Mail::default() })
    }

    /// Refuses everything from now on and hands out the callers who came too late.
    pub(crate) fn close(&self) -> VecDeque<(Command, ReplyFn)> {
        let mut mail = self.lock();
        mail.closed = true;
        std::mem::take(&mut mail.commands)
    }

    /// Only the first entry needs a wake-up: whoever takes it takes all. After the end nobody takes anything.
    fn put(&self, mut mail: MutexGuard<'_, Mail>, entry: impl FnOnce(&mut Mail)) {
        if mail.closed {
            return;
        }
        let first = mail.is_empty();
        entry(&mut mail);
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
        assert_eq!(inbox.take().commands.len(), COMMANDS);
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

    #[test]
    fn whether_the_loop_turns_can_be_asked_when_its_queue_is_full_and_the_last_one_counts() {
        let inbox = Inbox::new().unwrap();
        let (answers, heard) = std::sync::mpsc::channel();
        let ask = |who: u8| {
            let answers = answers.clone();
            inbox.ask_alive(Box::new(move || answers.send(who).unwrap()));
        };
        ask(1);
        assert_eq!(inbox.wake.read(), Ok(1), "asking wakes up the loop");
        while inbox.submit(Command::Shutdown, Box::new(|_| ())).is_ok() {}
        ask(2);
        inbox.take().alive.expect("somebody asked")();
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [2]);
        assert!(inbox.take().alive.is_none(), "answered once");
    }

    #[test]
    fn results_of_every_kind_wake_up_and_the_newest_reading_counts() {
        let inbox = Inbox::new().unwrap();
        let reading = |pid| Reading::Pid { pid, fresh: true };
        inbox.pidfile(RunId(1), reading(10));
        inbox.pidfile(RunId(1), reading(11));
        inbox.probed(RunId(2), Ok(()));
        assert_eq!(inbox.wake.read(), Ok(1));
        let mail = inbox.take();
        assert_eq!(mail.pidfiles.into_iter().collect::<Vec<_>>(), [(RunId(1), reading(11))]);
        assert_eq!(mail.probed, [(RunId(2), Ok(()))]);
        inbox.probed(RunId(2), Err("no answer".into()));
        assert_eq!(inbox.wake.read(), Ok(1), "what comes after the others were taken wakes up again");
        inbox.close();
        inbox.probed(RunId(3), Ok(()));
        assert_eq!(inbox.take().probed.len(), 1, "kept what nobody takes any more");
    }
}
