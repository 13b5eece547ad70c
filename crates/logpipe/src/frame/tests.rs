//! Any chunking of any bytes gives the same lines.

use proptest::prelude::*;

use super::*;

/// What a stream looks like to a sink: each line's bytes and how many were cut.
fn expected(bytes: &[u8], max_line: usize) -> Vec<(Vec<u8>, u64)> {
    let mut all: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    if all.last().is_some_and(|l| l.is_empty()) {
        all.pop();
    }
    all.iter()
        .map(|l| {
            let kept = l.len().min(max_line);
            (l[..kept].to_vec(), u64::try_from(l.len() - kept).unwrap())
        })
        .collect()
}

fn framed(chunks: &[Vec<u8>], max_line: usize) -> Vec<(Vec<u8>, u64)> {
    let mut framer = Framer::default();
    let mut seen = Vec::new();
    for chunk in chunks {
        let mut data = framer.carry().to_vec();
        data.extend_from_slice(chunk);
        framer.feed(&data, max_line, |piece| collect(piece, max_line, &mut seen));
        assert!(framer.carry().len() <= max_line);
    }
    framer.finish(|piece| collect(piece, max_line, &mut seen));
    assert!(framer.carry().is_empty());
    seen
}

fn collect(piece: Piece<'_>, max_line: usize, seen: &mut Vec<(Vec<u8>, u64)>) {
    match piece {
        Piece::Whole { bytes, lines: n } => {
            assert_eq!(bytes.last(), Some(&b'\n'));
            let before = seen.len();
            seen.extend(lines(bytes).map(|l| (l.to_vec(), 0)));
            assert_eq!(u64::try_from(seen.len() - before).unwrap(), n);
        }
        Piece::Single { head, cut } => {
            assert!(head.len() <= max_line);
            seen.push((head.to_vec(), cut));
        }
    }
}

/// Mostly short lines, with NUL, invalid UTF-8 and newlines well represented.
fn chunk() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![3 => Just(b'\n'), 8 => Just(b'a'), 1 => Just(0u8), 1 => Just(0xff), 2 => any::<u8>()];
    prop::collection::vec(byte, 0..40)
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_lines(chunks in prop::collection::vec(chunk(), 0..12), max_line in 1usize..24) {
        let whole: Vec<u8> = chunks.concat();
        prop_assert_eq!(framed(&chunks, max_line), expected(&whole, max_line));
        prop_assert_eq!(framed(std::slice::from_ref(&whole), max_line), expected(&whole, max_line));
        let bytewise: Vec<Vec<u8>> = whole.iter().map(|b| vec![*b]).collect();
        prop_assert_eq!(framed(&bytewise, max_line), expected(&whole, max_line));
    }
}

#[test]
fn a_chunk_of_short_lines_is_one_run() {
    let mut framer = Framer::default();
    let mut pieces = 0;
    framer.feed(b"one\ntwo\nthree\nfo", 5, |piece| {
        pieces += 1;
        assert_eq!(piece, Piece::Whole { bytes: b"one\ntwo\nthree\n", lines: 3 });
    });
    assert_eq!((pieces, framer.carry()), (1, &b"fo"[..]));
}

#[test]
fn a_line_of_exactly_the_limit_is_whole_and_one_more_byte_is_cut() {
    assert_eq!(framed(&[b"abc\n".to_vec()], 3), vec![(b"abc".to_vec(), 0)]);
    assert_eq!(framed(&[b"abcd\n".to_vec()], 3), vec![(b"abc".to_vec(), 1)]);
}

#[test]
fn a_smaller_limit_applies_to_the_line_in_progress() {
    let mut framer = Framer::default();
    framer.feed(b"abcdef", 10, |_| unreachable!("no line has ended"));
    let mut seen = Vec::new();
    framer.feed(b"abcdefg\nx\n", 4, |piece| collect(piece, 4, &mut seen));
    assert_eq!(seen, vec![(b"abcd".to_vec(), 3), (b"x".to_vec(), 0)]);
}
