//! A failed spawn in words: the step, the thing it failed on, and what the operator can do about it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use model::{ExecSpec, ProcessName, SpawnFailure, SpawnStage};
use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;
use sys::credentials::{CredentialsError, CredentialsErrorKind, Resolved};
use sys::spawn::{ResolveError, SpawnError, Stage};

use crate::stdio::StdioError;

/// What was tried.
pub(super) struct Attempt<'a> {
    pub(super) exec: &'a ExecSpec,
    pub(super) account: &'a Resolved,
    pub(super) path: &'a Path,
}

/// A failure of clone(2) or of a step in the child.
pub(super) fn explain(error: &SpawnError, attempt: &Attempt<'_>) -> SpawnFailure {
    let stage = stage(error.stage);
    let exec = attempt.exec;
    let (subject, hint) = match stage {
        SpawnStage::Groups | SpawnStage::Gid => (attempt.account.name.clone(), privileges(error.errno)),
        SpawnStage::Uid => (attempt.account.name.clone(), uid(error.errno)),
        SpawnStage::WorkingDir => {
            let dir = exec.working_dir.as_deref().unwrap_or(Path::new("/"));
            (dir.display().to_string(), working_dir(error.errno, attempt))
        }
        SpawnStage::Exec => (attempt.path.display().to_string(), execution(error.errno, attempt)),
        SpawnStage::Clone => (String::new(), clone(error.errno)),
        SpawnStage::Descriptors => (String::new(), descriptors(error.errno)),
        _ => (String::new(), String::new()),
    };
    let message = error.errno.desc().to_owned();
    SpawnFailure { stage, errno: error.errno as i32, subject, message, hint }
}

/// The user or a group could not be looked up.
pub(super) fn account(exec: &ExecSpec, error: CredentialsError) -> SpawnFailure {
    let CredentialsError { subject, kind } = error;
    let by_number = exec.user.as_ref().is_some_and(|user| user.parse::<u32>().is_ok());
    let (errno, message, hint) = match kind {
        CredentialsErrorKind::UnknownUser if by_number => {
            (0, "no such user".into(), "a number without an entry needs group: beside it".to_owned())
        }
        CredentialsErrorKind::UnknownUser => {
            (0, "no such user".into(), "create it with useradd, or fix user:".to_owned())
        }
        CredentialsErrorKind::UnknownGroup => {
            let key = if exec.group.as_ref() == Some(&subject) { "group" } else { "supplementary_groups" };
            (0, "no such group".into(), format!("create it with groupadd, or fix {key}:"))
        }
        CredentialsErrorKind::Io(errno) => {
            let hint = "the name services failed: see /etc/nsswitch.conf, or give numbers".to_owned();
            (errno as i32, errno.desc().to_owned(), hint)
        }
    };
    SpawnFailure { stage: SpawnStage::Credentials, errno, subject, message, hint }
}

/// There is nothing to execute.
pub(super) fn program(exec: &ExecSpec, error: &io::Error) -> SpawnFailure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ResolveError>());
    let shown = |path: &Path| path.display().to_string();
    let (subject, hint) = match inner {
        Some(ResolveError::NotInPath { name, path }) => {
            (name.clone(), format!("install it, or write its full path as the command; searched PATH={path}"))
        }
        Some(ResolveError::Missing(path)) => (shown(path), missing(exec).to_owned()),
        Some(ResolveError::Directory(path)) => (shown(path), A_DIRECTORY.to_owned()),
        Some(ResolveError::NotExecutable(path)) => (shown(path), format!("chmod +x {}", path.display())),
        Some(ResolveError::Other { path, .. }) => (shown(path), String::new()),
        None => (exec.program.clone(), String::new()),
    };
    let (errno, message) = match inner.map(ResolveError::errno) {
        Some(errno) => (errno as i32, errno.desc().to_owned()),
        None => words(error),
    };
    SpawnFailure { stage: SpawnStage::Resolve, errno, subject, message, hint }
}

