//! The end of a process: signals, SIGKILL, whatever it started, and who need not wait for it.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::eventually;

use crate::scene::Scene;
use crate::support::is_alive;

/// Looks at everything, so many times: what forks all the time may slip through one look.
const LOOKS: usize = 3;

/// Pids of everything that carries the environment of a process of this name, which has to be unique.
fn alive(name: &str) -> Vec<i32> {
    (0..LOOKS).flat_map(|_| seen(name)).collect()
}

fn seen(name: &str) -> Vec<i32> {
    let word = format!("PROCESS_NAME={name}");
    let carries = |pid: &i32| {
        // That of a zombie is empty.
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == word.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").expect("it is mounted");
    let pids = entries.filter_map(|entry| entry.expect("an entry").file_name().to_str()?.parse().ok());
    pids.filter(carries).collect()
}

#[test]
fn what_ignores_its_signal_is_killed_after_its_timeout_with_all_that_forked_away() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: ['orphan=ignore=TERM,ignore=HUP,pidfile=DIR/orphan,sleep', 'child=ignore=TERM,session,pidfile=DIR/child,sleep', wait-file=DIR/orphan, wait-file=DIR/child, ignore=TERM, notify=READY=1, sleep]
    type: notify
    stop_timeout: 300ms
    inherit_env: [PM_TEST_MARKER]
",
    );
    let main = scene.running("web");
    let began = Instant::now();
    scene.pm(&["stop", "web"]).success();
    assert!(began.elapsed() >= Duration::from_millis(300), "it was given no time");
    for pid in [main, scene.pid_in("orphan"), scene.pid_in("child")] {
        assert!(!is_alive(pid), "stopped, but {pid} lives");
    }
    let web = scene.shown("web");
    assert_eq!(
        (&web["last_exit"]["signal"], &web["last_exit"]["reason"]),
        (&"SIGKILL".into(), &"stopped".into())
    );
    scene.until_told("web did not stop within 300.0 ms");
}

#[test]
fn nothing_escapes_by_forking_while_it_is_killed() {
    let [hydra, storm, crash] =
        ["hydra", "storm", "crash"].map(|name| format!("{name}-{}", std::process::id()));
    let common = "stop_timeout: 100ms, restart: never, inherit_env: [PM_TEST_MARKER]";
    let scene = Scene::new(&format!(
        "  {hydra}: {{command: PROBE, args: ['hydra=3:10ms', notify=READY=1, sleep], type: notify, {common}}}
  {storm}: {{command: PROBE, args: [ignore=TERM, 'child=ignore=TERM,storm=3', notify=READY=1, storm=3], type: notify, {common}}}
  {crash}: {{command: PROBE, args: ['hydra=3:10ms', exit=1], {common}}}
"
    ));
    scene.wait_for_state(&crash, "failed");
    assert_eq!(alive(&crash), [0; 0], "its main process has ended, and it has failed");
    for name in [&hydra, &storm] {
        scene.running(name);
        eventually("its children", || (alive(name).len() > 2).then_some(()));
        scene.pm(&["stop", name]).success();
        assert_eq!(alive(name), [0; 0], "{name} is stopped");
    }
}

#[test]
fn who_holds_the_pipe_is_gone_and_delays_neither_the_end_nor_the_last_words() {
    let scene = Scene::new(
        "  crash: {command: PROBE hold print=500 'text=last words' exit=1, restart: never, inherit_env: [PM_TEST_MARKER]}
  stop:
    command: PROBE
    args: [hold, 'orphan=ignore=TERM,sleep', text=up, sleep]
    stop_timeout: 100ms
    inherit_env: [PM_TEST_MARKER]
",
    );
    let first = |printed: &str| printed.lines().next().expect("a line").parse::<i32>().expect("a pid");
    scene.wait_for_state("crash", "failed");
    let printed = scene.until_printed("crash", |printed| printed.ends_with("\nlast words\n"));
    assert_eq!(printed.lines().count(), 502, "{printed}");
    assert!(!is_alive(first(&printed)), "failed, but who holds its pipe lives");
    let printed = scene.until_printed("stop", |printed| printed.contains("up\n"));
    scene.pm(&["stop", "stop"]).success();
    assert!(!is_alive(first(&printed)), "stopped, but who holds its pipe lives");
}

#[test]
fn a_hook_can_stop_it_before_any_signal_does() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [notify=READY=1, wait-file=DIR/bye, text=bye, exit=4]
    type: notify
    exec_stop: sh -c 'touch DIR/bye; while kill -0 $MAINPID; do sleep 0.01; done'
