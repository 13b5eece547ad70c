//! What is remembered of processes that are not in the table: the counts of an earlier daemon, and the last run number of
//! what was deleted.

use std::collections::{BTreeMap, VecDeque};

use model::{Counters, ProcessId};

/// Counts by process.
#[derive(Debug, Default)]
pub(super) struct Past {
    counts: BTreeMap<ProcessId, Counters>,
    /// Those of them that were deleted, the oldest first.
    deleted: VecDeque<ProcessId>,
}

impl Past {
    pub(super) fn new(counts: BTreeMap<ProcessId, Counters>) -> Self {
        Self { counts, deleted: VecDeque::new() }
    }

    /// What a process goes on from when it comes into the table.
    pub(super) fn take(&mut self, id: ProcessId) -> Counters {
        let Some(counts) = self.counts.remove(&id) else { return Counters::default() };
        self.deleted.retain(|deleted| *deleted != id);
        counts
    }

    /// A process left the table. Its counts go; its run numbers go on if it comes back, as its lines are in the same log
    /// files and in the journal under the same id: a second run 1 could not be told from the first.
    pub(super) fn delete(&mut self, id: ProcessId, runs: u64) {
        if runs == 0 {
            return;
        }
        self.counts.insert(id, Counters { runs, ..Counters::default() });
        self.deleted.push_back(id);
        while self.deleted.len() > Counters::DELETED {
            if let Some(oldest) = self.deleted.pop_front() {
                self.counts.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> ProcessId {
        ProcessId::from_number(number).unwrap()
    }

    #[test]
    fn of_what_was_deleted_the_last_run_number_is_kept() {
        let mut past = Past::new([(id(1), Counters { runs: 5, restarts: 4, ..Counters::default() })].into());
        assert_eq!(past.take(id(1)).restarts, 4);
        past.delete(id(1), 7);
        assert_eq!(past.take(id(1)), Counters { runs: 7, ..Counters::default() });
        assert_eq!(past.take(id(1)), Counters::default(), "it is in the table now");
        past.delete(id(2), 0);
        assert_eq!(past.counts.len(), 0, "what never ran leaves nothing");
    }

    #[test]
    fn the_oldest_is_forgotten_and_one_that_came_back_is_not_old() {
        let mut past = Past::default();
        for n in 0..Counters::DELETED as u64 {
            past.delete(id(n), n + 1);
        }
        past.take(id(0));
        past.delete(id(0), 1);
        past.delete(id(u64::from(u32::MAX)), 1);
        assert_eq!((past.counts.len(), past.deleted.len()), (Counters::DELETED, Counters::DELETED));
        assert_eq!((past.take(id(0)).runs, past.take(id(1)).runs), (1, 0));
    }
}
