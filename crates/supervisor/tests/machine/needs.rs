//! Dependencies, told as stories.

use std::sync::Arc;

use model::*;

use crate::world::{World, name, spec};

fn on(other: &str, until: Option<Readiness>) -> Vec<Dependency> {
    vec![Dependency { name: name(other), until }]
}

/// `db`, and `app` that requires it.
fn pair() -> Vec<ProcessSpec> {
    let mut app = spec("app");
    app.needs.requires = on("db", None);
    vec![app, spec("db")]
}

fn bound() -> Vec<ProcessSpec> {
    let mut app = spec("app");
    app.needs.binds_to = on("db", None);
    vec![app, spec("db")]
}

fn desired(specs: &[ProcessSpec]) -> Desired {
    Desired { specs: specs.iter().cloned().map(Arc::new).collect(), invalid: vec![] }
}

fn up(specs: Vec<ProcessSpec>) -> World {
    let mut w = World::new();
    w.apply(specs);
    w.spawned("db");
    w.spawned("app");
    w
}

#[test]
fn what_is_required_comes_first_and_is_pulled_up() {
    let mut w = World::new();
    let mut specs = pair();
    specs[1].auto_start = false;
    w.apply(specs);
    assert_eq!((w.state("db"), w.state("app")), (State::Starting, State::Waiting));
    assert_eq!(w.view("db").reason, Reason::WantedBy(name("app")));
    assert_eq!(w.view("app").reason, Reason::WaitsFor(vec![name("db")]));
    w.spawned("db");
    assert_eq!(w.state("app"), State::Starting);
}

#[test]
fn a_dependent_whose_dependency_failed_starts_by_itself_when_that_recovers() {
    let mut specs = pair();
    specs[1].restart.policy = RestartPolicy::Never;
    let mut w = World::new();
    w.apply(specs);
    let t = w.ask(Command::Start(name("app")));
    w.spawn_failed("db", 2);
    assert_eq!((w.state("db"), w.state("app")), (State::Failed, State::Waiting));
    assert_eq!(w.view("app").reason, Reason::Lacks(name("db"), Lack::Failed));
    assert!(
        matches!(&w.replies[&t], Err(Refusal::NotStarted(n, why)) if n.as_str() == "app" && why.contains("db"))
    );
    assert_eq!(w.events.iter().filter(|e| e.kind.as_str() == "held").count(), 1, "told once");
    w.ask(Command::Start(name("db")));
    w.spawned("db");
    assert_eq!(w.state("app"), State::Starting);
    w.spawned("app");
    assert_eq!(w.state("app"), State::Running);
}

#[test]
fn a_dependency_that_backs_off_is_waited_for() {
    let mut w = World::new();
    w.apply(pair());
    w.spawn_failed("db", 2);
    assert_eq!(w.state("db"), State::Backoff);
    assert_eq!(w.view("app").reason, Reason::Lacks(name("db"), Lack::Restarting));
    w.seconds(1.0);
    w.spawned("db");
    assert_eq!(w.state("app"), State::Starting);
}

#[test]
fn a_start_retries_a_dependency_that_failed() {
    let mut specs = pair();
    specs[1].restart.policy = RestartPolicy::Never;
    let mut w = World::new();
    w.apply(specs);
    w.spawn_failed("db", 2);
    let t = w.ask(Command::Start(name("app")));
    assert_eq!(w.state("db"), State::Starting);
    w.spawned("db");
    w.spawned("app");
    assert!(w.replies[&t].is_ok());
}

#[test]
fn a_start_reaches_through_those_that_wait() {
    let mut web = spec("web");
    web.needs.requires = on("app", None);
    let mut w = up([pair(), vec![web]].concat());
    w.spawned("web");
    w.ask(Command::Stop(name("db")));
    for who in ["web", "app", "db"] {
        w.exited(who, 0);
    }
    assert_eq!(["web", "app", "db"].map(|n| w.state(n)), [State::Waiting, State::Waiting, State::Stopped]);
    let t = w.ask(Command::Start(name("web")));
    for who in ["db", "app", "web"] {
        assert_eq!(w.state(who), State::Starting, "{who}");
        w.spawned(who);
    }
    assert!(w.replies[&t].is_ok());
}

