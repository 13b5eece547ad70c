//! The verbs that watch, against the real thing: events, waiting, usage, the tree of a run.

use testkit::TempDaemon;

const CONFIG: &str = "
processes:
  db:
    command: sh
    args: ['-c', 'echo up; sleep 1000 & wait']
  web:
    command: sleep 1000
    requires: [db]
  late:
    command: sleep 1000
    auto_start: false
  job:
    command: sh -c 'exit 3'
    auto_start: false
    restart: never
";

#[test]
fn waiting_ends_when_it_is_there_or_can_not_come() {
    let daemon = TempDaemon::start(CONFIG);
    assert!(daemon.pm(&["wait", "web", "db", "--timeout", "60s"]).success().contains("web: running (pid "));
    let told = daemon.pm(&["wait", "late"]).failure(1);
    assert!(told.contains("late won't be ready by itself"), "{told}");
    let told = daemon.pm(&["wait", "web", "--for", "stopped", "--timeout", "50ms"]).failure(1);
    assert!(told.contains("web: not stopped within 0.05s; now running"), "{told}");
    assert!(daemon.pm(&["wait", "late", "--for", "stopped"]).success().starts_with("late: stopped"));
    daemon.pm(&["wait", "nope"]).failure(4);

    // Somebody waits, and then it happens.
    let mut waiting = std::process::Command::new(testkit::binary("pm-cli").expect("built"))
        .args(["wait", "web", "--for", "exited"])
        .env("PM_SOCKET", daemon.socket())
        .spawn()
        .expect("pm-cli can be executed");
    daemon.pm(&["stop", "web"]).success();
    assert_eq!(waiting.wait().expect("it ends").code(), Some(0));
}

#[test]
fn what_happened_is_told_in_order_and_gone_on_with() {
    let daemon = TempDaemon::start(CONFIG);
    daemon.pm(&["wait", "web", "--timeout", "60s"]).success();
    let all = daemon.pm(&["events", "-n", "all", "-o", "json"]).success();
    let events: Vec<serde_json::Value> =
        all.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let numbers: Vec<u64> =
        events.iter().map(|event| event["sequence"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<u64>>());
    let started = events.iter().find(|e| e["kind"] == "started" && e["process"] == "web").expect("started");
    assert!(started["pid"].is_u64(), "{started}");

    let last = &events[events.len() - 1];
    let place = format!("{}:{}", last["epoch"].as_str().expect("text"), last["sequence"]);
    daemon.pm(&["start", "job"]).success();
    daemon.pm(&["wait", "job", "--for", "exited", "--timeout", "60s"]).success();
    let more = daemon.pm(&["events", "job", "--since-seq", &place, "--kind", "exited"]).success();
    assert!(more.contains(" W job  exited  ended with exit code 3 after "), "{more}");
    assert_eq!(more.lines().count(), 1, "{more}");
}

#[test]
fn usage_and_the_tree_are_those_of_the_run() {
    let daemon = TempDaemon::start(CONFIG);
    daemon.pm(&["wait", "web", "--timeout", "60s"]).success();
    let status = || daemon.pm(&["status", "db"]).success();
    // Its child is a shell until it has become the other program.
    let child = |line: &str| line.trim_start().starts_with("└─") && line.ends_with(" sleep 1000");
    let db = daemon.wait_for("db", "have a child", |_| status().lines().any(child));
    let shown = status();
    assert!(shown.contains(&format!(" processes: {} sh -c ", db["pid"])), "{shown}");
    assert!(shown.trim_end().ends_with(" up"), "its last line: {shown}");
    let told = daemon.pm(&["stats"]).success();
    assert!(told.lines().count() == 3 && told.starts_with("NAME"), "{told}");
    assert!(!told.contains("  -  "), "every value is known: {told}");
    daemon.pm(&["status", "db", "late"]).failure(3);
}
