//! What everybody but the supervisor reads: the last published view of each process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{ProcessName, ProcessView, Seq, Snapshot};

/// The published views. Readers copy pointers under the lock and look at them afterwards.
#[derive(Debug, Default)]
pub(crate) struct Board {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    seq: Seq,
    views: BTreeMap<ProcessName, Arc<ProcessView>>,
}

impl Board {
    /// Replaces the views that changed, in order; `None` takes one away.
    pub(crate) fn publish(&self, seq: Seq, changes: Vec<(ProcessName, Option<Arc<ProcessView>>)>) {
        let mut table = self.lock();
        table.seq = seq;
        for (name, view) in changes {
            match view {
                Some(view) => table.views.insert(name, view),
                None => table.views.remove(&name),
            };
        }
    }

    /// All views of one moment, sorted by name.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let table = self.lock();
        Snapshot { seq: table.seq, processes: table.views.values().cloned().collect() }
    }

    /// One view.
    pub(crate) fn view(&self, name: &ProcessName) -> Option<Arc<ProcessView>> {
        self.lock().views.get(name).cloned()
    }

    /// A reader that panicked has changed nothing, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
