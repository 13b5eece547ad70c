//! What happens to lines between the pipe and the sinks: `log:` of a definition, compiled once.
//!
//! In this order: secrets go out of each line ([`redact`]); the line goes to the terminal and to a `raw` or `prefixed`
//! file; lines that belong together are joined ([`join`]); level, message and fields are read ([`parse`]); the entry
//! goes to the journal and to a `json` or `logfmt` file ([`format`]). Limits ([`limit`]) stand before each of the two.
//! All of it is off by default and costs nothing then.

mod batch;
pub(crate) mod format;
mod join;
pub(crate) mod limit;
pub(crate) mod parse;
mod process;
mod redact;
mod route;

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use model::{LogFormat, LogSpec, Multiline};
use regex::bytes::Regex;

pub(crate) use process::Process;
pub(crate) use route::{Pending, Route, Sinks};

use join::Join;
use parse::Field;

/// Regular expressions of which any may match.
pub(crate) type Patterns = Vec<Regex>;

/// What is in force for a process; shared by its streams, and replaced as a whole.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) spec: LogSpec,
    pub(crate) join: Option<Join>,
    pub(crate) fields: Vec<Field>,
    redact: Option<Rc<Patterns>>,
}

impl Settings {
    pub(crate) fn max_line(&self) -> usize {
        usize::try_from(self.spec.max_line).unwrap_or(usize::MAX).max(1)
    }

    /// Whether the file gets runs of lines and not single ones.
    pub(crate) fn raw_file(&self) -> bool {
        self.spec.file && self.spec.format == LogFormat::Raw
    }

    /// Whether the file gets entries, as the journal does.
    pub(crate) fn file_of_entries(&self) -> bool {
        self.spec.file && matches!(self.spec.format, LogFormat::Json | LogFormat::Logfmt)
    }

    /// Whole lines without their secrets.
    pub(crate) fn redact_run<'a>(&self, run: &'a [u8]) -> Cow<'a, [u8]> {
        self.redact.as_ref().map_or(Cow::Borrowed(run), |patterns| redact::run(patterns, run))
    }

    /// A line of which `cut` bytes are missing without its secrets, and how many bytes are missing then.
    pub(crate) fn redact_line<'a>(&self, head: &'a [u8], cut: u64) -> (Cow<'a, [u8]>, u64) {
        let Some(patterns) = &self.redact else { return (Cow::Borrowed(head), cut) };
        let kept = if cut > 0 { redact::without_last_word(head) } else { head };
        let lost = u64::try_from(head.len() - kept.len()).unwrap_or(u64::MAX);
        (redact::line(patterns, kept), cut + lost)
    }
}

/// Makes settings. Processes with the same patterns share what those were compiled to, which is large.
#[derive(Default)]
pub(crate) struct Compiler {
    known: HashMap<Vec<String>, Weak<Patterns>>,
}

impl Compiler {
    pub(crate) fn compile(&mut self, spec: &LogSpec) -> Rc<Settings> {
        let redact = if spec.redact.is_empty() { None } else { self.patterns(&spec.redact) };
        let join = match &spec.multiline {
            Multiline::None => None,
            Multiline::Indent => Some(Join::Indent),
            Multiline::Start(first) => self.patterns(std::slice::from_ref(first)).map(Join::Start),
        };
        let fields = spec.json_fields.iter().map(|f| Field::new(f)).collect();
        Rc::new(Settings { spec: spec.clone(), join, fields, redact })
    }

    /// `None` = none of them is a regular expression.
    fn patterns(&mut self, texts: &[String]) -> Option<Rc<Patterns>> {
        if let Some(known) = self.known.get(texts).and_then(Weak::upgrade) {
            return Some(known);
        }
        let compiled: Patterns = texts.iter().filter_map(|text| compile(text)).collect();
        if compiled.is_empty() {
            return None;
        }
        self.known.retain(|_, patterns| patterns.strong_count() > 0);
        let patterns = Rc::new(compiled);
        self.known.insert(texts.to_vec(), Rc::downgrade(&patterns));
        Some(patterns)
    }
}

/// A definition with a broken pattern is refused where it is read; this is for one that came another way.
fn compile(text: &str) -> Option<Regex> {
    Regex::new(text)
        .inspect_err(
            |e| tracing::warn!(pattern = text, error = %e, "not a regular expression; it is left out"),
        )
        .ok()
}

#[cfg(test)]
mod tests;
