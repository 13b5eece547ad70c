//! A failed spawn in words: the step, the thing it failed on, and what the operator can do about it.

mod denied;
mod hint;
mod isolated;

use std::io;
use std::path::Path;

use model::{ExecSpec, ProcessName, SpawnFailure, SpawnStage};
use nix::errno::Errno;
use sys::credentials::{CredentialsError, CredentialsErrorKind, Resolved};
use sys::spawn::{ResolveError, SpawnError, Stage};

use super::directories;
use super::environment_file::{MAX_BYTES, Trouble};
use super::limits::Missing;
use super::task::Task;
use crate::stdio::StdioError;

/// What was tried.
pub(super) struct Attempt<'a> {
    pub(super) exec: &'a ExecSpec,
    pub(super) task: Task<'a>,
    pub(super) account: &'a Resolved,
    pub(super) path: &'a Path,
}

/// A failure of clone(2) or of a step in the child.
pub(super) fn explain(error: &SpawnError, attempt: &Attempt<'_>) -> SpawnFailure {
    let (stage, errno) = (stage(error.stage), error.errno);
    let user = || attempt.account.name.clone();
    let (subject, hint) = match error.stage {
        Stage::Cgroup => (String::new(), hint::in_cgroup(errno).to_owned()),
        Stage::Clone => (String::new(), hint::clone(errno)),
        Stage::Session => (String::new(), hint::resources(errno)),
        Stage::Descriptors => (String::new(), hint::descriptors(errno)),
        Stage::Rlimits => isolated::rlimits(errno, &attempt.exec.isolation),
        Stage::Nice => isolated::nice(errno, &attempt.exec.isolation),
        Stage::OomScoreAdj => isolated::oom_score_adj(errno, &attempt.exec.isolation),
        Stage::Capabilities => isolated::capabilities(errno, &attempt.exec.isolation),
        Stage::NoNewPrivileges => (String::new(), hint::resources(errno)),
        Stage::Groups | Stage::Gid => (user(), hint::identity(errno)),
        Stage::Uid => (user(), hint::uid(errno)),
        Stage::WorkingDir => {
            let dir = attempt.exec.working_dir.as_deref().unwrap_or(Path::new("/"));
            (dir.display().to_string(), hint::working_dir(errno, attempt))
        }
        Stage::Exec => (attempt.path.display().to_string(), hint::execution(errno, attempt)),
    };
    SpawnFailure { stage, errno: errno as i32, subject, message: errno.desc().to_owned(), hint }
}

/// Adds which helper it is: a process has several, and their failures speak of its own user and files as well.
pub(super) fn with_place(failure: SpawnFailure, task: Task<'_>) -> SpawnFailure {
    let hint = match task.place() {
        None => failure.hint,
        Some(place) if failure.hint.is_empty() => format!("see {place}"),
        Some(place) => format!("{} ({place})", failure.hint),
    };
    SpawnFailure { hint, ..failure }
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
            (0, "no such user".into(), "create it with useradd, or fix `user`".to_owned())
        }
        CredentialsErrorKind::UnknownGroup => {
            let key = if exec.group.as_ref() == Some(&subject) { "group" } else { "supplementary_groups" };
            (0, "no such group".into(), format!("create it with groupadd, or fix `{key}`"))
        }
        CredentialsErrorKind::Io(errno) => {
            (errno as i32, errno.desc().to_owned(), hint::name_services(errno))
        }
    };
    SpawnFailure { stage: SpawnStage::Credentials, errno, subject, message, hint }
}

/// A file of variables is not there or not as it should be. Nothing of what is in it is repeated.
pub(super) fn environment_file(path: &Path, trouble: &Trouble) -> SpawnFailure {
    let shown = path.display();
    let (subject, (errno, message), hint) = match trouble {
        Trouble::Unreadable(error) => (shown.to_string(), words(error), hint::unreadable(error)),
        Trouble::NotAFile(what) => (
            shown.to_string(),
            (0, (*what).to_owned()),
            "only regular files are read: fix `environment_file`".into(),
        ),
        Trouble::TooLarge => {
            let message = format!("it is larger than {} MiB", MAX_BYTES >> 20);
            (shown.to_string(), (0, message), "this is no list of variables: fix `environment_file`".into())
        }
        Trouble::BadLine(bad) => {
            (format!("{shown}:{}", bad.line), (0, format!("this line {}", bad.message)), bad.hint.to_owned())
        }
    };
    SpawnFailure { stage: SpawnStage::Environment, errno, subject, message, hint }
}

