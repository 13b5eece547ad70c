//! What processes need of each other: who waits for whom, who goes down with whom, and who comes back by itself.

use std::fs;
use std::path::Path;

use serde_json::Value;
use testkit::{TempDaemon, eventually};

use crate::story::Story;
use crate::support::{pid, probe, process};

fn touch(path: &Path) {
    fs::write(path, "").expect("the test's own file can be written");
}

/// The states of these processes, at one moment.
fn states(daemon: &TempDaemon, names: &[&str]) -> Vec<String> {
    let list = daemon.pm(&["list", "--output", "json"]).json();
    let processes = list["processes"].as_array().expect("a list").clone();
    let state = |name: &&str| {
        let found = processes.iter().find(|p| p["name"] == **name);
        found.unwrap_or_else(|| panic!("{name} in {processes:#?}"))["state"]
            .as_str()
            .expect("a text")
            .to_owned()
    };
    names.iter().map(state).collect()
}

#[test]
fn a_dependent_waits_until_the_other_is_as_far_as_it_says() {
    let gates = tempfile::tempdir().expect("a directory");
    let gate = |name: &str| gates.path().join(name);
    let daemon = TempDaemon::start(&format!(
        "processes:
  db: {{command: '{probe} wait-file={dir}/ready notify=READY=1 sleep', type: notify}}
  web:
    command: sleep 1000
    health_check: {{type: exec, command: 'test -e {dir}/healthy', interval: 0.05}}
  job: {{command: '{probe} wait-file={dir}/done', type: oneshot}}
  on-started: {{command: sleep 1000, requires: {{db: started}}}}
  on-ready: {{command: sleep 1000, requires: [{{db: ready}}]}}
  on-up: {{command: sleep 1000, requires: [db, {{web: started}}]}}
  on-healthy: {{command: sleep 1000, requires: {{web: healthy}}}}
  on-well: {{command: sleep 1000, wants: [web]}}
  on-completed: {{command: sleep 1000, binds_to: {{job: completed}}}}
",
        probe = probe(),
        dir = gates.path().display()
    ));
    let by_ready = ["on-ready", "on-up"];
    let by_health = ["on-healthy", "on-well"];
    daemon.wait_for_state("on-started", "running");
    daemon.wait_for_state("web", "running");
    assert_eq!(states(&daemon, &by_ready), ["waiting", "waiting"]);
    assert_eq!(states(&daemon, &by_health), ["waiting", "waiting"]);
    assert_eq!(states(&daemon, &["db", "job", "on-completed"]), ["starting", "starting", "waiting"]);
    let told = daemon.pm(&["why", "on-ready"]).success();
    assert!(told.contains("waits for db") && told.contains("has not sent READY=1 yet"), "{told}");

    touch(&gate("ready"));
    by_ready.iter().for_each(|name| drop(daemon.wait_for_state(name, "running")));
    assert_eq!(states(&daemon, &by_health), ["waiting", "waiting"], "no check has passed");
    touch(&gate("healthy"));
    by_health.iter().for_each(|name| drop(daemon.wait_for_state(name, "running")));
    assert_eq!(states(&daemon, &["job", "on-completed"]), ["starting", "waiting"]);
    touch(&gate("done"));
    daemon.wait_for_state("on-completed", "running");
    assert_eq!(states(&daemon, &["job"]), ["exited"]);
}

#[test]
fn a_dependent_comes_up_by_itself_once_what_failed_works() {
    let gates = tempfile::tempdir().expect("a directory");
    let gate = gates.path().join("works");
    let script = format!("test -e {} || exit 3; exec {} notify=READY=1 sleep", gate.display(), probe());
    let daemon = TempDaemon::start(&format!(
        "processes:
  flaky: {{command: sh, args: [-c, '{script}'], type: notify, restart_sec: 0.2, start_limit_burst: 0}}
  on-flaky: {{command: sleep 1000, requires: [flaky]}}
  broken: {{command: sh, args: [-c, '{script}'], type: notify, restart: never}}
  on-broken: {{command: sleep 1000, requires: [broken]}}
  on-that: {{command: sleep 1000, requires: [on-broken]}}
"
    ));
    daemon.wait_for_state("broken", "failed");
    let held = daemon.wait_for_state("on-broken", "waiting");
    assert_eq!(held["reason"], "needs broken, which has failed");
    let told = daemon.pm(&["start", "on-that"]).failure(1);
    let cause = "broken did not start: ended with exit code 3 before it sent READY=1";
    assert!(told.contains(cause) && told.contains("pm-cli why on-that"), "the cause is told at once: {told}");
    assert_eq!(process(&daemon, "broken").expect("defined")["starts"], 2, "it was tried once more");
    let chain = daemon.pm(&["why", "on-that"]).success();
    let at = |text: &str| chain.find(text).unwrap_or_else(|| panic!("{text} in {chain}"));
    assert!(at("on-that is waiting") < at("on-broken is waiting"), "{chain}");
    assert!(at("on-broken is waiting") < at("broken has failed"), "down to the cause: {chain}");
    eventually("the wait for a restart to be told", || {
        let told = process(&daemon, "on-flaky")?["reason"].as_str()?.to_owned();
        (told == "needs flaky, which failed and waits for its restart").then_some(())
    });
    assert_eq!(states(&daemon, &["on-flaky", "on-that"]), ["waiting", "waiting"]);

    touch(&gate);
    daemon.wait_for_state("on-flaky", "running");
    daemon.pm(&["start", "broken"]).success();
    daemon.wait_for_state("on-that", "running");
    assert_eq!(states(&daemon, &["on-broken"]), ["running"]);
}

