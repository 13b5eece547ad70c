//! What every shipped systemd unit must say, and what goes wrong without it.

use std::fs;
use std::path::{Path, PathBuf};

/// Directive and reason.
const MUST: [(&str, &str); 9] = [
    (
        "LogRateLimitIntervalSec=1s",
        "all processes share the unit's bucket: one chatty child would silence the others; and 0 means \"not set\"",
    ),
    ("LogRateLimitBurst=1000000", "more than journald can take in that second, so that it never counts"),
    ("Delegate=yes", "without a cgroup of its own for each process, stop has to search the process table"),
    ("KillMode=mixed", "systemd would signal every child at once, and the ordered stop would be none"),
    ("Type=notify", "`systemctl start` would return before the control socket answers"),
    ("ExecReload=/bin/kill -HUP $MAINPID", "`systemctl reload` would be refused"),
    ("WatchdogSec=30", "a daemon that hangs would hang for ever, with an active unit"),
    ("OOMPolicy=continue", "a child that the kernel kills for its memory would take all others with it"),
    ("TimeoutStopSec=120", "processes that stop one after another would be killed before it is their turn"),
];

fn units() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    let entries =
        fs::read_dir(&dir).expect("the units are there").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|e| e == "service")).collect()
}

/// What somebody who hardens further would set, and what breaks then. `systemd-analyze security` counts each of them.
#[test]
fn no_unit_sets_what_the_daemon_can_not_live_with() {
    const MUST_NOT: [&str; 5] = [
        "ProtectControlGroups=",
        "ProtectProc=",
        "ProcSubset=",
        "RestrictNamespaces=",
        "MemoryDenyWriteExecute=",
    ];
    for path in units() {
        let text = fs::read_to_string(&path).expect("a text");
        for directive in MUST_NOT {
            let set = text.lines().any(|line| line.starts_with(directive));
            assert!(
                !set,
                "{}: {directive} is set; the comment in the hardened unit says why not",
                path.display()
            );
        }
    }
}

#[test]
fn every_unit_says_what_it_must() {
    let mut seen = 0;
    let mut faults = Vec::new();
    for path in units() {
        seen += 1;
        let text = fs::read_to_string(&path).expect("a text");
        for (directive, reason) in MUST {
            if !text.lines().any(|line| line.trim() == directive) {
                faults.push(format!("{}: {directive} is missing: {reason}", path.display()));
            }
        }
    }
    for path in units() {
        let text = fs::read_to_string(&path).expect("a text");
        let file = text.lines().filter(|line| line.starts_with("EnvironmentFile=-")).count();
        assert_eq!(file, 1, "{}: settings have a place that an upgrade does not replace", path.display());
    }
    assert_eq!(seen, 4, "the four units of the installation guide");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
