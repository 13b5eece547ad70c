//! A reload does what its preview says and nothing else: what changed, in order, and never because something is missing.

use std::fs;

use serde_json::Value;
use testkit::TempDaemon;

use crate::story::Story;
use crate::support::{load_problems, process};

/// The preview, and what the reload then told: both without the words that differ.
fn plan_and_reload(daemon: &TempDaemon) -> (String, String) {
    let before = daemon.pm(&["list"]).success();
    let plan = daemon.pm(&["plan"]).success();
    assert_eq!(
        daemon.pm(&["reload-config", "--dry-run"]).success(),
        plan,
        "the same verb under another name"
    );
    let after = daemon.pm(&["list"]).success();
    let pids = |list: &str| -> Vec<String> {
        list.lines().filter_map(|line| line.split_whitespace().nth(3).map(str::to_owned)).collect()
    };
    assert_eq!(pids(&before), pids(&after), "a preview changes nothing");
    let plan = plan
        .strip_prefix("preview, nothing is changed yet; a reload would do this:\n")
        .map_or_else(|| plan.replace("would change", "changed"), str::to_owned);
    (plan, daemon.pm(&["reload-config"]).success())
}

fn write_part(daemon: &TempDaemon, file: &str, text: &str) {
    let dir = daemon.dir().join("config/processes.d");
    fs::create_dir_all(&dir).expect("the test's own directory can be made");
    fs::write(dir.join(file), text).expect("the test's own file can be written");
}

#[test]
fn the_preview_is_what_the_reload_then_does() {
    let daemon = TempDaemon::start(
        "processes:
  same: {command: sleep 1000}
  hot: {command: sleep 1000}
  again: {command: sleep 1000}
  bound: {command: sleep 1000, binds_to: [again]}
  both: {command: sleep 1000, binds_to: [again]}
  freed: {command: sleep 1000, binds_to: [again]}
  requiring: {command: sleep 1000, requires: [again]}
  needing: {command: sleep 1000, requires: [gone]}
  gone: {command: sleep 1000}
  down: {command: sleep 1000, auto_start: false}
",
    );
    let names = ["same", "hot", "again", "bound", "both", "freed", "requiring", "needing"];
    let before = names.map(|name| daemon.wait_for_state(name, "running"));
    assert_eq!(plan_and_reload(&daemon), ("nothing changed\n".into(), "nothing changed\n".into()));
    daemon.write_config(
        "processes:
  # Only written in another way.
  same:
    command: sleep
    args: ['1000']
  hot: {command: sleep 1000, restart: always, stop_timeout: 3}
  again: {command: sleep 1001, description: anew}
  bound: {command: sleep 1000, binds_to: [again]}
  both: {command: sleep 1000, binds_to: [again], description: and more}
  freed: {command: sleep 1000}
  requiring: {command: sleep 1000, requires: [again]}
  needing: {command: sleep 1000, requires: [gone]}
  down: {command: sleep 1001, auto_start: false}
  new: {command: sleep 1000}
",
    );
    let (plan, done) = plan_and_reload(&daemon);
    assert_eq!(plan, done);
    assert_eq!(
        done,
        "again: restart (args, description)
both: restart (description, binds_to)
bound: restart (binds_to)
down: restart (args)
freed: change without a restart (binds_to)
gone: stop and remove
hot: change without a restart (restart, stop_timeout)
needing: restart (requires)
new: start
"
    );
    // And that is what happened.
    let of = |name: &str| {
        let place = names.iter().position(|n| *n == name).expect("known");
        before[place]["pid"].clone()
    };
    for name in ["again", "bound", "both"] {
        let old = of(name);
        let new_run = move |p: &Value| p["state"] == "running" && p["pid"] != old;
        daemon.wait_for(name, "get a new run", new_run);
    }
    for name in ["same", "hot", "freed", "requiring"] {
        assert_eq!(process(&daemon, name).expect("defined")["pid"], of(name), "{name}");
    }
    daemon.wait_for_state("new", "running");
    // It waits for one that is stopping, and then for one that is no more.
    daemon.wait_for("needing", "wait for what is not defined", |p| {
        p["state"] == "waiting" && p["reason"] == "needs gone, which is not defined"
    });
    assert_eq!(process(&daemon, "gone"), None);
    assert_eq!(process(&daemon, "down").expect("defined")["state"], "stopped");
}

