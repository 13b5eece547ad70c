//! The probe does what its help says, because other tests believe it.

mod family;
mod supervised;

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use nix::sys::signal::Signal;
use testkit::{Pid, Workload, eventually, run};

use family::{Family, probe};

#[test]
fn prints_numbered_lines_of_a_width() {
    let lines = probe(&["width=20", "print=3"]).success();
    assert_eq!(lines, "line 000001 xxxxxxxx\nline 000002 xxxxxxxx\nline 000003 xxxxxxxx\n");
    assert_eq!(lines.lines().next().map(str::len), Some(20));
    assert_eq!(probe(&["width=5", "same=100001"]).success(), "xxxxx\n".repeat(100_001));
    assert_eq!(probe(&["print=200000"]).success().lines().last(), Some("line 200000"));
}

#[test]
fn accounts_for_what_was_taken() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.args(["width=19", &format!("account=10000:{}", dir.path().display())]);
    command.env("PROCESS_NAME", "web").env("PROCESS_RUN", "7");
    let lines = run(&mut command).unwrap().success();
    assert_eq!(lines.lines().next(), Some("web 7 0000001 xxxxx"));
    assert_eq!(lines.lines().last(), Some("web 7 0010000 xxxxx"));
    let record = std::fs::read_to_string(dir.path().join("web.7")).unwrap();
    assert_eq!(record[16..].trim().parse::<usize>().unwrap(), lines.len());
}

#[test]
fn both_streams_and_a_partial_last_line() {
    let done = probe(&["text=out", "to=stderr", "text=err", "print=1", "to=stdout", "partial=end", "exit=7"]);
    assert_eq!((done.code, done.stdout.as_str()), (7, "out\nend"));
    assert_eq!(done.stderr, "err\nline 000001\n");
}

#[test]
fn bytes_that_are_no_text() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_probe")).args(["nul", "utf8", "garbage=4096"]).output().unwrap();
    assert!(output.stdout.starts_with(b"before\0after\ncaf\xe9 \xff\xfe\n"));
    assert_eq!(output.stdout.len(), 13 + 8 + 4096);
    let noise = &output.stdout[21..];
    assert!((0..=255).all(|byte| noise.contains(&byte)));
    assert_eq!(probe(&["long=300000"]).success().len(), 300_001);
}

#[test]
fn ends_by_a_signal() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    let status = command.args(["crash=KILL"]).status().unwrap();
    assert_eq!(status.signal(), Some(9));
}

#[test]
fn a_wrong_step_is_refused_with_the_list() {
    let complaint = probe(&["print=1", "dance"]).failure(64);
    assert!(
        complaint.contains("no step is called dance") && complaint.contains("usage: probe"),
        "{complaint}"
    );
}

#[test]
fn reports_about_itself() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.args(["env", "cwd", "fds", "ids"]).env_clear().env("COLOUR", "green").current_dir("/usr");
    let text = run(&mut command).unwrap().success();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(&lines[..3], ["COLOUR=green", "/usr", "0 /dev/null"]);
    assert!(lines.contains(&format!("uid {}", nix::unistd::getuid()).as_str()), "{text}");
    assert!(!text.contains("/proc/"), "the listing shows its own descriptor:\n{text}");
}

#[test]
fn prints_the_signals_it_gets_until_term() {
    let mut family = Family::start("echo", &["text=ready", "echo", "exit=9"]);
    assert_eq!(family.line(), "ready");
    for (sent, printed) in [(Signal::SIGHUP, "got SIGHUP"), (Signal::SIGTERM, "got SIGTERM")] {
        family.signal(sent);
        assert_eq!(family.line(), printed);
    }
    assert_eq!(family.child.wait().unwrap().code(), Some(9));
}

#[test]
fn ignores_what_it_is_told_to() {
    let mut family = Family::start("ignore", &["ignore=TERM", "text=ready", "wait=USR1", "exit=4"]);
    assert_eq!(family.line(), "ready");
    family.signal(Signal::SIGTERM);
    family.signal(Signal::SIGUSR1);
    let code = family.child.wait().unwrap().code();
    assert_eq!(code, Some(4), "TERM was sent first and must not have ended it");
}

#[test]
fn an_orphan_has_no_parent_here_and_a_session_of_its_own() {
    let mut family = Family::start("orphan", &["orphan=ignore=TERM,sleep", "text=ready", "sleep"]);
    let orphan = Pid::of(family.line().parse().unwrap()).unwrap();
    // The process in between prints the pid before it ends; the line after it is printed when it is gone.
    assert_eq!(family.line(), "ready");
    let mut descendants = Workload::new(family.child.id(), "PM_TEST_MARKER=nobody has this");
    descendants.look();
    assert_eq!(descendants.alive(), [], "still a descendant");
    let session =
        |pid: u32| nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(pid.cast_signed()))).unwrap();
    assert_ne!(session(orphan.pid), session(family.child.id()));
    family.child.kill().unwrap();
    family.child.wait().unwrap();
    assert!(orphan.is_alive(), "it should survive what started it");
}

#[test]
fn a_workload_finds_descendants_and_marked_processes() {
    let mut family = Family::start("tree", &["orphan", "child=child,sleep", "sleep"]);
    // The orphan by its mark, the child and the grandchild by both.
    eventually("three processes", || (family.look().len() == 3).then_some(()));
    family.child.kill().unwrap();
    family.child.wait().unwrap();
    assert_eq!(family.workload.alive().len(), 3);
    family.workload.kill();
    eventually("their end", || family.workload.alive().is_empty().then_some(()));
    assert_eq!(family.workload.to_string(), "");
}

#[test]
fn a_storm_and_a_chain_never_keep_their_pids() {
    for step in ["storm=3", "chain=30ms"] {
        let mut family = Family::start(step, &[step]);
        let first = eventually("a descendant", || family.look().first().copied());
        eventually("others than that one", || {
            let alive = family.look();
            (!alive.is_empty() && !alive.contains(&first)).then_some(())
        });
        family.end();
    }
}
