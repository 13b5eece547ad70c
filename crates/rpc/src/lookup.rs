//! Which process a text means: an exact name, an id, or a unique id prefix; else what was probably meant.

use std::sync::Arc;

use model::{ProcessView, Snapshot};

use crate::{ControlError, ErrorKind};

/// Shortest accepted prefix of an id.
const MIN_PREFIX: usize = 4;
/// Candidates listed in a message.
const MAX_LISTED: usize = 5;

/// Finds the process. An exact name wins over an id prefix.
pub(crate) fn find(snapshot: &Snapshot, text: &str) -> Result<Arc<ProcessView>, ControlError> {
    let processes = &snapshot.processes;
    if let Some(view) = processes.iter().find(|p| p.spec.name.as_str() == text) {
        return Ok(Arc::clone(view));
    }
    if text.is_empty() {
        return Err(ControlError::invalid("name", "no process is named: the name is empty"));
    }
    match by_id(snapshot, text)? {
        Some(one) => Ok(one),
        None => Err(not_found(snapshot, text)),
    }
}

/// The process of this id, or with the only id that begins like this.
pub(crate) fn by_id(snapshot: &Snapshot, text: &str) -> Result<Option<Arc<ProcessView>>, ControlError> {
    if !is_prefix(text) {
        return Ok(None);
    }
    let found: Vec<_> =
        snapshot.processes.iter().filter(|p| p.spec.id.to_string().starts_with(text)).collect();
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(Arc::clone(one))),
        many => {
            let listed: Vec<String> =
                many.iter().take(MAX_LISTED).map(|p| format!("{} ({})", p.spec.name, p.spec.id)).collect();
            let more = if many.len() > MAX_LISTED { ", …" } else { "" };
            let message = format!("the id prefix {text} is ambiguous; it fits {}{more}", listed.join(", "));
            Err(ControlError::invalid("name", message).with_hint("give more digits of the id, or the name"))
        }
    }
}

/// Whether it may be the beginning of an id.
pub(crate) fn is_prefix(text: &str) -> bool {
    (MIN_PREFIX..=12).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The process of this name, if there is one. Names are sorted.
pub(crate) fn named(snapshot: &Snapshot, name: &str) -> Option<Arc<ProcessView>> {
    let place = snapshot.processes.binary_search_by(|view| view.spec.name.as_str().cmp(name)).ok()?;
    Some(Arc::clone(&snapshot.processes[place]))
}

fn not_found(snapshot: &Snapshot, text: &str) -> ControlError {
    let shown: String = text.chars().take(128).collect();
    let error = ControlError::new(ErrorKind::NotFound, format!("no process is called {shown:?}"));
    if shown.starts_with('@') {
        return error.with_hint("a group can't be used here; name one process of it");
    }
    let near = snapshot
        .processes
        .iter()
        .map(|p| (distance(&shown, p.spec.name.as_str()), &p.spec.name))
        .filter(|(d, name)| *d <= 1 + name.as_str().len() / 4)
        .min();
    match near {
        Some((_, name)) => error.with_hint(format!("did you mean {name}?")),
        None => error.with_hint("pm-cli list shows the processes that exist"),
    }
}

/// Edits between two texts: insertions, deletions, substitutions and swaps of neighbours, each 1. Case is ignored.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substitution = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substitution.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in
            [("", "", 0), ("web", "web", 0), ("wbe", "web", 1), ("Web", "web", 0), ("wb", "web", 1)]
        {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn prefixes() {
        for ok in ["beef", "0123456789ab"] {
            assert!(is_prefix(ok), "{ok}");
        }
        for bad in ["bee", "BEEF", "0123456789abc", "webx", ""] {
            assert!(!is_prefix(bad), "{bad}");
        }
    }
}
