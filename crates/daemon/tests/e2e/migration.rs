//! What is exported from a running daemon means, in the place of its configuration, what was in force.

use testkit::TempDaemon;

const CONFIG: &str = "
defaults:
  restart_sec: 2
  log: {max_files: 3}
processes:
  web:
    command: sleep 1000
    description: 'the front: #1'
    groups: [shop]
    env: {PORT: 8000, GREETING: \"two\\nlines\", VERSION: '1.10'}
    after: [db]
    wants: {db: healthy, setup: completed}
    exec_start_pre: [-false, {command: 'true', timeout: 5}]
    success_exit_status: [3, SIGUSR1]
    log: {max_size: 10M, rate_limit: 100/s, redact: ['password=\\S+']}
  db:
    command: sleep
    args: ['1000']
    stop_timeout: 1m30s
    health_check: {type: exec, command: 'true', interval: 60}
  setup: {command: 'true', type: oneshot, restart: never}
  'on': {command: sleep 1000, auto_start: false, stdout: null, umask: '0077', kill_signal: INT}
  hush: {command: sleep 1000, env: {API_KEY: hunter2, URL: 'pg://u:hunter3@h/', PLAIN: x}}
";

#[test]
fn what_is_exported_changes_nothing_but_secrets() {
    let daemon = TempDaemon::start(CONFIG);
    for name in ["web", "db", "hush"] {
        daemon.wait_for_state(name, "running");
    }
    daemon.pm(&["update", "db", "--env", "LEVEL=3"]).success();
    let exported = daemon.pm(&["export"]).success();
    assert!(!exported.contains("hunter"), "{exported}");
    assert!(!exported.contains("start_timeout"), "what holds anyway is not written: {exported}");
    let file = daemon.dir().join("exported.yaml");
    std::fs::write(&file, &exported).expect("the test's own file can be written");
    let file = file.display().to_string();
    assert!(daemon.pm(&["validate", &file]).success().contains("5 good definitions, 0 errors"));
    // In the place of the configuration: neither its defaults nor its layers are needed any more.
    daemon.write_config(&exported);
    let plan = daemon.pm(&["plan"]).success();
    let changed: Vec<&str> = plan.lines().skip(1).filter(|line| line.contains(": ")).collect();
    assert_eq!(changed.len(), 1, "{plan}");
    assert!(changed[0].starts_with("hush: restart (env)"), "{plan}");
}
