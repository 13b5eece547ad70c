//! Each reason that has a way out names it, with the process to name in the command.

use std::sync::Arc;
use std::time::Duration;

use model::{
    ExitStatus, HealthSpec, HookKind, Origin, Probe, ProcessId, SpawnFailure, SpawnStage, State, Wall,
};

use super::*;

fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn view(reason: Reason, change: impl FnOnce(&mut ProcessSpec)) -> ProcessView {
    let id = ProcessId::from_digest([0; 6]);
    let mut spec = ProcessSpec::new(name("web"), id, Origin::Runtime, "/usr/bin/web");
    change(&mut spec);
    ProcessView { state: State::Failed, reason, wanted_up: true, ..ProcessView::new(Arc::new(spec), Wall(0)) }
}

fn told(reason: Reason) -> String {
    hint(&view(reason, |_| {})).unwrap()
}

#[test]
fn what_it_needs_of_others() {
    for (lack, way) in [
        (Lack::NotDefined, "define db, or take it out of `requires`, `wants` and `binds_to`"),
        (Lack::Invalid, "see why: pm-cli why db"),
        (Lack::Stopped, "start it: pm-cli start db"),
        (Lack::Ended, "start it again: pm-cli start db; if it is meant to end, need it as `db: completed`"),
        (Lack::Failed, "see why: pm-cli why db"),
        (Lack::Restarting, "see why: pm-cli why db"),
        (Lack::Unhealthy, "see why: pm-cli why db"),
    ] {
        assert_eq!(told(Reason::Lacks(name("db"), lack)), way);
    }
    let waits = Reason::WaitsFor(vec![name("db"), name("cache")]);
    assert_eq!(told(waits), "see what holds it up: pm-cli why db");
    let conflict = Reason::ConflictsWith(name("old"));
    assert_eq!(told(conflict), "the two are never up together; pm-cli start web stops old");
}

#[test]
fn stopped_with_another_is_started_with_it() {
    let mut view = view(Reason::StoppedWith(name("db")), |_| {});
    assert_eq!(hint(&view), None, "it comes back by itself");
    view.wanted_up = false;
    assert_eq!(hint(&view).unwrap(), "start it with all that it needs: pm-cli start web");
}

#[test]
fn conditions() {
    let failed = |text: &str| told(Reason::ConditionFailed(text.to_owned()));
    assert_eq!(failed("/etc/web"), "once /etc/web is there: pm-cli start web");
    assert_eq!(failed("!/etc/off"), "once /etc/off is gone: pm-cli start web");
}

#[test]
fn late_by_type() {
    let late =
        |kind| hint(&view(Reason::StartTimedOut(Duration::from_secs(90)), |s| s.start.kind = kind)).unwrap();
    for kind in ProcessType::ALL {
        let text = late(kind);
        assert!(text.starts_with("see what it was doing: pm-cli logs web; "), "{text}");
        assert!(text.contains("raise `start_timeout`"), "{text}");
    }
    assert!(late(ProcessType::Notify).ends_with("READY=1 (sd_notify(3)), write `type: simple`"));
    assert!(late(ProcessType::Forking).ends_with("stays in the foreground, write `type: simple`"));
}

#[test]
fn ended_too_early() {
    let ended = |kind| told(Reason::EndedBeforeReady(kind, ExitStatus::Code(0)));
    assert!(ended(ProcessType::Notify).contains("must send READY=1"));
    assert!(ended(ProcessType::Notify).ends_with("write `type: simple`"));
    assert_eq!(ended(ProcessType::Oneshot), "see what it printed: pm-cli logs web");
}

#[test]
fn a_daemon_that_is_not_found() {
    let lost = Reason::NoMainProcess("no pidfile".into());
    assert!(told(lost.clone()).starts_with("write `pidfile:`"));
    let text = hint(&view(lost, |spec| spec.start.pidfile = Some("/run/web.pid".into()))).unwrap();
    assert!(text.contains("/run/web.pid") && text.ends_with("pm-cli logs web"), "{text}");
}

#[test]
fn what_fails_while_it_runs() {
    assert!(told(Reason::WatchdogExpired(Duration::from_secs(3))).contains("pm-cli logs web"));
    let sick = Reason::Unhealthy("status 503".into());
    let text = hint(&view(sick.clone(), |spec| {
        spec.health = Some(HealthSpec::new(Probe::Http { url: "http://127.0.0.1:80/up".into() }));
    }));
    assert_eq!(
        text.unwrap(),
        "see what it printed: pm-cli logs web; what was asked is http http://127.0.0.1:80/up"
    );
    // The check may have been taken out of the definition since.
    assert_eq!(told(sick), "see what it printed: pm-cli logs web");
    let failed = Reason::HookFailed(HookKind::StartPre, "ended with exit code 1".into());
    assert_eq!(told(failed), "see what exec_start_pre printed: pm-cli logs web");
}

#[test]
fn a_crash_loop_has_the_way_out_of_its_last_failure() {
    let failure = |hint: &str| SpawnFailure {
        stage: SpawnStage::Exec,
        errno: 2,
        subject: "/usr/bin/wbe".into(),
        message: "No such file or directory".into(),
        hint: hint.into(),
    };
    let limit =
        |last| Reason::StartLimit { burst: 5, interval: Duration::from_secs(10), last: Box::new(last) };
    assert_eq!(told(limit(Reason::SpawnFailed(failure("check `command`")))), "check `command`");
    assert_eq!(hint(&view(limit(Reason::SpawnFailed(failure(""))), |_| {})), None);
    assert!(told(limit(Reason::Unhealthy(String::new()))).contains("pm-cli logs web"));
    assert_eq!(hint(&view(Reason::WaitsFor(vec![]), |_| {})), None);
    assert_eq!(hint(&view(Reason::Wanted, |_| {})), None);
}
