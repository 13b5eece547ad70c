//! Which files there are: rotation by age, room made on a full disk, compression asked for, the index beside each.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;

use std::path::PathBuf;

use ::model::Stream;

use super::bed::{Case, Fault, limits};
use super::*;
use crate::index::{self, Record};
use crate::place::FileId;

const HOUR: Duration = Duration::from_secs(3600);

fn hourly() -> Case {
    Case::named("web.log", Limits { max_age: HOUR, ..limits() })
}

#[test]
fn the_first_line_that_comes_too_late_begins_a_new_file() {
    let case = hourly();
    case.append("a\n");
    case.later(HOUR);
    case.append("b\n");
    assert_eq!(case.files(), ["a\nb\n"], "as old as it may be");
    case.later(Duration::from_nanos(1));
    case.append("c\n");
    case.later(HOUR);
    case.append("d\n");
    assert_eq!(case.files(), ["a\nb\n", "c\nd\n"]);
    case.store.set_limits(limits());
    case.later(1000 * HOUR);
    case.append("e\n");
    assert_eq!(case.files(), ["a\nb\n", "c\nd\ne\n"]);
    // A clock that is set back makes nothing old.
    case.store.set_limits(Limits { max_age: HOUR, ..limits() });
    case.at.set(Wall(1));
    case.append("f\n");
    assert_eq!(case.files().len(), 2);
}

#[test]
fn the_age_of_a_file_survives_the_daemon() {
    let case = hourly();
    case.append("a\n");
    case.later(HOUR);
    let case = case.restarted();
    case.append("b\n");
    assert_eq!(case.files(), ["a\nb\n"], "the index knows when the first line came");
    let case = case.restarted();
    case.later(Duration::from_secs(1));
    case.append("c\n");
    assert_eq!(case.files(), ["a\nb\n", "c\n"]);
}

#[test]
fn without_an_index_a_file_is_as_old_as_the_file_system_says() {
    let case = hourly();
    std::fs::write(&case.path, "old\n").unwrap();
    let made = std::fs::metadata(&case.path).unwrap().created().unwrap();
    let made = made.duration_since(std::time::UNIX_EPOCH).unwrap();
    case.at.set(Wall(u64::try_from((made + HOUR).as_nanos()).unwrap()));
    case.append("a\n");
    let case = case.restarted();
    std::fs::remove_file(case.index()).unwrap();
    case.later(Duration::from_nanos(1));
    case.append("b\n");
    assert_eq!(case.files(), ["old\na\n", "b\n"]);
}

#[test]
fn a_file_that_is_empty_or_was_emptied_has_no_age() {
    let case = hourly();
    case.append("a\n");
    case.later(2 * HOUR);
    // As `copytruncate` and `create` of logrotate do.
    File::options().write(true).open(&case.path).unwrap().set_len(0).unwrap();
    case.append("b\n");
    assert_eq!(case.files(), ["b\n"]);
}

#[test]
fn a_torn_line_is_ended_before_an_old_file_is_left() {
    let case = hourly();
    case.append("a\n");
    case.disk.text([Fault::Short(3), Fault::Fail(Errno::EIO)]);
    assert!(!case.append("first\n"));
    case.later(2 * HOUR);
    assert!(!case.append("second\n") && case.store.retry());
    assert_eq!(case.files(), ["a\nfirst\n", "second\n"]);
}

#[test]
fn archives_are_bounded_in_their_sizes_together() {
    let case = Case::named("web.log", Limits { max_size: 4, max_total_size: 9, ..limits() });
    case.append("a\nb\nc\nd\ne\nf\ng\n");
    assert_eq!(case.files(), ["c\nd\n", "e\nf\n", "g\n"]);
}

#[test]
fn compression_is_asked_for_at_the_start_at_a_change_and_after_each_rotation() {
    let asked = |case: &Case| case.disk.0.borrow().compressions;
    let case = Case::named("web.log", Limits { max_size: 4, ..limits() });
    case.append("a\nb\nc\n");
    assert_eq!(asked(&case), 0);
    let gzip = Limits { compress: Compression::Gzip, max_size: 4, ..limits() };
    case.store.set_limits(gzip);
    case.store.set_limits(gzip);
    assert_eq!(asked(&case), 1);
    case.append("d\ne\n");
    assert_eq!(asked(&case), 2);
    assert_eq!(asked(&case.restarted()), 3);
}

