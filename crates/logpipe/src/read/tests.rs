//! Last lines and following, across rotations and renames.

mod back;
mod files;
mod resume;

use std::time::Duration;

use model::{Output, Sink};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::archive;
use crate::testing::{Bed, output, say, until, web};
use crate::tests::joined;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn request(lines: usize, follow: bool) -> ReadRequest {
    ReadRequest {
        process: web(),
        output: output(),
        lines,
        follow,
        filter: Filter::default(),
        after: None,
        single: false,
    }
}

/// Everything that there is, for a reader that doesn't follow.
fn all(reader: &mut LogReader) -> Vec<Chunk> {
    runtime().block_on(async {
        let mut chunks = Vec::new();
        while let Some(batch) = reader.next_batch().await.unwrap() {
            assert!(!batch.missed && !batch.left_out);
            chunks.extend(batch.chunks);
        }
        chunks
    })
}

/// Follows until `lines` lines have come.
async fn follow(reader: &mut LogReader, lines: usize) -> String {
    let mut text = String::new();
    while text.matches('\n').count() < lines {
        let next = tokio::time::timeout(Duration::from_secs(30), reader.next_batch());
        let batch = next.await.expect("a batch in time").unwrap().expect("the stream goes on");
        assert!(!batch.missed);
        text.push_str(&joined(&batch.chunks));
    }
    text
}

/// Follows to the end.
async fn rest(reader: &mut LogReader) -> String {
    let mut text = String::new();
    while let Some(batch) = reader.next_batch().await.unwrap() {
        text.push_str(&joined(&batch.chunks));
    }
    text
}

fn numbers(from: u64, to: u64) -> String {
    (from..to).map(|i| format!("{i}\n")).collect()
}

#[test]
fn the_last_lines_come_across_rotations() {
    let mut bed = Bed::new();
    let mut spec = output();
    spec.log.max_size = 100;
    spec.log.max_files = 1000;
    let child = bed.start(&spec);
    say(&child.stdout, numbers(0, 1000));
    until("written", || (bed.sink(Stream::Stdout, Sink::File).written == 1000).then_some(()));
    for last in [0, 1, 7, 25, 400, 1000, usize::MAX] {
        let mut reader = bed.pipe.read(request(last, false)).unwrap();
        let first = 1000 - u64::try_from(last.min(1000)).unwrap();
        assert_eq!(joined(&all(&mut reader)), numbers(first, 1000), "{last}");
    }
}

#[test]
fn a_follower_sees_each_line_once_while_files_rotate_under_it() {
    let mut bed = Bed::new();
    let mut spec = output();
    spec.log.max_size = 50_000;
    spec.log.max_files = 100_000;
    const LINES: u64 = 100_000;
    let child = bed.start(&spec);
    let mut reader = bed.pipe.read(request(usize::MAX, true)).unwrap();
    let text = std::thread::scope(|scope| {
        scope.spawn(|| numbers(0, LINES).as_bytes().chunks(1_237).for_each(|c| say(&child.stdout, c)));
        runtime().block_on(follow(&mut reader, usize::try_from(LINES).unwrap()))
    });
    assert_eq!(text, numbers(0, LINES));
    assert!(archive::list(&bed.log()).unwrap().len() > 5);
}

