//! How many datagrams were heard, and how many ignored and why.

use std::sync::atomic::{AtomicU64, Ordering};

/// What came in on all notification sockets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoticeStats {
    /// Datagrams that counted.
    pub heard: u64,
    /// Ignored: longer than 4 KiB, or the kernel could not say who sent them.
    pub unusable: u64,
    /// Ignored: from a process that is not of the run.
    pub strangers: u64,
    /// `MAINPID=` that was ignored: it named no living process of the run, came from a sender that had ended already, or
    /// for a run that was being killed or had no main process any more.
    pub main_pids: u64,
    /// Sockets that are not read any more, as closing what came over them takes too long.
    pub stuck: u64,
}

/// Written by the supervisor, read by anybody.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) heard: AtomicU64,
    pub(crate) unusable: AtomicU64,
    pub(crate) strangers: AtomicU64,
    pub(crate) main_pids: AtomicU64,
    pub(crate) stuck: AtomicU64,
}

impl Counts {
    pub(crate) fn read(&self) -> NoticeStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        NoticeStats {
            heard: read(&self.heard),
            unusable: read(&self.unusable),
            strangers: read(&self.strangers),
            main_pids: read(&self.main_pids),
            stuck: read(&self.stuck),
        }
    }
}

/// One more.
pub(crate) fn count(what: &AtomicU64) {
    what.fetch_add(1, Ordering::Relaxed);
}
