//! `why`, and what `describe` and `list` tell of health, dependencies and hooks.

use model::{Reason, State};

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::{Transcript, run};

#[test]
fn why() {
    let daemon = Daemon::start(tables::crowd(), &[]);
    daemon.log("db", b"starting\nFATAL: could not open /var/lib/db: Permission denied\n");
    Transcript::new(&daemon)
        .run("pm-cli why web")
        .run("pm-cli why cache migrate old ghost")
        .run_on("pm-cli why api", Some(80), true)
        .run("pm-cli why api ghost -o json")
        .run("pm-cli why nope @x")
        .check("why");
    let daemon = Daemon::start(tables::table(), &[]);
    daemon.log("api", b"");
    Transcript::new(&daemon).run("pm-cli why api db job web").check("why_failed");
}

#[test]
fn a_viewer_is_told_that_the_output_is_not_for_them() {
    let daemon = Daemon::start(tables::crowd(), &[]);
    // Over TCP without the token, everybody is a viewer.
    let nothing = daemon.dir.path().join("nothing");
    let env = [("XDG_RUNTIME_DIR", nothing.to_str().unwrap()), ("PM_HOST", daemon.tcp.as_str())];
    let (code, out, err) = run("pm-cli why api", &env, None, false);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("last output: not shown: your role may not read logs"), "{out}");
}

#[test]
fn a_broken_definition_is_shown_with_its_line() {
    let told =
        "error: processes.web.restart: `allways` is none\n --> p.yaml:3:5\n  |\n3 | restart: allways\n";
    let mut web = tables::view("web", "aaaa00000001", State::Invalid, Reason::Invalid(told.into()));
    let mut api = tables::view("api", "aaaa00000002", State::Stopped, Reason::NotStarted);
    (web.wanted_up, api.wanted_up) = (false, false);
    api.problem = Some(told.into());
    let daemon = Daemon::start(vec![web, api], &[]);
    let socket = daemon.socket();
    let pm = |line: &str| run(line, &[("PM_SOCKET", &socket)], None, false).1;
    let lines = "\n        --> p.yaml:3:5\n         |\n       3 | restart: allways\n";
    let first = "error: processes.web.restart: `allways` is none";
    let out = pm("pm-cli why web");
    assert!(out.contains(&format!("  why: {first}{lines}  next: nothing until")), "{out}");
    let out = pm("pm-cli why api");
    assert!(
        out.contains(&format!("  problem: a newer definition is not in force: {first}{lines}  next: ")),
        "{out}"
    );
    // What a verb prints of a process is one line.
    let out = pm("pm-cli reset web");
    assert_eq!(out, format!("web: invalid ({first})\n"));
}

#[test]
fn describe_and_list() {
    let daemon = Daemon::start(tables::crowd(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli describe web db cache migrate")
        .run("pm-cli describe web -o json")
        .run_on("pm-cli list", Some(80), true)
        .check("describe_everything");
}

/// Every key of an object, whatever is in it.
fn keys(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (key, value) in object {
                found.insert(key.clone());
                // Keys of processes.yaml, and reasons that are counted.
                if !matches!(key.as_str(), "definition" | "exits") {
                    keys(value, found);
                }
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn the_documentation_names_every_key_of_the_json() {
    let daemon = Daemon::start(tables::crowd(), &[]);
    let socket = daemon.socket();
    let mut found = std::collections::BTreeSet::new();
    for line in [
        "list",
        "describe @all",
        "why @all",
        "status",
        "plan",
        "enable @all",
        "update web --env A=1",
        "is-active web",
        "is-enabled web",
        "cat web",
        "delete old",
    ] {
        let (_, out, _) = run(&format!("pm-cli {line} -o json"), &[("PM_SOCKET", &socket)], None, false);
        keys(&serde_json::from_str(&out).unwrap(), &mut found);
    }
    assert!(found.len() > 60, "{found:?}");
    let text = include_str!("../../../../docs/CLI.md");
    for key in found {
        let named = text.contains(&format!("`{key}`")) || text.contains(&format!("\"{key}\""));
        assert!(named, "{key}");
    }
}
