//! Limits and isolation of real children. Here are no controllers of cgroup v2: what needs them is told to be missing, and
//! the rest is done in a virtual machine (`cargo xtask vm-test`).

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::{Rig, line, process_dirs, sh, sleeper};
use model::{
    Ceiling, Command, EventKind, LimitPair, ProcessSpec, Reason, Refusal, ResourceLimits, Rlimit, SpawnStage,
    State,
};

fn output_of(rig: &Rig, spec: ProcessSpec) -> String {
    let name = spec.name.to_string();
    rig.up(spec);
    let mut text = String::new();
    rig.output(&name, 1).read_to_string(&mut text).unwrap();
    text
}

/// Whether this test runs where controllers are (`SUPERVISOR_TEST_CGROUP=1` in a virtual machine).
fn cgroups() -> bool {
    std::env::var_os("SUPERVISOR_TEST_CGROUP").is_some()
}

#[test]
fn limits_and_priorities_arrive() {
    let rig = Rig::new();
    let mut web = sh(
        "web",
        "ulimit -Sn; ulimit -Hn; ulimit -c; nice; cat /proc/self/oom_score_adj; \
                             grep NoNewPrivs /proc/self/status",
    );
    let isolation = &mut web.exec.isolation;
    isolation.rlimits.insert(Rlimit::Nofile, LimitPair { soft: 123, hard: 456 });
    isolation.rlimits.insert(Rlimit::Core, LimitPair { soft: 0, hard: 0 });
    isolation.nice = Some(19);
    isolation.oom_score_adj = Some(1000);
    isolation.no_new_privileges = true;
    assert_eq!(output_of(&rig, web), "123\n456\n0\n19\n1000\nNoNewPrivs:\t1\n");
}

#[test]
fn hooks_have_the_limits_of_their_process() {
    let rig = Rig::new();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("limits");
    let mut web = sleeper("web");
    web.exec.isolation.rlimits.insert(Rlimit::Nofile, LimitPair { soft: 99, hard: 99 });
    let args = vec!["-c".to_owned(), format!("ulimit -n > {}", file.display())];
    let command = model::CommandLine { program: "/bin/sh".into(), args };
    web.hooks.start_pre = vec![model::Hook { command, timeout: None, ignore_failure: false }];
    rig.up(web);
    assert_eq!(fs::read_to_string(file).unwrap(), "99\n");
}

