//! Types, hooks, notices, the watchdog and reloads, told as stories.

use std::time::Duration;

use model::*;
use supervisor::machine::{Input, Notice, Target};

use crate::world::{World, name, spec};

fn typed(kind: ProcessType) -> ProcessSpec {
    let mut s = spec("web");
    s.start.kind = kind;
    if kind == ProcessType::Oneshot {
        s.start.timeout = None;
    }
    s
}

fn hook(program: &str) -> Hook {
    let command = CommandLine { program: program.into(), args: vec![] };
    Hook { command, timeout: None, ignore_failure: false }
}

fn last_reason(w: &World) -> ExitReason {
    w.view("web").last_exit().expect("no exit").reason
}

#[test]
fn notify_is_up_once_it_says_so() {
    let mut w = World::new();
    w.apply(vec![ProcessSpec { auto_start: false, ..typed(ProcessType::Notify) }]);
    let t = w.ask(Command::Start(name("web")));
    w.spawned("web");
    assert_eq!(w.state("web"), State::Starting);
    assert_eq!(w.view("web").reason, Reason::NotReadyYet(ProcessType::Notify));
    assert!(!w.replies.contains_key(&t), "answered before READY=1");
    w.seconds(89.0);
    w.ready("web");
    assert_eq!(w.state("web"), State::Running);
    assert!(w.replies[&t].is_ok());
    assert_eq!(w.last_events(2), ["started", "ready"]);
    assert_eq!(w.machine.next_deadline(), None);
}

#[test]
fn notify_that_stays_silent_is_stopped_and_the_policy_decides() {
    let mut w = World::running(typed(ProcessType::Notify));
    w.seconds(90.0);
    assert_eq!(w.state("web"), State::Stopping);
    assert_eq!(w.view("web").reason, Reason::StartTimedOut(Duration::from_secs(90)));
    w.exited("web", 0);
    assert_eq!(w.state("web"), State::Backoff, "an orderly end after a timeout is a failure all the same");
    assert_eq!(last_reason(&w), ExitReason::NotReady);
    assert_eq!(
        w.view("web").last_exit().unwrap().cause,
        Some(Reason::StartTimedOut(Duration::from_secs(90)))
    );
}

#[test]
fn a_start_that_times_out_is_told_the_time_that_it_had_however_late_it_is_noticed() {
    let mut w = World::running(typed(ProcessType::Notify));
    w.seconds(45.0);
    let more = Duration::from_nanos(60_000_700_800);
    w.notified("web", Notice { extend: Some(more), ..Notice::default() });
    let late = Duration::from_nanos(61_234_567_890);
    w.now = Stamp { mono: w.now.mono.after(late), wall: w.now.wall.after(late) };
    w.feed(Input::Deadline);
    assert_eq!(w.view("web").reason, Reason::StartTimedOut(Duration::from_secs(105)));
}

#[test]
fn notify_that_ends_before_ready_failed_even_with_zero() {
    let mut w = World::new();
    w.apply(vec![ProcessSpec { auto_start: false, ..typed(ProcessType::Notify) }]);
    let t = w.ask(Command::Start(name("web")));
    w.spawned("web");
    w.exited("web", 0);
    assert_eq!(w.state("web"), State::Backoff);
    let why = "ended with exit code 0 before it sent READY=1".to_owned();
    assert_eq!(w.replies[&t], Err(Refusal::NotStarted(name("web"), why)));
}

#[test]
fn more_time_can_be_asked_for() {
    let mut w = World::running(typed(ProcessType::Notify));
    w.seconds(80.0);
    w.notified("web", Notice { extend: Some(Duration::from_secs(60)), ..Notice::default() });
    w.seconds(59.0);
    assert_eq!(w.state("web"), State::Starting);
    w.seconds(1.0);
    assert_eq!(w.state("web"), State::Stopping);
    let until = w.view("web").next.unwrap().at;
    w.notified("web", Notice { extend: Some(Duration::from_secs(60)), ..Notice::default() });
    let later = w.view("web").next.unwrap().at;
    assert_eq!(later.since(until), Duration::from_secs(50), "a stop can be extended, too");
}

