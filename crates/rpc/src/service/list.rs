//! Which processes a list shows.

use std::collections::BTreeSet;

use model::{HealthState, ProcessName, ProcessView};

use crate::{ControlError, convert, lookup, v1};

/// Largest page of a list, and the page when none is asked for.
const MAX_PAGE: usize = 1_000;

/// Texts in one part of a filter.
pub(super) const MAX_TEXTS: usize = 1_000;
/// Of them patterns, each of which is tried on each process.
const MAX_PATTERNS: usize = 32;
/// Longest pattern: as long as a name.
const MAX_PATTERN: usize = 128;

/// What a list is narrowed to. Everything that is set has to hold.
pub(super) struct Filter<'a> {
    asked: &'a v1::ListProcessesRequest,
    states: Vec<v1::State>,
    names: BTreeSet<&'a str>,
    patterns: Vec<&'a str>,
    /// Of ids, and whole ids.
    prefixes: Vec<&'a str>,
}

impl<'a> Filter<'a> {
    /// Bounded, as anybody may ask, and each text costs something for each process.
    pub(super) fn new(asked: &'a v1::ListProcessesRequest) -> Result<Self, ControlError> {
        bounded("names", asked.names.len())?;
        bounded("states", asked.states.len())?;
        bounded("groups", asked.groups.len())?;
        let texts = || asked.names.iter().map(String::as_str);
        let patterns: Vec<&str> = texts().filter(|text| text.contains(['*', '?'])).collect();
        if patterns.len() > MAX_PATTERNS || patterns.iter().any(|text| text.len() > MAX_PATTERN) {
            let text = format!("at most {MAX_PATTERNS} patterns of {MAX_PATTERN} characters are taken");
            return Err(ControlError::invalid("names", text).with_hint("list all, and choose afterwards"));
        }
        let prefixes = texts().filter(|text| lookup::is_prefix(text)).collect();
        let states = asked.states.iter().map(|state| convert::choice("states", *state));
        let states = states.collect::<Result<_, _>>()?;
        Ok(Self { asked, states, names: texts().collect(), patterns, prefixes })
    }

    pub(super) fn fits(&self, view: &ProcessView) -> bool {
        let asked = self.asked;
        (asked.names.is_empty() || self.is_named(view))
            && (self.states.is_empty() || self.states.contains(&convert::state(view.state)))
            && (asked.groups.is_empty() || asked.groups.iter().any(|group| view.spec.groups.contains(group)))
            && (!asked.unhealthy
                || view.health.as_ref().is_some_and(|health| health.state == HealthState::Unhealthy))
    }

    /// By its name, a pattern of names, its id, or a prefix of that.
    fn is_named(&self, view: &ProcessView) -> bool {
        let name = view.spec.name.as_str();
        let by_id = || {
            let id = view.spec.id.to_string();
            self.prefixes.iter().any(|prefix| id.starts_with(prefix))
        };
        self.names.contains(name)
            || self.patterns.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
            || !self.prefixes.is_empty() && by_id()
    }
}

/// A list of texts that anybody may send.
pub(super) fn bounded(field: &'static str, count: usize) -> Result<(), ControlError> {
    if count <= MAX_TEXTS {
        return Ok(());
    }
    let text = format!("{count} of them are too many; at most {MAX_TEXTS} are taken");
    Err(ControlError::invalid(field, text).with_hint("ask several times"))
}

/// How many processes are on a page.
pub(super) fn page_size(asked: &v1::ListProcessesRequest) -> Result<usize, ControlError> {
    match usize::try_from(asked.page_size) {
        Ok(0) => Ok(MAX_PAGE),
        Ok(size) => Ok(size.min(MAX_PAGE)),
        Err(_) => {
            let text = format!("page_size is {}; it can't be negative", asked.page_size);
            Err(ControlError::invalid("page_size", text))
        }
    }
}

/// Behind which name the page begins. The token of a page is the last name on it: names are sorted, so that it stays right
/// when others come and go, and whatever the filter is.
pub(super) fn page_token(asked: &v1::ListProcessesRequest) -> Result<&str, ControlError> {
    let token = asked.page_token.as_str();
    if token.is_empty() || ProcessName::new(token).is_ok() {
        return Ok(token);
    }
    let error = ControlError::invalid("page_token", "this is no token of a page");
    Err(error.with_hint("give back next_page_token as it was, or nothing for the first page"))
}

/// `*` is any text, `?` any one character. Names are ASCII, so that a byte is a character.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Behind the last star, and where it began to match: a star takes one more byte each time the rest doesn't fit.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(b'?') => (p, n) = (p + 1, n + 1),
            Some(byte) if *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((behind, from)) => {
                    (p, n) = (behind, from + 1);
                    star = Some((behind, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_may_send_is_bounded() {
        let asked = |names: Vec<String>| v1::ListProcessesRequest { names, ..Default::default() };
        for (names, good) in [
            (vec!["beef".to_owned(); MAX_TEXTS], true),
            (vec!["beef".to_owned(); MAX_TEXTS + 1], false),
            (vec!["*a".to_owned(); MAX_PATTERNS], true),
            (vec!["*a".to_owned(); MAX_PATTERNS + 1], false),
            (vec!["*a".repeat(MAX_PATTERN)], false),
        ] {
            assert_eq!(Filter::new(&asked(names)).is_ok(), good);
        }
        let groups = v1::ListProcessesRequest { groups: vec![String::new(); 1_001], ..Default::default() };
        assert!(Filter::new(&groups).is_err());
    }

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*", "web", true),
            ("web-*", "web-1", true),
            ("web-*", "web", false),
            ("*-1", "web-1", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("*a*b*", "xaxxbx", true),
            ("*a*b", "xaxxbx", false),
            ("**", "x", true),
            ("?", "xy", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
        // Quadratic at worst, not exponential.
        assert!(!matches("*a".repeat(64).as_bytes(), "b".repeat(128).as_bytes()));
    }
}
