//! Lines that say which run printed them, and a record of how much of them the kernel took, for a test that kills.
//!
//! SIGKILL leaves no last words, so the record is kept beside the output: a file that after each write(2) is brought up
//! to what that write returned. A killed writer may have got up to one write more into the pipe than its record says.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;
use std::{env, io, thread};

use testkit::printed::{LARGEST_WRITE, TAKEN_OFFSET, line, record};

use crate::files;

/// Prints so many lines, with a pause after each write(2).
pub(crate) fn print(
    stdout: impl AsFd,
    dir: &str,
    count: u64,
    width: usize,
    pause: Duration,
) -> io::Result<()> {
    let variable = |name: &str| env::var(name).map_err(|e| io::Error::other(format!("{name}: {e}")));
    let (name, run) =
        (variable("PROCESS_NAME")?, variable("PROCESS_RUN")?.parse().map_err(io::Error::other)?);
    let path = record(Path::new(dir), &name, run);
    files::pidfile(&path.display().to_string())?;
    let record = File::options().write(true).open(path)?;
    let mut taken = 0;
    let mut batch = Vec::with_capacity(LARGEST_WRITE);
    for number in 1..=count {
        batch.extend_from_slice(line(&name, run, number, width).as_bytes());
        batch.push(b'\n');
        if batch.len() + width >= LARGEST_WRITE || number == count {
            let mut rest = batch.as_slice();
            while !rest.is_empty() {
                let now = nix::unistd::write(stdout.as_fd(), rest)?;
                rest = &rest[now..];
                taken += now;
                record.write_all_at(format!("{taken:020}\n").as_bytes(), TAKEN_OFFSET)?;
            }
            batch.clear();
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
    }
    Ok(())
}
