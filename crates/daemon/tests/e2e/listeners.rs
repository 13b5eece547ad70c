//! Ports that are taken, sockets that are stale, and a second daemon.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;

use testkit::{TempDaemon, eventually, run};

use crate::support::{address, get, probe, until_state};

#[test]
fn a_taken_port_stops_nothing_and_is_shown() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let daemon = TempDaemon::builder()
        .config("processes:\n  web:\n    command: sleep 1000\n")
        .env("METRICS_PORT", port.as_str())
        .start();
    until_state(&daemon, "web", "running");
    let status = eventually("the failure to be shown", || {
        let status = daemon.pm(&["status"]).success();
        status.contains("ddress already in use").then_some(status)
    });
    assert!(status.contains(&port), "{status}");
    assert!(daemon.log().contains("METRICS_PORT"), "the way out is in the log: {}", daemon.log());
}

/// A second daemon on the first one's definitions. `shared` are the directories that it has in common with it; the others
/// are its own.
fn second(daemon: &TempDaemon, shared: &[&str]) -> Command {
    let mut second = Command::new(testkit::binary("dd-procmgrd").expect("built"));
    second.env("PM_CONFIG_PATH", daemon.config_path());
    for (variable, dir) in
        [("STATE_DIRECTORY", "state"), ("LOGS_DIRECTORY", "logs"), ("RUNTIME_DIRECTORY", "runtime")]
    {
        let own = daemon.dir().join("second").join(dir);
        second.env(variable, if shared.contains(&dir) { daemon.dir().join(dir) } else { own });
    }
    second.env("PM_BIND_ADDRESS", "127.0.0.1:0").env("METRICS_ENABLED", "false");
    second
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let daemon = TempDaemon::start("processes:\n  web:\n    command: sleep 1000\n");
    let web = until_state(&daemon, "web", "running");
    let holder = format!("pid {}", daemon.pid());
    let state = daemon.dir().join("state");
    // What it would run a second time is kept in the state directory, wherever its socket is.
    for shared in [&["state", "logs", "runtime"][..], &["state", "logs"], &["state"]] {
        let refused = run(&mut second(&daemon, shared)).expect("it can be executed").failure(64);
        for part in [state.to_str().expect("a path"), &holder, "STATE_DIRECTORY"] {
            assert!(refused.contains(part), "{shared:?}: {part}: {refused}");
        }
        assert!(!refused.contains("definitions loaded"), "{shared:?}: {refused}");
    }
    let refused = run(&mut second(&daemon, &["runtime"])).expect("it can be executed").failure(64);
    assert!(refused.contains("control.sock") && refused.contains(&holder), "{refused}");
    assert_eq!(until_state(&daemon, "web", "running")["pid"], web["pid"]);
    // A look at the definitions harms nobody.
    run(second(&daemon, &["state", "logs", "runtime"]).arg("--check")).expect("executed").success();
}

/// The lock is the daemon's alone: whatever it started may outlive it.
#[test]
fn a_daemon_that_was_killed_leaves_no_lock() {
    let probe = probe();
    let mut daemon = TempDaemon::start(&format!(
        "processes:\n  family: {{command: \"{probe} child=ignore=TERM,sleep orphan sleep\", stop_timeout: 100ms}}\n"
    ));
    until_state(&daemon, "family", "running");
    let left = daemon.crash();
    assert!(!left.alive().is_empty(), "there was nothing to hold it");
    let lock = rpc::Lock::take(&daemon.dir().join("state/lock")).expect("nobody has it");
    drop(lock);
    daemon.start_again();
}

#[test]
fn a_socket_that_a_crash_left_behind_is_replaced() {
    let mut daemon = TempDaemon::start("processes: {}\n");
    daemon.kill();
    assert!(daemon.socket().exists());
    daemon.restart();
    daemon.pm(&["list"]).success();
}

#[test]
fn garbage_on_any_port_harms_nobody() {
    let daemon = TempDaemon::start("processes:\n  web:\n    command: sleep 1000\n");
    let web = until_state(&daemon, "web", "running");
    let noise: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0].wrapping_mul(167)).collect();
    for role in ["metrics", "control tcp"] {
        let mut stream = TcpStream::connect(address(&daemon, role)).expect("it accepts");
        // The daemon may close the connection in the middle of it, which is right.
        drop(stream.write_all(&noise));
    }
    let mut stream = UnixStream::connect(daemon.socket()).expect("it accepts");
    drop(stream.write_all(&noise));
    assert_eq!(until_state(&daemon, "web", "running")["pid"], web["pid"]);
    assert!(
        get(&address(&daemon, "metrics"), "/metrics").contains("ddprocmgr_process_up{process=\"web\"} 1")
    );
}
