//! Who may do what: one table of methods and roles, and how a connection gets its role.
//!
//! | role | who |
//! |---|---|
//! | admin | root and the daemon's own user, over the Unix socket |
//! | operator | members of the group `dd-procmgrd`, over the Unix socket |
//! | the one in the certificate | whoever presents one of the client authority's, over TLS: its organizational unit (OU) |
//! | the configured one | whoever presents the token, over TCP: the token's readers are the operators of a system daemon, and the owner of a user's daemon |
//! | viewer | everybody else |
//!
//! The pid of a peer is only for the audit record: it may be reused after the connection was made. Roles follow from
//! uid and gid, which the kernel recorded at connect(2).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::certificate::Certified;
use crate::denied::Denied;
use crate::members::Members;
use crate::token::Keeper;
use crate::{ControlError, ErrorKind};

/// How long a member of the operators' group is one without another look: a caller that makes many calls is looked up once.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// What a caller may do. Each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Look: list, get (without the values of variables), status, events, stats, and wait for what happens.
    Viewer,
    /// Operate: start, stop, restart, reload, signal, reset, read and reopen logs, read the masked configuration.
    Operator,
    /// Define: create, update, enable, disable, override and delete; make a new token.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its name in messages and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The RPCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the RPC of the same name, which the proto file documents")]
pub enum Method {
    ListProcesses,
    GetProcess,
    CreateProcess,
    StartProcess,
    StopProcess,
    RestartProcess,
    ReloadProcess,
    SignalProcess,
    ResetProcess,
    UpdateProcess,
    DeleteProcess,
    GetFragments,
    GetOverride,
    SetOverride,
    ReloadConfig,
    GetStatus,
    StreamLogs,
    ReopenLogs,
    WatchEvents,
    WaitProcess,
    ListStats,
    EnableProcess,
    DisableProcess,
    RotateToken,
}

impl Method {
    /// The table: each method and the lowest role that may call it.
    pub const TABLE: [(Self, Role); 24] = [
        (Self::ListProcesses, Role::Viewer),
        (Self::GetProcess, Role::Viewer),
        (Self::GetStatus, Role::Viewer),
        (Self::WatchEvents, Role::Viewer),
        (Self::WaitProcess, Role::Viewer),
        (Self::ListStats, Role::Viewer),
        (Self::StartProcess, Role::Operator),
        (Self::StopProcess, Role::Operator),
        (Self::RestartProcess, Role::Operator),
        (Self::ReloadProcess, Role::Operator),
        (Self::SignalProcess, Role::Operator),
        (Self::ResetProcess, Role::Operator),
        (Self::ReloadConfig, Role::Operator),
        (Self::GetFragments, Role::Operator),
        (Self::StreamLogs, Role::Operator),
        (Self::ReopenLogs, Role::Operator),
        (Self::CreateProcess, Role::Admin),
        (Self::UpdateProcess, Role::Admin),
        (Self::DeleteProcess, Role::Admin),
        (Self::GetOverride, Role::Admin),
        (Self::SetOverride, Role::Admin),
        (Self::EnableProcess, Role::Admin),
        (Self::DisableProcess, Role::Admin),
        (Self::RotateToken, Role::Admin),
    ];

    /// The lowest role that may call it.
    #[must_use]
    pub fn needs(self) -> Role {
        Self::TABLE.iter().find(|(method, _)| *method == self).map_or(Role::Admin, |(_, role)| *role)
    }

    /// The RPC's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ListProcesses => "ListProcesses",
            Self::GetProcess => "GetProcess",
            Self::CreateProcess => "CreateProcess",
            Self::StartProcess => "StartProcess",
            Self::StopProcess => "StopProcess",
            Self::RestartProcess => "RestartProcess",
            Self::ReloadProcess => "ReloadProcess",
            Self::SignalProcess => "SignalProcess",
            Self::ResetProcess => "ResetProcess",
            Self::UpdateProcess => "UpdateProcess",
            Self::DeleteProcess => "DeleteProcess",
            Self::GetFragments => "GetFragments",
            Self::GetOverride => "GetOverride",
            Self::SetOverride => "SetOverride",
            Self::ReloadConfig => "ReloadConfig",
            Self::GetStatus => "GetStatus",
            Self::StreamLogs => "StreamLogs",
            Self::ReopenLogs => "ReopenLogs",
            Self::WatchEvents => "WatchEvents",
            Self::WaitProcess => "WaitProcess",
            Self::ListStats => "ListStats",
            Self::EnableProcess => "EnableProcess",
            Self::DisableProcess => "DisableProcess",
            Self::RotateToken => "RotateToken",
        }
    }
}

/// The other end of a connection, as the kernel told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Unix { uid: u32, gid: u32, pid: Option<i32> },
    Tcp(SocketAddr),
    Tls { address: SocketAddr, client: Option<Certified> },
}

