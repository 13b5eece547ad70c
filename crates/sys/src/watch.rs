//! Changes in directories, by inotify(7).

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Watches directories for new and changed entries. Readable when something happened.
#[derive(Debug)]
pub struct Watcher(OwnedFd);

/// A watched directory; the same one for every path that leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Directory(i32);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This entry was created, moved here, written to, or closed after writing.
    Entry(Directory, OsString),
    /// The directory itself was removed, moved away or unmounted; what its path leads to now is not watched.
    Gone(Directory),
    /// Too much at once: anything may have happened anywhere.
    Lost,
}

impl Watcher {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// EMFILE at fs.inotify.max_user_instances, too.
    pub fn new() -> io::Result<Self> {
        Ok(Self(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?))
    }

    /// Watches a directory, which may be watched already.
    ///
    /// # Errors
    /// NotFound, NotADirectory; ENOSPC at fs.inotify.max_user_watches.
    pub fn add(&self, dir: &Path) -> io::Result<Directory> {
        let entries =
            WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        Ok(inotify::add_watch(&self.0, dir, entries | itself).map(Directory)?)
    }

    /// Watches it no more. What happened before is still told.
    pub fn remove(&self, dir: Directory) {
        let _gone_already = inotify::remove_watch(&self.0, dir.0);
    }

    /// Everything that happened since the last call. Never waits.
    pub fn take(&self) -> Vec<Change> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.0, &mut buffer);
        let mut changes = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let dir = Directory(event.wd());
                    if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                        changes.push(Change::Lost);
                    } else if let Some(name) = event.file_name() {
                        changes.push(Change::Entry(dir, OsString::from_vec(name.to_bytes().to_owned())));
                    } else {
                        changes.push(Change::Gone(dir));
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return changes,
            }
        }
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn entries_are_told_by_name_and_place() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let watcher = Watcher::new().unwrap();
        let (first, second) = (watcher.add(one.path()).unwrap(), watcher.add(two.path()).unwrap());
        assert_ne!(first, second);
        assert_eq!(watcher.add(&one.path().join(".")).unwrap(), first);
        assert_eq!(watcher.take(), []);
        fs::write(one.path().join("a"), "1").unwrap();
        fs::rename(one.path().join("a"), two.path().join("b")).unwrap();
        let changes = watcher.take();
        assert!(changes.contains(&Change::Entry(first, "a".into())), "{changes:?}");
        assert!(changes.contains(&Change::Entry(second, "b".into())), "{changes:?}");
        watcher.remove(first);
        watcher.take();
        fs::write(one.path().join("c"), "1").unwrap();
        assert_eq!(watcher.take(), []);
    }

    #[test]
    fn a_file_that_stays_open_is_told_as_well() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let watcher = Watcher::new().unwrap();
        let place = watcher.add(dir.path()).unwrap();
        let mut file = fs::File::create(dir.path().join("pid")).unwrap();
        watcher.take();
        file.write_all(b"1\n").unwrap();
        assert_eq!(watcher.take(), [Change::Entry(place, "pid".into())]);
    }

    #[test]
    fn what_is_gone_is_told_and_what_is_not_there_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (below, file) = (dir.path().join("below"), dir.path().join("file"));
        let watcher = Watcher::new().unwrap();
        assert_eq!(watcher.add(&below).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&file, "").unwrap();
        assert_eq!(watcher.add(&file).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        fs::create_dir(&below).unwrap();
        let place = watcher.add(&below).unwrap();
        fs::remove_dir(&below).unwrap();
        assert!(watcher.take().contains(&Change::Gone(place)));
    }
}
