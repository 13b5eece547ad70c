//! `pm-cli doctor` beside a real daemon: what it sees when all is well, and when files, a process or a port are not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use testkit::{TempDaemon, eventually};

/// What it finds, and its exit code.
fn doctor(daemon: &TempDaemon) -> (Value, i32) {
    let done = daemon.pm(&["doctor", "-o", "json"]);
    let document = serde_json::from_str(&done.stdout).expect("a document");
    (document, done.code)
}

/// The verdicts of one check, with what was found.
fn of(document: &Value, check: &str) -> Vec<(String, String)> {
    let checks =
        document["checks"].as_array().expect("a list").iter().filter(|found| found["check"] == check);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    checks.map(|found| (text(&found["verdict"]), text(&found["found"]))).collect()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its owner");
}

#[test]
fn a_daemon_that_is_well_has_no_problem() {
    let daemon = TempDaemon::start("processes: {web: {command: sleep 1000}}\n");
    mode(&daemon.config_path(), 0o600);
    let (document, code) = doctor(&daemon);
    assert_eq!((code, &document["counts"]["problem"]), (0, &Value::from(0)), "{document:#}");
    for check in [
        "daemon",
        "versions",
        "running-program",
        "config-files",
        "token",
        "listeners",
        "metrics",
        "definitions",
        "processes",
    ] {
        let found = of(&document, check);
        assert!(
            found.iter().all(|(verdict, _)| verdict == "ok") && !found.is_empty(),
            "{check}: {document:#}"
        );
    }
}

#[test]
fn what_is_wrong_is_found_and_mended_by_what_it_says() {
    let daemon = TempDaemon::start("processes: {web: {command: sleep 1000, env: {API_TOKEN: hunter2}}}\n");
    let config = daemon.config_path();
    assert_eq!(daemon.pm(&["create", "broken", "--restart", "never", "--auto-start", "--", "false"]).code, 0);
    eventually("it has failed", || {
        daemon.pm(&["is-active", "broken"]).stdout.contains("failed").then_some(())
    });
    let (document, code) = doctor(&daemon);
    assert_eq!(code, 1, "{document:#}");
    let found = |check: &str, verdict: &str, text: &str| {
        let all = of(&document, check);
        assert!(all.iter().any(|(v, found)| v == verdict && found.contains(text)), "{check}: {document:#}");
    };
    found("processes", "problem", "broken (failed)");
    assert!(!document.to_string().contains("hunter2"), "{document:#}");

    // Typed as it says, it is mended.
    assert_eq!(daemon.pm(&["delete", "broken"]).code, 0);
    fs::write(&config, "processes: {web: {comand: x}}\n").expect("a file");
    let (document, code) = doctor(&daemon);
    assert_eq!((code, of(&document, "definitions")[0].0.as_str()), (1, "problem"), "{document:#}");
    assert_eq!(of(&document, "last-load")[0].0, "ok", "nobody has loaded it yet: {document:#}");
}
