//! Several processes at once: by name, by id, by group, and all at the same time.

use testkit::{TempDaemon, eventually};

use crate::story::Story;
use crate::support::{probe, process};

#[test]
fn two_that_take_their_time_stop_at_the_same_time() {
    let story = Story::begin();
    let daemon = TempDaemon::start(&format!(
        "processes:\n{}{}{}",
        story.actor("one", "1", &["groups: [slow]"]),
        story.actor("two", "1", &["groups: [slow, other]"]),
        story.actor("three", "1", &[]),
    ));
    ["one", "two", "three"].iter().for_each(|name| drop(daemon.wait_for_state(name, "running")));
    let overlap = |a: &str, b: &str| {
        let at = |name: &str, what: &str| story.at(&format!("{name} {what}"));
        at(a, "term") < at(b, "end") && at(b, "term") < at(a, "end")
    };
    let stopped = daemon.pm(&["stop", "@slow"]).success();
    assert_eq!(stopped, "one: stopped (stopped by an operator)\ntwo: stopped (stopped by an operator)\n");
    assert!(overlap("one", "two"), "{:?}", story.lines());
    let rest = story.told().iter().any(|line| line == "three term");
    assert!(!rest, "it is no member: {:?}", story.lines());

    daemon.pm(&["start", "two"]).success();
    story.clear();
    // By name, by id, and by a group that has one of them already.
    let two = process(&daemon, "two").expect("defined")["process_id"].as_str().expect("a text").to_owned();
    let stopped = daemon.pm(&["stop", "three", &two, "@other"]).success();
    assert_eq!(stopped, "three: stopped (stopped by an operator)\ntwo: stopped (stopped by an operator)\n");
    assert!(overlap("three", "two"), "{:?}", story.lines());
    assert_eq!(story.told().len(), 4, "each one once: {:?}", story.lines());
}

/// None of them can be up before all of them were started, none can be down before all of them were asked to stop.
#[test]
fn a_restart_of_a_group_waits_for_nobody() {
    let files = tempfile::tempdir().expect("a directory");
    let dir = files.path().display();
    let member = |name: &str, other: &str| {
        format!(
            "  {name}:
    command: {}
    args: [touch={dir}/{name}.up, wait-file={dir}/{other}.up, notify=READY=1, wait=TERM, touch={dir}/{name}.term, wait-file={dir}/{other}.term]
    type: notify
    groups: [pair]
    stop_timeout: 60
",
            probe()
        )
    };
    let daemon = TempDaemon::start(&format!("processes:\n{}{}", member("a", "b"), member("b", "a")));
    let before = ["a", "b"].map(|name| daemon.wait_for_state(name, "running"));
    ["a.up", "b.up"]
        .iter()
        .for_each(|file| std::fs::remove_file(files.path().join(file)).expect("it is there"));
    daemon.pm(&["restart", "@pair"]).success();
    for old in &before {
        let name = old["name"].as_str().expect("a text");
        let new = process(&daemon, name).expect("defined");
        assert_eq!(new["state"], "running");
        assert_ne!(new["pid"], old["pid"]);
        assert_eq!(new["last_exit"]["exit_code"], 0, "it was not killed: {new:#}");
    }
}

#[test]
fn what_fails_keeps_nothing_else_from_being_done() {
    let daemon = TempDaemon::start(
        "processes:
  good: {command: sleep 1000, groups: [web], auto_start: false}
  gone: {command: /no/such/program, groups: [web], restart: never, auto_start: false}
  last: {command: sleep 1000, groups: [web], auto_start: false}
",
    );
    let answer = daemon.pm(&["start", "nobody", "@nothing", "@web"]);
    assert_eq!(answer.code, 4, "the code of the first failure: {answer}");
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("good: running") && lines[1].starts_with("last: running")
    );
    for told in ["no process is called \"nobody\"", "the group \"nothing\"", "@web", "/no/such/program"] {
        assert!(answer.stderr.contains(told), "{told}: {answer}");
    }
    assert_eq!(process(&daemon, "gone").expect("defined")["state"], "failed");
    let json = daemon.pm(&["restart", "@web", "--output", "json"]);
    assert_eq!(json.code, 1, "{json}");
    let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let names: Vec<_> =
        document["processes"].as_array().expect("a list").iter().map(|p| &p["name"]).collect();
    assert_eq!(names, ["good", "last"]);
    // Every verb that takes several: the whole group, one line each.
    assert_eq!(daemon.pm(&["disable", "@web"]).success().lines().count(), 3);
    assert_eq!(daemon.pm(&["kill", "good", "last", "-s", "USR1"]).success().lines().count(), 2);
    ["good", "last"].iter().for_each(|name| {
        let is_back = |p: &serde_json::Value| p["last_exit"]["signal"] == "SIGUSR1";
        daemon.wait_for(name, "end by the signal", is_back);
    });
    assert_eq!(daemon.pm(&["cat", "@web"]).success().matches("## ").count(), 3);
    daemon.pm(&["stop", "@all"]).success();
    eventually("all of them to be down", || {
        let up = ["good", "gone", "last"]
            .iter()
            .any(|n| process(&daemon, n).is_some_and(|p| p["state"] != "stopped"));
        (!up).then_some(())
    });
}

#[test]
fn membership_changes_without_a_restart() {
    let daemon = TempDaemon::start("processes:\n  a: {command: sleep 1000}\n  b: {command: sleep 1000}\n");
    let a = daemon.wait_for_state("a", "running");
    let told = daemon.pm(&["stop", "@web"]).failure(4);
    assert!(told.contains("no process belongs to the group"), "{told}");
    assert_eq!(
        daemon.pm(&["update", "a", "--member-of", "web"]).success(),
        "a: change without a restart (groups)\n"
    );
    assert_eq!(process(&daemon, "a").expect("defined")["pid"], a["pid"]);
    let told = daemon.pm(&["stop", "@wep"]).failure(4);
    assert!(told.contains("did you mean @web?"), "{told}");
    assert_eq!(daemon.pm(&["stop", "@web"]).success(), "a: stopped (stopped by an operator)\n");
    assert_eq!(process(&daemon, "b").expect("defined")["state"], "running");
}
