//! The way of one stream's lines: from the pieces that its framer hands out to the sinks and the accounts.
//!
//! Everything of one read is booked at its end in one go, so that the accounts are exact at every moment; only the
//! store keeps its own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use model::{LineParser, LogFormat, Overflow, RateLimit, RunNumber, Sink, Wall};

use super::Settings;
use super::batch::Batch;
use super::format::{self, Origin, Record};
use super::join::{Held, SILENCE};
use super::limit::{self, Bucket};
use super::parse::{self, Parsed};
use super::process::Process;
use crate::console::ConsoleSink;
use crate::entry::{self, Message};
use crate::frame::{self, Piece};
use crate::journal::{Journal, LaneRef};
use crate::stats::Account;
use crate::store::{self, Lines, Store, Stretch};

/// Formatted text is written when it has this many bytes, and at the end of a read.
const FORMATTED_MAX: usize = 256 << 10;

/// Where lines go on this thread.
pub(crate) struct Sinks {
    pub(crate) journal: Option<Rc<Journal>>,
    pub(crate) console: Option<RefCell<ConsoleSink>>,
}

/// The way of one stream of one run.
pub(crate) struct Route {
    pub(crate) process: Rc<Process>,
    pub(crate) account: Account,
    pub(crate) run: RunNumber,
    pub(crate) store: Rc<Store>,
    pub(crate) sinks: Rc<Sinks>,
    /// The constant part of its journal entries.
    pub(crate) prefix: Box<[u8]>,
    pub(crate) pending: Pending,
}

/// What a stream still owes to its sinks, and when it is due.
#[derive(Default)]
pub(crate) struct Pending {
    /// Lines that may get more.
    held: Option<Held>,
    held_until: Option<Instant>,
    /// Lines kept from the file since its last marker.
    suppressed: Option<(u64, RateLimit)>,
    file_marker: Option<Instant>,
    journal_marker: Option<Instant>,
}

impl Route {
    /// Whether any sink wants single lines.
    pub(crate) fn per_line(&self) -> bool {
        let settings = self.process.settings();
        self.sinks.console.is_some()
            || settings.spec.file && !settings.raw_file()
            || self.is_journaled(&settings)
            || self.pending.held.is_some()
    }

    /// Whether [`room`](Self::room) would wait.
    pub(crate) fn is_full(&self) -> bool {
        self.blocks() && self.journal().is_some_and(|(journal, lane)| journal.is_full(lane))
    }

    /// Waits while the process's lines may not be dropped and the journal takes no more.
    pub(crate) async fn room(&self) {
        if let Some((journal, lane)) = self.journal() {
            journal.room(lane, || self.blocks()).await;
        }
    }

    /// How many bytes may be read now.
    pub(crate) fn fitting(&self, most: usize) -> usize {
        match self.journal().filter(|_| self.blocks()) {
            Some((journal, lane)) => {
                let empty = Message::new(0, b"", b"", "").len(&self.prefix);
                journal.fitting(lane, empty).clamp(1, most)
            }
            None => most,
        }
    }

    fn is_journaled(&self, settings: &Settings) -> bool {
        settings.spec.journald && self.process.lane.is_some()
    }

    fn blocks(&self) -> bool {
        let settings = self.process.settings();
        settings.spec.journald && settings.spec.journald_overflow == Overflow::Block
    }

    fn journal(&self) -> Option<(&Journal, &LaneRef)> {
        Some((self.sinks.journal.as_deref()?, self.process.lane.as_ref()?))
    }

    /// Begins a read's batch; `last`: the stream ends with it.
    pub(crate) fn begin(&self, last: bool) -> Batch {
        Batch::new(self.process.settings(), last)
    }

    /// Takes what the framer hands out.
    pub(crate) fn give(&mut self, piece: Piece<'_>, batch: &mut Batch) {
        let settings = Rc::clone(&batch.settings);
        match piece {
            Piece::Whole { bytes, lines } => {
                batch.lines += lines;
                let bytes = settings.redact_run(bytes);
                if settings.raw_file() {
                    self.raw(&bytes, Lines { whole: lines, cut: 0, held: 0 }, batch);
                }
                if self.per_line() {
                    for line in frame::lines(&bytes) {
                        self.line(line, "", &settings, batch);
                    }
                }
            }
            Piece::Single { head, cut } => {
                batch.lines += 1;
                let (head, cut) = settings.redact_line(head, cut);
                let mark = if cut > 0 { frame::mark(cut) } else { String::new() };
                if settings.raw_file() {
                    self.raw(&[&head, mark.as_bytes(), b"\n"].concat(), Lines::one(&mark), batch);
                }
                if self.per_line() {
                    self.line(&head, &mark, &settings, batch);
                }
            }
        }
    }

