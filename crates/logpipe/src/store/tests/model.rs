//! Random stories of a store, its disk, its administrator and its daemon; after each step what is promised is looked up
//! in the files themselves.
//!
//! A line says which one it is and ends with a mark, so that a whole one is told from a piece. Files that somebody
//! renamed or deleted are held open, and the texts of deleted archives are kept ([`bed`](super::bed)), so that every line
//! that was ever written can be found.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use ::model::Stream;

use super::bed::{Faulty, archive_name, later, limits, open, stats, text_of};
use super::*;
use crate::compress::compress_archives;
use crate::place::FileId;
use crate::stats::Ledger;
use crate::testing::web;
use crate::{archive, index};

/// What happens.
#[derive(Clone, Debug)]
enum Step {
    /// A batch of lines of these lengths comes on one of the streams.
    Append(Stream, Vec<usize>),
    Retry,
    /// The next writes of text, and of indexes.
    Faults(Vec<Fault>),
    IndexFaults(Vec<Fault>),
    /// So many bytes more than there are now; `None` = no bound.
    Disk(Option<u64>),
    RotationsFail(bool),
    RenamedAway,
    Deleted,
    Reopen,
    Crash,
    Policy(Overflow),
    Later(Duration),
    Compress,
    /// The daemon died while compressing the newest archive: within the draft, then between the two names.
    CompressCrash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let stream = prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)];
    let policy = prop_oneof![
        2 => Just(Overflow::Block),
        2 => Just(Overflow::DropNewest),
        2 => Just(Overflow::DropOldest)
    ];
    let step = prop_oneof![
        20 => (stream, prop::collection::vec(0usize..30, 1..5)).prop_map(|(s, l)| Step::Append(s, l)),
        6 => Just(Step::Retry),
        3 => prop::collection::vec(fault(), 1..4).prop_map(Step::Faults),
        1 => prop::collection::vec(fault(), 1..3).prop_map(Step::IndexFaults),
        2 => (0u64..120).prop_map(|n| Step::Disk(Some(n))),
        3 => Just(Step::Disk(None)),
        1 => any::<bool>().prop_map(Step::RotationsFail),
        1 => Just(Step::RenamedAway),
        1 => Just(Step::Deleted),
        1 => Just(Step::Reopen),
        2 => Just(Step::Crash),
        2 => policy.prop_map(Step::Policy),
        3 => (0u64..3000).prop_map(|ms| Step::Later(Duration::from_millis(ms))),
        1 => Just(Step::Compress),
        1 => Just(Step::CompressCrash),
    ];
    prop::collection::vec(step, 1..50)
}

/// A daemon's life: its accounts begin at 0.
struct Life {
    accounts: [Account; 2],
    /// Lines offered before this life, of each stream.
    before: [usize; 2],
}

/// One line that was offered.
struct Offered {
    text: String,
    run: RunNumber,
    at: Wall,
}

struct World {
    dir: tempfile::TempDir,
    path: PathBuf,
    disk: Faulty,
    limits: Limits,
    room: Rc<Room>,
    store: Store,
    lives: Vec<Life>,
    offered: [Vec<Offered>; 2],
    now: Wall,
    /// Files that were renamed or deleted by somebody else.
    held: Vec<File>,
    /// Whether these were ever asked for: they excuse something.
    index_faults: bool,
    rotations_failed: bool,
    may_drop: bool,
}

fn nth(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}

fn life(before: [usize; 2]) -> Life {
    let counts = Ledger::default().open(&web());
    Life { accounts: Stream::ALL.map(|stream| Account { counts: Arc::clone(&counts), stream }), before }
}

/// A whole line, as stream and number.
fn parse(line: &str) -> Option<(usize, usize)> {
    let (stream, rest) = line.strip_suffix(";\n")?.split_at_checked(1)?;
    let stream = ["o", "e"].iter().position(|s| *s == stream)?;
    Some((stream, rest.trim_end_matches('.').parse().ok()?))
}

const MARKER: &str = " lines dropped: the disk took no more]\n";

fn dropped(line: &str) -> Option<u64> {
    line.strip_prefix('[')?.strip_suffix(MARKER)?.parse().ok()
}

