//! What follows a daemon that was killed.

use std::collections::BTreeSet;

use testkit::TempDaemon;

use crate::support::{probe, until_state};

/// Whoever reads neither signals nor family ties: nothing of it may run beside its second copy.
#[test]
fn nothing_runs_twice_after_a_daemon_was_killed() {
    let probe = probe();
    let mut daemon = TempDaemon::start(&format!(
        "processes:\n  plain: {{command: {probe} sleep}}\n  \
         stubborn: {{command: {probe} ignore=TERM sleep, stop_timeout: 100ms}}\n  \
         family: {{command: \"{probe} child=ignore=TERM,sleep orphan sleep\", stop_timeout: 100ms}}\n  \
         loud: {{command: {probe} every=1ms print}}\n"
    ));
    for name in ["plain", "stubborn", "family", "loud"] {
        until_state(&daemon, name, "running");
    }
    let left = daemon.crash();
    assert!(left.alive().len() >= 5, "there was nothing to be left");
    daemon.start_again();
    assert!(left.alive().is_empty(), "left beside their successors:\n{left}{}", daemon.log());
    let said: BTreeSet<String> =
        daemon.log().lines().filter(|l| l.contains("left")).map(str::to_owned).collect();
    assert!(said.iter().any(|line| line.contains("stubborn (pid ")), "{said:?}");
    daemon.stop();
    assert!(!daemon.dir().join("runtime/manager-id").exists(), "a good end leaves no mark");
}
