//! Where the daemon may be, in the order in which it is looked for.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rpc::{Client, ClientError, Target, Token, Unreachable};

use crate::args::Global;
use crate::context::Context;
use crate::diagnosis::{self, Looked};
use crate::report::Failure;
use crate::saved::{Entry, Saved};
use crate::{FAILED, USAGE};

const SOCKET: &str = "control.sock";
const TOKEN: &str = "token";
const DEFAULT_ADDRESS: &str = "127.0.0.1:50051";
const DEFAULT_PORT: u16 = 50051;
/// Connecting on one machine takes microseconds; whatever takes this long doesn't answer.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection, and whether it leads to the user's own daemon.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) client: Client,
    /// Where it answered.
    pub(crate) target: Target,
    pub(crate) own: bool,
}

impl Found {
    /// What tells the entries of this daemon from others, for journalctl: whose journal has them is a matter of who it runs
    /// as, not of who asks.
    pub(crate) async fn journal(&mut self, own: u32) -> String {
        let daemon = self.client.status().await.map(|status| status.uid).ok();
        journal(daemon, own, self.own)
    }
}

/// `at_home` = it was found where the user's own daemon is.
fn journal(daemon: Option<u32>, own: u32, at_home: bool) -> String {
    match daemon {
        Some(uid) if at_home && uid != own && uid != 0 => format!("_UID={uid}"),
        Some(0) => "-u dd-procmgrd".to_owned(),
        _ if at_home => "--user -u dd-procmgrd".to_owned(),
        _ => "-u dd-procmgrd".to_owned(),
    }
}

/// Where one daemon may be.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// What it is called where there are several.
    pub(crate) label: String,
    /// Tried one after the other.
    pub(crate) targets: Vec<Target>,
    /// What said so, where that was neither an option nor the program itself.
    said: String,
}

/// Connects to the first daemon that is there.
pub(crate) async fn connect(context: &Context, global: &Global) -> Result<Found, Failure> {
    let places = places(context, global)?;
    match places.as_slice() {
        [place] => reach(context, global, place).await,
        _ => Err(Failure::new(USAGE, "this works on one daemon at a time")
            .with_hint("name one --host or one --context")),
    }
}

/// Connects to the first daemon of a place that is there.
pub(crate) async fn reach(context: &Context, global: &Global, place: &Place) -> Result<Found, Failure> {
    let limit = global.timeout.map_or(CONNECT, |timeout| timeout.min(CONNECT));
    let mut looked = Vec::new();
    for target in &place.targets {
        match Client::connect(target, limit).await {
            Ok(client) => {
                let own = matches!(target, Target::Unix(path) if !path.starts_with(&context.system_dir))
                    && context.uid != 0;
                let client = client.with_timeout(global.timeout);
                return Ok(Found { client, target: target.clone(), own });
            }
            Err(ClientError::Unreachable { target: at, why }) => looked.push(Looked {
                at: format!("{at}{}", place.said),
                local: is_local(target),
                denied: matches!(why, Unreachable::Denied),
                tls: matches!(why, Unreachable::Tls(_)),
                why: match target {
                    Target::Unix(path)
                        if matches!(why, Unreachable::Refused)
                            && fs::metadata(path).is_ok_and(|m| m.is_file()) =>
                    {
                        "this is a file and no socket".to_owned()
                    }
                    _ => why.to_string(),
                },
            }),
            Err(other) => return Err(Failure::new(FAILED, other.to_string())),
        }
    }
    Err(diagnosis::unreachable(context, &looked))
}