    /// Writes what is left of the batch and books it: `bytes` were read for it.
    pub(crate) fn end(&mut self, bytes: u64, mut batch: Batch) {
        if self.pending.held.is_some() && batch.lines > 0 {
            self.pending.held_until = Some(Instant::now() + SILENCE);
        }
        self.flush(&mut batch);
        self.account.book(|counts| {
            counts.lines += batch.lines;
            counts.bytes += bytes;
            for (of, flow) in [(Sink::Journald, &batch.journal), (Sink::Console, &batch.console)] {
                if !flow.is_none() {
                    flow.book(counts.sink(of));
                }
            }
        });
    }

    /// When [`tick`](Self::tick) is to be called, at the latest.
    pub(crate) fn due(&self) -> Option<Instant> {
        let Pending { held_until, file_marker, journal_marker, .. } = &self.pending;
        [*held_until, *file_marker, *journal_marker].into_iter().flatten().min()
    }

    /// Hands on what is due: lines that wait for more, markers for lines that were suppressed.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.settle(false, |due| due.is_some_and(|at| at <= now));
    }

    /// The run is over and read out: nothing more belongs to lines that wait for more.
    pub(crate) fn read_out(&mut self) {
        if self.pending.held.is_some() {
            let mut batch = self.begin(false);
            self.release(&mut batch);
            self.end(0, batch);
        }
    }

    /// The stream has ended.
    pub(crate) fn finish(&mut self) {
        self.settle(true, |_| true);
    }

    fn settle(&mut self, last: bool, due: impl Fn(Option<Instant>) -> bool) {
        let mut batch = self.begin(last);
        if due(self.pending.held_until) {
            self.release(&mut batch);
        }
        if due(self.pending.file_marker)
            && let Some(notice) = self.notice()
        {
            let format = batch.settings.spec.format;
            self.note(&notice, format, &mut batch);
        }
        if due(self.pending.journal_marker)
            && self.pending.journal_marker.take().is_some()
            && let Some((journal, lane)) = self.journal()
        {
            journal.settle(lane);
        }
        self.end(0, batch);
    }

    /// Single lines, for whoever wants them.
    fn line(&mut self, line: &[u8], mark: &str, settings: &Rc<Settings>, batch: &mut Batch) {
        if let Some(console) = &self.sinks.console {
            let flow = &mut batch.console;
            *(match (console.borrow().line(&self.process.who.name, line, mark), mark.is_empty()) {
                (false, _) => &mut flow.refused,
                (true, true) => &mut flow.written,
                (true, false) => &mut flow.truncated,
            }) += 1;
        }
        if settings.spec.file && settings.spec.format == LogFormat::Prefixed {
            let entry = Entry { at: batch.at, text: line, mark, lines: Lines::one(mark) };
            self.offer_file(&entry, &plain(line), settings, batch);
        }
        let journaled = self.is_journaled(settings);
        let Some(join) = settings.join.as_ref().filter(|_| journaled || settings.file_of_entries()) else {
            self.release(batch);
            self.entry(&Entry { at: batch.at, text: line, mark, lines: Lines::one(mark) }, settings, batch);
            return;
        };
        if !self.pending.held.as_mut().is_some_and(|held| held.push(settings, join, line, mark)) {
            self.release(batch);
            self.pending.held = Some(Held::new(Rc::clone(settings), batch.at, line, mark));
        }
        batch.journal.queued += u64::from(journaled);
        batch.file.queued += u64::from(settings.file_of_entries());
    }

    /// Hands on the lines that were held, by the settings that they came under.
    fn release(&mut self, batch: &mut Batch) {
        let Some(held) = self.pending.held.take() else { return };
        self.pending.held_until = None;
        let lines = Lines { held: held.lines.all(), ..held.lines };
        self.entry(&Entry { at: held.at, text: &held.text, mark: "", lines }, &held.settings, batch);
    }

    /// An entry for the journal and for a file of entries.
    fn entry(&mut self, entry: &Entry<'_>, settings: &Settings, batch: &mut Batch) {
        let journaled = self.is_journaled(settings);
        if !(journaled || settings.file_of_entries()) {
            return;
        }
        let parsed = parse::parse(settings.spec.parse, entry.text, entry.lines.cut > 0);
        if journaled {
            self.offer_journal(entry, &parsed, settings, batch);
        }
        if settings.file_of_entries() {
            self.offer_file(entry, &parsed, settings, batch);
        }
    }

    fn offer_journal(
        &mut self,
        entry: &Entry<'_>,
        parsed: &Parsed<'_>,
        settings: &Settings,
        batch: &mut Batch,
    ) {
        let (Some(journal), Some(lane)) = (&self.sinks.journal, &self.process.lane) else { return };
        let lines = entry.lines;
        if let Some(bucket) = &mut *self.process.buckets.journald.borrow_mut()
            && !bucket.take_whole(lines.all(), batch.now())
        {
            journal.suppress(lane, lines.all(), bucket.limit());
            self.pending.journal_marker = Some(bucket.opens());
            batch.journal.offer(lines, false);
            return;
        }
        let mut fields = Vec::new();
        if let Some(object) = &parsed.object {
            parse::fields(&mut fields, object, &settings.fields);
        }
        let stream = self.account.stream;
        let priority = parsed.priority.unwrap_or(entry::priority(stream));
        let message = Message::new(priority, &fields, &parsed.message, entry.mark);
        let policy = match settings.spec.journald_overflow {
            Overflow::Block if batch.last => Overflow::DropNewest,
            policy => policy,
        };
        let pushed = journal.entry(lane, policy, stream, lines, &self.prefix, &message);
        batch.journal.lost += pushed.evicted;
        batch.journal.offer(lines, pushed.taken);
    }

    /// Formats an entry for the file.
    fn offer_file(&mut self, entry: &Entry<'_>, parsed: &Parsed<'_>, settings: &Settings, batch: &mut Batch) {
        if let Some(bucket) = &mut *self.process.buckets.file.borrow_mut()
            && !bucket.take_whole(entry.lines.all(), batch.now())
        {
            self.pending.suppress(entry.lines.all(), bucket);
            batch.file.offer(entry.lines, false);
            return;
        }
        let format = settings.spec.format;
        if let Some(notice) = self.notice() {
            self.note(&notice, format, batch);
        }
        let record = Record {
            at: entry.at,
            message: &parsed.message,
            mark: entry.mark,
            level: parsed.priority.map(parse::name),
            data: parsed.object.is_some().then_some(entry.text),
        };
        self.record(&record, format, batch);
        batch.text_lines.add(entry.lines);
        if batch.text.len() >= FORMATTED_MAX {
            self.flush(batch);
        }
    }

    fn record(&self, record: &Record<'_>, format: LogFormat, batch: &mut Batch) {
        let from = Origin { who: &self.process.who, run: self.run, stream: self.account.stream };
        format::record(&mut batch.text, format, from, record);
    }

    /// Whole lines for the file, as they are.
    fn raw(&mut self, text: &[u8], lines: Lines, batch: &mut Batch) {
        let passed = match &mut *self.process.buckets.file.borrow_mut() {
            None => lines.all(),
            Some(bucket) => bucket.take(lines.all(), batch.now()),
        };
        if passed > 0 {
            if let Some(notice) = self.notice() {
                self.note(&notice, LogFormat::Raw, batch);
            }
            self.flush(batch);
            if passed == lines.all() {
                self.append(text, lines, batch.at);
            } else {
                let end: usize = frame::lines(text)
                    .take(usize::try_from(passed).unwrap_or(usize::MAX))
                    .map(|l| l.len() + 1)
                    .sum();
                self.append(&text[..end], Lines { whole: passed, cut: 0, held: 0 }, batch.at);
            }
        }
        if passed < lines.all()
            && let Some(bucket) = &*self.process.buckets.file.borrow()
        {
            // Behind what passed: that took the marker for what was missing before it.
            self.pending.suppress(lines.all() - passed, bucket);
            batch.file.refused += lines.all() - passed;
        }
    }

    /// What has to be said about lines that were kept from the file.
    fn notice(&mut self) -> Option<String> {
        self.pending.file_marker = None;
        let (lines, limit) = self.pending.suppressed.take()?;
        Some(format!("[{}]", limit::notice(lines, "file_rate_limit", limit)))
    }

    fn note(&self, text: &str, format: LogFormat, batch: &mut Batch) {
        let level = Some(parse::name(entry::MARKER));
        let note = Record { at: batch.at, message: text.as_bytes(), mark: "", level, data: None };
        self.record(&note, format, batch);
    }

    /// Books what the file did not get, and hands it what was formatted.
    fn flush(&mut self, batch: &mut Batch) {
        let flow = std::mem::take(&mut batch.file);
        if !flow.is_none() {
            self.account.book(|counts| flow.book(counts.sink(Sink::File)));
        }
        if !batch.text.is_empty() {
            let lines = std::mem::take(&mut batch.text_lines);
            self.append(&std::mem::take(&mut batch.text), lines, batch.at);
        }
    }

    fn append(&self, text: &[u8], lines: Lines, at: Wall) {
        let stretch = Stretch { account: &self.account, run: self.run, at, lines };
        if !self.store.append(text, stretch) {
            store::keep_trying(&self.store);
        }
    }
}

impl Pending {
    fn suppress(&mut self, lines: u64, bucket: &Bucket) {
        let before = self.suppressed.map_or(0, |(lines, _)| lines);
        self.suppressed = Some((before + lines, bucket.limit()));
        self.file_marker = Some(bucket.opens());
    }
}

/// One line, or several that belong together.
struct Entry<'a> {
    at: Wall,
    text: &'a [u8],
    mark: &'a str,
    lines: Lines,
}

fn plain(text: &[u8]) -> Parsed<'_> {
    parse::parse(LineParser::None, text, false)
}
