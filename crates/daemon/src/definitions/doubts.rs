//! What can be in force and probably doesn't do what is meant: what the checks of files say of what was asked for, and
//! what a definition names that this machine doesn't have.
//!
//! None of it keeps a definition from being in force: a user or a program may be there by the time of the start.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use config::Problem;
use model::{InheritEnv, ProcessSpec, is_shell_word};
use sys::credentials::{self, CredentialsError, CredentialsErrorKind};
use sys::spawn::{ResolveError, resolve_program};

/// A name service that hangs must not keep an answer back: then nothing is said of this machine.
const PATIENCE: Duration = Duration::from_secs(2);
const PATH: &str = "PATH";

/// One doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The key that it is about, as in a definition.
    key: String,
    text: String,
}

impl Doubt {
    fn new(key: &str, message: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        Self { key: key.to_owned(), text: format!("`{key}`: {}; {}", message.as_ref(), hint.as_ref()) }
    }

    /// A warning about what was asked for; the place of an entry in a list says nothing to who did not write a list.
    pub(super) fn of(problem: &Problem) -> Self {
        let key = problem.key.split('[').next().unwrap_or_default();
        Self::new(key, &problem.message, problem.hint.as_deref().unwrap_or("see docs/CONFIG.md"))
    }

    /// Whether it is about one of these keys.
    pub(super) fn is_about(&self, keys: &[&str]) -> bool {
        keys.contains(&self.key.split('.').next().unwrap_or_default())
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// Adds what this machine doesn't have.
pub(super) async fn with_machine(mut doubts: Vec<Doubt>, spec: Arc<ProcessSpec>) -> Vec<Doubt> {
    let looked = tokio::task::spawn_blocking(move || missing(&spec));
    let missing = tokio::time::timeout(PATIENCE, looked).await.ok().and_then(Result::ok).unwrap_or_default();
    // What a shell was to read names no program, and was said already.
    let said = |doubt: &Doubt| doubts.iter().any(|earlier| earlier.key == doubt.key);
    let missing: Vec<Doubt> = missing.into_iter().filter(|doubt| !said(doubt)).collect();
    doubts.extend(missing);
    doubts
}

/// What a definition names and this machine doesn't have. Asks the name services only for names that were written.
fn missing(spec: &ProcessSpec) -> Vec<Doubt> {
    let dir = spec.exec.working_dir.as_deref().unwrap_or(Path::new("/"));
    let directory = working_dir(dir);
    // A relative program below it would only be missing for the same reason.
    let program = if directory.is_some() { None } else { program(spec, dir) };
    [program, directory, account(spec)].into_iter().flatten().collect()
}

fn working_dir(dir: &Path) -> Option<Doubt> {
    let way_out = "create it, or fix `working_dir`";
    match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => None,
        Ok(_) => Some(Doubt::new("working_dir", format!("{} is no directory", dir.display()), way_out)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some(Doubt::new("working_dir", format!("there is no directory {}", dir.display()), way_out))
        }
        // What the daemon may not see may be there.
        Err(_) => None,
    }
}

fn program(spec: &ProcessSpec, dir: &Path) -> Option<Doubt> {
    let exec = &spec.exec;
    let path: Option<OsString> = match (exec.env.get(PATH), &exec.inherit_env) {
        (Some(path), _) => Some(path.into()),
        // Its files are read at each start; what they say of PATH is not asked here.
        (None, _) if !exec.environment_files.is_empty() && !exec.program.contains('/') => return None,
        (None, InheritEnv::All) => std::env::var_os(PATH),
        (None, InheritEnv::Names(names)) if names.iter().any(|name| name == PATH) => std::env::var_os(PATH),
        (None, _) => None,
    };
    let error = resolve_program(OsStr::new(&exec.program), path.as_deref(), Some(dir)).err()?;
    let doubt = |message: String, hint: &str| Some(Doubt::new("command", message, hint));
    if is_shell_word(&exec.program) {
        let message = format!("`{}` is a word of the shell and no program, and no shell runs", exec.program);
        return doubt(message, "for a shell write `sh -c '...'`");
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ResolveError>())? {
        ResolveError::NotInPath { name, path } => doubt(
            format!("there is no program {name} on the daemon's machine (searched {path})"),
            "install it, or write its full path",
        ),
        ResolveError::Missing(path) => doubt(
            format!("there is no program {} on the daemon's machine", path.display()),
            "put it there before the first start, or correct the command",
        ),
        ResolveError::Directory(path) => {
            doubt(format!("{} is a directory", path.display()), "name the program in it")
        }
        ResolveError::NotExecutable(path) => {
            doubt(format!("{} is not executable", path.display()), &format!("chmod +x {}", path.display()))
        }
        ResolveError::Other { .. } => None,
    }
}

fn account(spec: &ProcessSpec) -> Option<Doubt> {
    let exec = &spec.exec;
    if exec.user.is_none() && exec.group.is_none() && exec.supplementary_groups.is_none() {
        return None;
    }
    let groups = exec.supplementary_groups.as_deref();
    let CredentialsError { subject, kind } =
        credentials::lookup(exec.user.as_deref(), exec.group.as_deref(), groups).err()?;
    match kind {
        CredentialsErrorKind::UnknownUser => Some(Doubt::new(
            "user",
            format!("there is no user {subject} on the daemon's machine"),
            "create it with useradd before the first start, or fix `user`",
        )),
        CredentialsErrorKind::UnknownGroup => {
            let key = if exec.group.as_ref() == Some(&subject) { "group" } else { "supplementary_groups" };
            let message = format!("there is no group {subject} on the daemon's machine");
            let hint = format!("create it with groupadd before the first start, or fix `{key}`");
            Some(Doubt::new(key, message, hint))
        }
        CredentialsErrorKind::Io(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use model::{EnvironmentFile, Origin, ProcessId, ProcessName};

    use super::*;

    fn spec(program: &str) -> ProcessSpec {
        let (name, id) = (ProcessName::new("web").unwrap(), ProcessId::from_digest([0; 6]));
        ProcessSpec::new(name, id, Origin::Runtime, program)
    }

    fn said(spec: &ProcessSpec) -> Vec<String> {
        missing(spec).into_iter().map(Doubt::into_text).collect()
    }

    #[test]
    fn what_this_machine_lacks_is_named_with_its_key_and_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plain");
        std::fs::write(&file, "").unwrap();
        let mut all = spec("no-such-program");
        all.exec.user = Some("no-such-user".into());
        assert_eq!(
            said(&all),
            [
                "`command`: there is no program no-such-program on the daemon's machine (searched \
                 /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin); install it, or write its full path",
                "`user`: there is no user no-such-user on the daemon's machine; create it with useradd before the first \
                 start, or fix `user`",
            ]
        );
        for (program, part) in [
            ("while", "`while` is a word of the shell and no program, and no shell runs; for a shell write"),
            ("/no/such", "there is no program /no/such on"),
            (file.to_str().unwrap(), "is not executable; chmod +x "),
            ("/tmp", "is a directory; name the program in it"),
        ] {
            let said = said(&spec(program));
            assert!(said.len() == 1 && said[0].contains(part), "{program}: {said:?}");
        }
        let mut elsewhere = spec("./run");
        elsewhere.exec.working_dir = Some("/no/such/dir".into());
        assert_eq!(
            said(&elsewhere),
            ["`working_dir`: there is no directory /no/such/dir; create it, or fix `working_dir`"],
            "and nothing about the program in it"
        );
        elsewhere.exec.working_dir = Some(file);
        assert!(said(&elsewhere)[0].contains("is no directory"), "{:?}", said(&elsewhere));
        let mut group = spec("sh");
        group.exec.group = Some("no-such-group".into());
        assert!(
            said(&group)[0].starts_with("`group`: there is no group no-such-group"),
            "{:?}",
            said(&group)
        );
    }

    #[test]
    fn what_is_there_or_can_not_be_known_raises_no_doubt() {
        assert_eq!(said(&spec("sh")), Vec::<String>::new());
        let mut other = spec("run");
        other.exec.environment_files = vec![EnvironmentFile { path: "/no/such".into(), optional: true }];
        assert_eq!(said(&other), Vec::<String>::new(), "its PATH is not known");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut own = spec("run");
        own.exec.env.insert("PATH".into(), dir.path().to_str().unwrap().into());
        assert_eq!(said(&own), Vec::<String>::new());
    }
}
