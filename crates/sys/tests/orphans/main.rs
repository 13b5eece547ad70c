//! Descendants without cgroups. A program of its own, as being a subreaper changes the whole process.
//!
//! Every test works on a thread that it starts: the first thread must have no children but orphans, and the harness
//! may run a test on it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../spawn/support.rs"]
#[expect(dead_code, reason = "shared with the other program, which uses all of it")]
mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use support::{Running, c, readable, sh};
use sys::{pidfd, tree};

fn on_a_thread(test: impl FnOnce() + Send + 'static) {
    thread::spawn(|| {
        tree::become_subreaper().unwrap();
        test();
    })
    .join()
    .unwrap();
}

/// A shell that runs `script` with a marker in its environment, and then waits until `input` is closed.
fn start(script: &str, marker: &str) -> (Running, File) {
    let (read, write) = nix::unistd::pipe().unwrap();
    // The other tests' children must not hold it open.
    let write = OwnedFd::try_clone(&write).unwrap();
    let mut command = sh(&format!("{script}\nread line"));
    command.stdin = Some(read);
    command.program.env.push(c(&format!("TEST_MARKER={marker}")));
    (command.spawn().unwrap(), File::from(write))
}

/// The next line of output, a pid.
fn pid(running: &mut Running) -> u32 {
    let mut line = String::new();
    loop {
        let mut byte = [0];
        readable(&running.output);
        assert_eq!(running.output.read(&mut byte).unwrap(), 1, "the output ended after {line:?}");
        match byte {
            [b'\n'] => return line.parse().unwrap(),
            [byte] => line.push(char::from(byte)),
        }
    }
}

fn end_orphan(pid: u32) {
    assert!(!tree::reap_orphan(pid), "it is alive");
    let pidfd = pidfd::open(pid).unwrap();
    pidfd::send_signal(pidfd.as_fd(), libc::SIGKILL).unwrap();
    readable(&pidfd);
    // A zombie is listed until it is reaped.
    assert_eq!(tree::stat(pid).unwrap().state, 'Z');
    assert!(tree::orphans().unwrap().contains(&pid));
    assert!(tree::reap_orphan(pid));
    assert!(!tree::reap_orphan(pid), "only once");
    assert!(!tree::orphans().unwrap().contains(&pid));
    assert_eq!(tree::stat(pid), None);
}

#[test]
fn a_double_forked_setsid_descendant_is_found_and_killed() {
    on_a_thread(|| {
        // It waits for a writer that never comes, without executing anything: in the midst of that a process has no
        // environment to look at.
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let script = format!("(setsid sh -c 'echo $$; read line <{}' </dev/null &)", fifo.display());
        let (mut main, input) = start(&script, "double-fork");
        let daemon = pid(&mut main);
        // Its parent may still be on its way out, but then it is below the main process.
        let mut below = Vec::new();
        tree::descendants(main.child.pid, &mut below);
        let orphans = tree::orphans().unwrap();
        assert!(below.contains(&daemon) || orphans.contains(&daemon), "{below:?} {orphans:?}");
        assert!(!orphans.contains(&main.child.pid), "the main process is no orphan");

        drop(input);
        main.end();
        assert!(tree::orphans().unwrap().contains(&daemon));
        let stat = tree::stat(daemon).unwrap();
        assert_eq!((stat.ppid, stat.session), (std::process::id(), daemon));
        assert_eq!(tree::environ_value(daemon, "TEST_MARKER").as_deref(), Some(&b"double-fork"[..]));
        assert_eq!(tree::environ_value(daemon, "TEST"), None);
        end_orphan(daemon);
    });
}

#[test]
fn a_tree_is_walked_and_becomes_orphans() {
    on_a_thread(|| {
        let script =
            "sh -c 'echo $$; sleep 1000 </dev/null & echo $!; sleep 1000 </dev/null & echo $!; wait' &";
        let (mut main, input) = start(script, "tree");
        let pids: Vec<u32> = (0..3).map(|_| pid(&mut main)).collect();
        let mut below = vec![7];
        tree::descendants(main.child.pid, &mut below);
        // Appended, parents first.
        assert_eq!((below[0], below[1]), (7, pids[0]));
        assert_eq!(below[2..].iter().collect::<BTreeSet<_>>(), pids[1..].iter().collect());
        for pid in &pids {
            assert_eq!(tree::stat(*pid).unwrap().session, main.child.pid);
        }

        drop(input);
        main.end();
        let orphans = tree::orphans().unwrap();
        assert!(orphans.contains(&pids[0]), "the topmost is given to us");
        assert!(!orphans.contains(&pids[1]), "what is below it stays there");
        end_orphan(pids[0]);
        // Now the two are ours.
        for pid in &pids[1..] {
            end_orphan(*pid);
        }
    });
}

#[test]
fn nobody_has_no_descendants() {
    on_a_thread(|| {
        let (main, input) = start("", "none");
        drop(input);
        main.end();
        let mut below = Vec::new();
        tree::descendants(main.child.pid, &mut below);
        assert_eq!(below, []);
        assert_eq!(tree::environ_value(main.child.pid, "TEST_MARKER"), None);
        assert!(!tree::reap_orphan(main.child.pid));
    });
}

#[test]
fn children_of_a_thread_that_ended_are_still_ours() {
    on_a_thread(|| {
        // Held by this thread, or the shell would end with the one that started it.
        let (running, input) = thread::spawn(|| start("", "thread")).join().unwrap();
        let pid = running.child.pid;
        // They move when the thread is gone for the kernel, which may be a moment after the join.
        assert_eq!(tree::stat(pid).unwrap().ppid, std::process::id());
        drop(input);
        running.end();
    });
}
