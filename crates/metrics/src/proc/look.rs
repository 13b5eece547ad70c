//! What is read of a main process, and how it is not read again while the process sleeps.
//!
//! Most of many processes wait most of the time. CPU time, threads, descriptors and I/O of a process change only when one of
//! its threads runs, and its [clock](super::clock) says whether one did. So one that did not run since the last scrape is
//! asked for its memory alone, which the kernel may take from it meanwhile. What it did since the last tick of the kernel, some
//! milliseconds, may be missed while it is at it; the next look sees it.

use std::fmt::Display;
use std::time::Duration;

use super::{Kept, ProcError, Reader, Stat};

/// What is read of a main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) stat: Stat,
    /// Open descriptors; absent when not asked for, or not to be seen.
    pub(crate) fds: Option<u64>,
    /// Bytes read and written; the same.
    pub(crate) io: Option<[u64; 2]>,
}

/// What a process looked like when it was looked at in full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// From before the look, so that what happens in between is not missed.
    ran: Duration,
    look: Look,
    all: bool,
}

impl Seen {
    /// `None` where the clock doesn't tell when it looks otherwise: whose parent is another process gets a new one when that ends, and
    /// a zombie has nothing that is read again.
    fn new(ran: Option<Duration>, look: Look, all: bool, own_child: bool) -> Option<Self> {
        let tells = own_child && !look.stat.is_zombie();
        ran.filter(|_| tells).map(|ran| Self { ran, look, all })
    }

    /// What it still looks like, when it did not run since.
    fn unchanged(self, ran: Option<Duration>, all: bool) -> Option<Look> {
        (ran == Some(self.ran) && all == self.all).then_some(self.look)
    }
}

impl Reader<'_> {
    /// What a run's main process, which is `age` old, looks like now; `None` = it is gone, or it is another process that
    /// has its pid. `all` = its descriptors and I/O too, which may be absent still: another user's process may not be looked at.
    pub(crate) fn look_again(
        &mut self,
        kept: &mut Kept,
        age: Duration,
        all: bool,
    ) -> Result<Option<Look>, ProcError> {
        let ran = (self.proc.ran)(kept.pid());
        if let Some(mut look) = kept.seen.and_then(|seen| seen.unchanged(ran, all))
            && let Some(memory) = self.kept_memory(kept)
        {
            look.stat = self.with_memory(look.stat, Some(memory));
            return Ok(Some(look));
        }
        let Some(stat) = self.kept_stat(kept)? else { return Ok(None) };
        let (mut fds, mut io) = (None, None);
        if all && !stat.is_zombie() {
            (fds, io) = (self.kept_fds(kept), self.kept_io(kept));
        }
        let memory = self.kept_memory(kept);
        // Last, since it is what says that all before was of this process and not of one that has its pid now.
        let is_it = if kept.is_bound() { memory.is_some() } else { self.is_of_run(stat, age)?.is_some() };
        if !is_it {
            return Ok(None);
        }
        let look = Look { stat: self.with_memory(stat, memory), fds, io };
        kept.seen = Seen::new(ran, look, all, stat.parent == self.proc.own_pid);
        Ok(Some(look))
    }

    /// A process's `stat` with its memory as `statm` has it.
    pub(crate) fn exact(&mut self, who: impl Display, stat: Stat) -> Stat {
        let memory = self.memory(who).ok();
        self.with_memory(stat, memory)
    }

    /// `statm` is exact where `stat` may be off by some 32 pages for each processor (Linux 6.2 and later).
    fn with_memory(&self, stat: Stat, memory: Option<[u64; 2]>) -> Stat {
        let known = memory.zip(self.proc.page_size).filter(|_| !stat.is_zombie());
        known.map_or(stat, |([size, resident_pages], page)| Stat {
            virtual_bytes: size.saturating_mul(page),
            resident_pages,
            ..stat
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::proc::ProcFs;
    use crate::proc::kept::Extent;

    fn a_look(state: u8) -> Look {
        let stat = Stat {
            state,
            parent: 1,
            session: 1,
            cpu_ticks: [0; 4],
            threads: 2,
            start_ticks: 0,
            virtual_bytes: 0,
            resident_pages: 0,
        };
        Look { stat, fds: Some(3), io: None }
    }

    #[test]
    fn one_that_did_not_run_is_what_it_was() {
        let (look, ran) = (a_look(b'S'), |nanos| Some(Duration::from_nanos(nanos)));
        let seen = Seen::new(ran(10), look, true, true).unwrap();
        assert_eq!(seen.unchanged(ran(10), true), Some(look));
        assert_eq!(seen.unchanged(ran(10), false), None, "less was asked for then");
        assert_eq!(seen.unchanged(ran(11), true), None);
        assert_eq!(seen.unchanged(None, true), None, "the kernel does not tell any more");
    }

    #[test]
    fn what_the_clock_does_not_tell_is_looked_at() {
        let ran = Some(Duration::from_nanos(10));
        for (ran, look, own_child) in
            [(None, a_look(b'S'), true), (ran, a_look(b'Z'), true), (ran, a_look(b'S'), false)]
        {
            assert!(Seen::new(ran, look, true, own_child).is_none(), "{look:?}");
        }
    }

    #[test]
    fn a_real_process_is_seen_again_once_it_has_run() {
        let mut child = Command::new("sh")
            .args(["-c", "echo here; read a; exec 7</dev/null; echo opened; read b"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut words = BufReader::new(child.stdout.take().unwrap()).lines();
        let proc = ProcFs::detect();
        let mut reader = Reader::new(&proc);
        words.next().unwrap().unwrap();
        // By path and by what is kept: the same.
        let kept = [Extent::Whole, Extent::Slim, Extent::Bare].map(|extent| {
            let (mut kept, first) = reader.keep(child.id(), Duration::ZERO, true, extent).unwrap().unwrap();
            let look = reader.look_again(&mut kept, Duration::ZERO, true).unwrap().unwrap();
            assert_eq!((look.fds, look.stat.virtual_bytes), (first.fds, first.stat.virtual_bytes));
            (kept, first)
        });
        let firsts = kept.each_ref().map(|(_, first)| first.fds);
        assert!(firsts[0].is_some() && firsts.iter().all(|fds| *fds == firsts[0]), "{firsts:?}");
        child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        assert_eq!(words.next().unwrap().unwrap(), "opened");
        let mut kept = kept;
        for (kept, first) in &mut kept {
            // Its clock is behind until it sleeps again, or until the next tick.
            testkit::eventually("its descriptor", || {
                let now = reader.look_again(kept, Duration::ZERO, true).unwrap().unwrap();
                (now.fds == first.fds.map(|fds| fds + 1)).then_some(())
            });
        }
        child.kill().unwrap();
        for (kept, _) in &mut kept {
            let zombie = testkit::eventually("its end", || {
                let look = reader.look_again(kept, Duration::ZERO, true).unwrap();
                look.filter(|look| look.stat.is_zombie())
            });
            assert_eq!((zombie.fds, zombie.io), (None, None));
        }
        child.wait().unwrap();
        for (kept, _) in &mut kept {
            assert_eq!(reader.look_again(kept, Duration::ZERO, true).unwrap(), None);
        }
    }
}
