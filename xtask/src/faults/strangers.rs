//! A local user who is nobody special, with a daemon of root's: he may look, and nothing else, over the socket or over TCP.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use testkit::{binary, run as finish};

use super::Size;
use super::bed::Bed;
use super::report::{NotRun, Report, needs_root};

/// A user without a name and without a group that anything belongs to.
const STRANGER: &str = "61236";

pub(crate) fn run(_size: &Size) -> Result<Report> {
    needs_root("become another user")?;
    let program = binary("pm-cli")?;
    let bed = Bed::start("  web: {command: PROBE sleep, env: {API_TOKEN: hunter2-is-secret}}\n")?;
    bed.until_all(&["running"])?;
    // Such as /run is: everybody may pass.
    for dir in [bed.dir().to_owned(), bed.dir().join("runtime")] {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
    }
    let port = bed.listener("control tcp")?.to_string();
    let socket = bed.socket().display().to_string();
    let pid = bed.wait_for_state("web", "running")["pid"].clone();
    let stranger = |over: &[&str], words: &[&str]| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", STRANGER, "--regid", STRANGER, "--clear-groups", "--"])
            .arg(&program)
            .args(over)
            .args(words);
        finish(command.env_clear().env("HOME", "/nonexistent").env("PATH", "/usr/bin:/bin"))
    };
    let look = stranger(&["--socket", &socket], &["list"])
        .context("setpriv(1) can't be executed; it is in util-linux")?;
    if look.stderr.contains("failed to execute") {
        return Err(NotRun(format!(
            "another user can't execute {}: set CARGO_TARGET_DIR to a directory that is open",
            program.display()
        ))
        .into());
    }
    ensure!(look.code == 0 && look.stdout.contains("web"), "a viewer can't look: {look}");
    let mut refused = 0;
    for over in [&["--socket", socket.as_str()][..], &["--host", port.as_str()]] {
        for words in [
            &["stop", "web"][..],
            &["start", "web"],
            &["restart", "web"],
            &["reload", "web"],
            &["kill", "web"],
            &["delete", "web"],
            &["disable", "web"],
            &["reset", "web"],
            &["update", "web", "--restart", "never"],
            &["create", "evil", "--auto-start", "--", "/bin/sh", "-c", "id > /tmp/owned"],
            &["create", "evil", "--user", "root", "--", "/bin/sh"],
            &["reload-config"],
            &["reopen-logs"],
            &["logs", "web"],
            &["token", "show"],
        ] {
            let answer = stranger(over, words)?;
            ensure!(answer.code != 0, "a stranger may: {answer}");
            refused += 1;
        }
        for words in [&["describe", "web"][..], &["cat", "web"], &["list", "--output", "json"]] {
            let answer = stranger(over, words)?;
            ensure!(
                !answer.stdout.contains("hunter2") && !answer.stderr.contains("hunter2"),
                "a stranger sees a secret: {answer}"
            );
        }
    }
    ensure!(bed.wait_for_state("web", "running")["pid"] == pid, "web was touched");
    ensure!(bed.process("evil").is_none(), "a stranger's process is defined");
    bed.end()?;
    Ok(Report::load("a user without rights, over the socket and over TCP")
        .and(format!("{refused} commands refused, lists answered, no secret shown")))
}
