//! Reload applies what changed and nothing else, and a broken file changes nothing.

use nix::sys::signal::Signal;
use testkit::{TempDaemon, eventually};

use crate::support::{load_problems, pid, probe, process, until_state};

fn config(b: &str, more: &str) -> String {
    let probe = probe();
    format!(
        "processes:\n  a:\n    command: {probe}\n    args: [sleep]\n  b:\n    command: {probe}\n    args: [{b}]\n{more}"
    )
}

#[test]
fn only_what_changed_is_restarted() {
    let daemon = TempDaemon::start(&config("sleep", ""));
    let (a, b) = (until_state(&daemon, "a", "running"), until_state(&daemon, "b", "running"));
    daemon.write_config(&config(
        "text=new, sleep",
        &format!("  c:\n    command: {}\n    args: [sleep]\n", probe()),
    ));
    let report = daemon.pm(&["reload-config"]).success();
    assert_eq!(report, "b: restart (args)\nc: start\n", "what changed and nothing else");
    let c = until_state(&daemon, "c", "running");
    assert!(pid(&c) > 0);
    let new_b = eventually("b to be replaced", || {
        process(&daemon, "b").filter(|p| p["state"] == "running" && p["pid"] != b["pid"])
    });
    assert_eq!(new_b["restarts"], 0, "a reload is no automatic restart");
    assert_eq!(process(&daemon, "a").expect("defined")["pid"], a["pid"]);

    daemon.write_config(&config("text=new, sleep", ""));
    daemon.signal(Signal::SIGHUP);
    eventually("c to be removed", || process(&daemon, "c").is_none().then_some(()));
    assert_eq!(process(&daemon, "a").expect("defined")["pid"], a["pid"]);
}

#[test]
fn a_broken_or_missing_file_changes_nothing() {
    let daemon = TempDaemon::start(&config("sleep", ""));
    let a = until_state(&daemon, "a", "running");
    for broken in ["processes: [", "", "processes:\n  a: {command: x\n"] {
        if broken.is_empty() {
            std::fs::remove_file(daemon.config_path()).expect("removed");
        } else {
            daemon.write_config(broken);
        }
        let error = daemon.pm(&["reload-config"]).failure(1);
        assert!(error.contains("processes.yaml"), "{error}");
        let now = process(&daemon, "a").expect("still there");
        assert_eq!((&now["pid"], &now["state"]), (&a["pid"], &a["state"]));
    }
    let told = load_problems(&daemon);
    assert!(told.contains("processes.yaml:"), "the trouble is shown with its place: {told}");
}

#[test]
fn a_typo_in_one_definition_keeps_the_last_good_one_and_is_shown() {
    let daemon = TempDaemon::start(&config("sleep", ""));
    let a = until_state(&daemon, "a", "running");
    daemon.write_config(&config("sleep", "").replace("  a:\n", "  a:\n    enviroment: {X: y}\n"));
    let report = daemon.pm(&["reload-config"]);
    let told = format!("{}{}", report.stdout, report.stderr);
    assert!(told.contains("processes.yaml:3:") && told.contains("env"), "{told}");
    assert_eq!(process(&daemon, "a").expect("defined")["pid"], a["pid"]);
    let describe = daemon.pm(&["describe", "a"]).success();
    assert!(describe.contains("enviroment"), "{describe}");
}
