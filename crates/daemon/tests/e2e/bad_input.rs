//! Definitions that are wrong: the rest runs, and the error says where and what to do.

use testkit::TempDaemon;

use crate::support::{load_problems, process, until_state};

#[test]
fn a_broken_definition_is_shown_and_the_rest_runs() {
    let daemon = TempDaemon::start(
        "processes:\n  good:\n    command: sleep 1000\n  bad:\n    command: sleep 1\n    restart_sec: -1\n",
    );
    until_state(&daemon, "good", "running");
    let bad = process(&daemon, "bad").expect("listed");
    assert_eq!(bad["state"], "invalid");
    assert!(bad["reason"].as_str().expect("a text").contains("processes.yaml:6:"), "{bad}");
    let error = daemon.pm(&["start", "bad"]).failure(1);
    assert!(error.contains("restart_sec"), "{error}");
}

#[test]
fn at_boot_a_file_that_cannot_be_read_keeps_nothing_else_down() {
    let mut daemon = TempDaemon::start("processes: {}\n");
    daemon.pm(&["create", "kept", "sleep", "1000", "--auto-start"]).success();
    daemon.write_config("processes: [unbalanced\n");
    daemon.restart();
    until_state(&daemon, "kept", "running");
    let told = load_problems(&daemon);
    assert!(told.contains("processes.yaml:"), "the trouble is shown with its place: {told}");
    daemon.write_config("processes:\n  web:\n    command: sleep 1000\n");
    daemon.pm(&["reload-config"]).success();
    until_state(&daemon, "web", "running");
    assert_eq!(load_problems(&daemon), "[]");
}

#[test]
fn check_prints_every_problem() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("p.yaml");
    std::fs::write(
        &file,
        "processes:\n  a:\n    comand: sleep\n  b:\n    command: sleep 1\n    restart: allways\n",
    )
    .expect("written");
    let mut check = std::process::Command::new(testkit::binary("dd-procmgrd").expect("built"));
    check
        .arg("--check")
        .arg("--config")
        .arg(&file)
        .env("HOME", dir.path())
        .env("STATE_DIRECTORY", dir.path());
    let problems = testkit::run(&mut check).expect("it runs").failure(1);
    assert!(problems.contains("p.yaml:3:") && problems.contains("command"), "{problems}");
    assert!(problems.contains("p.yaml:6:") && problems.contains("always"), "{problems}");
}
