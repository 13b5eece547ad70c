//! Lines that say which run printed them, and a record of how much of them the kernel took, for a test that kills.
//!
//! SIGKILL leaves no last words, so the record is kept beside the output: a file that after each write(2) is brought up
//! to what that write returned. A killed writer may have got up to one write more into the pipe than its record says.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::files;

/// Bytes of one write(2), about.
const BATCH: usize = 64 * 1024;
/// Where in the record the number of bytes stands; the pid is before it.
const TAKEN: u64 = 16;

/// `NAME RUN 0000001 xxx...`: the process's name and run, and the line's number. `width` is without the newline; a line
/// is longer when that is too short.
pub(crate) fn line(name: &str, run: &str, number: u64, width: usize) -> String {
    let head = format!("{name} {run} {number:07} ");
    let fill = width.saturating_sub(head.len());
    format!("{head}{}", "x".repeat(fill))
}

/// Prints so many of them. DIR/NAME.RUN has the pid as soon as it is there, and then how many bytes were taken.
pub(crate) fn print(stdout: impl AsFd, dir: &str, count: u64, width: usize) -> io::Result<()> {
    let variable = |name: &str| env::var(name).map_err(|e| io::Error::other(format!("{name}: {e}")));
    let (name, run) = (variable("PROCESS_NAME")?, variable("PROCESS_RUN")?);
    let path = Path::new(dir).join(format!("{name}.{run}"));
    files::pidfile(&path.display().to_string())?;
    let record = File::options().write(true).open(path)?;
    let mut taken = 0;
    let mut batch = Vec::with_capacity(2 * BATCH);
    for number in 1..=count {
        batch.extend_from_slice(line(&name, &run, number, width).as_bytes());
        batch.push(b'\n');
        if batch.len() >= BATCH || number == count {
            let mut rest = batch.as_slice();
            while !rest.is_empty() {
                let now = nix::unistd::write(stdout.as_fd(), rest)?;
                rest = &rest[now..];
                taken += now;
                record.write_all_at(format!("{taken:020}\n").as_bytes(), TAKEN)?;
            }
            batch.clear();
        }
    }
    Ok(())
}
