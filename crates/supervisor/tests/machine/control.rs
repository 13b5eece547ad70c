//! Signals, resets, critical processes and what a reload cancels, told as stories.

use std::sync::Arc;
use std::time::Duration;

use model::*;
use supervisor::machine::{Machine, Target};

use crate::world::{World, name, spec};

#[test]
fn a_signal_reaches_the_main_process_or_all() {
    let mut w = World::running(spec("web"));
    let run = w.run_of("web");
    let usr1 = Signal::from_number(10).unwrap();
    let t = w.ask(Command::Signal { name: name("web"), signal: usr1, all: false });
    assert!(w.replies[&t].is_ok());
    w.ask(Command::Signal { name: name("web"), signal: usr1, all: true });
    assert_eq!(w.signals, [(run, usr1, Target::Main), (run, usr1, Target::All)]);
    w.exited("web", 1);
    let t = w.ask(Command::Signal { name: name("web"), signal: usr1, all: true });
    assert_eq!(w.replies[&t], Err(Refusal::NotRunning(name("web"), State::Backoff)));
    let t = w.ask(Command::Signal { name: name("nobody"), signal: usr1, all: true });
    assert_eq!(w.replies[&t], Err(Refusal::NotFound(name("nobody"))));
}

#[test]
fn a_reset_tries_a_crash_loop_at_once_and_keeps_the_counters() {
    let mut s = spec("web");
    s.restart.delay = Duration::ZERO;
    s.restart.limit_burst = 2;
    let mut w = World::running(s);
    w.exited("web", 1);
    w.spawned("web");
    w.exited("web", 1);
    assert_eq!(w.state("web"), State::CrashLoop);
    let before = w.view("web").counters;
    let t = w.ask(Command::Reset(name("web")));
    assert!(matches!(&w.replies[&t], Ok(Reply::Done(v)) if v.state == State::Starting));
    assert_eq!(w.state("web"), State::Starting);
    assert_eq!(w.view("web").counters, Counters { runs: before.runs + 1, ..before });
    w.spawned("web");
    w.exited("web", 1);
    assert_eq!(w.state("web"), State::Starting, "the burst begins anew");
}

#[test]
fn a_reset_makes_a_failed_one_stopped() {
    let mut s = spec("web");
    s.restart.policy = RestartPolicy::Never;
    let mut w = World::running(s);
    w.exited("web", 1);
    assert_eq!(w.state("web"), State::Failed);
    w.ask(Command::Reset(name("web")));
    assert_eq!(
        (w.state("web"), &w.view("web").reason),
        (State::Stopped, &Reason::Reset),
        "no operator stopped it"
    );
    assert_eq!(w.view("web").counters.exits[ExitReason::ExitCode as usize], 1);
}

#[test]
fn disabling_cancels_a_pending_restart() {
    let mut w = World::running(spec("web"));
    w.exited("web", 1);
    assert_eq!(w.state("web"), State::Backoff);
    w.apply(vec![ProcessSpec { auto_start: false, ..spec("web") }]);
    assert_eq!((w.state("web"), w.machine.next_deadline()), (State::Stopped, None));
}

#[test]
fn the_end_of_a_critical_process_is_told_with_its_code() {
    let ends = [
        (ExitStatus::Code(0), 0),
        (ExitStatus::Code(7), 7),
        (ExitStatus::Signal { signal: Signal::KILL, core: false }, 137),
    ];
    for (status, code) in ends {
        let mut s = spec("web");
        s.critical = true;
        s.restart.policy = RestartPolicy::Never;
        let mut w = World::running(s);
        w.exited_leaving("web", status, vec![]);
        assert_eq!(w.events.last().unwrap().kind, EventKind::CriticalEnded { code });
    }
    let mut s = spec("web");
    s.critical = true;
    let mut w = World::running(s);
    w.exited("web", 1);
    assert_eq!(w.last_events(1), ["restart_scheduled"], "it will be back");
    w.ask(Command::Stop(name("web")));
    assert!(w.events.iter().all(|e| e.kind.as_str() != "critical_ended"), "an operator knows what he does");
}

