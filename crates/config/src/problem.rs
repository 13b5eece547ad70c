//! What is wrong with a file, where, and what to do about it: shown the way rustc shows its errors.

use std::fmt;
use std::path::{Path, PathBuf};

use model::ProcessName;

use crate::source::{Source, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The definition can't be used.
    Error,
    /// It is used, but it probably doesn't do what its author wants.
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// The place in it; `None` when the file as a whole is meant.
    pub place: Option<Place>,
    /// The path of keys, for example `processes.web.restart_sec`; may be empty.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
    /// The process that it is about; an error makes that process's definition unusable. `None` when it concerns no
    /// process or all of them.
    pub process: Option<ProcessName>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line, fit for a terminal: tabs are spaces, control characters are `�`, the values of secrets are
    /// stars, a long line is cut around the place.
    pub excerpt: String,
    /// Characters of `excerpt` before the place.
    caret: usize,
    /// Characters to underline.
    width: usize,
}

/// Longest excerpt in characters.
const EXCERPT: usize = 96;
/// Of a line that is cut, what stays visible before the place.
const BEFORE: usize = 40;
/// What a tab is shown as.
const TAB: &str = "    ";

impl Place {
    /// A place in a line whose secrets are stars already. Takes a time that grows with the excerpt and not with the
    /// line, since a line of megabytes may have a mistake in each of its words.
    pub(crate) fn new(masked: &[char], span: Span) -> Self {
        let start = span.column.saturating_sub(1).min(masked.len());
        let end = span.column.saturating_sub(1).saturating_add(span.width).min(masked.len());
        // What may be visible, and one more character on each side, by which one sees that there is more.
        let first = if masked.len() > EXCERPT { start.saturating_sub(BEFORE + 1) } else { 0 };
        let last = masked.len().min(first + BEFORE + EXCERPT + 2);
        let mut shown = Vec::new();
        let (mut caret, mut until) = (None, None);
        for (index, c) in masked.iter().enumerate().take(last).skip(first) {
            caret = caret.or((index == start).then_some(shown.len()));
            until = until.or((index == end).then_some(shown.len()));
            match c {
                '\t' => shown.extend(TAB.chars()),
                c => shown.push(visible(*c)),
            }
        }
        let caret = caret.unwrap_or(shown.len());
        let until = until.unwrap_or(shown.len()).max(caret + 1);
        let cut = shown.len() > EXCERPT || first > 0 || last < masked.len();
        let from = if cut { caret.saturating_sub(BEFORE) } else { 0 };
        let to = shown.len().min(from + EXCERPT);
        let mut excerpt: String = shown.get(from..to).unwrap_or_default().iter().collect();
        let mut offset = 0;
        if from > 0 || first > 0 {
            excerpt.insert_str(0, "...");
            offset = 3;
        }
        if to < shown.len() || last < masked.len() {
            excerpt.push_str("...");
        }
        Self {
            line: span.line,
            column: span.column,
            caret: caret - from + offset,
            width: until.min(to.max(caret + 1)) - caret,
            excerpt: excerpt.trim_end().to_owned(),
        }
    }
}

/// The character, or `U+FFFD` for what a terminal obeys and what reorders or hides text on it.
pub(crate) fn visible(c: char) -> char {
    let hides =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    if c.is_control() || hides { '\u{fffd}' } else { c }
}

/// Messages, hints and keys quote the file: here, so that no place that makes one can forget it.
fn plain(text: String) -> String {
    let keep = |c: char| if c == '\n' { c } else { visible(c) };
    if text.chars().all(|c| keep(c) == c) { text } else { text.chars().map(keep).collect() }
}

impl Problem {
    pub(crate) fn whole_file(path: &Path, message: impl Into<String>, hint: &str) -> Self {
        Self {
            severity: Severity::Error,
            file: path.to_owned(),
            place: None,
            key: String::new(),
            message: plain(message.into()),
            hint: (!hint.is_empty()).then(|| plain(hint.to_owned())),
            process: None,
        }
    }