",
    );
    scene.running("web");
    scene.pm(&["stop", "web"]).success();
    let web = scene.shown("web");
    assert_eq!((&web["state"], &web["last_exit"]["exit_code"]), (&"stopped".into(), &4.into()), "{web:#}");
    assert_eq!(web["last_exit"]["reason"], "stopped");
    scene.until_printed("web", |printed| printed.contains("bye\n"));
}

#[test]
fn a_signal_goes_to_the_main_process_or_to_all_of_it() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: ['child=on-hup=DIR/hups,pidfile=DIR/child,sleep', wait-file=DIR/child, notify=READY=1, echo]
    type: notify
    restart_sec: 0
    stop_timeout: 100ms
  down: {command: PROBE sleep, auto_start: false}
",
    );
    let main = scene.running("web");
    let heard = |times: usize| {
        scene.until_printed("web", |printed| printed.matches("got SIGHUP").count() == times);
    };
    let answer = scene.pm(&["kill", "web", "-s", "HUP"]).success();
    assert!(answer.contains(&format!("pid {main}")), "{answer}");
    heard(1);
    scene.pm(&["kill", "web", "--signal", "sighup", "--all"]).success();
    heard(2);
    assert_eq!(scene.line("hups"), format!("SIGHUP {}", scene.pid_in("child")));
    let hups = std::fs::read_to_string(scene.path("hups")).expect("it is there");
    assert_eq!(hups.lines().count(), 1, "the first one was for the main process alone");
    assert_eq!(scene.running("web"), main);

    let error = scene.pm(&["kill", "down", "-s", "HUP"]).failure(1);
    assert!(error.contains("down is not running"), "{error}");
    scene.pm(&["kill", "web", "-s", "NO"]).failure(2);
    scene.pm(&["kill", "web", "-s", "9"]).success();
    let web = scene.wait_for("web", "be restarted", |p| p["restarts"] == 1 && p["state"] == "running");
    assert_eq!(web["last_exit"]["reason"], "signal", "nobody asked it to stop: {web:#}");
}

#[test]
fn the_daemon_ends_with_what_is_critical() {
    for (end, status) in [("exit=7", 7), ("crash=KILL", 137)] {
        let scene = Scene::new(&format!(
            "  main: {{command: PROBE wait-file=DIR/go {end}, critical: true, restart: never}}
  other: {{command: PROBE notify=READY=1 echo, type: notify}}
  absent: {{command: PROBE sleep, critical: true, condition_path_exists: DIR/nothing}}
"
        ));
        scene.running("other");
        scene.wait_for_state("absent", "skipped");
        scene.pm(&["start", "absent"]).failure(1);
        scene.running("main");
        scene.touch("go");
        let daemon = i32::try_from(scene.pid()).expect("a small number");
        eventually("the end of the daemon", || (!is_alive(daemon)).then_some(()));
        assert_eq!(scene.printed("other"), "got SIGTERM\n", "the others are stopped as ever");
        let (ended, log) = scene.end();
        assert_eq!(ended.code(), Some(status), "{log}");
        let told = format!("main is critical and ended for good: the daemon ends with exit code {status}");
        assert!(log.contains(&told), "{log}");
    }
}

#[test]
fn two_hundred_calls_are_answered_while_a_stop_takes_ninety_seconds() {
    let processes: String = (0..5).map(|n| format!("  p{n}: {{command: sleep 1000}}\n")).collect();
    let scene = Scene::new(&format!(
        "  stubborn: {{command: PROBE ignore=TERM notify=READY=1 sleep, type: notify, stop_timeout: 90}}\n{processes}"
    ));
    let stubborn = scene.running("stubborn");
    thread::scope(|scope| {
        let stop = scope.spawn(|| scene.pm(&["stop", "stubborn"]));
        scene.wait_for_state("stubborn", "stopping");
        let mut longest = Duration::ZERO;
        for call in 0..200 {
            let name = format!("p{}", call / 4 % 5);
            let args = [vec!["list"], vec!["stop", &name], vec!["describe", &name], vec!["start", &name]];
            let began = Instant::now();
            scene.pm(&args[call % 4]).success();
            longest = longest.max(began.elapsed());
        }
        assert!(!stop.is_finished(), "the stubborn one was stopped before the calls were answered");
        let shown = scene.shown("stubborn");
        assert_eq!((&shown["state"], &shown["next_action"]["action"]), (&"stopping".into(), &"kill".into()));
        assert!(longest < Duration::from_secs(5), "a call took {longest:?}");
        kill(Pid::from_raw(stubborn), Signal::SIGKILL).expect("it lives");
        stop.join().expect("no panic").success();
    });
}
