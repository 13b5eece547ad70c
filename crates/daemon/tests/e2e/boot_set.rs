//! What is started with the daemon: enable, disable, and the questions that scripts ask.

use testkit::TempDaemon;

use crate::support::process;

/// Exit code and standard output of a question.
fn ask(daemon: &TempDaemon, args: &[&str]) -> (i32, String) {
    let answer = daemon.pm(args);
    (answer.code, answer.stdout)
}

#[test]
fn what_is_disabled_stays_down_over_a_restart_and_what_is_enabled_comes_up() {
    let mut daemon = TempDaemon::start(
        "processes:\n  web: {command: sleep 1000}\n  worker: {command: sleep 1000, auto_start: false}\n",
    );
    let web = daemon.wait_for_state("web", "running");
    let enabled = |daemon: &TempDaemon, name: &str| ask(daemon, &["is-enabled", name]);
    assert_eq!(enabled(&daemon, "web"), (0, "enabled\n".into()));
    assert_eq!(enabled(&daemon, "worker"), (1, "disabled\n".into()));

    assert_eq!(daemon.pm(&["disable", "web"]).success(), "web: disabled\n");
    assert_eq!(daemon.pm(&["disable", "web"]).success(), "web: disabled already\n");
    assert_eq!(daemon.pm(&["enable", "worker"]).success(), "worker: enabled\n");
    assert_eq!(enabled(&daemon, "web"), (1, "disabled\n".into()));
    assert_eq!(enabled(&daemon, "worker"), (0, "enabled\n".into()));
    // Nothing happens before the next start of the daemon, and a reload does not start it either.
    daemon.pm(&["reload-config"]).success();
    assert_eq!(process(&daemon, "web").expect("defined")["pid"], web["pid"]);
    assert_eq!(process(&daemon, "worker").expect("defined")["state"], "stopped");

    daemon.restart();
    daemon.wait_for_state("worker", "running");
    assert_eq!(process(&daemon, "web").expect("defined")["state"], "stopped");
    assert_eq!(enabled(&daemon, "web"), (1, "disabled\n".into()));
    let shown = daemon.pm(&["cat", "web"]).success();
    assert!(shown.contains("# pm-cli create/update\nauto_start: false\n"), "{shown}");

    // The same with an effect at once.
    let started = daemon.pm(&["enable", "--now", "web"]).success();
    assert!(started.starts_with("web: enabled\nweb: running (pid "), "{started}");
    let stopped = daemon.pm(&["disable", "--now", "worker"]).success();
    assert_eq!(stopped, "worker: disabled\nworker: stopped (stopped by an operator)\n");
    daemon.restart();
    daemon.wait_for_state("web", "running");
    assert_eq!(process(&daemon, "worker").expect("defined")["state"], "stopped");
}

#[test]
fn scripts_get_their_answer_as_an_exit_code() {
    let daemon = TempDaemon::start(
        "processes:
  up: {command: sleep 1000}
  down: {command: sleep 1000, auto_start: false}
  done: {command: 'true', type: oneshot, auto_start: false}
  remains: {command: 'true', type: oneshot, remain_after_exit: true}
  broken: {command: sleep 1000, restart: allways}
",
    );
    daemon.wait_for_state("up", "running");
    daemon.wait_for_state("remains", "exited");
    daemon.pm(&["start", "done"]).success();
    daemon.wait_for_state("done", "exited");
    for (args, code, told) in [
        (&["is-active", "up"][..], 0, "running\n"),
        (&["is-active", "down"], 3, "stopped\n"),
        (&["is-active", "done"], 3, "exited\n"),
        (&["is-active", "remains"], 0, "exited\n"),
        (&["is-active", "broken"], 3, "invalid\n"),
        (&["is-active", "-q", "up"], 0, ""),
        (&["is-active", "--quiet", "down"], 3, ""),
        (&["is-active", "down", "up"], 0, "down: stopped\nup: running\n"),
        (&["is-active", "down", "done"], 3, "down: stopped\ndone: exited\n"),
        (&["is-active", "nobody"], 4, ""),
        (&["is-enabled", "up"], 0, "enabled\n"),
        (&["is-enabled", "down"], 1, "disabled\n"),
        (&["is-enabled", "-q", "down"], 1, ""),
        (&["is-enabled", "down", "up"], 0, "down: disabled\nup: enabled\n"),
        (&["is-enabled", "nobody"], 4, ""),
        (&["enable", "nobody"], 4, ""),
        (&["disable"], 2, ""),
    ] {
        assert_eq!(ask(&daemon, args), (code, told.to_owned()), "{args:?}");
    }
    let json = daemon.pm(&["is-active", "up", "-o", "json"]).json();
    assert_eq!(
        (&json["processes"][0]["active"], &json["processes"][0]["state"]),
        (&true.into(), &"running".into())
    );
}

#[test]
fn disabling_cancels_a_restart_that_is_due_and_enabling_starts_nothing() {
    let daemon = TempDaemon::start("processes:\n  web: {command: sh -c 'exit 3', restart_sec: 1000}\n");
    daemon.wait_for_state("web", "backoff");
    daemon.pm(&["disable", "web"]).success();
    let web = process(&daemon, "web").expect("defined");
    assert_eq!((&web["state"], &web["next_action"]), (&"stopped".into(), &serde_json::Value::Null), "{web}");
    daemon.pm(&["enable", "web"]).success();
    assert_eq!(process(&daemon, "web").expect("defined")["state"], "stopped");
}

#[test]
fn a_definition_that_is_broken_can_not_be_switched_and_says_where() {
    let daemon = TempDaemon::start("processes:\n  web:\n    command: sleep 1000\n    restart: allways\n");
    let told = daemon.pm(&["disable", "web"]).failure(1);
    assert!(told.contains("processes.yaml:4:") && told.contains("allways"), "{told}");
    assert_eq!(std::fs::read_dir(daemon.dir().join("state/processes.d")).expect("there").count(), 0);
}