/// The daemons that are meant: those that were said explicitly, by an option, a variable, or the current context; else
/// the one of this machine.
pub(crate) fn places(context: &Context, global: &Global) -> Result<Vec<Place>, Failure> {
    let unix = |path: &str, said: &str| Place {
        label: path.to_owned(),
        targets: vec![Target::Unix(path.into())],
        said: said.to_owned(),
    };
    if let Some(path) = &global.socket {
        return Ok(vec![unix(path, "")]);
    }
    if !global.host.is_empty() {
        return once(&global.host).map(|address| host(context, address, "--host", "")).collect();
    }
    if !global.context.is_empty() {
        let saved = Saved::read(context)?;
        return once(&global.context).map(|name| at(context, name, saved.get(name)?, "")).collect();
    }
    if let Some(name) = context.var("PM_CONTEXT") {
        return Ok(vec![at(context, name, Saved::read(context)?.get(name)?, " (from PM_CONTEXT)")?]);
    }
    if let Some(path) = context.var("PM_SOCKET") {
        return Ok(vec![unix(path, " (from PM_SOCKET)")]);
    }
    if let Some(address) = context.var("PM_HOST") {
        return Ok(vec![host(context, address, "PM_HOST", " (from PM_HOST)")?]);
    }
    let saved = Saved::read(context)?;
    if let Some(name) = &saved.current {
        return Ok(vec![at(context, name, saved.get(name)?, &format!(" (the current context, {name})"))?]);
    }
    Ok(vec![Place { label: "here".to_owned(), targets: here(context), said: String::new() }])
}

/// What `--host` says: an address, or a path to a socket as other programs take it there.
fn host(context: &Context, text: &str, option: &str, said: &str) -> Result<Place, Failure> {
    let place = |target| Place { label: text.to_owned(), targets: vec![target], said: said.to_owned() };
    if let Some(path) = socket_path(text) {
        return Ok(place(Target::Unix(path.into())));
    }
    check_address(text)
        .map_err(|(why, hint)| Failure::new(USAGE, format!("{option} {text:?}: {why}")).with_hint(hint))?;
    named_token(context)?;
    let address = with_port(text);
    let token = token(context, &address);
    Ok(place(Target::Tcp(address, token)))
}

/// `/run/x.sock`, `unix:/run/x.sock`, `unix:///run/x.sock`.
fn socket_path(text: &str) -> Option<&str> {
    let path = text.strip_prefix("unix:").map(|path| path.strip_prefix("//").unwrap_or(path));
    path.or(Some(text)).filter(|path| path.starts_with('/'))
}

/// What is wrong with an address, and the way out.
pub(crate) fn check_address(text: &str) -> Result<(), (String, String)> {
    let fault = |why: &str, hint: String| Err((why.to_owned(), hint));
    if let Some((scheme, rest)) = text.split_once("://") {
        let bare = rest.trim_end_matches('/');
        let encrypted = if scheme == "https" {
            "; encryption is a matter of certificates: pm-cli context add --help"
        } else {
            ""
        };
        return fault("an address has no scheme", format!("write {bare}{encrypted}"));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if host.is_empty() {
        return fault("there is no host in it", format!("write localhost{text}, for example"));
    }
    if host.contains(['/', ' ', '@']) {
        return fault("that is no host", "write HOST, HOST:PORT, or the path of a socket".to_owned());
    }
    if host.contains(':') && !host.starts_with('[') {
        return fault("an IPv6 address stands in brackets", format!("write [{text}]"));
    }
    match port.map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(()),
        Some(_) => fault(
            "the port is a number from 1 to 65535",
            format!("write {host}:{DEFAULT_PORT}, or {host} alone for that port"),
        ),
    }
}

/// The user's own daemon, the system's, and its TCP port.
fn here(context: &Context) -> Vec<Target> {
    let mut targets = Vec::new();
    targets.extend(user_dir(context).map(|dir| Target::Unix(dir.join(SOCKET))));
    targets.push(Target::Unix(context.system_dir.join(SOCKET)));
    // As the daemon reads it: it may have been told to listen nowhere.
    let address = context.var("PM_BIND_ADDRESS").unwrap_or(DEFAULT_ADDRESS);
    if !["off", "none"].contains(&address) {
        targets.push(Target::Tcp(address.to_owned(), token(context, address)));
    }
    targets
}

