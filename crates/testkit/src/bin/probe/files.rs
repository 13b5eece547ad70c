//! Files by which a test and the probe wait for each other.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;
use std::{process, thread};

/// Waits until the file exists.
pub(crate) fn wait(path: &str) -> io::Result<()> {
    while !Path::new(path).try_exists()? {
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Makes the file, or leaves it as it is.
pub(crate) fn touch(path: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path).map(drop)
}

/// Adds a line in one write(2), so that several processes may use the same file.
pub(crate) fn append(path: &str, line: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(format!("{line}\n").as_bytes())
}

/// The exit code that the file holds.
pub(crate) fn code(path: &str) -> io::Result<u8> {
    fs::read_to_string(path)?.trim().parse().map_err(io::Error::other)
}

/// Writes the own pid, under another name first: nobody sees half of it.
pub(crate) fn pidfile(path: &str) -> io::Result<()> {
    write_pid(path, process::id())
}

pub(crate) fn write_pid(path: &str, pid: u32) -> io::Result<()> {
    let new = format!("{path}.new");
    fs::write(&new, format!("{pid}\n"))?;
    fs::rename(new, path)
}
