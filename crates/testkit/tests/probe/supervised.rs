//! What a probe does towards its supervisor: it reports, forks away, waits, answers checks and refuses to go.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use testkit::{Pid, eventually, run};

use crate::family::{Family, probe};

/// A directory and a socket that a probe reports to.
struct Reports {
    dir: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Reports {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket in a new directory");
        socket.set_read_timeout(Some(testkit::patience())).expect("any time may be waited");
        Self { dir, socket }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start(&self, name: &str, steps: &[&str]) -> Family {
        Family::with(name, steps, |c| {
            c.env("NOTIFY_SOCKET", self.path("notify"));
        })
    }

    fn next(&self) -> String {
        let mut buffer = [0; 1024];
        let n = self.socket.recv(&mut buffer).expect("a report");
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    fn nothing_more(&self) {
        self.socket.set_nonblocking(true).expect("a socket can be asked not to block");
        let error = self.socket.recv(&mut [0]).expect_err("nothing more");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

/// A step with a path.
fn step(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

fn pid_in(path: &Path) -> Option<Pid> {
    Pid::of(fs::read_to_string(path).ok()?.trim().parse().ok()?)
}

#[test]
fn reports_what_it_is_told_to_and_its_child_too() {
    let reports = Reports::new();
    let steps =
        ["notify=READY=1\\nSTATUS=up", "notify-from-child=MAINPID=%p", "notify=MAINPID=%p", "text=done"];
    let mut family = reports.start("notify", &steps);
    assert_eq!(reports.next(), "READY=1\nSTATUS=up");
    let childs = reports.next();
    assert!(childs.starts_with("MAINPID="), "{childs}");
    let own = format!("MAINPID={}", family.child.id());
    assert_eq!(reports.next(), own);
    assert_ne!(childs, own);
    assert_eq!(family.line(), "done");
    reports.nothing_more();
}

#[test]
fn reports_to_a_socket_without_a_path_and_complains_without_one() {
    let name = format!("probe-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    run(command.arg("notify=READY=1").env("NOTIFY_SOCKET", format!("@{name}"))).unwrap().success();
    let mut buffer = [0; 64];
    let n = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"READY=1");
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    let complaint = run(command.arg("notify=x").env_remove("NOTIFY_SOCKET")).unwrap().failure(65);
    assert!(complaint.contains("NOTIFY_SOCKET is not set"), "{complaint}");
}

#[test]
fn pings_so_often_and_then_falls_silent() {
    let reports = Reports::new();
    let mut family = reports.start("watchdog", &["watchdog=1ms:3", "text=silent", "sleep"]);
    assert_eq!([reports.next(), reports.next(), reports.next()], ["WATCHDOG=1"; 3]);
    assert_eq!(family.line(), "silent");
    reports.nothing_more();
}

#[test]
fn a_daemon_is_there_with_its_pidfile_when_its_first_process_exits() {
    let reports = Reports::new();
    let (pidfile, go) = (reports.path("pid"), reports.path("go"));
    let steps = [&step("daemonize", &pidfile), "ids", &step("wait-file", &go), "notify=READY=1", "sleep"];
    let mut family = reports.start("daemonize", &steps);
    let first = family.child.id();
    assert_eq!(family.child.wait().unwrap().code(), Some(0));
    let daemon = pid_in(&pidfile).expect("a pidfile");
    let mut ids = std::collections::BTreeMap::new();
    while ids.len() < 9 {
        let line = family.line();
        let (name, id) = line.split_once(' ').unwrap_or((&line, ""));
        ids.insert(name.to_owned(), id.to_owned());
    }
    assert_eq!(ids["pid"], daemon.pid.to_string());
    for other in ["ppid", "session", "pgrp"] {
        assert!(ids[other] != first.to_string() && ids[other] != ids["pid"], "{ids:?}");
    }
    assert!(probe(&[&step("touch", &go)]).success().is_empty());
    assert_eq!(reports.next(), "READY=1");
    daemon.signal(Signal::SIGTERM);
    eventually("the daemon's end", || (!daemon.is_alive()).then_some(()));
}

#[test]
fn a_pidfile_may_come_late() {
    let reports = Reports::new();
    let (pidfile, go) = (reports.path("pid"), reports.path("go"));
    let steps = ["daemonize", &step("wait-file", &go), &step("pidfile", &pidfile), "sleep"];
    let mut family = reports.start("late", &steps);
    assert_eq!(family.child.wait().unwrap().code(), Some(0));
    assert!(!pidfile.exists());
    fs::write(&go, "").unwrap();
    let daemon = eventually("the pidfile", || pid_in(&pidfile));
    assert!(daemon.is_alive() && daemon.pid != family.child.id());
}

#[test]
fn a_daemon_keeps_the_settings_of_before() {
    let done =
        probe(&["to=stderr", "width=20", "ignore=USR1", "daemonize", "print=1", "crash=USR1", "text=alive"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert_eq!(done.stderr, "line 000001 xxxxxxxx\nalive\n");
}

#[test]
fn ends_with_the_code_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("code");
    let ended = |text: &str| {
        fs::write(&path, text).unwrap();
        probe(&["text=x", &step("exit-file", &path), "text=never"])
    };
    let done = ended("7\n");
    assert_eq!((done.code, done.stdout.as_str()), (7, "x\n"));
    assert_eq!((ended("0").code, ended("no number").code), (0, 65));
}

/// The answer to a GET; empty when the connection was closed without one.
fn get(port: &str) -> std::io::Result<String> {
    let port: u16 = port.strip_prefix("port ").and_then(|p| p.parse().ok()).expect("a port");
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    // A port that only accepts may be closed already.
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").ok();
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        Err(e) if e.kind() == ErrorKind::ConnectionReset => Ok(text),
        other => other.map(|_| text),
    }
}

#[test]
fn serves_in_the_background_as_well_or_badly_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let status = dir.path().join("status");
    let file = format!("serve-http=0:{}", status.display());
    let steps = ["serve-http=0:204", &file, "serve-http=0:hang", "serve-tcp=0", "text=ready", "sleep"];
    let mut family = Family::start("serve", &steps);
    let ports: Vec<String> = (0..4).map(|_| family.line()).collect();
    assert_eq!(family.line(), "ready");
    let answer = eventually("an answer", || get(&ports[0]).ok());
    assert!(
        answer.starts_with("HTTP/1.1 204 ") && answer.ends_with("\r\n\r\nGET /health HTTP/1.1\n"),
        "{answer}"
    );
    for (text, expected) in [("200\n", "HTTP/1.1 200 "), ("503", "HTTP/1.1 503 "), ("fine", "HTTP/1.1 500 ")]
    {
        fs::write(&status, text).unwrap();
        let answer = eventually("an answer", || get(&ports[1]).ok());
        assert!(answer.starts_with(expected), "{answer}");
    }
    assert_eq!(get(&ports[2]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(eventually("the end", || get(&ports[3]).ok()), "");
}

#[test]
fn a_holder_keeps_the_output_open() {
    let mut family = Family::start("hold", &["hold", "partial=last", "exit=0"]);
    let holder = Pid::of(family.line().parse().unwrap()).unwrap();
    assert_eq!(family.child.wait().unwrap().code(), Some(0));
    let mut rest = [0; 4];
    family.output.read_exact(&mut rest).unwrap();
    assert!(holder.is_alive());
    holder.signal(Signal::SIGKILL);
    assert_eq!(family.output.read(&mut rest).unwrap(), 0, "now it is closed");
}

#[test]
fn a_hydra_outlives_term_in_ever_new_processes() {
    let mut family = Family::start("hydra", &["hydra=2:30ms", "text=ready", "sleep"]);
    assert_eq!(family.line(), "ready");
    let first = eventually("a head", || family.look().first().copied());
    for _ in 0..20 {
        family.look().iter().for_each(|pid| pid.signal(Signal::SIGTERM));
    }
    eventually("other heads than that one", || {
        let alive = family.look();
        (!alive.is_empty() && !alive.contains(&first)).then_some(())
    });
    family.end();
}

#[test]
fn each_hangup_adds_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hups");
    let mut family = Family::start("hup", &[&step("on-hup", &path), "text=ready", "wait=TERM", "exit=5"]);
    assert_eq!(family.line(), "ready");
    let line = format!("SIGHUP {}\n", family.child.id());
    for count in 1..=2 {
        family.signal(Signal::SIGHUP);
        eventually("a line", || (fs::read_to_string(&path).ok()? == line.repeat(count)).then_some(()));
    }
    family.signal(Signal::SIGTERM);
    assert_eq!(family.child.wait().unwrap().code(), Some(5));
}

#[test]
fn tells_a_variable_and_whether_it_has_a_terminal() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.args(["env=COLOUR", "env=SHAPE", "isatty"]).env("COLOUR", "green").env_remove("SHAPE");
    let text = run(&mut command).unwrap().success();
    assert_eq!(text, "COLOUR=green\nSHAPE is not set\nstdin other\nstdout other\nstderr other\n");
}
