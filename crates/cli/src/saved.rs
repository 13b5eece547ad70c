//! Saved contexts: where daemons are, under names, in the user's `cli.yaml`.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::report::Failure;
use crate::select::nearest;
use crate::{FAILED, USAGE};

/// A file of names and addresses; anything longer is not one.
const MAX_FILE: u64 = 1 << 20;
/// Names that an error lists.
const LISTED: usize = 20;
const LONGEST_NAME: usize = 64;

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// The one that is used when nothing else is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Entry>,
}

/// Where one daemon is: its socket, or its host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) socket: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<Tls>,
}

/// How TLS is spoken with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) ca: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cert: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_name: Option<String>,
}

/// Where the file is: `$XDG_CONFIG_HOME/dd-procmgrd/cli.yaml`, else below `~/.config`.
pub(crate) fn file(context: &Context) -> Option<PathBuf> {
    let absolute = |key: &str| context.var(key).map(PathBuf::from).filter(|path| path.is_absolute());
    let dir = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(dir.join("dd-procmgrd/cli.yaml"))
}

impl Saved {
    /// What is saved; nothing when there is no file.
    pub(crate) fn read(context: &Context) -> Result<Self, Failure> {
        let Some(path) = file(context) else { return Ok(Self::default()) };
        let failed = |why: String| {
            Failure::new(FAILED, format!("can't use the saved contexts in {}: {why}", path.display()))
                .with_hint("put the file right, or remove it; --socket and --host work without it")
        };
        let mut text = String::new();
        match fs::File::open(&path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)) {
            // Whoever has another user's HOME, as with `su` and `sudo -E`, has no contexts of his own there.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied
                ) =>
            {
                return Ok(Self::default());
            }
            Err(e) => return Err(failed(e.to_string())),
            Ok(_) => {}
        }
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut saved: Self = serde_yaml::from_str(&text).map_err(|e| failed(e.to_string()))?;
        for (name, entry) in &mut saved.contexts {
            entry.check().map_err(|why| failed(format!("context {name}: {why}")))?;
            entry.resolve(path.parent().unwrap_or(Path::new("/")), context.var("HOME"));
        }
        Ok(saved)
    }

    /// Replaces the file. Nobody ever sees half of it.
    pub(crate) fn write(&self, context: &Context) -> Result<PathBuf, Failure> {
        let path = file(context).ok_or_else(|| {
            Failure::new(FAILED, "there is no place to save contexts")
                .with_hint("set HOME or XDG_CONFIG_HOME")
        })?;
        let written = || -> io::Result<()> {
            let dir = path.parent().unwrap_or(Path::new("/"));
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            // Private from its first moment on: tempfile makes it 0600.
            let mut fresh = tempfile::NamedTempFile::new_in(dir)?;
            let text = serde_yaml::to_string(self).map_err(io::Error::other)?;
            fresh.write_all(b"# Written by pm-cli context; comments are not kept.\n")?;
            fresh.write_all(text.as_bytes())?;
            fresh.persist(&path)?;
            Ok(())
        };
        written().map_err(|e| Failure::new(FAILED, format!("can't write {}: {e}", path.display())))?;
        Ok(path)
    }

    /// The context of that name.
    pub(crate) fn get(&self, name: &str) -> Result<&Entry, Failure> {
        self.contexts.get(name).ok_or_else(|| {
            let shown: String = name.chars().take(LONGEST_NAME).collect();
            let meant = nearest(&shown, self.contexts.keys().map(String::as_str));
            let meant = meant.map_or(String::new(), |known| format!("did you mean {known}? "));
            let listed: Vec<&str> = self.contexts.keys().take(LISTED).map(String::as_str).collect();
            let more = if self.contexts.len() > LISTED { ", …" } else { "" };
            let hint = if listed.is_empty() {
                "none is saved; save one: pm-cli context add NAME --host ADDR".to_owned()
            } else {
                format!("{meant}saved are {}{more}", listed.join(", "))
            };
            Failure::new(USAGE, format!("there is no context {shown:?}")).with_hint(hint)
        })
    }
}

impl Entry {
    fn check(&self) -> Result<(), &'static str> {
        match (&self.socket, &self.host) {
            (Some(_), Some(_)) => Err("it has both socket and host; one of them is where the daemon is"),
            (None, None) => Err("it has neither socket nor host"),
            (Some(_), None) if self.tls.is_some() || self.token_file.is_some() => {
                Err("tls and token_file go with host; over a socket the kernel says who you are")
            }
            _ => match &self.tls {
                Some(tls) if tls.cert.is_some() != tls.key.is_some() => {
                    Err("tls.cert and tls.key go together")
                }
                _ => Ok(()),
            },
        }
    }

    /// Paths as they are meant: `~/x` is below the home directory, others are relative to the file.
    fn resolve(&mut self, dir: &Path, home: Option<&str>) {
        let tls = self.tls.as_mut().map(|tls| [Some(&mut tls.ca), tls.cert.as_mut(), tls.key.as_mut()]);
        let paths =
            [self.socket.as_mut(), self.token_file.as_mut()].into_iter().chain(tls.into_iter().flatten());
        for path in paths.flatten() {
            *path = match (path.strip_prefix("~"), home) {
                (Ok(rest), Some(home)) => Path::new(home).join(rest),
                _ => dir.join(&*path),
            };
        }
    }
}

