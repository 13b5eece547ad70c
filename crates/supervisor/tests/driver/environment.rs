//! `environment_file`: read again at each start, and every kind of trouble with one fails that start and no other.

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Rig, done, id, immortal, line, name, pid_of, sh, sleeper, spec};
use model::{
    Command, CommandLine, EnvironmentFile, EventKind, Hook, ProcessSpec, Refusal, SpawnFailure, SpawnStage,
    State,
};
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};
use tempfile::TempDir;

/// Reads these files; `-` before a name means that it may be missing.
fn reading(mut spec: ProcessSpec, files: &[&str]) -> ProcessSpec {
    let file = |text: &&str| match text.strip_prefix('-') {
        Some(path) => EnvironmentFile { path: path.into(), optional: true },
        None => EnvironmentFile { path: (*text).into(), optional: false },
    };
    spec.exec.environment_files = files.iter().map(file).collect();
    spec
}

fn write(dir: &TempDir, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn failure_of(rig: &Rig, spec: ProcessSpec) -> SpawnFailure {
    let who = spec.name.clone();
    let failure = match rig.ask(Command::Create { spec: Arc::new(spec), start: true }) {
        Err(Refusal::StartFailed(name, failure)) if name == who => failure,
        other => panic!("expected StartFailed, got {other:?}"),
    };
    assert_eq!(rig.view(who.as_str()).map(|v| v.state), Some(State::Failed));
    assert_eq!(rig.ask(Command::Delete(who)), Ok(model::Reply::Deleted));
    failure
}

#[test]
fn a_file_is_read_again_at_each_start() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    let file = write(&dir, "env", "A=old\n");
    rig.up(reading(sh("web", "echo $A; exec sleep 1000"), &[&file]));
    assert_eq!(line(&mut rig.output("web", 1)), "old");
    write(&dir, "env", "# rotated\nexport A=\"new one\"\r\n");
    done(rig.ask(Command::Restart(name("web"))));
    assert_eq!(line(&mut rig.output("web", 2)), "new one");
}

#[test]
fn later_files_win_and_the_definition_over_all_of_them() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    let first =
        write(&dir, "a", "A=1\nB=1\nC=1\nPROCESS_NAME=evil\nPROCESS_INVOCATION_ID=evil\nHOME=/first\n");
    let second = write(&dir, "b", "B=x\nB=2\nC=2\nSECRET=file\n");
    let missing = format!("-{}", dir.path().join("missing").display());
    let mut web = reading(
        sh("web", "echo $A$B$C $PROCESS_NAME $HOME $SECRET; echo $PROCESS_INVOCATION_ID"),
        &[&first, &missing, &second],
    );
    web.exec.env = [("C".to_owned(), "3".to_owned())].into();
    web.exec.inherit_env = model::InheritEnv::All;
    rig.up(web);
    let mut output = rig.output("web", 1);
    assert_eq!(line(&mut output), "123 web /first file");
    assert_eq!(line(&mut output).len(), 32);
}

#[test]
fn the_program_is_searched_in_the_path_of_a_file() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    symlink("/bin/sh", dir.path().join("my-tool")).unwrap();
    let file = write(&dir, "env", format!("PATH={}\n", dir.path().display()));
    rig.up(reading(spec("web", "my-tool", &["-c", "echo found"]), &[&file]));
    assert_eq!(line(&mut rig.output("web", 1)), "found");
    // One that is not in it does not give away what the file says.
    let failure = failure_of(&rig, reading(spec("typo", "my-tol", &[]), &[&file]));
    assert_eq!((failure.stage, failure.errno), (SpawnStage::Resolve, 2));
    assert!(failure.hint.ends_with("searched PATH=the one of environment_file:"), "{failure:?}");
}

/// It is the daemon that reads it: the process's user need not be able to.
#[test]
fn the_daemon_reads_what_the_user_of_the_process_may_not() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    let file = write(&dir, "env", "TOKEN=hush\n");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let mut web = reading(sh("web", "echo $TOKEN $(id -u)"), &[&file]);
    // Without privileges the only user that there is to be.
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid;
    let user = if geteuid().is_root() { nobody } else { geteuid() };
    (web.exec.user, web.exec.group) = (Some(user.to_string()), Some(nix::unistd::getegid().to_string()));
    rig.up(web);
    assert_eq!(line(&mut rig.output("web", 1)), format!("hush {user}"));
}