/// `uid 1000 over the Unix socket`, `"ada" at 192.0.2.7:40000 over TLS`
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { uid, .. } => write!(f, "uid {uid} over the Unix socket"),
            Self::Tcp(address) => write!(f, "{address} over TCP"),
            Self::Tls { address, client: None } => write!(f, "{address} over TLS"),
            Self::Tls { address, client: Some(client) } => write!(f, "{client} at {address} over TLS"),
        }
    }
}

/// The other end of a connection with its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    pub(crate) role: Role,
}

/// The rules that turn a peer into a caller.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// The daemon's own user.
    pub(crate) daemon_uid: u32,
    /// The group `dd-procmgrd`, when it exists.
    pub(crate) operators: Option<u32>,
    /// What a TCP caller can present.
    pub(crate) token: Option<Arc<Keeper>>,
    /// What that proves.
    pub(crate) token_role: Role,
    /// Which refusals are told.
    pub(crate) denied: Arc<Denied>,
    /// Who is in that group.
    pub(crate) members: Arc<Members>,
}

impl Policy {
    /// Finds out the role of a peer.
    pub(crate) async fn identify(
        &self,
        peer: Peer,
        authorization: Option<Vec<u8>>,
    ) -> Result<Caller, ControlError> {
        let role = match (peer, self.operators) {
            (Peer::Tcp(_), _) => self.tcp_role(authorization.as_deref())?,
            (Peer::Tls { client, .. }, _) => {
                let certified = client.map_or(Role::Viewer, |client| client.role);
                certified.max(self.tcp_role(authorization.as_deref())?)
            }
            (Peer::Unix { uid, .. }, _) if self.is_admin(uid) => Role::Admin,
            (Peer::Unix { gid, .. }, Some(group)) if gid == group => Role::Operator,
            (Peer::Unix { uid, gid, .. }, Some(group)) => {
                let is_member = self.members.has((uid, gid), group, KNOWN_FOR).await;
                if is_member { Role::Operator } else { Role::Viewer }
            }
            (Peer::Unix { .. }, None) => Role::Viewer,
        };
        Ok(Caller { peer, role })
    }

    /// Whether this user is an admin.
    pub(crate) fn is_admin(&self, uid: u32) -> bool {
        uid == 0 || uid == self.daemon_uid
    }

    fn tcp_role(&self, authorization: Option<&[u8]>) -> Result<Role, ControlError> {
        match (&self.token, authorization) {
            (_, None) => Ok(Role::Viewer),
            (Some(token), Some(header)) if token.matches(header) => Ok(self.token_role),
            (Some(token), Some(_)) => {
                Err(ControlError::new(ErrorKind::Unauthenticated, "the token is not the one of this daemon")
                    .with_hint(format!(
                        "the daemon makes a new one at each start and when it is rotated; read it from {}",
                        token.path().display()
                    )))
            }
            (None, Some(_)) => {
                Err(ControlError::new(ErrorKind::Unauthenticated, "this daemon has no token for TCP")
                    .with_hint("use the Unix socket, or present no token to be a viewer"))
            }
        }
    }