const A_DIRECTORY: &str = "this is a directory: name the program in it";

fn missing(exec: &ExecSpec) -> &'static str {
    if exec.program.starts_with('/') {
        "install it, or correct the command"
    } else {
        "a command with a slash is relative to working_dir:; write its full path"
    }
}

/// Standard input or output could not be opened.
pub(super) fn stdio(error: StdioError) -> SpawnFailure {
    let (errno, message) = words(&error.source);
    SpawnFailure { stage: SpawnStage::Stdio, errno, subject: error.subject, message, hint: error.hint }
}

/// The run's cgroup could not be created.
pub(super) fn cgroup(leaf: &str, error: &io::Error) -> SpawnFailure {
    let (errno, message) = words(error);
    let hint = match Errno::from_raw(errno) {
        Errno::EAGAIN => "the limit of cgroups is reached: raise cgroup.max.descendants",
        Errno::EACCES | Errno::EPERM => "the unit needs Delegate=yes",
        _ => "",
    };
    SpawnFailure { stage: SpawnStage::Cgroup, errno, subject: leaf.into(), message, hint: hint.into() }
}

/// A bug in the daemon, kept from doing more harm.
pub(super) fn panicked(name: &ProcessName) -> SpawnFailure {
    SpawnFailure {
        stage: SpawnStage::Stdio,
        errno: 0,
        subject: name.to_string(),
        message: "an internal error: the spawner panicked".into(),
        hint: "this is a bug in the daemon: its log has the place".into(),
    }
}

/// Number and words of an error, without the "(os error 2)" that `io::Error` appends.
fn words(error: &io::Error) -> (i32, String) {
    match error.raw_os_error() {
        Some(errno) => (errno, Errno::from_raw(errno).desc().to_owned()),
        None => (0, error.to_string()),
    }
}

fn stage(stage: Stage) -> SpawnStage {
    match stage {
        Stage::Cgroup => SpawnStage::Cgroup,
        Stage::Clone => SpawnStage::Clone,
        Stage::Session => SpawnStage::Session,
        Stage::Descriptors => SpawnStage::Descriptors,
        Stage::Groups => SpawnStage::Groups,
        Stage::Gid => SpawnStage::Gid,
        Stage::Uid => SpawnStage::Uid,
        Stage::WorkingDir => SpawnStage::WorkingDir,
        Stage::Exec => SpawnStage::Exec,
    }
}

fn privileges(errno: Errno) -> String {
    if errno != Errno::EPERM {
        return String::new();
    }
    let own = geteuid();
    format!(
        "the daemon needs CAP_SETUID and CAP_SETGID (it runs as uid {own}): run it as root or use \
         dd-procmgrd-capability.service"
    )
}

fn uid(errno: Errno) -> String {
    match errno {
        Errno::EAGAIN => "the user's limit of processes is reached: raise RLIMIT_NPROC".into(),
        other => privileges(other),
    }
}

fn clone(errno: Errno) -> String {
    let hint = match errno {
        Errno::ENOSYS | Errno::EPERM => {
            "clone3(2) is forbidden or missing: take RestrictNamespaces= out of the unit, update the container \
             runtime, or use Linux 5.5 or newer"
        }
        Errno::EAGAIN => "the limit of processes is reached: TasksMax= of the unit, pids.max or RLIMIT_NPROC",
        Errno::ENOMEM => "the machine is out of memory",
        Errno::EMFILE => "the daemon is out of descriptors: raise LimitNOFILE= of its unit",
        Errno::ENFILE => "the machine is out of descriptors: raise fs.file-max",
        Errno::EBUSY => "the cgroup of the unit has controllers enabled that forbid processes in it",
        _ => "",
    };
    hint.into()
}

fn descriptors(errno: Errno) -> String {
    match errno {
        Errno::ENOSYS | Errno::EPERM | Errno::EINVAL => {
            "close_range(2) is missing: Linux 5.9 or newer is needed, or a seccomp profile forbids it".into()
        }
        _ => String::new(),
    }
}

