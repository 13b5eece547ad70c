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

/// Its lines are in the same file under the same id: a second run 1 would show the lines of the first.
#[test]
fn run_numbers_go_on_after_a_delete_also_in_the_next_daemon() {
    let mut daemon = TempDaemon::start("processes: {}\n");
    let made = |daemon: &TempDaemon, text: &str| {
        daemon
            .pm(&[
                "create",
                "web",
                "--auto-start",
                "--",
                "sh",
                "-c",
                &format!("echo {text}; exec sleep 1000"),
            ])
            .success();
        eventually("its line", || daemon.pm(&["logs", "web"]).stdout.contains(text).then_some(()));
    };
    let printed = |daemon: &TempDaemon, run: &str| daemon.pm(&["logs", "web", "--run", run]).success();
    made(&daemon, "first");
    daemon.pm(&["delete", "web"]).success();
    made(&daemon, "second");
    assert_eq!((printed(&daemon, "1"), printed(&daemon, "2")), ("first\n".into(), "second\n".into()));
    daemon.pm(&["delete", "web"]).success();
    daemon.restart();
    made(&daemon, "third");
    assert_eq!(printed(&daemon, "3"), "third\n");
}

#[test]
fn a_created_one_that_shadows_a_files_is_told_until_it_is_deleted() {
    let daemon = TempDaemon::start("processes: {}\n");
    daemon.pm(&["create", "web", "--auto-start", "sleep", "1000"]).success();
    until_state(&daemon, "web", "running");
    daemon.write_config("processes:\n  web:\n    command: sleep 2000\n");
    for told in [daemon.pm(&["plan"]), daemon.pm(&["reload-config"])] {
        let told = format!("{}{}", told.stdout, told.stderr);
        assert!(
            told.contains("not in force from here: `command`") && told.contains("pm-cli delete web"),
            "{told}"
        );
    }
    daemon.pm(&["delete", "web"]).success();
    let told = daemon.pm(&["reload-config"]);
    assert!(!format!("{}{}", told.stdout, told.stderr).contains("not in force"), "{told}");
    assert_eq!(process(&daemon, "web").expect("the file's")["command_line"], "sleep 2000");
}
