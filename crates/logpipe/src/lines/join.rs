//! Lines that belong together: which they are, and the ones that wait for more.

use std::rc::Rc;
use std::time::Duration;

use model::Wall;

use super::{Patterns, Settings};
use crate::store::Lines;

/// An entry has no more lines than this.
const LINES_MAX: u64 = 512;
/// Silence of a stream after which nothing more is waited for.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);

/// How a line is told that belongs to the one before it.
#[derive(Debug)]
pub(crate) enum Join {
    /// It starts with a blank or a tab.
    Indent,
    /// It doesn't match.
    Start(Rc<Patterns>),
}

impl Join {
    fn continues(&self, line: &[u8]) -> bool {
        match self {
            Self::Indent => line.starts_with(b" ") || line.starts_with(b"\t"),
            Self::Start(first) => !first.iter().any(|p| p.is_match(line)),
        }
    }
}

/// Lines of one stream that wait for the end of their entry: at most [`LINES_MAX`], and `max_line` bytes unless it is
/// a single one. What would be beyond begins an entry of its own.
#[derive(Debug)]
pub(crate) struct Held {
    /// Those in force when its first line came; it ends when they change.
    pub(crate) settings: Rc<Settings>,
    pub(crate) at: Wall,
    pub(crate) text: Vec<u8>,
    pub(crate) lines: Lines,
}

impl Held {
    /// The first line.
    pub(crate) fn new(settings: Rc<Settings>, at: Wall, line: &[u8], mark: &str) -> Self {
        let mut held = Self { settings, at, text: Vec::new(), lines: Lines::default() };
        held.append(line, mark);
        held
    }

    /// Takes a further line; `false` = it begins a new entry.
    pub(crate) fn push(&mut self, settings: &Rc<Settings>, join: &Join, line: &[u8], mark: &str) -> bool {
        let fits = self.lines.all() < LINES_MAX
            && self.text.len() + 1 + line.len() + mark.len() <= settings.max_line()
            && Rc::ptr_eq(&self.settings, settings)
            && join.continues(line);
        if fits {
            self.text.push(b'\n');
            self.append(line, mark);
        }
        fits
    }

    fn append(&mut self, line: &[u8], mark: &str) {
        self.text.extend_from_slice(line);
        self.text.extend_from_slice(mark.as_bytes());
        self.lines.add(Lines::one(mark));
    }
}

#[cfg(test)]
mod tests {
    use model::{LogSpec, Multiline};
    use proptest::prelude::*;

    use super::*;
    use crate::lines::Compiler;

    fn settings(multiline: Multiline, max_line: u32) -> Rc<Settings> {
        Compiler::default().compile(&LogSpec { multiline, max_line, ..LogSpec::default() })
    }

    fn joined(settings: &Rc<Settings>, lines: &[&str]) -> Vec<String> {
        let join = settings.join.as_ref().unwrap();
        let mut all: Vec<Held> = Vec::new();
        for line in lines {
            let taken = all.last_mut().is_some_and(|h| h.push(settings, join, line.as_bytes(), ""));
            if !taken {
                all.push(Held::new(Rc::clone(settings), Wall(0), line.as_bytes(), ""));
            }
        }
        all.into_iter().map(|h| String::from_utf8(h.text).unwrap()).collect()
    }

    #[test]
    fn indented_lines_belong_to_the_one_before() {
        let settings = settings(Multiline::Indent, 100);
        let got = joined(&settings, &["  lost", "Error: x", "\tat a", "  at b", "next", "", " y"]);
        assert_eq!(got, ["  lost", "Error: x\n\tat a\n  at b", "next", "\n y"]);
    }

    #[test]
    fn a_first_line_matches() {
        let settings = settings(Multiline::Start("^[0-9]{4}-".into()), 100);
        let got = joined(&settings, &["x", "2026-11 a", "b", "", " c", "2026-12 d"]);
        assert_eq!(got, ["x", "2026-11 a\nb\n\n c", "2026-12 d"]);
    }

    #[test]
    fn entries_are_bounded() {
        let settings = settings(Multiline::Indent, 8);
        assert_eq!(joined(&settings, &["abc", " def", " g"]), ["abc\n def", " g"]);
        let many = vec![" "; 1200];
        let big = self::settings(Multiline::Indent, 1 << 20);
        let sizes: Vec<usize> = joined(&big, &many).iter().map(|e| e.lines().count()).collect();
        assert_eq!(sizes, [512, 512, 176]);
    }

    #[test]
    fn a_change_of_settings_ends_an_entry() {
        let settings = [(); 2].map(|()| settings(Multiline::Indent, 100));
        let mut held = Held::new(Rc::clone(&settings[0]), Wall(0), b"a", "");
        let join = settings[0].join.as_ref().unwrap();
        assert!(!held.push(&settings[1], join, b" b", "") && held.push(&settings[0], join, b" b", " [cut]"));
        assert_eq!((held.text, held.lines.whole, held.lines.cut), (b"a\n b [cut]".to_vec(), 1, 1));
    }

    proptest! {
        #[test]
        fn no_line_is_lost_or_moved(lines in prop::collection::vec("[ a]{0,6}", 0..40), max_line in 1u32..30) {
            let settings = settings(Multiline::Indent, max_line);
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let got = joined(&settings, &lines);
            prop_assert_eq!(got.iter().flat_map(|e| e.split('\n')).collect::<Vec<_>>(), lines);
            prop_assert!(got.iter().all(|e| !e.contains('\n') || e.len() <= max_line as usize));
        }
    }
}
