//! The store on a disk that writes short, fails and fills up, and among people who rename and remove.

mod bed;
mod keeping;
mod model;
mod overflow;

use nix::errno::Errno;
use proptest::prelude::*;

use super::*;
use bed::{Case, Fault, limits};

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
        case.disk.text(faults);
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
        // A full disk costs the oldest archives.
        let deleted = String::from_utf8(case.disk.0.borrow().deleted.concat()).unwrap();
        prop_assert_eq!(deleted + &files.concat(), expected);
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
    case.disk.text([Fault::Short(3), Fault::Fail(Errno::ENOSPC), Fault::Fail(Errno::ENOSPC)]);
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
    case.disk.text([Fault::Fail(Errno::EIO)]);
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
            case.later(RETRY);
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
    let case = Case::named(&"n".repeat(240), Limits { max_size: 4, max_files: 1, ..limits() });
    assert!(case.append("a\nb\n") && case.append("c\n"));
    assert_eq!(case.files(), ["a\nb\nc\n"]);
    assert_eq!((case.stats().written, case.stats().errors), (3, 1));
    assert!(case.append("d\n"), "no new try within a second");
    assert_eq!(case.stats().errors, 1);
    case.later(RETRY);
    assert!(case.append("e\n"));
    assert_eq!((case.files().concat().as_str(), case.stats().errors), ("a\nb\nc\nd\ne\n", 2));
}