#[test]
fn a_oneshot_is_done_when_it_ends_well_and_a_caller_waits_for_that() {
    let mut w = World::new();
    w.apply(vec![ProcessSpec { auto_start: false, ..typed(ProcessType::Oneshot) }]);
    let t = w.ask(Command::Start(name("web")));
    w.spawned("web");
    assert_eq!(w.state("web"), State::Starting);
    w.seconds(7200.0);
    assert_eq!(w.state("web"), State::Starting, "nobody knows how long a job takes");
    w.exited("web", 0);
    assert_eq!(w.state("web"), State::Exited);
    assert!(matches!(&w.replies[&t], Ok(Reply::Done(v)) if v.state == State::Exited));
    let again = w.ask(Command::Start(name("web")));
    assert_eq!(w.state("web"), State::Starting, "a job can be done again");
    w.spawned("web");
    w.exited("web", 3);
    assert_eq!(w.state("web"), State::Backoff);
    assert_eq!(w.replies[&again], Err(Refusal::NotStarted(name("web"), "ended with exit code 3".into())));
}

#[test]
fn a_oneshot_that_remains_counts_as_up_until_it_is_stopped() {
    let mut s = typed(ProcessType::Oneshot);
    s.start.remain_after_exit = true;
    s.hooks.stop = vec![hook("/undo")];
    s.hooks.stop_post = vec![hook("/last"), hook("/last2")];
    let mut w = World::running(s);
    w.seconds(3.0);
    w.exited("web", 0);
    assert_eq!(w.state("web"), State::Exited);
    assert_eq!(w.events.last().unwrap().kind, EventKind::Ready { took: Duration::from_secs(3) });
    assert!(w.view("web").wanted_up);
    let t = w.ask(Command::Start(name("web")));
    assert!(w.replies[&t].is_ok(), "it is up already");
    let t = w.ask(Command::Stop(name("web")));
    assert_eq!(w.state("web"), State::Stopping);
    assert_eq!(w.view("web").reason, Reason::RunsHook(HookKind::Stop, 1, 1));
    assert_eq!(w.helped("web", 0), "/undo");
    assert_eq!(w.view("web").reason, Reason::RunsHook(HookKind::StopPost, 1, 2), "what it waits for is told");
    assert_eq!(w.helped("web", 0), "/last");
    assert_eq!(w.view("web").reason, Reason::RunsHook(HookKind::StopPost, 2, 2));
    assert_eq!(w.helped("web", 0), "/last2");
    assert_eq!(w.state("web"), State::Stopped);
    assert!(w.replies[&t].is_ok());
}

#[test]
fn forking_is_up_once_its_daemon_is_found() {
    let mut w = World::running(typed(ProcessType::Forking));
    assert_eq!(w.view("web").reason, Reason::NotReadyYet(ProcessType::Forking));
    w.exited_leaving("web", ExitStatus::Code(0), vec![500, 501]);
    assert_eq!((w.state("web"), w.searches.len()), (State::Starting, 1));
    w.main_found("web", 501);
    assert_eq!(w.state("web"), State::Running);
    assert_eq!(w.view("web").run.as_ref().unwrap().pid, Some(501));
    assert_eq!(w.last_events(2), ["main_process", "ready"]);
    w.exited("web", 1);
    assert_eq!(w.state("web"), State::Backoff, "its daemon is its main process now");
}

#[test]
fn forking_that_leaves_nothing_or_a_riddle_failed() {
    let mut w = World::running(typed(ProcessType::Forking));
    w.exited("web", 0);
    assert_eq!(last_reason(&w), ExitReason::NotReady);
    assert_eq!(w.state("web"), State::Backoff);
    w.seconds(1.0);
    w.spawned("web");
    w.exited_leaving("web", ExitStatus::Code(0), vec![7, 8]);
    let run = w.run_of("web");
    w.feed(Input::MainNotFound { run, problem: "several".into() });
    assert_eq!(w.state("web"), State::Stopping);
    assert_eq!(w.signals.last().unwrap().2, Target::All, "there is no main process to ask");
    w.leftovers("web", vec![]);
    assert_eq!(w.state("web"), State::Backoff);
    assert_eq!(w.view("web").reason, Reason::NoMainProcess("several".into()));
}

