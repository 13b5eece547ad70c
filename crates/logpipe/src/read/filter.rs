//! Which lines a reader wants.

use model::{RunNumber, Stream, Wall};
use regex::bytes::{Regex, RegexBuilder};

/// Bytes of a pattern's text.
const PATTERN_MAX: usize = 4 << 10;
/// Bytes of a compiled pattern; `\w{1000}` and its like are refused instead of eating the daemon's memory.
const COMPILED_MAX: usize = 1 << 20;

/// A regular expression that a line has to match somewhere.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles it. The error says what is wrong, and where.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > PATTERN_MAX {
            return Err(format!("it has {} bytes; at most {PATTERN_MAX} are accepted", text.len()));
        }
        let compiled = RegexBuilder::new(text).size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX).build();
        compiled.map(Self).map_err(|e| e.to_string())
    }

    pub(crate) fn fits(&self, line: &[u8]) -> bool {
        self.0.is_match(line.strip_suffix(b"\n").unwrap_or(line))
    }
}

/// What a line has to be. The default lets everything pass.
///
/// Time, stream and run are read from the index beside a file. A line of which one of them is not known is left out
/// when the filter asks for it, and the reader is told so ([`Batch::left_out`](super::Batch::left_out)).
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this stream.
    pub stream: Option<Stream>,
    /// Printed by this run.
    pub run: Option<RunNumber>,
    /// Not before this moment.
    pub since: Option<Wall>,
    /// Not after this moment.
    pub until: Option<Wall>,
    /// Matching this.
    pub grep: Option<Pattern>,
}

/// What is known of a stretch of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) stream: Option<Stream>,
    pub(crate) run: Option<RunNumber>,
    pub(crate) at: Option<Wall>,
}

/// Whether a stretch passes, apart from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wanted,
    Unwanted,
    /// What the filter asks for is not known of it.
    Unknown,
}

impl Filter {
    /// Whether it asks for more than the text.
    pub(crate) fn asks_facts(&self) -> bool {
        self.stream.is_some() || self.run.is_some() || self.since.is_some() || self.until.is_some()
    }

    pub(crate) fn passes_all(&self) -> bool {
        !self.asks_facts() && self.grep.is_none()
    }

    pub(crate) fn judge(&self, facts: Facts) -> Verdict {
        let answers = [
            self.stream.map(|wanted| facts.stream.map(|is| is == wanted)),
            self.run.map(|wanted| facts.run.map(|is| is == wanted)),
            self.since.map(|since| facts.at.map(|at| at >= since)),
            self.until.map(|until| facts.at.map(|at| at <= until)),
        ];
        let mut asked = answers.into_iter().flatten();
        // What is known to be wrong is unwanted, whatever else is unknown.
        if asked.clone().any(|fits| fits == Some(false)) {
            Verdict::Unwanted
        } else if asked.any(|fits| fits.is_none()) {
            Verdict::Unknown
        } else {
            Verdict::Wanted
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_decides_and_what_is_unknown_is_told_apart() {
        let facts =
            Facts { stream: Some(Stream::Stdout), run: Some(RunNumber(3)), at: Some(Wall(5_000_000)) };
        let nothing = Facts::default();
        let judge = |filter: Filter| (filter.judge(facts), filter.judge(nothing));
        use Verdict::{Unknown, Unwanted, Wanted};
        assert_eq!(judge(Filter::default()), (Wanted, Wanted));
        assert_eq!(judge(Filter { stream: Some(Stream::Stdout), ..Filter::default() }), (Wanted, Unknown));
        assert_eq!(judge(Filter { stream: Some(Stream::Stderr), ..Filter::default() }), (Unwanted, Unknown));
        assert_eq!(judge(Filter { run: Some(RunNumber(3)), ..Filter::default() }), (Wanted, Unknown));
        assert_eq!(judge(Filter { run: Some(RunNumber(4)), ..Filter::default() }), (Unwanted, Unknown));
        for (since, until, verdict) in
            [(5_000_000, 5_000_000, Wanted), (5_000_001, u64::MAX, Unwanted), (0, 4_999_999, Unwanted)]
        {
            let filter = Filter { since: Some(Wall(since)), until: Some(Wall(until)), ..Filter::default() };
            assert_eq!(judge(filter), (verdict, Unknown), "{since} {until}");
        }
        // Known to be wrong beats unknown.
        let half = Facts { run: None, ..facts };
        let filter = Filter { stream: Some(Stream::Stderr), run: Some(RunNumber(1)), ..Filter::default() };
        assert_eq!(filter.judge(half), Unwanted);
    }

    #[test]
    fn patterns_match_lines_without_their_newline_and_know_their_bounds() {
        let end = Pattern::new("b$").unwrap();
        assert!(end.fits(b"ab\n") && end.fits(b"b") && !end.fits(b"ba\n"));
        assert!(Pattern::new("(?-u)\\xff").unwrap().fits(b"a\xffb\n"));
        assert!(Pattern::new("(").unwrap_err().contains("unclosed group"));
        assert!(Pattern::new("\\w{10000}").unwrap_err().contains("size limit"));
        assert!(Pattern::new(&"a".repeat(PATTERN_MAX + 1)).unwrap_err().contains("at most 4096"));
    }
}