fn failure(answer: Result<model::Reply, Refusal>) -> model::SpawnFailure {
    match answer {
        Err(Refusal::StartFailed(_, failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn start(rig: &Rig, spec: ProcessSpec) -> Result<model::Reply, Refusal> {
    rig.ask(Command::Create { spec: spec.into(), start: true })
}

#[test]
fn what_can_t_be_given_keeps_it_from_running_and_says_why() {
    let rig = Rig::new();
    let mut web = sleeper("web");
    // More than the kernel lets anybody have.
    web.exec.isolation.rlimits.insert(Rlimit::Nofile, LimitPair { soft: 1, hard: u64::MAX - 1 });
    let failed = failure(start(&rig, web));
    assert_eq!(failed.stage, SpawnStage::Rlimits);
    assert!(failed.hint.contains("daemon's own hard limit") && failed.subject == "nofile", "{failed:?}");
    assert_eq!(rig.view("web").unwrap().state, State::Failed);

    let mut db = sleeper("db");
    db.exec.isolation.rlimits.insert(Rlimit::Core, LimitPair { soft: 2, hard: 1 });
    let failed = failure(start(&rig, db));
    assert_eq!((failed.stage, failed.message.as_str()), (SpawnStage::Rlimits, "Invalid argument"));
}

#[test]
fn memory_max_and_pids_max_are_never_left_out() {
    if cgroups() {
        return;
    }
    let rig = Rig::new();
    for (name, key) in [("a", "memory_max"), ("b", "pids_max")] {
        let mut web = sleeper(name);
        let limit = Some(Ceiling::At(64 << 20));
        match key {
            "memory_max" => web.limits.memory_max = limit,
            _ => web.limits.pids_max = limit,
        }
        let failed = failure(start(&rig, web));
        assert_eq!((failed.stage, failed.subject.as_str()), (SpawnStage::ResourceLimits, key));
        assert!(failed.hint.contains("Delegate=yes"), "{failed:?}");
        let reason = rig.view(name).unwrap().reason.clone();
        assert!(matches!(reason, Reason::SpawnFailed(_)), "{reason:?}");
    }
}

#[test]
fn the_others_are_left_out_and_shown() {
    if cgroups() {
        return;
    }
    let rig = Rig::new();
    let mut web = sleeper("web");
    web.limits.cpu_max = Some(Ceiling::At(500));
    rig.up(web.clone());
    let told = rig.event("web", |e| match &e.kind {
        EventKind::Degraded { problem } => Some(problem.clone()),
        _ => None,
    });
    assert!(told.starts_with("resource_limits.cpu_max is not in force: "), "{told}");
    let view = rig.view("web").unwrap();
    assert_eq!((view.state, view.degraded.as_deref()), (State::Running, Some(told.as_str())));
    let pid = view.run.as_ref().unwrap().pid;

    // Taking it back puts it right, and the run stays; a vital one can't be refused any more, so that it is shown.
    for (limits, key) in [
        (ResourceLimits::default(), None),
        (ResourceLimits { pids_max: Some(Ceiling::At(5)), ..ResourceLimits::default() }, Some("pids_max")),
    ] {
        let changed = ProcessSpec { limits, ..web.clone() };
        let desired = model::Desired { specs: vec![changed.into()], invalid: vec![] };
        rig.ask(Command::Apply(desired)).unwrap();
        let shown = testkit::eventually("the change of limits", || {
            let view = rig.view("web")?;
            let shown = view.degraded.clone();
            let right = key.map_or(shown.is_none(), |key| shown.as_ref().is_some_and(|s| s.contains(key)));
            right.then_some(view)
        });
        assert_eq!(shown.run.as_ref().unwrap().pid, pid);
    }
}

#[test]
fn runtime_directories_come_and_go_with_the_run() {
    let rig = Rig::new();
    let base = process_dirs(&rig.notify_dir);
    let mut web = sh(
        "web",
        "ls -A \"${RUNTIME_DIRECTORY%%:*}\"; echo $RUNTIME_DIRECTORY; touch ${RUNTIME_DIRECTORY%%:*}/x; exec sleep 1000",
    );
    web.exec.isolation.runtime_directories = vec!["web".into(), "web-cache".into()];
    web.exec.isolation.runtime_directory_mode = Some(0o710);
    rig.up(web);
    let mut output = rig.output("web", 1);
    let (first, second) = (base.join("web"), base.join("web-cache"));
    assert_eq!(line(&mut output), format!("{}:{}", first.display(), second.display()));
    let meta = fs::metadata(&second).unwrap();
    assert_eq!((meta.permissions().mode() & 0o7777, meta.uid()), (0o710, nix::unistd::geteuid().as_raw()));
    rig.ask(Command::Restart(crate::support::name("web"))).unwrap();
    // Nothing of the first run is left in it: its listing is empty.
    assert!(line(&mut rig.output("web", 2)).starts_with('/'));
    rig.ask(Command::Stop(crate::support::name("web"))).unwrap();
    testkit::eventually("the removal of both directories", || {
        (!first.exists() && !second.exists()).then_some(())
    });
}

#[test]
fn a_runtime_directory_belongs_to_one_process() {
    let rig = Rig::new();
    let with = |name: &str| {
        let mut spec = sleeper(name);
        spec.exec.isolation.runtime_directories = vec!["shared".into()];
        spec
    };
    rig.up(with("a"));
    let failed = failure(start(&rig, with("b")));
    assert_eq!(failed.stage, SpawnStage::RuntimeDirectory);
    assert!(failed.message.contains("runtime directory of a"), "{failed:?}");
    rig.ask(Command::Stop(crate::support::name("a"))).unwrap();
    // The removal is queued before the stop is answered, and another spawner may start b first.
    testkit::eventually("a start in the directory that is free", || start_again(&rig).ok());
}

fn start_again(rig: &Rig) -> Result<model::Reply, Refusal> {
    rig.ask(Command::Start(crate::support::name("b")))
}