#[test]
fn a_forking_start_can_be_stopped_while_its_daemon_is_looked_for() {
    let mut w = World::running(typed(ProcessType::Forking));
    w.exited_leaving("web", ExitStatus::Code(0), vec![7]);
    let t = w.ask(Command::Stop(name("web")));
    assert_eq!(w.state("web"), State::Stopping);
    w.leftovers("web", vec![]);
    assert_eq!(w.state("web"), State::Stopped);
    assert!(w.replies[&t].is_ok());
}

#[test]
fn hooks_run_one_after_the_other_around_the_start() {
    let mut s = spec("web");
    s.hooks.start_pre = vec![hook("/pre1"), hook("/pre2")];
    s.hooks.start_post = vec![hook("/post")];
    let mut w = World::new();
    w.apply(vec![s]);
    assert_eq!(w.state("web"), State::Starting);
    assert_eq!(w.view("web").reason, Reason::RunsHook(HookKind::StartPre, 1, 2));
    assert_eq!(w.helped("web", 0), "/pre1");
    assert_eq!(w.view("web").reason, Reason::RunsHook(HookKind::StartPre, 2, 2));
    assert_eq!(w.helped("web", 0), "/pre2");
    w.spawned("web");
    assert_eq!(w.state("web"), State::Starting);
    let run = w.helper_of("web");
    let pid = w.view("web").run.as_ref().unwrap().pid.unwrap().to_string();
    assert!(w.helpers[&run].what.env.contains(&("MAINPID", pid)));
    assert_eq!(w.helped("web", 0), "/post");
    assert_eq!(w.state("web"), State::Running);
}

#[test]
fn a_failed_start_pre_keeps_the_program_from_running() {
    let mut s = spec("web");
    s.hooks.start_pre = vec![hook("/pre")];
    s.hooks.stop_post = vec![hook("/last")];
    let mut w = World::new();
    w.apply(vec![s]);
    w.helped("web", 7);
    assert_eq!(w.helped("web", 0), "/last", "what cleans up runs also after a start that failed");
    assert_eq!((w.state("web"), w.spawns.len()), (State::Backoff, 0));
    assert_eq!(w.view("web").reason, Reason::HookFailed(HookKind::StartPre, "exit code 7 (`/pre`)".into()));
    assert_eq!(last_reason(&w), ExitReason::HookFailed);
}

#[test]
fn a_failure_that_is_ignored_is_told_and_nothing_else() {
    let mut s = spec("web");
    s.hooks.start_pre = vec![Hook { ignore_failure: true, ..hook("/pre") }];
    let mut w = World::new();
    w.apply(vec![s]);
    w.helped("web", 7);
    assert_eq!(w.last_events(1), ["hook_failed"]);
    w.spawned("web");
    assert_eq!(w.state("web"), State::Running);
}

#[test]
fn a_hook_that_hangs_is_killed_with_all_that_it_started() {
    let mut s = spec("web");
    s.hooks.start_pre = vec![Hook { timeout: Some(Duration::from_secs(5)), ..hook("/pre") }];
    let mut w = World::new();
    w.apply(vec![s]);
    let run = w.helper_of("web");
    w.helper_spawned(run);
    w.seconds(5.0);
    assert!(w.helpers[&run].killed);
    w.helper_exited(run, ExitStatus::Signal { signal: Signal::KILL, core: false }, vec![77]);
    assert_eq!(w.state("web"), State::Starting, "its child is still alive");
    w.feed(Input::Leftovers { run, pids: vec![] });
    assert_eq!(w.state("web"), State::Backoff);
    assert_eq!(
        w.view("web").reason,
        Reason::HookFailed(HookKind::StartPre, "did not end within 5 s (`/pre`)".into())
    );
}

