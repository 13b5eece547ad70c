//! `pm-cli logs` against the real thing: over a restart of the daemon, and of several processes.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use testkit::{TempDaemon, eventually};

use crate::support::{until_logged, until_state};

/// A `pm-cli logs` in the background that writes to two files; killed when dropped.
struct Follower {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Follower {
    fn start(daemon: &TempDaemon, args: &[&str]) -> Self {
        let (out, err) = (daemon.dir().join("follower.out"), daemon.dir().join("follower.err"));
        let child = Command::new(testkit::binary("pm-cli").expect("built"))
            .args(args)
            .env("PM_SOCKET", daemon.socket())
            .stdout(File::create(&out).expect("a file"))
            .stderr(File::create(&err).expect("a file"))
            .spawn()
            .expect("pm-cli can be executed");
        Self { child, out, err }
    }

    /// Waits until it has shown this, and returns everything.
    #[track_caller]
    fn until(&self, what: &str, shown: impl Fn(&str) -> bool) -> String {
        eventually(what, || fs::read_to_string(&self.out).ok().filter(|text| shown(text)))
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.err).expect("text")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

#[test]
fn a_follower_goes_on_over_a_restart_of_the_daemon_without_gap_or_repeat() {
    let script = "trap \"echo bye $$; exit\" TERM; i=0; \
                  while [ $i -lt 500 ]; do echo $$ $i; i=$((i+1)); done; echo ready $$; sleep 1000 & wait";
    let mut daemon = TempDaemon::start(&format!(
        "processes:\n  web:\n    command: sh\n    args: ['-c', '{script}']\n    log: {{max_size: 4KiB, max_files: 1000}}\n"
    ));
    until_logged(&daemon, "web.log", "ready");
    let follower = Follower::start(&daemon, &["logs", "-f", "-n", "all", "web"]);
    follower.until("the past", |text| text.contains("ready"));
    daemon.restart();
    let text = follower.until("the second run", |text| text.matches("ready").count() == 2);
    let runs: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("ready ")).collect();
    let expected: String = runs
        .iter()
        .map(|run| {
            let lines: String = (0..500).map(|i| format!("{run} {i}\n")).collect();
            format!("{lines}ready {run}\nbye {run}\n")
        })
        .collect();
    assert_eq!(text, expected.strip_suffix(&format!("bye {}\n", runs[1])).expect("two runs"));
    let said = follower.said();
    assert!(said.contains("waiting for the daemon") && said.contains("connected again"), "{said}");
}

#[test]
fn a_follower_ends_with_its_process() {
    let daemon = TempDaemon::start("processes: {}\n");
    daemon.pm(&["create", "web", "sh", "-c", "echo hello; sleep 1000", "--auto-start"]).success();
    let mut follower = Follower::start(&daemon, &["logs", "-f", "web"]);
    follower.until("its line", |text| text == "hello\n");
    daemon.pm(&["delete", "web"]).success();
    let ended = eventually("the follower to end", || follower.child.try_wait().expect("a child"));
    assert!(ended.success(), "{ended}");
    assert!(follower.said().contains("web was deleted"), "{}", follower.said());
}

#[test]
fn two_processes_are_shown_in_the_order_in_which_they_printed() {
    let daemon = TempDaemon::start("processes: {}\n");
    let signs = daemon.dir().join("signs");
    fs::create_dir(&signs).expect("a directory");
    let script = |numbers: &str| {
        let sign = signs.display();
        format!(
            "for n in {numbers}; do while [ ! -e {sign}/$n ]; do sleep 0.02; done; echo line $n; done; exec sleep 1000"
        )
    };
    daemon.pm(&["create", "odd", "sh", "-c", &script("1 3"), "--auto-start"]).success();
    daemon.pm(&["create", "even", "sh", "-c", &script("2 4"), "--auto-start"]).success();
    for n in 1..=4 {
        File::create(signs.join(n.to_string())).expect("a file");
        let log = if n % 2 == 0 { "even.log" } else { "odd.log" };
        until_logged(&daemon, log, &format!("line {n}\n"));
        // Lines of one process within 10 ms have one time.
        thread::sleep(Duration::from_millis(15));
    }
    let shown = daemon.pm(&["logs", "odd", "even"]).success();
    assert_eq!(shown, "odd  | line 1\neven | line 2\nodd  | line 3\neven | line 4\n");
    let run = daemon.pm(&["logs", "odd", "--run", "1", "--stream", "stdout", "-n", "1"]).success();
    assert_eq!(run, "line 3\n");
    let none = daemon.pm(&["logs", "odd", "--until", "-1h", "--grep", "line"]).success();
    assert_eq!(none, "");
}

#[test]
fn what_can_not_be_looked_for_is_refused_with_a_way_out() {
    let daemon = TempDaemon::start("processes:\n  web:\n    command: sleep 1000\n");
    let pattern = daemon.pm(&["logs", "web", "--grep", "("]).failure(1);
    assert!(
        pattern.contains("unclosed group") && pattern.contains("hint: to search for a text"),
        "{pattern}"
    );
    let cursor = daemon.pm(&["logs", "web", "--after", "yesterday"]).failure(1);
    assert!(cursor.contains("after_cursor is \"yesterday\"") && cursor.contains("hint: take it"), "{cursor}");
}

#[test]
fn log_files_are_opened_anew_on_request() {
    let daemon = TempDaemon::start(
        "processes:\n  web:\n    command: sh -c 'trap \"echo line\" HUP; while :; do sleep 1000 & wait; done'\n",
    );
    until_state(&daemon, "web", "running");
    let say = || daemon.pm(&["kill", "web", "-s", "HUP"]).success();
    eventually("the trap to be set and a line", || {
        say();
        fs::read_to_string(daemon.logs().join("web.log")).ok().filter(|text| !text.is_empty())
    });
    let moved = daemon.logs().join("moved");
    fs::rename(daemon.logs().join("web.log"), &moved).expect("renamed");
    daemon.pm(&["reopen-logs"]).success();
    say();
    until_logged(&daemon, "web.log", "line\n");
}
