//! What must happen, told as stories.

use std::sync::Arc;
use std::time::Duration;

use model::*;
use supervisor::machine::{Input, KILL_GRACE, Target, Ticket};

use crate::world::{World, name, spec};

const SIGKILLED: ExitStatus = ExitStatus::Signal { signal: Signal::KILL, core: false };

fn reply(w: &World, ticket: Ticket) -> &Result<Reply, Refusal> {
    w.replies.get(&ticket).expect("no answer yet")
}

#[test]
fn a_definition_with_auto_start_is_spawned_and_runs() {
    let mut w = World::new();
    w.apply(vec![spec("web")]);
    assert_eq!(w.state("web"), State::Starting);
    w.spawned("web");
    assert_eq!(w.state("web"), State::Running);
    assert_eq!(w.view("web").counters.starts, 1);
    assert_eq!(w.view("web").counters.restarts, 0);
    assert_eq!(w.last_events(2), ["created", "started"]);
    assert_eq!(w.machine.next_deadline(), None, "nothing to wake up for");
}

#[test]
fn without_auto_start_it_rests_and_says_why() {
    let mut w = World::new();
    w.apply(vec![ProcessSpec { auto_start: false, ..spec("web") }]);
    assert_eq!(w.state("web"), State::Stopped);
    assert_eq!(w.view("web").reason, Reason::NotStarted);
    let t = w.ask(Command::Start(name("web")));
    assert!(!w.replies.contains_key(&t), "answered before it runs");
    w.spawned("web");
    assert!(matches!(reply(&w, t), Ok(Reply::Done(v)) if v.state == State::Running));
}

#[test]
fn a_crash_is_followed_by_a_restart_with_doubling_delays() {
    let mut w = World::running(spec("web"));
    for (n, delay) in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0].into_iter().enumerate() {
        w.exited_leaving("web", SIGKILLED, vec![]);
        assert_eq!(w.state("web"), State::Backoff);
        assert_eq!(w.view("web").reason, Reason::Exited(SIGKILLED));
        w.seconds(delay - 0.001);
        assert_eq!(w.state("web"), State::Backoff, "restart {n} came too early");
        w.seconds(0.001);
        assert_eq!(w.state("web"), State::Starting, "restart {n} came too late");
        assert_eq!(w.view("web").counters.restarts, n as u64 + 1);
        w.spawned("web");
    }
}

#[test]
fn a_run_that_lasted_makes_the_delay_fall_back() {
    let mut w = World::running(spec("web"));
    w.exited("web", 1);
    w.seconds(1.0);
    w.spawned("web");
    w.exited("web", 1);
    w.seconds(2.0);
    w.spawned("web");
    w.seconds(10.0);
    w.exited("web", 1);
    assert_eq!(w.view("web").next.unwrap().at.since(w.now.wall), Duration::from_secs(1));
}

#[test]
fn restart_sec_zero_restarts_within_the_same_step() {
    let mut s = spec("web");
    s.restart.delay = Duration::ZERO;
    let mut w = World::running(s);
    w.exited("web", 1);
    assert_eq!(w.state("web"), State::Starting);
    assert_eq!(w.view("web").counters.restarts, 1);
    assert_eq!(w.last_events(2), ["exited", "restart_scheduled"]);
}

#[test]
fn too_many_starts_lead_to_crash_loop_and_never_to_silence() {
    let mut s = spec("web");
    s.restart.delay = Duration::ZERO;
    let mut w = World::running(s);
    for _ in 0..4 {
        w.exited("web", 1);
        w.spawned("web");
    }
    w.exited("web", 1);
    assert_eq!(w.state("web"), State::CrashLoop);
    assert_eq!(w.spawns.len(), 5);
    assert!(matches!(w.view("web").reason, Reason::StartLimit { burst: 5, .. }));
    assert_eq!(w.last_events(1), ["start_limit_reached"]);
    w.seconds(59.9);
    assert_eq!(w.state("web"), State::CrashLoop);
    w.seconds(0.1);
    assert_eq!(w.state("web"), State::Starting, "the cool-down is over");
}