#[test]
fn what_a_hook_leaves_behind_is_killed_before_the_program_starts() {
    let mut s = spec("web");
    s.hooks.start_pre = vec![hook("/pre")];
    let mut w = World::new();
    w.apply(vec![s]);
    let run = w.helper_of("web");
    w.helper_spawned(run);
    w.helper_exited(run, ExitStatus::Code(0), vec![77]);
    assert!(w.helpers[&run].killed && w.spawns.is_empty());
    w.feed(Input::Leftovers { run, pids: vec![] });
    assert_eq!(w.spawns.len(), 1);
}

#[test]
fn a_stop_during_start_pre_kills_the_hook_and_starts_nothing() {
    let mut s = spec("web");
    s.hooks.start_pre = vec![hook("/pre")];
    let mut w = World::new();
    w.apply(vec![s]);
    let t = w.ask(Command::Stop(name("web")));
    assert_eq!(w.state("web"), State::Stopping);
    let run = *w.helpers.first_key_value().unwrap().0;
    assert!(w.helpers[&run].killed);
    w.helper_spawned(run);
    w.helper_exited(run, ExitStatus::Signal { signal: Signal::KILL, core: false }, vec![]);
    assert_eq!((w.state("web"), w.spawns.len()), (State::Stopped, 0));
    assert!(w.replies[&t].is_ok());
}

#[test]
fn a_failed_start_post_stops_what_was_started() {
    let mut s = spec("web");
    s.hooks.start_post = vec![hook("/post")];
    let mut w = World::running(s);
    w.helped("web", 1);
    assert_eq!(w.state("web"), State::Stopping);
    w.exited("web", 0);
    assert_eq!((w.state("web"), last_reason(&w)), (State::Backoff, ExitReason::HookFailed));
}

#[test]
fn exec_stop_comes_before_the_signal_which_may_not_be_needed() {
    let mut s = spec("web");
    s.hooks.stop = vec![hook("/stop")];
    let mut w = World::running(s.clone());
    w.ask(Command::Stop(name("web")));
    assert!(w.signals.is_empty());
    w.exited("web", 0);
    assert_eq!(w.state("web"), State::Stopping, "the hook is still running");
    w.helped("web", 0);
    assert_eq!(w.state("web"), State::Stopped);
    assert!(w.signals.is_empty(), "it had ended by itself");

    let mut w = World::running(s);
    w.ask(Command::Stop(name("web")));
    w.helped("web", 1);
    assert_eq!(w.signals[0].1, Signal::TERM, "a hook that failed is no reason not to stop");
    w.exited("web", 0);
    assert_eq!(w.state("web"), State::Stopped);
}

#[test]
fn exec_stop_post_hears_how_it_ended() {
    let mut s = spec("web");
    s.hooks.stop_post = vec![hook("/last")];
    let mut w = World::running(s);
    w.exited_leaving(
        "web",
        ExitStatus::Signal { signal: Signal::from_number(11).unwrap(), core: true },
        vec![],
    );
    assert_eq!(w.state("web"), State::Stopping);
    let run = w.helper_of("web");
    let env = w.helpers[&run].what.env.clone();
    assert_eq!(
        env,
        [
            ("SERVICE_RESULT", "core-dump".to_owned()),
            ("EXIT_CODE", "dumped".to_owned()),
            ("EXIT_STATUS", "SEGV".to_owned())
        ]
    );
    w.helped("web", 0);
    assert_eq!(w.state("web"), State::Backoff);
}

