//! What processes say, who may, and when it is heard.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use model::{ExitStatus, RunId};
use nix::unistd::geteuid;

use super::bench::{Bench, Kid, speaker};
use crate::containment::tests::is_gone;
use crate::machine::{Effect, Input, Notice};
use crate::notify::PER_TURN;
use crate::poller::Token;

/// Users that nothing else runs as.
const THEIRS: u32 = 65_007;
const OTHER: u32 = 65_008;

fn notified(run: RunId, notice: Notice) -> Input {
    Input::Notified { run, notice }
}

fn ready() -> Notice {
    Notice { ready: true, ..Notice::default() }
}

fn socket_of(bench: &Bench) -> PathBuf {
    let mut sockets = std::fs::read_dir(bench.notify_dir()).unwrap();
    let socket = sockets.next().unwrap().unwrap().path();
    assert!(sockets.next().is_none(), "there are several");
    socket
}

#[test]
fn the_main_process_says_how_it_is() {
    let mut bench = Bench::new();
    let kid = bench.start(speaker(&["say:READY=1|STATUS=serving 3 clients|WATCHDOG_USEC=5000000", "read"]));
    let notice = Notice {
        status: Some("serving 3 clients".into()),
        watchdog_every: Some(Duration::from_secs(5)),
        ..ready()
    };
    assert_eq!(bench.heard(kid.run), [notified(kid.run, notice)]);
    assert_eq!(bench.counts().heard, 1);
    bench.clear(kid.run);
}

#[test]
fn children_and_daemons_of_the_run_may_speak_for_it() {
    let mut bench = Bench::new();
    for way in ["child", "kept", "daemon"] {
        // A daemon's parent has ended, so that it would be the main process's end that is waited for.
        let steps = if way == "daemon" {
            ["child", "daemon", "say:READY=1", "read"]
        } else {
            [way, "say:READY=1", "read", ""]
        };
        let kid = bench.start(speaker(&steps));
        assert_eq!(bench.heard(kid.run), [notified(kid.run, ready())], "{way}");
        bench.clear(kid.run);
    }
    assert_eq!(bench.counts().strangers, 0);
}

#[test]
fn a_child_that_has_ended_already_is_believed() {
    let mut bench = Bench::new();
    let mut reaped = bench.start(speaker(&["child", "say:READY=1", "exit:0"]));
    assert_eq!(reaped.line(), "child ended");
    assert_eq!(bench.heard(reaped.run), [notified(reaped.run, ready())]);
    let mut claims = bench.start(speaker(&["child", "main", "exit:0"]));
    assert_eq!(claims.line(), "child ended");
    assert_eq!(bench.heard(claims.run), [], "whom the dead name is nobody");
    assert_eq!((bench.counts().heard, bench.counts().main_pids), (2, 1));
    bench.clear(reaped.run);
    bench.clear(claims.run);
}

#[test]
fn strangers_are_ignored_whoever_they_are() {
    let mut bench = Bench::new();
    let kid = bench.start(speaker(&["read"]));
    let socket = socket_of(&bench);
    // The daemon itself, and a process that is not of the run, both as the user of the run.
    UnixDatagram::unbound().unwrap().send_to(b"READY=1", &socket).unwrap();
    assert_eq!(bench.heard(kid.run), []);
    let (said, mut stranger) = stranger(&socket, None);
    assert_eq!(said, "said\n");
    assert_eq!(bench.heard(kid.run), []);
    let mut strangers = 2;
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    if geteuid().is_root() {
        // As another user, who reaches the socket of a process of root's.
        let (said, mut other) = self::stranger(&socket, Some(OTHER));
        assert_eq!(said, "said\n");
        assert_eq!(bench.heard(kid.run), []);
        strangers += 1;
        other.kill().unwrap();
        other.wait().unwrap();
    }
    assert_eq!((bench.counts().strangers, bench.counts().heard), (strangers, 0));
    bench.clear(kid.run);
}

/// Sends READY=1 from a process that stays, and returns what it prints.
fn stranger(socket: &std::path::Path, user: Option<u32>) -> (String, std::process::Child) {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    let script = "import socket, sys, time\n\
        try: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', sys.argv[1]); print('said', flush=True)\n\
        except OSError as e: print(e.strerror, flush=True)\n\
        time.sleep(1000)";
    let mut command = Command::new("/usr/bin/env");
    command.args(["-u", "PYTHONPATH", "PATH=/usr/local/bin:/usr/bin:/bin", "python3", "-SEc", script]);
    command.arg(socket).stdout(std::process::Stdio::piped());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let mut child = command.current_dir("/").spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (line, child)
}

