//! `condition_path_exists`: looked at before everything else of a start, at each start.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use crate::support::{Rig, done, immortal, kill, name, pid_of, sh, sleeper};
use model::{Command, CommandLine, EventKind, Hook, PathCondition, ProcessSpec, Reason, State};
use nix::sys::signal::Signal as Nix;

fn on(mut spec: ProcessSpec, conditions: &[(&Path, bool)]) -> ProcessSpec {
    let condition =
        |(path, negated): &(&Path, bool)| PathCondition { path: (*path).into(), negated: *negated };
    spec.start.conditions = conditions.iter().map(condition).collect();
    spec
}

/// Creates and starts, and waits until it is told that it is skipped.
fn skipped(rig: &Rig, spec: ProcessSpec) -> String {
    let name = spec.name.to_string();
    let _answered = rig.ask(Command::Create { spec: Arc::new(spec), start: true });
    told(rig, &name)
}

/// The condition that the next skip of this process is for.
fn told(rig: &Rig, name: &str) -> String {
    let condition = rig.event(name, |e| match &e.kind {
        EventKind::Skipped { condition } => Some(condition.clone()),
        EventKind::Started { .. } | EventKind::SpawnFailed(_) => panic!("{e:?}"),
        _ => None,
    });
    assert_eq!(rig.view(name).map(|v| v.state), Some(State::Skipped));
    condition
}

#[test]
fn a_condition_that_does_not_hold_skips_the_start_and_is_named() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    let (root, gone) = (Path::new("/"), dir.path().join("gone"));
    assert_eq!(skipped(&rig, on(sleeper("a"), &[(root, false), (&gone, false)])), gone.display().to_string());
    assert_eq!(skipped(&rig, on(sleeper("b"), &[(&gone, true), (root, true), (&gone, false)])), "!/");
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    let dangling = dir.path().join("dangling");
    assert_eq!(skipped(&rig, on(sleeper("c"), &[(&dangling, false)])), dangling.display().to_string());
    let view = rig.view("b").unwrap();
    let reason = view.reason.to_string();
    assert!(matches!(view.reason, Reason::ConditionFailed(_)) && reason.contains("!/"), "{reason}");
    assert!(!rig.calls().iter().any(|call| call.starts_with("attach")), "something was started");
    rig.up(on(sleeper("d"), &[(root, false), (&gone, true), (&dangling, true)]));
}

#[test]
fn conditions_come_before_everything_else() {
    let rig = Rig::with(1, Box::new(|info| panic!("its output was opened: {info:?}")));
    let mut web = on(sleeper("web"), &[(Path::new("/"), true)]);
    web.exec.program = "/no/such/program".into();
    web.exec.user = Some("no-such-user".into());
    web.exec.environment_files =
        vec![model::EnvironmentFile { path: "/no/such/file".into(), optional: false }];
    assert_eq!(skipped(&rig, web), "!/");
}

#[test]
fn conditions_come_before_the_hooks_of_a_start() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    let (flag, trace) = (dir.path().join("flag"), dir.path().join("trace"));
    let mut web = on(sleeper("web"), &[(&flag, false)]);
    let command = CommandLine { program: "touch".into(), args: vec![trace.display().to_string()] };
    web.hooks.start_pre = vec![Hook { command, timeout: None, ignore_failure: false }];
    assert_eq!(skipped(&rig, web), flag.display().to_string());
    assert!(!trace.exists(), "a hook was run");
    fs::write(&flag, "").unwrap();
    done(rig.ask(Command::Start(name("web"))));
    assert!(trace.exists(), "no hook was run");
}

#[test]
fn conditions_are_looked_at_again_at_each_start() {
    let (rig, dir) = (Rig::new(), tempfile::tempdir().unwrap());
    let flag = dir.path().join("flag");
    let web = immortal(on(sleeper("web"), &[(&flag, false)]));
    skipped(&rig, web);
    fs::write(&flag, "").unwrap();
    let pid = pid_of(&done(rig.ask(Command::Start(name("web")))));
    rig.event("web", |e| matches!(e.kind, EventKind::Started { .. }).then_some(()));
    // What runs is left alone; its next start, even one that nobody asks for, is not.
    fs::remove_file(&flag).unwrap();
    assert_eq!(rig.view("web").map(|v| v.state), Some(State::Running));
    kill(pid, Nix::SIGKILL);
    assert_eq!(told(&rig, "web"), flag.display().to_string());
    fs::create_dir(&flag).unwrap();
    done(rig.ask(Command::Start(name("web"))));
}

#[test]
fn a_start_that_is_skipped_delays_and_fails_no_other() {
    let rig = Rig::with(1, Box::new(|_| Ok(())));
    let pid = pid_of(&rig.up(sleeper("healthy")));
    for number in 0..20 {
        skipped(&rig, on(sh(&format!("p{number}"), "exit 1"), &[(Path::new("/"), true)]));
    }
    rig.up(sleeper("another"));
    assert_eq!(rig.view("healthy").map(|v| (v.state, pid_of(&v))), Some((State::Running, pid)));
}
