//! Health checks of every type against real servers, and what follows from them.

use testkit::TempDaemon;

use crate::scene::{Scene, Stranger};
use crate::support::{address, is_alive};

/// Waits until the health check of a process says so.
#[track_caller]
fn until(scene: &Scene, process: &str, health: &str) -> serde_json::Value {
    scene.wait_for(process, &format!("be {health}"), |p| p["health"]["state"] == health)
}

#[test]
fn http_is_healthy_as_the_status_says() {
    let files = tempfile::tempdir().expect("a directory");
    let status = files.path().join("status");
    let answer = |code: &str| std::fs::write(&status, code).expect("the test's own file can be written");
    answer("204");
    let (_server, port) = Stranger::server(&format!("serve-http=0:{}", status.display()));
    let scene = Scene::new(&format!(
        "  web:
    command: sleep 1000
    health_check: {{type: http, port: {port}, path: /up, interval: 30ms, start_period: 0, retries: 2}}
"
    ));
    let web = until(&scene, "web", "healthy");
    assert_eq!((&web["state"], &web["health"]["failures"]), (&"running".into(), &0.into()), "{web:#}");
    answer("503");
    let web = until(&scene, "web", "unhealthy");
    assert!(web["health"]["failures"].as_u64() >= Some(2), "{web:#}");
    assert!(web["health"]["message"].as_str().is_some_and(|m| m.contains("503")), "{web:#}");
    assert!(scene.pm(&["list"]).success().contains("running (unhealthy)"));
    let describe = scene.pm(&["describe", "web"]).success();
    assert!(describe.contains("health: unhealthy since") && describe.contains("503"), "{describe}");
    answer("301");
    let back = until(&scene, "web", "healthy");
    assert_eq!((&back["pid"], &back["restarts"]), (&web["pid"], &0.into()), "nobody asked for a restart");
}

#[test]
fn tcp_and_grpc_are_healthy_while_they_are_answered() {
    let (tcp, port) = Stranger::server("serve-tcp=0");
    let mut other = TempDaemon::start("processes: {}\n");
    let grpc = address(&other, "control tcp");
    let often = "interval: 30ms, timeout: 5, start_period: 0, retries: 2";
    let scene = Scene::new(&format!(
        "  tcp: {{command: sleep 1000, health_check: {{type: tcp, port: {port}, {often}}}}}
  grpc: {{command: sleep 1000, health_check: {{type: grpc, address: '{grpc}', {often}}}}}
  service: {{command: sleep 1000, health_check: {{type: grpc, address: '{grpc}', service: no.such.Service, {often}}}}}
"
    ));
    until(&scene, "tcp", "healthy");
    until(&scene, "grpc", "healthy");
    let unknown = until(&scene, "service", "unhealthy");
    assert!(
        unknown["health"]["message"].as_str().is_some_and(|m| m.contains("no.such.Service")),
        "{unknown:#}"
    );
    drop(tcp);
    other.stop();
    for name in ["tcp", "grpc"] {
        let down = until(&scene, name, "unhealthy");
        assert!(down["health"]["message"].as_str().is_some_and(|m| m.contains("refused")), "{down:#}");
    }
}

#[test]
fn exec_is_healthy_as_its_exit_code_says_and_its_complaints_are_kept() {
    let scene = Scene::new(
        "  web:
    command: sleep 1000
    env: {WANTED: it works}
    health_check:
      type: exec
      command: sh
      args: [-c, 'echo noise; test \"$(cat DIR/answer) $PROCESS_NAME\" = \"$WANTED web\" || { echo \"$PROCESS_NAME is ill\" >&2; exit 3; }']
      interval: 30ms
      start_period: 0
      retries: 2
",
    );
    let ill = until(&scene, "web", "unhealthy");
    assert!(ill["health"]["message"].as_str().is_some_and(|m| m.contains("exit code 3")), "{ill:#}");
    scene.until_printed("web", |printed| printed.contains("web is ill\n"));
    scene.write("answer", "it works");
    let web = until(&scene, "web", "healthy");
    assert_eq!(web["pid"], ill["pid"]);
    assert!(!scene.printed("web").contains("noise"), "that a check passes is no news");
}

#[test]
fn a_check_that_hangs_is_a_failure_and_leaves_nothing() {
    let (_silent, port) = Stranger::server("serve-http=0:hang");
    let scene = Scene::new(&format!(
        "  web:
    command: sleep 1000
    health_check:
      type: exec
      command: PROBE
      args: ['orphan=ignore=TERM,pidfile=DIR/orphan,sleep', 'child=pidfile=DIR/child,sleep', wait-file=DIR/orphan, wait-file=DIR/child, pidfile=DIR/check, sleep]
      interval: 60
      timeout: 700ms
      start_period: 0
      retries: 1
    inherit_env: [PM_TEST_MARKER]
  http:
    command: sleep 1000
    health_check: {{type: http, port: {port}, interval: 60, timeout: 100ms, start_period: 0, retries: 1}}
"
    ));
    let web = until(&scene, "web", "unhealthy");
    assert_eq!(web["health"]["message"], "did not end within 0.7 s");
    for file in ["orphan", "child", "check"] {
        assert!(!is_alive(scene.pid_in(file)), "the check is over, but its {file} lives");
    }
    let http = until(&scene, "http", "unhealthy");
    assert!(http["health"]["message"].as_str().is_some_and(|m| m.contains("0.1")), "{http:#}");
}

#[test]
fn a_stop_does_not_wait_for_a_check() {
    let scene = Scene::new(
        "  web:
    command: sleep 1000
    health_check: {type: exec, command: PROBE ignore=TERM pidfile=DIR/check sleep, timeout: 1h}
",
    );
    let check = scene.pid_in("check");
    scene.pm(&["stop", "web"]).success();
    assert!(!is_alive(check), "stopped, but its check lives");
}

#[test]
fn what_stays_unhealthy_is_restarted_when_it_says_so() {
    let scene = Scene::new(
        "  web:
    command: PROBE text=up sleep
    exec_stop: echo asked
    health_check: {type: exec, command: 'false', interval: 20ms, start_period: 0, retries: 1, restart_after: 3}
    restart_sec: 0
    start_limit_burst: 2
    start_limit_interval_sec: 60
    on_start_limit: fail
",
    );
    let web = scene.wait_for_state("web", "failed");
    assert_eq!((&web["starts"], &web["restarts"]), (&2.into(), &1.into()), "as after a crash: {web:#}");
    assert_eq!(
        (&web["last_exit"]["reason"], &web["last_exit"]["signal"]),
        (&"unhealthy".into(), &"SIGTERM".into())
    );
    assert!(web["last_exit"]["cause"].as_str().is_some_and(|c| c.contains("exit code 1")), "{web:#}");
    assert_eq!(web["health"], serde_json::Value::Null, "what does not run has no health");
    scene.until_printed("web", |printed| printed.matches("asked").count() == 2);
}