#[test]
fn exec_stop_post_hears_of_a_stop_as_of_a_success_and_never_of_an_earlier_run() {
    let mut s = spec("web");
    s.hooks.start_pre = vec![hook("/pre")];
    s.hooks.stop_post = vec![hook("/last")];
    let mut w = World::new();
    w.apply(vec![s]);
    w.helped("web", 0);
    w.spawned("web");
    w.exited("web", 7);
    let told = |w: &World| w.helpers[&w.helper_of("web")].what.env.clone();
    let ended = |result: &str, code: &str, status: &str| {
        let env = [("SERVICE_RESULT", result), ("EXIT_CODE", code), ("EXIT_STATUS", status)];
        env.map(|(name, value)| (name, value.to_owned())).to_vec()
    };
    assert_eq!(told(&w), ended("exit-code", "exited", "7"));
    w.helped("web", 0);
    w.seconds(2.0);
    let pre = w.helper_of("web");
    w.helper_spawned(pre);
    w.ask(Command::Stop(name("web")));
    w.helper_exited(pre, ExitStatus::Signal { signal: Signal::KILL, core: false }, vec![]);
    assert_eq!(told(&w), [("SERVICE_RESULT", "success".to_owned())], "the program was not even executed");
    w.helped("web", 0);
    assert_eq!(w.state("web"), State::Stopped);
    w.ask(Command::Start(name("web")));
    w.helped("web", 0);
    w.spawned("web");
    w.ask(Command::Stop(name("web")));
    w.exited_leaving("web", ExitStatus::Signal { signal: Signal::TERM, core: false }, vec![]);
    assert_eq!(told(&w), ended("success", "killed", "TERM"));
}

#[test]
fn a_silent_watchdog_is_an_abort_and_a_failure() {
    let mut s = typed(ProcessType::Notify);
    s.start.watchdog = Some(Duration::from_secs(3));
    let mut w = World::running(s);
    w.seconds(5.0);
    assert_eq!(w.state("web"), State::Starting, "it has nothing to prove before it is up");
    w.ready("web");
    for _ in 0..4 {
        w.seconds(2.9);
        w.notified("web", Notice { watchdog_ping: true, ..Notice::default() });
    }
    assert_eq!(w.state("web"), State::Running);
    w.seconds(3.0);
    assert_eq!(w.signals[0].1, Signal::ABRT);
    assert_eq!(w.view("web").reason, Reason::WatchdogExpired(Duration::from_secs(3)));
    w.exited_leaving("web", ExitStatus::Signal { signal: Signal::ABRT, core: true }, vec![]);
    assert_eq!((w.state("web"), last_reason(&w)), (State::Backoff, ExitReason::Watchdog));
}

#[test]
fn a_watchdog_can_be_triggered_and_its_time_changed() {
    let mut s = spec("web");
    s.start.watchdog = Some(Duration::from_secs(3));
    let mut w = World::running(s);
    w.notified("web", Notice { watchdog_every: Some(Duration::from_secs(60)), ..Notice::default() });
    w.seconds(59.0);
    assert_eq!(w.state("web"), State::Running);
    w.notified("web", Notice { watchdog_trigger: true, ..Notice::default() });
    assert_eq!(w.state("web"), State::Stopping);
}

#[test]
fn a_reload_is_a_signal_or_hooks_and_keeps_the_pid() {
    let mut w = World::running(spec("web"));
    let t = w.ask(Command::Reload(name("web")));
    assert_eq!(w.signals, [(w.run_of("web"), Signal::HUP, Target::Main)]);
    assert!(w.replies[&t].is_ok());
    assert_eq!(w.state("web"), State::Running);

    let mut s = spec("web");
    s.hooks.reload = vec![hook("/check"), hook("/reload")];
    let mut w = World::running(s);
    let pid = w.view("web").run.as_ref().unwrap().pid;
    let t = w.ask(Command::Reload(name("web")));
    assert_eq!(w.state("web"), State::Reloading);
    let second = w.ask(Command::Reload(name("web")));
    w.helped("web", 0);
    assert!(!w.replies.contains_key(&t));
    assert_eq!(w.view("web").reason, Reason::RunsHook(HookKind::Reload, 2, 2));
    w.helped("web", 0);
    assert_eq!(w.view("web").reason, Reason::Wanted);
    assert!(w.replies[&t].is_ok() && w.replies[&second].is_ok());
    assert_eq!((w.state("web"), w.view("web").run.as_ref().unwrap().pid), (State::Running, pid));
    assert_eq!(w.last_events(2), ["reloading", "reloaded"]);
}

