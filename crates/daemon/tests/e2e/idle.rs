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
