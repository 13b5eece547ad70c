//! A lock on a file that one daemon holds for its life, with its pid in it for the one that comes second.
//!
//! The kernel drops the lock with its holder, however that ends: there is no pid file that could be stale. The file is
//! never removed: a lock on a removed file protects nothing. Descriptors are close-on-exec, so that no child holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    /// Not by closing alone: a child that another thread forked has the descriptor until it executes its program, and would hold
    /// the lock that long.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!("a lock is given back when its file is closed: {error}");
        }
    }
}

/// Why it can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it.
    #[error("it is held by another one (pid {pid})")]
    Held {
        /// Who, as written in the file; `unknown` when that says nothing.
        pid: String,
    },
    /// The system refused.
    #[error("{0}")]
    Io(io::Error),
}

impl Lock {
    /// Takes the lock on this file, which is made where it is not there, and writes the own pid into it.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
            .open(path)
            .map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held { pid: holder(file) }),
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        write_pid(&mut file).map_err(LockError::Io)?;
        Ok(Self(file))
    }
}

/// The holder may be about to write it, or may have written something else: then the pid is unknown.
fn holder(file: File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    let pid = read.ok().and_then(|_| text.trim().parse::<u32>().ok());
    pid.map_or("unknown".to_owned(), |pid| pid.to_string())
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", process::id())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_at_a_time_has_it_and_the_next_one_learns_who() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        // What an earlier holder wrote is no lock.
        fs::write(&path, "12345678901234567890 and more\n").unwrap();
        let held = Lock::take(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        assert!(
            matches!(Lock::take(&path), Err(LockError::Held { pid }) if pid == process::id().to_string())
        );
        fs::write(&path, "\x1b[2J").unwrap();
        assert!(matches!(Lock::take(&path), Err(LockError::Held { pid }) if pid == "unknown"));
        drop(held);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join("lock"), dir.path().join("precious"));
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(matches!(Lock::take(&path), Err(LockError::Io(_))));
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }
}
