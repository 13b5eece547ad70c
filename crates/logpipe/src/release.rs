//! Deleting large files without waiting for it.
//!
//! unlink(2) of a file that nobody has open frees its pages before it returns, some 5 ms for 50 MiB: with rotation at full
//! speed a fifth of the log thread's time. A descriptor puts that off to its close, which a short-lived thread does.
//! What is deleted is gone from its directory at once all the same.
//!
//! Bound: 4 such threads; beyond that the caller waits for its own close.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::Builder;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

const THREADS_MAX: usize = 4;

/// Files that are deleted, or about to be.
#[derive(Debug, Default)]
pub(crate) struct Releaser {
    held: Vec<OwnedFd>,
}

/// One clone for each thread that runs.
static RUNNING: std::sync::LazyLock<Arc<()>> = std::sync::LazyLock::new(Arc::default);

impl Releaser {
    /// Keeps the pages of this file until the end, whatever becomes of its name. One that can't be opened isn't kept.
    pub(crate) fn hold(&mut self, dir: &OwnedFd, name: &OsStr) {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        self.held.extend(openat(dir, name, flags, Mode::empty()));
    }
}

impl Drop for Releaser {
    fn drop(&mut self) {
        let held = std::mem::take(&mut self.held);
        let running = Arc::clone(&RUNNING);
        if held.is_empty() || Arc::strong_count(&running) > THREADS_MAX + 1 {
            return;
        }
        // A thread that can't be had drops what it was given here.
        drop(Builder::new().name("release".into()).spawn(move || {
            drop(held);
            drop(running);
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use nix::sys::stat::fstat;

    use super::*;

    #[test]
    fn what_is_held_leaves_its_directory_at_once_and_its_pages_stay_until_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.log.1");
        std::fs::write(&path, "lines\n").unwrap();
        let at = OwnedFd::from(File::open(dir.path()).unwrap());
        let mut releaser = Releaser::default();
        releaser.hold(&at, OsStr::new("web.log.1"));
        releaser.hold(&at, OsStr::new("nothing"));
        std::fs::remove_file(&path).unwrap();
        assert!(!path.exists());
        let held: Vec<_> = releaser.held.iter().map(|file| fstat(file).unwrap()).collect();
        assert_eq!(held.iter().map(|stat| (stat.st_nlink, stat.st_size)).collect::<Vec<_>>(), [(0, 6)]);
    }
}
