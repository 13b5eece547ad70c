//! What the metrics server tells of real processes and calls.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use testkit::{TempDaemon, eventually};

use crate::support::{address, get, series, until_state};

/// Waits until a series has a value that will do. A scrape may be a second old.
#[track_caller]
fn until(address: &str, name: &str, good: impl Fn(f64) -> bool) {
    let what = format!("{name} to be as it shall");
    eventually(&what, || {
        let value: f64 = series(&get(address, "/metrics"), name)?.parse().ok()?;
        good(value).then_some(())
    });
}

#[test]
fn trees_and_durations_are_those_of_what_happened() {
    let daemon = TempDaemon::start(
        "processes:
  web: {command: /bin/sh, args: [-c, 'sleep 1000 & sleep 1000 & wait']}
  crasher: {command: /bin/false, restart: always, restart_sec: 0, start_limit_burst: 3}
",
    );
    let metrics = address(&daemon, "metrics");
    until(&metrics, "ddprocmgr_process_tree_processes{process=\"web\"}", |n| n == 3.0);
    until(&metrics, "ddprocmgr_process_state{process=\"crasher\",state=\"crash_loop\"}", |n| n == 1.0);
    until(&metrics, "ddprocmgr_restart_latency_seconds_count", |n| n >= 2.0);
    let text = get(&metrics, "/metrics");
    let value = |name: &str| series(&text, name).and_then(|v| v.parse::<f64>().ok()).expect("a number");
    let memory = |whose: &str| value(&format!("ddprocmgr_process_{whose}_memory_bytes{{process=\"web\"}}"));
    assert!(memory("tree_resident") > memory("resident"), "the children are in it");
    assert!(value("ddprocmgr_spawn_duration_seconds_count") >= 4.0);
    assert_eq!(value("ddprocmgr_stop_duration_seconds_count"), 0.0);

    daemon.pm(&["stop", "web"]).success();
    until(&metrics, "ddprocmgr_stop_duration_seconds_count", |n| n == 1.0);
    until(&metrics, "ddprocmgr_process_tree_processes{process=\"web\"}", |n| n == 0.0);
    let ok = "grpc_server_handled_total{grpc_type=\"unary\",grpc_service=\"ddprocmgr.v1.ProcessManagerService\",\
        grpc_method=\"StopProcess\",grpc_code=\"OK\"}";
    until(&metrics, ok, |n| n == 1.0);
}

#[test]
fn the_daemon_is_ready_when_what_it_starts_by_itself_is_up() {
    let files = tempfile::tempdir().expect("a directory");
    let program = files.path().join("late");
    let daemon = TempDaemon::start(&format!(
        "processes:
  late: {{command: {}, restart: never}}
  by-hand: {{command: /no/such/program, auto_start: false}}
",
        program.display()
    ));
    until_state(&daemon, "late", "failed");
    let metrics = address(&daemon, "metrics");
    let ready = || get(&metrics, "/readyz");
    assert!(
        ready().starts_with("HTTP/1.0 503") && ready().ends_with("\r\n\r\nnot ready: late\n"),
        "{}",
        ready()
    );
    fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its mode");
    daemon.pm(&["start", "late"]).success();
    assert!(ready().starts_with("HTTP/1.0 200"), "{}", ready());
    daemon.pm(&["stop", "late"]).success();
    assert!(ready().starts_with("HTTP/1.0 200"), "an operator's stop is no failure: {}", ready());
}
