//! What is read of a main process, and how it is not read again while the process sleeps.
//!
//! Most of many processes wait most of the time. CPU time, threads, descriptors and I/O of a process with one thread
//! change only when that thread runs, and `schedstat` says how often it did, in less than a third of the time of the other files. So
//! one that did not run since the last scrape is asked for its memory alone, which the kernel may take from it meanwhile.
//!
//! One that runs all the time, or has several threads, would pay for a question whose answer is known: it is asked less and less
//! often, at last at every [`RARELY`]th scrape.

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

/// Scrapes between two questions to a process that ran each time.
const RARELY: u32 = 8;

/// Whether a process is asked if it ran, and what it looked like when it was.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    seen: Option<Seen>,
    /// Scrapes that do not ask.
    skip: u32,
    /// How many of them the last disappointment has brought.
    skipped: u32,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// From before the look, so that what happens in between is not missed.
    ran: [u64; 2],
    look: Look,
    all: bool,
}

impl Asking {
    /// Whether to ask this time.
    fn asks(&mut self) -> bool {
        let asks = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        asks
    }

    /// What it still looks like, when it did not run since.
    fn unchanged(&self, ran: Option<[u64; 2]>, all: bool) -> Option<Look> {
        self.seen.filter(|seen| Some(seen.ran) == ran && seen.all == all).map(|seen| seen.look)
    }

    /// It did not run.
    fn found_asleep(&mut self) {
        self.skipped = 0;
    }

    /// It was looked at in full; `ran` as it was before, if it was asked.
    fn looked(&mut self, ran: Option<[u64; 2]>, look: Look, all: bool, own_child: bool) {
        let Some(ran) = ran else {
            self.seen = None;
            return;
        };
        // Several threads, or a parent that may end: what changes then is not told by the main thread.
        let tells = look.stat.threads == 1 && own_child && !look.stat.is_zombie();
        if self.seen.is_some() || !tells {
            self.skipped = (self.skipped * 2 + 1).min(RARELY);
            self.skip = self.skipped;
        }
        self.seen = (tells && self.skip == 0).then_some(Seen { ran, look, all });
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
        let ran = if kept.asking.asks() { self.kept_ran(kept) } else { None };
        if let Some(mut look) = kept.asking.unchanged(ran, all)
            && let Some(memory) = self.kept_memory(kept)
        {
            kept.asking.found_asleep();
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
        kept.asking.looked(ran, look, all, stat.parent == self.proc.own_pid);
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

    fn a_look(threads: u64, state: u8) -> Look {
        let stat = Stat {
            state,
            parent: 1,
            session: 1,
            cpu_ticks: [0; 4],
            threads,
            start_ticks: 0,
            virtual_bytes: 0,
            resident_pages: 0,
        };
        Look { stat, fds: Some(3), io: None }
    }

    /// Scrapes until the next one that asks.
    fn until_asked(asking: &mut Asking) -> usize {
        (0..).take_while(|_| !asking.asks()).count()
    }

    #[test]
    fn one_that_did_not_run_is_what_it_was() {
        let (mut asking, look) = (Asking::default(), a_look(1, b'S'));
        assert!(asking.asks());
        asking.looked(Some([10, 1]), look, true, true);
        assert!(asking.asks());
        assert_eq!(asking.unchanged(Some([10, 1]), true), Some(look));
        assert_eq!(asking.unchanged(Some([10, 1]), false), None, "less was asked for then");
        assert_eq!(asking.unchanged(Some([11, 1]), true), None, "it has been running all the while");
        assert_eq!(asking.unchanged(Some([10, 2]), true), None);
        assert_eq!(asking.unchanged(None, true), None, "the kernel does not tell any more");
    }

    #[test]
    fn what_the_main_thread_does_not_tell_is_looked_at() {
        for (look, own_child) in [(a_look(2, b'S'), true), (a_look(1, b'Z'), true), (a_look(1, b'S'), false)]
        {
            let mut asking = Asking::default();
            assert!(asking.asks());
            asking.looked(Some([10, 1]), look, true, own_child);
            assert_eq!(asking.unchanged(Some([10, 1]), true), None, "{look:?}");
        }
    }

    #[test]
    fn one_that_always_runs_is_asked_ever_less_often() {
        let (mut asking, mut pauses, mut turn) = (Asking::default(), Vec::new(), 0);
        for _ in 0..8 {
            pauses.push(until_asked(&mut asking));
            turn += 1;
            asking.looked(Some([turn, turn]), a_look(1, b'R'), true, true);
        }
        // Two questions at a time: how it looks now, and whether it has run since.
        assert_eq!(pauses, [0, 0, 1, 0, 3, 0, 7, 0]);
        assert_eq!(until_asked(&mut asking), 8);
        asking.looked(Some([100, 100]), a_look(1, b'S'), true, true);
        assert!(asking.asks() && asking.unchanged(Some([100, 100]), true).is_some());
        asking.found_asleep();
        assert_eq!(until_asked(&mut asking), 0, "it sleeps now, and is asked each time");
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
            let now = reader.look_again(kept, Duration::ZERO, true).unwrap().unwrap();
            assert_eq!(now.fds, first.fds.map(|fds| fds + 1));
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
