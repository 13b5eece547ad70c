//! The two binaries themselves: their surroundings, their streams, their exit codes.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::fake::Daemon;
use crate::tables;

#[test]
fn both_names_are_the_same_program() {
    let daemon = Daemon::start(tables::table(), &[]);
    let outputs = [env!("CARGO_BIN_EXE_pm-cli"), env!("CARGO_BIN_EXE_cli")].map(|program| {
        let output = Command::new(program).arg("list").env("PM_SOCKET", daemon.socket()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        // Uptime depends on the clock, which is the real one here.
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|l| l.split_whitespace().next().unwrap().to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(outputs[0], ["NAME", "api", "db", "job", "web"]);
    assert_eq!(outputs[0], outputs[1]);
}

#[test]
fn exit_codes_reach_the_shell() {
    let daemon = Daemon::start(tables::table(), &[]);
    for (args, code) in [
        (&["stop", "web"][..], 0),
        (&["start", "db"], 1),
        (&["lits"], 2),
        (&["start", "nope"], 4),
        (&["--socket", "/nonexistent/control.sock", "list"], 5),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_pm-cli"))
            .args(args)
            .env("PM_SOCKET", daemon.socket())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert_eq!(output.stderr.is_empty(), code == 0, "{args:?}");
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let daemon = Daemon::start(tables::table(), &[]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_pm-cli"))
        .args(["describe", "web", "api"])
        .env("PM_SOCKET", daemon.socket())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}