/// `app` requires that `migrate`, a job, is done.
fn with_a_job() -> Vec<ProcessSpec> {
    let mut app = spec("app");
    app.needs.requires = on("migrate", Some(Readiness::Completed));
    let mut migrate = spec("migrate");
    migrate.start.kind = ProcessType::Oneshot;
    vec![app, migrate]
}

#[test]
fn who_waits_for_a_start_hears_nothing_of_the_good_end_of_a_job_that_it_needs() {
    let mut w = World::new();
    w.apply(with_a_job());
    let t = w.ask(Command::Start(name("app")));
    w.spawned("migrate");
    w.exited("migrate", 0);
    assert!(!w.replies.contains_key(&t), "{:?}", w.replies.get(&t));
    w.spawned("app");
    assert!(w.replies[&t].is_ok());
    // Nor that it does not apply here.
    w.ask(Command::Stop(name("app")));
    w.exited("app", 0);
    let t = w.ask(Command::Start(name("app")));
    w.skipped("migrate", "/missing");
    assert!(!w.replies.contains_key(&t), "{:?}", w.replies.get(&t));
    w.spawned("app");
    assert!(w.replies[&t].is_ok());
}

#[test]
fn who_waits_for_a_start_is_refused_when_what_it_needs_ends_for_good() {
    let mut specs = pair();
    specs[1].start.kind = ProcessType::Notify;
    specs[1].restart.policy = RestartPolicy::Never;
    specs[0].needs.requires = on("db", Some(Readiness::Ready));
    let mut web = spec("web");
    web.needs.requires = on("app", None);
    let mut w = World::new();
    w.apply([specs, vec![web]].concat());
    let t = w.ask(Command::Start(name("web")));
    w.spawned("db");
    w.exited("db", 0);
    assert!(
        matches!(&w.replies[&t], Err(Refusal::NotStarted(n, why)) if n.as_str() == "web" && why.contains("app"))
    );
}

#[test]
fn a_job_is_done_again_by_a_start_and_not_by_a_restart() {
    let mut w = World::new();
    w.apply(with_a_job());
    w.spawned("migrate");
    w.exited("migrate", 0);
    w.spawned("app");
    w.ask(Command::Start(name("app")));
    assert_eq!(w.state("migrate"), State::Exited, "it is up: there is nothing to start");
    w.ask(Command::Restart(name("app")));
    assert_eq!(w.state("migrate"), State::Exited);
    w.exited("app", 0);
    w.spawned("app");
    w.ask(Command::Stop(name("app")));
    w.exited("app", 0);
    w.ask(Command::Start(name("app")));
    assert_eq!((w.state("migrate"), w.state("app")), (State::Starting, State::Waiting));
}

#[test]
fn nobody_of_that_name_is_said_at_once() {
    let mut app = spec("app");
    app.needs.requires = on("nobody", None);
    app.auto_start = false;
    let mut w = World::new();
    w.apply(vec![app]);
    let t = w.ask(Command::Start(name("app")));
    assert!(
        matches!(&w.replies[&t], Err(Refusal::NotStarted(_, why)) if why == "it needs nobody, which is not defined")
    );
    w.ask(Command::Create { spec: Arc::new(spec("nobody")), start: true });
    w.spawned("nobody");
    assert_eq!(w.state("app"), State::Starting, "once it is defined and up, all is well");
}

