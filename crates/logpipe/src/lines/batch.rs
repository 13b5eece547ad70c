//! The lines of one read on their way, and what they did to the accounts.

use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::Wall;

use super::Settings;
use crate::stats::SinkStats;
use crate::store::Lines;

/// What happens to the lines of one read.
pub(crate) struct Batch {
    pub(super) settings: Rc<Settings>,
    /// When it was read.
    pub(super) at: Wall,
    /// The same for the rate limits; only when there is one.
    now: Option<Instant>,
    /// Nothing comes after it and nobody may be made to wait any more: what has no room is dropped.
    pub(super) last: bool,
    pub(super) lines: u64,
    pub(super) journal: Flow,
    pub(super) file: Flow,
    pub(super) console: Flow,
    /// Formatted lines for the file, and what they stand for.
    pub(super) text: Vec<u8>,
    pub(super) text_lines: Lines,
}

/// What one batch did to a sink's accounts.
#[derive(Default)]
pub(super) struct Flow {
    /// Lines read that wait now.
    pub(super) queued: u64,
    /// Lines read that were written.
    pub(super) written: u64,
    pub(super) truncated: u64,
    /// Lines read that were dropped.
    pub(super) refused: u64,
    /// Lines that waited, in this batch or before, and were dropped.
    pub(super) lost: u64,
}

impl Flow {
    pub(super) fn is_none(&self) -> bool {
        self.queued + self.written + self.truncated + self.refused + self.lost == 0
    }

    /// Lines that reached their sink's queue, or not; those that were held wait already.
    pub(super) fn offer(&mut self, lines: Lines, taken: bool) {
        let fresh = lines.all() - lines.held;
        if taken {
            self.queued += fresh;
        } else {
            self.refused += fresh;
            self.lost += lines.held;
        }
    }

    pub(super) fn book(&self, sink: &mut SinkStats) {
        sink.read += self.queued + self.written + self.truncated + self.refused;
        sink.queued += self.queued;
        sink.queued -= self.lost;
        sink.written += self.written;
        sink.truncated += self.truncated;
        sink.dropped += self.refused + self.lost;
    }
}

impl Batch {
    pub(super) fn new(settings: Rc<Settings>, last: bool) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let limited = settings.spec.rate_limit.is_some() || settings.spec.file_rate_limit.is_some();
        Self {
            at: Wall(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)),
            now: limited.then(Instant::now),
            last,
            lines: 0,
            journal: Flow::default(),
            file: Flow::default(),
            console: Flow::default(),
            text: Vec::new(),
            text_lines: Lines::default(),
            settings,
        }
    }

    /// When it was read, for the rate limits.
    pub(super) fn now(&self) -> Instant {
        self.now.unwrap_or_else(Instant::now)
    }

    /// The bound for the framer.
    pub(crate) fn max_line(&self) -> usize {
        self.settings.max_line()
    }
}

impl Lines {
    /// A line with this mark behind it, which is empty unless it was cut.
    pub(crate) fn one(mark: &str) -> Self {
        let cut = u64::from(!mark.is_empty());
        Self { whole: 1 - cut, cut, held: 0 }
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.whole += more.whole;
        self.cut += more.cut;
        self.held += more.held;
    }
}
