//! The record of each call that changes something, whether it worked or not.

use crate::ControlError;
use crate::auth::{Caller, Method, Peer};

/// What a caller asked for.
#[derive(Clone, Debug)]
pub(super) struct Act {
    method: Method,
    /// The process; empty = all of them.
    target: String,
    /// What else makes a difference, for example which signal. Never a value of a definition.
    detail: String,
    /// Nothing is to be changed.
    dry_run: bool,
}

impl Act {
    pub(super) fn new(method: Method, target: &str) -> Self {
        Self { method, target: target.to_owned(), detail: String::new(), dry_run: false }
    }

    pub(super) fn detailed(self, detail: String) -> Self {
        Self { detail, ..self }
    }

    pub(super) fn dry(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// The process; empty = all of them.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Writes the record.
    pub(super) fn record(&self, caller: Caller, error: Option<&ControlError>) {
        let Self { method, target, detail, dry_run } = self;
        let (uid, pid) = match caller.peer {
            Peer::Unix { uid, pid, .. } => (Some(uid), pid),
            Peer::Tcp(_) => (None, None),
        };
        let result = error.map_or("OK", |e| e.kind.reason());
        let dry = if *dry_run { "dry run" } else { "" };
        // The method and what it was called on, without gaps where there is nothing to say.
        let parts = [method.as_str(), target, detail, dry];
        let call = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ");
        tracing::info!(
            target: "audit",
            peer = %caller.peer,
            uid,
            pid,
            role = caller.role.as_str(),
            method = method.as_str(),
            target_process = target.as_str(),
            detail = Some(detail.as_str()).filter(|detail| !detail.is_empty()),
            dry_run = dry_run.then_some(true),
            result,
            "{call}: {result}",
        );
    }
}
