//! Which processes a list shows.

use model::{HealthState, ProcessView};

use crate::{ControlError, convert, v1};

/// Largest page of a list, and the page when none is asked for.
const MAX_PAGE: usize = 1_000;
/// Shortest accepted prefix of an id.
const MIN_PREFIX: usize = 4;

/// What a list is narrowed to. Everything that is set has to hold.
pub(super) struct Filter<'a>(&'a v1::ListProcessesRequest);

impl<'a> Filter<'a> {
    pub(super) fn new(asked: &'a v1::ListProcessesRequest) -> Self {
        Self(asked)
    }

    pub(super) fn fits(&self, view: &ProcessView) -> bool {
        let Self(asked) = self;
        let state: i32 = convert::state(view.state).into();
        (asked.names.is_empty() || asked.names.iter().any(|text| names(text, view)))
            && (asked.states.is_empty() || asked.states.contains(&state))
            && (asked.groups.is_empty() || asked.groups.iter().any(|group| view.spec.groups.contains(group)))
            && (!asked.unhealthy
                || view.health.as_ref().is_some_and(|health| health.state == HealthState::Unhealthy))
    }
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

/// Whether the text means this process: by its name, a pattern of names, its id, or a prefix of that.
fn names(text: &str, view: &ProcessView) -> bool {
    let name = view.spec.name.as_str();
    if text.contains(['*', '?']) {
        return matches(text.as_bytes(), name.as_bytes());
    }
    text == name || text.len() >= MIN_PREFIX && view.spec.id.to_string().starts_with(text)
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
