//! `token`: the secret that callers over TCP present.

use std::fs;
use std::path::PathBuf;

use rpc::{Target, Token};
use serde_json::json;

use crate::FAILED;
use crate::args::TokenVerb;
use crate::find;
use crate::report::{Failure, Session, Stop};

pub(super) async fn run(session: &mut Session<'_>, verb: TokenVerb) -> Result<(), Stop> {
    match verb {
        TokenVerb::Path => {
            let path = path(session)?.to_string_lossy().into_owned();
            if session.json() {
                return session.write_json(&json!({ "path": path }));
            }
            session.show(&format!("{path}\n"))
        }
        TokenVerb::Show => {
            let path = path(session)?;
            let secret = fs::read_to_string(&path).map_err(|e| {
                Failure::new(FAILED, format!("can't read the token in {}: {e}", path.display()))
            })?;
            let secret = secret.trim();
            if session.json() {
                return session.write_json(&json!({ "path": path.to_string_lossy(), "token": secret }));
            }
            session.show(&format!("{secret}\n"))
        }
        TokenVerb::Rotate => {
            let path = session.connect().await?.client.rotate_token().await?;
            if session.json() {
                return session.write_json(&json!({ "path": path }));
            }
            session.show(&format!("there is a new token in {path}; the old one is void\n"))
        }
    }
}

/// The file of the token that would be presented.
fn path(session: &Session<'_>) -> Result<PathBuf, Failure> {
    let places = find::places(session.context, &session.global)?;
    let targets = || places.iter().flat_map(|place| &place.targets);
    let presented = targets().find_map(|target| match target {
        Target::Tcp(_, Some(token)) | Target::Tls(_, Some(token), _) => Some(token.path().to_owned()),
        _ => None,
    });
    // A daemon keeps its token beside its socket.
    let beside = targets().filter_map(|target| match target {
        Target::Unix(path) => Some(path.with_file_name("token")),
        _ => None,
    });
    // A file that is named is the only one.
    let beside = beside.filter(|_| session.context.var("PM_TOKEN_FILE").is_none());
    let mut looked: Vec<PathBuf> = beside.chain(find::token_files(session.context)).collect();
    looked.dedup();
    if let Some(path) = presented.or_else(|| looked.iter().find(|path| Token::read(path).is_ok()).cloned()) {
        return Ok(path);
    }
    let why = |path: &PathBuf| {
        let why = Token::read(path).err().map_or(String::new(), |e| e.to_string());
        format!("\n  {}: {why}", path.display())
    };
    let places: String = looked.iter().map(why).collect();
    Err(Failure::new(FAILED, format!("no token is found; looked at{places}")).with_hint(
        "a daemon that listens on TCP writes it beside its socket, for itself and for members of its group; another one is \
         named by PM_TOKEN_FILE or by the token_file of a context",
    ))
}
