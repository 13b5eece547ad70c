//! One daemon to a state directory: a second one would start everything that is kept there once more, and write into the
//! same counts.
//!
//! The control socket's lock does not hold that: it is one to a runtime directory. Both are taken before anything is read
//! or started, this one first.

use std::path::Path;

use anyhow::{Result, bail};
use rpc::{Lock, LockError};

/// Takes the lock of a state directory, to be held for the daemon's life. `None` where no file can be made in it: then
/// nothing is kept there either.
pub(crate) fn take(state_dir: &Path) -> Result<Option<Lock>> {
    match Lock::take(&state_dir.join("lock")) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Held { pid }) => bail!(
            "another dd-procmgrd (pid {pid}) already keeps its state in {}, and would run every process of it beside this \
             one\n\nhint: stop it first, or give this one directories of its own (STATE_DIRECTORY, LOGS_DIRECTORY, \
             RUNTIME_DIRECTORY)",
            state_dir.display()
        ),
        Err(LockError::Io(error)) => {
            tracing::warn!("{} can't be locked against a second daemon: {error}", state_dir.display());
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_where_who_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let held = take(dir.path()).unwrap();
        assert!(held.is_some());
        let error = take(dir.path()).unwrap_err().to_string();
        for part in [dir.path().to_str().unwrap(), &format!("pid {}", std::process::id()), "STATE_DIRECTORY"]
        {
            assert!(error.contains(part), "{part}: {error}");
        }
        drop(held);
        assert!(take(dir.path()).unwrap().is_some());
    }

    #[test]
    fn a_directory_that_takes_no_file_is_no_reason_not_to_start() {
        // Nobody can make a file in there, not even root.
        assert!(take(Path::new("/proc/self")).unwrap().is_none());
    }
}
