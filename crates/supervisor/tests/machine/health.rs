//! Health checks, told as stories.

use std::time::Duration;

use model::*;

use crate::world::{World, name, spec};

fn checked(change: impl FnOnce(&mut HealthSpec)) -> ProcessSpec {
    let mut health = HealthSpec::new(Probe::Http { url: "http://127.0.0.1:80/".into() });
    change(&mut health);
    ProcessSpec { health: Some(health), ..spec("web") }
}

fn health(w: &World) -> HealthState {
    w.view("web").health.as_ref().expect("no health").state
}

#[test]
fn it_is_asked_as_soon_as_it_is_up_and_then_at_intervals() {
    let mut w = World::running(checked(|_| ()));
    assert_eq!(health(&w), HealthState::Starting);
    w.seconds(0.0);
    w.probed(Ok(()));
    assert_eq!(health(&w), HealthState::Healthy);
    assert_eq!(w.last_events(1), ["health"]);
    w.seconds(9.9);
    assert!(w.probes.is_empty());
    w.seconds(0.1);
    assert_eq!(w.probes.len(), 1);
    w.seconds(3600.0);
    assert_eq!(w.probes.len(), 1, "no second check before the first is answered");
}

#[test]
fn checks_are_counted_by_result_and_the_last_one_is_timed() {
    let mut w = World::running(checked(|_| ()));
    let counts = |w: &World| {
        let view = w.view("web").health.clone().expect("no health");
        (view.passed, view.failed, view.took)
    };
    w.seconds(0.0);
    assert_eq!(counts(&w), (0, 0, None));
    w.seconds(0.5);
    w.probed(Ok(()));
    assert_eq!(counts(&w), (1, 0, Some(Duration::from_millis(500))));
    w.seconds(10.0);
    w.seconds(0.25);
    w.probed(Err("connection refused"));
    assert_eq!(counts(&w), (1, 1, Some(Duration::from_millis(250))));
}

#[test]
fn failures_do_not_count_in_the_start_period_and_it_is_asked_often() {
    let mut w = World::running(checked(|h| h.retries = 2));
    w.seconds(0.0);
    for _ in 0..10 {
        w.probed(Err("connection refused"));
        w.seconds(1.0);
    }
    assert_eq!(health(&w), HealthState::Starting);
    assert_eq!(w.view("web").health.as_ref().unwrap().message, "connection refused");
    w.probed(Err("connection refused"));
    assert_eq!(health(&w), HealthState::Starting);
    w.seconds(10.0);
    w.probed(Err("connection refused"));
    assert_eq!(health(&w), HealthState::Unhealthy);
    assert_eq!(w.state("web"), State::Running, "nobody asked for a restart");
}

#[test]
fn it_takes_several_answers_in_a_row_each_way() {
    let mut w = World::running(checked(|h| {
        h.start_period = Duration::ZERO;
        h.success_threshold = 2;
    }));
    let mut say = |answers: &[Result<(), &str>]| {
        for answer in answers {
            w.seconds(10.0);
            w.probed(*answer);
        }
        health(&w)
    };
    assert_eq!(say(&[Ok(())]), HealthState::Starting);
    assert_eq!(say(&[Err("a"), Ok(())]), HealthState::Starting);
    assert_eq!(say(&[Ok(())]), HealthState::Healthy);
    assert_eq!(say(&[Err("a"), Err("b")]), HealthState::Healthy);
    assert_eq!(say(&[Ok(()), Err("a"), Err("b")]), HealthState::Healthy);
    assert_eq!(say(&[Err("c")]), HealthState::Unhealthy);
    assert_eq!(say(&[Ok(())]), HealthState::Unhealthy);
    assert_eq!(say(&[Ok(())]), HealthState::Healthy);
}

#[test]
fn one_that_stays_unhealthy_is_restarted_as_after_a_crash() {
    let mut w = World::running(checked(|h| {
        h.start_period = Duration::ZERO;
        h.retries = 1;
        h.restart_after = 2;
    }));
    w.seconds(0.0);
    w.probed(Err("HTTP 503"));
    assert_eq!(w.state("web"), State::Running);
    w.seconds(10.0);
    w.probed(Err("HTTP 503"));
    assert_eq!(
        (w.state("web"), &w.view("web").reason),
        (State::Stopping, &Reason::Unhealthy("HTTP 503".into()))
    );
    w.exited("web", 0);
    assert_eq!(w.state("web"), State::Backoff);
    assert_eq!(w.view("web").last_exit().unwrap().reason, ExitReason::Unhealthy);
    w.seconds(1.0);
    assert_eq!(w.view("web").counters.restarts, 1);
}

#[test]
fn an_answer_to_an_earlier_run_is_nobody_s() {
    let mut w = World::running(checked(|_| ()));
    w.seconds(0.0);
    w.exited("web", 1);
    let stale = w.machine.stale_inputs();
    w.probed(Ok(()));
    assert_eq!(w.machine.stale_inputs(), stale + 1);
    assert_eq!(w.state("web"), State::Backoff);
}

#[test]
fn an_exec_check_is_killed_when_it_hangs_and_before_a_stop_is_reported() {
    let mut w = World::running(checked(|h| {
        h.probe = Probe::Exec(CommandLine { program: "/check".into(), args: vec![] });
        h.start_period = Duration::ZERO;
        h.retries = 1;
    }));
    w.seconds(0.0);
    let run = w.helper_of("web");
    w.helper_spawned(run);
    w.seconds(5.0);
    assert!(w.helpers[&run].killed);
    w.helper_exited(run, ExitStatus::Signal { signal: Signal::KILL, core: false }, vec![]);
    assert_eq!(health(&w), HealthState::Unhealthy);
    assert_eq!(w.view("web").health.as_ref().unwrap().message, "did not end within 5 s");

    w.seconds(10.0);
    let run = w.helper_of("web");
    w.helper_spawned(run);
    let t = w.ask(Command::Stop(name("web")));
    w.exited("web", 0);
    assert_eq!(w.state("web"), State::Stopping, "its check is still alive");
    assert!(!w.replies.contains_key(&t));
    w.helper_exited(run, ExitStatus::Signal { signal: Signal::KILL, core: false }, vec![]);
    assert_eq!(w.state("web"), State::Stopped);
    assert!(w.replies[&t].is_ok());
}

#[test]
fn a_new_check_takes_the_place_of_the_old_one_without_a_restart() {
    let mut w = World::running(checked(|_| ()));
    w.seconds(0.0);
    w.apply(vec![checked(|h| h.probe = Probe::Tcp { address: "127.0.0.1:1".into() })]);
    w.seconds(0.0);
    assert_eq!(w.probes.len(), 2, "the old one is still out");
    w.probed(Ok(()));
    assert_eq!(health(&w), HealthState::Starting, "what the old one says does not matter");
    w.probed(Ok(()));
    assert_eq!(health(&w), HealthState::Healthy);
    w.apply(vec![spec("web")]);
    assert_eq!(w.view("web").health, None);
    assert_eq!((w.state("web"), w.machine.next_deadline()), (State::Running, None));
}
