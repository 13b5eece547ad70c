//! Filters, and the last lines that pass them, from plain and compressed files with and without an index.

use std::fs;

use model::{RunNumber, Stream, Wall};
use proptest::prelude::*;

use super::files::{Files, START, STEP};
use crate::read::{Filter, Pattern, ReadRequest};
use crate::testing::web;

/// The time of the `n`th line.
fn at(n: u64) -> Wall {
    Wall(START.0 + n * STEP)
}

/// Run, stream and text of the `n`th of twelve lines.
fn nth(n: u64) -> (u64, Stream, String) {
    let run = if n <= 6 { 1 } else { 2 };
    let stream = if n.is_multiple_of(2) { Stream::Stderr } else { Stream::Stdout };
    (run, stream, format!("{n} {run} {}", stream.as_str()))
}

/// Twelve lines in four files: `<n> <run> <stream>`, run 1 until line 6; the oldest two files are compressed.
fn dozen(indexed: bool) -> Files {
    let mut files = Files::new();
    files.indexed = indexed;
    for n in 1..=12 {
        let (run, stream, line) = nth(n);
        files.line(run, stream, &line);
        if n % 3 == 0 && n < 12 {
            files.rotate();
        }
    }
    for archive in &files.archives()[..2] {
        files.compress(archive);
    }
    files
}

fn numbers(text: &str) -> Vec<u64> {
    text.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
}

fn filter() -> impl Strategy<Value = Filter> {
    let stream = prop::option::of(prop::sample::select(&Stream::ALL[..]));
    let run = prop::option::of((1u64..4).prop_map(RunNumber));
    let moment = || prop::option::of((0u64..14).prop_map(at));
    let grep = prop::option::of(prop::sample::select(vec!["^1", "[369] ", "err", "x"]));
    (stream, run, moment(), moment(), grep).prop_map(|(stream, run, since, until, grep)| Filter {
        stream,
        run,
        since,
        until,
        grep: grep.map(|text| Pattern::new(text).unwrap()),
    })
}

proptest! {
    #[test]
    fn the_last_lines_that_pass_are_those_that_pass(
        filter in filter(),
        lines in prop_oneof![Just(usize::MAX), 0usize..14],
        follow: bool,
        single: bool,
    ) {
        let files = dozen(true);
        let wanted = |n: &u64| {
            let (run, stream, line) = nth(*n);
            filter.stream.is_none_or(|wanted| wanted == stream)
                && filter.run.is_none_or(|wanted| wanted.0 == run)
                && filter.since.is_none_or(|since| at(*n) >= since)
                && filter.until.is_none_or(|until| at(*n) <= until)
                && filter.grep.as_ref().is_none_or(|pattern| pattern.fits(line.as_bytes()))
        };
        let all: Vec<u64> = (1..=12).filter(wanted).collect();
        let expected = &all[all.len().saturating_sub(lines)..];
        let past = files.all(ReadRequest { lines, follow, single, filter, ..files.request() });
        prop_assert_eq!(numbers(&past.text), expected);
        prop_assert!(!past.missed && !past.left_out);
        for (n, facts) in expected.iter().zip(&past.facts) {
            prop_assert_eq!(facts.2, Some(at(*n)));
        }
    }
}

#[test]
fn what_the_index_says_is_told_with_the_lines() {
    let files = dozen(true);
    let past = files.all(ReadRequest { lines: 2, ..files.request() });
    let expected =
        [(Some(Stream::Stdout), Some(2), Some(at(11))), (Some(Stream::Stderr), Some(2), Some(at(12)))];
    assert_eq!(past.facts, expected);
}

