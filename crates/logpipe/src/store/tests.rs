//! The store on a disk that writes short and fails, and among people who rename and remove.

use std::collections::VecDeque;

use model::{ProcessName, Stream};
use nix::errno::Errno;
use proptest::prelude::*;

use super::*;
use crate::stats::{Ledger, SinkStats};
use crate::tail::Tails;
use crate::testing::web;

#[derive(Clone, Debug)]
enum Fault {
    Short(usize),
    Fail(Errno),
}

/// Does what the script says, then behaves.
#[derive(Clone, Default)]
struct Faulty(Rc<RefCell<VecDeque<Fault>>>);

impl Disk for Faulty {
    fn write(&mut self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        match self.0.borrow_mut().pop_front() {
            None => file.write(bytes),
            Some(Fault::Short(n)) => file.write(&bytes[..n.clamp(1, bytes.len())]),
            Some(Fault::Fail(e)) => Err(e.into()),
        }
    }
}

struct Case {
    dir: tempfile::TempDir,
    path: PathBuf,
    store: Store,
    faults: Faulty,
    account: Account,
}

impl Case {
    fn new(max_size: u64, max_files: u32) -> Self {
        Self::named("web.log", max_size, max_files)
    }

    fn named(name: &str, max_size: u64, max_files: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let faults = Faulty::default();
        let tail = Tails::default().of(&ProcessName::new("web").unwrap(), &path);
        let limits = Limits { max_size, max_files };
        let store = Store::on_disk(path.clone(), dir.path(), limits, tail, Box::new(faults.clone()));
        let account = Account { counts: Ledger::default().open(&web()), stream: Stream::Stdout };
        Self { dir, path, store, faults, account }
    }

    fn append(&self, text: &str) -> bool {
        let whole = u64::try_from(text.matches('\n').count()).unwrap();
        let lines = Lines { whole, cut: 0, held: 0 };
        let stretch = Stretch { account: &self.account, run: RunNumber(1), at: Wall(0), lines };
        let done = self.store.append(text.as_bytes(), stretch);
        self.stats();
        done
    }

    fn stats(&self) -> SinkStats {
        let mut stats = SinkStats::default();
        self.account.book(|c| stats = *c.sink(Sink::File));
        assert_eq!(stats.read, stats.written + stats.dropped + stats.truncated + stats.queued);
        stats
    }

    /// Makes the last look at the path a second old.
    fn later(&self) {
        let mut inner = self.store.inner.borrow_mut();
        inner.checked = inner.checked.checked_sub(RETRY).unwrap();
        inner.rotation_failed = inner.rotation_failed.map(|at| at.checked_sub(RETRY).unwrap());
    }

    fn files(&self) -> Vec<String> {
        let mut paths = archive::list(&self.path).unwrap();
        paths.push(self.path.clone());
        paths.iter().filter_map(|p| std::fs::read_to_string(p).ok()).collect()
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => (1usize..30).prop_map(Fault::Short),
        1 => Just(Fault::Fail(Errno::ENOSPC)),
        1 => Just(Fault::Fail(Errno::EIO)),
        1 => Just(Fault::Fail(Errno::EINTR)),
    ]
}

proptest! {
    /// Whatever the disk does: every line once, in order, whole, in files that are not too large, and counted.
    #[test]
    fn nothing_is_lost_torn_or_repeated(
        batches in prop::collection::vec(prop::collection::vec(0usize..20, 1..6), 1..12),
        faults in prop::collection::vec(fault(), 0..20),
        max_size in prop_oneof![Just(0u64), 1u64..80],
    ) {
        let case = Case::new(max_size, u32::MAX);
        case.faults.0.borrow_mut().extend(faults);
        let mut expected = String::new();
        let mut number = 0u64;
        for batch in &batches {
            let mut text = String::new();
            for length in batch {
                number += 1;
                text.push_str(&format!("{number}{}\n", "x".repeat(*length)));
            }
            expected.push_str(&text);
            if !case.append(&text) {
                while !case.store.retry() {
                    case.stats();
                }
            }
        }
        let files = case.files();
        prop_assert_eq!(files.concat(), expected);
        for file in &files {
            prop_assert!(file.is_empty() || file.ends_with('\n'));
            let small = u64::try_from(file.len()).unwrap() <= max_size || file.matches('\n').count() == 1;
            prop_assert!(max_size == 0 || small, "{:?}", file);
        }
        let stats = case.stats();
        prop_assert_eq!((stats.written, stats.queued, stats.dropped), (number, 0, 0));
    }
}

