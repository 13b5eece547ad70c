//! Starts that fail, and a provider that fails, panics or hangs: each says what and why, and nothing else suffers.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;

use crate::support::{Gate, Rig, done, name, pid_of, sleeper, spec};
use model::{Command, EventKind, ProcessSpec, Refusal, SpawnFailure, SpawnStage, State};
use supervisor::{RunInfo, StdioError};

fn failure_of(rig: &Rig, spec: ProcessSpec) -> SpawnFailure {
    let who = spec.name.clone();
    let failure = match rig.ask(Command::Create { spec: Arc::new(spec), start: true }) {
        Err(Refusal::StartFailed(name, failure)) if name == who => failure,
        other => panic!("expected StartFailed, got {other:?}"),
    };
    let event = rig.event(who.as_str(), |e| match &e.kind {
        EventKind::SpawnFailed(failure) => Some(failure.clone()),
        _ => None,
    });
    assert_eq!(event, failure);
    assert_eq!(rig.view(who.as_str()).map(|v| v.state), Some(State::Failed));
    failure
}

#[test]
fn a_failed_exec_names_stage_path_and_way_out_and_the_rest_goes_on() {
    let rig = Rig::new();
    let pid = pid_of(&rig.up(sleeper("healthy")));
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("app.py");
    std::fs::write(&script, "#!/opt/no/python\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = script.display().to_string();
    let failure = failure_of(&rig, spec("absent", &script, &[]));
    assert_eq!(failure.stage, SpawnStage::Exec);
    assert_eq!(failure.to_string(), format!("executing the program {script:?}: No such file or directory"));
    assert_eq!(failure.hint, "its interpreter /opt/no/python does not exist: install it or fix the #! line");

    let failure = failure_of(&rig, spec("dir", "/tmp", &[]));
    assert_eq!((failure.stage, failure.errno), (SpawnStage::Resolve, 21));
    assert!(failure.hint.contains("directory"), "{failure:?}");

    assert_eq!(rig.view("healthy").map(|v| (v.state, pid_of(&v))), Some((State::Running, pid)));
    assert!(!rig.calls().iter().any(|c| c.starts_with("attach absent")), "attached without a process");
    rig.up(sleeper("another"));
}

#[test]
fn a_program_that_is_nowhere_names_the_path_that_was_searched() {
    let failure = failure_of(&Rig::new(), spec("typo", "pyton-3", &[]));
    assert_eq!(failure.stage, SpawnStage::Resolve);
    assert!(failure.hint.contains("searched PATH=/usr/local/sbin:"), "{failure:?}");
}

#[test]
fn a_working_directory_that_is_gone_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut web = sleeper("web");
    web.exec.working_dir = Some(dir.path().join("gone"));
    let failure = failure_of(&Rig::new(), web);
    assert_eq!(failure.stage, SpawnStage::WorkingDir);
    assert_eq!(failure.subject, dir.path().join("gone").display().to_string());
    assert_eq!(failure.hint, "create it, or fix `working_dir`");
}

#[test]
fn an_unknown_user_is_named() {
    let mut web = sleeper("web");
    web.exec.user = Some("no-such-user".into());
    let failure = failure_of(&Rig::new(), web);
    assert_eq!((failure.stage, failure.subject.as_str()), (SpawnStage::Credentials, "no-such-user"));
}

#[test]
fn an_argument_with_a_nul_is_refused() {
    let failure = failure_of(&Rig::new(), spec("nul", "echo", &["a\0b"]));
    assert_eq!(failure.message, "holds a NUL character");
}

#[test]
fn a_log_that_can_not_be_opened_fails_the_start_with_its_path() {
    let full = |info: &RunInfo| match info.spec.name.as_str() {
        "web" => Err(StdioError {
            subject: "/var/log/web.log".into(),
            source: io::Error::from_raw_os_error(28),
            hint: "free some space".into(),
        }),
        _ => Ok(()),
    };
    let rig = Rig::with(1, Box::new(full));
    let failure = failure_of(&rig, sleeper("web"));
    assert_eq!((failure.stage, failure.errno), (SpawnStage::Stdio, 28));
    assert_eq!((failure.subject.as_str(), failure.hint.as_str()), ("/var/log/web.log", "free some space"));
    rig.up(sleeper("another"));
}

#[test]
fn a_provider_that_panics_fails_one_start_and_no_other() {
    let rig = Rig::with(
        1,
        Box::new(|info| match info.spec.name.as_str() {
            "web" => panic!("a panic on purpose"),
            _ => Ok(()),
        }),
    );
    let failure = failure_of(&rig, sleeper("web"));
    assert!(failure.message.contains("internal error"), "{failure:?}");
    rig.up(sleeper("another"));
}

#[test]
fn a_start_that_hangs_delays_no_stop() {
    let (entered, inside) = channel();
    let (open, gate) = channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let hang: Gate = Box::new(move |info| {
        if info.spec.name.as_str() == "slow" {
            entered.send(()).unwrap();
            let _opened = gate.lock().unwrap().recv();
        }
        Ok(())
    });
    // One spawner, and it hangs.
    let rig = Rig::with(1, hang);
    rig.up(sleeper("other"));
    let slow = rig.submit(Command::Create { spec: Arc::new(sleeper("slow")), start: true });
    inside.recv().unwrap();

    assert_eq!(done(rig.ask(Command::Stop(name("other")))).state, State::Stopped);
    assert!(slow.try_recv().is_err(), "the slow start was over before the stop");
    drop(open);
    assert_eq!(done(slow.recv().unwrap()).state, State::Running);
}