/// Where a saved context says that the daemon is.
fn at(context: &Context, name: &str, entry: &Entry, said: &str) -> Result<Place, Failure> {
    let target = match (&entry.socket, &entry.host) {
        (Some(path), _) => Target::Unix(path.clone()),
        (None, host) => {
            let address = with_port(host.as_deref().unwrap_or(DEFAULT_ADDRESS));
            let token = match &entry.token_file {
                Some(path) => Some(Token::read(path).map_err(|e| {
                    Failure::new(
                        FAILED,
                        format!("can't read the token of context {name}, {}: {e}", path.display()),
                    )
                    .with_hint(
                        "copy it from the daemon's runtime directory, or take token_file out of the context",
                    )
                })?),
                None => token(context, &address),
            };
            match &entry.tls {
                None => Target::Tcp(address, token),
                Some(tls) => Target::Tls(address, token, tls.files()),
            }
        }
    };
    Ok(Place { label: name.to_owned(), targets: vec![target], said: said.to_owned() })
}

/// Each of them once.
fn once(words: &[String]) -> impl Iterator<Item = &String> {
    words.iter().enumerate().filter(|(i, word)| !words[..*i].contains(word)).map(|(_, word)| word)
}

/// `prod-1` is `prod-1:50051`.
fn with_port(address: &str) -> String {
    let bare = !address.contains(':') || address.ends_with(']');
    if bare { format!("{address}:{DEFAULT_PORT}") } else { address.to_owned() }
}

/// Whether a daemon behind it would be one of this machine.
pub(crate) fn is_local(target: &Target) -> bool {
    match target {
        Target::Unix(_) => true,
        other => is_here(&other.to_string()),
    }
}