#[test]
fn what_is_applied_at_once_is_in_force_and_keeps_the_pid() {
    let daemon = TempDaemon::start("processes:\n  web: {command: sleep 1000, restart_sec: 0}\n");
    let web = daemon.wait_for_state("web", "running");
    daemon.write_config(
        "processes:
  web:
    command: sleep 1000
    restart: never
    restart_sec: 5
    description: the shop
    groups: [front]
    after: [nobody]
    kill_signal: INT
    start_limit_burst: 2
    exec_stop_post: sh -c 'echo gone'
    health_check: {type: exec, command: 'true', interval: 60}
    log: {max_size: 1M, max_files: 2}
",
    );
    let report = daemon.pm(&["reload-config"]).success();
    let keys = "description, after, groups, restart, restart_sec, start_limit_burst, kill_signal";
    assert!(report.starts_with("web: change without a restart ("), "{report}");
    for key in keys.split(", ").chain(["exec_stop_post", "health_check", "log"]) {
        assert!(report.contains(key), "{key} in {report}");
    }
    let now = daemon.wait_for("web", "be healthy", |p| p["health"]["state"] == "healthy");
    assert_eq!((&now["pid"], &now["restarts"]), (&web["pid"], &0.into()));
    daemon.pm(&["kill", "web", "-s", "KILL"]).success();
    daemon.wait_for_state("web", "failed");
    crate::support::until_logged(&daemon, "web.log", "gone\n");
}

#[test]
fn a_directory_that_vanished_stops_nothing() {
    let daemon = TempDaemon::start("processes:\n  web: {command: sleep 1000}\n");
    write_part(&daemon, "api.yaml", "processes:\n  api: {command: sleep 1000}\n");
    daemon.write_override("web", "description: overridden\n");
    daemon.pm(&["reload-config"]).success();
    let names = ["web", "api"];
    let before = names.map(|name| daemon.wait_for_state(name, "running"));
    let config = daemon.dir().join("config");
    for (gone, parts) in [
        (config.clone(), "/config is gone"),
        (config.join("processes.d"), "config/processes.d is gone"),
        (config.join("overrides.d"), "config/overrides.d is gone"),
        (daemon.dir().join("state/processes.d"), "state/processes.d is gone"),
    ] {
        let away = daemon.dir().join("away");
        fs::rename(&gone, &away).expect("it is there");
        for verb in [&["plan"][..], &["reload-config"], &["update", "web", "--description", "new"]] {
            let told = daemon.pm(verb).failure(1);
            assert!(told.contains(parts), "{verb:?} without {}: {told}", gone.display());
        }
        for old in &before {
            let now = process(&daemon, old["name"].as_str().expect("a text")).expect("still there");
            assert_eq!((&now["pid"], &now["state"]), (&old["pid"], &old["state"]));
        }
        assert!(load_problems(&daemon).contains(parts), "status tells it: {}", load_problems(&daemon));
        fs::rename(&away, &gone).expect("it can be put back");
        assert_eq!(daemon.pm(&["reload-config"]).success(), "nothing changed\n");
        assert_eq!(load_problems(&daemon), "[]");
    }
    let web = process(&daemon, "web").expect("defined");
    assert_eq!(web["description"], "overridden");
    // An empty directory is an answer, a missing file in it as well.
    fs::remove_file(config.join("processes.d/api.yaml")).expect("it is there");
    assert_eq!(plan_and_reload(&daemon), ("api: stop and remove\n".into(), "api: stop and remove\n".into()));
    fs::remove_dir(config.join("processes.d")).expect("it is empty");
    assert_eq!(daemon.pm(&["reload-config"]).success(), "nothing changed\n", "nothing was defined there");
}

#[test]
fn a_mistake_in_one_file_keeps_its_last_good_one_and_nothing_else() {
    let daemon = TempDaemon::start("processes:\n  web: {command: sleep 1000}\n");
    write_part(&daemon, "api.yaml", "processes:\n  api: {command: sleep 1000}\n");
    daemon.pm(&["reload-config"]).success();
    let [web, api] = ["web", "api"].map(|name| daemon.wait_for_state(name, "running"));
    // A typing error in one process of a part, beside a good change and a new one.
    write_part(
        &daemon,
        "api.yaml",
        "processes:\n  api: {command: sleep 1001, usr: nobody}\n  more: {command: sleep 1000}\n",
    );
    daemon.write_config("processes:\n  web: {command: sleep 1001}\n");
    let plan = daemon.pm(&["plan"]);
    assert_eq!((plan.code, plan.stdout.contains("more: start\nweb: restart (args)\n")), (1, true), "{plan}");
    let report = daemon.pm(&["reload-config"]);
    assert_eq!((report.code, report.stdout.as_str()), (1, "more: start\nweb: restart (args)\n"), "{report}");
    for told in ["api.yaml:2:", "`usr`", "did you mean `user`?", "last good definition stays in force"] {
        assert!(report.stderr.contains(told), "{told}: {report}");
    }
    daemon.wait_for("web", "get a new run", |p| p["state"] == "running" && p["pid"] != web["pid"]);
    daemon.wait_for_state("more", "running");
    let kept = process(&daemon, "api").expect("defined");
    assert_eq!((&kept["pid"], &kept["command_line"]), (&api["pid"], &"sleep 1000".into()));
    assert!(kept["problem"].as_str().expect("a text").contains("api.yaml:2:"), "{kept}");
    assert!(daemon.pm(&["why", "api"]).success().contains("a newer definition is not in force"));
    // It still works as it did: also a crash brings back the last good one.
    daemon.pm(&["restart", "api"]).success();
    assert_eq!(process(&daemon, "api").expect("defined")["command_line"], "sleep 1000");
    // A part that is no YAML at all concerns everybody: nothing changes.
    write_part(&daemon, "api.yaml", "processes: [\n");
    daemon.write_config("processes:\n  web: {command: sleep 1002}\n");
    let told = daemon.pm(&["reload-config"]).failure(1);
    assert!(told.contains("api.yaml:") && told.contains("nothing was changed"), "{told}");
    assert_eq!(process(&daemon, "web").expect("defined")["command_line"], "sleep 1001");
    write_part(
        &daemon,
        "api.yaml",
        "processes:\n  api: {command: sleep 1001}\n  more: {command: sleep 1000}\n",
    );
    assert_eq!(daemon.pm(&["reload-config"]).success(), "api: restart (args)\nweb: restart (args)\n");
    assert_eq!(process(&daemon, "api").expect("defined")["problem"], Value::Null);
}