fn begins_marker(piece: &str) -> bool {
    let number = |rest: &str| MARKER.starts_with(rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    !piece.is_empty() && piece.strip_prefix('[').is_some_and(number)
}

impl World {
    fn new(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.log");
        let disk = Faulty::default();
        // A few lines fill it.
        let room = Rc::new(Room { each: 700, total: 1000, taken: Cell::default() });
        let store = open(&path, &disk, limits, &room);
        // No file system shall know of a later birth than ours.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
        Self {
            dir,
            path,
            disk,
            limits,
            room,
            store,
            lives: vec![life([0; 2])],
            offered: Default::default(),
            now: Wall(u64::try_from(now.as_nanos()).unwrap()),
            held: Vec::new(),
            index_faults: false,
            rotations_failed: false,
            may_drop: false,
        }
    }

    fn does(&mut self, step: &Step) {
        match step {
            Step::Append(stream, lengths) => self.append(*stream, lengths),
            Step::Retry => drop(self.store.retry()),
            Step::Faults(faults) => self.disk.text(faults.iter().copied()),
            Step::IndexFaults(faults) => {
                self.index_faults = true;
                self.disk.0.borrow_mut().index.extend(faults);
            }
            Step::Disk(more) => {
                self.index_faults |= more.is_some();
                let entries = std::fs::read_dir(self.dir.path()).unwrap();
                let taken: u64 = entries.map(|e| e.unwrap().metadata().unwrap().len()).sum();
                self.disk.0.borrow_mut().capacity = more.map(|n| taken + n);
            }
            Step::RotationsFail(fail) => {
                self.rotations_failed |= fail;
                self.disk.0.borrow_mut().rotations_fail = *fail;
            }
            Step::RenamedAway | Step::Deleted => {
                let Ok(file) = File::open(&self.path) else { return };
                self.held.push(file);
                if matches!(step, Step::Deleted) {
                    std::fs::remove_file(&self.path).unwrap();
                } else {
                    let away = self.dir.path().join(format!("web.log.{}", self.held.len()));
                    std::fs::rename(&self.path, away).unwrap();
                }
            }
            Step::Reopen => self.store.reopen(),
            Step::Crash => self.crash(),
            Step::Policy(overflow) => {
                self.may_drop |= *overflow != Overflow::Block;
                self.limits.overflow = *overflow;
                self.store.set_limits(self.limits);
            }
            Step::Later(by) => {
                self.now.0 += u64::try_from(by.as_nanos()).unwrap();
                later(&self.store);
            }
            Step::Compress => compress_archives(&self.path, self.dir.path(), &AtomicBool::new(false)),
            Step::CompressCrash => {
                if let Some(newest) = archive::list(&self.path).unwrap().pop()
                    && newest.extension().is_none_or(|e| e != "gz")
                {
                    let name = archive_name(&newest);
                    std::fs::write(newest.with_file_name(archive::draft_name(&name)), "half").unwrap();
                    std::fs::write(newest.with_file_name(archive::compressed_name(&name)), "half").unwrap();
                }
            }
        }
    }

    fn append(&mut self, stream: Stream, lengths: &[usize]) {
        if self.store.is_blocked() {
            // As a reader does: the lines stay in the pipe.
            return;
        }
        let life = self.lives.last().unwrap();
        let run = RunNumber(u64::try_from(self.lives.len()).unwrap());
        let mut text = String::new();
        for length in lengths {
            let lines = &mut self.offered[nth(stream)];
            let line = format!("{}{}{};\n", ["o", "e"][nth(stream)], lines.len(), ".".repeat(*length));
            text.push_str(&line);
            lines.push(Offered { text: line, run, at: self.now });
        }
        let lines = Lines { whole: u64::try_from(lengths.len()).unwrap(), cut: 0, held: 0 };
        let stretch = Stretch { account: &life.accounts[nth(stream)], run, at: self.now, lines };
        self.store.append(text.as_bytes(), stretch);
    }

    fn crash(&mut self) {
        // The store is dropped as it is, with what waits in it.
        self.store = open(&self.path, &self.disk, self.limits, &self.room);
        self.lives.push(life(self.offered.each_ref().map(Vec::len)));
    }

    /// Every text there was, and which index belongs to it: the archives' from the oldest to the current file, then those
    /// that left this chain.
    fn files(&self) -> Vec<(String, Option<PathBuf>)> {
        let mut chain: Vec<(Vec<u8>, Option<PathBuf>)> =
            self.disk.0.borrow().deleted.iter().map(|text| (text.clone(), None)).collect();
        for path in archive::list(&self.path).unwrap() {
            chain.push((text_of(&path), Some(path.with_file_name(index::name_of(&archive_name(&path))))));
        }
        if let Ok(text) = std::fs::read(&self.path) {
            let index = self.path.with_file_name(index::name_of(self.path.file_name().unwrap()));
            let owner = std::fs::read(&index).ok().and_then(|index| index::owner(&index));
            chain.push((text, (owner == FileId::at(&self.path)).then_some(index)));
        }
        for file in &self.held {
            let mut text = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
            file.read_exact_at(&mut text, 0).unwrap();
            chain.push((text, None));
        }
        chain.into_iter().map(|(text, index)| (String::from_utf8(text).unwrap(), index)).collect()
    }

    fn check(&self, quiet: bool) {
        let life = self.lives.last().unwrap();
        let stats = life.accounts.each_ref().map(stats);
        let mut found: [BTreeMap<usize, usize>; 2] = Default::default();
        let mut pieces = 0;
        let mut marked = 0;
        for (n, (text, index)) in self.files().iter().enumerate() {
            let mut first_of_file = None;
            for line in text.split_inclusive('\n') {
                if let Some((stream, number)) = parse(line) {
                    let offered = &self.offered[stream][number];
                    assert_eq!(offered.text, line);
                    assert_eq!(found[stream].insert(number, n), None, "twice: {line}");
                    let born = *first_of_file.get_or_insert(offered.at);
                    let fresh = offered.at.since(born) <= self.limits.max_age;
                    assert!(fresh || self.limits.max_age.is_zero() || self.rotations_failed, "{line}");
                } else if let Some(lines) = dropped(line) {
                    marked += lines;
                } else {
                    let whole = line.strip_suffix('\n').unwrap_or(line);
                    let ours = self.offered.iter().flatten().any(|o| o.text.starts_with(whole));
                    assert!(ours || begins_marker(whole), "neither a line nor the start of one: {line:?}");
                    pieces += 1;
                }
            }
            self.check_index(text, index.as_deref());
        }
        assert!(
            pieces <= self.lives.len(),
            "only a crash tears a line, and the disk the last one for a while"
        );
        for (stream, found) in found.iter().enumerate() {
            // Lines of a stream never go back to an earlier file, and the chain is in the order of time.
            let files: Vec<usize> = found.values().copied().collect();
            let chain = files.iter().filter(|n| **n < self.chain_len());
            assert!(chain.is_sorted(), "{files:?}");
            let mut runs = files.clone();
            runs.dedup();
            let count = runs.len();
            runs.sort_unstable();
            runs.dedup();
            assert_eq!(runs.len(), count, "{files:?}");
            // What is counted is there; what is there beyond it belongs to a batch that is being written.
            let there = u64::try_from(found.range(life.before[stream]..).count()).unwrap();
            let counted = stats[stream].written;
            assert!(counted <= there && there <= counted + stats[stream].queued, "{counted} {there}");
            assert!(self.may_drop || stats[stream].dropped == 0);
            if quiet {
                assert_eq!((there, stats[stream].queued), (counted, 0));
            }
        }
        if quiet && self.lives.len() == 1 {
            assert_eq!(marked, stats.iter().map(|s| s.dropped).sum::<u64>(), "each gap has its marker");
        }
    }

    /// Archives there ever were, and the current file.
    fn chain_len(&self) -> usize {
        let deleted = self.disk.0.borrow().deleted.len();
        deleted + archive::list(&self.path).unwrap().len() + usize::from(self.path.exists())
    }

    /// Records begin where lines begin, and what they say is true.
    fn check_index(&self, text: &str, index: Option<&Path>) {
        let bytes = index.and_then(|index| std::fs::read(index).ok());
        let records = index::records(bytes.as_deref().unwrap_or_default());
        for record in &records {
            let at = usize::try_from(record.offset).unwrap();
            assert!(
                at == 0 || at == text.len() || text.as_bytes()[at - 1] == b'\n',
                "{record:?} in {text:?}"
            );
        }
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            if let Some((stream, number)) = parse(line) {
                let record = index::at(&records, offset);
                let line = &self.offered[stream][number];
                let known = record.map(|r| (nth(r.stream), r.run, r.at.since(Wall(0))));
                let close = |at: Duration| {
                    at <= line.at.since(Wall(0)) && line.at.since(Wall(0)) - at < index::RESOLUTION
                };
                assert!(known.is_none_or(|(s, run, at)| s == stream && run == line.run && close(at)));
                assert!(known.is_some() || index.is_none() || self.index_faults, "{:?}", line.text);
            }
            offset += u64::try_from(line.len()).unwrap();
        }
    }

    /// Everybody behaves from now on.
    fn end(&mut self) {
        {
            let mut script = self.disk.0.borrow_mut();
            script.text.clear();
            script.index.clear();
            script.capacity = None;
            script.rotations_fail = false;
        }
        later(&self.store);
        assert!(self.store.retry());
        assert_eq!(self.room.taken.get(), 0);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_there_once_whole_and_in_order_whatever_happens(
        steps in steps(),
        max_size in prop_oneof![Just(0u64), 20u64..200],
        max_files in 0u32..4,
        max_total_size in prop_oneof![Just(0u64), 50u64..300],
        max_age in prop_oneof![Just(0u64), 1u64..4000].prop_map(Duration::from_millis),
    ) {
        let limits = Limits { max_size, max_files, max_total_size, max_age, ..limits() };
        let mut world = World::new(limits);
        for step in &steps {
            world.does(step);
            world.check(false);
        }
        world.end();
        world.check(true);
    }
}
