//! When a start is done: what processes say of themselves, jobs, programs that fork away, conditions.

use std::fs::File;
use std::thread;
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::eventually;

use crate::scene::{Scene, Stranger};
use crate::support::{is_alive, pid};

#[test]
fn notify_is_up_once_it_or_a_child_says_so() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [wait-file=DIR/go, 'notify=READY=1\\nSTATUS=serving 3 sites', sleep]
    type: notify
    auto_start: false
  parent:
    command: PROBE
    args: [wait-file=DIR/go, notify-from-child=READY=1, sleep]
    type: notify
    auto_start: false
",
    );
    thread::scope(|scope| {
        let start = scope.spawn(|| scene.pm(&["start", "web", "parent"]));
        for name in ["web", "parent"] {
            let starting =
                scene.wait_for(name, "have a pid", |p| p["state"] == "starting" && p["pid"].is_number());
            assert_eq!(starting["reason"], "has not sent READY=1 yet");
        }
        assert!(!start.is_finished(), "start has returned before READY=1");
        scene.touch("go");
        start.join().expect("no panic").success();
    });
    for name in ["web", "parent"] {
        assert_eq!(scene.shown(name)["state"], "running", "start returned: {name} is up");
    }
    let describe = scene.pm(&["describe", "web"]).success();
    assert!(describe.contains("status: serving 3 sites"), "{describe}");
}

#[test]
fn notify_that_stays_silent_or_ends_before_it_is_up_has_failed() {
    let scene = Scene::new(
        "  silent:
    command: PROBE
    args: [pidfile=DIR/silent.pid, sleep]
    type: notify
    start_timeout: 200ms
    restart: never
    auto_start: false
  early:
    command: PROBE
    args: [exit=0]
    type: notify
    restart: never
    auto_start: false
",
    );
    let error = scene.pm(&["start", "silent"]).failure(1);
    assert!(error.contains("silent did not start: was not up within start_timeout"), "{error}");
    let silent = scene.wait_for_state("silent", "failed");
    assert_eq!(silent["last_exit"]["reason"], "not_ready", "{silent:#}");
    assert!(!is_alive(scene.pid_in("silent.pid")), "failed, but it lives");

    let error = scene.pm(&["start", "early"]).failure(1);
    assert!(error.contains("ended with exit code 0 before it sent READY=1"), "{error}");
    let early = scene.wait_for_state("early", "failed");
    assert_eq!(early["last_exit"]["reason"], "not_ready", "{early:#}");
    let hint = scene.pm(&["why", "silent"]).success();
    assert!(hint.contains("type: simple"), "the way out: {hint}");
}

#[test]
fn a_process_announces_its_reload_and_its_end() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [notify=READY=1, wait=HUP, notify=RELOADING=1, wait-file=DIR/read, notify=READY=1, wait-file=DIR/end, notify=STOPPING=1, wait-file=DIR/ended, exit=0]
    type: notify
  stuck:
    command: PROBE
    args: [notify=READY=1, wait-file=DIR/end, ignore=TERM, notify=STOPPING=1, sleep]
    type: notify
    stop_timeout: 100ms
    restart: never
",
    );
    let before = scene.running("web");
    scene.pm(&["reload", "web"]).success();
    let reloading = scene.wait_for_state("web", "reloading");
    assert_eq!(pid(&reloading), before);
    scene.touch("read");
    assert_eq!(scene.running("web"), before);

    scene.running("stuck");
    scene.touch("end");
    let stopping = scene.wait_for_state("web", "stopping");
    assert_eq!((pid(&stopping), stopping["reason"].as_str()), (before, Some("said that it is stopping")));
    scene.touch("ended");
    let web = scene.wait_for_state("web", "exited");
    assert_eq!(web["last_exit"]["reason"], "success", "{web:#}");
    let stuck = scene.wait_for_state("stuck", "failed");
    assert_eq!(stuck["last_exit"]["signal"], "SIGKILL", "one that announced it has stop_timeout: {stuck:#}");
}

#[test]
fn another_process_of_the_run_can_be_named_as_the_main_one_and_no_stranger() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: ['child=notify=MAINPID=%p\\nREADY=1,sleep', pidfile=DIR/first.pid, sleep]
    type: notify
    restart: never
  liar:
    command: PROBE
    args: ['notify=MAINPID=1\\nREADY=1', sleep]
    type: notify
",
    );
    let named = scene.running("web");
    let first = scene.pid_in("first.pid");
    assert_ne!(named, first);
    assert!(is_alive(first), "both are processes of the run");
    kill(Pid::from_raw(named), Signal::SIGKILL).expect("it runs");
    // Its status is for its parent, which lives.
    let web = scene.wait_for_state("web", "failed");
    assert_eq!(web["reason"], "ended with unknown status", "its end is the run's: {web:#}");
    assert!(!is_alive(first), "what it left behind is gone");
    assert_ne!(scene.running("liar"), 1, "READY=1 counts, the pid of a stranger does not");
}

