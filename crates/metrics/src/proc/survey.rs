//! Which processes of the machine a pass over all runs looks at.
//!
//! A listing of /proc takes 1 µs for each process there is. But the kernel gives pids one after the other and tells which was the
//! last one, so who is new has one behind the last that was seen. Most passes ask for these pids alone, and look at those of
//! the pass before that are not strangers.
//!
//! Every [`LISTED`]th pass lists all the same: a process may be given a pid of choice (clone3(2), `set_tid`), and on a machine
//! that makes as many processes between two passes as there are pids, the last one may be the same again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::{ProcError, Reader};

/// Passes from one listing to the next.
const LISTED: u32 = 8;
/// A pid is given some microseconds before its process can be seen. Of so many that were the last ones, the next pass asks again.
const RECENT: u32 = 32;

/// Of pids, which the kernel gives and nobody chooses: a hash that withstands an attacker would be a third of a pass.
pub(super) type ByPid<V> = HashMap<u32, V, BuildHasherDefault<PidHasher>>;

/// Spreads a number over all bits, by the golden ratio.
#[derive(Default)]
pub(super) struct PidHasher(u64);

impl Hasher for PidHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, pid: u32) {
        self.0 = (self.0 ^ u64::from(pid)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// A number that no other process of that pid has; `None` = it was not listed yet.
pub(super) type Number = Option<u64>;

/// What one pass leaves to the next. As much as there are processes, some 20 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Processes that belong to no run, and never will. Some that are gone may be among them, until their pid is another's.
    pub(super) strangers: ByPid<Number>,
    /// Those that were looked at, main processes included: what was one may be so no more.
    pub(super) looked_at: Vec<u32>,
    /// The last pid that had been given when the pass began, less [`RECENT`]; `None` = the next one lists.
    last: Option<u32>,
    /// Passes without a listing that are left.
    left: u32,
}

impl Survey {
    /// Everybody who may belong to a run and is no main process.
    pub(super) fn candidates(
        &mut self,
        reader: &mut Reader<'_>,
        is_main: impl Fn(u32) -> bool,
    ) -> Result<Vec<(u32, Number)>, ProcError> {
        // Before anybody is looked for: who comes meanwhile is looked at by the next one too.
        let last = reader.last_pid();
        let before = std::mem::take(&mut self.looked_at);
        // More pids than processes: then the listing is shorter.
        let known = self.strangers.len() + before.len();
        let news = self.last.take().zip(last).map(|(from, to)| from + 1..to.saturating_add(1));
        // The other way round they began anew.
        let news = news.filter(|news| self.left > 0 && news.start <= news.end && news.len() <= known);
        let mut candidates = Vec::new();
        if let Some(news) = news {
            self.left -= 1;
            let old = before.into_iter().filter(|pid| !news.contains(pid));
            candidates.extend(old.filter(|pid| !is_main(*pid)).map(|pid| (pid, None)));
            for pid in news.filter(|pid| reader.is_process(*pid)) {
                self.strangers.remove(&pid);
                if !is_main(pid) {
                    candidates.push((pid, None));
                }
            }
        } else {
            self.left = LISTED - 1;
            let strangers = std::mem::take(&mut self.strangers);
            self.strangers.reserve(strangers.len());
            reader.processes(|pid, number| match strangers.get(&pid) {
                _ if is_main(pid) => {}
                Some(Some(known)) if *known == number => drop(self.strangers.insert(pid, Some(number))),
                _ => candidates.push((pid, Some(number))),
            })?;
        }
        self.last = last.map(|last| last.saturating_sub(RECENT));
        Ok(candidates)
    }
}
