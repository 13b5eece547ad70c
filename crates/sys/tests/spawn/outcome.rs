//! A program runs, and its end is told.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use sys::pidfd::{self, Wait};

use crate::support::{c, command, readable, sh};

#[test]
fn arguments_and_environment_are_delivered_exactly() {
    let mut command =
        command(&["/bin/sh", "-c", r#"printf '<%s>' "$0" "$@"; env"#, "zero", "a b", "", "c\n"]);
    command.program.env = vec![c("ONE=1"), c("TWO=zwei Wörter"), c("PATH=/usr/bin:/bin")];
    let (output, exit) = command.run();
    let (args, env) = output.split_at(output.rfind('>').unwrap() + 1);
    assert_eq!(args, "<zero><a b><><c\n>");
    let mut env: Vec<_> = env.lines().filter(|l| !l.starts_with("PWD=") && !l.starts_with("_=")).collect();
    env.sort_unstable();
    assert_eq!(env, ["ONE=1", "PATH=/usr/bin:/bin", "TWO=zwei Wörter"]);
    assert_eq!(exit.status, Wait::Code(0));
}

#[test]
fn the_name_may_differ_from_the_path() {
    let mut command = command(&["/bin/sh", "-c", "tr '\\0' '\\n' </proc/$$/cmdline | head -n1"]);
    command.program.argv[0] = c("myself");
    assert_eq!(command.run().0, "myself\n");
}

#[test]
fn standard_input_output_and_error_are_the_ones_given() {
    let (read, write) = nix::unistd::pipe().unwrap();
    nix::unistd::write(&write, b"hello").unwrap();
    drop(write);
    let mut command = sh("cat; echo to-stderr >&2");
    command.stdin = Some(read);
    assert_eq!(command.run().0, "helloto-stderr\n");
}

#[test]
fn exit_codes_and_signals_are_told() {
    assert_eq!(sh("exit 3").run().1.status, Wait::Code(3));
    assert_eq!(sh("exit 255").run().1.status, Wait::Code(255));
    assert_eq!(sh("kill -KILL $$").run().1.status, Wait::Signal { signo: libc::SIGKILL, core: false });
    assert_eq!(sh("kill -TERM $$").run().1.status, Wait::Signal { signo: libc::SIGTERM, core: false });
}

#[test]
fn reap_never_waits_and_takes_the_status_once() {
    let running = command(&["/bin/sleep", "1000"]).spawn().unwrap();
    let pidfd = running.child.pidfd.as_fd();
    assert_eq!(pidfd::reap(pidfd), Ok(None));
    pidfd::send_signal(pidfd, libc::SIGTERM).unwrap();
    assert_eq!(running.end().status, Wait::Signal { signo: libc::SIGTERM, core: false });
    assert_eq!(pidfd::reap(pidfd), Err(Errno::ECHILD));
    assert_eq!(pidfd::send_signal(pidfd, 0), Err(Errno::ESRCH));
}

#[test]
fn what_it_used_is_told() {
    let (_, exit) = sh("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done").run();
    assert!(exit.user + exit.system > Duration::from_millis(1), "{exit:?}");
}

#[test]
fn its_memory_is_told_where_it_is_more_than_ours() {
    let (_, exit) = sh("x=$(head -c 300000000 /dev/zero | tr '\\0' x)").run();
    assert!(exit.max_rss > 300_000_000, "{exit:?}");
    // Until execve it shared the memory of this process, which is more than a shell needs.
    let held = vec![1_u8; 64 << 20];
    let (_, exit) = sh("true").run();
    assert_eq!(exit.max_rss, 0, "{exit:?}");
    assert_eq!(held.iter().map(|b| usize::from(*b)).sum::<usize>(), held.len());
}

#[test]
fn a_pidfd_by_number_is_of_the_same_process() {
    let running = command(&["/bin/sleep", "1000"]).spawn().unwrap();
    let other = pidfd::open(running.child.pid).unwrap();
    pidfd::send_signal(other.as_fd(), libc::SIGKILL).unwrap();
    readable(&other);
    running.end();
    assert_eq!(pidfd::open(running.child.pid).map(drop), Err(Errno::ESRCH));
    assert_eq!(pidfd::open(u32::MAX).map(drop), Err(Errno::ESRCH));
}