impl Tls {
    /// What the connection needs.
    pub(crate) fn files(&self) -> rpc::TlsFiles {
        rpc::TlsFiles {
            ca: Some(self.ca.clone()),
            cert: self.cert.clone(),
            key: self.key.clone(),
            server_name: self.server_name.clone(),
        }
    }
}

/// Whether a context can have this name: it is typed between commas.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    let good = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
        && name.len() <= LONGEST_NAME;
    if good {
        return Ok(());
    }
    let failure = Failure::new(USAGE, format!("{name:?} is no name for a context"));
    Err(failure.with_hint("write letters, digits and _ . -, at most 64, a letter or digit first"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::surroundings;

    fn with(text: &str) -> (tempfile::TempDir, Context) {
        let dir = tempfile::tempdir().unwrap();
        let mut context = surroundings(0);
        context.env.insert("XDG_CONFIG_HOME".into(), dir.path().to_str().unwrap().into());
        context.env.insert("HOME".into(), "/home/me".into());
        if !text.is_empty() {
            fs::create_dir(dir.path().join("dd-procmgrd")).unwrap();
            fs::write(dir.path().join("dd-procmgrd/cli.yaml"), text).unwrap();
        }
        (dir, context)
    }

    #[test]
    fn what_is_written_is_read_again_and_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let (dir, context) = with("");
        assert_eq!(Saved::read(&context).unwrap(), Saved::default());
        let mut saved = Saved { current: Some("a".into()), ..Saved::default() };
        saved.contexts.insert("a".into(), Entry { socket: Some("/s".into()), ..Entry::default() });
        let tls = Tls {
            ca: "/ca".into(),
            cert: Some("/c".into()),
            key: Some("/k".into()),
            server_name: Some("n".into()),
        };
        let entry =
            Entry { host: Some("h:1".into()), token_file: Some("/t".into()), tls: Some(tls), socket: None };
        saved.contexts.insert("b".into(), entry);
        let path = saved.write(&context).unwrap();
        assert_eq!(Saved::read(&context).unwrap(), saved);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&dir.path().join("dd-procmgrd"))), (0o600, 0o700));
        assert_eq!(fs::read_dir(dir.path().join("dd-procmgrd")).unwrap().count(), 1);
    }

    #[test]
    fn paths_mean_the_home_or_the_files_directory() {
        let (dir, context) = with("contexts:\n  a: {host: h, token_file: ~/t, tls: {ca: ca.pem}}\n");
        let saved = Saved::read(&context).unwrap();
        let entry = saved.get("a").unwrap();
        assert_eq!(entry.token_file.as_deref(), Some(Path::new("/home/me/t")));
        assert_eq!(entry.tls.as_ref().unwrap().ca, dir.path().join("dd-procmgrd/ca.pem"));
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said_with_its_place() {
        for (text, wanted) in [
            ("contexts: [", "line 1"),
            ("contexts:\n  a: {hots: x}\n", "unknown field `hots`"),
            ("contexts:\n  a: {}\n", "context a: it has neither socket nor host"),
            ("contexts:\n  a: {host: x, socket: /y}\n", "context a: it has both"),
            ("contexts:\n  a: {socket: /y, tls: {ca: x}}\n", "go with host"),
            ("contexts:\n  a: {host: x, tls: {ca: x, key: y}}\n", "go together"),
        ] {
            let (_dir, context) = with(text);
            let failure = Saved::read(&context).unwrap_err();
            assert!(
                failure.message.contains("cli.yaml") && failure.message.contains(wanted),
                "{}",
                failure.message
            );
        }
    }

    #[test]
    fn an_unknown_name_gets_the_nearest_known_one() {
        let (_dir, context) = with("contexts:\n  prod-1: {host: a}\n  prod-2: {host: b}\n");
        let saved = Saved::read(&context).unwrap();
        let failure = saved.get("pord-2").unwrap_err();
        assert_eq!(failure.hint(), "did you mean prod-2? saved are prod-1, prod-2");
        assert!(Saved::default().get("x").unwrap_err().hint().starts_with("none is saved"));
        for name in ["", "a,b", "-a", "a b", "a\u{1b}", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("prod-1.example").is_ok());
    }
}
