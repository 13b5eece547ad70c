//! Limits of a live run and the lack of memory, told as stories.

use model::*;
use supervisor::machine::Input;

use crate::world::{World, name, spec};

const KILLED: ExitStatus = ExitStatus::Signal { signal: Signal::KILL, core: false };

fn memory(bytes: u64) -> ResourceLimits {
    ResourceLimits { memory_max: Some(Ceiling::At(bytes)), ..ResourceLimits::default() }
}

fn limited(limits: ResourceLimits) -> ProcessSpec {
    ProcessSpec { limits, ..spec("web") }
}

fn oom(w: &mut World, kills: u64) {
    let run = w.run_of("web");
    w.feed(Input::OomKilled { run, kills });
}

#[test]
fn a_main_process_that_the_kernel_killed_says_so() {
    let mut w = World::running(limited(memory(64 << 20)));
    oom(&mut w, 1);
    assert_eq!(w.state("web"), State::Running, "it may have been another one of its processes");
    w.exited_leaving("web", KILLED, vec![]);
    let view = w.view("web");
    assert_eq!(view.state, State::Backoff);
    assert_eq!(view.reason.to_string(), "killed by the kernel: out of memory (memory_max 64M)");
    let last = view.last_exit().unwrap();
    assert_eq!((last.reason, last.status), (ExitReason::Oom, Some(KILLED)));
    assert_eq!(view.counters.exits[ExitReason::Oom as usize], 1);
    assert_eq!(view.counters.oom_kills, 1);
    assert_eq!(w.last_events(3), ["oom_killed", "exited", "restart_scheduled"]);
}

#[test]
fn without_a_limit_of_its_own_the_machine_was_out_of_memory() {
    let mut w = World::running(spec("web"));
    oom(&mut w, 3);
    w.exited_leaving("web", KILLED, vec![]);
    assert_eq!(w.view("web").reason.to_string(), "killed by the kernel: out of memory");
    assert_eq!(w.view("web").counters.oom_kills, 3);
}

#[test]
fn a_descendant_that_was_killed_is_counted_and_the_run_goes_on() {
    let mut w = World::running(limited(memory(64 << 20)));
    oom(&mut w, 2);
    oom(&mut w, 1);
    assert_eq!((w.state("web"), w.view("web").counters.oom_kills), (State::Running, 3));
    // Long after that somebody kills it, or it fails by itself: that is another story.
    w.seconds(11.0);
    w.exited_leaving("web", KILLED, vec![]);
    assert_eq!(w.view("web").last_exit().unwrap().reason, ExitReason::Signal);
}

#[test]
fn another_end_is_not_for_lack_of_memory() {
    let mut w = World::running(limited(memory(64 << 20)));
    oom(&mut w, 1);
    w.exited("web", 3);
    assert_eq!(w.view("web").last_exit().unwrap().reason, ExitReason::ExitCode);
    // The count stays with the process, the suspicion does not.
    w.seconds(1.2);
    w.spawned("web");
    w.exited_leaving("web", KILLED, vec![]);
    assert_eq!(w.view("web").last_exit().unwrap().reason, ExitReason::Signal);
    assert_eq!(w.view("web").counters.oom_kills, 1);
}

#[test]
fn one_that_was_asked_to_stop_was_stopped() {
    let mut w = World::running(limited(memory(64 << 20)));
    w.ask(Command::Stop(name("web")));
    oom(&mut w, 1);
    w.exited_leaving("web", KILLED, vec![]);
    assert_eq!(w.view("web").last_exit().unwrap().reason, ExitReason::Stopped);
    assert_eq!(w.view("web").counters.oom_kills, 1);
}

#[test]
fn success_exit_status_does_not_make_a_success_of_it() {
    let mut process = limited(memory(64 << 20));
    process.restart.success = vec![ExitMatcher::Signal(Signal::KILL)];
    process.restart.policy = RestartPolicy::OnSuccess;
    let mut w = World::running(process);
    oom(&mut w, 1);
    w.exited_leaving("web", KILLED, vec![]);
    assert_eq!(w.state("web"), State::Failed);
}

#[test]
fn one_that_was_killed_before_it_was_ready_says_why() {
    let mut process = limited(memory(1 << 20));
    process.start.kind = ProcessType::Notify;
    let mut w = World::running(process);
    oom(&mut w, 1);
    w.exited_leaving("web", KILLED, vec![]);
    assert_eq!(w.view("web").last_exit().unwrap().reason, ExitReason::Oom);
}