#[test]
fn on_start_limit_fail_gives_up_until_an_operator_comes() {
    let mut s = spec("web");
    s.restart.delay = Duration::ZERO;
    s.restart.on_limit = OnStartLimit::Fail;
    s.restart.limit_burst = 1;
    let mut w = World::running(s);
    w.exited("web", 1);
    assert_eq!(w.state("web"), State::Failed);
    assert_eq!(w.machine.next_deadline(), None);
    w.ask(Command::Start(name("web")));
    assert_eq!(w.state("web"), State::Starting, "a start by hand wipes the slate");
}

#[test]
fn policies() {
    for (policy, after_success, after_failure) in [
        (RestartPolicy::Always, State::Backoff, State::Backoff),
        (RestartPolicy::OnFailure, State::Exited, State::Backoff),
        (RestartPolicy::OnSuccess, State::Backoff, State::Failed),
        (RestartPolicy::Never, State::Exited, State::Failed),
    ] {
        for (code, expected) in [(0, after_success), (3, after_failure)] {
            let mut s = spec("web");
            s.restart.policy = policy;
            let mut w = World::running(s);
            w.exited("web", code);
            assert_eq!(w.state("web"), expected, "{policy:?} after exit code {code}");
        }
    }
}

#[test]
fn success_and_prevent_statuses() {
    let mut s = spec("web");
    s.restart.success = vec![ExitMatcher::Code(3), ExitMatcher::Signal(Signal::HUP)];
    s.restart.prevent = vec![ExitMatcher::Code(9)];
    let mut w = World::running(s.clone());
    w.exited("web", 3);
    assert_eq!(w.state("web"), State::Exited);
    let mut w = World::running(s.clone());
    w.exited_leaving("web", ExitStatus::Signal { signal: Signal::HUP, core: false }, vec![]);
    assert_eq!(w.state("web"), State::Exited);
    let mut w = World::running(s);
    w.exited("web", 9);
    assert_eq!(w.state("web"), State::Failed);
}

#[test]
fn a_spawn_that_fails_follows_the_policy_too() {
    let mut w = World::new();
    let t = w.ask(Command::Create { spec: Arc::new(spec("web")), start: true });
    w.spawn_failed("web", 2);
    assert!(matches!(reply(&w, t), Err(Refusal::StartFailed(_, f)) if f.errno == 2));
    assert_eq!(w.state("web"), State::Backoff);
    assert_eq!(w.view("web").counters.starts, 0);
    w.seconds(1.0);
    w.spawned("web");
    assert_eq!(w.state("web"), State::Running);
}

#[test]
fn stop_asks_politely_and_reports_only_when_nothing_is_left() {
    let mut w = World::running(spec("web"));
    let t = w.ask(Command::Stop(name("web")));
    let run = w.run_of("web");
    assert_eq!(w.signals, [(run, Signal::TERM, Target::All), (run, Signal::CONT, Target::All)]);
    w.exited_leaving("web", ExitStatus::Code(0), vec![77]);
    assert_eq!(w.state("web"), State::Stopping);
    assert_eq!(w.view("web").reason, Reason::Leftovers(vec![77]));
    assert!(!w.replies.contains_key(&t), "stopped while a grandchild lives");
    w.leftovers("web", vec![]);
    assert_eq!(w.state("web"), State::Stopped);
    assert!(matches!(reply(&w, t), Ok(Reply::Done(v)) if v.state == State::Stopped));
    assert!(w.kills.is_empty());
}

#[test]
fn stop_escalates_to_kill_and_names_survivors() {
    let mut w = World::running(spec("web"));
    let t = w.ask(Command::Stop(name("web")));
    w.seconds(9.9);
    assert!(w.kills.is_empty());
    w.seconds(0.1);
    assert_eq!(w.kills, [w.run_of("web")]);
    assert_eq!(w.last_events(1), ["stop_timed_out"]);
    w.pass(KILL_GRACE);
    assert_eq!(w.last_events(1), ["survivors"]);
    assert_eq!(w.state("web"), State::Stopping, "what is alive is not stopped");
    assert_eq!(w.machine.next_deadline(), None);
    let start = w.ask(Command::Start(name("web")));
    assert_eq!(w.spawns.len(), 1, "a survivor is never doubled");
    w.exited_leaving("web", SIGKILLED, vec![]);
    assert!(matches!(reply(&w, t), Err(Refusal::Superseded(_, "start"))));
    w.spawned("web");
    assert!(reply(&w, start).is_ok());
}