#[test]
fn a_job_is_done_before_a_start_and_not_again_for_what_is_up() {
    let daemon = TempDaemon::start(
        "processes:
  migrate: {command: 'true', type: oneshot}
  web: {command: sleep 1000, requires: {migrate: completed}}
",
    );
    daemon.wait_for_state("web", "running");
    let jobs = || process(&daemon, "migrate").expect("defined")["starts"].clone();
    assert_eq!(jobs(), 1);
    daemon.pm(&["start", "web"]).success();
    assert_eq!(jobs(), 1, "it is up");
    daemon.pm(&["restart", "web"]).success();
    assert_eq!(jobs(), 1, "it was up");
    daemon.pm(&["stop", "web"]).success();
    let started = daemon.pm(&["start", "web"]).success();
    assert!(started.starts_with("web: running"), "{started}");
    assert_eq!(jobs(), 2);
}

#[test]
fn a_crash_takes_down_what_is_bound_and_nothing_else() {
    let daemon = TempDaemon::start(
        "processes:
  db: {command: sleep 1000, restart_sec: 0}
  bound: {command: sleep 1000, binds_to: [db]}
  requiring: {command: sleep 1000, requires: [db]}
  wanting: {command: sleep 1000, wants: [db]}
",
    );
    let before = ["db", "bound", "requiring", "wanting"].map(|name| daemon.wait_for_state(name, "running"));
    daemon.pm(&["kill", "db", "-s", "KILL"]).success();
    let is_new = |old: &Value| {
        let old = old["pid"].clone();
        move |p: &Value| p["state"] == "running" && p["pid"] != old
    };
    daemon.wait_for("db", "come back", is_new(&before[0]));
    let bound = daemon.wait_for("bound", "go down and come back", is_new(&before[1]));
    assert_eq!(bound["last_exit"]["reason"], "stopped");
    assert_eq!(bound["restarts"], 0, "it has not failed");
    for old in &before[2..] {
        let name = old["name"].as_str().expect("a text");
        assert_eq!(process(&daemon, name).expect("defined")["pid"], old["pid"], "{name} goes on");
    }
}

/// `db <- app <- web`; each needs a moment to stop.
fn tower(story: &Story) -> String {
    let moment = "0.1";
    format!(
        "processes:\n{}{}{}",
        story.actor("app", moment, &["requires: [db]"]),
        story.actor("db", moment, &[]),
        story.actor("web", moment, &["requires: [app]"]),
    )
}

const UP: [&str; 3] = ["db up", "app up", "web up"];
const DOWN: [&str; 6] = ["web term", "web end", "app term", "app end", "db term", "db end"];

#[test]
fn a_stop_waits_in_reverse_order_and_a_start_brings_all_back() {
    let story = Story::begin();
    let mut daemon = TempDaemon::start(&tower(&story));
    daemon.wait_for_state("web", "running");
    assert_eq!(story.told(), UP);
    story.clear();
    let stopped = daemon.pm(&["stop", "db"]).success();
    assert_eq!(stopped, "db: stopped (stopped by an operator)\n");
    assert_eq!(story.told(), DOWN, "each one is asked to stop when the one before it has ended");
    let held = process(&daemon, "app").expect("defined");
    assert_eq!((&held["state"], &held["wanted_up"]), (&"waiting".into(), &true.into()), "{held}");
    story.clear();
    daemon.pm(&["start", "db"]).success();
    daemon.wait_for_state("web", "running");
    assert_eq!(story.told(), UP, "what still was wanted came back");
    daemon.pm(&["stop", "db"]).success();
    story.clear();
    daemon.pm(&["start", "web"]).success();
    assert_eq!(story.told(), UP, "who is started takes along all that keeps it down");
    story.clear();
    // One in the middle: what it needs is left alone.
    daemon.pm(&["stop", "app"]).success();
    assert_eq!(story.told(), DOWN[..4]);
    story.clear();
    daemon.pm(&["stop", "@all"]).success();
    assert_eq!(story.told(), DOWN[4..]);
    // Starting the last one starts all that it needs.
    story.clear();
    daemon.pm(&["start", "web"]).success();
    assert_eq!(story.told(), UP);
    story.clear();
    assert!(daemon.stop().success());
    assert_eq!(story.told(), DOWN, "so does the end of the daemon");
}

