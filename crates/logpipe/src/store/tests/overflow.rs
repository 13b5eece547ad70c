//! What happens to lines while the disk takes none.

use super::bed::{Case, Fault, limits, open};
use super::*;

const DOWN: Fault = Fault::Fail(Errno::EIO);

fn dropping(overflow: Overflow) -> Case {
    Case::named("web.log", Limits { overflow, ..limits() })
}

/// Of one store, then of all of them.
fn narrow(case: &Case, each: usize, total: usize) -> Rc<Room> {
    let room = Rc::new(Room { each, total, taken: Cell::default() });
    case.store.inner.borrow_mut().waiting = Waiting::new(Rc::clone(&room));
    room
}

/// Text that takes a quarter of 2 KiB, bookkeeping included, so that four of them find room and a fifth doesn't.
fn quarter(letter: char) -> String {
    letter.to_string().repeat(250) + "\n" + &letter.to_string().repeat(99) + "\n"
}

#[test]
fn readers_go_on_and_what_finds_room_is_written_later() {
    for overflow in [Overflow::DropNewest, Overflow::DropOldest] {
        let case = dropping(overflow);
        case.disk.text([DOWN; 2]);
        assert!(!case.append("a\n") && !case.store.is_blocked() && !case.append("b\n"));
        assert!(!case.store.retry() && case.store.retry());
        assert_eq!(case.files(), ["a\nb\n"]);
        assert_eq!((case.stats().written, case.stats().dropped), (2, 0));
    }
}

#[test]
fn the_newest_lines_are_dropped_counted_and_marked() {
    let case = dropping(Overflow::DropNewest);
    narrow(&case, 2048, usize::MAX);
    case.disk.text([DOWN]);
    for letter in 'a'..='f' {
        case.append(&quarter(letter));
    }
    assert_eq!((case.stats().queued, case.stats().dropped), (8, 4));
    assert!(case.store.retry());
    case.append("g\n");
    let kept: String = ('a'..='d').map(quarter).collect();
    assert_eq!(case.files(), [kept + "[4 lines dropped: the disk took no more]\ng\n"]);
    assert_eq!((case.stats().written, case.stats().dropped), (9, 4));
    assert_eq!(case.stats().bytes_written, std::fs::metadata(&case.path).unwrap().len(), "the marker's too");
}

#[test]
fn the_oldest_lines_are_dropped_counted_and_marked() {
    let case = dropping(Overflow::DropOldest);
    narrow(&case, 2048, usize::MAX);
    case.disk.text([DOWN]);
    for letter in 'a'..='f' {
        case.append(&quarter(letter));
    }
    assert_eq!(case.stats().queued + case.stats().dropped, 12);
    assert!(case.stats().dropped >= 4);
    let dropped = case.stats().dropped;
    assert!(case.store.retry());
    let text = case.files().concat();
    let kept = text.strip_prefix(&format!("[{dropped} lines dropped: the disk took no more]\n")).unwrap();
    assert!(kept.ends_with(&(quarter('e') + &quarter('f'))), "{text}");
    assert_eq!(case.stats().written + dropped, 12);
}

#[test]
fn a_torn_line_is_never_dropped() {
    let case = dropping(Overflow::DropOldest);
    narrow(&case, 2048, usize::MAX);
    case.disk.text([Fault::Short(3), DOWN]);
    for letter in 'a'..='z' {
        case.append(&quarter(letter));
    }
    assert!(case.store.retry());
    let text = case.files().concat();
    let rest = text.strip_prefix(&quarter('a')).unwrap();
    assert!(
        rest.starts_with(&format!("[{} lines dropped", case.stats().dropped))
            && rest.ends_with(&quarter('z'))
    );
}

#[test]
fn a_torn_marker_is_written_to_its_end_and_later_losses_have_their_own() {
    let case = dropping(Overflow::DropNewest);
    narrow(&case, 500, usize::MAX);
    case.disk.text([DOWN, Fault::Short(1000), Fault::Short(4), DOWN, DOWN]);
    case.append(&quarter('a'));
    case.append(&quarter('b'));
    assert!(!case.store.retry(), "cut within the marker");
    case.append(&quarter('c'));
    assert!(!case.store.retry() && case.store.retry());
    let marker = "[2 lines dropped: the disk took no more]\n";
    assert_eq!(case.files(), [quarter('a') + marker + marker]);
}

#[test]
fn a_batch_that_is_larger_than_the_bound_waits_alone() {
    let case = dropping(Overflow::DropNewest);
    narrow(&case, 100, usize::MAX);
    case.disk.text([DOWN]);
    case.append(&quarter('a'));
    case.append("b\n");
    assert!(case.store.retry());
    assert_eq!(case.files(), [quarter('a') + "[1 lines dropped: the disk took no more]\n"]);
}