fn working_dir(errno: Errno, attempt: &Attempt<'_>) -> String {
    match errno {
        Errno::ENOENT => "create it, or fix working_dir:".into(),
        Errno::ENOTDIR => "it is not a directory: fix working_dir:".into(),
        Errno::EACCES => format!("{} may not enter it", who(attempt)),
        _ => String::new(),
    }
}

fn execution(errno: Errno, attempt: &Attempt<'_>) -> String {
    let path = attempt.path;
    match errno {
        Errno::ENOENT if path.exists() => interpreter(path),
        Errno::ENOENT => missing(attempt.exec).into(),
        Errno::ENOTDIR => "a part of the path is not a directory".into(),
        Errno::EACCES => denied(path, attempt),
        Errno::ENOEXEC => {
            "neither a program for this machine nor a script with a #! line: start it with its interpreter"
                .into()
        }
        Errno::E2BIG => "args and env are larger than the kernel takes".into(),
        Errno::ETXTBSY => "the file is being written".into(),
        Errno::ENOMEM => "the machine is out of memory".into(),
        _ => String::new(),
    }
}

/// The file is there, and exec says that something is not: what its first line, or its program header, asks for.
fn interpreter(path: &Path) -> String {
    let mut head = [0; 256];
    let read = File::open(path).and_then(|mut file| file.read(&mut head)).unwrap_or(0);
    let head = &head[..read];
    if head.starts_with(b"\x7fELF") {
        return "its dynamic loader is missing: it was built for another C library or architecture".into();
    }
    let Some(line) = head.strip_prefix(b"#!").and_then(|rest| rest.split(|b| *b == b'\n').next()) else {
        return String::new();
    };
    let crlf = line.ends_with(b"\r");
    let name = line.split(|b| matches!(b, b' ' | b'\t' | b'\r')).find(|word| !word.is_empty());
    let name = PathBuf::from(std::ffi::OsString::from_vec(name.unwrap_or_default().to_vec()));
    if crlf && name.exists() {
        return "its #! line ends with a carriage return: save it with Unix line ends".into();
    }
    format!("its interpreter {} does not exist: install it or fix the #! line", name.display())
}

fn denied(path: &Path, attempt: &Attempt<'_>) -> String {
    let Ok(meta) = path.metadata() else {
        return format!("{} may not enter one of its directories", who(attempt));
    };
    if meta.is_dir() {
        return A_DIRECTORY.into();
    }
    if meta.permissions().mode() & 0o111 == 0 {
        return format!("chmod +x {}", path.display());
    }
    if statvfs(path).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOEXEC)) {
        return "its file system is mounted noexec".into();
    }
    format!("{} may not execute it, its interpreter or enter one of its directories", who(attempt))
}

