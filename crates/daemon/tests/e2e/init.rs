//! The daemon as PID 1 of a pid namespace: strangers' children, signals, and its exit status.
//!
//! unshare(1) of util-linux makes the namespace: as root, and as a user within a user namespace. Where neither is allowed
//! these tests fail, as what they are about can't be seen there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use testkit::{Finished, TempDaemon, eventually, run};

use crate::support::probe;

/// `unshare` with what it takes to have a pid namespace with a /proc of its own.
#[track_caller]
fn unshare() -> Command {
    let with = |user: bool| {
        let mut command = Command::new("unshare");
        if user {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"]);
        command
    };
    let mut told = String::new();
    for user in [false, true] {
        match run(with(user).arg("true")) {
            Ok(Finished { code: 0, .. }) => return with(user),
            Ok(failed) => told.push_str(&failed.to_string()),
            Err(error) => told.push_str(&format!("unshare: {error}\n")),
        }
    }
    panic!(
        "NOT TESTED: the daemon as PID 1. This machine allows no pid namespace to uid {}; run the tests as root, allow \
         user namespaces, or leave these out with --skip init::\n{told}",
        nix::unistd::geteuid()
    )
}

/// The pids of the children of a process, as seen from here.
fn children(pid: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("it is mounted").flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.filter(|child| parent(*child) == Some(pid)).collect()
}

fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// A container of which the daemon is the init. It ends with this.
struct Container {
    dir: PathBuf,
    unshare: Child,
    /// The init, as seen from here.
    init: i32,
    // Last: the processes in the container use it.
    files: tempfile::TempDir,
}

impl Container {
    /// With these processes (the text below `processes:`; DIR is a directory, PROBE the misbehaving child).
    #[track_caller]
    fn start(processes: &str) -> Self {
        let files = tempfile::Builder::new().prefix("pm-init-").tempdir().expect("a directory");
        let dir = files.path().to_path_buf();
        let text = processes.replace("DIR", &dir.display().to_string()).replace("PROBE", &probe());
        fs::write(dir.join("processes.yaml"), format!("processes:\n{text}")).expect("a new file");
        let mut command = unshare();
        command.arg(testkit::binary("dd-procmgrd").expect("built")).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for name in ["STATE_DIRECTORY", "LOGS_DIRECTORY", "RUNTIME_DIRECTORY"] {
            command.env(name, dir.join(name));
        }
        command.env("PM_CONFIG_PATH", dir.join("processes.yaml"));
        command.env("PM_BIND_ADDRESS", "off").env("METRICS_ENABLED", "false");
        let output = |name: &str| fs::File::create(dir.join(name)).expect("a new file");
        command.stdin(Stdio::null()).stdout(output("stdout")).stderr(output("stderr"));
        let unshare = command.spawn().expect("unshare can be executed");
        let parent = i32::try_from(unshare.id()).expect("a pid");
        let init = eventually("the init of the namespace", || children(parent).first().copied());
        let mut container = Self { dir, unshare, init, files };
        eventually("the daemon to answer", || {
            if let Some(status) = container.unshare.try_wait().expect("a child") {
                panic!("it ended at once ({status}):\n{}", container.read("stderr"));
            }
            container.socket().exists().then(|| container.pm(&["list"])).filter(|answer| answer.code == 0)
        });
        container
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("RUNTIME_DIRECTORY/control.sock")
    }

    fn path(&self, file: &str) -> PathBuf {
        self.files.path().join(file)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    fn pm(&self, args: &[&str]) -> Finished {
        let mut command = Command::new(testkit::binary("pm-cli").expect("built"));
        run(command.args(args).env_clear().env("PM_SOCKET", self.socket())).expect("it can be executed")
    }

    #[track_caller]
    fn until_state(&self, name: &str, state: &str) -> Value {
        eventually(&format!("{name} to be {state}"), || {
            let list = self.pm(&["list", "--output", "json"]).json();
            let processes = list["processes"].as_array().expect("a list").clone();
            processes.into_iter().find(|p| p["name"] == name && p["state"] == state)
        })
    }

    /// A command within the container that is no child of the daemon, as `docker exec` starts it.
    fn exec(&self, program: &str, args: &[&str]) -> Finished {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.init.to_string());
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--pid", "--mount", "--", program]).args(args);
        // Its children may outlive it, and must not hold the pipes that its output is read from.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().expect("nsenter can be executed");
        Finished {
            command: program.into(),
            code: status.code().unwrap_or(-1),
            stdout: String::new(),
            stderr: String::new(),
        }
    }

    fn signal(&self, signal: Signal) {
        kill(nix::unistd::Pid::from_raw(self.init), signal).expect("it runs");
    }

    /// The exit code of the container.
    #[track_caller]
    fn ended(&mut self) -> i32 {
        let status: ExitStatus =
            eventually("the end of the container", || self.unshare.try_wait().expect("a child"));
        status.code().unwrap_or_else(|| panic!("{status}:\n{}", self.read("stderr")))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // The kernel ends everything in a namespace with its init, and that with unshare.
        drop(self.unshare.kill());
        drop(self.unshare.wait());
    }
}

/// Processes with this word in their command line that are children of `parent`, as seen from here.
fn child_with(parent: i32, word: &str) -> Option<i32> {
    let is_it =
        |pid: &i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(word));
    children(parent).into_iter().find(is_it)
}

fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn it_reaps_the_orphans_of_strangers_and_signals_none_of_them() {
    let mut container = Container::start("  web: {command: 'PROBE child=sleep text=up sleep'}\n");
    container.until_state("web", "running");
    let (leaves, stays) = (container.path("leave"), container.path("never"));
    for gate in [&leaves, &stays] {
        container.exec(&probe(), &[&format!("orphan=wait-file={}", gate.display())]).success();
    }
    let orphan = |gate: &Path| {
        let word = gate.display().to_string();
        eventually("the orphan to become a child of init", || child_with(container.init, &word))
    };
    let (leaver, stayer) = (orphan(&leaves), orphan(&stays));
    container.pm(&["restart", "web"]).success();
    container.pm(&["stop", "@all"]).success();
    assert!(exists(leaver) && exists(stayer), "they are none of its processes");
    fs::write(&leaves, "").expect("the test's own file can be written");
    eventually("the orphan to be gone, also as a zombie", || (!exists(leaver)).then_some(()));
    assert!(exists(stayer));
    // What is left goes with the init.
    container.signal(Signal::SIGTERM);
    assert_eq!(container.ended(), 0, "{}", container.read("stderr"));
    eventually("the namespace to be empty", || (!exists(stayer)).then_some(()));
}

#[test]
fn a_stop_takes_everything_down_in_order_and_ends_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut container = Container::start(
            "  db: {command: 'PROBE text=db touch=DIR/db.up wait=TERM touch=DIR/db.end', critical: true}
  web: {command: 'PROBE text=web touch=DIR/web.up wait=TERM touch=DIR/web.end exit=3', requires: [db], critical: true}
",
        );
        eventually("both to be up", || {
            (container.path("db.up").exists() && container.path("web.up").exists()).then_some(())
        });
        container.signal(signal);
        assert_eq!(container.ended(), 0, "asked to, so it is no failure: {}", container.read("stderr"));
        let ended = |name: &str| {
            fs::metadata(container.path(name)).expect("it ended by itself").modified().expect("a time")
        };
        assert!(ended("web.end") <= ended("db.end"));
        // The log of a container is what its init prints.
        let printed = container.read("stdout");
        assert!(printed.contains("web") && printed.contains("db"), "{printed}");
    }
}

#[test]
fn it_ends_with_the_status_of_its_critical_process() {
    let mut container = Container::start(
        "  main: {command: 'PROBE wait-file=DIR/go exit=3', critical: true, restart: never}
  side: {command: 'PROBE touch=DIR/side.up wait=TERM touch=DIR/side.end'}
  job: {command: 'PROBE exit=5', restart: never}
",
    );
    container.until_state("job", "failed");
    eventually("the other to be up", || container.path("side.up").exists().then_some(()));
    fs::write(container.path("go"), "").expect("the test's own file can be written");
    assert_eq!(container.ended(), 3, "{}", container.read("stderr"));
    assert!(container.path("side.end").exists(), "the others are stopped as always");

    let mut container =
        Container::start("  main: {command: 'PROBE sleep', critical: true, restart: never}\n");
    container.until_state("main", "running");
    container.pm(&["kill", "main", "-s", "KILL"]).success();
    assert_eq!(container.ended(), 128 + 9, "{}", container.read("stderr"));

    // One that is started again has not ended for good.
    let mut container = Container::start(
        "  main: {command: 'PROBE sleep', critical: true, restart_sec: 0, start_limit_burst: 2, on_start_limit: fail}\n",
    );
    container.until_state("main", "running");
    container.pm(&["kill", "main", "-s", "KILL"]).success();
    eventually("it to come back", || {
        container.until_state("main", "running")["restarts"].as_u64().filter(|n| *n == 1)
    });
    container.pm(&["kill", "main", "-s", "TERM"]).success();
    assert_eq!(container.ended(), 128 + 15, "now it has: {}", container.read("stderr"));
}

#[test]
fn a_hangup_reaches_the_critical_process_and_reloads() {
    let mut container = Container::start(
        "  main: {command: 'PROBE on-hup=DIR/main.hups touch=DIR/main.up sleep', critical: true}
  side: {command: 'PROBE on-hup=DIR/side.hups touch=DIR/side.up sleep'}
",
    );
    let main = container.until_state("main", "running");
    let config = container.path("processes.yaml");
    eventually("both to listen", || {
        (container.path("main.up").exists() && container.path("side.up").exists()).then_some(())
    });
    let text = fs::read_to_string(&config).expect("there") + "  new: {command: sleep 1000}\n";
    fs::write(&config, text).expect("the test's own file can be written");
    container.signal(Signal::SIGHUP);
    container.until_state("new", "running");
    let pid = main["pid"].to_string();
    eventually("the critical one to hear of it", || {
        (container.read("main.hups") == format!("SIGHUP {pid}\n")).then_some(())
    });
    container.signal(Signal::SIGHUP);
    eventually("it to hear of it again", || (container.read("main.hups").lines().count() == 2).then_some(()));
    assert_eq!(container.until_state("main", "running")["pid"], main["pid"]);
    assert_eq!(container.read("side.hups"), "", "the others are none of the sender's business");
    container.signal(Signal::SIGTERM);
    assert_eq!(container.ended(), 0);
}

/// Not only in a container.
#[test]
fn a_daemon_that_is_not_init_ends_with_its_critical_process_as_well() {
    let mut daemon = TempDaemon::start(
        "processes:
  main: {command: sleep 1000, critical: true, restart: never}
  side: {command: sleep 1000}
",
    );
    daemon.wait_for_state("main", "running");
    daemon.pm(&["kill", "main", "-s", "KILL"]).success();
    eventually("the daemon to end", || (!daemon.socket().exists()).then_some(()));
    assert_eq!(daemon.stop().code(), Some(137));
}