#[test]
fn rotation_keeps_the_newest_files() {
    let case = Case::new(4, 2);
    case.append("a\nb\nc\nd\ne\nf\ng\n");
    assert_eq!(case.files(), ["c\nd\n", "e\nf\n", "g\n"]);
    let none = Case::new(4, 0);
    none.append("a\nb\nc\n");
    assert_eq!(none.files(), ["c\n"]);
}

#[test]
fn what_was_there_is_kept_and_its_torn_last_line_is_ended() {
    let case = Case::new(0, 1);
    std::fs::write(&case.path, "old\ntorn").unwrap();
    case.append("new\n");
    assert_eq!(case.files(), ["old\ntorn\nnew\n"]);
}

#[test]
fn a_full_disk_blocks_and_is_got_over_in_order() {
    let case = Case::new(0, 1);
    case.faults.0.borrow_mut().extend([
        Fault::Short(3),
        Fault::Fail(Errno::ENOSPC),
        Fault::Fail(Errno::ENOSPC),
    ]);
    assert!(!case.append("first\n"));
    assert!(!case.append("second\n"), "the other stream queues behind it");
    assert_eq!((case.stats().queued, case.stats().errors), (2, 1));
    assert!(!case.store.retry());
    assert!(case.store.is_blocked() && case.store.retry() && !case.store.is_blocked());
    assert_eq!(case.files(), ["first\nsecond\n"]);
    assert_eq!((case.stats().written, case.stats().errors), (2, 2));
}

#[test]
fn what_the_disk_never_takes_is_counted_as_dropped() {
    let case = Case::new(0, 1);
    case.faults.0.borrow_mut().push_back(Fault::Fail(Errno::EIO));
    assert!(!case.append("a\nb\n"));
    case.store.give_up();
    assert_eq!((case.stats().dropped, case.stats().queued), (2, 0));
    assert!(!case.store.is_blocked() && case.append("c\n"));
    assert_eq!(case.files(), ["c\n"]);
}

#[test]
fn a_removed_file_is_made_anew_at_the_next_write() {
    let case = Case::new(0, 1);
    case.append("a\n");
    std::fs::remove_file(&case.path).unwrap();
    case.append("b\n");
    assert_eq!(case.files(), ["b\n"]);
}

#[test]
fn a_renamed_file_takes_lines_until_it_is_noticed_or_told() {
    for told in [false, true] {
        let case = Case::new(0, 1);
        let moved = case.dir.path().join("web.log.1");
        case.append("a\n");
        std::fs::rename(&case.path, &moved).unwrap();
        case.append("b\n");
        if told {
            case.store.reopen();
        } else {
            case.later();
        }
        case.append("c\n");
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "a\nb\n");
        assert_eq!(case.files(), ["c\n"]);
    }
}

#[test]
fn rotation_does_not_move_a_file_that_somebody_put_there() {
    let case = Case::new(4, 3);
    case.append("a\nb\n");
    std::fs::rename(&case.path, case.dir.path().join("web.log.1")).unwrap();
    std::fs::write(&case.path, "x\n").unwrap();
    case.append("c\n");
    assert_eq!(case.files(), ["x\nc\n"]);
}

#[test]
fn a_rotation_that_fails_costs_no_line_and_is_tried_again() {
    // An archive's name would be longer than a file name can be.
    let case = Case::named(&"n".repeat(240), 4, 1);
    assert!(case.append("a\nb\n") && case.append("c\n"));
    assert_eq!(case.files(), ["a\nb\nc\n"]);
    assert_eq!((case.stats().written, case.stats().errors), (3, 1));
    assert!(case.append("d\n"), "no new try within a second");
    assert_eq!(case.stats().errors, 1);
    case.later();
    assert!(case.append("e\n"));
    assert_eq!((case.files().concat().as_str(), case.stats().errors), ("a\nb\nc\nd\ne\n", 2));
}

#[test]
fn a_file_that_was_opened_before_it_became_an_archive_takes_no_lines() {
    let case = Case::new(0, 5);
    let early = place::open_log(&case.path, case.dir.path()).unwrap();
    std::fs::rename(&case.path, case.dir.path().join("web.log.1")).unwrap();
    case.store.adopt(early).unwrap();
    assert!(case.append("line\n"));
    assert_eq!(std::fs::read(&case.path).unwrap(), b"line\n");
    let opened = place::open_log(&case.path, case.dir.path()).unwrap();
    case.store.reopen();
    case.store.adopt(opened).unwrap();
    assert!(case.append("other\n"));
    assert_eq!(std::fs::read(&case.path).unwrap(), b"line\nother\n");
}