    /// Whether the caller may call the method; else who it is, what is needed, and how to get it.
    pub(crate) fn check(&self, caller: Caller, method: Method) -> Result<(), ControlError> {
        let needs = method.needs();
        if caller.role >= needs {
            return Ok(());
        }
        let message = format!(
            "you are {} with the role {}; {} needs the role {needs}",
            caller.peer,
            caller.role,
            method.as_str()
        );
        let own = self.daemon_uid;
        let hint = match (caller.peer, needs) {
            (Peer::Unix { .. }, Role::Operator) if self.operators.is_some() => {
                "join the group dd-procmgrd (sudo usermod -aG dd-procmgrd $USER, then log in again), or use sudo"
                    .to_owned()
            }
            (Peer::Unix { .. }, _) if own == 0 => "run it as root (sudo)".to_owned(),
            (Peer::Unix { .. }, _) => format!("run it as root (sudo) or as uid {own}, the daemon's own user"),
            (Peer::Tls { client: Some(_), .. }, needs) => {
                format!("use a certificate with the organizational unit {needs} (OU={needs}), or the Unix socket")
            }
            (Peer::Tcp(_) | Peer::Tls { .. }, needs) => match &self.token {
                Some(token) if self.token_role >= needs && caller.role < self.token_role => format!(
                    "present the token in {0} (pm-cli: PM_TOKEN_FILE={0}; others: header authorization: Bearer TOKEN), or use the \
                     Unix socket",
                    token.path().display()
                ),
                _ => "use the Unix socket as root or as the daemon's own user".to_owned(),
            },
        };
        Err(ControlError::new(ErrorKind::PermissionDenied, message).with_hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_000);

    fn policy(token_role: Role) -> (tempfile::TempDir, Policy) {
        let dir = tempfile::tempdir().unwrap();
        let token = crate::Token::create(&dir.path().join("token"), None).unwrap();
        let token = Some(Arc::new(Keeper::new(token)));
        let (denied, members) = (Arc::default(), Arc::default());
        (dir, Policy { daemon_uid: 990, operators: Some(991), token, token_role, denied, members })
    }

    fn certified(units: &[&str]) -> Peer {
        let units = units.iter().map(|unit| (*unit).to_owned()).collect();
        let client = Certified::of(&tls::Identity { common_name: "ada".into(), units });
        Peer::Tls { address: LOCAL, client: Some(client) }
    }

    fn unix(uid: u32, gid: u32) -> Peer {
        Peer::Unix { uid, gid, pid: Some(7) }
    }

    #[tokio::test]
    async fn who_gets_which_role() {
        let (_dir, policy) = policy(Role::Operator);
        let good = policy.token.as_ref().unwrap().token().header().into_bytes();
        let cases = [
            (unix(0, 0), None, Role::Admin),
            (unix(990, 990), None, Role::Admin),
            (unix(4_000_001, 991), None, Role::Operator),
            (unix(4_000_001, 4_000_001), None, Role::Viewer),
            // A token is for TCP; over the socket the credentials decide.
            (unix(4_000_001, 4_000_001), Some(good.clone()), Role::Viewer),
            (Peer::Tcp(LOCAL), None, Role::Viewer),
            (Peer::Tcp(LOCAL), Some(good.clone()), Role::Operator),
            (certified(&[]), None, Role::Viewer),
            (certified(&["operator"]), None, Role::Operator),
            (certified(&["admin"]), None, Role::Admin),
            // What more is proven counts.
            (certified(&[]), Some(good.clone()), Role::Operator),
            (certified(&["admin"]), Some(good.clone()), Role::Admin),
            (Peer::Tls { address: LOCAL, client: None }, None, Role::Viewer),
            (Peer::Tls { address: LOCAL, client: None }, Some(good), Role::Operator),
        ];
        for (peer, header, role) in cases {
            assert_eq!(policy.identify(peer, header).await.unwrap().role, role, "{peer}");
        }
        for peer in [Peer::Tcp(LOCAL), certified(&["admin"])] {
            let bad = policy.identify(peer, Some(b"Bearer no".to_vec())).await.unwrap_err();
            assert_eq!(bad.kind, ErrorKind::Unauthenticated, "{peer}");
        }
    }

    #[test]
    fn every_cell_of_the_table() {
        let (_dir, policy) = policy(Role::Operator);
        let allowed = |role: Role| -> Vec<&'static str> {
            let caller = Caller { peer: unix(1000, 1000), role };
            let mut names: Vec<_> = Method::TABLE
                .iter()
                .filter(|(method, _)| policy.check(caller, *method).is_ok())
                .map(|(method, _)| method.as_str())
                .collect();
            names.sort_unstable();
            names
        };
        let viewer = ["GetProcess", "GetStatus", "ListProcesses", "ListStats", "WaitProcess", "WatchEvents"];
        let operator = [
            "GetFragments",
            "GetProcess",
            "GetStatus",
            "ListProcesses",
            "ListStats",
            "ReloadConfig",
            "ReloadProcess",
            "ReopenLogs",
            "ResetProcess",
            "RestartProcess",
            "SignalProcess",
            "StartProcess",
            "StopProcess",
            "StreamLogs",
            "WaitProcess",
            "WatchEvents",
        ];
        assert_eq!(allowed(Role::Viewer), viewer);
        assert_eq!(allowed(Role::Operator), operator);
        assert_eq!(allowed(Role::Admin).len(), Method::TABLE.len());
    }

    #[test]
    fn the_documentation_shows_the_table() {
        let text = include_str!("../../../docs/API.md");
        let rows = Method::TABLE.map(|(method, role)| format!("| `{}` | {role} |\n", method.as_str()));
        assert!(text.contains(&rows.concat()), "docs/API.md should hold\n{}", rows.concat());
    }

    #[test]
    fn a_refusal_says_who_what_and_how() {
        let (_dir, policy) = policy(Role::Operator);
        let refused = |peer, role, method| policy.check(Caller { peer, role }, method).unwrap_err();

        let e = refused(unix(1000, 1000), Role::Viewer, Method::StopProcess);
        assert_eq!(
            e.message,
            "you are uid 1000 over the Unix socket with the role viewer; StopProcess needs the role operator"
        );
        assert!(e.hint.unwrap().contains("usermod -aG dd-procmgrd"));

        let e = refused(unix(1000, 1000), Role::Operator, Method::CreateProcess);
        assert!(e.hint.unwrap().contains("uid 990"));

        let e = refused(Peer::Tcp(LOCAL), Role::Viewer, Method::StopProcess);
        assert!(e.hint.unwrap().contains("authorization: Bearer"));

        let e = refused(Peer::Tcp(LOCAL), Role::Operator, Method::CreateProcess);
        assert!(e.hint.unwrap().contains("Unix socket"));

        let e = refused(certified(&[]), Role::Viewer, Method::StopProcess);
        assert!(
            e.message.starts_with("you are \"ada\" at 127.0.0.1:40000 over TLS with the role viewer;"),
            "{e}"
        );
        assert!(e.hint.unwrap().contains("OU=operator"));
    }
}