#[test]
fn kill_modes() {
    let of = |mode| {
        let mut s = spec("web");
        s.stop.mode = mode;
        s.stop.send_sighup = mode == KillMode::Process;
        let mut w = World::running(s);
        w.ask(Command::Stop(name("web")));
        w.exited_leaving("web", ExitStatus::Code(0), vec![7]);
        w
    };
    let w = of(KillMode::Mixed);
    assert!(w.signals.iter().all(|(_, _, target)| *target == Target::Main));
    assert_eq!(w.kills.len(), 1, "mixed: the rest is killed as soon as the main process is gone");
    let mut w = of(KillMode::Process);
    assert!(w.signals.iter().any(|(_, signal, _)| *signal == Signal::HUP));
    assert!(w.kills.is_empty());
    w.seconds(10.0);
    assert_eq!(w.kills.len(), 1, "process: the rest has until stop_timeout");
}

#[test]
fn leftovers_of_a_crash_are_gone_before_the_next_start() {
    let mut w = World::running(spec("web"));
    w.exited_leaving("web", SIGKILLED, vec![8, 9]);
    assert_eq!(w.state("web"), State::Stopping);
    assert_eq!(w.signals.len(), 2, "asked politely first");
    w.seconds(10.0);
    assert_eq!(w.kills.len(), 1);
    w.leftovers("web", vec![9]);
    assert_eq!(w.spawns.len(), 1);
    w.leftovers("web", vec![]);
    assert_eq!(w.state("web"), State::Backoff, "now the policy decides");
    w.seconds(1.0);
    w.spawned("web");
}

#[test]
fn a_stop_cancels_a_pending_restart() {
    let mut w = World::running(spec("web"));
    w.exited("web", 1);
    let t = w.ask(Command::Stop(name("web")));
    assert!(reply(&w, t).is_ok());
    assert_eq!(w.state("web"), State::Stopped);
    w.seconds(3600.0);
    assert_eq!(w.spawns.len(), 1);
}

#[test]
fn a_policy_change_cancels_a_pending_restart() {
    let mut w = World::running(spec("web"));
    w.exited("web", 1);
    let mut s = spec("web");
    s.restart.policy = RestartPolicy::Never;
    w.apply(vec![s]);
    assert_eq!(w.state("web"), State::Failed);
    assert_eq!(w.machine.next_deadline(), None);
}

#[test]
fn stop_while_starting_takes_effect_once_it_is_up() {
    let mut w = World::new();
    let start = w.ask(Command::Create { spec: Arc::new(spec("web")), start: true });
    let stop = w.ask(Command::Stop(name("web")));
    assert!(matches!(reply(&w, start), Err(Refusal::Superseded(_, "stop"))));
    w.spawned("web");
    assert_eq!(w.state("web"), State::Stopping);
    w.exited("web", 143);
    assert!(reply(&w, stop).is_ok());
}

#[test]
fn restart_replaces_the_run_and_counts_as_no_automatic_restart() {
    let mut w = World::running(spec("web"));
    let t = w.ask(Command::Restart(name("web")));
    assert_eq!(w.view("web").reason, Reason::RestartRequested);
    w.exited("web", 0);
    assert_eq!(w.state("web"), State::Starting);
    assert!(!w.replies.contains_key(&t));
    w.spawned("web");
    assert!(reply(&w, t).is_ok());
    assert_eq!(w.view("web").counters.restarts, 0);
    assert_eq!(w.view("web").run.as_ref().unwrap().number, RunNumber(2));
}

#[test]
fn delete_stops_removes_and_answers_once() {
    let mut w = World::running(spec("web"));
    let t = w.ask(Command::Delete(name("web")));
    assert!(!w.replies.contains_key(&t));
    w.exited("web", 0);
    assert_eq!(reply(&w, t), &Ok(Reply::Deleted));
    assert!(w.views.is_empty());
    assert_eq!(w.forgotten, [name("web")]);
    let t = w.ask(Command::Start(name("web")));
    assert_eq!(reply(&w, t), &Err(Refusal::NotFound(name("web"))));
}

#[test]
fn what_is_being_removed_is_not_brought_back_by_a_start_or_a_stop() {
    let mut w = World::running(spec("web"));
    let delete = w.ask(Command::Delete(name("web")));
    let start = w.ask(Command::Start(name("web")));
    let restart = w.ask(Command::Restart(name("web")));
    let stop = w.ask(Command::Stop(name("web")));
    for refused in [start, restart] {
        assert_eq!(reply(&w, refused), &Err(Refusal::BeingRemoved(name("web"))));
    }
    w.exited("web", 0);
    assert_eq!(reply(&w, delete), &Ok(Reply::Deleted));
    assert!(reply(&w, stop).is_ok(), "it is down");
    assert!(w.views.is_empty());
}

