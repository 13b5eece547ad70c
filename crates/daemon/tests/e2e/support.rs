//! Questions that most tests ask.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use testkit::{TempDaemon, eventually};

/// The path of the misbehaving child.
pub(crate) fn probe() -> String {
    testkit::binary("probe").unwrap_or_else(|e| panic!("{e}")).display().to_string()
}

/// One process as `pm-cli list --output json` shows it.
pub(crate) fn process(daemon: &TempDaemon, name: &str) -> Option<Value> {
    let list = daemon.pm(&["list", "--output", "json"]).json();
    list["processes"].as_array().expect("a list").iter().find(|p| p["name"] == name).cloned()
}

/// Waits until the process is in this state, and returns it.
#[track_caller]
pub(crate) fn until_state(daemon: &TempDaemon, name: &str, state: &str) -> Value {
    eventually(&format!("{name} to be {state}"), || process(daemon, name).filter(|p| p["state"] == state))
}

/// The pid of a running process.
#[track_caller]
pub(crate) fn pid(process: &Value) -> i32 {
    i32::try_from(process["pid"].as_i64().expect("a pid")).expect("a small number")
}

/// Waits until a log file of the daemon holds this text, and returns all of it.
#[track_caller]
pub(crate) fn until_logged(daemon: &TempDaemon, file: &str, text: &str) -> String {
    let path = daemon.logs().join(file);
    eventually(&format!("{text:?} in {}", path.display()), || {
        std::fs::read_to_string(&path).ok().filter(|content| content.contains(text))
    })
}

/// What the last load of the definitions complained about, as `pm-cli status` shows it.
#[track_caller]
pub(crate) fn load_problems(daemon: &TempDaemon) -> String {
    let status = daemon.pm(&["status", "--output", "json"]).json();
    status["last_reload"]["problems"].to_string()
}

/// The address of a listener, from `pm-cli status`.
#[track_caller]
pub(crate) fn address(daemon: &TempDaemon, role: &str) -> String {
    eventually(&format!("{role} to listen"), || {
        let status = daemon.pm(&["status", "--output", "json"]).json();
        let listeners = status["listeners"].as_array().expect("a list").clone();
        let found = listeners.into_iter().find(|l| l["role"] == role && l["state"] == "listening");
        found.map(|l| l["address"].as_str().expect("a text").to_owned())
    })
}

/// GET over HTTP/1.0: header and body.
pub(crate) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the port accepts");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n\r\n").expect("a request can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    answer
}

/// The value of one series, as text.
pub(crate) fn series(exposition: &str, name: &str) -> Option<String> {
    let line = exposition.lines().find(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next().map(str::to_owned)
}

/// Whether a process exists and is no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z')))
}