#[test]
fn lines_without_an_index_are_shown_unless_a_filter_asks_for_it() {
    let files = dozen(false);
    let past = files.all(files.request());
    assert_eq!(numbers(&past.text), (1..=12).collect::<Vec<_>>());
    assert!(!past.left_out && past.facts.iter().all(|facts| *facts == (None, None, None)));
    let grep = Some(Pattern::new("err").unwrap());
    let past =
        files.all(ReadRequest { lines: 2, filter: Filter { grep, ..Filter::default() }, ..files.request() });
    assert_eq!((numbers(&past.text), past.left_out), (vec![10, 12], false));
    for filter in [
        Filter { run: Some(RunNumber(1)), ..Filter::default() },
        Filter { stream: Some(Stream::Stdout), ..Filter::default() },
        Filter { until: Some(Wall(u64::MAX)), ..Filter::default() },
    ] {
        let past = files.all(ReadRequest { filter, ..files.request() });
        assert_eq!((past.text.as_str(), past.left_out), ("", true));
    }
    // Files that nobody has touched since then have nothing to be left out.
    let since = Filter { since: Some(Wall(u64::MAX)), ..Filter::default() };
    let past = files.all(ReadRequest { filter: since, ..files.request() });
    assert_eq!((past.text.as_str(), past.left_out), ("", false));
}

#[test]
fn a_file_that_has_one_stream_needs_no_index_to_tell() {
    let files = dozen(false);
    let mut request = files.request();
    request.output.stderr = model::Output::Null;
    request.filter.stream = Some(Stream::Stdout);
    let past = files.all(ReadRequest { lines: 1, ..request });
    assert_eq!(
        (past.text.as_str(), past.facts[0].0, past.left_out),
        ("12 2 stderr\n", Some(Stream::Stdout), false)
    );
}

#[test]
fn files_that_the_index_excludes_are_not_read() {
    let files = dozen(true);
    for archive in &files.archives()[..3] {
        fs::write(archive, "1234567890 what was here is gone\n").unwrap();
    }
    let since = Filter { since: Some(at(10)), ..Filter::default() };
    for lines in [usize::MAX, 7] {
        let past = files.all(ReadRequest { lines, filter: since.clone(), ..files.request() });
        assert_eq!((numbers(&past.text), past.missed), (vec![10, 11, 12], false));
    }
}

#[test]
fn a_damaged_archive_is_told_and_the_others_are_read() {
    let files = dozen(true);
    let archives = files.archives();
    let bytes = fs::read(&archives[1]).unwrap();
    fs::write(&archives[1], &bytes[..bytes.len() - 12]).unwrap();
    let past = files.all(files.request());
    assert!(past.missed);
    assert!(numbers(&past.text).ends_with(&[7, 8, 9, 10, 11, 12]), "{}", past.text);
    assert!(past.text.starts_with("1 1 stdout\n"));
}

#[test]
fn a_long_line_comes_whole_out_of_a_compressed_file() {
    let mut files = Files::new();
    let long: String =
        (0..300_000u32).map(|i| char::from(b'a' + u8::try_from(i.wrapping_mul(i) % 26).unwrap())).collect();
    for text in ["first", &long, "last"] {
        files.line(1, Stream::Stdout, text);
    }
    files.rotate();
    files.compress(&files.archives()[0]);
    let all = files.all(files.request());
    assert!(all.text == format!("first\n{long}\nlast\n"));
    let two = files.all(ReadRequest { lines: 2, ..files.request() });
    assert!(two.text == format!("{long}\nlast\n"));
}

#[test]
fn two_files_are_merged_by_time() {
    let mut out = Files::new();
    let mut err = Files::new();
    for n in 1..=6 {
        let (one, other) = if n % 2 == 0 { (&mut err, &mut out) } else { (&mut out, &mut err) };
        one.line(1, Stream::Stdout, &n.to_string());
        other.now = one.now;
    }
    let mut request = out.request();
    request.output.stderr = model::Output::File(err.dir.path().join(format!("{}.log", web().name)));
    let past = out.all(request);
    assert_eq!(past.text, "1\n2\n3\n4\n5\n6\n");
}