#[test]
fn what_an_operator_stopped_stays_stopped() {
    let daemon = TempDaemon::start(
        "processes:\n  web: {command: sleep 1000}\n  user: {command: sleep 1000, requires: [web]}\n",
    );
    daemon.wait_for_state("user", "running");
    daemon.pm(&["stop", "web"]).success();
    daemon.write_config(
        "processes:\n  web: {command: sleep 1001, restart: always}\n  user: {command: sleep 1001, requires: [web]}\n  new: {command: sleep 1000, requires: [web]}\n",
    );
    let (plan, done) = plan_and_reload(&daemon);
    assert_eq!(plan, done);
    let web = process(&daemon, "web").expect("defined");
    assert_eq!((&web["state"], &web["command_line"]), (&"stopped".into(), &"sleep 1001".into()));
    for name in ["user", "new"] {
        let held = process(&daemon, name).expect("defined");
        assert_eq!(
            (&held["state"], &held["reason"]),
            (&"waiting".into(), &"needs web, which is stopped".into())
        );
    }
    daemon.pm(&["start", "web"]).success();
    ["user", "new"].iter().for_each(|name| drop(daemon.wait_for_state(name, "running")));
}

#[test]
fn new_ones_start_in_the_order_of_their_needs() {
    let story = Story::begin();
    let daemon = TempDaemon::start(&format!("processes:\n{}", story.actor("old", "0", &[])));
    daemon.wait_for_state("old", "running");
    daemon.write_config(&format!(
        "processes:\n{}{}{}{}{}",
        story.actor("old", "0", &[]),
        story.actor("a", "0", &["requires: [b]"]),
        story.actor("b", "0", &["after: [d]", "wants: [c]"]),
        story.actor("c", "0", &["auto_start: false", "before: [d]"]),
        story.actor("d", "0", &[]),
    ));
    assert_eq!(
        daemon.pm(&["reload-config"]).success(),
        "a: start\nb: start\nc: add, not started (auto_start is false)\nd: start\n"
    );
    daemon.wait_for_state("a", "running");
    assert_eq!(story.told(), ["old up", "c up", "d up", "b up", "a up"]);
}

#[test]
fn deleting_what_a_file_defines_as_well_puts_the_file_into_force() {
    let daemon = TempDaemon::start("processes: {}\n");
    daemon.pm(&["create", "web", "sleep", "1000", "--auto-start", "--description", "by hand"]).success();
    daemon.wait_for_state("web", "running");
    daemon.write_config("processes:\n  web: {command: sleep 1001, groups: [front]}\n");
    // The API's definition covers that of the file, key by key.
    assert_eq!(daemon.pm(&["reload-config"]).success(), "web: change without a restart (groups)\n");
    assert_eq!(process(&daemon, "web").expect("defined")["command_line"], "sleep 1000");
    let deleted = daemon.pm(&["delete", "web"]);
    let told = format!("{}{}", deleted.stdout, deleted.stderr);
    assert!(told.contains("processes.yaml:2") && told.contains("still there"), "{deleted}");
    let web = daemon
        .wait_for("web", "be the file's", |p| p["state"] == "running" && p["command_line"] == "sleep 1001");
    assert_eq!((&web["description"], &web["origin"]["line"]), (&"".into(), &2.into()), "{web}");
    // Now it is the file's alone.
    let told = daemon.pm(&["delete", "web"]).failure(1);
    assert!(told.contains("processes.yaml:2") && told.contains("reload-config"), "{told}");
    assert_eq!(daemon.pm(&["reload-config"]).success(), "nothing changed\n");
}