#[test]
fn a_socket_is_its_users_alone() {
    if !geteuid().is_root() {
        // Who may not become another user has nobody to shut out: that the file is the own user's is shown elsewhere.
        let mut bench = Bench::new();
        let kid = bench.start(speaker(&["say:READY=1", "read"]));
        assert_eq!(bench.heard(kid.run), [notified(kid.run, ready())]);
        bench.clear(kid.run);
        return;
    }
    let mut bench = Bench::new();
    let mut spec = speaker(&["say:READY=1", "read"]);
    spec.exec.user = Some(THEIRS.to_string());
    spec.exec.group = Some(THEIRS.to_string());
    let kid = bench.start(spec);
    assert_eq!(bench.heard(kid.run), [notified(kid.run, ready())]);
    let (said, mut other) = stranger(&socket_of(&bench), Some(OTHER));
    assert_eq!(said, "Permission denied\n");
    other.kill().unwrap();
    other.wait().unwrap();
    bench.clear(kid.run);
}

#[test]
fn a_process_of_root_that_became_somebody_else_still_reports() {
    let mut bench = Bench::new();
    let steps: &[&str] =
        if geteuid().is_root() { &["user:65007", "say:READY=1", "read"] } else { &["say:READY=1", "read"] };
    let kid = bench.start(speaker(steps));
    assert_eq!(bench.heard(kid.run), [notified(kid.run, ready())]);
    bench.clear(kid.run);
}

#[test]
fn a_barrier_is_answered_and_descriptors_of_other_kinds_are_closed() {
    let mut bench = Bench::new();
    let mut kid = bench.start(speaker(&["say:READY=1", "barrier", "pass", "read"]));
    // Once it is answered it goes on, maybe within the same reading.
    let mut inputs = Vec::new();
    while bench.counts().heard < 3 {
        inputs.extend(bench.heard(kid.run));
    }
    assert_eq!((kid.line(), kid.line()), ("answered".into(), "closed".into()));
    assert_eq!(inputs, [notified(kid.run, ready())]);
    bench.clear(kid.run);
}

#[test]
fn a_flood_is_heard_in_parts_and_the_sender_waits() {
    let mut bench = Bench::new();
    let mut kid = bench.start(speaker(&["flood:100000", "read"]));
    let sent: usize = kid.line().parse().unwrap();
    assert!(sent < 100_000, "the socket took everything");
    let mut heard = 0;
    while heard < sent {
        let inputs = bench.heard(kid.run);
        assert_eq!(inputs.len(), PER_TURN.min(sent - heard));
        heard += inputs.len();
    }
    bench.clear(kid.run);
}

#[test]
fn garbage_is_no_harm() {
    let mut bench = Bench::new();
    let long = format!("say:STATUS={}", "x".repeat(5000));
    let kid = bench.start(speaker(&[
        "bytes:0,255,10,61,61,10",
        "say:",
        &long,
        "say:MAINPID=x",
        "say:READY=1",
        "read",
    ]));
    let mut inputs = Vec::new();
    while inputs.is_empty() {
        inputs = bench.heard(kid.run);
    }
    assert_eq!(inputs, [notified(kid.run, ready())]);
    let counts = bench.counts();
    assert_eq!((counts.heard, counts.unusable, counts.main_pids), (4, 1, 1));
    bench.clear(kid.run);
}

/// A process that says something and ends at once: what it said comes first, though both are ready in one turn.
#[test]
fn last_words_are_heard_before_the_end() {
    let mut bench = Bench::new();
    let kid = bench.start(speaker(&["say:READY=1", "say:STOPPING=1|STATUS=bye", "exit:3"]));
    let (said, status, _) = bench.end(kid.run);
    let bye = Notice { stopping: true, status: Some("bye".into()), ..Notice::default() };
    assert_eq!(said, [notified(kid.run, ready()), notified(kid.run, bye)]);
    assert_eq!(status, ExitStatus::Code(3));

    // The same in a real turn, whatever order epoll tells.
    let kid = bench.start(speaker(&["say:READY=1", "exit:0"]));
    bench.wait(Token::Main(kid.run));
    let before = bench.counts().heard;
    bench.driver.turn(&[Token::Main(kid.run)]);
    assert_eq!(bench.counts().heard, before + 1);
    assert!(!bench.driver.runs.has_main(kid.run));
}

