//! Where the daemon may be, in the order in which it is looked for.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rpc::{Client, ClientError, Target, Token};

use crate::args::Global;
use crate::context::Context;
use crate::report::Failure;
use crate::{FAILED, UNREACHABLE};

const SOCKET: &str = "control.sock";
const TOKEN: &str = "token";
const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";
/// Connecting on one machine takes microseconds; whatever takes this long doesn't answer.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection, and whether it leads to the user's own daemon.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) client: Client,
    pub(crate) own: bool,
}

/// Connects to the first daemon that is there.
pub(crate) async fn connect(context: &Context, global: &Global) -> Result<Found, Failure> {
    let limit = global.timeout.map_or(CONNECT, |timeout| timeout.min(CONNECT));
    let mut looked = String::new();
    let (targets, variable) = targets(context, global);
    let said = variable.map_or(String::new(), |name| format!(" (from {name})"));
    for target in targets {
        match Client::connect(&target, limit).await {
            Ok(client) => {
                let own = matches!(&target, Target::Unix(path) if !path.starts_with(&context.system_dir))
                    && context.uid != 0;
                return Ok(Found { client: client.with_timeout(global.timeout), own });
            }
            Err(ClientError::Unreachable { target, why }) => {
                looked.push_str(&format!("\n  {target}{said}: {why}"));
            }
            Err(other) => return Err(Failure::new(FAILED, other.to_string())),
        }
    }
    let hint = match context.uid {
        0 => "start it: systemctl start dd-procmgrd, or in the foreground: dd-procmgrd",
        _ => {
            "start it: sudo systemctl start dd-procmgrd, or your own: systemctl --user start dd-procmgrd, or in the \
             foreground: dd-procmgrd"
        }
    };
    Err(Failure::new(UNREACHABLE, format!("no daemon answers; looked at{looked}")).with_hint(hint))
}

/// What was said explicitly is the only place, and the variable that said it; else the user's own daemon, the system's,
/// and its TCP port.
fn targets(context: &Context, global: &Global) -> (Vec<Target>, Option<&'static str>) {
    let unix = |path: &str| vec![Target::Unix(path.into())];
    let tcp = |address: &str| vec![Target::Tcp(address.to_owned(), token(context))];
    if let Some(path) = &global.socket {
        return (unix(path), None);
    }
    if let Some(address) = &global.host {
        return (tcp(address), None);
    }
    if let Some(path) = context.var("PM_SOCKET") {
        return (unix(path), Some("PM_SOCKET"));
    }
    if let Some(address) = context.var("PM_HOST") {
        return (tcp(address), Some("PM_HOST"));
    }
    let mut targets = Vec::new();
    targets.extend(user_dir(context).map(|dir| Target::Unix(dir.join(SOCKET))));
    targets.push(Target::Unix(context.system_dir.join(SOCKET)));
    let address = context.var("PM_BIND_ADDRESS").unwrap_or(DEFAULT_ADDRESS);
    targets.extend(tcp(address));
    (targets, None)
}

/// The runtime directory of the user's own daemon.
fn user_dir(context: &Context) -> Option<PathBuf> {
    if let Some(dir) = context.var("XDG_RUNTIME_DIR") {
        return Some(Path::new(dir).join("dd-procmgrd"));
    }
    let dir = PathBuf::from(format!("/tmp/dd-procmgrd-{}", context.uid));
    // Everybody can create this directory; what is in another user's one is not the own daemon.
    let foreign = fs::symlink_metadata(&dir).is_ok_and(|meta| meta.uid() != context.uid || !meta.is_dir());
    (context.uid != 0 && !foreign).then_some(dir)
}

/// The token to present over TCP: of the file that was named, else the first one that can be read.
fn token(context: &Context) -> Option<Token> {
    if let Some(path) = context.var("PM_TOKEN_FILE") {
        return Token::read(Path::new(path)).ok();
    }
    let dirs = user_dir(context).into_iter().chain([context.system_dir.clone()]);
    dirs.filter_map(|dir| Token::read(&dir.join(TOKEN)).ok()).next()
}

#[cfg(test)]
mod tests {
    use model::Wall;

    use super::*;

    fn shown(uid: u32, env: &[(&str, &str)], global: &Global) -> Vec<String> {
        let context = Context {
            args: vec![],
            env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            cwd: "/".into(),
            system_dir: "/run/dd-procmgrd".into(),
            uid,
            now: Wall(0),
            zone: || jiff::tz::TimeZone::UTC,
            width: None,
            color: false,
            interactive: false,
        };
        targets(&context, global).0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_order_of_search() {
        let any = Global::default();
        let (system, tcp) = ("/run/dd-procmgrd/control.sock", "127.0.0.1:50051");
        assert_eq!(shown(0, &[], &any), [system, tcp]);
        // A user id that no system gives out, so that nobody has that directory.
        assert_eq!(
            shown(4_000_000_001, &[], &any),
            ["/tmp/dd-procmgrd-4000000001/control.sock", system, tcp]
        );
        let xdg = ("XDG_RUNTIME_DIR", "/run/user/7");
        assert_eq!(shown(7, &[xdg], &any), ["/run/user/7/dd-procmgrd/control.sock", system, tcp]);
        let bind = ("PM_BIND_ADDRESS", "127.0.0.1:50052");
        assert_eq!(shown(0, &[bind], &any), [system, "127.0.0.1:50052"]);
        assert_eq!(shown(0, &[("PM_SOCKET", "/s")], &any), ["/s"]);
        assert_eq!(shown(0, &[("PM_SOCKET", "")], &any), [system, tcp]);
        assert_eq!(shown(0, &[("PM_HOST", "h:1")], &any), ["h:1"]);
        let host = Global { host: Some("h:2".into()), ..Global::default() };
        assert_eq!(shown(0, &[("PM_SOCKET", "/s")], &host), ["h:2"], "an option wins over the environment");
    }
}
