//! What a program gets of the daemon's state: nothing but what was asked for.

use std::fs::File;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{SigSet, Signal};

use crate::support::{command, field, path, sh};

/// Copies of /dev/null with the lowest free number from `least` on, and WITHOUT close-on-exec. Never closed, as a bare
/// number has no owner.
fn inheritable(least: i32) -> i32 {
    fcntl(File::open("/dev/null").unwrap(), FcntlArg::F_DUPFD(least)).unwrap()
}

#[test]
fn only_the_three_descriptors() {
    // Below the slots there may be none free; these are above them, near and far.
    for least in [3, 60, 900] {
        assert!(inheritable(least) >= least);
    }
    let (listing, _) = command(&["/bin/ls", "-l", "/proc/self/fd"]).run();
    let links: Vec<(&str, &str)> = listing
        .lines()
        .filter_map(|line| {
            let (left, target) = line.split_once(" -> ")?;
            Some((left.rsplit(' ').next()?, target))
        })
        .collect();
    // ls itself opens the directory that it lists.
    let own = |target: &str| target.starts_with("/proc/") && target.ends_with("/fd");
    let numbers: Vec<_> = links.iter().filter(|(_, t)| !own(t)).map(|(n, _)| *n).collect();
    assert_eq!(numbers, ["0", "1", "2"], "{listing}");
}

#[test]
fn signals_are_default_and_unblocked() {
    let before = SigSet::thread_get_mask().unwrap();
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGUSR1);
    blocked.add(Signal::SIGTERM);
    blocked.thread_block().unwrap();
    let mask = SigSet::thread_get_mask().unwrap();
    let own = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let ignored = u64::from_str_radix(field(&own, "SigIgn"), 16).unwrap();
    assert_ne!(ignored & (1 << (libc::SIGPIPE - 1)), 0, "Rust ignores SIGPIPE, or this test shows nothing");

    let (status, _) = command(&["/bin/cat", "/proc/self/status"]).run();
    for mask in ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"] {
        assert_eq!(field(&status, mask), "0000000000000000", "{mask}");
    }
    // Ours is as it was.
    assert_eq!(SigSet::thread_get_mask().unwrap(), mask);
    before.thread_set_mask().unwrap();
}

#[test]
fn own_session_and_process_group() {
    let mut running = sh("read pid comm state ppid pgrp session rest </proc/self/stat; echo $pgrp $session")
        .spawn()
        .unwrap();
    let pid = running.child.pid;
    assert_eq!(running.rest(), format!("{pid} {pid}\n"));
    running.end();
}

#[test]
fn umask_and_working_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = sh("umask; pwd -P");
    command.umask = 0o027;
    command.working_dir = Some(path(dir.path()));
    let dir = dir.path().canonicalize().unwrap();
    assert_eq!(command.run().0, format!("0027\n{}\n", dir.display()));
    // Without one it is the daemon's.
    assert_eq!(sh("pwd -P").run().0, format!("{}\n", std::env::current_dir().unwrap().display()));
}