#[test]
fn a_restart_replaces_those_that_require_it_in_order() {
    let story = Story::begin();
    let daemon = TempDaemon::start(&tower(&story));
    daemon.wait_for_state("web", "running");
    story.clear();
    daemon.pm(&["restart", "app"]).success();
    daemon.wait_for_state("web", "running");
    assert_eq!(story.told(), [&DOWN[..4], &UP[1..]].concat(), "what it needs keeps running");
}

#[test]
fn conflicting_ones_are_never_up_together() {
    let story = Story::begin();
    let daemon = TempDaemon::start(&format!(
        "processes:\n{}{}",
        story.actor("day", "0.1", &["conflicts: [night]"]),
        story.actor("night", "0.1", &["auto_start: false"]),
    ));
    daemon.wait_for_state("day", "running");
    daemon.pm(&["start", "night"]).success();
    assert_eq!(story.told(), ["day up", "day term", "day end", "night up"]);
    let day = process(&daemon, "day").expect("defined");
    assert_eq!(day["state"], "stopped");
    assert_eq!(day["reason"], "conflicts with night, which was started");
    story.clear();
    daemon.pm(&["start", "day"]).success();
    assert_eq!(story.told(), ["night term", "night end", "day up"], "it holds in both directions");
    daemon.pm(&["reload-config"]).success();
    assert_eq!(states(&daemon, &["day", "night"]), ["running", "stopped"]);
}

#[test]
fn a_cycle_is_printed_and_concerns_its_members_only() {
    let cycle = "  a: {command: sleep 1000, requires: [b]}
  b: {command: sleep 1000, after: [c]}
  c: {command: sleep 1000, binds_to: [a]}
";
    let others = "processes:\n  free: {command: sleep 1000}\n  on-a: {command: sleep 1000, requires: [a]}\n";
    let daemon = TempDaemon::start(&format!("{others}{cycle}"));
    let free = daemon.wait_for_state("free", "running");
    for (name, circle) in [
        ("a", "a -> b (`requires`) -> c (`after`) -> a (`binds_to`)"),
        ("b", "b -> c (`after`) -> a (`binds_to`) -> b (`requires`)"),
        ("c", "c -> a (`binds_to`) -> b (`requires`) -> c (`after`)"),
    ] {
        let member = daemon.wait_for_state(name, "invalid");
        let told = member["reason"].as_str().expect("a text");
        assert!(told.contains("processes.yaml:") && told.contains(circle), "{told}");
    }
    let refused = daemon.pm(&["start", "b"]).failure(1);
    assert!(refused.contains("wait for each other"), "{refused}");
    let held = daemon.wait_for_state("on-a", "waiting");
    assert_eq!(held["reason"], "needs a, which has a broken definition");

    daemon.write_config(&format!("{others}{}", cycle.replace(", binds_to: [a]", "")));
    daemon.pm(&["reload-config"]).success();
    daemon.wait_for_state("on-a", "running");
    let running = daemon.wait_for_state("a", "running");
    // A cycle that comes later keeps the last good definitions in force.
    daemon.write_config(&format!("{others}{cycle}"));
    let report = daemon.pm(&["reload-config"]).failure(1);
    assert!(
        report.contains("these wait for each other: a -> b (`requires`) -> c (`after`) -> a"),
        "{report}"
    );
    assert_eq!(process(&daemon, "a").expect("defined")["pid"], running["pid"]);
    assert_eq!(pid(&process(&daemon, "free").expect("defined")), pid(&free));
    // Over the API it is refused, with the circle.
    daemon.pm(&["create", "x", "sleep", "1000", "--after", "y"]).success();
    let refused = daemon.pm(&["create", "y", "sleep", "1000", "--requires", "x"]).failure(1);
    assert!(refused.contains("y -> x (`requires`) -> y (`after`)"), "{refused}");
    assert_eq!(process(&daemon, "y"), None);
}

#[test]
fn a_missing_one_is_explained_and_waited_for() {
    let daemon = TempDaemon::start(
        "processes:
  databse: {command: sleep 1000, auto_start: false}
  web: {command: sleep 1000, requires: [database]}
  worker: {command: sleep 1000, wants: [database], after: [database]}
",
    );
    daemon.wait_for_state("worker", "running");
    daemon.wait_for_state("web", "waiting");
    let told = daemon.pm(&["why", "web"]).success();
    assert!(told.contains("needs database, which is not defined"), "{told}");
    assert!(told.contains("way out: define database"), "{told}");
    assert!(told.contains("database: nothing of that name is defined"), "{told}");
    let warned = daemon.pm(&["reload-config"]);
    assert!(warned.stderr.contains("did you mean `databse`?"), "{warned}");
    assert_eq!(warned.code, 0, "a warning is no error: {warned}");
    let refused = daemon.pm(&["start", "web"]).failure(1);
    assert!(
        refused.contains("database, which is not defined") && refused.contains("pm-cli why web"),
        "{refused}"
    );

    daemon.pm(&["create", "database", "sleep", "1000", "--auto-start"]).success();
    daemon.wait_for_state("web", "running");
}
