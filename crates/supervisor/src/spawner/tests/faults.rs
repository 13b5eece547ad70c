//! Whatever fails below the spawner follows the restart policy, through the real driver and the real machine.

use std::time::Duration;

use model::{
    Command, EventKind, ExitReason, NextActionKind, OnStartLimit, ProcessSpec, Reason, Refusal, Reply,
    RestartPolicy, SpawnFailure, SpawnStage, State,
};
use nix::errno::Errno;
use sys::spawn::Stage;

use super::fixture::{Fault, Rig, sleeper};

const FOREVER: usize = usize::MAX;
const HOUR: Duration = Duration::from_secs(3600);

/// Each with the step and the number that are told.
const FAULTS: [(Fault, SpawnStage, i32); 10] = [
    (Fault::Error(Stage::Clone, Errno::EAGAIN), SpawnStage::Clone, 11),
    (Fault::Error(Stage::Clone, Errno::ENOMEM), SpawnStage::Clone, 12),
    (Fault::Error(Stage::Exec, Errno::ETXTBSY), SpawnStage::Exec, 26),
    (Fault::Error(Stage::Exec, Errno::ENOMEM), SpawnStage::Exec, 12),
    (Fault::Error(Stage::Exec, Errno::EAGAIN), SpawnStage::Exec, 11),
    (Fault::Error(Stage::Exec, Errno::EACCES), SpawnStage::Exec, 13),
    (Fault::Error(Stage::Groups, Errno::EPERM), SpawnStage::Groups, 1),
    (Fault::Error(Stage::Gid, Errno::EPERM), SpawnStage::Gid, 1),
    (Fault::Error(Stage::Uid, Errno::EPERM), SpawnStage::Uid, 1),
    (Fault::Panic, SpawnStage::Clone, 0),
];

/// Started twice within an hour, then it rests for one. In between there is the delay of a program that was never
/// executed, as its own is none.
fn patient(name: &str) -> ProcessSpec {
    let mut spec = sleeper(name);
    spec.restart.delay = Duration::ZERO;
    spec.restart.max_delay = HOUR;
    spec.restart.limit_burst = 2;
    spec.restart.limit_interval = HOUR;
    spec
}

fn spawn_failure(rig: &Rig, name: &str) -> SpawnFailure {
    rig.event(name, |kind| match kind {
        EventKind::SpawnFailed(failure) => Some(failure.clone()),
        _ => None,
    })
}

/// The delay of the next restart; `None` = the start limit is reached instead.
fn next_delay(rig: &Rig, name: &str) -> Option<Duration> {
    rig.event(name, |kind| match kind {
        EventKind::RestartScheduled { delay, .. } => Some(Some(*delay)),
        EventKind::StartLimitReached { burst: 2, interval: HOUR, cooldown: Some(HOUR) } => Some(None),
        EventKind::StartLimitReached { .. } => panic!("{kind:?}"),
        _ => None,
    })
}

#[test]
fn each_fault_backs_off_and_ends_in_a_crash_loop() {
    let rig = Rig::new();
    // All of them at once, as their delays are real.
    for (number, (fault, ..)) in FAULTS.into_iter().enumerate() {
        let name = format!("p{number}");
        rig.faults.set(&name, fault, FOREVER);
        let refusal = rig.create(patient(&name)).unwrap_err();
        assert!(matches!(refusal, Refusal::StartFailed(..)), "{refusal:?}");
    }
    for (number, (fault, stage, errno)) in FAULTS.into_iter().enumerate() {
        let name = format!("p{number}");
        let mut delays = Vec::new();
        let failure = loop {
            let failure = spawn_failure(&rig, &name);
            assert_eq!((failure.stage, failure.errno), (stage, errno), "{failure:?}");
            assert!(!failure.message.is_empty() && !failure.hint.is_empty(), "{failure:?}");
            match next_delay(&rig, &name) {
                Some(delay) => delays.push(delay),
                None => break failure,
            }
        };
        assert_eq!(delays, [Duration::from_secs(1)], "{fault:?}");
        assert_eq!(rig.faults.left(&name), FOREVER - 2);
        let view = rig.view(&name);
        assert_eq!(view.state, State::CrashLoop);
        assert_eq!(view.next.map(|next| next.kind), Some(NextActionKind::Start));
        assert_eq!(view.counters.exits[ExitReason::SpawnFailed as usize], 2);
        assert_eq!((view.counters.restarts, view.counters.starts), (1, 0));
        let Reason::StartLimit { burst: 2, last, .. } = &view.reason else { panic!("{:?}", view.reason) };
        assert_eq!(**last, Reason::SpawnFailed(failure));
    }
}