#[test]
fn a_stop_takes_down_in_reverse_order_and_a_start_brings_back() {
    let mut w = up(pair());
    let t = w.ask(Command::Stop(name("db")));
    assert_eq!((w.state("app"), w.state("db")), (State::Stopping, State::Stopping));
    assert_eq!(w.signals[0].0, w.run_of("app"), "the dependent first");
    assert!(w.signals.iter().all(|(run, ..)| *run == w.run_of("app")), "and it alone, for now");
    assert_eq!(w.view("db").reason, Reason::WaitsForStopOf(vec![name("app")]));
    w.exited("app", 0);
    assert!(w.signals.iter().any(|(run, ..)| *run == w.run_of("db")));
    w.exited("db", 0);
    assert!(w.replies[&t].is_ok());
    assert_eq!((w.state("db"), w.state("app")), (State::Stopped, State::Waiting));
    assert_eq!(w.view("app").reason, Reason::Lacks(name("db"), Lack::Stopped));
    w.ask(Command::Start(name("db")));
    w.spawned("db");
    assert_eq!(w.state("app"), State::Starting);
}

#[test]
fn a_stop_of_the_dependent_leaves_the_dependency_alone() {
    let mut w = up(pair());
    w.ask(Command::Stop(name("app")));
    w.exited("app", 0);
    assert_eq!((w.state("app"), w.state("db")), (State::Stopped, State::Running));
}

#[test]
fn a_restart_restarts_those_that_require_it_in_order() {
    let mut w = up(pair());
    let t = w.ask(Command::Restart(name("db")));
    assert_eq!(w.signals[0].0, w.run_of("app"));
    w.exited("app", 0);
    assert_eq!(w.state("app"), State::Waiting);
    w.exited("db", 0);
    assert_eq!((w.state("db"), w.state("app")), (State::Starting, State::Waiting));
    w.spawned("db");
    assert!(w.replies[&t].is_ok());
    w.spawned("app");
    assert_eq!(w.view("app").counters.restarts, 0, "nothing crashed");
    assert_eq!(w.spawns.len(), 4);
}

#[test]
fn a_crash_leaves_those_that_require_it_alone_but_not_those_that_are_bound() {
    let mut w = up(pair());
    w.exited("db", 1);
    assert_eq!((w.state("db"), w.state("app")), (State::Backoff, State::Running));

    let mut w = up(bound());
    w.exited("db", 1);
    assert_eq!(w.state("app"), State::Stopping);
    assert_eq!(w.view("app").reason, Reason::StoppedWith(name("db")));
    w.exited("app", 0);
    assert_eq!(w.view("app").reason, Reason::Lacks(name("db"), Lack::Restarting));
    w.seconds(1.0);
    w.spawned("db");
    w.spawned("app");
    assert_eq!(w.state("app"), State::Running, "and it is back by itself");
}

#[test]
fn wants_pulls_up_but_does_not_insist() {
    let mut app = spec("app");
    app.needs.wants = on("db", None);
    let mut db = spec("db");
    db.auto_start = false;
    db.restart.policy = RestartPolicy::Never;
    let mut w = World::new();
    w.apply(vec![app, db]);
    assert_eq!((w.state("db"), w.state("app")), (State::Starting, State::Waiting));
    w.spawn_failed("db", 2);
    assert_eq!((w.state("db"), w.state("app")), (State::Failed, State::Starting));
    w.spawned("app");
    w.ask(Command::Start(name("db")));
    w.spawned("db");
    w.ask(Command::Stop(name("db")));
    assert_eq!(w.state("app"), State::Running, "a stop does not reach those that only want it");
}

#[test]
fn how_far_is_selectable() {
    for (until, kind) in [
        (Some(Readiness::Started), ProcessType::Notify),
        (Some(Readiness::Ready), ProcessType::Notify),
        (Some(Readiness::Completed), ProcessType::Simple),
        (None, ProcessType::Oneshot),
    ] {
        let mut app = spec("app");
        app.needs.requires = on("db", until);
        let mut db = spec("db");
        db.start.kind = kind;
        let mut w = World::new();
        w.apply(vec![app, db]);
        assert_eq!(w.state("app"), State::Waiting);
        w.spawned("db");
        if until != Some(Readiness::Started) {
            assert_eq!(w.state("app"), State::Waiting, "{until:?}");
            if kind == ProcessType::Notify { w.ready("db") } else { w.exited("db", 0) }
        }
        assert_eq!(w.state("app"), State::Starting, "{until:?}");
    }
}

