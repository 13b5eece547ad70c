//! With nothing happening the daemon does not wake up at all.

use testkit::{TempDaemon, eventually};

use crate::support::until_state;

/// Voluntary and forced switches of every thread of a process.
fn switches(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let of_task = |task: std::fs::DirEntry| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let counts = status.lines().filter(|l| l.contains("ctxt_switches"));
        counts.filter_map(|l| l.split_whitespace().last()?.parse::<u64>().ok()).sum::<u64>()
    };
    tasks.map(|t| of_task(t.expect("an entry"))).sum()
}

#[test]
fn an_idle_daemon_sleeps() {
    let processes: String = (0..50).map(|n| format!("  p{n}:\n    command: sleep 1000\n")).collect();
    let daemon = TempDaemon::start(&format!("processes:\n{processes}"));
    for n in 0..50 {
        until_state(&daemon, &format!("p{n}"), "running");
    }
    // Connections of the questions above end first; then any three seconds must be free of wake-ups.
    eventually("three seconds without a wake-up", || {
        let before = switches(daemon.pid());
        std::thread::sleep(std::time::Duration::from_secs(3));
        (switches(daemon.pid()) == before).then_some(())
    });
}

/// Ctrl-S on the terminal, or a journald that hangs: the daemon's own log must hold up nobody.
#[test]
fn a_standard_error_that_nobody_reads_stalls_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("p.yaml");
    let crasher =
        "processes:\n  web:\n    command: sh -c 'exit 1'\n    restart_sec: 0\n    start_limit_burst: 0\n";
    std::fs::write(&config, crasher).expect("written");
    let mut daemon = std::process::Command::new(testkit::binary("dd-procmgrd").expect("built"));
    for variable in ["STATE_DIRECTORY", "LOGS_DIRECTORY", "RUNTIME_DIRECTORY"] {
        daemon.env(variable, dir.path().join(variable));
    }
    daemon.env("PM_BIND_ADDRESS", "off").env("METRICS_ENABLED", "false").arg("--config").arg(&config);
    let mut daemon = daemon.stderr(std::process::Stdio::piped()).spawn().expect("it can be executed");
    let restarts = || {
        let mut pm = std::process::Command::new(testkit::binary("pm-cli").expect("built"));
        pm.args(["list", "--output", "json"])
            .env("PM_SOCKET", dir.path().join("RUNTIME_DIRECTORY/control.sock"));
        let answer = testkit::run(&mut pm).expect("it can be executed");
        (answer.code == 0).then(|| answer.json()["processes"][0]["restarts"].as_u64().unwrap_or(0))
    };
    // Each restart is several hundred bytes of log; the pipe holds 64 KiB.
    eventually("a thousand restarts", || restarts().filter(|n| *n > 1_000));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(daemon.id()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    let status = eventually("the end", || daemon.try_wait().expect("a child"));
    assert!(status.success(), "{status}");
}
