//! No process and no thread can be made: EAGAIN of clone(2), by RLIMIT_NPROC of a user that nobody else is.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use testkit::binary;

use super::Size;
use super::bed::Bed;
use super::report::{NotRun, Report, needs_root};
use super::starve::{Limit, processes, starve};

/// A user without a name, and without other processes.
const NOBODY_ELSE: &str = "61234";
/// Makes everything in the daemon's directory that user's, and becomes the daemon.
const LAUNCHER: &str = "chown -R UID:UID . && exec setpriv --reuid=UID --regid=UID --clear-groups -- \"$@\"";

pub(crate) fn run(size: &Size) -> Result<Report> {
    needs_root("run the daemon as a user that has no other process")?;
    let daemon = binary("dd-procmgrd")?;
    let mut look = Command::new("setpriv");
    look.args(["--reuid", NOBODY_ELSE, "--regid", NOBODY_ELSE, "--clear-groups", "test", "-x"]).arg(&daemon);
    if !look.status().context("setpriv(1) can't be executed; it is in util-linux")?.success() {
        return Err(NotRun(format!(
            "another user can't execute {}: set CARGO_TARGET_DIR to a directory that is open",
            daemon.display()
        ))
        .into());
    }
    let lasts = size.of(Duration::from_secs(3), Duration::from_secs(60));
    let lines = size.of(40_000, 400_000);
    let launcher = LAUNCHER.replace("UID", NOBODY_ELSE);
    let open = tempfile::Builder::new()
        .prefix("pm-open-")
        .permissions(std::fs::Permissions::from_mode(0o777))
        .tempdir()?;
    // The mode above is cut by the umask.
    std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o777))?;
    let text = processes(lines);
    let bed = Bed::in_files(open, &text, |b| b.launcher(&["/bin/sh", "-c", &launcher, "launcher"]))?;
    let limit = Limit {
        option: "--nproc",
        name: "Max processes",
        said: &["Resource temporarily unavailable", "EAGAIN", "the limit of processes is reached"],
        user: Some(NOBODY_ELSE),
    };
    let starved = starve(&bed, &limit, 1, lasts, lines)?;
    bed.stop_all()?;
    bed.end()?;
    Ok(Report::load(format!(
        "24 children, 12 of them killed while clone(2) failed for {} s",
        lasts.as_secs()
    ))
    .and(format!("all up again after {} ms, {lines} lines of another, 0 lost", starved.recovered.as_millis()))
    .and(starved.calls.to_string()))
}
