//! What the streams of one process share: its settings, its rate limits, its lane to the journal,
//! and which of its runs are read first.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use model::{LogSpec, ProcessRef, RateLimit};

use super::Settings;
use super::limit::Bucket;
use crate::journal::LaneRef;
use crate::turns::Over;

/// One process.
pub(crate) struct Process {
    pub(crate) who: ProcessRef,
    settings: RefCell<Rc<Settings>>,
    pub(super) buckets: Buckets,
    pub(crate) lane: Option<LaneRef>,
    pub(crate) over: Over,
}

impl Process {
    pub(crate) fn new(who: ProcessRef, settings: Rc<Settings>, lane: Option<LaneRef>) -> Self {
        let buckets = Buckets::default();
        buckets.set(&settings.spec);
        Self { who, settings: RefCell::new(settings), buckets, lane, over: Over::default() }
    }

    pub(crate) fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.settings.borrow())
    }

    pub(crate) fn has(&self, log: &LogSpec) -> bool {
        self.settings.borrow().spec == *log
    }

    /// Applies to the running streams at once.
    pub(crate) fn set(&self, settings: Rc<Settings>) {
        self.buckets.set(&settings.spec);
        self.settings.replace(settings);
    }
}

/// The rate limits of one process, one for each sink that has one. All its streams share them.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    pub(super) file: RefCell<Option<Bucket>>,
    pub(super) journald: RefCell<Option<Bucket>>,
}

impl Buckets {
    /// A limit that stays the same goes on as it is.
    fn set(&self, spec: &LogSpec) {
        let now = Instant::now();
        set(&mut self.file.borrow_mut(), spec.file_rate_limit, now);
        set(&mut self.journald.borrow_mut(), spec.rate_limit, now);
    }
}

fn set(bucket: &mut Option<Bucket>, limit: Option<RateLimit>, now: Instant) {
    if bucket.as_ref().map(Bucket::limit) != limit {
        *bucket = limit.map(|limit| Bucket::new(limit, now));
    }
}