#[test]
fn a_follower_waits_for_the_first_line_and_survives_cancellation() {
    let mut bed = Bed::new();
    let mut reader = bed.pipe.read(request(10, true)).unwrap();
    let child = bed.start(&output());
    runtime().block_on(async {
        let past = reader.next_batch().await.unwrap().unwrap();
        assert!(past.caught_up && past.chunks.is_empty());
        let nothing = tokio::time::timeout(Duration::from_millis(5), reader.next_batch()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        say(&child.stdout, "one\n");
        assert_eq!(follow(&mut reader, 1).await, "one\n");
        for i in 0..200 {
            say(&child.stdout, format!("{i}\n"));
            // Given up before it can have finished; what it had read comes with the next call.
            let hurried = tokio::time::timeout(Duration::ZERO, reader.next_batch()).await;
            let text = match hurried {
                Ok(batch) => joined(&batch.unwrap().unwrap().chunks),
                Err(_) => follow(&mut reader, 1).await,
            };
            assert_eq!(text, format!("{i}\n"));
        }
    });
}

#[test]
fn a_follower_goes_with_the_writer_when_somebody_renames_the_file() {
    let mut bed = Bed::new();
    let child = bed.start(&output());
    say(&child.stdout, "a\n");
    let mut reader = bed.pipe.read(request(10, true)).unwrap();
    runtime().block_on(async {
        assert_eq!(follow(&mut reader, 1).await, "a\n");
        std::fs::rename(bed.log(), bed.dir.path().join("logs/web.log.1")).unwrap();
        say(&child.stdout, "b\n");
        assert_eq!(follow(&mut reader, 1).await, "b\n");
        bed.pipe.reopen();
        // Messages are taken in order: the second run's streams exist only after the reopening.
        let other = bed.start(&output());
        say(&other.stdout, "c\n");
        assert_eq!(follow(&mut reader, 1).await, "c\n");
    });
    assert_eq!(bed.text(), "c\n");
}

#[test]
fn a_follower_ends_with_the_process_or_the_pipeline() {
    let mut bed = Bed::new();
    let child = bed.start(&output());
    say(&child.stdout, "a\n");
    let mut one = bed.pipe.read(request(10, true)).unwrap();
    assert_eq!(runtime().block_on(follow(&mut one, 1)), "a\n");
    bed.pipe.forget(&web().name);
    assert_eq!(runtime().block_on(rest(&mut one)), "");
    let mut two = bed.pipe.read(request(10, true)).unwrap();
    assert_eq!(runtime().block_on(follow(&mut two, 1)), "a\n");
    drop(child);
    bed.close();
    assert_eq!(runtime().block_on(rest(&mut two)), "");
}

#[test]
fn a_reader_that_was_left_behind_is_told() {
    let mut bed = Bed::new();
    let mut spec = output();
    spec.log.max_size = 10;
    spec.log.max_files = 1;
    let child = bed.start(&spec);
    say(&child.stdout, "1\n");
    let mut reader = bed.pipe.read(request(10, true)).unwrap();
    assert_eq!(runtime().block_on(follow(&mut reader, 1)), "1\n");
    say(&child.stdout, numbers(100, 200));
    until("written", || (bed.sink(Stream::Stdout, Sink::File).written == 101).then_some(()));
    let missed = runtime().block_on(async {
        let (mut chunks, mut missed) = (Vec::new(), false);
        while !joined(&chunks).ends_with("199\n") {
            let batch = reader.next_batch().await.unwrap().unwrap();
            missed |= batch.missed;
            chunks.extend(batch.chunks);
        }
        missed
    });
    assert!(missed);
}

#[test]
fn two_files_come_together_and_then_as_they_are_written() {
    let mut bed = Bed::new();
    let mut spec = output();
    spec.stderr = Output::File(bed.dir.path().join("err.log"));
    let child = bed.start(&spec);
    say(&child.stdout, "o1\no2\n");
    say(&child.stderr, "e1\ne2\n");
    until("read", || (bed.sink(Stream::Stderr, Sink::File).written == 2).then_some(()));
    until("read", || (bed.sink(Stream::Stdout, Sink::File).written == 2).then_some(()));
    let mut asked = ReadRequest { output: spec.clone(), ..request(1, true) };
    let mut reader = bed.pipe.read(asked.clone()).unwrap();
    runtime().block_on(async {
        // Which of them was read from its pipe first is not known.
        let mut last: Vec<String> = follow(&mut reader, 2).await.lines().map(str::to_owned).collect();
        last.sort();
        assert_eq!(last, ["e2", "o2"]);
        say(&child.stderr, "e3\n");
        assert_eq!(follow(&mut reader, 1).await, "e3\n");
        say(&child.stdout, "o3\n");
        assert_eq!(follow(&mut reader, 1).await, "o3\n");
    });
    let filter = Filter { stream: Some(Stream::Stderr), ..Filter::default() };
    asked = ReadRequest { follow: false, filter, lines: 2, ..asked };
    let chunks = all(&mut bed.pipe.read(asked).unwrap());
    assert_eq!(joined(&chunks), "e2\ne3\n");
    assert_eq!(chunks[0].stream, Some(Stream::Stderr));
}
