//! Starts that did not get as far as the program: delayed whatever `restart_sec` says, and nobody else with them.

use std::time::Duration;

use model::*;
use supervisor::machine::Input;

use crate::world::{World, spec};

const EMFILE: i32 = 24;

/// As impatient as a definition can be: at once, for ever.
fn impatient() -> ProcessSpec {
    let mut s = spec("web");
    s.restart.delay = Duration::ZERO;
    s.restart.limit_burst = 0;
    s
}

fn waits_for(w: &World) -> Duration {
    assert_eq!(w.state("web"), State::Backoff);
    w.view("web").next.expect("something comes next").at.since(w.now.wall)
}

#[test]
fn a_start_that_never_was_is_delayed_whatever_restart_sec_says() {
    let mut w = World::new();
    w.apply(vec![impatient()]);
    for delay in [1, 2, 4, 8, 16, 32, 60, 60] {
        w.spawn_failed("web", EMFILE);
        assert_eq!(w.last_events(2), ["spawn_failed", "restart_scheduled"], "one of each for each try");
        assert_eq!(waits_for(&w), Duration::from_secs(delay));
        let Reason::SpawnFailed(why) = &w.view("web").reason else { panic!("{:?}", w.view("web").reason) };
        assert_eq!(why.errno, EMFILE);
        w.pass(Duration::from_secs(delay));
        assert_eq!(w.state("web"), State::Starting);
    }
}

#[test]
fn what_ran_is_restarted_at_once_also_after_starts_that_failed() {
    let mut w = World::new();
    w.apply(vec![impatient()]);
    for delay in [1.0, 2.0, 4.0] {
        w.spawn_failed("web", EMFILE);
        w.seconds(delay);
    }
    w.spawned("web");
    for _ in 0..20 {
        w.exited("web", 1);
        assert_eq!(w.state("web"), State::Starting, "within the same step");
        w.spawned("web");
    }
    w.exited("web", 1);
    w.spawn_failed("web", EMFILE);
    assert_eq!(waits_for(&w), Duration::from_secs(1), "crashes before it do not count");
}

#[test]
fn a_longer_delay_of_the_definition_stays_what_it_is() {
    for (delay, most, expected) in [(5, 60, [5, 10, 20]), (1, 3, [1, 2, 3]), (0, 0, [1, 1, 1])] {
        let mut s = impatient();
        (s.restart.delay, s.restart.max_delay) = (Duration::from_secs(delay), Duration::from_secs(most));
        let mut w = World::new();
        w.apply(vec![s]);
        for seconds in expected {
            w.spawn_failed("web", EMFILE);
            assert_eq!(waits_for(&w), Duration::from_secs(seconds), "{delay} s up to {most} s");
            w.pass(Duration::from_secs(seconds));
        }
    }
}

#[test]
fn neither_jitter_nor_a_short_cool_down_makes_it_less_than_a_second() {
    let second = Duration::from_secs(1);
    let mut s = impatient();
    (s.restart.jitter, s.restart.max_delay) = (1.0, Duration::ZERO);
    let mut w = World::new();
    w.apply(vec![s.clone()]);
    let mut longest = Duration::ZERO;
    for _ in 0..100 {
        w.spawn_failed("web", EMFILE);
        assert!(waits_for(&w) >= second, "{:?}", waits_for(&w));
        longest = longest.max(waits_for(&w));
        w.pass(waits_for(&w));
    }
    assert!(longest > second, "they are spread");

    (s.restart.limit_burst, s.restart.limit_interval) = (1, Duration::from_millis(1100));
    s.restart.jitter = 0.0;
    let mut w = World::new();
    w.apply(vec![s]);
    w.spawn_failed("web", EMFILE);
    assert_eq!(w.state("web"), State::CrashLoop);
    let next = w.view("web").next.expect("something comes next");
    assert!(next.at.since(w.now.wall) >= second);
}

#[test]
fn a_program_that_its_hook_kept_from_starting_is_delayed_as_well() {
    let mut s = impatient();
    let command = CommandLine { program: "/pre".into(), args: vec![] };
    s.hooks.start_pre = vec![Hook { command, timeout: None, ignore_failure: false }];
    let mut w = World::new();
    w.apply(vec![s]);
    for delay in [1, 2] {
        let run = w.helper_of("web");
        w.helper_failed(run);
        assert_eq!(waits_for(&w), Duration::from_secs(delay));
        w.pass(Duration::from_secs(delay));
    }
    w.helped("web", 7);
    assert_eq!(waits_for(&w), Duration::from_secs(4));
    assert!(w.spawns.is_empty());
}

#[test]
fn a_new_definition_is_tried_at_once() {
    let mut w = World::new();
    w.apply(vec![impatient()]);
    let run = w.run_of("web");
    let mut other = impatient();
    other.exec.program = "/other".into();
    w.apply(vec![other]);
    w.spawn_failed("web", EMFILE);
    assert_eq!(w.state("web"), State::Starting);
    assert_ne!(w.run_of("web"), run);
    w.feed(Input::Deadline);
    assert_eq!(w.state("web"), State::Starting);
}
