//! The record of each call that changes something, whether it worked or not.

use crate::ControlError;
use crate::auth::{Caller, Method, Peer};
use crate::certificate::Certified;
use crate::denied::Denied;

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
    /// The id that the caller gave the request; empty = none.
    request_id: String,
}

impl Act {
    pub(super) fn new(method: Method, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            detail: String::new(),
            dry_run: false,
            request_id: String::new(),
        }
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

    /// What the caller called its request.
    pub(super) fn requested(self, id: &str) -> Self {
        Self { request_id: id.to_owned(), ..self }
    }

    /// Writes the record.
    pub(super) fn record(&self, caller: Caller, error: Option<&ControlError>) {
        let Self { method, target, detail, dry_run, request_id } = self;
        let who = Who::from(caller.peer);
        let result = error.map_or("OK", |e| e.kind.reason());
        let dry = if *dry_run { "dry run" } else { "" };
        // The method and what it was called on, without gaps where there is nothing to say.
        let parts = [method.as_str(), target, detail, dry];
        let call = parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ");
        tracing::info!(
            target: "audit",
            peer = %caller.peer,
            uid = who.uid,
            pid = who.pid,
            client = who.client(),
            role = caller.role.as_str(),
            method = method.as_str(),
            target_process = target.as_str(),
            detail = Some(detail.as_str()).filter(|detail| !detail.is_empty()),
            dry_run = dry_run.then_some(true),
            request_id = Some(request_id.as_str()).filter(|id| !id.is_empty()),
            result,
            "{call}: {result}",
        );
    }
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

/// Writes the record of a call that was not let in, unless this peer has many of them.
pub(super) fn refused(denied: &Denied, peer: Peer, method: Method, error: &ControlError) {
    let Some(suppressed) = denied.may_tell(&peer) else { return };
    let who = Who::from(peer);
    tracing::warn!(
        target: "audit",
        %peer,
        uid = who.uid,
        pid = who.pid,
        client = who.client(),
        method = method.as_str(),
        result = error.kind.reason(),
        suppressed = Some(suppressed).filter(|n| *n > 0),
        "{method}: {error}",
        method = method.as_str(),
    );
}
