//! What shells are told, and the shells themselves where they are there.

use std::path::Path;
use std::process::Command;

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::{Transcript, context};

/// What is completed behind this line.
fn complete(daemon: &Daemon, line: &str) -> String {
    let socket = daemon.socket();
    let mut context = context("pm-cli __complete --", &[("PM_SOCKET", &socket)], None, false);
    context.args.push(line.into());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(cli::run(&context, &mut out, &mut err), 0);
    assert_eq!(String::from_utf8_lossy(&err), "");
    String::from_utf8(out).unwrap()
}

#[test]
fn completions() {
    let daemon = Daemon::start(tables::crowd(), &[]);
    let mut transcript = Transcript::new(&daemon);
    for line in [
        "pm-cli sta",
        "pm-cli start w",
        "pm-cli start @",
        "pm-cli start web --no",
        "pm-cli edit w",
        "pm-cli list --state cra",
        "pm-cli list --state=running,cra",
        "pm-cli list --group ",
        "pm-cli completion ",
        "pm-cli token ",
        "pm-cli --socket /tmp/x",
        "pm-cli create x /bin/",
        "pm-cli --socket /nonexistent/s start ",
        "pm-cli nope ",
    ] {
        let out = complete(&daemon, line);
        transcript.add(&format!("{line}<TAB>"), 0, &out, "");
    }
    transcript.check("completions");
}

#[test]
fn names_that_act_on_a_terminal_stay_words() {
    let daemon = Daemon::start(tables::hostile(), &[]);
    let out = complete(&daemon, "pm-cli start ");
    assert!(!out.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{out:?}");
}

/// Asks bash itself, with the function of the script and the variables that bash sets.
fn in_bash(daemon: &Daemon, line: &str) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/completions/pm-cli.bash");
    let text = format!(
        "source '{}'; COMP_LINE=$1; COMP_POINT=${{#1}}; _pm_cli '{}' 2>/dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        env!("CARGO_BIN_EXE_pm-cli")
    );
    let output = Command::new("bash")
        .args(["--norc", "-c", &text, "bash", line])
        .env("PM_SOCKET", daemon.socket())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_gets_what_is_left_behind_its_word_breaks() {
    let daemon = Daemon::start(tables::crowd(), &[]);
    assert_eq!(in_bash(&daemon, "pm-cli desc"), ["describe"]);
    assert_eq!(in_bash(&daemon, "pm-cli completion z"), ["zsh"]);
    assert_eq!(in_bash(&daemon, "pm-cli list --state=cra"), ["crash_loop"]);
    assert!(in_bash(&daemon, "pm-cli start @").contains(&"all".to_owned()));
    assert!(in_bash(&daemon, "pm-cli start w").contains(&"web".to_owned()));
    assert_eq!(in_bash(&daemon, "pm-cli nope "), Vec::<String>::new());
}
