//! More processes than the daemon has descriptors for: those beyond wait and say why, and control answers all the while.

use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Finished, TempDaemon, eventually};

use crate::support::{address, get};

const PROCESSES: usize = 100;

fn processes(daemon: &TempDaemon) -> Vec<Value> {
    let list = daemon.pm(&["list", "--output", "json"]).json();
    list["processes"].as_array().expect("a list").clone()
}

fn names_in<'a>(all: &'a [Value], state: &str) -> Vec<&'a str> {
    all.iter().filter(|p| p["state"] == state).map(|p| p["name"].as_str().expect("a name")).collect()
}

/// The least of three, so that a machine under load does not decide: one that had to wait for a descriptor would
/// wait each time.
fn timed<T>(mut ask: impl FnMut() -> T) -> (T, Duration) {
    let mut tries: Vec<(T, Duration)> = (0..3)
        .map(|_| {
            let begin = Instant::now();
            (ask(), begin.elapsed())
        })
        .collect();
    tries.sort_by_key(|(_, took)| *took);
    tries.swap_remove(0)
}

#[test]
fn starts_leave_descriptors_to_control_and_come_up_once_there_are_some() {
    let one = "{command: sleep 1000, restart_sec: 0, restart_max_delay_sec: 1, start_limit_burst: 0, stop_timeout: 1}";
    let config: String = (0..PROCESSES).map(|n| format!("  p{n:02}: {one}\n")).collect();
    let daemon = TempDaemon::builder()
        .config(&format!("processes:\n{config}"))
        .launcher(&["sh", "-c", "ulimit -n 128; exec \"$@\"", "sh"])
        .start();
    let settled = eventually("every process to be up or to wait", || {
        let all = processes(&daemon);
        let known = names_in(&all, "running").len() + names_in(&all, "backoff").len();
        (known == PROCESSES && all.len() == PROCESSES).then_some(all)
    });
    let running: Vec<String> = names_in(&settled, "running").into_iter().map(str::to_owned).collect();
    let waiting: Vec<String> = names_in(&settled, "backoff").into_iter().map(str::to_owned).collect();
    assert!(running.len() >= 8 && waiting.len() >= 50, "{} run, {} wait", running.len(), waiting.len());

    let reason = eventually("one that waits, asked while it does", || {
        let said = daemon.pm(&["why", &waiting[0]]).success();
        said.contains("backoff").then_some(said)
    });
    for part in ["Too many open files", "are kept for control", "raise LimitNOFILE=", "it is started in "] {
        assert!(reason.contains(part), "{part:?} is missing in:\n{reason}");
    }

    // Everything that an administrator needs, and in time.
    let quick = |what: &str, took: Duration| assert!(took < Duration::from_secs(1), "{what} took {took:?}");
    let metrics = address(&daemon, "metrics");
    for verb in [&["list"][..], &["status"]] {
        let (done, took): (Finished, _) = timed(|| daemon.pm(verb));
        done.success();
        quick(verb[0], took);
    }
    let (page, took) = timed(|| get(&metrics, "/metrics"));
    assert!(page.starts_with("HTTP/1.0 200"), "{page}");
    quick("a scrape", took);
    daemon.pm(&["reload-config"]).success();
    daemon.pm(&["reopen-logs"]).success();

    // About a try a second each, and not thousands.
    let tries = daemon.log().matches("are kept for control").count();
    assert!(tries < 60 * PROCESSES, "{tries} tries");

    let mut next = running.iter().take(3);
    let (_, took) = timed(|| daemon.pm(&["stop", next.next().expect("three of them")]).success());
    quick("stop", took);
    eventually("others to come up by themselves", || {
        let all = processes(&daemon);
        let come = waiting.iter().filter(|name| names_in(&all, "running").contains(&name.as_str())).count();
        (come >= 3).then_some(())
    });
}