#[test]
fn all_stores_share_one_bound_and_give_back_what_they_took() {
    let case = dropping(Overflow::DropOldest);
    let room = narrow(&case, 2048, 2048);
    let other = dropping(Overflow::DropOldest);
    other.store.inner.borrow_mut().waiting = Waiting::new(Rc::clone(&room));
    for case in [&case, &other] {
        case.disk.text([DOWN]);
    }
    for letter in 'a'..='d' {
        case.append(&quarter(letter));
    }
    other.append(&quarter('x'));
    assert_eq!(other.stats().dropped, 2, "nothing of its own to drop instead");
    assert!(case.store.retry() && other.store.retry());
    assert_eq!(room.taken.get(), 0);
    assert_eq!(other.files(), ["[2 lines dropped: the disk took no more]\n"]);
    other.disk.text([DOWN]);
    other.append(&quarter('y'));
    assert!(room.taken.get() > 300);
    drop(other);
    assert_eq!(room.taken.get(), 0);
}

#[test]
fn blocking_drops_nothing_whatever_the_bounds() {
    let case = Case::new(0, 1);
    narrow(&case, 0, 0);
    case.disk.text([DOWN]);
    let all: String = ('a'..='f').map(quarter).collect();
    for letter in 'a'..='f' {
        assert!(!case.append(&quarter(letter)) && case.store.is_blocked());
    }
    assert!(case.store.retry());
    assert_eq!((case.files(), case.stats().dropped), (vec![all], 0));
}

#[test]
fn a_policy_that_drops_frees_the_readers_that_wait() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let case = Case::new(0, 1);
    case.disk.text([DOWN; 2]);
    case.append("a\n");
    let store = Rc::clone(&case.store);
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let waiting = tokio::task::spawn_local({
            let store = Rc::clone(&store);
            async move { store.unblocked().await }
        });
        tokio::task::yield_now().await;
        store.set_limits(limits());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "still blocked");
        store.set_limits(Limits { overflow: Overflow::DropNewest, ..limits() });
        tokio::task::yield_now().await;
        assert!(waiting.is_finished());
    });
    assert!(!case.append("b\n"), "it waits all the same");
    case.store.set_limits(limits());
    assert!(case.store.is_blocked());
    assert!(!case.store.retry() && case.store.retry() && !case.store.is_blocked());
    assert_eq!(case.files(), ["a\nb\n"]);
}

#[test]
fn lines_that_waited_to_be_joined_are_booked_once() {
    let case = dropping(Overflow::DropNewest);
    narrow(&case, 0, usize::MAX);
    // The first is written, the second waits, the third is dropped.
    case.disk.text([Fault::Short(usize::MAX), DOWN]);
    for _ in 0..3 {
        case.account.book(|counts| {
            let sink = counts.sink(Sink::File);
            (sink.read, sink.queued) = (sink.read + 2, sink.queued + 2);
        });
        let lines = Lines { whole: 3, cut: 0, held: 2 };
        let stretch = Stretch { account: &case.account, run: RunNumber(1), at: Wall(0), lines };
        case.store.append(b"{}\n", stretch);
    }
    let counts = |stats: crate::SinkStats| [stats.read, stats.written, stats.queued, stats.dropped];
    assert_eq!(counts(case.stats()), [9, 3, 3, 3]);
    assert!(case.store.retry());
    assert_eq!(counts(case.stats()), [9, 6, 0, 3]);
}

#[test]
fn lines_are_whole_after_a_torn_one_was_given_up() {
    let case = Case::new(0, 1);
    case.disk.text([Fault::Short(2), DOWN]);
    assert!(!case.append("torn\n"));
    case.store.give_up();
    assert!(case.append("whole\n"));
    assert_eq!(case.files(), ["to\nwhole\n"]);
}

#[test]
fn the_defaults_are_those_that_are_documented() {
    let room = Room::default();
    assert_eq!((room.each, room.total, room.taken.get()), (1 << 20, 32 << 20, 0));
    let case = Case::new(0, 1);
    let store = open(&case.path, &case.disk, limits(), &Rc::new(room));
    assert!(!store.is_blocked() && store.retry());
}

#[test]
fn a_marker_has_the_format_of_its_file() {
    let json = Limits { overflow: Overflow::DropNewest, format: LogFormat::Json, ..limits() };
    let case = Case::named("web.log", json);
    narrow(&case, 500, usize::MAX);
    case.disk.text([DOWN]);
    case.append(&quarter('a'));
    case.append(&quarter('b'));
    assert!(case.store.retry());
    let text = case.files().concat();
    let marker: serde_json::Value = serde_json::from_str(text.strip_prefix(&quarter('a')).unwrap()).unwrap();
    assert_eq!(marker["message"], "[2 lines dropped: the disk took no more]");
    assert_eq!(marker["process"], "web");
}
