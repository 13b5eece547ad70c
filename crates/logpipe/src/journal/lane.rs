//! Entries of one process, or of the daemon's events, that wait for the journal, and the gaps between them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use model::{RateLimit, Sink, Stream};

use crate::entry;
use crate::lines::limit;
use crate::stats::ProcessCounts;
use crate::store::Lines;

/// Bytes that one lane holds.
pub(crate) const LANE_MAX: usize = 1 << 20;
/// Bytes of one datagram, unless one entry alone is larger. Well below the default limit of about 208 KiB.
const DATAGRAM: usize = 128 << 10;

/// Lines that are missing at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gap {
    /// There was no room for them.
    pub(crate) dropped: u64,
    /// There were too many within the time of `rate_limit`.
    pub(crate) suppressed: u64,
}

impl Gap {
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    fn add(&mut self, more: Self) {
        self.dropped += more.dropped;
        self.suppressed += more.suppressed;
    }
}

/// What an entry in a lane is, for the accounts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A line, or several; how many of them were cut.
    Lines { stream: Stream, whole: u64, cut: u64 },
    /// A lifecycle event.
    Event,
    /// What stands for these.
    Marker(Gap),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    len: usize,
    kind: Kind,
    /// When it came.
    since: Instant,
}

/// A lane.
pub(crate) struct Lane {
    /// Whose lines; `None` for the lane of events.
    counts: Option<Arc<ProcessCounts>>,
    /// Encoded entries from `head` on, each ended by an empty line.
    buffer: Vec<u8>,
    head: usize,
    entries: VecDeque<Entry>,
    /// Missing before the first entry.
    ahead: Gap,
    /// Missing behind the last one.
    behind: Gap,
    /// The limit that suppressed lines.
    limit: Option<RateLimit>,
    /// The marker for what was suppressed doesn't wait for a further line any more.
    settled: bool,
    /// Whether it stands in the sender's ring.
    pub(super) in_ring: bool,
}

impl Lane {
    pub(super) fn new(counts: Option<Arc<ProcessCounts>>) -> Self {
        Self {
            counts,
            buffer: Vec::new(),
            head: 0,
            entries: VecDeque::new(),
            ahead: Gap::default(),
            behind: Gap::default(),
            limit: None,
            settled: false,
            in_ring: false,
        }
    }

