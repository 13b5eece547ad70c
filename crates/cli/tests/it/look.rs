//! The verbs that watch: `status NAME`, `events`, `stats`, `wait`, `graph`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::{Transcript, run};

#[test]
fn status_of_processes() {
    let daemon = Daemon::start(tables::table(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli status web")
        .run_on("pm-cli status web", Some(40), true)
        .run("pm-cli status cccc api job")
        .run("pm-cli status db")
        .run("pm-cli status web nope")
        .run("pm-cli status @nobody")
        .run("pm-cli status web -o json")
        .check("status_of_processes");
    let daemon = Daemon::start(tables::crowd(), &[]);
    Transcript::new(&daemon).run("pm-cli status cache migrate").check("status_of_a_crowd");
}

#[test]
fn a_viewer_sees_the_state_and_is_told_why_not_the_log() {
    let daemon = Daemon::start(tables::table(), &[]);
    let nothing = daemon.dir.path().join("nothing");
    let env = [("XDG_RUNTIME_DIR", nothing.to_str().unwrap()), ("PM_HOST", daemon.tcp.as_str())];
    let (code, out, err) = run("pm-cli status web", &env, None, false);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with("\n\n(its output is not shown: your role may not read logs)\n"), "{out}");
    assert!(out.contains("processes: 4242 web\n"), "{out}");
    assert!(!out.contains("hunter2"), "{out}");
}

#[test]
fn events() {
    let daemon = Daemon::start(tables::crowd(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli events")
        .run_on("pm-cli events -n 2", Some(80), true)
        .run_on("pm-cli events -n 2 --no-color", Some(80), true)
        .run("pm-cli events web -n 1")
        .run("pm-cli events @shop --kind started,exited -n all")
        .run("pm-cli events -n 0")
        .run("pm-cli events --since-seq 4")
        .run("pm-cli events --since-seq 5eed:5")
        .run("pm-cli events --since-seq another:5 -n 1")
        .run("pm-cli events --since-seq another:5 --kind created")
        .run("pm-cli events --since-seq another:5 --kind created -o json")
        .run("pm-cli events --kind exited -o json")
        .run("pm-cli events --kind nonsense")
        .run("pm-cli events wbe")
        .run("pm-cli events @wbe")
        .run("pm-cli events --since-seq x")
        .check("events");
}

/// A follower that the test reads line by line.
#[test]
fn a_follower_of_events_goes_on_over_a_restart_of_the_daemon() {
    let first = Daemon::start(tables::table(), &[]);
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    symlink(first.socket(), &socket).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pm-cli"))
        .args(["events", "-f", "-n", "2", "-o", "json"])
        .env("PM_SOCKET", &socket)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> serde_json::Value { serde_json::from_str(&out.next().unwrap().unwrap()).unwrap() };
    assert_eq!([next()["sequence"].take(), next()["sequence"].take()], [5, 6]);
    first.happens(7, "web");
    assert_eq!(next()["sequence"], 7);

    let second = Daemon::start(tables::table(), &[]);
    second.happens(7, "web");
    second.happens(8, "job");
    let after = dir.path().join("after.sock");
    symlink(second.socket(), &after).unwrap();
    std::fs::rename(&after, &socket).unwrap();
    drop(first);
    let event = next();
    assert_eq!((&event["sequence"], &event["process"]), (&8.into(), &"job".into()), "no gap, no repeat");
    second.happens(9, "web");
    assert_eq!(next()["sequence"], 9);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    let said: Vec<&str> = err.lines().collect();
    assert_eq!(said.len(), 2, "{err}");
    assert!(said[0].ends_with("waiting for the daemon)"), "{err}");
    assert_eq!(said[1], "(connected again)");
}

#[test]
fn a_follower_of_events_ends_with_its_reader_although_nothing_happens() {
    let daemon = Daemon::start(tables::table(), &[]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_pm-cli"))
        .args(["events", "-f", "-n", "1"])
        .env("PM_SOCKET", daemon.socket())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    assert!(out.read_line(&mut String::new()).unwrap() > 0);
    drop(out);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn stats() {
    let daemon = Daemon::start(tables::table(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli stats")
        .run("pm-cli stats --once")
        .run_on("pm-cli stats web api", Some(40), true)
        .run("pm-cli stats @all --once -o json")
        .run("pm-cli stats nope web --once")
        .run("pm-cli stats nope")
        .run("pm-cli stats --once --watch")
        .run("pm-cli stats --watch=0")
        .check("stats");
    let daemon = Daemon::start(vec![], &[]);
    Transcript::new(&daemon).run("pm-cli stats").run("pm-cli stats --once -o json").check("stats_empty");
}

/// Table below table, until the reader has seen enough.
#[test]
fn stats_are_watched_until_the_pipe_is_closed() {
    let daemon = Daemon::start(tables::table(), &[]);
    for (args, header) in
        [(&["stats", "--watch=0.1"][..], "NAME  CPU %"), (&["stats", "--watch=0.1", "-o", "json"], "{")]
    {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pm-cli"))
            .args(args)
            .env("PM_SOCKET", daemon.socket())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let seen = lines.map(Result::unwrap).filter(|line| line.starts_with(header)).take(3).count();
        assert_eq!(seen, 3);
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
    }
}

#[test]
fn wait() {
    let daemon = Daemon::start(tables::table(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli wait web")
        .run("pm-cli wait job db")
        .run("pm-cli wait web api --timeout 1s")
        .run("pm-cli wait job --for stopped")
        .run("pm-cli wait web --for stopped --timeout 1s")
        .run("pm-cli wait api --for exited")
        .run("pm-cli wait nope web")
        .run("pm-cli wait")
        .run("pm-cli wait web --for godot")
        .check("wait");
    let socket = daemon.socket();
    let line = "pm-cli wait web job -o json";
    let (code, out, err) = run(line, &[("PM_SOCKET", &socket)], None, false);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let processes = document["processes"].as_array().unwrap();
    assert_eq!((code, processes.len(), &processes[0]["name"]), (1, 1, &"web".into()), "who got there: {out}");
    assert!(err.starts_with("error: job won't be ready by itself"), "{err}");
}

#[test]
fn graph() {
    let daemon = Daemon::start(tables::crowd(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli graph")
        .run("pm-cli graph --reverse")
        .run_on("pm-cli graph web", Some(40), true)
        .run("pm-cli graph old cache --reverse")
        .run("pm-cli graph --format dot web")
        .run("pm-cli graph web -o json")
        .run("pm-cli graph @shop nope")
        .run("pm-cli graph nope")
        .run("pm-cli graph --format svg")
        .check("graph");
    let daemon = Daemon::start(vec![], &[]);
    Transcript::new(&daemon)
        .run("pm-cli graph")
        .run("pm-cli graph --format dot")
        .run("pm-cli graph -o json")
        .check("graph_empty");
}

#[test]
fn top_without_a_terminal() {
    let daemon = Daemon::start(tables::table(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli top")
        .run("pm-cli top -o json")
        .run("pm-cli top -d 0")
        .run("pm-cli top --help")
        .run("pm-cli events --help")
        .check("top_without_a_terminal");
}
