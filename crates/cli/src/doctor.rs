//! What is looked at to say whether this machine and its daemon are well: facts in, findings out, no I/O.
//!
//! [`CHECKS`] is the one table: the verb runs it, docs/SECURITY_CHECKLIST.md is made from it.

mod access;
mod definitions;
pub(crate) mod facts;
mod life;
mod logs;
mod machine;
mod network;
mod processes;
pub(crate) mod show;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use facts::Facts;
pub(crate) use table::{Area, CHECKS, Check, markdown};

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    NotChecked,
    /// It works, and may not for long, or not for everybody.
    Warning,
    /// Somebody has to act.
    Problem,
}

impl Verdict {
    /// For humans.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }

    /// For programs.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::NotChecked => "not_checked",
            other => other.word(),
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    /// What was found, or why it could not be looked at.
    pub(crate) found: String,
    /// What that means.
    pub(crate) meaning: String,
    /// The command that mends it, or shows more.
    pub(crate) command: String,
}

impl Finding {
    fn ok(found: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, found, "", "")
    }

    fn not_checked(why: impl Into<String>) -> Self {
        Self::new(Verdict::NotChecked, why, "", "")
    }

    fn warning(found: impl Into<String>, meaning: impl Into<String>, command: impl Into<String>) -> Self {
        Self::new(Verdict::Warning, found, meaning, command)
    }

    fn problem(found: impl Into<String>, meaning: impl Into<String>, command: impl Into<String>) -> Self {
        Self::new(Verdict::Problem, found, meaning, command)
    }

    fn new(
        verdict: Verdict,
        found: impl Into<String>,
        meaning: impl Into<String>,
        command: impl Into<String>,
    ) -> Self {
        Self { verdict, found: found.into(), meaning: meaning.into(), command: command.into() }
    }
}

/// A finding with the check that made it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) check: &'static Check,
    pub(crate) finding: Finding,
}

/// Every check on these facts, in the order of the table.
pub(crate) fn examine(facts: &Facts) -> Vec<Found> {
    let of =
        |check: &'static Check| (check.run)(facts).into_iter().map(move |finding| Found { check, finding });
    CHECKS.iter().flat_map(of).collect()
}

/// A word for a shell. A name with a line break or the like in it is shown, never to be typed.
fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| "NAME".to_owned(), std::borrow::Cow::into_owned)
}

/// The first names, and how many there are beside them.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `1 process`, `2 processes`
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
