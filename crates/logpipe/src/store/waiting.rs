//! Lines that wait for a disk that takes none: what is kept, what is dropped, and where it is missing.
//!
//! Text waits in the batches that it came in, because only these are counted in lines. One that the disk took a part of
//! is never dropped, else a line would be torn. Where batches were dropped stands a gap; it is written as a marker line.
//!
//! Bounds, for the policies that drop: 1 MiB for each store, of which one batch may be more, and 32 MiB for all stores
//! together, bookkeeping included; beyond them batches are dropped. With `block` each stream has at most one batch here,
//! as its reader waits.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use model::{LogFormat, Overflow, RunNumber, Sink, Wall};

use super::{Lines, Stretch};
use crate::lines::format::{self, Origin, Record};
use crate::stats::Account;

/// The bounds, and how much of the common one is taken.
#[derive(Debug)]
pub(crate) struct Room {
    pub(super) each: usize,
    pub(super) total: usize,
    pub(super) taken: Cell<usize>,
}

impl Default for Room {
    fn default() -> Self {
        Self { each: 1 << 20, total: 32 << 20, taken: Cell::new(0) }
    }
}

/// A batch, or the place where some are missing.
struct Item {
    /// Empty at a gap.
    text: Box<[u8]>,
    /// How much of the text the disk has taken.
    done: usize,
    /// Of the text; at a gap of those that are missing.
    lines: Lines,
    is_gap: bool,
    account: Account,
    run: RunNumber,
    at: Wall,
    /// When it began to wait.
    since: Instant,
}

impl Item {
    fn cost(&self) -> usize {
        self.text.len() + size_of::<Self>()
    }

    fn stretch(&self) -> Stretch<'_> {
        Stretch { account: &self.account, run: self.run, at: self.at, lines: self.lines }
    }

    fn is_droppable(&self) -> bool {
        !self.is_gap && self.done == 0
    }

    /// Makes a gap of a batch.
    fn drop_text(&mut self) {
        self.is_gap = true;
        self.text = Box::default();
    }
}

/// What stands in the file instead of the lines that are missing at a gap.
fn marker(gap: &Item, format: LogFormat) -> Vec<u8> {
    let mut out = Vec::new();
    if gap.lines.all() > 0 {
        let text = format!("[{} lines dropped: the disk took no more]", gap.lines.all());
        let record = Record { at: gap.at, message: text.as_bytes(), mark: "", level: None, data: None };
        let from = Origin { who: gap.account.counts.process(), run: gap.run, stream: gap.account.stream };
        format::record(&mut out, format, from, &record);
    }
    out
}

/// The queue of one store.
pub(super) struct Waiting {
    items: VecDeque<Item>,
    /// What the items cost together.
    taken: usize,
    room: Rc<Room>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.take(0);
    }
}

impl Waiting {
    pub(super) fn new(room: Rc<Room>) -> Self {
        Self { items: VecDeque::new(), taken: 0, room }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn take(&mut self, now: usize) {
        self.room.taken.set(self.room.taken.get() - self.taken + now);
        self.taken = now;
    }

    fn fits(&self, cost: usize) -> bool {
        let each = self.items.is_empty() || self.taken + cost <= self.room.each;
        each && self.room.taken.get() + cost <= self.room.total
    }

    /// Keeps text of which the disk took `done` bytes, or drops what the policy says, and books it. Returns how many
    /// lines were dropped.
    pub(super) fn offer(&mut self, text: &[u8], done: usize, from: Stretch<'_>, policy: Overflow) -> u64 {
        let Stretch { account, run, at, lines } = from;
        let mut item = Item {
            text: text.into(),
            done,
            lines,
            is_gap: false,
            account: account.clone(),
            run,
            at,
            since: Instant::now(),
        };
        account.book(|counts| {
            let sink = counts.sink(Sink::File);
            sink.read += lines.all() - lines.held;
            sink.queued += lines.all() - lines.held;
        });
        let mut dropped = 0;
        while policy == Overflow::DropOldest && done == 0 && !self.fits(item.cost()) {
            let Some(oldest) = self.items.iter().position(Item::is_droppable) else { break };
            dropped += self.drop_at(oldest);
        }
        if policy != Overflow::Block && done == 0 && !self.fits(item.cost()) {
            book_dropped(&item);
            dropped += lines.all();
            item.drop_text();
        }
        self.take(self.taken + item.cost());
        self.items.push_back(item);
        self.join_gaps(self.items.len() - 1);
        self.tell_oldest(account);
        dropped
    }

    /// For whoever asks how far the file is behind. A file is one process's.
    fn tell_oldest(&self, account: &Account) {
        account.counts.waits(Sink::File, self.items.front().map(|item| item.since));
    }

    fn drop_at(&mut self, i: usize) -> u64 {
        let item = &mut self.items[i];
        book_dropped(item);
        let (lines, freed) = (item.lines.all(), item.text.len());
        item.drop_text();
        self.take(self.taken - freed);
        self.join_gaps(i);
        lines
    }

    /// Makes one gap of the one at `i` and those beside it.
    fn join_gaps(&mut self, i: usize) {
        let is_gap = |items: &VecDeque<Item>, i: usize| items.get(i).is_some_and(|item| item.is_gap);
        for first in [i, i.wrapping_sub(1)] {
            if is_gap(&self.items, first)
                && is_gap(&self.items, first + 1)
                && let Some(second) = self.items.remove(first + 1)
            {
                self.take(self.taken - second.cost());
                let lines = &mut self.items[first].lines;
                lines.whole += second.lines.whole;
                lines.cut += second.lines.cut;
            }
        }
    }

    /// Has what waits longest written by `put`, which tells how much of the text the disk took.
    pub(super) fn write_next(
        &mut self,
        format: LogFormat,
        put: impl FnOnce(&[u8], &Stretch<'_>) -> (usize, io::Result<()>),
    ) -> io::Result<()> {
        let Some(mut item) = self.items.pop_front() else { return Ok(()) };
        self.take(self.taken - item.cost());
        let marker = if item.is_gap { marker(&item, format) } else { Vec::new() };
        let text = if item.is_gap { &marker } else { &*item.text };
        let (n, result) = put(&text[item.done..], &item.stretch());
        let account = item.account.clone();
        match &result {
            Ok(()) => item.account.book(|counts| {
                let sink = counts.sink(Sink::File);
                sink.bytes_written += u64::try_from(text.len()).unwrap_or(u64::MAX);
                if !item.is_gap {
                    sink.queued -= item.lines.all();
                    sink.written += item.lines.whole;
                    sink.truncated += item.lines.cut;
                }
            }),
            Err(_) => {
                if n > 0 && item.is_gap {
                    // Now its rest has to be written as it is; lines that are dropped from now on make another gap.
                    item.text = marker.into();
                    item.is_gap = false;
                    item.lines = Lines::default();
                }
                item.done += n;
                self.take(self.taken + item.cost());
                self.items.push_front(item);
            }
        }
        self.tell_oldest(&account);
        if self.items.is_empty() {
            // What a bad hour needed isn't kept for ever.
            self.items.shrink_to_fit();
        }
        result
    }

    /// Drops everything.
    pub(super) fn give_up(&mut self) {
        if let Some(item) = self.items.front() {
            item.account.counts.waits(Sink::File, None);
        }
        self.items.drain(..).filter(|item| !item.is_gap).for_each(|item| book_dropped(&item));
        self.take(0);
    }
}

fn book_dropped(item: &Item) {
    item.account.book(|counts| {
        let sink = counts.sink(Sink::File);
        sink.queued -= item.lines.all();
        sink.dropped += item.lines.all();
    });
}