#[test]
fn a_critical_process_that_is_skipped_has_not_ended() {
    let mut s = spec("web");
    (s.critical, s.auto_start) = (true, false);
    let mut w = World::new();
    w.apply(vec![s]);
    let t = w.ask(Command::Start(name("web")));
    w.skipped("web", "/licence");
    assert_eq!(w.state("web"), State::Skipped);
    assert!(w.replies[&t].is_err());
    assert_eq!(w.last_events(1), ["skipped"], "whoever tries to start it takes nothing down");
}

#[test]
fn the_last_five_exits_are_remembered_newest_first() {
    let mut s = spec("web");
    s.restart.delay = Duration::ZERO;
    s.restart.limit_burst = 0;
    let mut w = World::running(s);
    for code in 1..=7 {
        w.exited("web", code);
        w.spawned("web");
    }
    let codes: Vec<_> = w.view("web").exits.iter().map(|e| (e.run.0, e.status)).collect();
    let expected: Vec<_> = (3..=7_u8).rev().map(|c| (u64::from(c), Some(ExitStatus::Code(c)))).collect();
    assert_eq!(codes, expected);
}

#[test]
fn a_hot_change_of_everything_that_can_be_hot_restarts_nothing() {
    let mut w = World::running(spec("web"));
    let mut s = spec("web");
    s.groups = vec!["g".into()];
    s.needs.wants = vec![Dependency { name: name("other"), until: None }];
    s.start.timeout = None;
    s.hooks.reload = vec![Hook { command: CommandLine::default(), timeout: None, ignore_failure: true }];
    s.critical = true;
    s.health = Some(HealthSpec::new(Probe::Tcp { address: "127.0.0.1:1".into() }));
    let t = w.apply(vec![s]);
    let Ok(Reply::Applied(changes)) = &w.replies[&t] else { panic!("not applied") };
    assert_eq!(changes[0].impact, Impact::Hot);
    assert_eq!(
        changes[0].keys,
        ["groups", "wants", "start_timeout", "exec_reload", "health_check", "critical"]
    );
    assert_eq!((w.state("web"), w.spawns.len()), (State::Running, 1));
}

#[test]
fn a_thousand_exits_in_one_turn_cost_a_thousand_steps() {
    let names: Vec<String> = (0..1000).map(|n| format!("p{n:03}")).collect();
    let mut w = World::new();
    let specs = names.iter().map(|n| {
        let mut s = spec(n);
        s.restart.delay = Duration::ZERO;
        Arc::new(s)
    });
    w.ask(Command::Apply(Desired { specs: specs.collect(), invalid: vec![] }));
    names.iter().for_each(|n| w.spawned(n));
    names.iter().for_each(|n| w.exited(n, 1));
    assert!(names.iter().all(|n| w.state(n) == State::Starting));
    assert_eq!(w.spawns.len(), 2000);
}

#[test]
fn counts_and_run_numbers_go_on_where_an_earlier_daemon_left_them() {
    let before = Counters { runs: 7, restarts: 4, starts: 6, ..Counters::default() };
    let mut w = World::new();
    w.machine = Machine::with_past(7, [(spec("web").id, before)].into());
    w.apply(vec![spec("web")]);
    w.spawned("web");
    let view = w.view("web");
    assert_eq!(view.run.as_ref().map(|r| r.number), Some(RunNumber(8)));
    assert_eq!(view.counters, Counters { runs: 8, starts: 7, ..before });
}

/// Its lines stand in the same files, and in the journal under the same id: a second run 1 would be told from the first
/// by nobody.
#[test]
fn run_numbers_go_on_where_a_deleted_one_of_the_name_left_them() {
    let mut w = World::new();
    for number in 1..=3 {
        w.apply(vec![spec("web")]);
        w.spawned("web");
        let view = w.view("web");
        assert_eq!(view.run.as_ref().map(|r| r.number), Some(RunNumber(number)));
        assert_eq!(
            view.counters,
            Counters { runs: number, starts: 1, ..Counters::default() },
            "the rest is its own"
        );
        w.apply(vec![]);
        w.exited("web", 0);
    }
}