#[test]
fn a_full_disk_costs_the_oldest_archives_one_at_a_time() {
    for errno in [Errno::ENOSPC, Errno::EDQUOT] {
        let case = Case::new(4, 10);
        case.append("a\nb\nc\nd\ne\nf\ng\n");
        case.disk.text([Fault::Fail(errno), Fault::Short(1), Fault::Fail(errno)]);
        assert!(case.append("h\n"), "room was made twice");
        assert_eq!(case.files(), ["e\nf\n", "g\nh\n"]);
        assert_eq!((case.stats().errors, case.stats().written), (2, 8));
        case.disk.text([Fault::Fail(errno); 3]);
        assert!(!case.append("i\n"), "nothing is left to delete");
        assert_eq!(case.stats().errors, 5);
        assert!(case.store.retry());
        assert_eq!(case.files(), ["i\n"]);
    }
}

#[test]
fn other_failures_cost_no_archive() {
    let case = Case::new(4, 10);
    case.append("a\nb\nc\n");
    case.disk.text([Fault::Fail(Errno::EIO)]);
    assert!(!case.append("d\n") && case.store.retry());
    assert_eq!(case.files(), ["a\nb\n", "c\nd\n"]);
}

impl Case {
    fn index(&self) -> PathBuf {
        index_of(&self.path)
    }

    fn as_stream(&mut self, stream: Stream) -> &Self {
        self.account.stream = stream;
        self
    }

    /// Where records begin, as (offset, run, stream); `None` = the index isn't this file's.
    fn records(&self, path: &Path) -> Option<Vec<(u64, Wall, Stream)>> {
        let bytes = std::fs::read(index_of(path)).ok()?;
        let owner = FileId::at(path).unwrap();
        (index::owner(&bytes) == Some(owner))
            .then(|| index::records(&bytes).iter().map(|r: &Record| (r.offset, r.at, r.stream)).collect())
    }
}

fn index_of(path: &Path) -> PathBuf {
    path.with_file_name(index::name_of(path.file_name().unwrap()))
}

const AT: Wall = Wall(1_000_000_000);

fn after(by: Duration) -> Wall {
    Wall(AT.0 + u64::try_from(by.as_nanos()).unwrap())
}

#[test]
fn every_stretch_has_its_record_and_what_is_covered_has_none() {
    let mut case = Case::new(0, 1);
    case.append("a\n");
    case.later(Duration::from_millis(9));
    case.append("b\n");
    case.as_stream(Stream::Stderr).append("c\n");
    case.later(Duration::from_millis(1));
    case.append("d\n");
    case.as_stream(Stream::Stdout).append("e\n");
    case.later(Duration::from_millis(10));
    case.append("f\n");
    let ms = |ms| after(Duration::from_millis(ms));
    assert_eq!(
        case.records(&case.path).unwrap(),
        [
            (0, ms(0), Stream::Stdout),
            (4, ms(9), Stream::Stderr),
            (8, ms(10), Stream::Stdout),
            (10, ms(20), Stream::Stdout)
        ]
    );
    let meta = std::fs::metadata(case.index()).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777 & !0o640, 0);
}

#[test]
fn each_file_of_a_chain_has_its_own_index() {
    let case = Case::new(4, 1);
    case.append("a\nb\nc\nd\ne\n");
    let archive = &case.archives()[0];
    assert_eq!(case.records(archive).unwrap(), [(0, AT, Stream::Stdout)]);
    assert_eq!(case.records(&case.path).unwrap(), [(0, AT, Stream::Stdout)]);
    assert_eq!(std::fs::read_dir(case.dir.path()).unwrap().count(), 4, "the first archive's is gone");
}

#[test]
fn an_index_is_gone_on_with_after_a_restart_and_torn_ends_are_mended() {
    let case = Case::new(0, 1);
    case.append("a\n");
    let mut index = File::options().append(true).open(case.index()).unwrap();
    std::io::Write::write_all(&mut index, b"half a record").unwrap();
    let case = case.restarted();
    case.append("b\n");
    assert_eq!(case.records(&case.path).unwrap().len(), 2);
    assert_eq!(std::fs::metadata(case.index()).unwrap().len(), 32 + 2 * 24);
}

