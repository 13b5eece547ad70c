//! The service manager's watchdog: fed while the supervisor's loop turns, and by nothing else.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use testkit::{TempDaemon, eventually, patience};

/// What a service manager hears.
struct Manager {
    socket: UnixDatagram,
    dir: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
        socket.set_read_timeout(Some(patience())).expect("a timeout");
        Self { socket, dir }
    }

    /// A daemon that is told of this manager and of a watchdog of 200 ms.
    fn daemon(&self) -> TempDaemon {
        let socket = self.dir.path().join("notify");
        TempDaemon::builder()
            .config("processes:\n  one: {command: sleep 1000}\n")
            .env("NOTIFY_SOCKET", socket.display().to_string())
            .env("WATCHDOG_USEC", "200000")
            .start()
    }

    fn hear(&self) -> std::io::Result<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// What comes until a datagram is this.
    fn until(&self, wanted: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|last| last != wanted) {
            heard.push(self.hear().unwrap_or_else(|e| panic!("no {wanted:?} ({e}) after {heard:?}")));
        }
        heard
    }

    /// What has come and was not heard yet.
    fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("a mode");
        let rest = std::iter::from_fn(|| self.hear().ok()).collect();
        self.socket.set_nonblocking(false).expect("a mode");
        rest
    }
}

/// The threads of a process that have this name, stopped; everything else of it goes on.
fn stop(pid: u32, name: &str) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let named = tasks.filter_map(Result::ok).filter(|task| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    });
    let number = |task: fs::DirEntry| task.file_name().to_string_lossy().parse().expect("a number");
    let threads: Vec<Pid> = named.map(|task| Pid::from_raw(number(task))).collect();
    assert!(!threads.is_empty(), "no thread is called {name}");
    for thread in &threads {
        ptrace::seize(*thread, ptrace::Options::empty()).expect("a child may be traced");
        ptrace::interrupt(*thread).expect("it is traced");
        waitpid(*thread, Some(WaitPidFlag::__WALL)).expect("it stops");
    }
    threads
}

/// Lets them go on.
fn resume(threads: Vec<Pid>) {
    threads.into_iter().for_each(|thread| ptrace::detach(thread, None).expect("it is traced"));
}

#[test]
fn a_loop_that_hangs_does_not_feed_the_watchdog() {
    let manager = Manager::new();
    let daemon = manager.daemon();
    let begin = manager.until("WATCHDOG=1\n");
    // Whoever saw the unit become active reads what it keeps in the next moment.
    assert!(
        begin[0].starts_with("READY=1\nSTATUS=1 processes: 1 "),
        "one message, and nothing before: {begin:?}"
    );
    manager.until("WATCHDOG=1\n");

    let supervisor = stop(daemon.pid(), "supervisor");
    eventually("the daemon to notice", || daemon.log().contains("has not turned for").then_some(()));
    manager.rest();
    std::thread::sleep(Duration::from_millis(500)); // The measurement: more than twice the watchdog's time.
    let fed = manager.rest().into_iter().filter(|heard| heard.contains("WATCHDOG")).count();
    assert_eq!(fed, 0, "fed although the supervisor hangs");

    resume(supervisor);
    manager.until("WATCHDOG=1\n");
    eventually("the daemon to say so", || daemon.log().contains("turns again").then_some(()));
}

/// The worst that a flood of calls could do: not one of the threads that serve clients gets to run.
#[test]
fn threads_that_serve_clients_do_not_matter_to_the_watchdog() {
    let manager = Manager::new();
    let daemon = manager.daemon();
    manager.until("WATCHDOG=1\n");
    let io = stop(daemon.pid(), "io");
    manager.rest();
    for _ in 0..5 {
        manager.until("WATCHDOG=1\n");
    }
    resume(io);
    assert!(!daemon.log().contains("has not turned for"), "{}", daemon.log());
}
