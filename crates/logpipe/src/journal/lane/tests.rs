//! Whatever happens to a lane, what comes out is in order and says how much is missing, and where.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use model::{Overflow, RateLimit, Sink, Stream};
use proptest::prelude::*;
use sys::journal::JournalSocket;

use super::LANE_MAX;
use crate::entry::Message;
use crate::entry::decode::{Fields, entries, get};
use crate::journal::{Journal, LaneRef, Pushed, TOTAL_MAX};
use crate::stats::{Account, Ledger};
use crate::store::Lines;
use crate::testing::{journal_at, web};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An entry of so many lines and bytes.
    Push {
        stream: Stream,
        lines: u64,
        size: usize,
        policy: Overflow,
    },
    Suppress(u64),
    Settle,
    Send,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (
        prop::sample::select(&Stream::ALL[..]),
        1u64..4,
        prop_oneof![3 => 1usize..1000, 5 => 60_000usize..150_000],
        prop::sample::select(&Overflow::ALL[..]),
    )
        .prop_map(|(stream, lines, size, policy)| Step::Push { stream, lines, size, policy });
    let step = prop_oneof![12 => push, 2 => (1u64..50).prop_map(Step::Suppress), 1 => Just(Step::Settle), 5 => Just(Step::Send)];
    prop::collection::vec(step, 1..80)
}

struct Rig {
    ledger: Arc<Ledger>,
    journal: Journal,
    lane: LaneRef,
    sender: JournalSocket,
    receiver: std::os::unix::net::UnixDatagram,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("journal");
        let receiver = journal_at(&at);
        let sender = JournalSocket::connect(&at).unwrap();
        let ledger = Arc::new(Ledger::default());
        let journal = Journal::new(at, Arc::clone(&ledger));
        let lane = journal.lane(ledger.open(&web()));
        Self { ledger, journal, lane, sender, receiver, _dir: dir }
    }

    /// Pushes and books as a reader does.
    fn push(&self, stream: Stream, lines: u64, policy: Overflow, text: &[u8]) -> bool {
        let lines = Lines { whole: lines, cut: 0, held: 0 };
        let message = Message::new(6, b"", text, "");
        let Pushed { taken, evicted } = self.journal.entry(&self.lane, policy, stream, lines, b"", &message);
        Account { counts: self.ledger.open(&web()), stream }.book(|counts| {
            let sink = counts.sink(Sink::Journald);
            sink.read += lines.all();
            *(if taken { &mut sink.queued } else { &mut sink.dropped }) += lines.all();
            sink.queued -= evicted;
            sink.dropped += evicted;
        });
        taken
    }

    fn send(&self) -> Vec<Fields> {
        if !self.journal.send_one(&self.sender) {
            return Vec::new();
        }
        let mut buffer = vec![0; 1 << 20];
        let n = self.receiver.recv(&mut buffer).unwrap();
        entries(&buffer[..n])
    }

    /// Everything that waits.
    fn drain(&self) -> Vec<Fields> {
        let mut all = Vec::new();
        loop {
            let more = self.send();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    fn sums(&self) -> crate::SinkStats {
        let mut sum = crate::SinkStats::default();
        for stats in self.ledger.snapshot() {
            crate::testing::balanced(&stats);
            let sink = stats.sink(Sink::Journald).copied().unwrap_or_default();
            sum.read += sink.read;
            sum.written += sink.written;
            sum.dropped += sink.dropped;
            sum.queued += sink.queued;
        }
        sum
    }
}

const LIMIT: RateLimit = RateLimit { lines: 5, interval: std::time::Duration::from_secs(1) };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_gap_is_marked_at_its_place(steps in steps()) {
        let rig = Rig::new();
        // Lines are numbered; an entry of several lines begins with the number of its first one.
        let mut next = 0u64;
        let mut came = Vec::new();
        // Their readers ask for room first; here they don't.
        let mut waits = false;
        for step in steps {
            match step {
                Step::Push { stream, lines, size, policy } => {
                    let text = format!("{next} {lines} {}", "x".repeat(size));
                    rig.push(stream, lines, policy, text.as_bytes());
                    next += lines;
                }
                Step::Suppress(lines) => {
                    rig.journal.suppress(&rig.lane, lines, LIMIT);
                    next += lines;
                }
                Step::Settle => rig.journal.settle(&rig.lane),
                Step::Send => came.extend(rig.send()),
            }
            rig.sums();
            waits |= matches!(step, Step::Push { policy: Overflow::Block, .. });
            // Beside its entries a lane has a few markers.
            prop_assert!(waits || rig.lane.lane.borrow().len() < LANE_MAX + 1000);
        }
        rig.journal.settle(&rig.lane);
        came.extend(rig.drain());
        let mut expected = 0;
        for entry in &came {
            let text = get(entry, "MESSAGE");
            let mut words = text.split(' ');
            let first: u64 = words.next().unwrap().parse().unwrap();
            match words.next().unwrap() {
                "lines" => expected += first,
                lines => {
                    prop_assert_eq!(first, expected);
                    expected += lines.parse::<u64>().unwrap();
                }
            }
        }
        prop_assert_eq!(expected, next);
        let sums = rig.sums();
        prop_assert_eq!((sums.queued, sums.written + sums.dropped), (0, sums.read));
        prop_assert_eq!(rig.journal.total.get(), 0);
    }
}