    pub(super) fn is_events(&self) -> bool {
        self.counts.is_none()
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.head
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the sender has something to do here.
    pub(super) fn is_quiet(&self) -> bool {
        self.entries.is_empty() && self.ahead.is_none()
    }

    pub(super) fn behind(&mut self) -> &mut Gap {
        &mut self.behind
    }

    pub(super) fn suppress(&mut self, lines: u64, limit: RateLimit) {
        self.behind.suppressed += lines;
        self.limit = Some(limit);
    }

    /// The next datagram: how many entries, and their bytes.
    pub(super) fn next(&self) -> (usize, &[u8]) {
        let mut bytes = 0;
        let mut count = 0;
        for entry in &self.entries {
            if count > 0 && bytes + entry.len > DATAGRAM {
                break;
            }
            bytes += entry.len;
            count += 1;
        }
        (count, &self.buffer[self.head..self.head + bytes])
    }

    /// Appends an entry, behind the marker for what is missing there; returns the bytes that it takes more.
    pub(super) fn push(&mut self, len: usize, kind: Kind, encode: impl FnOnce(&mut Vec<u8>)) -> usize {
        let marker = self.mark();
        encode(&mut self.buffer);
        self.entries.push_back(Entry { len, kind, since: Instant::now() });
        self.tell_oldest();
        marker + len
    }

    /// Takes the first entries out: they were sent, or they are lost.
    pub(super) fn pop(&mut self, count: usize, written: bool) -> usize {
        self.book(count, written);
        let bytes = self.entries.drain(..count).map(|e| e.len).sum();
        self.advance(bytes);
        bytes
    }

    /// Takes the first entry out to make room; its lines are missing ahead of the next. Returns its bytes, and how many
    /// lines of `own` it had: those are booked by who calls, as they may not be booked as queued yet.
    pub(super) fn evict(&mut self, own: Stream) -> (usize, u64) {
        let mut own_lines = 0;
        match self.entries.front().map(|e| e.kind) {
            Some(Kind::Lines { stream, whole, cut }) => {
                self.ahead.dropped += whole + cut;
                if stream == own {
                    own_lines = whole + cut;
                } else {
                    self.book(1, false);
                }
            }
            Some(Kind::Marker(gap)) => self.ahead.add(gap),
            Some(Kind::Event) | None => {}
        }
        let bytes = self.entries.pop_front().map_or(0, |e| e.len);
        self.advance(bytes);
        (bytes, own_lines)
    }

    /// For whoever asks how far the journal is behind.
    fn tell_oldest(&self) {
        if let Some(counts) = &self.counts {
            counts.waits(Sink::Journald, self.entries.front().map(|entry| entry.since));
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.tell_oldest();
        self.head += bytes;
        if self.entries.is_empty() {
            // Nothing is kept for a quiet process.
            self.buffer = Vec::new();
            self.entries = VecDeque::new();
            self.head = 0;
        } else if self.head > LANE_MAX / 2 {
            self.buffer.drain(..self.head);
            self.head = 0;
        }
    }

    /// How many of the first `count` entries are events.
    pub(super) fn events(&self, count: usize) -> u64 {
        let events = self.entries.iter().take(count).filter(|e| matches!(e.kind, Kind::Event)).count();
        u64::try_from(events).unwrap_or(u64::MAX)
    }

    /// All of them.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Books the first `count` entries as written, or as dropped.
    fn book(&self, count: usize, written: bool) {
        let Some(counts) = &self.counts else { return };
        for of in Stream::ALL {
            let mut lines = Lines::default();
            let mut bytes = 0;
            for entry in self.entries.iter().take(count) {
                if let Kind::Lines { stream, whole, cut } = entry.kind
                    && stream == of
                {
                    lines.add(Lines { whole, cut, held: 0 });
                    bytes += u64::try_from(entry.len).unwrap_or(u64::MAX);
                }
            }
            if lines.all() > 0 {
                let mut all = counts.of(of);
                let sink = all.sink(Sink::Journald);
                sink.queued -= lines.all();
                if written {
                    sink.written += lines.whole;
                    sink.truncated += lines.cut;
                    sink.bytes_written += bytes;
                } else {
                    sink.dropped += lines.all();
                }
            }
        }
    }

    /// Nothing more may come for a while: the marker for suppressed lines stands behind what is here. `true` = now.
    pub(super) fn settle(&mut self) -> bool {
        self.settled = self.behind.suppressed > 0;
        self.settled && self.entries.is_empty()
    }

    /// The lane has run empty: whether a marker is due.
    pub(super) fn is_due(&self) -> bool {
        self.entries.is_empty() && (self.behind.dropped > 0 || self.settled)
    }

    /// Appends the markers for what is missing behind the last entry; returns their bytes.
    pub(super) fn mark(&mut self) -> usize {
        let gap = std::mem::take(&mut self.behind);
        self.settled = false;
        let parts = [Gap { suppressed: 0, ..gap }, Gap { dropped: 0, ..gap }];
        let mut all = 0;
        for part in parts.into_iter().filter(|part| !part.is_none()) {
            let before = self.buffer.len();
            let mut buffer = std::mem::take(&mut self.buffer);
            self.marker(&mut buffer, part);
            self.buffer = buffer;
            let len = self.buffer.len() - before;
            self.entries.push_back(Entry { len, kind: Kind::Marker(part), since: Instant::now() });
            all += len;
        }
        all
    }

    /// The markers for what is missing before the first entry.
    pub(super) fn ahead(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.marker(&mut out, self.ahead);
        (!out.is_empty()).then_some(out)
    }

    pub(super) fn ahead_sent(&mut self) {
        self.ahead = Gap::default();
    }

    fn marker(&self, out: &mut Vec<u8>, gap: Gap) {
        let what = if self.counts.is_some() { "lines" } else { "events" };
        let mut say = |text: String| {
            entry::show(out, "PRIORITY", entry::MARKER);
            match &self.counts {
                Some(counts) => {
                    entry::show(out, "SYSLOG_IDENTIFIER", &counts.process().name);
                    entry::process(out, counts.process());
                }
                None => entry::field(out, "SYSLOG_IDENTIFIER", b"dd-procmgrd"),
            }
            entry::field(out, "MESSAGE", text.as_bytes());
            out.push(b'\n');
        };
        if gap.dropped > 0 {
            say(format!("{} {what} dropped: the journal took them too slowly or was away", gap.dropped));
        }
        if let (Some(limit), true) = (self.limit, gap.suppressed > 0) {
            say(limit::notice(gap.suppressed, "rate_limit", limit));
        }
    }
}

#[cfg(test)]
mod tests;