#[test]
fn a_hook_can_name_the_main_process_as_in_a_unit_file() {
    let mut s = spec("web");
    let args = ["-HUP", "$MAINPID", "${MAINPID}", "$HOME", "x$MAINPID"].map(str::to_owned);
    let command = CommandLine { program: "/bin/kill".into(), args: args.to_vec() };
    s.hooks.reload = vec![Hook { command, ..hook("") }];
    let mut w = World::running(s);
    let pid = w.view("web").run.as_ref().unwrap().pid.unwrap();
    w.ask(Command::Reload(name("web")));
    assert_eq!(w.helped("web", 0), format!("/bin/kill -HUP {pid} {pid} $HOME x$MAINPID"));
}

#[test]
fn a_failed_reload_leaves_it_running_and_says_so() {
    let mut s = spec("web");
    s.hooks.reload = vec![hook("/check")];
    let mut w = World::running(s);
    let t = w.ask(Command::Reload(name("web")));
    w.helped("web", 2);
    assert_eq!(w.replies[&t], Err(Refusal::ReloadFailed(name("web"), "exit code 2 (`/check`)".into())));
    assert_eq!(w.state("web"), State::Running);
    w.ask(Command::Stop(name("web")));
    let t = w.ask(Command::Reload(name("web")));
    assert_eq!(w.replies[&t], Err(Refusal::NotRunning(name("web"), State::Stopping)));
}

#[test]
fn a_crash_during_a_reload_answers_who_waits_for_it() {
    let mut s = spec("web");
    s.hooks.reload = vec![hook("/reload")];
    let mut w = World::running(s);
    let t = w.ask(Command::Reload(name("web")));
    let run = w.helper_of("web");
    w.helper_spawned(run);
    w.exited("web", 1);
    assert!(matches!(&w.replies[&t], Err(Refusal::ReloadFailed(..))));
    assert_eq!(w.state("web"), State::Stopping, "the hook is being killed");
    w.helper_exited(run, ExitStatus::Signal { signal: Signal::KILL, core: false }, vec![]);
    assert_eq!(w.state("web"), State::Backoff);
}

#[test]
fn it_may_say_that_it_reloads_and_that_it_stops() {
    let mut w = World::running(typed(ProcessType::Notify));
    w.ready("web");
    w.notified("web", Notice { reloading: true, status: Some("reading".into()), ..Notice::default() });
    assert_eq!((w.state("web"), w.view("web").status.as_str()), (State::Reloading, "reading"));
    w.ready("web");
    assert_eq!(w.state("web"), State::Running);
    w.notified("web", Notice { stopping: true, ..Notice::default() });
    assert_eq!((w.state("web"), &w.view("web").reason), (State::Stopping, &Reason::StopAnnounced));
    assert!(w.signals.is_empty());
    w.exited("web", 1);
    assert_eq!((w.state("web"), last_reason(&w)), (State::Backoff, ExitReason::ExitCode));
}

#[test]
fn one_that_announced_its_stop_and_hangs_is_killed() {
    let mut w = World::running(spec("web"));
    w.notified("web", Notice { stopping: true, ..Notice::default() });
    w.seconds(10.0);
    assert_eq!(w.kills.len(), 1);
}

#[test]
fn a_named_main_process_is_the_one_that_counts() {
    let mut w = World::running(typed(ProcessType::Notify));
    w.notified("web", Notice { ready: true, main_pid: Some(999), ..Notice::default() });
    assert_eq!(w.view("web").run.as_ref().unwrap().pid, Some(999));
    assert_eq!(w.last_events(2), ["main_process", "ready"]);
}

#[test]
fn a_condition_skips_the_start_and_somebody_may_ask_again() {
    let mut w = World::new();
    w.apply(vec![spec("web")]);
    w.skipped("web", "/etc/licence");
    assert_eq!(w.state("web"), State::Skipped);
    assert_eq!(w.view("web").reason, Reason::ConditionFailed("/etc/licence".into()));
    let t = w.ask(Command::Start(name("web")));
    w.skipped("web", "/etc/licence");
    assert!(matches!(&w.replies[&t], Err(Refusal::NotStarted(..))));
    assert_eq!(w.view("web").exits.len(), 0, "it never ran");
}