#[test]
fn create_of_a_known_name_is_refused() {
    let mut w = World::running(spec("web"));
    let t = w.ask(Command::Create { spec: Arc::new(spec("web")), start: false });
    assert_eq!(reply(&w, t), &Err(Refusal::AlreadyExists(name("web"))));
}

#[test]
fn reload_applies_only_what_changed() {
    let mut w = World::new();
    w.apply(vec![spec("a"), spec("b"), spec("c")]);
    for p in ["a", "b", "c"] {
        w.spawned(p);
    }
    let mut b = spec("b");
    b.stop.timeout = Duration::from_secs(3);
    let mut c = spec("c");
    c.exec.args = vec!["--new".into()];
    let t = w.apply(vec![spec("a"), b, c, spec("d")]);
    let Ok(Reply::Applied(changes)) = reply(&w, t) else { panic!() };
    let told: Vec<_> = changes.iter().map(|c| (c.name.as_str(), c.impact, c.keys.clone())).collect();
    assert_eq!(
        told,
        [
            ("b", Impact::Hot, vec!["stop_timeout"]),
            ("c", Impact::Restart, vec!["args"]),
            ("d", Impact::Start, vec![])
        ]
    );
    assert_eq!((w.state("a"), w.state("b")), (State::Running, State::Running));
    assert_eq!(w.view("c").reason, Reason::DefinitionChanged);
    assert_eq!(w.state("d"), State::Starting);
    w.exited("c", 0);
    assert_eq!(w.state("c"), State::Starting);
}

#[test]
fn a_definition_that_vanishes_is_stopped_and_removed() {
    let mut w = World::new();
    w.apply(vec![spec("a"), spec("b")]);
    w.spawned("a");
    w.spawned("b");
    w.apply(vec![spec("a")]);
    assert_eq!(w.state("b"), State::Stopping, "visible until it is dead");
    w.exited("b", 0);
    assert!(!w.views.contains_key("b"));
    assert_eq!(w.state("a"), State::Running);
}

#[test]
fn a_name_that_comes_back_while_it_is_being_removed_is_not_doubled() {
    let mut w = World::running(spec("a"));
    w.apply(vec![]);
    w.apply(vec![spec("a")]);
    assert_eq!(w.spawns.len(), 1);
    w.exited("a", 0);
    w.spawned("a");
    assert_eq!(w.state("a"), State::Running);
}

#[test]
fn operator_stopped_stays_stopped_over_a_reload() {
    let mut w = World::running(spec("a"));
    w.ask(Command::Stop(name("a")));
    w.exited("a", 0);
    let mut changed = spec("a");
    changed.exec.args = vec!["x".into()];
    w.apply(vec![changed]);
    assert_eq!(w.state("a"), State::Stopped);
    assert_eq!(w.view("a").reason, Reason::StoppedByOperator);
}

#[test]
fn a_corrected_definition_starts_what_failed() {
    let mut s = spec("a");
    s.restart.policy = RestartPolicy::Never;
    let mut w = World::new();
    w.apply(vec![s.clone()]);
    w.spawn_failed("a", 2);
    assert_eq!(w.state("a"), State::Failed);
    s.exec.program = "/bin/sleep".into();
    w.apply(vec![s]);
    assert_eq!(w.state("a"), State::Starting);
}

#[test]
fn a_change_during_the_spawn_replaces_the_run_once_it_is_up() {
    let mut w = World::new();
    w.apply(vec![spec("a")]);
    let mut changed = spec("a");
    changed.exec.args = vec!["x".into()];
    w.apply(vec![changed]);
    w.spawned("a");
    assert_eq!(w.state("a"), State::Stopping);
    w.exited("a", 0);
    assert_eq!(w.state("a"), State::Starting);
}