fn who(attempt: &Attempt<'_>) -> String {
    format!("user {}", attempt.account.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawner::environment::tests::{account as app, exec};
    use std::fs;
    use sys::credentials;
    use sys::spawn::resolve_program;

    fn explained(stage: Stage, errno: Errno, path: &Path) -> SpawnFailure {
        let (exec, account) = (exec("run"), app());
        let error = SpawnError { stage, errno };
        explain(&error, &Attempt { exec: &exec, account: &account, path })
    }

    #[test]
    fn the_unknown_are_named_with_a_way_out() {
        let lookup = |exec: &ExecSpec| {
            let groups = exec.supplementary_groups.as_deref();
            let error = credentials::lookup(exec.user.as_deref(), exec.group.as_deref(), groups).unwrap_err();
            account(exec, error)
        };
        let failure = lookup(&ExecSpec { user: Some("no-such".into()), ..exec("x") });
        assert_eq!(failure.to_string(), "looking up user and group \"no-such\": no such user");
        assert_eq!(failure.hint, "create it with useradd, or fix user:");
        let failure = lookup(&ExecSpec { user: Some("3999999".into()), ..exec("x") });
        assert!(failure.hint.contains("needs group:"), "{failure:?}");
        let failure = lookup(&ExecSpec { group: Some("no-such".into()), ..exec("x") });
        assert_eq!(failure.hint, "create it with groupadd, or fix group:");
        let groups = Some(vec!["no-such".into()]);
        let failure = lookup(&ExecSpec { supplementary_groups: groups, ..exec("x") });
        assert_eq!(failure.hint, "create it with groupadd, or fix supplementary_groups:");
    }

    #[test]
    fn a_program_that_is_not_there_says_where_it_was_sought() {
        let dir = tempfile::tempdir().unwrap();
        let find = |program: &str, path: &str| {
            let exec = exec(program);
            let error = resolve_program(program.as_ref(), Some(path.as_ref()), Some(dir.path())).unwrap_err();
            super::program(&exec, &error)
        };
        let failure = find("pyton", "/nowhere:/nor/here");
        assert_eq!(failure.to_string(), "finding the program \"pyton\": No such file or directory");
        assert_eq!(
            failure.hint,
            "install it, or write its full path as the command; searched PATH=/nowhere:/nor/here"
        );
        assert_eq!(find("/gone/x", "").hint, "install it, or correct the command");
        assert_eq!(
            find("./x", "").hint,
            "a command with a slash is relative to working_dir:; write its full path"
        );
        fs::create_dir(dir.path().join("sub")).unwrap();
        let failure = find("./sub", "");
        assert_eq!((failure.errno, failure.hint.as_str()), (Errno::EISDIR as i32, A_DIRECTORY));
        let file = dir.path().join("plain");
        fs::write(&file, "").unwrap();
        assert!(find("plain", ".").hint.starts_with("chmod +x "));
    }

    #[test]
    fn a_missing_interpreter_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("run");
        let hint = |content: &[u8]| {
            fs::write(&script, content).unwrap();
            explained(Stage::Exec, Errno::ENOENT, &script).hint
        };
        assert_eq!(
            hint(b"#! /usr/bin/pyton3 -u\nprint()\n"),
            "its interpreter /usr/bin/pyton3 does not exist: install it or fix the #! line"
        );
        assert!(hint(b"#!/bin/sh\r\necho\r\n").contains("carriage return"));
        assert!(hint(b"\x7fELF\x02").contains("dynamic loader"));
        fs::remove_file(&script).unwrap();
        let failure = explained(Stage::Exec, Errno::ENOENT, &script);
        assert_eq!(failure.hint, "a command with a slash is relative to working_dir:; write its full path");
        assert_eq!(failure.subject, script.display().to_string());
    }

    #[test]
    fn a_denied_exec_says_what_to_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("run");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let failure = explained(Stage::Exec, Errno::EACCES, &file);
        assert_eq!(failure.hint, format!("chmod +x {}", file.display()));
        assert_eq!(failure.message, "Permission denied");
        assert!(explained(Stage::Exec, Errno::EACCES, dir.path()).hint.contains("directory"));
    }

    #[test]
    fn missing_privileges_name_the_capabilities() {
        for stage in [Stage::Groups, Stage::Gid, Stage::Uid] {
            let failure = explained(stage, Errno::EPERM, Path::new("/bin/sh"));
            assert_eq!(failure.subject, "app");
            assert!(failure.hint.starts_with("the daemon needs CAP_SETUID and CAP_SETGID (it runs as uid "));
        }
    }

    #[test]
    fn messages_carry_no_os_error_number() {
        let source = io::Error::from_raw_os_error(28);
        let error = StdioError { subject: "/var/log/web.log".into(), source, hint: "free space".into() };
        let failure = stdio(error);
        assert_eq!(
            failure.to_string(),
            "opening standard output \"/var/log/web.log\": No space left on device"
        );
        assert_eq!((failure.errno, failure.hint.as_str()), (28, "free space"));
    }
}
