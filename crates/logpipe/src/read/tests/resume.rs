//! Going on where another reader stood, whatever happened to the files meanwhile.

use model::{RunNumber, Stream};
use proptest::prelude::*;

use super::files::Files;
use crate::read::{Cursor, Filter, Pattern, ReadRequest};

#[derive(Clone, Debug)]
enum Step {
    /// Lines of this run and stream, this wide.
    Write {
        lines: usize,
        run: u64,
        stream: Stream,
        width: usize,
    },
    Rotate,
    Compress(prop::sample::Index),
    Prune,
    /// The daemon starts anew, and so does the reader.
    Restart,
    /// The reader takes this many batches.
    Read(usize),
    /// The connection breaks behind this line of the last batch.
    Break(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let stream = prop::sample::select(&Stream::ALL[..]);
    let width = prop_oneof![4 => Just(0usize), 1 => Just(30_000)];
    prop_oneof![
        6 => (1usize..6, 1u64..3, stream, width)
            .prop_map(|(lines, run, stream, width)| Step::Write { lines, run, stream, width }),
        4 => Just(Step::Rotate),
        3 => any::<prop::sample::Index>().prop_map(Step::Compress),
        1 => Just(Step::Prune),
        1 => Just(Step::Restart),
        4 => (1usize..4).prop_map(Step::Read),
        3 => any::<prop::sample::Index>().prop_map(Step::Break),
    ]
}

/// What the reader of the property wants: everything, or a part of it.
fn filters() -> [Filter; 4] {
    [
        Filter::default(),
        Filter { stream: Some(Stream::Stderr), ..Filter::default() },
        Filter { run: Some(RunNumber(2)), ..Filter::default() },
        Filter { grep: Some(Pattern::new("^[0-9]*[05] ").unwrap()), ..Filter::default() },
    ]
}

/// A reader that loses its connection, and what it has seen.
struct Client {
    request: ReadRequest,
    /// Numbers of lines, and whether something is missing before each.
    seen: Vec<(u64, bool)>,
    missed: bool,
    /// Of the last batch: how many lines had been seen after each of its lines, and the position there.
    last: Vec<(usize, Cursor)>,
}

impl Client {
    fn read(&mut self, reading: &mut super::files::Reading, batches: usize) {
        for _ in 0..batches {
            let Some(batch) = reading.next() else { return };
            self.missed |= batch.missed;
            if !batch.chunks.is_empty() {
                self.last.clear();
            }
            for chunk in &batch.chunks {
                let line = std::str::from_utf8(&chunk.bytes).unwrap();
                assert_eq!(line.matches('\n').count(), 1, "one line a chunk");
                let number = line.split(' ').next().unwrap().parse().unwrap();
                self.seen.push((number, std::mem::take(&mut self.missed)));
                self.last.push((self.seen.len(), chunk.position.clone().unwrap()));
            }
            self.request.after = Some(batch.position.to_string().parse().unwrap());
        }
    }