#[test]
fn a_fault_that_passes_is_survived() {
    let rig = Rig::new();
    for (number, (fault, ..)) in FAULTS.into_iter().enumerate() {
        let name = format!("p{number}");
        rig.faults.set(&name, fault, 1);
        rig.create(patient(&name)).unwrap_err();
    }
    for (number, (fault, ..)) in FAULTS.into_iter().enumerate() {
        let name = format!("p{number}");
        rig.event(&name, |kind| matches!(kind, EventKind::Started { .. }).then_some(()));
        let view = rig.view(&name);
        assert_eq!((view.state, rig.faults.left(&name)), (State::Running, 0), "{fault:?}");
        assert_eq!((view.counters.restarts, view.counters.starts), (1, 1));
        assert_eq!(view.run.as_ref().map(|run| run.number.0), Some(2));
    }
}

#[test]
fn after_the_cool_down_it_is_tried_again() {
    let rig = Rig::new();
    rig.faults.set("web", Fault::Error(Stage::Clone, Errno::EAGAIN), FOREVER);
    let mut web = patient("web");
    (web.restart.limit_burst, web.restart.limit_interval) = (1, Duration::from_secs(2));
    web.restart.max_delay = Duration::ZERO;
    rig.create(web).unwrap_err();
    rig.event("web", |kind| matches!(kind, EventKind::StartLimitReached { .. }).then_some(()));
    rig.faults.set("web", Fault::Panic, 0);
    rig.event("web", |kind| matches!(kind, EventKind::Started { .. }).then_some(()));
    assert_eq!(rig.view("web").state, State::Running);
}

#[test]
fn policies_and_limits_that_give_up_do_so() {
    let rig = Rig::new();
    let fault = Fault::Error(Stage::Clone, Errno::ENOMEM);
    for policy in [RestartPolicy::Never, RestartPolicy::OnSuccess] {
        let name = policy.as_str();
        rig.faults.set(name, fault, FOREVER);
        let mut spec = patient(name);
        spec.restart.policy = policy;
        rig.create(spec).unwrap_err();
        assert_eq!(rig.view(name).state, State::Failed);
        assert_eq!(rig.faults.left(name), FOREVER - 1);
    }
    rig.faults.set("limited", fault, FOREVER);
    let mut limited = patient("limited");
    limited.restart.on_limit = OnStartLimit::Fail;
    rig.create(limited).unwrap_err();
    rig.event("limited", |kind| {
        matches!(kind, EventKind::StartLimitReached { cooldown: None, .. }).then_some(())
    });
    assert_eq!((rig.view("limited").state, rig.faults.left("limited")), (State::Failed, FOREVER - 2));
}

#[test]
fn a_stop_ends_the_tries() {
    let rig = Rig::new();
    rig.faults.set("web", Fault::Error(Stage::Exec, Errno::ETXTBSY), FOREVER);
    let mut web = patient("web");
    web.restart.delay = HOUR;
    let name = web.name.clone();
    rig.create(web).unwrap_err();
    assert_eq!(next_delay(&rig, "web"), Some(HOUR));
    assert_eq!(rig.view("web").state, State::Backoff);
    let Ok(Reply::Done(view)) = rig.ask(Command::Stop(name)) else { panic!("not stopped") };
    assert_eq!((view.state, view.next), (State::Stopped, None));
    assert_eq!(rig.faults.left("web"), FOREVER - 1);
}

#[test]
fn a_panic_at_any_step_fails_one_start_and_no_other() {
    let rig = Rig::new();
    rig.faults.set("launch-panics", Fault::Panic, FOREVER);
    for (name, stage) in [("open-panics", SpawnStage::Stdio), ("launch-panics", SpawnStage::Clone)] {
        let mut spec = patient(name);
        spec.restart.policy = RestartPolicy::Never;
        rig.create(spec).unwrap_err();
        let failure = spawn_failure(&rig, name);
        assert_eq!((failure.stage, failure.subject.as_str()), (stage, name));
        assert!(failure.message.contains("internal error"), "{failure:?}");
        // There is one spawner, and it lives.
        rig.create(sleeper(&format!("after-{name}"))).unwrap();
    }
    // By then the process runs: what is lost is its log.
    rig.create(sleeper("attach-panics")).unwrap();
    assert_eq!(rig.view("attach-panics").state, State::Running);
}