/// There is nothing to execute. A PATH of a file is not shown: nothing that is read from one is.
pub(super) fn program(task: Task<'_>, path_of_file: bool, error: &io::Error) -> SpawnFailure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ResolveError>());
    let shown = |path: &Path| path.display().to_string();
    let (subject, hint) = match inner {
        Some(ResolveError::NotInPath { name, path }) => {
            let path = if path_of_file { "the one of environment_file:" } else { path };
            (name.clone(), hint::not_in_path(task, path))
        }
        Some(ResolveError::Missing(path)) => (shown(path), hint::missing(task)),
        Some(ResolveError::Directory(path)) => (shown(path), hint::A_DIRECTORY.to_owned()),
        Some(ResolveError::NotExecutable(path)) => (shown(path), format!("chmod +x {}", path.display())),
        Some(ResolveError::Other { path, errno: Errno::ENOTDIR }) => (shown(path), hint::A_PART.to_owned()),
        Some(ResolveError::Other { path, errno: Errno::ELOOP }) => (shown(path), hint::A_CIRCLE.to_owned()),
        Some(ResolveError::Other { path, errno }) => (shown(path), hint::resources(*errno)),
        None => (task.program.to_owned(), String::new()),
    };
    let (errno, message) = match inner.map(ResolveError::errno) {
        Some(errno) => (errno as i32, errno.desc().to_owned()),
        None => words(error),
    };
    SpawnFailure { stage: SpawnStage::Resolve, errno, subject, message, hint }
}

/// A text for the kernel holds what ends one there. `text` is shown.
pub(super) fn nul(text: &[u8]) -> SpawnFailure {
    SpawnFailure {
        stage: SpawnStage::Resolve,
        errno: 0,
        subject: String::from_utf8_lossy(text).into_owned(),
        message: "holds a NUL character".into(),
        hint: "take it out of command, args, env or working_dir".into(),
    }
}

/// Standard input or output could not be opened.
pub(super) fn stdio(error: StdioError) -> SpawnFailure {
    let (errno, message) = words(&error.source);
    SpawnFailure { stage: SpawnStage::Stdio, errno, subject: error.subject, message, hint: error.hint }
}

/// The socket that the process reports to could not be created in `dir`.
pub(super) fn notify(dir: &Path, error: &io::Error) -> SpawnFailure {
    let (errno, message) = words(error);
    let (subject, hint) = (dir.display().to_string(), hint::socket(errno));
    SpawnFailure { stage: SpawnStage::Notify, errno, subject, message, hint }
}

/// A limit that the process must not run without can't be set.
pub(super) fn resource_limit(missing: &Missing) -> SpawnFailure {
    SpawnFailure {
        stage: SpawnStage::ResourceLimits,
        errno: missing.errno as i32,
        subject: missing.key.into(),
        message: missing.why.clone(),
        hint: format!(
            "{}; to run it without that limit, remove resource_limits.{}",
            missing.hint, missing.key
        ),
    }
}

/// A directory of `runtime_directory` could not be made.
pub(super) fn runtime_directory(
    path: &Path,
    trouble: &directories::Trouble,
    account: &Resolved,
) -> SpawnFailure {
    let (errno, message, hint) = match trouble {
        directories::Trouble::Taken(other) => {
            let hint = "give each process a name of its own in runtime_directory:".to_owned();
            (0, format!("it is the runtime directory of {other}, which is up"), hint)
        }
        directories::Trouble::Failed(what, error) => {
            let (errno, words) = words(error);
            (errno, format!("{what} it: {words}"), isolated::directory(errno, &account.name))
        }
    };
    let subject = path.display().to_string();
    SpawnFailure { stage: SpawnStage::RuntimeDirectory, errno, subject, message, hint }
}

/// The run's cgroup could not be created.
pub(super) fn cgroup(leaf: &str, error: &io::Error) -> SpawnFailure {
    let (errno, message) = words(error);
    let hint = match Errno::from_raw(errno) {
        Errno::EAGAIN => "the limit of cgroups is reached: raise cgroup.max.descendants".into(),
        Errno::EACCES | Errno::EPERM => "the unit needs Delegate=yes".into(),
        Errno::ENOENT => "the daemon's own cgroup is gone: restart the daemon".into(),
        other => hint::resources(other),
    };
    SpawnFailure { stage: SpawnStage::Cgroup, errno, subject: leaf.into(), message, hint }
}

