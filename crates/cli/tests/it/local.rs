//! Verbs about where daemons are: context, token, version, completion.

use std::fs;

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::{Transcript, run};

#[test]
fn contexts() {
    let daemon = Daemon::start(tables::table(), &[]);
    let config = daemon.dir.path().join("config");
    fs::write(daemon.dir.path().join("ca.pem"), "").unwrap();
    let ca = daemon.dir.path().join("ca.pem");
    let (ca, socket) = (ca.to_str().unwrap(), daemon.socket());
    let mut transcript = Transcript::new(&daemon);
    for line in [
        "pm-cli context list",
        "pm-cli context show",
        &format!("pm-cli context add here --socket {socket}"),
        "pm-cli context add prod --host prod-1 --token-file secret/token",
        &format!(
            "pm-cli context add secure --host prod-2:443 --tls-ca {ca} --tls-cert {ca} --tls-key {ca} --tls-server-name prod"
        ),
        "pm-cli context list",
        "pm-cli context show secure",
        "pm-cli context show secure -o yaml",
        "pm-cli context use here",
        "pm-cli is-active web",
        "PM_HOST pm-cli context use here",
        "PM_HOST pm-cli context show",
        "PM_HOST pm-cli context list",
        "pm-cli context show -o name",
        "pm-cli context list -o json",
        "pm-cli context list -o name",
        "pm-cli context use pord",
        "pm-cli --context her list",
        &format!("pm-cli context add here --socket {socket} --use"),
        "pm-cli context remove here",
        "pm-cli context remove here",
        "pm-cli context use --none",
        "pm-cli context add",
        "pm-cli context add a,b --host x",
        "pm-cli context add x",
        "pm-cli context add x --socket /x --token-file y",
        "pm-cli context add x --host a,b",
        "pm-cli context ad",
    ] {
        let mut env = vec![("XDG_CONFIG_HOME", config.to_str().unwrap())];
        let command = line.strip_prefix("PM_HOST ");
        env.extend(command.map(|_| ("PM_HOST", "other:1")));
        let (code, out, err) = run(command.unwrap_or(line), &env, None, false);
        transcript.add(line, code, &out, &err);
    }
    transcript.check("contexts");

    fs::write(config.join("dd-procmgrd/cli.yaml"), "contexts:\n  a: {hots: x}\n").unwrap();
    let (code, _, err) = run("pm-cli list", &[("XDG_CONFIG_HOME", config.to_str().unwrap())], None, false);
    assert_eq!(code, 1);
    assert!(err.contains("cli.yaml: ") && err.contains("`hots`") && err.contains("hint: "), "{err}");
}

#[test]
fn token() {
    let daemon = Daemon::start(tables::table(), &[]);
    fs::write(daemon.dir.path().join("other"), "s3cret\n").unwrap();
    let other = daemon.dir.path().join("other");
    let missing = daemon.dir.path().join("missing");
    let nowhere = daemon.dir.path().join("run");
    let mut transcript = Transcript::new(&daemon);
    transcript.run("pm-cli token path").run("pm-cli token path -o json");
    for (line, file) in [
        ("pm-cli token show", &other),
        ("pm-cli token show -o json", &other),
        ("pm-cli token show", &missing),
    ] {
        let env = [("PM_TOKEN_FILE", file.to_str().unwrap()), ("XDG_RUNTIME_DIR", nowhere.to_str().unwrap())];
        let (code, out, err) = run(line, &env, None, false);
        transcript.add(&format!("PM_TOKEN_FILE={} {line}", file.display()), code, &out, &err);
    }
    transcript
        .run("pm-cli token rotate")
        .run("pm-cli token rotate -o json")
        .run("pm-cli token")
        .check("token");
}

#[test]
fn versions_and_the_daemon() {
    let daemon = Daemon::start(tables::table(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli version")
        .run("pm-cli version -o json")
        .run("pm-cli --socket /nonexistent/s version")
        .run("pm-cli --socket /nonexistent/s version -o yaml")
        .run("pm-cli daemon status")
        .run("pm-cli daemon status -o json")
        .run("pm-cli daemon")
        .check("versions_and_the_daemon");
}
