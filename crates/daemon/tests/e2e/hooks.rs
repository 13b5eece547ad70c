//! Hooks: when each of them runs, what it is told, and what is left of it. And reloads, as they may be hooks.

use std::thread;

use crate::scene::Scene;
use crate::support::is_alive;

/// The lines that a process has printed, once there are so many of them.
#[track_caller]
fn told(scene: &Scene, process: &str, lines: usize) -> Vec<String> {
    let printed = scene.until_printed(process, |printed| printed.lines().count() == lines);
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn every_hook_runs_at_its_time_and_knows_of_the_process() {
    let scene = Scene::new(
        "  web:
    command: sh DIR/program
    env: {GREETING: hello}
    exec_start_pre: [sh DIR/hook pre, sh DIR/hook pre2]
    exec_start_post: sh DIR/hook post
    exec_reload: sh DIR/hook reload
    exec_stop: sh DIR/hook stop
    exec_stop_post: sh DIR/hook stop_post
    auto_start: false
",
    );
    scene.write("program", "echo program ${MAINPID-} ${PROCESS_HELPER_ID-}; exec sleep 1000\n");
    scene.write(
        "hook",
        "test -n \"$PROCESS_HELPER_ID\" && test \"$PROCESS_NAME $GREETING\" = 'web hello' || exit 9
         echo $1 ${MAINPID-none} ${SERVICE_RESULT-none} ${EXIT_CODE-none} ${EXIT_STATUS-none}\n",
    );
    scene.pm(&["start", "web"]).success();
    let pid = scene.running("web");
    // The hook runs on as soon as the program is executed.
    let mut before = told(&scene, "web", 4);
    before[2..].sort();
    let post = format!("post {pid} none none none");
    assert_eq!(before, ["pre none none none none", "pre2 none none none none", &post, "program"]);

    assert_eq!(
        scene.pm(&["reload", "web"]).success(),
        format!("web: reloaded, running (pid {pid})\n"),
        "the pid stays"
    );
    scene.pm(&["stop", "web"]).success();
    let after = told(&scene, "web", 7).split_off(4);
    let of =
        |hook: &str| after.iter().find_map(|l| l.strip_prefix(hook)).expect("it has run").trim().to_owned();
    assert_eq!(of("reload "), format!("{pid} none none none"));
    assert!(of("stop ").starts_with(&format!("{pid} ")), "{after:?}");
    assert_eq!(of("stop_post "), "none success killed TERM");
    assert_eq!(scene.shown("web")["state"], "stopped");
}

#[test]
fn a_hook_after_the_end_is_told_how_it_ended() {
    let scene = Scene::new(
        "  code: {command: PROBE exit=7, restart: never, exec_stop: echo never, exec_stop_post: sh DIR/hook, auto_start: false}
  signal: {command: PROBE crash=KILL, restart: never, exec_stop_post: sh DIR/hook, auto_start: false}
  job: {command: PROBE text=x, type: oneshot, exec_start_post: sh DIR/hook, exec_stop_post: sh DIR/hook, auto_start: false}
  gone: {command: /no/such/program, restart: never, exec_stop_post: sh DIR/hook, auto_start: false}
  unready: {command: PROBE sleep, type: notify, start_timeout: 50ms, restart: never, exec_stop_post: sh DIR/hook, auto_start: false}
",
    );
    scene.write("hook", "echo ${SERVICE_RESULT-none} ${EXIT_CODE-none} ${EXIT_STATUS-none}\n");
    for (process, code, state, words) in [
        ("code", 0, "failed", "exit-code exited 7\n"),
        ("signal", 0, "failed", "signal killed KILL\n"),
        ("job", 0, "exited", "x\nnone none none\nsuccess exited 0\n"),
        ("gone", 1, "failed", "spawn-failed none none\n"),
        ("unready", 1, "failed", "not-ready killed TERM\n"),
    ] {
        let start = scene.pm(&["start", process]);
        assert_eq!(start.code, code, "{start}");
        scene.wait_for_state(process, state);
        scene.until_prints(process, words);
    }
}

#[test]
fn what_a_hook_leaves_behind_is_gone_when_it_has_ended() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [sleep]
    exec_start_pre: {command: PROBE, args: ['orphan=pidfile=DIR/pre,sleep', wait-file=DIR/pre]}
    exec_start_post: {command: PROBE, args: ['orphan=ignore=TERM,pidfile=DIR/post,sleep', wait-file=DIR/post]}
    exec_reload: {command: PROBE, args: ['child=pidfile=DIR/reload,sleep', wait-file=DIR/reload]}
    exec_stop_post: {command: PROBE, args: [hold, 'orphan=pidfile=DIR/stop,sleep', wait-file=DIR/stop]}
    auto_start: false
    inherit_env: [PM_TEST_MARKER]
",
    );
    scene.pm(&["start", "web"]).success();
    let gone = |file: &str| assert!(!is_alive(scene.pid_in(file)), "what the hook {file} started lives");
    gone("pre");
    gone("post");
    scene.pm(&["reload", "web"]).success();
    gone("reload");
    assert_eq!(scene.shown("web")["state"], "running");
    scene.pm(&["stop", "web"]).success();
    gone("stop");
}