/// A bug in the daemon, kept from doing more harm.
pub(super) fn panicked(name: &ProcessName, stage: SpawnStage) -> SpawnFailure {
    SpawnFailure {
        stage,
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
        Stage::Rlimits => SpawnStage::Rlimits,
        Stage::Nice => SpawnStage::Nice,
        Stage::OomScoreAdj => SpawnStage::OomScoreAdj,
        Stage::Groups => SpawnStage::Groups,
        Stage::Gid => SpawnStage::Gid,
        Stage::Uid => SpawnStage::Uid,
        Stage::WorkingDir => SpawnStage::WorkingDir,
        Stage::Capabilities => SpawnStage::Capabilities,
        Stage::NoNewPrivileges => SpawnStage::NoNewPrivileges,
        Stage::Exec => SpawnStage::Exec,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Helper, Role};
    use crate::spawner::environment::tests::{account as app, exec};
    use crate::stdio::RunInfo;
    use model::{CommandLine, HookKind, InvocationId, Origin, ProcessId, ProcessSpec, RunId, RunNumber};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;
    use sys::credentials;
    use sys::spawn::resolve_program;

    fn explained(stage: Stage, errno: Errno, path: &Path) -> SpawnFailure {
        let (exec, account) = (exec("run"), app());
        let task = Task { program: &exec.program, args: &exec.args, helper: None };
        let error = SpawnError { stage, errno };
        explain(&error, &Attempt { exec: &exec, task, account: &account, path })
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
        assert_eq!(failure.hint, "create it with useradd, or fix `user`");
        let failure = lookup(&ExecSpec { user: Some("3999999".into()), ..exec("x") });
        assert!(failure.hint.contains("needs group:"), "{failure:?}");
        let failure = lookup(&ExecSpec { group: Some("no-such".into()), ..exec("x") });
        assert_eq!(failure.hint, "create it with groupadd, or fix `group`");
        let groups = Some(vec!["no-such".into()]);
        let failure = lookup(&ExecSpec { supplementary_groups: groups, ..exec("x") });
        assert_eq!(failure.hint, "create it with groupadd, or fix `supplementary_groups`");
    }

    #[test]
    fn a_program_that_is_not_there_says_where_it_was_sought() {
        let dir = tempfile::tempdir().unwrap();
        let find = |program: &str, path: &str| {
            let error = resolve_program(program.as_ref(), Some(path.as_ref()), Some(dir.path())).unwrap_err();
            super::program(Task { program, args: &[], helper: None }, false, &error)
        };
        let failure = find("pyton", "/nowhere:/nor/here");
        assert_eq!(failure.to_string(), "finding the program \"pyton\": No such file or directory");
        assert_eq!(
            failure.hint,
            "install it, or write its full path as the command; searched PATH=/nowhere:/nor/here"
        );
        assert_eq!(
            find("while", "/nowhere").hint,
            "`while` is a word of the shell, and no shell runs: write sh -c '...'"
        );
        assert_eq!(find("/gone/x", "").hint, "install it, or correct the command");
        assert_eq!(
            find("./x", "").hint,
            "a command with a slash is relative to working_dir:; write its full path"
        );
        fs::create_dir(dir.path().join("sub")).unwrap();
        let failure = find("./sub", "");
        assert_eq!((failure.errno, failure.hint.as_str()), (Errno::EISDIR as i32, hint::A_DIRECTORY));
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
    fn whatever_a_start_may_run_out_of_has_a_way_out() {
        let path = Path::new("/bin/sh");
        for (stage, errno, way_out) in [
            (Stage::Clone, Errno::EAGAIN, "TasksMax="),
            (Stage::Clone, Errno::ENOMEM, "out of memory"),
            (Stage::Clone, Errno::EMFILE, "LimitNOFILE="),
            (Stage::Clone, Errno::ENFILE, "fs.file-max"),
            (Stage::Clone, Errno::EPERM, "clone3(2)"),
            (Stage::Cgroup, Errno::EBUSY, "controllers"),
            (Stage::Cgroup, Errno::EACCES, "Delegate=yes"),
            (Stage::Cgroup, Errno::ENOENT, "removed"),
            (Stage::Session, Errno::ENOMEM, "out of memory"),
            (Stage::Descriptors, Errno::EMFILE, "LimitNOFILE="),
            (Stage::Rlimits, Errno::EINVAL, "soft limit"),
            (Stage::Nice, Errno::EACCES, "CAP_SYS_NICE"),
            (Stage::OomScoreAdj, Errno::EACCES, "CAP_SYS_RESOURCE"),
            (Stage::OomScoreAdj, Errno::ENOENT, "/proc"),
            (Stage::Capabilities, Errno::EPERM, "CapabilityBoundingSet="),
            (Stage::Groups, Errno::ENOMEM, "out of memory"),
            (Stage::Gid, Errno::EINVAL, "user namespace"),
            (Stage::Uid, Errno::EAGAIN, "RLIMIT_NPROC"),
            (Stage::WorkingDir, Errno::ENOENT, "`working_dir`"),
            (Stage::WorkingDir, Errno::EACCES, "user app may not enter it"),
            (Stage::WorkingDir, Errno::ELOOP, "circle"),
            (Stage::Exec, Errno::ENOENT, "dynamic loader"),
            (Stage::Exec, Errno::EACCES, "user app may not execute it"),
            (Stage::Exec, Errno::EAGAIN, "RLIMIT_NPROC"),
            (Stage::Exec, Errno::ENOMEM, "out of memory"),
            (Stage::Exec, Errno::ETXTBSY, "renaming"),
            (Stage::Exec, Errno::E2BIG, "128 KiB"),
            (Stage::Exec, Errno::EPERM, "security module"),
        ] {
            let failure = explained(stage, errno, path);
            assert!(failure.hint.contains(way_out), "{failure:?}");
            assert_eq!(failure.errno, errno as i32);
        }
    }

    #[test]
    fn what_is_not_a_step_of_the_child_has_a_way_out_too() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno as i32);
        let run = Path::new("/run/pm");
        for (failure, way_out) in [
            (notify(run, &error(Errno::EACCES)), "must be able to write there"),
            (notify(run, &error(Errno::ENOENT)), "restart the daemon"),
            (notify(run, &error(Errno::ENOTDIR)), "something else is there"),
            (notify(run, &error(Errno::EPERM)), "another user"),
            (notify(run, &error(Errno::ENAMETOOLONG)), "107 bytes"),
            (notify(run, &error(Errno::EMFILE)), "LimitNOFILE="),
            (cgroup("web.1", &error(Errno::EAGAIN)), "cgroup.max.descendants"),
            (cgroup("web.1", &error(Errno::ENOMEM)), "out of memory"),
            (environment_file(run, &Trouble::Unreadable(error(Errno::ENOENT))), "`-`"),
            (environment_file(run, &Trouble::Unreadable(error(Errno::EACCES))), "read by the daemon"),
            (environment_file(run, &Trouble::Unreadable(error(Errno::EIO))), "dmesg"),
        ] {
            assert!(failure.hint.contains(way_out), "{failure:?}");
        }
        let failure = notify(run, &error(Errno::EACCES));
        assert_eq!(failure.to_string(), "creating the notification socket \"/run/pm\": Permission denied");
        let services = CredentialsErrorKind::Io(Errno::EMFILE);
        let failure = account(&exec("x"), CredentialsError { subject: "app".into(), kind: services });
        assert!(failure.hint.contains("LimitNOFILE="), "{failure:?}");
    }

    #[test]
    fn a_helper_is_named_with_its_key_and_command() {
        let name = ProcessName::new("web").unwrap();
        let spec = ProcessSpec::new(name, ProcessId::from_digest([0; 6]), Origin::Runtime, "/bin/web");
        let long = format!("a\nb{}", "x".repeat(200));
        let command = CommandLine { program: "/opt/migrate".into(), args: vec!["--up".into(), long] };
        let said = |role: Role| {
            let helper = Helper { id: InvocationId(1), role, command: command.clone(), env: Vec::new() };
            let info = RunInfo {
                run: RunId(1),
                number: RunNumber(1),
                invocation: InvocationId(2),
                spec: Arc::new(spec.clone()),
                helper: Some(helper),
                first: false,
            };
            let task = Task::of(&info);
            let error = resolve_program(task.program.as_ref(), None, None).unwrap_err();
            with_place(program(task, false, &error), task)
        };
        let failure = said(Role::Hook(HookKind::StartPre));
        let shown = format!("/opt/migrate --up a b{}…", "x".repeat(99));
        let hint = format!("install it, or correct exec_start_pre: (exec_start_pre: {shown})");
        assert_eq!((failure.subject.as_str(), failure.hint), ("/opt/migrate", hint));
        assert!(said(Role::HealthCheck).hint.contains("(health_check: /opt/migrate --up"));
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
