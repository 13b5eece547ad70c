//! Start, exit, restart, stop, many at once, the end.

use std::sync::Arc;

use crate::support::{Rig, done, immortal, impatient, is_alive, kill, line, name, pid_of, sh, sleeper, spec};
use model::{Command, Desired, EventKind, ExitReason, ExitStatus, Refusal, Reply, Signal, State};
use nix::sys::signal::Signal as Nix;

#[test]
fn a_started_process_runs_and_the_board_shows_it_before_the_answer() {
    let rig = Rig::new();
    let view = rig.up(sleeper("web"));
    assert_eq!(view.state, State::Running);
    let pid = pid_of(&view);
    assert!(is_alive(pid));
    assert_eq!(rig.view("web").map(|v| pid_of(&v)), Some(pid));
    assert_eq!(rig.calls(), ["configure web".to_owned(), format!("attach web {pid}")]);
}

#[test]
fn an_exit_is_reported_with_status_and_usage() {
    let rig = Rig::new();
    rig.ask(Command::Create { spec: Arc::new(sh("job", "exit 3")), start: true }).ok();
    let (status, reason, usage) = rig.event("job", |e| match &e.kind {
        EventKind::Exited { status, reason, usage, .. } => Some((*status, *reason, *usage)),
        _ => None,
    });
    assert_eq!((status, reason), (ExitStatus::Code(3), ExitReason::ExitCode));
    assert_eq!(usage.max_rss, 0, "a shell needs less than this program: {usage:?}");
}

#[test]
fn a_crash_is_followed_by_a_new_run_with_a_new_pid() {
    let rig = Rig::new();
    let first = pid_of(&rig.up(immortal(sleeper("web"))));
    kill(first, Nix::SIGKILL);
    let status = rig.event("web", |e| match &e.kind {
        EventKind::Exited { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(status, ExitStatus::Signal { signal: Signal::KILL, core: false });
    let second = rig.started("web", 2);
    assert_ne!(second, first);
    assert!(is_alive(second) && !is_alive(first));
    let view = rig.view("web").unwrap();
    assert_eq!((view.counters.restarts, pid_of(&view)), (1, second));
}

#[test]
fn every_exit_of_a_burst_is_seen() {
    let rig = Rig::new();
    let names: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
    let first: Vec<u32> = names.iter().map(|n| pid_of(&rig.up(immortal(sleeper(n))))).collect();
    first.iter().for_each(|pid| kill(*pid, Nix::SIGKILL));
    let mut seen = 0;
    while seen < names.len() {
        seen += names
            .iter()
            .filter(|n| rig.view(n).is_some_and(|v| v.counters.restarts == 1 && v.state == State::Running))
            .count();
        if seen < names.len() {
            seen = 0;
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_child_that_ignores_term_is_killed() {
    let rig = Rig::new();
    let script = "trap '' TERM; echo ready; while :; do sleep 1000; done";
    let pid = pid_of(&rig.up(impatient(sh("stubborn", script))));
    assert_eq!(line(&mut rig.output("stubborn", 1)), "ready");
    let view = done(rig.ask(Command::Stop(name("stubborn"))));
    assert_eq!(view.state, State::Stopped);
    assert!(!is_alive(pid));
    rig.event("stubborn", |e| matches!(e.kind, EventKind::StopTimedOut { .. }).then_some(()));
}

#[test]
fn the_stop_signal_is_the_one_that_is_defined() {
    let rig = Rig::new();
    let mut polite =
        sh("polite", "trap 'echo got USR1; exit 7' USR1; echo ready; while :; do sleep 0.01; done");
    polite.stop.signal = "USR1".parse().unwrap();
    polite.stop.mode = model::KillMode::Mixed;
    rig.up(polite);
    let mut output = rig.output("polite", 1);
    assert_eq!(line(&mut output), "ready");
    done(rig.ask(Command::Stop(name("polite"))));
    assert_eq!(line(&mut output), "got USR1");
    let view = rig.view("polite").unwrap();
    assert_eq!(view.last_exit().and_then(|e| e.status), Some(ExitStatus::Code(7)));
}

#[test]
fn a_restart_replaces_the_run() {
    let rig = Rig::new();
    let first = pid_of(&rig.up(sleeper("web")));
    let view = done(rig.ask(Command::Restart(name("web"))));
    assert_ne!(pid_of(&view), first);
    assert!(!is_alive(first));
    assert_eq!(view.run.as_ref().map(|r| r.number.0), Some(2));
}

#[test]
fn two_hundred_processes_come_and_go() {
    let rig = Rig::new();
    let specs: Vec<_> = (0..200).map(|n| Arc::new(sleeper(&format!("p{n}")))).collect();
    let answer = rig.ask(Command::Apply(Desired { specs, invalid: Vec::new() }));
    assert!(matches!(&answer, Ok(Reply::Applied(changes)) if changes.len() == 200), "{answer:?}");
    let pids: Vec<u32> = (0..200)
        .map(|n| {
            loop {
                match rig.view(&format!("p{n}")) {
                    Some(view) if view.state == State::Running => break pid_of(&view),
                    _ => std::thread::yield_now(),
                }
            }
        })
        .collect();
    rig.ask(Command::Apply(Desired::default())).unwrap();
    while !rig.handle.snapshot().processes.is_empty() {
        std::thread::yield_now();
    }
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    assert_eq!(rig.calls().iter().filter(|c| c.starts_with("finished")).count(), 200);
    assert_eq!(rig.calls().iter().filter(|c| c.starts_with("forget")).count(), 200);
}

#[test]
fn shutdown_stops_everything_and_ends_the_thread() {
    let mut rig = Rig::new();
    let pids: Vec<u32> = ["a", "b", "c"].map(|n| pid_of(&rig.up(immortal(sleeper(n))))).into();
    rig.shut_down();
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    let refused = rig.handle.submit(Command::Start(name("a")), Box::new(|_| ()));
    assert_eq!(refused, Err(Refusal::ShuttingDown));
    assert!(rig.handle.snapshot().processes.iter().all(|p| p.state == State::Stopped));
}

#[test]
fn turns_are_counted_and_timed() {
    let rig = Rig::new();
    let before = rig.handle.turns();
    rig.up(spec("quick", "true", &[]));
    rig.event("quick", |e| matches!(e.kind, EventKind::Exited { .. }).then_some(()));
    // The turn that reports the exit is recorded only after its event.
    while rig.handle.turns().count < before.count + 3 {
        std::thread::yield_now();
    }
    let after = rig.handle.turns();
    assert!(after.total > before.total && after.longest <= after.total, "{before:?} {after:?}");
}