#[test]
fn one_with_a_health_check_is_waited_for_until_it_is_healthy() {
    let mut specs = pair();
    specs[1].health = Some(HealthSpec::new(Probe::Tcp { address: "127.0.0.1:5432".into() }));
    let mut w = World::new();
    w.apply(specs);
    w.spawned("db");
    assert_eq!((w.state("db"), w.state("app")), (State::Running, State::Waiting));
    w.seconds(0.0);
    w.probed(Err("connection refused"));
    assert_eq!(w.state("app"), State::Waiting);
    w.seconds(1.0);
    w.probed(Ok(()));
    assert_eq!(w.state("app"), State::Starting);
}

#[test]
fn conflicting_ones_are_never_up_together() {
    let mut blue = spec("blue");
    blue.needs.conflicts = vec![name("green")];
    let mut w = World::new();
    w.apply(vec![blue, spec("green")]);
    w.spawned("blue");
    assert_eq!((w.state("blue"), w.state("green")), (State::Running, State::Stopped));
    assert_eq!(
        w.view("green").reason,
        Reason::ConflictsWith(name("blue")),
        "of two at boot the first one stays"
    );
    let t = w.ask(Command::Start(name("green")));
    assert_eq!((w.state("blue"), w.state("green")), (State::Stopping, State::Waiting));
    assert_eq!(w.view("green").reason, Reason::WaitsForStopOf(vec![name("blue")]));
    w.exited("blue", 0);
    w.spawned("green");
    assert!(w.replies[&t].is_ok());
    w.ask(Command::Start(name("blue")));
    assert_eq!(w.state("green"), State::Stopping, "and the other way round");
}

#[test]
fn a_condition_that_skips_a_dependency_does_not_keep_others_down() {
    let mut w = World::new();
    w.apply(pair());
    w.skipped("db", "/etc/x");
    assert_eq!((w.state("db"), w.state("app")), (State::Skipped, State::Starting));
}

#[test]
fn a_cycle_never_blocks_anybody() {
    let (mut a, mut b) = (spec("a"), spec("b"));
    a.needs.requires = on("b", None);
    b.needs.requires = on("a", None);
    let mut w = World::new();
    w.apply(vec![a, b]);
    w.spawned("a");
    w.spawned("b");
    w.ask(Command::Shutdown);
    w.exited("a", 0);
    w.exited("b", 0);
    assert_eq!(w.machine.next_deadline(), None);
}

#[test]
fn independent_ones_start_and_stop_side_by_side() {
    let names: Vec<String> = (0..50).map(|n| format!("p{n}")).collect();
    let mut w = World::new();
    w.apply(names.iter().map(|n| spec(n)).collect());
    assert_eq!(w.spawns.len(), 50);
    names.iter().for_each(|n| w.spawned(n));
    w.ask(Command::Shutdown);
    assert_eq!(w.signals.iter().filter(|(_, s, _)| *s == Signal::TERM).count(), 50);
}

#[test]
fn a_plan_names_those_that_go_down_with_a_restart() {
    let mut specs = bound();
    let mut w = up(specs.clone());
    specs[1].exec.args = vec!["-v".into()];
    let mut told = |specs: &[ProcessSpec]| -> Vec<_> {
        let t = w.ask(Command::Plan(desired(specs)));
        let Ok(Reply::Applied(changes)) = &w.replies[&t] else { panic!("no plan") };
        changes.iter().map(|c| (c.name.to_string(), c.impact, c.keys.clone())).collect()
    };
    let db = ("db".to_owned(), Impact::Restart, vec!["args"]);
    assert_eq!(told(&specs), [("app".to_owned(), Impact::Restart, vec!["binds_to"]), db.clone()]);
    // What is changed beside it keeps no pid.
    specs[0].description = "new".into();
    assert_eq!(told(&specs), [("app".to_owned(), Impact::Restart, vec!["description", "binds_to"]), db]);
    assert_eq!((w.state("db"), w.state("app")), (State::Running, State::Running));
    w.ask(Command::Apply(desired(&specs)));
    assert_eq!((w.state("db"), w.state("app")), (State::Stopping, State::Stopping));
}

