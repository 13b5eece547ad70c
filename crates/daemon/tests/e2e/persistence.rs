//! What survives a restart of the daemon.

use testkit::TempDaemon;

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
