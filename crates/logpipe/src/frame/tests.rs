//! Any chunking of any bytes gives the same lines.

use proptest::prelude::*;

use super::*;
use crate::properties::{framed, framing};

/// Mostly short lines, with NUL, invalid UTF-8 and newlines well represented.
fn chunk() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![3 => Just(b'\n'), 8 => Just(b'a'), 1 => Just(0u8), 1 => Just(0xff), 2 => any::<u8>()];
    prop::collection::vec(byte, 0..40)
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_lines(chunks in prop::collection::vec(chunk(), 0..12), max_line in 1usize..24) {
        framing(&chunks, max_line);
        let bytewise: Vec<Vec<u8>> = chunks.concat().iter().map(|b| vec![*b]).collect();
        framing(&bytewise, max_line);
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
    for (end, limit, expected) in
        [("g\nx\n", 4, (&b"abcd"[..], 3)), ("g", 4, (b"abcd", 3)), ("\n", 6, (b"abcdef", 0))]
    {
        let mut framer = Framer::default();
        framer.feed(b"abcdef", 10, |_| unreachable!("no line has ended"));
        let mut seen = Vec::new();
        let data = ["abcdef", end].concat();
        framer.feed(data.as_bytes(), limit, |piece| match piece {
            Piece::Single { head, cut } => seen.push((head.to_vec(), cut)),
            Piece::Whole { bytes, .. } => seen.extend(lines(bytes).map(|l| (l.to_vec(), 0))),
        });
        framer.finish(|piece| match piece {
            Piece::Single { head, cut } => seen.push((head.to_vec(), cut)),
            Piece::Whole { .. } => unreachable!(),
        });
        assert_eq!(seen[0], (expected.0.to_vec(), expected.1), "{end:?}");
    }
}