#[test]
fn the_index_of_another_file_is_replaced() {
    let case = Case::new(0, 1);
    case.append("a\n");
    // Somebody's rename; the index stays behind.
    std::fs::rename(&case.path, case.dir.path().join("web.log.1")).unwrap();
    case.store.reopen();
    case.append("b\n");
    assert_eq!(case.records(&case.path).unwrap(), [(0, AT, Stream::Stdout)]);
    // The same, and somebody has put another file in its place.
    std::fs::rename(&case.path, case.dir.path().join("web.log.2")).unwrap();
    std::fs::write(&case.path, "other\n").unwrap();
    case.store.reopen();
    case.append("b\n");
    assert_eq!(case.records(&case.path).unwrap(), [(6, AT, Stream::Stdout)]);
    // A file that was emptied and is shorter than its index says, found after a restart.
    case.append("longer\n");
    case.later(Duration::from_secs(1));
    case.append("x\n");
    std::fs::write(&case.path, "n\n").unwrap();
    let case = case.restarted();
    case.append("c\n");
    assert_eq!(case.records(&case.path).unwrap(), [(2, case.at.get(), Stream::Stdout)]);
    // And emptied under our hands: what is written then is at the start again.
    File::options().write(true).open(&case.path).unwrap().set_len(0).unwrap();
    case.append("d\n");
    assert_eq!(case.records(&case.path).unwrap(), [(0, case.at.get(), Stream::Stdout)]);
}

#[test]
fn nothing_is_followed_or_written_through_where_the_index_should_be() {
    let case = Case::new(0, 1);
    let secret = case.dir.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::write(&case.path, "old\n").unwrap();
    std::os::unix::fs::symlink(&secret, case.index()).unwrap();
    assert!(case.append("a\n"));
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(case.records(&case.path).unwrap(), [(4, AT, Stream::Stdout)]);
}

#[test]
fn an_index_that_fails_is_given_up_for_its_file_and_costs_no_line() {
    let case = Case::new(6, 5);
    case.append("a\n");
    case.later(Duration::from_secs(1));
    let faults = [Fault::Fail(Errno::EIO), Fault::Short(99)];
    case.disk.0.borrow_mut().index.extend(faults);
    assert!(case.append("b\n") && case.append("c\n"));
    assert_eq!(case.disk.0.borrow().index.len(), 1, "not tried again");
    assert!(!case.index().exists(), "its last record would claim lines that are not its own");
    assert!(case.append("d\n"), "the next file");
    assert_eq!(case.records(&case.path).unwrap(), [(0, case.at.get(), Stream::Stdout)]);
    assert_eq!((case.files().concat().as_str(), case.stats().errors), ("a\nb\nc\nd\n", 0));
    // Nothing but the index can't be made.
    let case = Case::new(0, 5);
    std::fs::create_dir(case.index()).unwrap();
    assert!(case.append("a\n"));
    assert_eq!(case.files(), ["a\n"]);
}

#[test]
fn while_the_disk_takes_neither_the_index_waits_with_the_text() {
    for index_fault in [Fault::Fail(Errno::ENOSPC), Fault::Short(7)] {
        let case = Case::new(0, 5);
        case.append("a\n");
        case.later(Duration::from_secs(1));
        case.disk.0.borrow_mut().index.extend([index_fault; 2]);
        case.disk.text([Fault::Fail(Errno::ENOSPC); 2]);
        assert!(!case.append("b\n") && !case.store.retry() && case.store.retry());
        assert_eq!(
            case.records(&case.path).unwrap(),
            [(0, AT, Stream::Stdout), (2, case.at.get(), Stream::Stdout)]
        );
        assert_eq!(std::fs::metadata(case.index()).unwrap().len(), 32 + 2 * 24);
    }
}

#[test]
fn what_waits_longest_for_the_disk_is_told_until_it_is_written() {
    let case = Case::new(0, 5);
    let lag = || case.account.counts.lag()[Sink::File as usize];
    case.append("a\n");
    assert_eq!(lag(), Duration::ZERO);
    case.disk.text([Fault::Fail(Errno::ENOSPC); 2]);
    assert!(!case.append("b\n"));
    let first = lag();
    assert!(first > Duration::ZERO);
    assert!(!case.store.retry() && lag() > first);
    assert!(case.store.retry());
    assert_eq!(lag(), Duration::ZERO);
}
