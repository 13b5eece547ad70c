//! The ring by itself.

use model::{ProcessName, ProcessRef, Seq, Stamp};

use super::*;

fn event(seq: u64, kind: EventKind) -> Event {
    let process = ProcessRef {
        name: ProcessName::new(if seq.is_multiple_of(2) { "even" } else { "odd" }).unwrap(),
        id: "cccc00000001".parse().unwrap(),
    };
    Event { seq: Seq(seq), at: Stamp::default(), process, run: None, pid: None, kind }
}

fn ring(events: u64) -> EventRing {
    let wording = Wording { describe: |e| e.kind.as_str().to_owned(), severity: |_| Severity::Info };
    let ring = EventRing::new("e".into(), wording);
    (1..=events).for_each(|seq| ring.push(&event(seq, EventKind::Stopped)));
    ring
}

fn numbers(page: &Page) -> Vec<u64> {
    page.events.iter().map(|event| event.seq.0).collect()
}

#[test]
fn reading_goes_on_behind_a_number() {
    let ring = ring(5);
    let page = ring.read(0, 3);
    assert_eq!((numbers(&page), page.position, page.missed), (vec![1, 2, 3], 3, false));
    let page = ring.read(3, 3);
    assert_eq!((numbers(&page), page.position, page.missed), (vec![4, 5], 5, false));
    let page = ring.read(5, 3);
    assert_eq!((numbers(&page), page.position, page.missed), (vec![], 5, false));
    assert_eq!(ring.last(), 5);
}

#[test]
fn an_empty_ring_misses_nothing() {
    let page = ring(0).read(0, 3);
    assert_eq!((numbers(&page), page.position, page.missed), (vec![], 0, false));
    assert_eq!(ring(0).before_last(7, |_| true), 0);
}

#[test]
fn the_oldest_go_by_number_and_who_had_not_read_them_is_told() {
    let most = MAX_EVENTS as u64;
    let ring = ring(most + 7);
    let page = ring.read(0, 1);
    assert_eq!((numbers(&page), page.missed), (vec![8], true));
    assert!(ring.read(6, 1).missed && !ring.read(7, 1).missed);
    assert_eq!(ring.lock().events.len(), MAX_EVENTS);
}

#[test]
fn the_oldest_go_by_size_and_one_that_is_larger_than_all_is_kept() {
    let ring = ring(3);
    ring.push(&event(4, EventKind::Invalid { problem: "x".repeat(MAX_BYTES + 1) }));
    assert_eq!(numbers(&ring.read(0, 9)), [4]);
    ring.push(&event(5, EventKind::Stopped));
    let page = ring.read(0, 9);
    assert_eq!((numbers(&page), page.missed, ring.lock().bytes), (vec![5], true, OVERHEAD));
}

#[test]
fn the_last_ones_that_fit() {
    let ring = ring(9);
    let odd = |event: &Event| event.process.name.as_str() == "odd";
    assert_eq!(ring.before_last(2, odd), 6);
    assert_eq!(ring.before_last(0, odd), 9);
    assert_eq!(ring.before_last(u32::MAX, |_| true), 0);
    assert_eq!(ring.before_last(3, |_| false), 9);
}

#[tokio::test]
async fn who_listens_before_looking_hears_of_what_comes_after_the_look() {
    let ring = Arc::new(ring(1));
    let teller = Arc::clone(&ring);
    let telling = tokio::spawn(async move { teller.announce().await });
    let mut news = ring.listen();
    let seen = ring.read(0, 9).position;
    ring.push(&event(2, EventKind::Stopped));
    news.changed().await.unwrap();
    assert_eq!(numbers(&ring.read(seen, 9)), [2]);
    // Also without an event.
    ring.changed();
    news.changed().await.unwrap();
    telling.abort();
}

#[test]
fn nobody_is_woken_when_nobody_listens() {
    let ring = ring(100);
    let mut notified = std::pin::pin!(ring.news.notified());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(notified.as_mut().poll(&mut context).is_pending());
}