#[test]
fn what_falls_silent_is_aborted_and_restarted() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [notify=READY=1, 'watchdog=20ms:3', sleep]
    type: notify
    watchdog_sec: 300ms
    restart_sec: 0
    start_limit_burst: 0
  faithful:
    command: PROBE
    args: [notify=READY=1, 'watchdog=50ms:1000000']
    type: notify
    watchdog_sec: 2500ms
  plain:
    command: PROBE
    args: [env=WATCHDOG_USEC, sleep]
    watchdog_sec: 2500ms
    restart: never
    auto_start: false
",
    );
    let faithful = scene.running("faithful");
    scene.pm(&["start", "plain"]).success();
    let web = scene.wait_for("web", "be restarted", |p| p["restarts"].as_u64() >= Some(1));
    let exit = &web["last_exit"];
    assert_eq!((exit["reason"].as_str(), exit["signal"].as_str()), (Some("watchdog"), Some("SIGABRT")));
    assert!(exit["cause"].as_str().is_some_and(|cause| cause.contains("watchdog_sec")), "{exit:#}");
    // It was started later and has the same time: when that is over, the signs of life have given the other one more.
    let plain = scene.wait_for_state("plain", "failed");
    assert_eq!(plain["last_exit"]["reason"], "watchdog", "{plain:#}");
    assert_eq!(scene.running("faithful"), faithful);
    scene.until_prints("plain", "WATCHDOG_USEC=2500000\n");
}

#[test]
fn more_time_can_be_asked_for() {
    let scene = Scene::new(
        "  patient:
    command: PROBE
    args: ['notify=EXTEND_TIMEOUT_USEC=60000000\\nSTATUS=migrating', wait-file=DIR/go, notify=READY=1, sleep]
    type: notify
    start_timeout: 1
  clock:
    command: sleep 1000
    type: notify
    start_timeout: 1
    restart: never
    auto_start: false
",
    );
    scene.wait_for("patient", "ask for more", |p| p["status_text"] == "migrating");
    // It was started later and has the same time: when that is over, so is the other one's.
    scene.pm(&["start", "clock"]).failure(1);
    assert_eq!(scene.shown("patient")["state"], "starting");
    scene.touch("go");
    let patient = scene.wait_for_state("patient", "running");
    assert_eq!(patient["starts"], 1, "{patient:#}");
}

#[test]
fn a_strangers_word_counts_for_nothing() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [wait-file=DIR/told, notify=STATUS=still loading, wait-file=DIR/go, notify=READY=1, sleep]
    type: notify
",
    );
    scene.wait_for("web", "be executed", |p| p["state"] == "starting" && p["pid"].is_number());
    let sockets = scene.notify_sockets();
    let [socket] = sockets.as_slice() else { panic!("one process, one socket: {sockets:?}") };
    let socket = scene.notify_dir().join(socket).display().to_string();
    let told = scene.path("told").display().to_string();
    let steps = ["notify=READY=1\\nSTATUS=hacked", &format!("touch={told}"), "sleep"];
    let _alive = Stranger::new(&steps, &[("NOTIFY_SOCKET", &socket)]);
    // What was sent later was heard, so what was sent before it was heard, too.
    let web = scene.wait_for("web", "say something", |p| p["status_text"].is_string());
    assert_eq!(
        (web["status_text"].as_str(), web["state"].as_str()),
        (Some("still loading"), Some("starting"))
    );
    scene.touch("go");
    scene.running("web");
    scene.pm(&["stop", "web"]).success();
    assert_eq!(scene.notify_sockets(), [""; 0], "a run that is over has no socket");
}

#[test]
fn a_job_is_done_when_it_ends_well() {
    let scene = Scene::new(
        "  job:
    command: PROBE
    args: [wait-file=DIR/go, text=done, exit-file=DIR/code]
    type: oneshot
    auto_start: false
    restart: never
  setup:
    command: PROBE
    args: [text=up]
    type: oneshot
    remain_after_exit: true
    exec_stop: echo undone
",
    );
    scene.write("code", "0");
    thread::scope(|scope| {
        let start = scope.spawn(|| scene.pm(&["start", "job"]));
        scene.wait_for("job", "be executed", |p| p["state"] == "starting" && p["pid"].is_number());
        assert!(!start.is_finished(), "start has returned before the job was done");
        scene.touch("go");
        start.join().expect("no panic").success();
    });
    scene.until_prints("job", "done\n");
    assert_eq!(scene.shown("job")["state"], "exited");
    scene.pm(&["is-active", "job"]).failure(3);
    scene.write("code", "4");
    let error = scene.pm(&["start", "job"]).failure(1);
    assert!(error.contains("exit code 4"), "{error}");

    scene.wait_for_state("setup", "exited");
    scene.pm(&["is-active", "setup"]).success();
    scene.pm(&["stop", "setup"]).success();
    scene.until_prints("setup", "up\nundone\n");
    scene.pm(&["is-active", "setup"]).failure(3);
}

