//! Regular expressions, as the keys below `log:` have them.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use regex::bytes::{Regex, RegexBuilder};

use crate::fault::Faults;

/// Longest pattern in bytes.
const LONGEST: usize = 4 << 10;
/// What one may take once it is compiled: a line is matched against it, and every process keeps its own.
const COMPILED: usize = 1 << 20;
/// Patterns known to be good that are kept, so that one which comes through `defaults:` or an alias to ten thousand
/// processes is compiled once. When there are more, all are forgotten and compiled anew: that costs time only.
const KEPT: usize = 256;

/// What is known of a pattern that compiles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// What it matches has a character at least.
    Usual,
    /// It also matches where nothing stands, as `x*` and `\b` do.
    Empty,
}

/// Compiles it, or says why that can't be done.
pub(super) fn check_pattern(pattern: &str, faults: &mut Faults) -> Option<Pattern> {
    if pattern.is_empty() {
        faults.value("an empty regular expression matches every line", "write one, or remove it");
        return None;
    }
    if pattern.len() > LONGEST {
        faults.value("a regular expression has at most 4 KiB", "write several shorter ones, or remove it");
        return None;
    }
    if good().contains(pattern) {
        return Some(Pattern::Usual);
    }
    match RegexBuilder::new(pattern).size_limit(COMPILED).build() {
        Ok(regex) => Some(remember(pattern, &regex)),
        Err(regex::Error::CompiledTooBig(_)) => {
            let hint = r"repeat less, or match bytes where characters are not needed: `(?-u:\w){9}`";
            faults.value("this regular expression takes more than 1 MiB once it is compiled", hint);
            None
        }
        Err(error) => {
            let hint =
                "the syntax is https://docs.rs/regex/1/regex/#syntax: no look-around, no back-references";
            let message = format!("this is no regular expression: {}", reason(&error.to_string()));
            faults.value(message, hint);
            None
        }
    }
}

fn good() -> MutexGuard<'static, HashSet<String>> {
    static GOOD: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    GOOD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember(pattern: &str, regex: &Regex) -> Pattern {
    // A text with beginnings and ends of words, for what looks at these.
    if regex.find_iter(b"a0_ -A.").any(|found| found.is_empty()) {
        return Pattern::Empty;
    }
    let mut good = good();
    if good.len() >= KEPT {
        good.clear();
    }
    good.insert(pattern.to_owned());
    Pattern::Usual
}

/// The heart of the crate's message: a title, the pattern, a caret below it, and the reason. A pattern of several lines
/// is shown in another way, without a caret that could be counted.
fn reason(text: &str) -> String {
    /// What stands before the pattern and the caret.
    const INDENT: usize = 4;
    let lines: Vec<&str> = text.lines().collect();
    let reason = lines.iter().find_map(|line| line.strip_prefix("error: ")).unwrap_or("it can't be read");
    match lines.as_slice() {
        [_, _, caret, _] => match caret.find('^').and_then(|column| column.checked_sub(INDENT)) {
            Some(before) => format!("{reason}, at its character {}", before + 1),
            None => reason.to_owned(),
        },
        _ => reason.to_owned(),
    }
}
