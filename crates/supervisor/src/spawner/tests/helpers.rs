//! A helper runs instead of the program, and as the program would.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use model::{
    CommandLine, EnvironmentFile, HookKind, InvocationId, PathCondition, ProcessName, ProcessSpec,
    ProcessType, RunId, RunNumber, SpawnFailure, SpawnStage,
};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, User, geteuid};
use sys::pidfd;
use sys::spawn::Spawner;

use super::fixture::{null, sleeper};
use crate::board::Board;
use crate::driver::{Shared, Turns};
use crate::inbox::Inbox;
use crate::machine::{Helper, Role};
use crate::notify::{Counts, NotifySocket};
use crate::spawner::run::leaf_name;
use crate::spawner::{Born, Directories, Pool, Spawned};
use crate::{Attach, ChildStdio, RunInfo, StdioError, StdioProvider};

/// Standard output of the last run is a pipe that the test reads.
#[derive(Default)]
struct LastOutput(Mutex<Option<File>>);

impl StdioProvider for LastOutput {
    fn open(&self, _: &RunInfo) -> Result<(ChildStdio, Attach), StdioError> {
        let (reader, writer) = pipe().unwrap();
        *self.0.lock().unwrap() = Some(OwnedFd::from(reader).into());
        Ok((ChildStdio { stdin: null(), stdout: writer.into(), stderr: null() }, Box::new(|_| ())))
    }
    fn finished(&self, _: RunId) {}
    fn configure(&self, _: &Arc<ProcessSpec>) {}
    fn forget(&self, _: &ProcessName) {}
}

/// A spawner without threads.
struct Bench {
    pool: Pool,
    output: Arc<LastOutput>,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let shared = Shared {
            inbox: Inbox::new().unwrap(),
            board: Board::default(),
            turns: Turns::default(),
            notices: Counts::default(),
        };
        let (output, dir) = (Arc::new(LastOutput::default()), tempfile::tempdir().unwrap());
        let pool = Pool {
            shared: Arc::new(shared),
            stdio: Arc::clone(&output) as _,
            delegated: None,
            base_env: BTreeMap::new(),
            own_account: OnceLock::new(),
            notify_dir: dir.path().join("notify"),
            directories: Directories::new(dir.path().join("processes")),
        };
        Self { pool, output, dir }
    }

    fn run(&self, info: &RunInfo) -> Spawned {
        self.pool.run(&mut Spawner::new().unwrap(), info)
    }

    /// Everything that it printed.
    fn output_of(&self, info: &RunInfo) -> String {
        let born = born(self.run(info));
        let mut text = String::new();
        self.output.0.lock().unwrap().take().unwrap().read_to_string(&mut text).unwrap();
        end(&born);
        text
    }
}

fn born(spawned: Spawned) -> Born {
    match spawned {
        Spawned::Born(born) => born,
        other => panic!("{other:?}"),
    }
}