    pub(crate) fn at(source: &Source, span: Span, message: impl Into<String>, hint: &str) -> Self {
        Self { place: source.place(span), ..Self::whole_file(&source.path, message, hint) }
    }

    pub(crate) fn key(self, key: impl Into<String>) -> Self {
        Self { key: plain(key.into()), ..self }
    }

    pub(crate) fn of(self, process: &ProcessName) -> Self {
        Self { process: Some(process.clone()), ..self }
    }

    pub(crate) fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.message)?;
        let file = self.file.display();
        let gutter = self.place.as_ref().map_or(1, |p| p.line.to_string().len());
        match &self.place {
            None => write!(f, "\n{:gutter$}--> {file}", "")?,
            Some(Place { line, column, excerpt, caret, width }) => {
                write!(f, "\n{:gutter$}--> {file}:{line}:{column}", "")?;
                write!(f, "\n{:gutter$} |", "")?;
                write!(f, "\n{line} |{}{excerpt}", if excerpt.is_empty() { "" } else { " " })?;
                write!(f, "\n{:gutter$} | {:caret$}{}", "", "", "^".repeat(*width))?;
            }
        }
        match &self.hint {
            Some(hint) => write!(f, "\n{:gutter$} = help: {hint}", ""),
            None => Ok(()),
        }
    }
}

/// By file and place, as one would work through them.
pub(crate) fn sort(problems: &mut [Problem]) {
    problems.sort_by(|a, b| {
        let place = |p: &Problem| p.place.as_ref().map(|place| (place.line, place.column));
        a.file.cmp(&b.file).then_with(|| place(a).cmp(&place(b)))
    });
}

/// Problems one below the other; at most `limit` in full, then how many more there are.
pub(crate) fn list(problems: &[Problem], limit: usize) -> String {
    let mut text: Vec<String> = problems.iter().take(limit).map(ToString::to_string).collect();
    if problems.len() > limit {
        text.push(format!("... and {} more", problems.len() - limit));
    }
    text.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::mask_line;

    fn place(line: &str, column: usize, width: usize) -> Place {
        let masked: Vec<char> = mask_line(line).chars().collect();
        Place::new(&masked, Span { line: 1, column, width })
    }

    fn underlined(place: &Place) -> String {
        place.excerpt.chars().skip(place.caret).take(place.width).collect()
    }

    #[test]
    fn tabs_and_long_lines_keep_the_caret_in_place() {
        assert_eq!(underlined(&place("a:\tbad value", 4, 3)), "bad");
        let long = format!("{}bad{}", "x".repeat(500), "y".repeat(500));
        let shown = place(&long, 501, 3);
        assert_eq!(underlined(&shown), "bad");
        assert!(shown.excerpt.chars().count() <= EXCERPT + 6);
        assert!(shown.excerpt.starts_with("...x") && shown.excerpt.ends_with("y..."));
        assert_eq!((shown.line, shown.column), (1, 501));
    }

    #[test]
    fn what_is_quoted_of_a_file_is_harmless() {
        let hostile = "a\u{202e}b\u{1b}[31m\u{200b}";
        let problem = Problem::whole_file(Path::new("f"), format!("one\n{hostile}"), hostile).key(hostile);
        assert_eq!(problem.message, "one\na\u{fffd}b\u{fffd}[31m\u{fffd}");
        assert_eq!(problem.hint.as_deref(), Some("a\u{fffd}b\u{fffd}[31m\u{fffd}"));
        assert_eq!(problem.key, "a\u{fffd}b\u{fffd}[31m\u{fffd}");
    }

    #[test]
    fn places_outside_of_the_line_are_harmless() {
        for (column, width) in [(0, 0), (9, 1), (3, 99), (usize::MAX, usize::MAX)] {
            let shown = place("äb\u{202e}c", column, width);
            assert_eq!(shown.excerpt, "äb\u{fffd}c");
            assert!(shown.width >= 1);
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let problem = Problem {
            place: Some(place("  API_KEY: hunter2 # x", 3, 7)),
            ..Problem::whole_file(Path::new("f.yaml"), "bad", "")
        };
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }
}