#[test]
fn the_socket_goes_with_its_run_and_its_next_run_has_a_new_one() {
    let mut bench = Bench::new();
    let kid = bench.start(speaker(&["read"]));
    let socket = socket_of(&bench);
    bench.clear(kid.run);
    assert!(!socket.exists());
    let (number, _, spec) = kid.info;
    assert_eq!(number.0, 1);
    let again = bench.start(spec.as_ref().clone());
    assert_eq!(socket_of(&bench), socket);
    bench.clear(again.run);
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(std::time::Instant::now() < patience, "it does not happen");
        std::thread::yield_now();
    }
}

/// Stays with its parent until that is told to go on.
fn heir(bench: &mut Bench) -> (Kid, u32, Vec<Input>) {
    let mut kid = bench.start(speaker(&["child", "pid", "main", "read", "exit:5"]));
    let heir = kid.line_pid();
    let inputs = bench.heard(kid.run);
    (kid, heir, inputs)
}

#[test]
fn a_child_named_as_main_process_is_watched_in_place_of_the_first() {
    let mut bench = Bench::new();
    let (kid, heir, inputs) = heir(&mut bench);
    assert_eq!(inputs, [notified(kid.run, Notice { main_pid: Some(heir), ..Notice::default() })]);
    // The first one's end is nobody's business now; the heir's is.
    crate::containment::tests::kill(kid.pid);
    bench.wait(Token::Former(kid.run));
    bench.driver.turn(&[Token::Former(kid.run)]);
    assert!(is_gone(kid.pid) && bench.driver.runs.has_main(kid.run));
    let mut kid = kid;
    kid.go_on();
    let (said, status, leftovers) = bench.end(kid.run);
    assert_eq!((said, status, leftovers), (vec![], ExitStatus::Code(5), vec![]));
    bench.driver.apply(Effect::Release { run: kid.run });
}

#[test]
fn a_main_process_that_names_another_one_and_ends_is_not_mourned() {
    let mut bench = Bench::new();
    // The daemon is the one that speaks, and its ancestors end at once.
    let mut kid = bench.start(speaker(&["daemon", "pid", "main", "read", "exit:6"]));
    let daemon = kid.line_pid();
    bench.wait(Token::Main(kid.run));
    bench.wait(Token::Notify(kid.run));
    bench.driver.hear(kid.run, PER_TURN);
    assert_eq!(bench.inputs(), [notified(kid.run, Notice { main_pid: Some(daemon), ..Notice::default() })]);
    // It is ready in this turn, as it was before the switch.
    bench.driver.turn(&[Token::Main(kid.run)]);
    assert!(bench.driver.runs.has_main(kid.run));
    // Its status is ours once its parent, which is on its way out, has given it away.
    wait_until(|| sys::tree::stat(daemon).is_some_and(|stat| stat.ppid == std::process::id()));
    kid.go_on();
    assert_eq!(bench.end(kid.run).1, ExitStatus::Code(6));
    bench.driver.apply(Effect::Release { run: kid.run });
    assert!(is_gone(kid.pid) && is_gone(daemon));
}

#[test]
fn a_stranger_or_nobody_is_not_made_main_process() {
    let mut bench = Bench::new();
    let own = format!("say:MAINPID={}|READY=1", std::process::id());
    let kid = bench.start(speaker(&[
        &own,
        "say:MAINPID=1",
        "say:MAINPID=0",
        "say:MAINPID=4000000|STATUS=x",
        "read",
    ]));
    let mut inputs = Vec::new();
    while inputs.len() < 2 {
        inputs.extend(bench.heard(kid.run));
    }
    let status = Notice { status: Some("x".into()), ..Notice::default() };
    assert_eq!(inputs, [notified(kid.run, ready()), notified(kid.run, status)]);
    assert_eq!(bench.counts().main_pids, 4);
    bench.clear(kid.run);
}

#[test]
fn once_its_end_was_told_a_run_gets_no_new_main_process() {
    let mut bench = Bench::new();
    let mut kid = bench.start(speaker(&["daemon", "pid", "read", "main", "read"]));
    let daemon = kid.line_pid();
    bench.end(kid.run);
    bench.settles(kid.run, &[daemon]);
    kid.go_on();
    assert_eq!(bench.heard(kid.run), []);
    assert_eq!(bench.counts().main_pids, 1);
    bench.clear(kid.run);
}