#[test]
fn a_hook_that_fails_fails_what_it_is_part_of_unless_it_may() {
    let scene = Scene::new(
        "  pre: {command: PROBE text=program sleep, exec_start_pre: [PROBE exit=4, echo second], restart: never, auto_start: false}
  post: {command: PROBE pidfile=DIR/post sleep, exec_start_post: PROBE wait-file=DIR/post exit=5, restart: never, auto_start: false}
  reload: {command: PROBE sleep, exec_reload: PROBE text=tried exit=6, auto_start: false}
  may:
    command: PROBE sleep
    exec_start_pre: [-PROBE exit=4, {command: /no/such/hook, ignore_failure: true}]
    exec_start_post: -PROBE exit=5
    exec_reload: -PROBE exit=6
    exec_stop: PROBE exit=7
    exec_stop_post: PROBE exit=8
    auto_start: false
",
    );
    let error = scene.pm(&["start", "pre"]).failure(1);
    assert!(error.contains("pre did not start: exec_start_pre failed: exit code 4"), "{error}");
    let pre = scene.wait_for_state("pre", "failed");
    assert_eq!((&pre["last_exit"]["reason"], &pre["starts"]), (&"hook_failed".into(), &0.into()), "{pre:#}");
    assert_eq!(scene.printed("pre"), "", "neither the next hook nor the program was executed");

    let error = scene.pm(&["start", "post"]).failure(1);
    assert!(error.contains("exec_start_post failed: exit code 5"), "{error}");
    let post = scene.wait_for_state("post", "failed");
    assert_eq!(post["last_exit"]["reason"], "hook_failed", "{post:#}");
    assert!(!is_alive(scene.pid_in("post")), "it is not up, but it lives");

    scene.pm(&["start", "reload"]).success();
    let pid = scene.running("reload");
    let error = scene.pm(&["reload", "reload"]).failure(1);
    assert!(error.contains("exit code 6"), "{error}");
    assert_eq!(scene.running("reload"), pid, "a failed reload takes nothing down");

    scene.pm(&["start", "may"]).success();
    scene.pm(&["reload", "may"]).success();
    scene.pm(&["stop", "may"]).success();
    assert_eq!(scene.shown("may")["last_exit"]["reason"], "stopped");
    scene.until_told("may failed in exec_stop_post");
}

#[test]
fn a_hook_that_hangs_is_killed_with_its_children() {
    let scene = Scene::new(
        "  pre:
    command: PROBE
    args: [text=program, sleep]
    exec_start_pre:
      command: PROBE
      args: ['orphan=ignore=TERM,pidfile=DIR/pre,sleep', wait-file=DIR/pre, ignore=TERM, sleep]
      timeout: 500ms
    restart: never
    auto_start: false
    inherit_env: [PM_TEST_MARKER]
  stop:
    command: PROBE
    args: [pidfile=DIR/main, sleep]
    exec_stop: {command: PROBE, args: ['child=pidfile=DIR/stop,sleep', wait-file=DIR/stop, sleep], timeout: 500ms}
    exec_stop_post: {command: PROBE, args: [pidfile=DIR/stop_post, sleep]}
    stop_timeout: 500ms
    inherit_env: [PM_TEST_MARKER]
",
    );
    let error = scene.pm(&["start", "pre"]).failure(1);
    assert!(error.contains("exec_start_pre failed: did not end within 0.5 s"), "{error}");
    scene.wait_for_state("pre", "failed");
    assert!(!is_alive(scene.pid_in("pre")), "its child lives");
    assert!(!scene.printed("pre").contains("program"));

    scene.running("stop");
    scene.pid_in("main");
    scene.pm(&["stop", "stop"]).success();
    for file in ["main", "stop", "stop_post"] {
        assert!(!is_alive(scene.pid_in(file)), "stopped, but {file} lives");
    }
    assert_eq!(scene.shown("stop")["last_exit"]["signal"], "SIGTERM", "asked politely after all");
}

#[test]
fn a_stop_waits_for_no_hook_of_a_start() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [text=program, sleep]
    exec_start_pre: {command: PROBE, args: [ignore=TERM, pidfile=DIR/pre, sleep]}
    exec_stop_post: echo cleaned up
    auto_start: false
",
    );
    thread::scope(|scope| {
        let start = scope.spawn(|| scene.pm(&["start", "web"]));
        let pre = scene.pid_in("pre");
        let web = scene.shown("web");
        assert_eq!(
            (&web["state"], &web["reason"]),
            (&"starting".into(), &"runs exec_start_pre 1 of 1".into())
        );
        scene.pm(&["stop", "web"]).success();
        assert!(!is_alive(pre), "stopped, but its hook lives");
        start.join().expect("no panic").failure(1);
    });
    scene.until_prints("web", "cleaned up\n");
    assert_eq!(scene.shown("web")["state"], "stopped");
}

#[test]
fn a_reload_keeps_the_pid_whichever_way_it_is_made() {
    let scene = Scene::new(
        "  signal: {command: PROBE on-hup=DIR/hups notify=READY=1 sleep, type: notify}
  other: {command: PROBE notify=READY=1 echo, type: notify, reload_signal: USR2}
  hook: {command: PROBE on-hup=DIR/hups notify=READY=1 sleep, type: notify, exec_reload: ['kill -HUP $MAINPID', PROBE wait-file=DIR/hups]}
  down: {command: PROBE sleep, auto_start: false}
",
    );
    let pids = ["signal", "other", "hook"].map(|name| scene.running(name));
    scene.pm(&["reload", "signal"]).success();
    assert_eq!(scene.line("hups"), format!("SIGHUP {}", pids[0]));
    std::fs::remove_file(scene.path("hups")).expect("it is there");
    scene.pm(&["reload", "hook"]).success();
    assert_eq!(scene.line("hups"), format!("SIGHUP {}", pids[2]));
    scene.pm(&["reload", "other"]).success();
    scene.until_prints("other", "got SIGUSR2\n");
    assert_eq!(["signal", "other", "hook"].map(|name| scene.running(name)), pids);
    let error = scene.pm(&["reload", "down"]).failure(1);
    assert!(error.contains("down is not running") && error.contains("pm-cli start down"), "{error}");
}
