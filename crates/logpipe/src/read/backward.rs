//! Where the last lines of a file begin, found from its end in blocks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes read at once.
const BLOCK: usize = 64 << 10;

/// Offset of the start of the last `lines` lines before `end`, and how many there are (fewer when the file has fewer).
/// A last line without its newline is a line.
pub(crate) fn start_of_last(file: &File, end: u64, lines: usize) -> io::Result<(u64, usize)> {
    if lines == 0 || end == 0 {
        return Ok((end, 0));
    }
    let mut block = vec![0; BLOCK];
    let mut at = end;
    let mut found = 0;
    while at > 0 {
        let size = usize::try_from(at).unwrap_or(BLOCK).min(BLOCK);
        let from = at - u64::try_from(size).unwrap_or_default();
        file.read_exact_at(&mut block[..size], from)?;
        for i in memchr::memrchr_iter(b'\n', &block[..size]) {
            let after = from + u64::try_from(i).unwrap_or_default() + 1;
            // The newline that ends the last line begins none.
            if after == end {
                continue;
            }
            found += 1;
            if found == lines {
                return Ok((after, lines));
            }
        }
        at = from;
    }
    Ok((0, found + 1))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_lines_are_the_last_lines(
            lines in prop::collection::vec(prop_oneof![9 => 0usize..200, 1 => 60_000usize..70_000], 0..30),
            partial in 0usize..3,
            wanted in 0usize..40,
        ) {
            let mut text: String = lines.iter().map(|n| "x".repeat(*n) + "\n").collect();
            text.push_str(&"p".repeat(partial));
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let all: Vec<&str> = text.split_inclusive('\n').collect();
            let kept = &all[all.len().saturating_sub(wanted)..];
            let (start, found) = start_of_last(&file, text.len() as u64, wanted).unwrap();
            prop_assert_eq!(found, kept.len());
            prop_assert_eq!(&text[usize::try_from(start).unwrap()..], kept.concat());
        }
    }
}