#[test]
fn the_oldest_make_room_for_the_newest() {
    let rig = Rig::new();
    for i in 0..20 {
        assert!(rig.push(
            Stream::Stdout,
            1,
            Overflow::DropOldest,
            format!("{i} {}", "x".repeat(100_000)).as_bytes()
        ));
    }
    let texts: Vec<String> = rig.drain().iter().map(|f| get(f, "MESSAGE")).collect();
    assert_eq!(texts[0], "10 lines dropped: the journal took them too slowly or was away");
    let numbers: Vec<_> = texts[1..].iter().map(|t| t.split(' ').next().unwrap()).collect();
    assert_eq!(numbers.join(" "), "10 11 12 13 14 15 16 17 18 19");
    let sums = rig.sums();
    assert_eq!((sums.written, sums.dropped, sums.queued), (10, 10, 0));
}

#[test]
fn all_lanes_together_are_bounded_and_those_that_wait_are_not_crowded_out() {
    let rig = Rig::new();
    let line = vec![b'x'; 500_000];
    let message = Message::new(6, b"", &line, "");
    let lanes: Vec<LaneRef> = (0..80).map(|_| rig.journal.lane(rig.ledger.open(&web()))).collect();
    let one = Lines { whole: 1, ..Lines::default() };
    let put =
        |lane: &LaneRef, policy| rig.journal.entry(lane, policy, Stream::Stdout, one, b"", &message).taken;
    let taken = lanes.iter().filter(|lane| put(lane, Overflow::DropNewest)).count();
    assert!((50..60).contains(&taken), "{taken}");
    assert!(!put(&lanes[79], Overflow::DropOldest), "an empty lane has nothing to make room with");
    assert!(!rig.journal.is_full(&rig.lane));
    assert!(put(&rig.lane, Overflow::Block));
    assert!(rig.journal.total.get() < TOTAL_MAX);
    let stopped = crate::events::tests::event(model::EventKind::Stopped);
    rig.journal.event(&stopped);
    assert_eq!(get(&rig.send()[0], "EVENT"), "stopped", "before all lines");
    assert!(rig.ledger.totals().events_dropped == 0 && Rc::strong_count(&rig.lane) == 2);
}

#[test]
fn what_waits_longest_is_told_until_it_is_sent() {
    let rig = Rig::new();
    let lag = || rig.ledger.snapshot()[0].lag[Sink::Journald as usize];
    assert_eq!(lag(), Duration::ZERO);
    assert!(rig.push(Stream::Stdout, 1, Overflow::Block, b"first"));
    let first = lag();
    assert!(first > Duration::ZERO);
    assert!(rig.push(Stream::Stderr, 1, Overflow::Block, b"second"));
    assert!(lag() > first, "the first one waits on");
    rig.drain();
    assert_eq!(lag(), Duration::ZERO);
}

/// The lines of a process whose lane is empty are dropped as well while the others take all the room, and it may never
/// print again.
#[test]
fn what_never_got_a_place_is_marked_without_a_further_line() {
    let rig = Rig::new();
    let (other, text) = (rig.journal.lane(rig.ledger.open(&web())), vec![b'x'; 100_000]);
    for _ in 0..TOTAL_MAX / text.len() {
        let message = Message::new(6, b"", &text, "");
        rig.journal.entry(&other, Overflow::Block, Stream::Stdout, Lines::default(), b"", &message);
    }
    for policy in [Overflow::DropNewest, Overflow::DropOldest] {
        assert!(!rig.push(Stream::Stdout, 3, policy, b"no room"));
    }
    rig.receiver.set_nonblocking(true).unwrap();
    let (mut told, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
    while rig.journal.send_one(&rig.sender) {
        // A turn in which a marker is only made sends nothing.
        let Ok(n) = rig.receiver.recv(&mut buffer) else { continue };
        let texts = entries(&buffer[..n]).into_iter().map(|entry| get(&entry, "MESSAGE"));
        told.extend(texts.filter(|text| text.contains("dropped:")));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("6 lines dropped:"), "{told:?}");
}
