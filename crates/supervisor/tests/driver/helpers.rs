//! Hooks with what they start: nothing of it outlives them, and nothing of the process ends with them.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{Rig, done, impatient, is_alive, name, pid_of, sleeper};
use model::{Command, CommandLine, Hook, State};

/// Writes the pid of a process that is two forks away, in a session of its own.
fn leaving(file: &std::path::Path) -> Hook {
    let script = format!(
        "(setsid sh -c '(setsid sh -c \"echo \\$\\$ >{f}.new; mv {f}.new {f}; exec sleep 1000\" &)' &); \
         while ! test -f {f}; do sleep 0.01; done",
        f = file.display()
    );
    let command = CommandLine { program: "/bin/sh".into(), args: vec!["-c".into(), script] };
    Hook { command, timeout: Some(Duration::from_secs(30)), ignore_failure: false }
}

#[test]
fn what_a_hook_leaves_behind_is_gone_before_anything_follows() {
    let rig = Rig::new();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let left = |name: &str| -> u32 { fs::read_to_string(file(name)).unwrap().trim().parse().unwrap() };
    let mut web = sleeper("web");
    web.hooks.start_pre = vec![leaving(&file("pre"))];
    web.hooks.start_post = vec![leaving(&file("post"))];
    web.hooks.stop = vec![leaving(&file("stop"))];
    web.hooks.stop_post = vec![leaving(&file("stop_post"))];
    let view = rig.up(web);
    assert_eq!(view.state, State::Running);
    assert!(!is_alive(left("pre")) && !is_alive(left("post")));
    let main = pid_of(&view);
    assert!(is_alive(main));
    assert_eq!(done(rig.ask(Command::Stop(name("web")))).state, State::Stopped);
    assert!(!is_alive(main) && !is_alive(left("stop")) && !is_alive(left("stop_post")));
}

#[test]
fn a_hook_that_hangs_is_killed_with_what_it_started() {
    let rig = Rig::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let mut web = impatient(sleeper("web"));
    let mut hook = leaving(&file);
    hook.command.args[1].push_str("; exec sleep 1000");
    web.hooks.start_pre = vec![hook];
    let answer = rig.submit(Command::Create { spec: web.into(), start: true });
    let patience = Instant::now() + Duration::from_secs(30);
    while !file.exists() {
        assert!(Instant::now() < patience, "the hook does nothing");
        std::thread::yield_now();
    }
    rig.ask(Command::Delete(name("web"))).unwrap();
    assert!(answer.recv().unwrap().is_err());
    let left: u32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    assert!(!is_alive(left));
}