#[test]
fn a_daemon_that_forks_away_is_found_by_its_pidfile_however_late_it_is_written() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [daemonize=DIR/web.pid, sleep]
    type: forking
    pidfile: DIR/web.pid
    restart_sec: 0
    inherit_env: [PM_TEST_MARKER]
  late:
    command: PROBE
    args: [daemonize, touch=DIR/forked, wait-file=DIR/go, pidfile=DIR/late.pid, sleep]
    type: forking
    pidfile: DIR/late.pid
    auto_start: false
    inherit_env: [PM_TEST_MARKER]
",
    );
    let first = scene.running("web");
    assert_eq!(first, scene.pid_in("web.pid"));
    kill(Pid::from_raw(first), Signal::SIGKILL).expect("it runs");
    let web = scene.wait_for("web", "come back", |p| p["state"] == "running" && pid(p) != first);
    assert_eq!((&web["restarts"], &web["last_exit"]["signal"]), (&1.into(), &"SIGKILL".into()), "{web:#}");
    assert_eq!(pid(&web), scene.pid_in("web.pid"));
    scene.pm(&["stop", "web"]).success();
    assert!(!is_alive(pid(&web)), "stopped, but its daemon lives");

    // What an earlier run left there is somebody else's pid by now.
    scene.write("late.pid", &format!("{}\n", std::process::id()));
    let stale = File::options().write(true).open(scene.path("late.pid")).expect("it was just written");
    stale.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("it is the test's own");
    thread::scope(|scope| {
        let start = scope.spawn(|| scene.pm(&["start", "late"]));
        eventually("the fork", || scene.path("forked").exists().then_some(()));
        scene.wait_for("late", "lose its first process", |p| p["state"] == "starting" && p["pid"].is_null());
        assert!(!start.is_finished(), "start has returned before the pidfile was written");
        scene.touch("go");
        start.join().expect("no panic").success();
    });
    assert_eq!(scene.running("late"), scene.pid_in("late.pid"));
}

#[test]
fn a_daemon_that_forks_away_is_found_without_a_pidfile_or_its_start_fails() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [daemonize, pidfile=DIR/web.pid, echo]
    type: forking
    inherit_env: [PM_TEST_MARKER]
  nothing:
    command: PROBE
    args: [exit=0]
    type: forking
    restart: never
    auto_start: false
  broken:
    command: PROBE
    args: [orphan, exit=3]
    type: forking
    restart: never
    auto_start: false
    inherit_env: [PM_TEST_MARKER]
",
    );
    let web = scene.running("web");
    assert_eq!(web, scene.pid_in("web.pid"));
    scene.pm(&["kill", "web", "-s", "USR1"]).success();
    scene.until_prints("web", "got SIGUSR1\n");
    let error = scene.pm(&["start", "nothing"]).failure(1);
    assert!(error.contains("its daemon can't be found"), "{error}");
    let error = scene.pm(&["start", "broken"]).failure(1);
    assert!(error.contains("ended with exit code 3 before it was up"), "{error}");
    scene.wait_for_state("broken", "failed");
    let orphan =
        scene.until_printed("broken", |printed| printed.ends_with('\n')).trim().parse().expect("a pid");
    assert!(!is_alive(orphan), "failed, but what it left behind lives");
}

#[test]
fn what_lacks_its_condition_is_skipped_until_somebody_asks_again() {
    let scene = Scene::new(
        "  web:
    command: PROBE
    args: [sleep]
    condition_path_exists: [DIR/licence, '!DIR/maintenance']
    exec_start_pre: echo prepared
",
    );
    let web = scene.wait_for_state("web", "skipped");
    assert!(web["reason"].as_str().is_some_and(|reason| reason.contains("/licence")), "{web:#}");
    scene.touch("maintenance");
    scene.touch("licence");
    let error = scene.pm(&["start", "web"]).failure(1);
    assert!(error.contains("!") && error.contains("/maintenance"), "{error}");
    assert_eq!(scene.printed("web"), "", "not even its hooks have run");
    std::fs::remove_file(scene.path("maintenance")).expect("it is there");
    scene.pm(&["start", "web"]).success();
    scene.until_prints("web", "prepared\n");
}
