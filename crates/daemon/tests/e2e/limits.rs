//! Limits and isolation, typed and seen by a user. This daemon has no cgroup of its own: what needs one is told to be missing.

use serde_json::Value;
use testkit::{TempDaemon, eventually};

use crate::support::{pid, process, until_state};

const CONFIG: &str = "\
processes:
  web:
    command: sleep 1000
    stop_timeout: 1
    rlimits: {nofile: \"77:88\"}
    nice: 9
    oom_score_adj: 1000
    no_new_privileges: true
    runtime_directory: web
    runtime_directory_mode: \"0711\"
  shared:
    command: sleep 1000
    restart: never
    auto_start: false
    resource_limits: {cpu_max: 50%}
  hungry:
    command: sleep 1000
    restart: never
    auto_start: false
    resource_limits: {memory_max: 64M}
";

fn described(daemon: &TempDaemon, name: &str) -> Value {
    let text = daemon.pm(&["describe", name, "--output", "json"]).success();
    let value: Value = serde_json::from_str(&text).expect("JSON");
    value["processes"][0].clone()
}

#[test]
fn what_a_definition_asks_for_is_what_the_kernel_shows() {
    let mut daemon = TempDaemon::start(CONFIG);
    let web = until_state(&daemon, "web", "running");
    let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", pid(&web))).expect("it runs");
    let files = of("limits").lines().find(|l| l.starts_with("Max open files")).expect("a line").to_owned();
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["77", "88"]);
    assert_eq!(of("stat").split(' ').nth(18), Some("9"));
    assert_eq!(of("oom_score_adj"), "1000\n");
    assert!(of("status").contains("NoNewPrivs:\t1\n"));
    let shown = daemon.pm(&["describe", "web"]).success();
    assert!(shown.contains("rlimits: nofile 77:88\n"), "{shown}");
    assert!(
        shown.contains("isolation: nice 9, oom_score_adj 1000, no_new_privileges, runtime directory web\n"),
        "{shown}"
    );

    let directory = daemon.dir().join("runtime/processes/web");
    assert!(of("environ").contains(&format!("RUNTIME_DIRECTORY={}", directory.display())));
    assert!(directory.is_dir());
    daemon.pm(&["stop", "web"]).success();
    eventually("the directory to be removed", || (!directory.exists()).then_some(()));

    // A change is a new run.
    daemon.pm(&["start", "web"]).success();
    let before = until_state(&daemon, "web", "running");
    let said = daemon.pm(&["update", "web", "--rlimit", "nofile=99", "--nice=10"]).success();
    assert!(said.contains("restart") && said.contains("rlimits") && said.contains("nice"), "{said}");
    let after = eventually("a new run", || {
        process(&daemon, "web").filter(|p| p["state"] == "running" && p["pid"] != before["pid"])
    });
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", pid(&after))).expect("it runs");
    assert!(limits.lines().any(|l| l.starts_with("Max open files") && l.contains(" 99 ")), "{limits}");
    daemon.stop();
    assert!(!directory.exists(), "it is gone with the daemon");
}

#[test]
fn a_limit_that_can_t_be_had_is_told_and_never_silent() {
    let daemon = TempDaemon::start(CONFIG);
    daemon.pm(&["start", "shared"]).success();
    let shared = until_state(&daemon, "shared", "running");
    let degraded = described(&daemon, "shared")["degraded"].clone();
    let said = degraded.as_str().expect("a sentence");
    assert!(said.starts_with("resource_limits.cpu_max is not in force: "), "{said}");
    assert!(daemon.pm(&["why", "shared"]).success().contains("it runs, but resource_limits.cpu_max"));
    let said = daemon.pm(&["update", "shared", "--cpu-max", "max"]).success();
    assert!(said.contains("resource_limits"), "{said}");
    eventually("nothing to be missing", || described(&daemon, "shared")["degraded"].is_null().then_some(()));
    assert_eq!(process(&daemon, "shared").expect("defined")["pid"], shared["pid"], "its run stays");

    // What would be refused is told before: of a run that is there, and of what is only defined.
    let said = daemon.pm(&["update", "shared", "--pids-max", "9"]);
    assert!(format!("{}{}", said.stdout, said.stderr).contains("it will not start again"), "{said}");
    for asked in [daemon.pm(&["plan"]), daemon.pm(&["reload-config"])] {
        let told = format!("{}{}", asked.stdout, asked.stderr);
        assert!(told.contains("resource_limits.memory_max: hungry will not start with it: "), "{told}");
        assert!(told.contains("resource_limits.pids_max: shared will not start with it: "), "{told}");
    }
    let doctor = daemon.pm(&["doctor"]);
    assert!(doctor.stdout.contains("2 processes can't be started: hungry, shared"), "{doctor}");

    let refused = daemon.pm(&["start", "hungry"]).failure(1);
    assert!(refused.contains("setting resource_limits \"memory_max\": "), "{refused}");
    assert_eq!(process(&daemon, "hungry").expect("defined")["state"], "failed");
    let why = daemon.pm(&["why", "hungry"]).success();
    assert!(why.contains("the unit needs Delegate=yes"), "{why}");
    // What is no limit needs nothing.
    daemon.pm(&["update", "hungry", "--memory-max", "max"]).success();
    daemon.pm(&["start", "hungry"]).success();
    until_state(&daemon, "hungry", "running");
}

#[test]
fn limits_are_typed_as_they_are_written() {
    let daemon = TempDaemon::start("processes: {}\n");
    daemon
        .pm(&[
            "create",
            "job",
            "--memory-max=64M",
            "--cpu-max=150%",
            "--pids-max=9",
            "--oom-group",
            "--",
            "sleep",
            "9",
        ])
        .success();
    let kept = daemon.pm(&["cat", "job"]).success();
    for line in ["memory_max: \"64MiB\"", "cpu_max: \"1.5\"", "pids_max: 9", "oom_group: true"] {
        assert!(kept.contains(line), "no {line} in:\n{kept}");
    }
    let limits = described(&daemon, "job")["definition"]["resource_limits"].clone();
    assert_eq!((limits["memory_max"].as_u64(), limits["cpu_max"].as_f64()), (Some(64 << 20), Some(1.5)));
    for (option, part) in [
        ("--memory-max=5", "no program fits into 5 bytes"),
        ("--cpu-max=0.001", "less than 0.01"),
        ("--pids-max=0", "one too many"),
        ("--rlimit=nofile=9:3", "above the hard one"),
        ("--nice=20", "not from -20 to 19"),
        ("--runtime-directory=a/b", "can't be a runtime directory's name"),
    ] {
        let refused = daemon.pm(&["update", "job", option]);
        assert_ne!(refused.code, 0, "{option}");
        assert!(refused.stderr.contains(part), "{option}: {refused}");
    }
}