fn failed(spawned: Spawned) -> SpawnFailure {
    match spawned {
        Spawned::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn end(born: &Born) {
    pidfd::send_signal(born.child.pidfd.as_fd(), 9).unwrap();
    waitpid(Pid::from_raw(born.child.pid.try_into().unwrap()), None).unwrap();
}

fn main_run(spec: ProcessSpec) -> RunInfo {
    RunInfo {
        run: RunId(1),
        number: RunNumber(7),
        invocation: InvocationId(0xabc),
        spec: Arc::new(spec),
        helper: None,
        first: false,
    }
}

fn helper_run(spec: ProcessSpec, role: Role, command: &[&str]) -> RunInfo {
    let args = command[1..].iter().map(|arg| (*arg).to_owned()).collect();
    let command = CommandLine { program: command[0].into(), args };
    let helper = Helper { id: InvocationId(0xdef), role, command, env: vec![("MAINPID", "42".to_owned())] };
    RunInfo { helper: Some(helper), ..main_run(spec) }
}

#[test]
fn a_helper_runs_as_the_process_would() {
    let bench = Bench::new();
    let script =
        r#"echo "$0|$1"; umask; pwd; id -u; id -g; echo "$A|$HOME|$PROCESS_RUN|$MAINPID|$PROCESS_HELPER_ID""#;
    let mut spec = sleeper("web");
    spec.exec.env = [("A".to_owned(), "b".to_owned())].into();
    spec.exec.umask = Some(0o027);
    spec.exec.working_dir = Some("/tmp".into());
    // The daemon's own user where it may not become another one.
    let who = if geteuid().is_root() { User::from_name("nobody") } else { User::from_uid(geteuid()) };
    let who = who.unwrap().unwrap();
    spec.exec.user = Some(who.name.clone());
    let helper = helper_run(spec, Role::Hook(HookKind::Reload), &["sh", "-c", script, "zero", "one two"]);
    let (home, id) = (who.dir.display(), "00000000000000000000000000000def");
    let expected = format!("zero|one two\n0027\n/tmp\n{}\n{}\nb|{home}|7|42|{id}\n", who.uid, who.gid);
    assert_eq!(bench.output_of(&helper), expected);
}

#[test]
fn a_helper_is_searched_in_the_path_of_the_process() {
    let bench = Bench::new();
    symlink("/bin/sh", bench.dir.path().join("greet")).unwrap();
    let file = bench.dir.path().join("env");
    fs::write(&file, format!("PATH={}\n", bench.dir.path().display())).unwrap();
    let mut spec = sleeper("web");
    spec.exec.environment_files = vec![EnvironmentFile { path: file, optional: false }];
    let helper = helper_run(spec, Role::HealthCheck, &["greet", "-c", "echo $PROCESS_NAME"]);
    assert_eq!(bench.output_of(&helper), "web\n");
}

#[test]
fn a_helper_that_fails_is_named_by_its_key_and_its_command() {
    let bench = Bench::new();
    let place = |spec: &ProcessSpec, role, command: &[&str]| {
        let failure = failed(bench.run(&helper_run(spec.clone(), role, command)));
        (failure.stage, failure.subject, failure.hint)
    };
    let mut spec = sleeper("web");
    let (stage, subject, hint) = place(&spec, Role::Hook(HookKind::StopPost), &["/opt/clean", "--all"]);
    assert_eq!((stage, subject.as_str()), (SpawnStage::Resolve, "/opt/clean"));
    assert_eq!(hint, "install it, or correct exec_stop_post: (exec_stop_post: /opt/clean --all)");
    let (_, _, hint) = place(&spec, Role::HealthCheck, &["no-such-check", "-q"]);
    assert!(
        hint.starts_with("install it, or write its full path in health_check:; searched PATH="),
        "{hint}"
    );
    // Also where it fails on what it shares with the program.
    spec.exec.working_dir = Some("/no/such/dir".into());
    let (stage, _, hint) = place(&spec, Role::Hook(HookKind::StartPre), &["true"]);
    assert_eq!(
        (stage, hint.as_str()),
        (SpawnStage::WorkingDir, "create it, or fix `working_dir` (exec_start_pre: true)")
    );
    spec.exec.environment_files = vec![EnvironmentFile { path: "/no/such/file".into(), optional: false }];
    let (stage, _, hint) = place(&spec, Role::Hook(HookKind::StartPre), &["true"]);
    assert_eq!(stage, SpawnStage::Environment);
    assert!(hint.ends_with(" (exec_start_pre: true)"), "{hint}");
}

#[test]
fn conditions_are_for_the_first_thing_that_a_start_executes() {
    let bench = Bench::new();
    let mut spec = sleeper("web");
    // Before everything else: neither is looked for.
    spec.exec.user = Some("no-such-user".into());
    spec.start.conditions = vec![
        PathCondition { path: "/".into(), negated: false },
        PathCondition { path: "/dev/null".into(), negated: true },
    ];
    for info in [main_run(spec.clone()), helper_run(spec.clone(), Role::Hook(HookKind::StartPre), &["true"])]
    {
        assert_eq!(failed(bench.run(&info)).stage, SpawnStage::Credentials);
        match bench.run(&RunInfo { first: true, ..info }) {
            Spawned::Skipped(condition) => assert_eq!(condition, "!/dev/null"),
            other => panic!("{other:?}"),
        }
    }
    assert!(bench.output.0.lock().unwrap().is_none(), "its output was opened");
}

#[test]
fn a_program_that_reports_gets_a_socket_and_its_helpers_do_not() {
    let bench = Bench::new();
    let mut spec = sleeper("web");
    spec.exec.program = "sh".into();
    spec.exec.args = vec!["-c".into(), "echo \"$NOTIFY_SOCKET\"".into()];
    spec.start.kind = ProcessType::Notify;
    let helper =
        helper_run(spec.clone(), Role::Hook(HookKind::StartPost), &["sh", "-c", "echo \"$NOTIFY_SOCKET\""]);
    assert_eq!(bench.output_of(&helper), "\n");
    let path = bench.dir.path().join("notify/000102030405");
    assert_eq!(bench.output_of(&main_run(spec.clone())), format!("{}\n", path.display()));
    let born = born(bench.run(&main_run(spec.clone())));
    assert_eq!(born.notify.as_ref().map(NotifySocket::path), Some(&*path));
    assert!(path.exists());
    end(&born);
    drop(born);
    assert!(!path.exists());
    // A program that is not there leaves no socket behind.
    spec.exec.program = "/no/such/program".into();
    assert_eq!(failed(bench.run(&main_run(spec))).stage, SpawnStage::Resolve);
    assert!(!path.exists());
}

#[test]
fn a_socket_that_can_not_be_made_fails_the_start_with_its_place() {
    let mut bench = Bench::new();
    bench.pool.notify_dir = "/dev/null/notify".into();
    let mut spec = sleeper("web");
    spec.start.watchdog = Some(Duration::from_secs(1));
    let failure = failed(bench.run(&main_run(spec)));
    assert_eq!((failure.stage, failure.subject.as_str()), (SpawnStage::Notify, "/dev/null/notify"));
    assert!(!failure.hint.is_empty() && !failure.message.contains("os error"), "{failure:?}");
}

#[test]
fn a_variable_that_can_not_be_passed_on_is_named_without_its_value() {
    let mut spec = sleeper("web");
    spec.exec.env = [("TOKEN".to_owned(), "hush\0hush".to_owned())].into();
    let failure = failed(Bench::new().run(&main_run(spec)));
    assert_eq!((failure.subject.as_str(), failure.message.as_str()), ("TOKEN", "holds a NUL character"));
    assert!(!format!("{failure:?}").contains("hush"), "{failure:?}");
}

#[test]
fn a_helper_has_a_cgroup_of_its_own() {
    assert_eq!(leaf_name(&main_run(sleeper("web"))), "web.00000000000000000000000000000abc");
    let helper = helper_run(sleeper("web"), Role::HealthCheck, &["true"]);
    assert_eq!(leaf_name(&helper), "web.00000000000000000000000000000def");
}
