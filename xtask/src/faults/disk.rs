//! The disk is full, and after a while it is not.
//!
//! With `overflow: block` whoever prints waits, and nobody else: crashed children come back, calls are answered. What
//! can't be stored is refused. Once there is space again every line is there.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::Account;

use super::Size;
use super::bed::{Bed, counter, many};
use super::mount::Mount;
use super::printed;
use super::report::{Report, needs_root};
use super::watch::Watch;

const CHILDREN: usize = 4;
const WIDTH: usize = 99;
/// Of the file system, and of what fills it beside the logs.
const SPACE: usize = 64 << 20;
const BALLAST: usize = 48 << 20;

pub(crate) fn run(size: &Size) -> Result<Report> {
    needs_root("mount a small file system")?;
    // 40 MB, more than the 16 that are left.
    let lines: u64 = 100_000;
    let full = size.of(Duration::from_secs(3), Duration::from_secs(60));
    let small = tempfile::Builder::new().prefix("pm-disk-").tempdir()?;
    let mount = Mount::tmpfs(small.path(), &format!("size={SPACE}"))?;
    for dir in ["logs", "state"] {
        fs::create_dir(small.path().join(dir))?;
    }
    let ballast = small.path().join("ballast");
    fs::write(&ballast, vec![b'x'; BALLAST])?;
    let log = "log: {max_size: 0, overflow: block}";
    let printers = many(
        CHILDREN,
        &format!("{{command: PROBE, args: [width={WIDTH}, 'account={lines}:DIR', sleep], {log}}}"),
    );
    let crasher = "  crasher: {command: PROBE sleep=100ms exit=1, log: {file: false, journald: false}}\n";
    let at = |dir: &str| small.path().join(dir).display().to_string();
    let bed = Bed::with(&(printers + crasher), |b| {
        b.env("LOGS_DIRECTORY", at("logs")).env("STATE_DIRECTORY", at("state"))
    })?;
    let logs = small.path().join("logs");
    bed.until("the disk to be full", || {
        let exposition = bed.scrape()?;
        Ok((0..CHILDREN).any(|n| Account::of(&exposition, &format!("p{n}")).sink("file").errors > 0))
    })?;
    let watch = Watch::start(&bed)?;
    let crashes = |bed: &Bed| -> Result<u64> {
        Ok(counter(&bed.scrape()?, "ddprocmgr_process_restarts_total", "crasher"))
    };
    let before = crashes(&bed)?;
    // The last free byte, wherever it was left.
    let fill = fs::write(small.path().join("rest"), vec![b'x'; 1 << 20]);
    ensure!(fill.is_err(), "the disk isn't full");
    let text = "x".repeat(8_000);
    let create = bed.pm(&["create", "late", "--env", &format!("X={text}"), "--", "/bin/sleep", "1000"]);
    ensure!(create.code != 0, "a definition was stored on a full disk: {create}");
    ensure!(create.stderr.contains("No space left"), "the reason isn't said: {create}");
    ensure!(bed.process("late").is_none(), "a definition that could not be stored is there");
    std::thread::sleep(full);
    let meanwhile = crashes(&bed)? - before;
    ensure!(meanwhile > 0, "nobody was restarted while the disk was full");
    let calls = watch.end_within(Duration::from_secs(10))?;
    for file in ["rest", "ballast"] {
        fs::remove_file(small.path().join(file))?;
    }
    let accounts = printed::all(&bed, &printed::names("p", CHILDREN), lines, WIDTH, &logs)?;
    let errors: u64 = accounts.iter().map(|account| account.sink("file").errors).sum();
    ensure!(
        bed.pm(&["create", "late", "--", "/bin/sleep", "1000"]).code == 0,
        "nothing can be stored afterwards"
    );
    bed.stop_all()?;
    bed.end()?;
    mount.end();
    Ok(Report::load(format!(
        "{} lines from {CHILDREN} children, full for {} s",
        lines * CHILDREN as u64,
        full.as_secs()
    ))
    .and(format!("{errors} writes failed, 0 lines lost"))
    .and(format!("{meanwhile} restarts of another meanwhile; a definition refused with the reason"))
    .and(calls.to_string()))
}