/// Whether `host:port` is an address of this machine's own.
fn is_here(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
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

/// The files in which a token may lie, in the order in which they are looked at.
pub(crate) fn token_files(context: &Context) -> Vec<PathBuf> {
    if let Some(path) = context.var("PM_TOKEN_FILE") {
        return vec![path.into()];
    }
    let dirs = user_dir(context).into_iter().chain([context.system_dir.clone()]);
    dirs.map(|dir| dir.join(TOKEN)).collect()
}

/// A file that was named has to be there: without its token the caller would be a mere viewer and not know why. An empty
/// one, as /dev/null, is no token.
fn named_token(context: &Context) -> Result<(), Failure> {
    let Some(path) = context.var("PM_TOKEN_FILE") else { return Ok(()) };
    std::fs::File::open(path).map(drop).map_err(|e| {
        Failure::new(FAILED, format!("can't read the token in PM_TOKEN_FILE, {path}: {e}"))
            .with_hint("name the token of the daemon's runtime directory, or unset it to be a viewer")
    })
}

/// The token to present to `address`: of the file that was named, else the first one that can be read. What lies on this
/// machine is the token of a daemon of this machine: another host that got it could command that daemon.
fn token(context: &Context, address: &str) -> Option<Token> {
    let may = context.var("PM_TOKEN_FILE").is_some() || is_here(address);
    token_files(context).iter().filter(|_| may).find_map(|path| Token::read(path).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::surroundings;

    fn shown(uid: u32, env: &[(&str, &str)], global: &Global) -> Vec<String> {
        let mut context = surroundings(uid);
        context.env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let places = places(&context, global).unwrap();
        places.iter().flat_map(|place| &place.targets).map(ToString::to_string).collect()
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
        for nowhere in ["off", "none"] {
            assert_eq!(shown(0, &[("PM_BIND_ADDRESS", nowhere)], &any), [system]);
        }
        assert_eq!(shown(0, &[("PM_SOCKET", "/s")], &any), ["/s"]);
        assert_eq!(shown(0, &[("PM_SOCKET", "")], &any), [system, tcp]);
        assert_eq!(shown(0, &[("PM_HOST", "h:1")], &any), ["h:1"]);
        let host = Global { host: vec!["h:2".into()], ..Global::default() };
        assert_eq!(shown(0, &[("PM_SOCKET", "/s")], &host), ["h:2"], "an option wins over the environment");
    }

    #[test]
    fn a_token_that_was_found_goes_to_no_other_machine() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        fs::write(&file, "secret\n").unwrap();
        let mut context = surroundings(0);
        context.system_dir = dir.path().to_owned();
        for here in ["127.0.0.1:1", "localhost:50051", "[::1]:50051", "0.0.0.0:1"] {
            assert!(token(&context, here).is_some(), "{here}");
        }
        for elsewhere in ["prod-1:50051", "10.0.0.1:50051", "[2001:db8::1]:1", "localhost.example:1"] {
            assert!(token(&context, elsewhere).is_none(), "{elsewhere}");
        }
        context.env.insert("PM_TOKEN_FILE".into(), file.to_str().unwrap().into());
        assert!(token(&context, "prod-1:50051").is_some(), "it was named for that");
    }

    #[test]
    fn several_hosts_are_taken_once_and_get_the_usual_port() {
        let host = Global { host: ["a", "b:1", "a", "[::1]"].map(String::from).into(), ..Global::default() };
        assert_eq!(shown(0, &[], &host), ["a:50051", "b:1", "[::1]:50051"]);
    }

    #[test]
    fn a_host_may_be_a_socket() {
        for (text, path) in [
            ("/run/x.sock", Some("/run/x.sock")),
            ("unix:/run/x.sock", Some("/run/x.sock")),
            ("unix:///run/x.sock", Some("/run/x.sock")),
            ("unix", None),
            ("unix:1", None),
            ("h:1", None),
        ] {
            assert_eq!(socket_path(text), path, "{text}");
        }
    }

    #[test]
    fn addresses_that_cant_be_say_how_to_write_them() {
        for text in ["h", "h:1", "[::1]", "[::1]:50051", "10.0.0.1:65535", "a-b.c"] {
            assert_eq!(check_address(text), Ok(()), "{text}");
        }
        for (text, hint) in [
            ("http://h:1", "write h:1"),
            ("https://h:1/", "write h:1; encryption"),
            ("grpc://h", "write h"),
            (":1", "localhost:1"),
            ("h:0", "h:50051"),
            ("h:65536", "h:50051"),
            ("h:", "h:50051"),
            ("h:x", "h:50051"),
            ("::1", "[::1]"),
            ("a/b", "HOST"),
            ("", "localhost"),
        ] {
            let (_, told) = check_address(text).unwrap_err();
            assert!(told.contains(hint), "{text}: {told}");
        }
    }

    #[test]
    fn contexts_come_before_the_environment_and_the_current_one_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("dd-procmgrd")).unwrap();
        let text = "current: b\ncontexts:\n  a: {socket: /a}\n  b: {host: b}\n";
        fs::write(dir.path().join("dd-procmgrd/cli.yaml"), text).unwrap();
        let config = ("XDG_CONFIG_HOME", dir.path().to_str().unwrap());
        let any = Global::default();
        assert_eq!(shown(0, &[config], &any), ["b:50051"]);
        assert_eq!(shown(0, &[config, ("PM_SOCKET", "/s")], &any), ["/s"]);
        assert_eq!(shown(0, &[config, ("PM_SOCKET", "/s"), ("PM_CONTEXT", "a")], &any), ["/a"]);
        let named = Global { context: vec!["b".into(), "a".into()], ..Global::default() };
        assert_eq!(shown(0, &[config, ("PM_CONTEXT", "x")], &named), ["b:50051", "/a"]);
    }

    #[test]
    fn whose_journal_it_is_depends_on_the_daemon() {
        for (daemon, own, at_home, expected) in [
            (Some(1000), 1000, true, "--user -u dd-procmgrd"),
            (None, 1000, true, "--user -u dd-procmgrd"),
            (Some(0), 1000, true, "-u dd-procmgrd"),
            (Some(1001), 1000, true, "_UID=1001"),
            // The system's daemon may run as a user of its own.
            (Some(998), 1000, false, "-u dd-procmgrd"),
            (Some(0), 0, false, "-u dd-procmgrd"),
            (None, 0, false, "-u dd-procmgrd"),
        ] {
            assert_eq!(journal(daemon, own, at_home), expected, "{daemon:?} {own} {at_home}");
        }
    }

    #[test]
    fn which_targets_are_of_this_machine() {
        for (address, local) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("localhost:1", true),
            ("0.0.0.0:1", true),
            ("10.0.0.1:1", false),
            ("prod:1", false),
        ] {
            assert_eq!(is_local(&Target::Tcp(address.into(), None)), local, "{address}");
        }
        assert!(is_local(&Target::Unix("/s".into())));
    }
}
