//! How a writer wakes those who follow its file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use model::ProcessName;
use tokio::sync::watch;

use crate::place::FileId;

/// One log file as its followers see it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TailState {
    /// The file that lines go to now and to which no earlier file's lines go any more; `None` = not opened yet.
    pub(crate) writer: Option<FileId>,
    /// Its process was removed, or the pipeline ends: nobody will be woken again.
    pub(crate) ended: bool,
}

/// The writer's end. Each change is a wake-up.
#[derive(Debug)]
pub(crate) struct Tail(watch::Sender<TailState>);

impl Tail {
    /// The file was appended to. Costs one load when nobody follows.
    pub(crate) fn grew(&self) {
        if self.0.receiver_count() > 0 {
            self.0.send_modify(|_| ());
        }
    }

    /// From now on lines go to this file and never again to the one before it.
    pub(crate) fn moved(&self, file: FileId) {
        self.0.send_modify(|state| state.writer = Some(file));
    }

    fn end(&self) {
        self.0.send_modify(|state| state.ended = true);
    }
}

/// The tails of all log files: one per path that was written to or followed while its process was defined.
#[derive(Debug, Default)]
pub(crate) struct Tails(Mutex<HashMap<PathBuf, (ProcessName, Arc<Tail>)>>);

impl Tails {
    pub(crate) fn of(&self, process: &ProcessName, path: &Path) -> Arc<Tail> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || (process.clone(), Arc::new(Tail(watch::Sender::new(TailState::default()))));
        Arc::clone(&all.entry(path.to_owned()).or_insert_with(fresh).1)
    }

    /// Subscribed before the file is read, so that nothing written afterwards goes unnoticed.
    pub(crate) fn follow(&self, process: &ProcessName, path: &Path) -> watch::Receiver<TailState> {
        self.of(process, path).0.subscribe()
    }

    /// Followers of this process's files read what is there and end.
    pub(crate) fn forget(&self, process: &ProcessName) {
        self.end(|of| of == process);
    }

    /// All followers read what is there and end.
    pub(crate) fn clear(&self) {
        self.end(|_| true);
    }

    fn end(&self, which: impl Fn(&ProcessName) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extract_if(|_, (process, _)| which(process)).for_each(|(_, (_, tail))| tail.end());
    }
}
