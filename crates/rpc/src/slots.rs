//! Places for connections: of each kind a number, and within a kind each caller its share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Role;
use crate::auth::{Peer, Policy};
use crate::shares::{Full, Share, Shares};
use crate::who::Who;

/// Open connections of each of four kinds: admins over the Unix socket, others over it, TCP with a client's certificate,
/// and TCP without. Further ones of that kind are closed at once, so that the other kinds always get through. Within a
/// kind each caller has its share.
const MAX_CONNECTIONS: usize = 256;
/// How long the look-up of an operator is good for its connections, and for nothing else.
const LOOKED_UP: Duration = Duration::from_secs(10);

/// How many connections of each kind may still be opened.
#[derive(Debug)]
pub(crate) struct Slots {
    admins: Arc<Shares>,
    others: Arc<Shares>,
    certified: Arc<Shares>,
    /// Nobody is known before a call, and all who are on this machine have the same addresses: no shares.
    tcp: Arc<Shares>,
    refused: AtomicU64,
}

impl Slots {
    pub(crate) fn new() -> Self {
        let full = || Shares::new(MAX_CONNECTIONS);
        Self { admins: full(), others: full(), certified: full(), tcp: full(), refused: AtomicU64::new(0) }
    }

    /// By what the connection alone tells.
    pub(crate) fn take(&self, peer: Peer, policy: &Policy) -> Result<Share, Full> {
        let who = Who::from(&peer);
        match peer {
            Peer::Unix { uid, .. } if policy.is_admin(uid) => self.admins.take(who, Role::Admin),
            Peer::Unix { gid, .. } if policy.operators == Some(gid) => self.others.take(who, Role::Operator),
            Peer::Unix { .. } => self.others.take(who, Role::Viewer),
            Peer::Tls { client: Some(client), .. } => self.certified.take(who, client.role),
            Peer::Tls { client: None, .. } | Peer::Tcp(_) => self.tcp.take(who, Role::Admin),
        }
    }

    /// For who was refused as a viewer: may be that it is an operator, which only the user database knows.
    pub(crate) async fn take_as_operator(&self, peer: Peer, policy: &Policy) -> Option<Share> {
        let Peer::Unix { uid, gid, .. } = peer else { return None };
        let group = policy.operators?;
        let is_member = policy.members.has_at_once((uid, gid), group, LOOKED_UP).await?;
        is_member.then(|| self.others.take(Who::from(&peer), Role::Operator).ok()).flatten()
    }

    pub(crate) fn refuse(&self, peer: Peer, full: Full) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        // Powers of two only: a flood of connections must not become a flood of lines.
        if refused.is_power_of_two() {
            let why = match full {
                Full::Yours(own) => format!("this caller has {own}"),
                Full::Role(held) => format!("there are {held}, and the last ones are kept for operators"),
                Full::All(all) => format!("there are {all}"),
            };
            tracing::warn!(%peer, refused, "too many connections: {why}; closed a new one");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(uid: u32, gid: u32) -> Peer {
        Peer::Unix { uid, gid, pid: None }
    }

    #[tokio::test]
    async fn a_crowd_of_one_user_or_of_many_shuts_out_no_operator_and_no_admin() {
        let policy = Policy {
            daemon_uid: 990,
            operators: Some(0),
            token: None,
            token_role: Role::Operator,
            denied: Arc::default(),
            members: Arc::default(),
        };
        let slots = Slots::new();
        let crowd =
            |uid| std::iter::from_fn(|| slots.take(unix(uid, 1_000), &policy).ok()).collect::<Vec<_>>();
        let one = crowd(4_000_000_001);
        assert_eq!(one.len(), MAX_CONNECTIONS / 4);
        assert!(slots.take(unix(4_000_000_002, 1_000), &policy).is_ok(), "another user");
        let many: Vec<_> = (2..100).flat_map(|n| crowd(4_000_000_000 + n)).collect();
        assert_eq!(one.len() + many.len(), MAX_CONNECTIONS / 4 * 3);
        assert_eq!(slots.take(unix(4_000_000_200, 1_000), &policy).unwrap_err(), Full::Role(192));
        // By its group, by the user database, and as an admin.
        assert!(slots.take(unix(4_000_000_200, 0), &policy).is_ok());
        assert!(slots.take_as_operator(unix(4_000_000_200, 1_000), &policy).await.is_none());
        assert!(slots.take_as_operator(unix(0, 1_000), &policy).await.is_some());
        assert!(slots.take(unix(990, 990), &policy).is_ok());
        assert!(slots.take(Peer::Tcp(([127, 0, 0, 1], 1).into()), &policy).is_ok());
    }
}
