//! Sockets that a service manager listens on and passes to the daemon, as systemd does with dd-procmgrd.socket.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::{binary, run};

/// The daemon gets them as descriptors 3 and further; the variable of the pid can only be set by the process itself.
const PASS: &str = "exec 3<&0 4<&1 0</dev/null 1>&2; export LISTEN_PID=$$; exec \"$0\"";

/// A daemon, which does not outlive a test that fails.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail when it has ended.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A daemon with these as descriptors 3 and 4.
fn start(dir: &Path, metrics: &str, first: OwnedFd, second: OwnedFd) -> Daemon {
    let mut shell = Command::new("bash");
    shell.args(["-c", PASS]).arg(binary("dd-procmgrd").expect("it is built"));
    shell.stdin(first).stdout(second);
    shell.stderr(File::options().append(true).create(true).open(dir.join("log")).expect("a new file"));
    shell.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "dd-procmgrd.socket:dd-procmgrd.socket");
    shell.env("PM_CONFIG_PATH", dir.join("processes.yaml")).env("PM_BIND_ADDRESS", "off");
    shell.env("METRICS_PORT", metrics).env_remove("NOTIFY_SOCKET");
    for (variable, name) in
        [("STATE_DIRECTORY", "state"), ("LOGS_DIRECTORY", "logs"), ("RUNTIME_DIRECTORY", "runtime")]
    {
        shell.env(variable, dir.join(name));
    }
    Daemon(shell.spawn().expect("bash can be executed"))
}

/// Ends it in good order.
fn end(mut daemon: Daemon) -> ExitStatus {
    kill(Pid::from_raw(daemon.0.id().cast_signed()), Signal::SIGTERM).expect("it is ours");
    daemon.0.wait().expect("it is our child")
}

fn list(socket: &Path) -> String {
    let mut command = Command::new(binary("pm-cli").expect("it is built"));
    command.arg("--socket").arg(socket).arg("list");
    run(&mut command).expect("it can be executed").success()
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}

#[test]
fn who_connects_too_early_is_served_and_nothing_is_lost_over_a_restart() {
    let dir = tempfile::tempdir().expect("a new directory");
    let dir = dir.path();
    std::fs::create_dir(dir.join("runtime")).expect("a new directory");
    std::fs::write(dir.join("processes.yaml"), "processes:\n  web:\n    command: sleep 1000\n")
        .expect("a new file");
    let socket = dir.join("runtime/control.sock");
    let control = UnixListener::bind(&socket).expect("a new path");
    let metrics = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = metrics.local_addr().expect("it is bound");
    let port = address.port().to_string();
    let both = || (control.try_clone().expect("a copy").into(), metrics.try_clone().expect("a copy").into());

    for round in 1..=2 {
        let mut early = TcpStream::connect(address).expect("the service manager listens");
        early.write_all(b"GET /metrics HTTP/1.0\r\nHost: test\r\n\r\n").expect("there is room");
        let (first, second) = both();
        let daemon = start(dir, &port, first, second);
        assert!(list(&socket).contains("web"), "round {round}: {}", log(dir));
        let mut answer = String::new();
        early.read_to_string(&mut answer).expect("an answer comes");
        assert!(answer.contains("ddprocmgr_build_info"), "round {round}: {answer}\n{}", log(dir));
        assert!(end(daemon).success(), "{}", log(dir));
        UnixStream::connect(&socket).expect("the socket is still there");
    }
    let said = log(dir);
    for what in [format!("the control socket {}", socket.display()), format!("the metrics port {address}")] {
        assert_eq!(said.matches(&format!("systemd listens on {what}")).count(), 2, "{said}");
    }
}

#[test]
fn what_is_of_no_use_is_said_and_the_daemon_does_without() {
    let dir = tempfile::tempdir().expect("a new directory");
    let dir = dir.path();
    std::fs::write(dir.join("processes.yaml"), "processes: {}\n").expect("a new file");
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = stranger.local_addr().expect("it is bound");
    let file = File::open("/dev/null").expect("everybody has it");
    let daemon = start(dir, "0", file.into(), stranger.into());
    let socket = dir.join("runtime/control.sock");
    testkit::eventually("the daemon's own socket", || UnixStream::connect(&socket).ok());
    list(&socket);
    assert!(end(daemon).success(), "{}", log(dir));
    let said = log(dir);
    assert!(said.contains("it is not a socket"), "{said}");
    assert!(said.contains(&format!("{address} is neither the control port (off)")), "{said}");
    assert!(!socket.exists(), "its own socket is left");
}
