//! Who may do what with this daemon: operators' group, token, and what is masked.

use anyhow::{Context, Result};
use nix::unistd::{Group, geteuid};
use rpc::{Role, Token};

use crate::settings::Settings;

/// The group whose members may operate a system-wide daemon.
const OPERATORS: &str = "dd-procmgrd";

/// The control server's settings. Makes a new token: one that leaked before this start is worth nothing.
pub(crate) fn rpc_config(
    settings: &Settings,
    tls: Option<rpc::Tls>,
    retry: std::time::Duration,
    drain: std::time::Duration,
) -> Result<rpc::Config> {
    let operators = Group::from_name(OPERATORS).ok().flatten().map(|g| g.gid.as_raw());
    let may_share = operators.filter(|gid| geteuid().is_root() || nix::unistd::getegid().as_raw() == *gid);
    let path = settings.runtime_dir.join("token");
    let token =
        Token::create(&path, may_share).with_context(|| format!("writing the token {}", path.display()))?;
    Ok(rpc::Config {
        unix: Some(settings.socket()),
        tcp: settings.grpc,
        tls,
        tcp_retry: retry,
        daemon_uid: geteuid().as_raw(),
        operators,
        token: Some(token),
        // Whoever can read it is in the group, or is the daemon's own user.
        token_role: if may_share.is_some() { Role::Operator } else { Role::Admin },
        mask: |key, value| config::mask_value(key, value).into_owned(),
        log_dir: settings.layout.log_dir.clone(),
        drain,
    })
}
