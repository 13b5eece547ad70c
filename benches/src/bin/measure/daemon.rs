//! What the measurements ask of a daemon, past its own interfaces: a poll of pm-cli would measure pm-cli.

use std::fs;

use testkit::TempDaemon;

/// Direct children of a process, over all of its threads.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// `count` times the same definition under the names p0, p1, ...
pub(crate) fn config(count: usize, definition: &str) -> String {
    (0..count).fold("processes:\n".to_owned(), |all, n| all + &format!("  p{n}: {definition}\n"))
}

/// A daemon with nothing to do. Its own log is off: at info it writes a line for each event.
pub(crate) fn idle() -> TempDaemon {
    TempDaemon::builder().env("RUST_LOG", "warn").start()
}

/// Spins until there are this many children; looking costs some 20 µs and is part of what is measured.
pub(crate) fn await_children(daemon: &TempDaemon, count: usize) {
    while children(daemon.pid()).len() < count {
        std::thread::yield_now();
    }
}
