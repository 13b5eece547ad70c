//! The control API: the guide's commands, who may do what, and clients that go away.

use std::process::{Command, Stdio};

use testkit::{TempDaemon, eventually, run};

use crate::support::{address, get, process, series, until_logged, until_state};

#[test]
fn the_guides_commands_work_as_typed() {
    let daemon = TempDaemon::start("processes: {}\n");
    daemon.pm(&["list"]).success();
    daemon.pm(&["create", "test", "sleep", "10", "--auto-start"]).success();
    assert!(daemon.pm(&["list"]).success().contains("running"));
    daemon
        .pm(&["create", "shell", "bash", "-c", "echo $0 $PROCESS_NAME; exec sleep 1000", "--auto-start"])
        .success();
    until_logged(&daemon, "shell.log", "bash shell\n");
    let describe = daemon.pm(&["describe", "test"]).success();
    assert!(describe.contains("sleep 10") && describe.contains("journalctl"), "{describe}");
    daemon.pm(&["stop", "test"]).success();
    daemon.pm(&["start", "test"]).success();
    daemon.pm(&["restart", "test"]).success();
    daemon.pm(&["delete", "test"]).success();
    assert_eq!(process(&daemon, "test"), None);
    daemon.pm(&["reload-config"]).success();
    daemon.pm(&["status"]).success();
}

#[test]
fn unknown_names_and_double_creation_have_their_exit_codes() {
    let daemon = TempDaemon::start("processes:\n  webapp:\n    command: sleep 1000\n");
    let error = daemon.pm(&["stop", "wepapp"]).failure(4);
    assert!(error.contains("webapp"), "did you mean: {error}");
    let error = daemon.pm(&["create", "webapp", "sleep", "1"]).failure(1);
    assert!(error.contains("exists"), "{error}");
    for bad in ["a/b", "x\ny", &"n".repeat(200), "..", ""] {
        let refused = daemon.pm(&["create", bad, "sleep", "1"]);
        assert!(matches!(refused.code, 1 | 2), "{bad:?}: {refused}");
        assert!(refused.stderr.contains("name"), "{bad:?}: {refused}");
    }
    assert_eq!(std::fs::read_dir(daemon.dir().join("state/processes.d")).expect("there").count(), 0);
}

#[test]
fn a_process_is_found_by_its_id_and_by_a_prefix_of_it() {
    let daemon = TempDaemon::start("processes:\n  web:\n    command: sleep 1000\n");
    let web = until_state(&daemon, "web", "running");
    let id = web["process_id"].as_str().expect("a text");
    assert!(daemon.pm(&["describe", id]).success().contains("web"));
    assert!(daemon.pm(&["describe", &id[..6]]).success().contains("web"));
}

#[test]
fn tcp_without_the_token_may_look_and_not_touch() {
    let daemon = TempDaemon::start(
        "processes:\n  web:\n    command: sleep 1000\n    env: {PASSWORD: hush, MODE: loud}\n",
    );
    until_state(&daemon, "web", "running");
    let tcp = address(&daemon, "control tcp");
    let pm = |args: &[&str]| {
        let mut command = Command::new(testkit::binary("pm-cli").expect("built"));
        command
            .args(["--host", &tcp])
            .args(args)
            .env_clear()
            .env("PM_TOKEN_FILE", "/dev/null")
            .stdin(Stdio::null());
        run(&mut command).expect("it can be executed")
    };
    assert!(pm(&["list"]).success().contains("web"));
    let seen = pm(&["describe", "web"]).success();
    assert!(!seen.contains("hush") && !seen.contains("loud"), "{seen}");
    let denied = pm(&["stop", "web"]).failure(1);
    assert!(denied.contains("token"), "the way out: {denied}");
    let owner = daemon.pm(&["describe", "web"]).success();
    assert!(!owner.contains("hush") && owner.contains("loud"), "secrets are masked for everybody: {owner}");
}

#[test]
fn a_stop_completes_without_its_caller() {
    let daemon = TempDaemon::start(&format!(
        "processes:\n  slow:\n    command: {}\n    args: [ignore=TERM, text=ready, sleep]\n    stop_timeout: 1\n",
        crate::support::probe()
    ));
    until_logged(&daemon, "slow.log", "ready");
    let mut caller = Command::new(testkit::binary("pm-cli").expect("built"))
        .args(["stop", "slow"])
        .env("PM_SOCKET", daemon.socket())
        .spawn()
        .expect("it can be executed");
    until_state(&daemon, "slow", "stopping");
    caller.kill().expect("it waits");
    caller.wait().expect("a child");
    until_state(&daemon, "slow", "stopped");
}

#[test]
fn metrics_show_what_happened() {
    let daemon = TempDaemon::start(
        "processes:\n  web:\n    command: sh -c 'exit 3'\n    restart_sec: 0\n    start_limit_burst: 3\n    start_limit_interval_sec: 60\n",
    );
    until_state(&daemon, "web", "crash_loop");
    let text = get(&address(&daemon, "metrics"), "/metrics");
    let value = |name: &str| series(&text, name).unwrap_or_else(|| panic!("{name} in:\n{text}"));
    assert_eq!(value("ddprocmgr_process_restarts_total{process=\"web\"}"), "2");
    assert_eq!(value("ddprocmgr_process_starts_total{process=\"web\"}"), "3");
    assert_eq!(value("ddprocmgr_process_last_exit_code{process=\"web\"}"), "3");
    assert_eq!(value("ddprocmgr_process_up{process=\"web\"}"), "0");
    assert_eq!(value("ddprocmgr_process_state{process=\"web\",state=\"crash_loop\"}"), "1");
    assert!(text.contains("ddprocmgr_process_exits_total{process=\"web\",reason=\"exit_code\"} 3"), "{text}");
    daemon.pm(&["start", "web"]);
    eventually("counters that never go down", || {
        let text = get(&address(&daemon, "metrics"), "/metrics");
        series(&text, "ddprocmgr_process_starts_total{process=\"web\"}").filter(|n| n == "6")
    });
}