#[test]
fn new_limits_are_set_without_a_restart_and_one_at_a_time() {
    let mut w = World::running(limited(memory(1)));
    let run = w.run_of("web");
    assert_eq!(w.limits, [], "it was born with them");
    w.apply(vec![limited(memory(2))]);
    w.apply(vec![limited(memory(3))]);
    assert_eq!(w.limits, [(run, memory(2))]);
    w.feed(Input::Limited { run, limits: memory(2), degraded: None });
    assert_eq!(w.limits, [(run, memory(2)), (run, memory(3))]);
    w.feed(Input::Limited { run, limits: memory(3), degraded: None });
    assert_eq!(w.limits.len(), 2);
    // What is taken back is set, too.
    w.apply(vec![spec("web")]);
    assert_eq!(w.limits[2], (run, ResourceLimits::default()));
    assert_eq!((w.run_of("web"), w.state("web")), (run, State::Running));
}

#[test]
fn limits_that_changed_while_it_was_executed_are_set_afterwards() {
    let mut w = World::new();
    w.apply(vec![limited(memory(1))]);
    w.apply(vec![limited(memory(2))]);
    assert_eq!(w.limits, []);
    w.spawned("web");
    assert_eq!(w.limits, [(w.run_of("web"), memory(2))]);
}

#[test]
fn what_is_not_in_force_is_shown_for_as_long_as_it_is_so() {
    let mut w = World::running(limited(memory(1)));
    let run = w.run_of("web");
    let tell = |w: &mut World, limits, degraded: Option<&str>| {
        w.feed(Input::Limited { run, limits, degraded: degraded.map(ToOwned::to_owned) });
    };
    tell(&mut w, memory(1), Some("no cpu_max"));
    assert_eq!(w.view("web").degraded.as_deref(), Some("no cpu_max"));
    assert_eq!(w.last_events(1), ["degraded"]);
    let events = w.events.len();
    w.apply(vec![limited(memory(2))]);
    tell(&mut w, memory(2), Some("no cpu_max"));
    assert_eq!(w.last_events(1), ["updated"], "told once");
    assert_eq!(w.events.len(), events + 1);
    w.apply(vec![limited(memory(3))]);
    tell(&mut w, memory(3), None);
    assert_eq!(w.view("web").degraded, None);
    w.apply(vec![limited(memory(4))]);
    tell(&mut w, memory(4), Some("no cpu_max"));
    w.exited("web", 1);
    assert_eq!(w.view("web").degraded, None, "nothing of it runs");
}

#[test]
fn an_answer_for_a_run_that_is_over_is_dropped() {
    let mut w = World::running(limited(memory(1)));
    let run = w.run_of("web");
    w.apply(vec![limited(memory(2))]);
    w.exited("web", 1);
    w.feed(Input::Limited { run, limits: memory(2), degraded: Some("late".into()) });
    w.feed(Input::OomKilled { run, kills: 1 });
    w.seconds(1.2);
    w.spawned("web");
    assert_eq!(w.limits.len(), 1, "the new run was born with them");
    assert_eq!((w.view("web").degraded.clone(), w.view("web").counters.oom_kills), (None, 0));
}

#[test]
fn directories_are_removed_after_each_run_and_only_where_there_are_some() {
    let mut process = spec("web");
    process.exec.isolation.runtime_directories = vec!["web".into()];
    let mut w = World::running(process.clone());
    assert_eq!(w.cleaned, []);
    w.exited("web", 1);
    assert_eq!(w.cleaned, [(name("web"), RunNumber(1))]);
    w.seconds(1.2);
    // Also after one that could not be executed.
    w.spawn_failed("web", 2);
    assert_eq!(w.cleaned.last(), Some(&(name("web"), RunNumber(2))));
    // The definition that has none any more is not the one that made them.
    w.ask(Command::Start(name("web")));
    w.spawned("web");
    w.apply(vec![spec("web")]);
    w.exited_leaving("web", ExitStatus::Code(0), vec![]);
    assert_eq!(w.cleaned.last(), Some(&(name("web"), RunNumber(3))));
    w.spawned("web");
    w.exited("web", 1);
    assert_eq!(w.cleaned.len(), 3, "this one had none");
}

