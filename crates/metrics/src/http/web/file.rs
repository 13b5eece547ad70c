//! The file: its keys, and what is wrong with them.

use std::fmt;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use tls::{ClientAuth, Files};

use super::WebError;

/// Longer ones are another kind of file.
const MAX_FILE: u64 = 1 << 20;
/// Costs of bcrypt that are taken: 4 is the least there is, and beyond 14 one password takes a second and more.
const COSTS: std::ops::RangeInclusive<u32> = 4..=14;

/// What the file says, checked, with absolute paths.
#[derive(Debug)]
pub(super) struct WebFile {
    pub(super) tls: Option<(Files, ClientAuth)>,
    /// Names and bcrypt hashes.
    pub(super) users: Vec<(String, String)>,
    pub(super) bearer_token_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    tls_server_config: Option<WrittenTls>,
    basic_auth_users: WrittenUsers,
    bearer_token_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTls {
    cert_file: PathBuf,
    key_file: PathBuf,
    #[serde(default)]
    client_auth_type: Option<String>,
    #[serde(default)]
    client_ca_file: Option<PathBuf>,
}

/// A map would keep the last one of two users of the same name, and say nothing.
#[derive(Debug, Default)]
struct WrittenUsers(Vec<(String, String)>);

impl<'de> Deserialize<'de> for WrittenUsers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = WrittenUsers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("users with bcrypt hashes of their passwords")
            }
            fn visit_unit<E>(self) -> Result<WrittenUsers, E> {
                Ok(WrittenUsers::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WrittenUsers, A::Error> {
                let mut users: Vec<(String, String)> = Vec::new();
                while let Some((name, hash)) = map.next_entry::<String, String>()? {
                    if users.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("the user {name:?} stands there twice")));
                    }
                    users.push((name, hash));
                }
                Ok(WrittenUsers(users))
            }
        }
        deserializer.deserialize_any(Pairs)
    }
}

impl WebFile {
    pub(super) fn read(path: &Path) -> Result<Self, WebError> {
        let text = read(path)?;
        let wrong = |what: String| WebError(format!("{}: {what}", path.display()));
        let written: Option<Written> =
            serde_yaml::from_str(&text).map_err(|e| wrong(unreadable(&e.to_string())))?;
        let Written { tls_server_config, basic_auth_users, bearer_token_file } = written.unwrap_or_default();
        // As the exporters do it: relative to the file, so that a directory can be moved.
        let beside = |file: PathBuf| path.parent().unwrap_or(Path::new("/")).join(file);
        let tls = tls_server_config.map(|tls| {
            let auth =
                client_auth(tls.client_auth_type.as_deref(), tls.client_ca_file.is_some()).map_err(wrong)?;
            let files = Files {
                cert: beside(tls.cert_file),
                key: beside(tls.key_file),
                client_ca: tls.client_ca_file.map(beside),
            };
            Ok((files, auth))
        });
        for (name, hash) in &basic_auth_users.0 {
            check_hash(hash).map_err(|what| wrong(format!("basic_auth_users.{name}: {what}")))?;
        }
        Ok(Self {
            tls: tls.transpose()?,
            users: basic_auth_users.0,
            bearer_token_file: bearer_token_file.map(beside),
        })
    }
}

/// The parser's words, and the way out where it is a key of the format that is not ours.
fn unreadable(error: &str) -> String {
    const ELSEWHERE: [&str; 9] = [
        "http_server_config",
        "rate_limit",
        "client_allowed_sans",
        "cipher_suites",
        "curve_preferences",
        "min_version",
        "max_version",
        "prefer_server_cipher_suites",
        "cert",
    ];
    let known = ELSEWHERE.iter().any(|key| error.contains(&format!("unknown field `{key}`")));
    let hint =
        if known { "; other exporters know this key, here it has no meaning: take it out" } else { "" };
    format!("{error}{hint}")
}

/// Those that ask for a certificate and don't look at it prove nothing, so that they would only look like safety.
fn client_auth(written: Option<&str>, has_ca: bool) -> Result<ClientAuth, String> {
    let key = "tls_server_config.client_auth_type";
    match (written, has_ca) {
        (None | Some("NoClientCert" | ""), false) => Ok(ClientAuth::None),
        (None | Some("NoClientCert" | ""), true) => Err(format!(
            "client_ca_file is set and nobody has to present a certificate; set {key} to \
                         RequireAndVerifyClientCert, or take client_ca_file out"
        )),
        (Some("VerifyClientCertIfGiven"), true) => Ok(ClientAuth::Optional),
        (Some("RequireAndVerifyClientCert"), true) => Ok(ClientAuth::Required),
        (Some("VerifyClientCertIfGiven" | "RequireAndVerifyClientCert"), false) => {
            Err(format!("{key} needs client_ca_file, the authorities of the clients"))
        }
        (Some(what @ ("RequestClientCert" | "RequireAnyClientCert")), _) => Err(format!(
            "{key}: {what} takes any certificate, which proves nothing; use RequireAndVerifyClientCert"
        )),
        (Some(other), _) => Err(format!(
            "{key}: {other:?} is none of NoClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert"
        )),
    }
}

/// Never shows the hash.
fn check_hash(hash: &str) -> Result<(), String> {
    let cost = hash
        .parse::<bcrypt::HashParts>()
        .map(|parts| parts.get_cost())
        .map_err(|_| "it is no bcrypt hash; make one with htpasswd -nBC 10 NAME".to_owned())?;
    if COSTS.contains(&cost) {
        return Ok(());
    }
    Err(format!(
        "the cost of the hash is {cost}; {} to {} are taken, htpasswd -nBC 10 NAME makes a good one",
        COSTS.start(),
        COSTS.end()
    ))
}

/// The token in a file: its one line.
pub(super) fn token(path: &Path) -> Result<Vec<u8>, WebError> {
    let text = read(path)?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        let what = "it has to hold one line of visible ASCII characters, the token";
        return Err(WebError(format!("{}: {what}", path.display())));
    }
    Ok(token.as_bytes().to_vec())
}

/// A FIFO or a device would hold up whoever reads it.
fn read(path: &Path) -> Result<String, WebError> {
    let wrong = |what: String| WebError(format!("{}: {what}", path.display()));
    let failed =
        |e: std::io::Error| wrong(format!("it can't be read: {e}; the daemon's user has to be able to"));
    let meta = fs::metadata(path).map_err(failed)?;
    if !meta.is_file() || meta.len() > MAX_FILE {
        return Err(wrong("it is no file of at most 1 MiB".to_owned()));
    }
    let mut text = String::new();
    fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)).map_err(failed)?;
    Ok(text)
}
