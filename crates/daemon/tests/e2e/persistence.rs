//! What survives a restart of the daemon.

use testkit::{TempDaemon, eventually};

use crate::support::{process, until_state};

#[test]
fn created_processes_survive_a_restart_and_deleted_ones_do_not() {
    let mut daemon = TempDaemon::start("processes: {}\n");
    daemon.pm(&["create", "kept", "sleep", "1000", "--auto-start"]).success();
    daemon.pm(&["create", "idle", "sleep", "1000"]).success();
    daemon.pm(&["create", "gone", "sleep", "1000", "--auto-start"]).success();
    let before = until_state(&daemon, "kept", "running");
    daemon.pm(&["delete", "gone"]).success();
    daemon.restart();
    let after = until_state(&daemon, "kept", "running");
    assert_eq!(after["process_id"], before["process_id"]);
    assert_eq!(process(&daemon, "idle").expect("kept")["state"], "stopped");
    assert_eq!(process(&daemon, "gone"), None);
    daemon.pm(&["reload-config"]).success();
    assert_eq!(process(&daemon, "kept").expect("kept")["pid"], after["pid"], "a reload knows them too");
}

/// A kill -9 is seen by nobody in time: what counts is what was written before it.
#[test]
fn counts_and_run_numbers_go_on_in_the_next_daemon_even_after_it_was_killed() {
    let mut daemon = TempDaemon::start(
        "processes:\n  web:\n    command: sh -c 'echo run $PROCESS_RUN; exit 3'\n    restart_sec: 0\n    \
         start_limit_burst: 3\n    on_start_limit: fail\n",
    );
    let before = until_state(&daemon, "web", "failed");
    assert_eq!(before["restarts"], 2, "{before}");
    // The counts follow within 20 ms of the event.
    let counts = daemon.dir().join("state/counts");
    eventually("the counts of 3 runs", || {
        let bytes = std::fs::read(&counts).ok()?;
        (bytes.get(192 + 8) == Some(&3)).then_some(())
    });
    daemon.kill();
    daemon.restart();
    let after = until_state(&daemon, "web", "failed");
    assert_eq!(after["restarts"], 4, "{after}");
    crate::support::until_logged(&daemon, "web.log", "run 1\nrun 2\nrun 3\nrun 4\nrun 5\nrun 6\n");
    daemon.restart();
    assert_eq!(until_state(&daemon, "web", "failed")["restarts"], 6);
}

#[test]
fn what_a_file_defines_is_the_files() {
    let daemon = TempDaemon::start("processes:\n  web:\n    command: sleep 1000\n");
    until_state(&daemon, "web", "running");
    let error = daemon.pm(&["delete", "web"]).failure(1);
    assert!(error.contains("processes.yaml:2") && error.contains("reload-config"), "{error}");
    assert_eq!(process(&daemon, "web").expect("there")["state"], "running");
}

#[test]
fn log_files_are_appended_to_and_never_truncated() {
    let mut daemon = TempDaemon::start("processes:\n  web:\n    command: sh -c 'echo line; sleep 1000'\n");
    crate::support::until_logged(&daemon, "web.log", "line\n");
    daemon.restart();
    crate::support::until_logged(&daemon, "web.log", "line\nline\n");
}

#[test]
fn what_a_daemon_that_ends_refuses_is_not_done_behind_the_callers_back() {
    let slow = format!("{} ignore=TERM sleep", crate::support::probe());
    let mut daemon =
        TempDaemon::start(&format!("processes:\n  slow: {{command: {slow}, stop_timeout: 2s}}\n"));
    until_state(&daemon, "slow", "running");
    daemon.pm(&["create", "kept", "sleep", "1000"]).success();
    daemon.signal(nix::sys::signal::Signal::SIGTERM);
    until_state(&daemon, "slow", "stopping");
    for refused in [&["create", "new", "sleep", "1000"][..], &["delete", "kept"]] {
        let done = daemon.pm(refused);
        assert!(done.code != 0 && done.stderr.contains("shutting down"), "{done}");
    }
    daemon.restart();
    until_state(&daemon, "slow", "running");
    assert_eq!(process(&daemon, "new"), None);
    assert_eq!(process(&daemon, "kept").expect("it was not deleted")["state"], "stopped");
}