#[test]
fn a_broken_definition_keeps_the_last_good_one_in_force() {
    let mut w = World::running(spec("a"));
    let invalid =
        |n: &str| InvalidDefinition { spec: Arc::new(spec(n)), problem: "p.yaml:3:5: unknown key".into() };
    w.ask(Command::Apply(Desired { specs: vec![], invalid: vec![invalid("a"), invalid("b")] }));
    assert_eq!(w.state("a"), State::Running);
    assert_eq!(w.view("a").problem.as_deref(), Some("p.yaml:3:5: unknown key"));
    assert_eq!(w.state("b"), State::Invalid);
    let t = w.ask(Command::Start(name("b")));
    assert!(matches!(reply(&w, t), Err(Refusal::Invalid(..))));
    w.apply(vec![spec("a"), spec("b")]);
    assert_eq!(w.view("a").problem, None);
    assert_eq!(w.state("b"), State::Starting);
}

#[test]
fn after_holds_back_the_start_and_is_reversed_by_the_shutdown() {
    let mut web = spec("web");
    web.after = vec![name("db"), name("nobody")];
    let mut w = World::new();
    w.apply(vec![web, spec("db")]);
    assert_eq!(w.state("web"), State::Waiting);
    assert_eq!(w.view("web").reason, Reason::WaitsFor(vec![name("db")]));
    w.spawned("db");
    assert_eq!(w.state("web"), State::Starting);
    w.spawned("web");

    let t = w.ask(Command::Shutdown);
    let (web_run, db_run) = (w.run_of("web"), w.run_of("db"));
    assert!(w.signals.iter().all(|(run, ..)| *run == web_run), "db is signaled only when web is down");
    assert_eq!(w.view("db").reason, Reason::WaitsForStopOf(vec![name("web")]));
    w.exited("web", 0);
    assert!(w.signals.iter().any(|(run, ..)| *run == db_run));
    assert!(!w.replies.contains_key(&t));
    w.exited("db", 0);
    assert_eq!(reply(&w, t), &Ok(Reply::ShutDown));
}

#[test]
fn a_predecessor_in_backoff_holds_up_nobody() {
    let mut web = spec("web");
    web.after = vec![name("db")];
    let mut w = World::new();
    w.apply(vec![spec("db"), web]);
    w.spawn_failed("db", 2);
    assert_eq!(w.state("web"), State::Starting);
}

#[test]
fn a_cycle_that_slipped_through_deadlocks_nobody() {
    let (mut a, mut b, mut c) = (spec("a"), spec("b"), spec("c"));
    a.after = vec![name("b")];
    b.after = vec![name("a")];
    c.after = vec![name("a")];
    let mut w = World::new();
    w.apply(vec![a, b, c]);
    assert_eq!(
        (w.state("a"), w.state("b"), w.state("c")),
        (State::Starting, State::Starting, State::Waiting)
    );
}

#[test]
fn shutdown_refuses_new_work_and_cancels_pending_restarts() {
    let mut w = World::new();
    w.apply(vec![spec("a"), spec("b")]);
    w.spawned("a");
    w.spawned("b");
    w.exited("a", 1);
    let first = w.ask(Command::Shutdown);
    let second = w.ask(Command::Shutdown);
    let t = w.ask(Command::Start(name("a")));
    assert_eq!(reply(&w, t), &Err(Refusal::ShuttingDown));
    w.exited("b", 0);
    assert!(reply(&w, first).is_ok() && reply(&w, second).is_ok());
    w.seconds(3600.0);
    assert_eq!(w.spawns.len(), 2);
}

#[test]
fn an_empty_table_shuts_down_at_once() {
    let mut w = World::new();
    let t = w.ask(Command::Shutdown);
    assert_eq!(reply(&w, t), &Ok(Reply::ShutDown));
}

#[test]
fn inputs_of_an_earlier_run_are_dropped_and_counted() {
    let mut w = World::running(spec("a"));
    let old = w.run_of("a");
    w.exited("a", 1);
    w.seconds(1.0);
    w.spawned("a");
    w.feed(Input::Exited {
        run: old,
        status: ExitStatus::Code(0),
        usage: Usage::default(),
        leftovers: vec![],
    });
    w.feed(Input::Leftovers { run: old, pids: vec![] });
    assert_eq!(w.state("a"), State::Running);
    assert_eq!(w.machine.stale_inputs(), 2);
}

#[test]
fn a_clock_set_back_or_forward_changes_no_deadline() {
    let mut w = World::running(spec("a"));
    w.exited("a", 1);
    w.now.wall = Wall(0);
    w.seconds(1.0);
    assert_eq!(w.state("a"), State::Starting);
}