#[test]
fn a_oneshot_that_counts_as_up_keeps_its_directories() {
    let mut process = spec("web");
    process.exec.isolation.runtime_directories = vec!["web".into()];
    process.start.kind = ProcessType::Oneshot;
    process.start.remain_after_exit = true;
    let mut w = World::running(process);
    w.exited("web", 0);
    assert_eq!((w.state("web"), w.cleaned.len()), (State::Exited, 0));
    w.ask(Command::Stop(name("web")));
    assert_eq!(w.cleaned, [(name("web"), RunNumber(1))]);
}

#[test]
fn one_that_failed_for_its_limits_is_tried_at_once_when_they_change() {
    let mut w = World::new();
    w.apply(vec![limited(memory(1))]);
    w.spawn_failed("web", 22);
    assert_eq!(w.state("web"), State::Backoff);
    // What does not cure it leaves it waiting.
    w.apply(vec![ProcessSpec { description: "x".into(), ..limited(memory(1)) }]);
    assert_eq!(w.state("web"), State::Backoff);
    w.apply(vec![spec("web")]);
    assert_eq!(w.state("web"), State::Starting);
    w.spawned("web");
    oom(&mut w, 1);
    w.exited_leaving("web", KILLED, vec![]);
    assert_eq!(w.state("web"), State::Backoff);
    w.apply(vec![limited(memory(1 << 30))]);
    assert_eq!(w.state("web"), State::Starting);
}

#[test]
fn one_that_had_given_up_for_its_limits_is_tried_at_once_when_they_change() {
    let never = |limits| {
        let mut process = limited(limits);
        process.restart.policy = RestartPolicy::Never;
        process
    };
    let mut w = World::new();
    w.apply(vec![never(memory(1))]);
    w.spawn_failed("web", 22);
    assert_eq!(w.state("web"), State::Failed);
    w.apply(vec![never(memory(2))]);
    assert_eq!(w.state("web"), State::Starting);
    w.spawn_failed("web", 22);
    w.ask(Command::Stop(name("web")));
    w.apply(vec![never(memory(3))]);
    assert_eq!(w.state("web"), State::Stopped, "an operator stopped it");
}

#[test]
fn who_waits_for_a_start_hears_what_came_of_it() {
    let mut w = World::running(limited(memory(1)));
    let changed = |args: &str| {
        let mut process = limited(memory(1));
        process.exec.args = vec![args.into()];
        process
    };
    let at_once = w.ask(Command::AwaitStart(name("web")));
    assert!(matches!(w.replies[&at_once], Ok(Reply::Done(_))));
    w.apply(vec![changed("a")]);
    let ticket = w.ask(Command::AwaitStart(name("web")));
    assert!(!w.replies.contains_key(&ticket));
    w.exited("web", 0);
    w.spawned("web");
    assert!(matches!(w.replies[&ticket], Ok(Reply::Done(_))));
    w.apply(vec![changed("b")]);
    let ticket = w.ask(Command::AwaitStart(name("web")));
    w.exited("web", 0);
    w.spawn_failed("web", 2);
    assert!(matches!(w.replies[&ticket], Err(Refusal::StartFailed(..) | Refusal::NotStarted(..))));
    // It waits for its time, or is not wanted: nobody waits with it.
    let ticket = w.ask(Command::AwaitStart(name("web")));
    assert!(matches!(w.replies[&ticket], Ok(Reply::Done(_))));
    w.ask(Command::Stop(name("web")));
    let ticket = w.ask(Command::AwaitStart(name("web")));
    assert!(matches!(w.replies[&ticket], Ok(Reply::Done(_))));
}

#[test]
fn who_waits_for_a_start_hears_whether_new_limits_hold() {
    let mut w = World::running(limited(memory(1)));
    let run = w.run_of("web");
    w.apply(vec![limited(memory(2))]);
    let ticket = w.ask(Command::AwaitStart(name("web")));
    assert!(!w.replies.contains_key(&ticket));
    w.feed(Input::Limited { run, limits: memory(2), degraded: Some("no cpu_max".into()) });
    let Ok(Reply::Done(view)) = &w.replies[&ticket] else { panic!("{:?}", w.replies[&ticket]) };
    assert_eq!(view.degraded.as_deref(), Some("no cpu_max"));
}
