//! The record of each call that changes something, whether it worked or not, and of each that was not let in.
//!
//! [`Service::once`](super::Service::once) writes it, for all of them: one record when the call is answered. A call that
//! doesn't wait for its outcome has a second one when that is there.

use std::sync::atomic::{AtomicBool, Ordering};

use model::Snapshot;

use super::once::Mutating;
use crate::auth::{Caller, Method, Peer};
use crate::certificate::Certified;
use crate::denied::Denied;
use crate::{ControlError, Role, lookup};

/// Longest text of a caller in a record, in characters: as long as a name.
const LONGEST: usize = 128;

/// What a caller asked for.
#[derive(Debug, Default)]
pub(super) struct Act {
    method: &'static str,
    /// The process, or what the caller called it where there is none; empty = all of them.
    target: String,
    /// What else makes a difference, for example which signal. Never a value of a definition.
    detail: String,
    /// Nothing is to be changed.
    dry_run: bool,
    /// The id that the caller gave the request; empty = none.
    request_id: String,
    recorded: AtomicBool,
}

impl Act {
    pub(super) fn of(method: Method, asked: &impl Mutating, snapshot: &Snapshot) -> Self {
        Self {
            method: method.as_str(),
            target: target(asked.target(), snapshot),
            detail: harmless(&asked.detail()),
            dry_run: asked.dry_run(),
            request_id: harmless(asked.request_id()),
            recorded: AtomicBool::new(false),
        }
    }

    /// A call that reads.
    pub(super) fn reading(method: Method, asked: &str, snapshot: &Snapshot) -> Self {
        Self { method: method.as_str(), target: target(asked, snapshot), ..Self::default() }
    }

    /// The process; empty = all of them.
    pub(super) fn target(&self) -> &str {
        &self.target
    }

    /// Writes the record of what the caller is answered: once, whoever says it first.
    pub(super) fn answered(&self, caller: Caller, error: Option<&ControlError>) {
        self.record(caller, error.map_or("OK", |e| e.kind.reason()));
    }

    /// The caller is answered now, and the outcome comes later.
    pub(super) fn accepted(&self, caller: Caller) {
        self.record(caller, "ACCEPTED");
    }

    /// What an earlier call with its id did is the answer; nothing was done.
    pub(super) fn repeated(&self, caller: Caller) {
        self.record(caller, "REPEATED");
    }

    fn record(&self, caller: Caller, result: &'static str) {
        if !self.recorded.swap(true, Ordering::Relaxed) {
            self.write(caller, result, None);
        }
    }

    /// Writes what became of a call that was accepted before.
    pub(super) fn outcome(&self, caller: Caller, error: Option<&ControlError>) {
        self.write(caller, error.map_or("OK", |e| e.kind.reason()), Some(true));
    }

    fn write(&self, caller: Caller, result: &'static str, outcome: Option<bool>) {
        let Self { method, target, detail, dry_run, request_id, recorded: _ } = self;
        let who = Who::from(caller.peer);
        let dry = if *dry_run { "dry run" } else { "" };
        let late = if outcome.is_some() { "accepted before" } else { "" };
        // The method and what it was called on, without gaps where there is nothing to say.
        let parts = [*method, target, detail, dry, late];
        let call = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ");
        tracing::info!(
            target: "audit",
            peer = %caller.peer,
            uid = who.uid,
            pid = who.pid,
            client = who.client(),
            role = caller.role.as_str(),
            method,
            target_process = target.as_str(),
            detail = said(detail),
            dry_run = dry_run.then_some(true),
            request_id = said(request_id),
            outcome,
            result,
            "{call}: {result}",
        );
    }

    /// Writes the record of a call that was not let in, unless this peer has many of them. `role` where it is known.
    pub(super) fn refused(&self, suppressed: u64, peer: Peer, role: Option<Role>, error: &ControlError) {
        let Self { method, target, detail, dry_run, request_id, recorded: _ } = self;
        let who = Who::from(peer);
        tracing::warn!(
            target: "audit",
            %peer,
            uid = who.uid,
            pid = who.pid,
            client = who.client(),
            role = role.map(Role::as_str),
            method,
            target_process = target.as_str(),
            detail = said(detail),
            dry_run = dry_run.then_some(true),
            request_id = said(request_id),
            result = error.kind.reason(),
            suppressed = Some(suppressed).filter(|n| *n > 0),
            "{method}: {error}",
        );
    }
}

/// Writes the record of a refusal, unless this peer has many of them; only then anybody looks what it asked for.
pub(super) fn refused(
    denied: &Denied,
    peer: Peer,
    role: Option<Role>,
    error: &ControlError,
    act: impl FnOnce() -> Act,
) {
    if let Some(suppressed) = denied.may_tell(&peer) {
        act().refused(suppressed, peer, role, error);
    }
}

/// The name of the process that a caller means, or else its own words.
fn target(asked: &str, snapshot: &Snapshot) -> String {
    let meant = lookup::named(snapshot, asked)
        .or_else(|| lookup::by_id(snapshot, asked).ok().flatten())
        .map(|view| view.spec.name.to_string());
    meant.unwrap_or_else(|| harmless(asked))
}

/// A caller's text as a record may hold it: short, and without anything that a terminal would obey.
fn harmless(text: &str) -> String {
    text.chars().take(LONGEST).flat_map(char::escape_debug).collect()
}

fn said(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// What is known of a peer, for the fields of a record.
struct Who {
    uid: Option<u32>,
    pid: Option<i32>,
    certified: Option<Certified>,
}

impl Who {
    /// The name in the certificate.
    fn client(&self) -> Option<&str> {
        self.certified.as_ref().map(Certified::name)
    }
}

impl From<Peer> for Who {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Unix { uid, pid, .. } => Self { uid: Some(uid), pid, certified: None },
            Peer::Tcp(_) => Self { uid: None, pid: None, certified: None },
            Peer::Tls { client, .. } => Self { uid: None, pid: None, certified: client },
        }
    }
}
