//! epoll with typed tokens: whatever becomes ready says what it is and which run it belongs to.

use std::os::fd::AsFd;

use model::{Mono, RunId};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// Something that the supervisor waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The inbox has mail.
    Inbox,
    /// SIGCHLD: a child died, adopted or not.
    Children,
    /// The main process of this run died.
    Main(RunId),
    /// Something that outlived the main process of this run died.
    Leftover(RunId),
    /// The cgroup of this run, already released, became empty or not.
    Cgroup(RunId),
    /// Somebody said something on the notification socket of this run.
    Notify(RunId),
    /// What was the main process of this run until another one took its place died.
    Former(RunId),
    /// The kernel did something to this run for lack of memory.
    Memory(RunId),
}

/// Ready descriptors taken by one wait. More of them are ready again in the next turn: epoll is level-triggered.
const BATCH: usize = 256;

/// The epoll instance of the supervisor.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: Epoll,
    batch: [EpollEvent; BATCH],
}

impl Poller {
    pub(crate) fn new() -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, batch: [EpollEvent::empty(); BATCH] })
    }

    /// Watches a descriptor, level-triggered.
    pub(crate) fn add(&self, fd: impl AsFd, token: Token) -> nix::Result<()> {
        let flags = match token {
            Token::Cgroup(_) | Token::Memory(_) => EpollFlags::EPOLLPRI,
            Token::Inbox
            | Token::Children
            | Token::Main(_)
            | Token::Leftover(_)
            | Token::Notify(_)
            | Token::Former(_) => EpollFlags::EPOLLIN,
        };
        self.epoll.add(fd, EpollEvent::new(flags, token.encode()))
    }

    /// Stops watching. To be called before the descriptor is closed: epoll watches the open file, not the number, and
    /// a child between clone and exec holds a copy of every descriptor. Closing alone would leave a watch that fires
    /// for ever and that nobody can remove.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        let _was_never_added = self.epoll.delete(fd);
    }

    /// Sleeps until something is ready or `until` has come; `None` = for ever. `ready` is overwritten.
    pub(crate) fn wait(&mut self, now: Mono, until: Option<Mono>, ready: &mut Vec<Token>) {
        ready.clear();
        let count = match self.epoll.wait(&mut self.batch, timeout(now, until)) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(other) => unreachable!("epoll_wait on an own epoll descriptor: {other}"),
        };
        ready.extend(self.batch[..count].iter().filter_map(|event| Token::decode(event.data())));
    }
}

/// Rounded up to whole milliseconds: rounding down would wake up too early and spin until the deadline. Waits longer
/// than 24 days are cut: the loop finds nothing due and waits again.
fn timeout(now: Mono, until: Option<Mono>) -> EpollTimeout {
    let Some(until) = until else { return EpollTimeout::NONE };
    let millis = until.since(now).as_nanos().div_ceil(1_000_000);
    EpollTimeout::try_from(millis).unwrap_or(EpollTimeout::MAX)
}

impl Token {
    fn encode(self) -> u64 {
        match self {
            Self::Inbox => 0,
            Self::Children => 1,
            Self::Main(run) => run.0 << 3 | 2,
            Self::Leftover(run) => run.0 << 3 | 3,
            Self::Cgroup(run) => run.0 << 3 | 4,
            Self::Notify(run) => run.0 << 3 | 5,
            Self::Former(run) => run.0 << 3 | 6,
            Self::Memory(run) => run.0 << 3 | 7,
        }
    }

    /// `None` can't be: three bits have eight values, and all are taken.
    fn decode(data: u64) -> Option<Self> {
        let run = RunId(data >> 3);
        match data & 7 {
            0 => Some(Self::Inbox),
            1 => Some(Self::Children),
            2 => Some(Self::Main(run)),
            3 => Some(Self::Leftover(run)),
            4 => Some(Self::Cgroup(run)),
            5 => Some(Self::Notify(run)),
            6 => Some(Self::Former(run)),
            7 => Some(Self::Memory(run)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        let run = RunId(u64::MAX >> 3);
        let of_the_run =
            [Token::Main, Token::Leftover, Token::Cgroup, Token::Notify, Token::Former, Token::Memory];
        for token in [Token::Inbox, Token::Children].into_iter().chain(of_the_run.map(|token| token(run))) {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
    }

    #[test]
    fn timeouts_are_rounded_up_and_cut() {
        assert_eq!(timeout(Mono(5), None), EpollTimeout::NONE);
        assert_eq!(timeout(Mono(5), Some(Mono(5))), EpollTimeout::ZERO);
        assert_eq!(timeout(Mono(5), Some(Mono(1))), EpollTimeout::ZERO);
        assert_eq!(timeout(Mono(5), Some(Mono(6))), EpollTimeout::from(1_u16));
        assert_eq!(timeout(Mono(0), Some(Mono(1_000_001))), EpollTimeout::from(2_u16));
        assert_eq!(timeout(Mono(0), Some(Mono(u64::MAX))), EpollTimeout::MAX);
    }
}
