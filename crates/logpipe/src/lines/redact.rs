//! Secrets out of lines, before any sink gets them.

use std::borrow::Cow;
use std::ops::Range;

use regex::bytes::Regex;

use crate::frame;

/// Stands where something was.
pub(crate) const REDACTED: &[u8] = b"[redacted]";
/// How far back from where a line was cut its last word may begin.
const LAST_WORD: usize = 4 << 10;

/// All lines of a run (each with its newline) without what matches. Borrowed when nothing does.
pub(crate) fn run<'a>(patterns: &[Regex], run: &'a [u8]) -> Cow<'a, [u8]> {
    let mut out = Vec::new();
    let (mut start, mut copied) = (0, 0);
    for line in frame::lines(run) {
        for secret in secrets(patterns, line) {
            out.extend_from_slice(&run[copied..start + secret.start]);
            out.extend_from_slice(REDACTED);
            copied = start + secret.end;
        }
        start += line.len() + 1;
    }
    if copied == 0 {
        return Cow::Borrowed(run);
    }
    out.extend_from_slice(&run[copied..]);
    Cow::Owned(out)
}

/// One line without what matches.
pub(crate) fn line<'a>(patterns: &[Regex], line: &'a [u8]) -> Cow<'a, [u8]> {
    let secrets = secrets(patterns, line);
    if secrets.is_empty() {
        return Cow::Borrowed(line);
    }
    let mut out = Vec::new();
    let mut copied = 0;
    for secret in secrets {
        out.extend_from_slice(&line[copied..secret.start]);
        out.extend_from_slice(REDACTED);
        copied = secret.end;
    }
    out.extend_from_slice(&line[copied..]);
    Cow::Owned(out)
}

/// What any pattern matches, in order and disjoint. Every pattern sees the line as it was printed, so that their order
/// means nothing and none hides a secret from another.
fn secrets(patterns: &[Regex], line: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for pattern in patterns {
        found.extend(pattern.find_iter(line).map(|m| m.range()).filter(|r| !r.is_empty()));
    }
    found.sort_unstable_by_key(|r| r.start);
    found.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        if overlaps {
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
    found
}

/// The head of a line that was cut, without its last word: half of a secret matches no pattern.
pub(crate) fn without_last_word(head: &[u8]) -> &[u8] {
    let from = head.len().saturating_sub(LAST_WORD);
    let blank = head[from..].iter().rposition(u8::is_ascii_whitespace);
    &head[..from + blank.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(all: &[&str]) -> Vec<Regex> {
        all.iter().map(|p| Regex::new(p).unwrap()).collect()
    }

    fn clean(all: &[&str], text: &str) -> String {
        String::from_utf8(line(&patterns(all), text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn matches_are_replaced_and_nothing_else() {
        assert_eq!(clean(&["tok-[0-9]+"], "a tok-1 b tok-22"), "a [redacted] b [redacted]");
        assert_eq!(clean(&["x*"], "aaa"), "aaa", "an empty match is none");
        let bytes = b"\xff key=1 \0";
        assert_eq!(*line(&patterns(&["key=."]), bytes), *b"\xff [redacted] \0");
        assert!(matches!(line(&patterns(&["nope"]), bytes), Cow::Borrowed(_)));
    }

    #[test]
    fn patterns_do_not_hide_secrets_from_each_other() {
        for order in [["ab c", "c=[0-9]+"], ["c=[0-9]+", "ab c"]] {
            assert_eq!(clean(&order, "ab c=123."), "[redacted].");
        }
        assert_eq!(clean(&["aa", "redacted"], "aa bb"), "[redacted] bb");
    }

    #[test]
    fn each_line_is_looked_at_by_itself() {
        let all = patterns(&[r"^a\s*b", "c$"]);
        assert!(matches!(run(&all, b"a\nb\nxcx\n"), Cow::Borrowed(_)));
        assert_eq!(*run(&all, b"a b\nxc\n\nab"), *b"[redacted]\nx[redacted]\n\nab");
    }

    #[test]
    fn a_cut_line_loses_its_last_word_up_to_4_kib() {
        assert_eq!(without_last_word(b"user=a password=hun"), b"user=a");
        assert_eq!(without_last_word(b"tok"), b"");
        let long = [b"a ".as_slice(), &[b'x'; 5000]].concat();
        assert_eq!(without_last_word(&long), &long[..5002 - 4096]);
    }

    proptest! {
        #[test]
        fn a_run_is_its_lines(
            lines in prop::collection::vec("[a-c ]{0,12}", 1..8),
            all in prop::sample::subsequence(vec!["ab+", "b c", "a.b", "^ ", "c$", "c*"], 0..6),
        ) {
            let all = patterns(&all);
            let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
            let expected: Vec<u8> =
                lines.iter().flat_map(|l| [&*line(&all, l.as_bytes()), b"\n"].concat()).collect();
            prop_assert_eq!(&*run(&all, text.as_bytes()), &expected[..]);
        }

        #[test]
        fn nothing_that_matches_is_left(text in "[a-c]{0,20}") {
            let all = patterns(&["ab", "bc"]);
            let clean = line(&all, text.as_bytes()).into_owned();
            let clean = String::from_utf8(clean).unwrap();
            prop_assert!(clean.split("[redacted]").all(|rest| !rest.contains("ab") && !rest.contains("bc")));
        }
    }
}