/// Who, what, and because of which keys.
type Told = Vec<(String, Impact, Vec<&'static str>)>;

/// The plan, what the reload says, and what then happens to `app`.
fn plan_and_apply(w: &mut World, specs: &[ProcessSpec]) -> (Told, State) {
    let mut told = |command: Command| {
        let t = w.ask(command);
        let Ok(Reply::Applied(changes)) = &w.replies[&t] else { panic!("{:?}", w.replies[&t]) };
        changes.iter().map(|c| (c.name.to_string(), c.impact, c.keys.clone())).collect::<Vec<_>>()
    };
    let plan = told(Command::Plan(desired(specs)));
    assert_eq!(plan, told(Command::Apply(desired(specs))));
    (plan, w.state("app"))
}

#[test]
fn who_goes_down_with_whom_is_what_the_new_definitions_say() {
    let other_args = |specs: &mut [ProcessSpec]| specs[1].exec.args = vec!["-v".into()];
    let db = || ("db".to_owned(), Impact::Restart, vec!["args"]);
    let app = |impact, keys: &[&'static str]| ("app".to_owned(), impact, keys.to_vec());
    // No longer bound to what gets a new run,
    let mut w = up(bound());
    let mut specs = vec![spec("app"), spec("db")];
    other_args(&mut specs);
    let done = plan_and_apply(&mut w, &specs);
    assert_eq!(done, (vec![app(Impact::Hot, &["binds_to"]), db()], State::Running));
    // and bound to it from now on.
    let mut w = up(vec![spec("app"), spec("db")]);
    let mut specs = bound();
    other_args(&mut specs);
    let done = plan_and_apply(&mut w, &specs);
    assert_eq!(done, (vec![app(Impact::Restart, &["binds_to"]), db()], State::Stopping));
    // No longer in need of what is removed.
    let mut w = up(pair());
    let done = plan_and_apply(&mut w, &[spec("app")]);
    let gone = ("db".to_owned(), Impact::Stop, vec![]);
    assert_eq!(done, (vec![app(Impact::Hot, &["requires"]), gone], State::Running));
}

#[test]
fn an_operator_s_stop_outlives_a_reload_also_for_what_is_needed() {
    let mut w = up(pair());
    w.ask(Command::Stop(name("db")));
    w.exited("app", 0);
    w.exited("db", 0);
    let mut specs = pair();
    let mut more = spec("more");
    more.needs.requires = on("db", None);
    specs.push(more);
    w.apply(specs);
    assert_eq!((w.state("db"), w.state("more")), (State::Stopped, State::Waiting));
}

#[test]
fn a_long_chain_starts_and_stops_in_order() {
    let label = |n: usize| format!("p{n:04}");
    let mut specs: Vec<ProcessSpec> = (0..300).map(|n| spec(&label(n))).collect();
    for (n, s) in specs.iter_mut().enumerate().skip(1) {
        s.needs.requires = on(&label(n - 1), None);
    }
    let mut w = World::new();
    w.apply(specs);
    for n in 0..300 {
        w.spawned(&label(n));
    }
    w.ask(Command::Stop(name(&label(0))));
    for n in (0..300).rev() {
        assert_eq!(w.signals.last().unwrap().0, w.run_of(&label(n)));
        w.exited(&label(n), 0);
    }
    assert_eq!(w.state(&label(0)), State::Stopped);
}
