//! Start, crash, restart, stop, and what must be gone afterwards.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::{TempDaemon, eventually};

use crate::support::{is_alive, pid, probe, process, until_logged, until_state};

#[test]
fn a_killed_process_comes_back_with_a_new_pid_and_is_counted() {
    let daemon = TempDaemon::start(&format!(
        "processes:\n  web:\n    command: {}\n    args: [text=hello, sleep]\n    restart_sec: 0\n",
        probe()
    ));
    let first = until_state(&daemon, "web", "running");
    kill(Pid::from_raw(pid(&first)), Signal::SIGKILL).expect("it runs");
    let second = eventually("a second run", || {
        process(&daemon, "web").filter(|p| p["state"] == "running" && p["pid"] != first["pid"])
    });
    assert_eq!(second["restarts"], 1);
    assert_eq!(second["run"]["number"], 2);
    assert_eq!(second["last_exit"]["signal"], "SIGKILL");
    assert_eq!(second["process_id"], first["process_id"]);
}

#[test]
fn stop_takes_along_what_double_forked_and_left_the_session() {
    let daemon = TempDaemon::start(&format!(
        "processes:\n  web:\n    command: {}\n    args: ['orphan=ignore=TERM,ignore=HUP,sleep', sleep]\n    stop_timeout: 500ms\n",
        probe()
    ));
    until_state(&daemon, "web", "running");
    let log = until_logged(&daemon, "web.log", "\n");
    let grandchild: i32 = log.lines().next().expect("a line").trim().parse().expect("a pid");
    assert!(is_alive(grandchild));
    daemon.pm(&["stop", "web"]).success();
    assert!(!is_alive(grandchild), "stopped, but a grandchild lives");
    assert_eq!(process(&daemon, "web").expect("defined")["state"], "stopped");
}

#[test]
fn a_stop_that_takes_long_delays_nobody_else() {
    let daemon = TempDaemon::start(&format!(
        "processes:\n  stubborn:\n    command: {0}\n    args: [ignore=TERM, text=ready, sleep]\n    stop_timeout: 60\n  web:\n    command: {0}\n    args: [sleep]\n",
        probe()
    ));
    until_logged(&daemon, "stubborn.log", "ready");
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| daemon.pm(&["stop", "stubborn"]));
        until_state(&daemon, "stubborn", "stopping");
        daemon.pm(&["restart", "web"]).success();
        daemon.pm(&["stop", "web"]).success();
        assert!(!stop.is_finished(), "the stubborn one is still being stopped");
        let stubborn = process(&daemon, "stubborn").expect("defined");
        assert_eq!(stubborn["next_action"]["action"], "kill");
        kill(Pid::from_raw(pid(&stubborn)), Signal::SIGKILL).expect("it lives");
        stop.join().expect("no panic").success();
    });
}

#[test]
fn a_program_that_is_not_there_is_told_and_tried_again() {
    let daemon = TempDaemon::start("processes: {}\n");
    let error = daemon.pm(&["create", "gone", "/no/such/program", "--auto-start"]).failure(1);
    assert!(error.contains("/no/such/program") && error.contains("No such file"), "{error}");
    let gone = until_state(&daemon, "gone", "backoff");
    assert_eq!(gone["starts"], 0);
    assert_eq!(gone["next_action"]["action"], "start");
    daemon.pm(&["stop", "gone"]).success();
    assert_eq!(process(&daemon, "gone").expect("defined")["state"], "stopped");
}

#[test]
fn spawn_failures_name_the_stage_and_the_thing() {
    let daemon = TempDaemon::start("processes: {}\n");
    let dir = daemon.dir().display().to_string();
    std::fs::write(daemon.dir().join("plain"), "no program").expect("a file");
    for (args, told) in [
        (vec!["create", "a", dir.as_str()], "directory"),
        (vec!["create", "b", "./config/processes.yaml", "--working-dir", dir.as_str()], "processes.yaml"),
        (vec!["create", "c", "sleep", "1", "--working-dir", "/no/such/dir"], "/no/such/dir"),
        (vec!["create", "d", "sleep", "1", "--user", "no-such-user"], "no-such-user"),
        (vec!["create", "e", "no-such-command-anywhere"], "no-such-command-anywhere"),
    ] {
        let error = daemon.pm(&[&args[..], &["--auto-start"]].concat()).failure(1);
        assert!(error.contains(told), "{args:?}: {error}");
        assert!(error.contains("hint:"), "no way out in: {error}");
    }
}

#[test]
fn the_daemon_stops_everything_and_leaves_nothing() {
    let mut daemon = TempDaemon::start(&format!(
        "processes:\n  a:\n    command: {0}\n    args: [text=up, sleep]\n  b:\n    command: {0}\n    args: ['orphan=sleep', sleep]\n    after: [a]\n",
        probe()
    ));
    until_state(&daemon, "b", "running");
    until_logged(&daemon, "b.log", "\n");
    assert!(daemon.stop().success(), "{}", daemon.log());
    let log = daemon.log();
    let stopped =
        |name: &str| log.find(&format!("{name} is stopped")).unwrap_or_else(|| panic!("{name}: {log}"));
    assert!(stopped("b") < stopped("a"), "reverse order: {log}");
}
