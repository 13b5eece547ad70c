//! The directories of logs and state become read-only, as after an error of the file system, and then are themselves again.
//!
//! A read-only file system is put on top of them: a file that is open goes on, what has to be made anew can't be.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::Size;
use super::bed::{Bed, counter};
use super::mount::Mount;
use super::printed;
use super::report::{Report, needs_root};
use super::watch::Watch;

const WIDTH: usize = 99;

pub(crate) fn run(size: &Size) -> Result<Report> {
    needs_root("mount a read-only file system")?;
    let lines: u64 = size.of(40_000, 400_000);
    let lasts = size.of(Duration::from_secs(3), Duration::from_secs(30));
    let bed = Bed::start(&format!(
        "  printer: {{command: PROBE, args: [width={WIDTH}, every=20ms, 'account={lines}:DIR', sleep], log: {{max_size: 1MiB, max_files: 1000}}}}\n  \
         crasher: {{command: PROBE text=oh sleep=50ms exit=1}}\n"
    ))?;
    let crashes = |bed: &Bed| -> Result<u64> {
        Ok(counter(&bed.scrape()?, "ddprocmgr_process_restarts_total", "crasher"))
    };
    bed.until("some crashes", || Ok(crashes(&bed)? > 3))?;
    let watch = Watch::start(&bed)?;
    let mounts = [Mount::tmpfs(&bed.logs(), "ro")?, Mount::tmpfs(&bed.dir().join("state"), "ro")?];
    let before = crashes(&bed)?;
    // Whoever looks for his file again doesn't find it.
    ensure!(bed.pm(&["reopen-logs"]).code == 0, "reopen-logs was refused");
    let create = bed.pm(&["create", "late", "--", "/bin/sleep", "1000"]);
    ensure!(
        create.code != 0 && create.stderr.contains("Read-only"),
        "a definition on a read-only disk: {create}"
    );
    ensure!(bed.process("late").is_none(), "a definition that could not be stored is there");
    std::thread::sleep(lasts);
    let meanwhile = crashes(&bed)? - before;
    ensure!(meanwhile > 0, "nobody was restarted while the disk was read-only");
    for mount in mounts {
        mount.end();
    }
    let accounts = printed::all(&bed, &["printer".to_owned()], lines, WIDTH, &bed.logs())?;
    let errors: u64 = accounts.iter().map(|account| account.sink("file").errors).sum();
    let calls = watch.end_within(Duration::from_secs(10))?;
    ensure!(
        bed.pm(&["create", "late", "--", "/bin/sleep", "1000"]).code == 0,
        "nothing can be stored afterwards"
    );
    let counted = crashes(&bed)?;
    let mut bed = bed;
    bed.restart();
    ensure!(crashes(&bed)? >= counted, "restarts were forgotten: {counted} before the daemon's restart");
    ensure!(bed.process("late").is_some(), "what was created is gone");
    bed.stop_all()?;
    bed.end()?;
    Ok(Report::load(format!("{lines} lines, read-only for {} s", lasts.as_secs()))
        .and(format!("{errors} writes failed, 0 lines lost"))
        .and(format!("{meanwhile} restarts of another meanwhile; a definition refused with the reason"))
        .and(calls.to_string()))
}
