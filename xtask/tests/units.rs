//! What every shipped systemd unit must say, and what goes wrong without it.

use std::fs;
use std::path::Path;

/// Directive and reason.
const MUST: [(&str, &str); 5] = [
    (
        "LogRateLimitIntervalSec=1s",
        "all processes share the unit's bucket: one chatty child would silence the others; and 0 means \"not set\"",
    ),
    ("LogRateLimitBurst=1000000", "more than journald can take in that second, so that it never counts"),
    ("Delegate=yes", "without a cgroup of its own for each process, stop has to search the process table"),
    ("KillMode=mixed", "systemd would signal every child at once, and the ordered stop would be none"),
    ("Type=notify", "`systemctl start` would return before the control socket answers"),
];

#[test]
fn every_unit_says_what_it_must() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    let mut seen = 0;
    let mut faults = Vec::new();
    for entry in fs::read_dir(&dir).expect("the units are there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "service") {
            continue;
        }
        seen += 1;
        let text = fs::read_to_string(&path).expect("a text");
        for (directive, reason) in MUST {
            if !text.lines().any(|line| line.trim() == directive) {
                faults.push(format!("{}: {directive} is missing: {reason}", path.display()));
            }
        }
    }
    assert_eq!(seen, 4, "the four units of the installation guide");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