    /// Forgets what came after one line of the last batch.
    fn break_off(&mut self, index: &prop::sample::Index) {
        if !self.last.is_empty() {
            let (seen, position) = self.last.swap_remove(index.index(self.last.len()));
            self.seen.truncate(seen);
            self.request.after = Some(position);
            self.last.clear();
        }
    }
}

fn play(steps: &[Step], filter: &Filter, indexed: bool) -> Result<(), TestCaseError> {
    let mut files = Files::new();
    files.indexed = indexed;
    // A reader that was there before the first file can't know of those that came and went before its next look.
    files.line(1, Stream::Stdout, "0 ");
    let passes = |filter: &Filter| filter.stream.is_none() && filter.run.is_none();
    let mut written: Vec<(u64, bool)> = vec![(0, passes(filter))];
    let mut pruned = false;
    let request = ReadRequest { follow: true, single: true, filter: filter.clone(), ..files.request() };
    let mut client = Client { request, seen: Vec::new(), missed: false, last: Vec::new() };
    let mut reading = files.read(client.request.clone());
    client.read(&mut reading, 1);
    for step in steps {
        match step {
            Step::Write { lines, run, stream, width } => {
                for _ in 0..*lines {
                    let number = written.len() as u64;
                    let line = format!("{number} {}", "x".repeat(*width));
                    let wanted = filter.stream.is_none_or(|s| s == *stream)
                        && filter.run.is_none_or(|r| r.0 == *run)
                        && filter.grep.as_ref().is_none_or(|_| number.is_multiple_of(5));
                    written.push((number, wanted));
                    files.line(*run, *stream, &line);
                }
            }
            Step::Rotate => files.rotate(),
            Step::Compress(which) => {
                let archives = files.archives();
                if !archives.is_empty() {
                    files.compress(&archives[which.index(archives.len())]);
                }
            }
            Step::Prune => pruned |= files.prune(),
            Step::Restart => {
                files.restart();
                reading = files.read(client.request.clone());
            }
            Step::Read(batches) => client.read(&mut reading, *batches),
            Step::Break(which) => {
                client.break_off(which);
                reading = files.read(client.request.clone());
            }
        }
    }
    // What is missing at the end is told with the next line, which all filters want.
    let end = (written.len() as u64).next_multiple_of(5);
    files.line(2, Stream::Stderr, &format!("{end} "));
    written.push((end, true));
    client.read(&mut reading, usize::MAX);
    let all = || written.iter().filter(|(_, wanted)| *wanted).map(|(number, _)| *number).peekable();
    let mut expected = all();
    for (number, missed) in &client.seen {
        if *missed {
            prop_assert!(pruned || !indexed, "nothing was deleted before {number}");
            if !indexed {
                // A compressed file is not known again: it comes once more.
                expected = all();
            }
            while expected.next_if(|next| next < number).is_some() {}
        }
        prop_assert_eq!(expected.next(), Some(*number), "gap or repeat in {:?}", client.seen);
    }
    prop_assert_eq!(expected.next(), None, "the end is missing: {:?}", client.seen);
    Ok(())
}

proptest! {
    #[test]
    fn every_line_comes_once_or_its_loss_is_told(
        steps in prop::collection::vec(step(), 1..60),
        filter in prop::sample::select(filters().to_vec()),
    ) {
        play(&steps, &filter, true)?;
    }

    #[test]
    fn the_same_without_an_index_when_nothing_is_asked_of_it(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        play(&steps, &Filter::default(), false)?;
    }
}

/// Found by the property above: the reader had gone on to the file behind the gap, and its position was there already.
#[test]
fn a_gap_that_nobody_was_told_of_is_found_again() {
    let write = |stream| Step::Write { lines: 1, run: 1, stream, width: 0 };
    let steps = [
        write(Stream::Stderr),
        Step::Rotate,
        Step::Prune,
        write(Stream::Stderr),
        Step::Rotate,
        Step::Prune,
        write(Stream::Stdout),
        Step::Read(1),
        Step::Restart,
        write(Stream::Stdout),
        write(Stream::Stdout),
    ];
    play(&steps, &Filter::default(), true).unwrap();
}

#[test]
fn a_position_outlives_rotation_and_compression() {
    let mut files = Files::new();
    for line in ["a", "b", "c"] {
        files.line(1, Stream::Stdout, line);
    }
    let first = files.all(ReadRequest { lines: 2, ..files.request() });
    assert_eq!(first.text, "b\nc\n");
    files.line(1, Stream::Stdout, "d");
    files.rotate();
    files.line(1, Stream::Stdout, "e");
    files.rotate();
    files.compress(&files.archives()[0]);
    files.restart();
    files.line(1, Stream::Stdout, "f");
    let next = files.all(ReadRequest { after: first.position, ..files.request() });
    assert_eq!((next.text.as_str(), next.missed), ("d\ne\nf\n", false));
    let none = files.all(ReadRequest { after: next.position, ..files.request() });
    assert_eq!((none.text.as_str(), none.missed), ("", false));
}

#[test]
fn a_position_in_a_deleted_file_starts_at_the_oldest_and_says_so() {
    let mut files = Files::new();
    files.line(1, Stream::Stdout, "a");
    let first = files.all(files.request());
    files.rotate();
    files.line(1, Stream::Stdout, "b");
    files.rotate();
    files.line(1, Stream::Stdout, "c");
    assert!(files.prune());
    // The inode of the deleted file may be that of a newer one.
    let next = files.all(ReadRequest { after: first.position, ..files.request() });
    assert_eq!((next.text.as_str(), next.missed), ("b\nc\n", true));
}

#[test]
fn a_position_before_the_first_file_has_everything_after_it() {
    let mut files = Files::new();
    let nothing = files.all(ReadRequest { lines: 0, ..files.request() });
    assert_eq!(nothing.position.as_ref().map(ToString::to_string).as_deref(), Some("1:-"));
    files.line(1, Stream::Stdout, "a");
    files.rotate();
    files.line(1, Stream::Stdout, "b");
    let next = files.all(ReadRequest { after: nothing.position, ..files.request() });
    assert_eq!((next.text.as_str(), next.missed), ("a\nb\n", false));
}