/// A file that is no list of variables: what is told of it, and where.
struct Hostile {
    path: PathBuf,
    line: usize,
    message: &'static str,
}

/// Everything that may stand behind a path. Each one holds `hush` where it holds anything.
fn hostile(dir: &TempDir) -> Vec<Hostile> {
    let path = |name: &str| dir.path().join(name);
    let mut all = Vec::new();
    let mut add = |path: PathBuf, line, message| all.push(Hostile { path, line, message });
    let texts: [(&str, &[u8], usize, &str); 11] = [
        ("quote", b"A=1\nB='hush\n\n", 2, "opens a quote that nothing closes"),
        ("double", b"A=\"hush\\\"\n", 1, "opens a quote that nothing closes"),
        ("equals", b"A=1\n=\n", 2, "has no name before its `=`"),
        ("nameless", b" = hush\n", 1, "has no name before its `=`"),
        ("digit", b"1A=hush\n", 1, "can't be a variable's name"),
        ("text", b"A=1\n# b\nhush\n", 3, "has no `=`"),
        // The second line of a value without quotes: it must not be repeated as if it were a name.
        ("key", b"KEY=-----BEGIN\nhush/hush+hush==\n", 2, "can't be a variable's name"),
        ("nul", b"A=hush\0hush\n", 1, "NUL"),
        ("latin", b"A=hush\nB=\xff\n", 2, "UTF-8"),
        ("utf16", b"\xff\xfeh\0u\0s\0h\0=\x001\0", 1, "NUL"),
        ("export", b"A=1\nexport hush\n", 2, "exports without a value"),
    ];
    for (name, text, line, message) in texts {
        fs::write(path(name), text).unwrap();
        add(path(name), line, message);
    }
    File::create(path("sparse")).unwrap().set_len(1 << 40).unwrap();
    fs::write(path("huge"), "#hush\n".repeat(200_000)).unwrap();
    mkfifo(&path("fifo"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    symlink("circle", path("circle")).unwrap();
    symlink("/dev/zero", path("zero")).unwrap();
    for (name, message) in [
        ("sparse", "larger than 1 MiB"),
        ("huge", "larger than 1 MiB"),
        ("fifo", "it is a fifo"),
        ("circle", "symbolic links"),
        ("zero", "it is a device"),
        ("", "it is a directory"),
        ("key/x", "Not a directory"),
    ] {
        add(path(name), 0, message);
    }
    // Nobody can read it, root included: there is nothing at its beginning.
    add("/proc/self/mem".into(), 0, "I/O error");
    add("/dev/tty".into(), 0, "it is a device");
    add("/proc/self/exe".into(), 0, "larger than 1 MiB");
    all
}

#[test]
fn hostile_files_fail_a_start_with_place_and_way_out_and_without_their_content() {
    // One spawner: if one of them held it up, the next start would hang.
    let rig = Rig::with(1, Box::new(|_| Ok(())));
    let pid = pid_of(&rig.up(sleeper("healthy")));
    let dir = tempfile::tempdir().unwrap();
    for Hostile { path, line, message } in hostile(&dir) {
        let shown = path.display().to_string();
        let place = if line == 0 { shown.clone() } else { format!("{shown}:{line}") };
        // That it may be missing makes no difference: it is there.
        for file in [shown.clone(), format!("-{shown}")] {
            let failure = failure_of(&rig, reading(sleeper("web"), &[&file]));
            assert_eq!((failure.stage, &failure.subject), (SpawnStage::Environment, &place), "{failure:?}");
            assert!(failure.message.contains(message), "{failure:?}");
            assert!(!failure.hint.is_empty() && !format!("{failure:?}").contains("hush"), "{failure:?}");
        }
    }
    assert_eq!(rig.view("healthy").map(|v| (v.state, pid_of(&v))), Some((State::Running, pid)));
    assert!(!rig.calls().iter().any(|call| call.starts_with("attach web")), "it was started");
}

#[test]
fn a_missing_file_fails_the_start_unless_it_may_be_missing() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    for missing in ["gone", "dangling", "no/such/directory"] {
        let path = dir.path().join(missing).display().to_string();
        let failure = failure_of(&rig, reading(sleeper("web"), &[&path]));
        assert_eq!((failure.stage, failure.errno), (SpawnStage::Environment, 2));
        let expected = format!("reading environment_file {path:?}: No such file or directory");
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.hint, "create it, or write `-` before its path if it may be missing");
        rig.up(reading(sleeper(missing.split('/').next().unwrap()), &[&format!("-{path}")]));
    }
}

