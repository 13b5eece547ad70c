//! `why`: what keeps a process as it is, what comes next, and the way out; and that secrets never show.

use serde_json::Value;
use testkit::{Finished, TempDaemon, eventually};

use crate::support::{address, get, process};

/// The explanation, once the process is in this state.
#[track_caller]
fn why(daemon: &TempDaemon, name: &str, state: &str) -> String {
    daemon.wait_for_state(name, state);
    daemon.pm(&["why", name]).success()
}

/// Each of these stands in the text, in this order.
#[track_caller]
fn tells(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing, or earlier, in:\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn each_state_is_explained_with_its_cause_what_comes_next_and_the_way_out() {
    let daemon = TempDaemon::start(
        "processes:
  gone: {command: /no/such/program, restart: never}
  flaky: {command: sh -c 'echo FATAL no disk; exit 3', restart_sec: 1000}
  looping: {command: sh -c 'echo again; exit 4', restart_sec: 0, start_limit_burst: 2, start_limit_interval_sec: 1000}
  ended: {command: sh -c 'kill -SEGV $$', restart: never}
  needing: {command: sleep 1000, requires: [late]}
  late: {command: sleep 1000, requires: {flaky: completed}}
  stopped: {command: sleep 1000}
  idle: {command: sleep 1000, auto_start: false}
  broken: {command: sleep 1000, restart: allways}
  skipped: {command: sleep 1000, condition_path_exists: /no/such/file}
  healthy: {command: sleep 1000, health_check: {type: exec, command: 'true'}}
",
    );
    tells(
        &why(&daemon, "gone", "failed"),
        &[
            "gone has failed since ",
            "why: could not start: finding the program \"/no/such/program\": No such file or directory",
            "next: nothing by itself, as its policy asks for no restart",
            "run 1: could not start",
            "last output: none",
            "way out: install it, or correct the command",
        ],
    );
    tells(
        &why(&daemon, "flaky", "backoff"),
        &[
            "flaky failed and waits for its restart (backoff) since ",
            "why: ended with exit code 3",
            "next: it is started in ",
            "restarts: 0 automatic, 1 start",
            "run 1: exit code 3, ",
            "last output:\n    | FATAL no disk\n",
            "way out: put right what makes it fail, then try it at once: pm-cli reset flaky",
        ],
    );
    tells(
        &why(&daemon, "looping", "crash_loop"),
        &[
            "looping failed too often and is left alone for a while (crash_loop)",
            "why: start limit reached (2 starts within 1000 s); ended with exit code 4",
            "next: it is started in ",
            "restarts: 1 automatic, 2 starts",
            "run 2: exit code 4, ",
            "run 1: exit code 4, ",
            "| again\n    | again\n",
            "pm-cli reset looping",
        ],
    );
    tells(&why(&daemon, "ended", "failed"), &["SIGSEGV", "run 1: SIGSEGV", "pm-cli start ended"]);
    tells(
        &why(&daemon, "needing", "waiting"),
        &[
            "needing is waiting since ",
            "why: waits for late",
            "    late is waiting since ",
            "      why: needs flaky, which failed and waits for its restart",
            "        flaky failed and waits for its restart (backoff)",
            "          why: ended with exit code 3",
            "            | FATAL no disk",
            "          way out: ",
        ],
    );
    daemon.wait_for_state("stopped", "running");
    daemon.pm(&["stop", "stopped"]).success();
    tells(
        &why(&daemon, "stopped", "stopped"),
        &[
            "why: stopped by an operator",
            "next: nothing by itself, as nobody wants it up",
            "run 1: SIGTERM, ",
            "way out: pm-cli start stopped",
        ],
    );
    tells(&why(&daemon, "idle", "stopped"), &["why: not started: auto_start is false", "pm-cli start idle"]);
    tells(
        &why(&daemon, "broken", "invalid"),
        &[
            "broken has a broken definition (invalid)",
            "why: error: processes.broken.restart:",
            "processes.yaml:10:",
            "\n       10 |   broken: {command: sleep 1000, restart: allways}\n",
            "help: did you mean `always`?",
            "next: nothing until its definition is put right",
            "way out: correct the definition, then: pm-cli reload-config",
        ],
    );
    tells(
        &why(&daemon, "skipped", "skipped"),
        &[
            "why: condition_path_exists /no/such/file does not hold",
            "way out: once /no/such/file is there: pm-cli start skipped",
        ],
    );
    daemon.wait_for("healthy", "be healthy", |p| p["health"]["state"] == "healthy");
    tells(
        &why(&daemon, "healthy", "running"),
        &["healthy is running", "why: wanted up", "health: healthy since"],
    );

    // The same for programs, down to the cause.
    let json = daemon.pm(&["why", "needing", "-o", "json"]).json();
    let link = &json["processes"][0];
    assert_eq!((&link["name"], &link["state"]), (&"needing".into(), &"waiting".into()));
    let cause = &link["waits_for"][0]["waits_for"][0];
    assert_eq!((&cause["name"], &cause["output"][0]), (&"flaky".into(), &"FATAL no disk".into()), "{json:#}");
    assert_eq!(cause["next_action"]["action"], "start");
    daemon.pm(&["why", "nobody"]).failure(4);
}

#[test]
fn a_reset_tries_at_once_and_forgets() {
    let files = tempfile::tempdir().expect("a directory");
    let works = files.path().join("works");
    let script = format!("sh -c 'test -e {} || exit 3; exec sleep 1000'", works.display());
    let daemon = TempDaemon::start(&format!(
        "processes:
  waits: {{command: {script:?}, restart_sec: 1000}}
  loops: {{command: {script:?}, restart_sec: 0, start_limit_burst: 2, start_limit_interval_sec: 1000}}
  gave-up: {{command: {script:?}, restart_sec: 0, start_limit_burst: 2, start_limit_interval_sec: 1000, on_start_limit: fail}}
  never: {{command: {script:?}, restart: never}}
  skipped: {{command: sleep 1000, condition_path_exists: {}}}
",
        works.display()
    ));
    for (name, state) in [
        ("waits", "backoff"),
        ("loops", "crash_loop"),
        ("gave-up", "failed"),
        ("never", "failed"),
        ("skipped", "skipped"),
    ] {
        daemon.wait_for_state(name, state);
    }
    std::fs::write(&works, "").expect("the test's own file can be written");
    daemon.pm(&["reset", "@all"]).success();
    for name in ["waits", "loops"] {
        daemon.wait_for_state(name, "running");
    }
    for name in ["gave-up", "never", "skipped"] {
        assert_eq!(process(&daemon, name).expect("defined")["state"], "stopped", "{name}");
        daemon.pm(&["start", name]).success();
    }
    // The limit counts from the reset on: one more crash is no crash loop.
    let loops = daemon.wait_for_state("loops", "running");
    daemon.pm(&["kill", "loops", "-s", "KILL"]).success();
    daemon.wait_for("loops", "come back", |p| p["state"] == "running" && p["pid"] != loops["pid"]);
    // What runs is left alone.
    let waits = process(&daemon, "waits").expect("defined");
    daemon.pm(&["reset", "waits"]).success();
    assert_eq!(process(&daemon, "waits").expect("defined")["pid"], waits["pid"]);
}

#[test]
fn secrets_show_nowhere() {
    // Each value is one of a kind, so that it can't be in a text by chance.
    let secrets = ["hush-a1", "hush-b2", "hush-c3", "hush-d4", "hush-e5", "hush-f6", "hush-g7"];
    let config = |more: &str| {
        format!(
            "processes:
  web:
    command: sh -c 'test \"$DB_PASSWORD\" = hu\"sh\"-a1 && exec sleep 1000'
    env: {{DB_PASSWORD: hush-a1, API_KEY: hush-b2, MODE: loud}}
{more}"
        )
    };
    let mut daemon = TempDaemon::builder().config(&config("")).env("RUST_LOG", "debug").start();
    let mut seen = String::new();
    let mut note = |answer: Finished| {
        seen.push_str(&format!("{}\n{}\n", answer.stdout, answer.stderr));
        answer
    };
    let mut run = |daemon: &TempDaemon, args: &[&str]| note(daemon.pm(args));
    daemon.wait_for_state("web", "running");
    run(&daemon, &["update", "web", "--env", "SESSION_SECRET=hush-c3", "--dry-run"]).success();
    run(&daemon, &["update", "web", "--env", "SESSION_SECRET=hush-c3"]).success();
    run(&daemon, &["create", "other", "sleep", "1000", "--env", "ACCESS_TOKEN=hush-d4", "--auto-start"])
        .success();
    daemon.write_override("web", "env: {OTHER_PASSWD: hush-e5}\n");
    // Mistakes quote the line that they are on.
    daemon.write_config(&config("    enviroment: {AUTH_TOKEN: hush-f6}\n"));
    assert_eq!(run(&daemon, &["plan"]).code, 1);
    assert_eq!(run(&daemon, &["reload-config"]).code, 1);
    assert_eq!(run(&daemon, &["describe", "web"]).code, 0);
    daemon.write_config(&config("    stop_timeout: 3\n"));
    run(&daemon, &["reload-config"]).success();
    for process in ["web", "other"] {
        for verb in [
            &["describe"][..],
            &["why"],
            &["cat"],
            &["describe", "-o", "json"],
            &["why", "-o", "json"],
            &["cat", "-o", "json"],
        ] {
            run(&daemon, &[&verb[..1], &[process], &verb[1..]].concat()).success();
        }
    }
    run(&daemon, &["list", "-o", "json"]).success();
    run(&daemon, &["status"]).success();
    // The sheet of `edit`, but for the override itself: that is there to be edited.
    note(daemon.pm_editing(&["edit", "web"], "grep -v '^env:' \"$1\" >&2")).success();
    seen.push_str(&get(&address(&daemon, "metrics"), "/metrics"));
    assert!(seen.contains("MODE") && seen.contains("loud") && seen.contains("SESSION_SECRET"), "{seen}");
    assert!(daemon.stop().success());
    seen.push_str(&daemon.log());
    for secret in secrets {
        let around = seen.find(secret).map(|at| &seen[at.saturating_sub(300)..at + secret.len()]);
        assert_eq!(around, None, "{secret} is shown");
    }
    // They are where they belong, and nobody else can read that.
    let stored = daemon.dir().join("state/processes.d/web.yaml");
    assert!(std::fs::read_to_string(&stored).expect("there").contains("hush-c3"));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&stored).expect("there").permissions());
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

/// Whoever may only look gets no explanation that quotes the output.
#[test]
fn the_explanation_of_who_may_not_read_logs_says_so() {
    let daemon =
        TempDaemon::start("processes:\n  web: {command: sh -c 'echo inside; exit 3', restart: never}\n");
    daemon.wait_for_state("web", "failed");
    let tcp = address(&daemon, "control tcp");
    let asked = |args: &[&str]| {
        daemon.pm_with(&[("PM_TOKEN_FILE", "/dev/null")], &[&["--host", &tcp], args].concat())
    };
    let told = asked(&["why", "web"]).success();
    tells(&told, &["web has failed", "why: ended with exit code 3", "last output: not shown: "]);
    assert!(!told.contains("inside"), "{told}");
    let json: Value = asked(&["why", "web", "-o", "json"]).json();
    assert_eq!(json["processes"][0]["output"], Value::Null, "{json:#}");
    eventually("the owner's to have it", || {
        daemon.pm(&["why", "web"]).success().contains("| inside").then_some(())
    });
}
