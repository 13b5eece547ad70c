//! What is left when nothing happens: no wake-up; and after much has happened: no descriptor.

use std::fs;
use std::time::Duration;

use crate::Test;
use crate::support::{Rig, immortal, name, sleeper, spec};
use model::Command;

pub(crate) const TESTS: &[Test] = &[
    ("no_descriptor_is_lost", no_descriptor_is_lost),
    ("nothing_wakes_up_the_idle", nothing_wakes_up_the_idle),
];

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// 300 crashes and restarts, then 300 starts that fail.
fn no_descriptor_is_lost() {
    let rig = Rig::new();
    rig.up(spec("warm-up", "true", &[]));
    rig.ask(Command::Delete(name("warm-up"))).unwrap();
    let before = descriptors();
    rig.up(immortal(spec("crasher", "false", &[])));
    rig.started("crasher", 301);
    rig.ask(Command::Delete(name("crasher"))).unwrap();
    assert_eq!(descriptors(), before);
    rig.ask(Command::Create { spec: immortal(spec("absent", "/absent", &[])).into(), start: true })
        .unwrap_err();
    for _ in 1..300 {
        rig.ask(Command::Start(name("absent"))).unwrap_err();
    }
    rig.event("absent", |e| e.run.is_some_and(|(n, _)| n.0 >= 300).then_some(()));
    rig.ask(Command::Delete(name("absent"))).unwrap();
    assert_eq!(descriptors(), before);
}

/// Context switches of each thread of the supervisor, and whether all of them sleep.
fn switches() -> (Vec<(String, u64)>, bool) {
    let mut found = Vec::new();
    let mut asleep = true;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
        let field = |key: &str| status.lines().find_map(|l| l.strip_prefix(key)).unwrap_or("").trim();
        let thread = field("Name:");
        if thread == "supervisor" || thread.starts_with("spawn-") {
            asleep &= field("State:").starts_with('S');
            let count = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
            let count = count.iter().map(|key| field(key).parse::<u64>().unwrap()).sum();
            found.push((thread.to_owned(), count));
        }
    }
    found.sort();
    (found, asleep)
}

fn nothing_wakes_up_the_idle() {
    let rig = Rig::new();
    for n in 0..10 {
        rig.up(sleeper(&format!("p{n}")));
    }
    // Quiet is when two looks in a row see the same.
    let settled = (0..100).find_map(|_| {
        let (before, asleep) = switches();
        std::thread::sleep(Duration::from_millis(50));
        (asleep && switches().0 == before).then_some(before)
    });
    let settled = settled.expect("it never comes to rest");
    assert_eq!(
        settled.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["spawn-1", "spawn-2", "supervisor"]
    );
    let turns = rig.handle.turns();
    // The measurement, not a way to wait for something.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(switches().0, settled);
    assert_eq!(rig.handle.turns(), turns);
}
