//! The only timers in the program: at most one deadline per process, in one ordered set.

use std::collections::BTreeSet;

use model::Mono;

use super::process::Key;

#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Mono, Key)>);

impl Timers {
    /// Replaces a process's deadline. Cancelling is removing: nothing stale can fire.
    pub(super) fn replace(&mut self, key: Key, old: Option<Mono>, new: Option<Mono>) {
        if old == new {
            return;
        }
        if let Some(at) = old {
            self.0.remove(&(at, key));
        }
        if let Some(at) = new {
            self.0.insert((at, key));
        }
    }

    pub(super) fn next(&self) -> Option<Mono> {
        self.0.first().map(|(at, _)| *at)
    }

    /// The processes whose deadline has come. They stay in the set until their phase changes.
    pub(super) fn due(&self, now: Mono) -> Vec<Key> {
        self.0.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| *key).collect()
    }
}