#[test]
fn a_start_that_failed_for_its_file_follows_the_policy() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    let path = dir.path().join("env").display().to_string();
    let mut web = immortal(reading(sh("web", "echo $A; exec sleep 1000"), &[&path]));
    web.restart.delay = Duration::from_millis(5);
    rig.ask(Command::Create { spec: Arc::new(web), start: true }).unwrap_err();
    rig.event("web", |e| matches!(e.kind, EventKind::RestartScheduled { .. }).then_some(()));
    // As an administrator should: complete before it is there.
    fs::rename(write(&dir, "new", "A=1\n"), &path).unwrap();
    let number = rig.event("web", |e| match (&e.kind, e.run) {
        (EventKind::Started { .. }, Some((number, _))) => Some(number.0),
        _ => None,
    });
    assert_eq!(line(&mut rig.output("web", number)), "1");
}

#[test]
fn what_is_too_large_for_the_kernel_says_so() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    let file = write(&dir, "env", format!("A={}\n", "hush".repeat(50_000)));
    let failure = failure_of(&rig, reading(sleeper("web"), &[&file]));
    assert_eq!((failure.stage, failure.errno), (SpawnStage::Exec, 7));
    assert!(failure.hint.contains("128 KiB") && !format!("{failure:?}").contains("hush"), "{failure:?}");
    // The longest that it takes: 32 pages, with the name, the `=` and the end.
    let most = 32 * 4096 - "A=\0".len();
    fs::write(Path::new(&file), format!("A={}\n", "x".repeat(most))).unwrap();
    rig.up(reading(sh("fits", "echo ${#A}"), &[&file]));
    let mut text = String::new();
    rig.output("fits", 1).read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("{most}\n"));
}

#[test]
fn a_process_with_a_pty_is_told_of_a_terminal_and_a_watched_one_of_its_watchdog() {
    let rig = Rig::new();
    let mut web =
        sh("web", "echo \"$TERM|$WATCHDOG_USEC|$WATCHDOG_PID|${NOTIFY_SOCKET##*/}\"; exec sleep 1000");
    web.output.pty = true;
    web.start.watchdog = Some(Duration::from_secs(60));
    rig.up(web);
    assert_eq!(line(&mut rig.output("web", 1)), format!("dumb|60000000||{}", id("web")));
}

#[test]
fn a_hook_has_the_environment_of_its_process_and_a_trace_of_its_own() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    let file = write(&dir, "env", "A=1\n");
    let seen = dir.path().join("seen");
    let script = format!(
        "echo $A $PROCESS_NAME $PROCESS_RUN $PROCESS_INVOCATION_ID $PROCESS_HELPER_ID >{}",
        seen.display()
    );
    let mut web =
        reading(sh("web", "echo $PROCESS_INVOCATION_ID $PROCESS_HELPER_ID; exec sleep 1000"), &[&file]);
    web.hooks.start_pre = vec![Hook {
        command: CommandLine { program: "sh".into(), args: vec!["-c".into(), script] },
        timeout: None,
        ignore_failure: false,
    }];
    rig.up(web);
    let invocation = line(&mut rig.output("web", 1));
    let seen = fs::read_to_string(seen).unwrap();
    let helper =
        seen.strip_prefix(&format!("1 web 1 {invocation} ")).unwrap_or_else(|| panic!("{seen}")).trim_end();
    assert_eq!((invocation.len(), helper.len()), (32, 32), "{seen}");
    assert_ne!(invocation, helper);
}
