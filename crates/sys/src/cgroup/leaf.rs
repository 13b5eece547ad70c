//! The cgroup of one run.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// A group and everything in it. Dropping it closes the descriptors; [`Leaf::remove`] removes the group.
#[derive(Debug)]
pub struct Leaf {
    pub(super) path: PathBuf,
    dir: File,
    events: File,
    /// Where the kernel counts what it did for lack of memory, if it accounts for memory in here.
    memory: Option<File>,
}

impl Leaf {
    pub(super) fn create(path: PathBuf, accounts_memory: bool) -> io::Result<Self> {
        fs::create_dir(&path)?;
        Self::open(path, accounts_memory)
    }

    fn open(path: PathBuf, accounts_memory: bool) -> io::Result<Self> {
        let dir = File::open(&path)?;
        let events = File::open(path.join("cgroup.events"))?;
        let memory = accounts_memory.then(|| File::open(path.join("memory.events"))).transpose()?;
        if let Some(memory) = &memory {
            // A file that was never read polls as changed: without this each start would wake up whoever watches it.
            memory.read_at(&mut [0; 1], 0)?;
        }
        Ok(Self { path, dir, events, memory })
    }

    /// A descriptor that polls as EPOLLPRI when [`Leaf::oom_kills`] may have changed; `None` = nobody counts.
    #[must_use]
    pub fn memory_events(&self) -> Option<BorrowedFd<'_>> {
        self.memory.as_ref().map(AsFd::as_fd)
    }

    /// How many of its processes the kernel has killed so far because memory ran out: by its own limit, by one above it, or
    /// for the whole machine. `None` = nobody counts.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn oom_kills(&self) -> io::Result<Option<u64>> {
        let Some(memory) = &self.memory else { return Ok(None) };
        let mut text = [0; 256];
        match memory.read_at(&mut text, 0) {
            Ok(n) => Ok(Some(killed(text.get(..n).unwrap_or_default()))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The directory, for a spawn.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// A descriptor that polls as EPOLLPRI when [`Leaf::populated`] may have changed.
    #[must_use]
    pub fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// SIGKILL to all of it, sub-groups included, in one go: nothing can fork its way out.
    ///
    /// # Errors
    /// Unsupported before Linux 5.14: signal [`Leaf::pids`] until there are none.
    pub fn kill(&self) -> io::Result<()> {
        match fs::write(self.path.join("cgroup.kill"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.path.exists() => {
                Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "the kernel has no cgroup.kill: Linux 5.14 or newer is needed",
                ))
            }
            // A group that is gone holds nothing to kill.
            Err(error) if is_gone(&error) => Ok(()),
            done => done,
        }
    }

    /// Everything alive in it, sub-groups included. Zombies whose threads have all ended are not listed.
    ///
    /// # Errors
    /// None that tells of the processes; descriptors may run out.
    pub fn pids(&self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        collect(&self.path, &mut pids)?;
        Ok(pids)
    }

    /// Whether anything in it is alive, sub-groups included.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn populated(&self) -> io::Result<bool> {
        let mut text = [0; 128];
        match self.events.read_at(&mut text, 0) {
            Ok(n) => Ok(is_populated(text.get(..n).unwrap_or_default())),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes it with the sub-groups that the run may have made. No error when it is gone already.
    ///
    /// # Errors
    /// ResourceBusy while something is in it, if only for the moment that a dying process takes.
    pub fn remove(&self) -> io::Result<()> {
        remove(&self.path)
    }
}

fn killed(events: &[u8]) -> u64 {
    let line = events.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"oom_kill "));
    line.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0)
}

fn is_populated(events: &[u8]) -> bool {
    events.split(|b| *b == b'\n').any(|line| line == b"populated 1")
}

/// ENODEV: it was removed while we had it open.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ENODEV as i32)
}

fn collect(dir: &Path, pids: &mut Vec<u32>) -> io::Result<()> {
    match fs::read_to_string(dir.join("cgroup.procs")) {
        Ok(list) => pids.extend(list.lines().filter_map(|pid| pid.parse::<u32>().ok())),
        // A threaded sub-group: its processes are listed by the group above it.
        Err(error) if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => {}
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    }
    subgroups(dir)?.iter().try_for_each(|dir| collect(dir, pids))
}

fn remove(dir: &Path) -> io::Result<()> {
    subgroups(dir)?.iter().try_for_each(|dir| remove(dir))?;
    match fs::remove_dir(dir) {
        Err(error) if is_gone(&error) => Ok(()),
        done => done,
    }
}

fn subgroups(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let dirs = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(dirs.map(|entry| entry.path()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories with the same files; what only the kernel can do (removing a directory with files in it, polling)
    /// is not shown here.
    fn leaf() -> (tempfile::TempDir, Leaf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        fs::write(path.join("cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        fs::write(path.join("cgroup.procs"), "12\n345\n").unwrap();
        fs::create_dir_all(path.join("sub/below")).unwrap();
        fs::write(path.join("sub/cgroup.procs"), "").unwrap();
        fs::write(path.join("sub/below/cgroup.procs"), "6\n").unwrap();
        (dir, Leaf::open(path, false).unwrap())
    }

    #[test]
    fn the_pids_of_sub_groups_count() {
        let (_dir, leaf) = leaf();
        assert_eq!(leaf.pids().unwrap(), [12, 345, 6]);
    }

    #[test]
    fn populated_is_read_anew() {
        let (dir, leaf) = leaf();
        assert!(leaf.populated().unwrap());
        fs::write(dir.path().join("cgroup.events"), "frozen 0\npopulated 0\n").unwrap();
        assert!(!leaf.populated().unwrap());
        assert!(!is_populated(b"populated 10\n"));
    }

    #[test]
    fn kills_are_counted_where_memory_is_accounted_for() {
        let (dir, leaf) = leaf();
        assert_eq!(leaf.oom_kills().unwrap(), None);
        assert!(leaf.memory_events().is_none());
        let path = dir.path().to_owned();
        assert!(Leaf::open(path.clone(), true).is_err(), "promised and not there");
        fs::write(path.join("memory.events"), "low 0\nhigh 7\nmax 3\noom 2\noom_kill 2\noom_group_kill 1\n")
            .unwrap();
        let leaf = Leaf::open(path.clone(), true).unwrap();
        assert_eq!(leaf.oom_kills().unwrap(), Some(2));
        fs::write(path.join("memory.events"), "oom_kill 12\n").unwrap();
        assert_eq!(leaf.oom_kills().unwrap(), Some(12), "read anew");
        assert_eq!(killed(b"oom 5\noom_group_kill 1\n"), 0);
    }

    #[test]
    fn what_is_gone_is_empty() {
        let (dir, leaf) = leaf();
        dir.close().unwrap();
        assert_eq!(leaf.pids().unwrap(), []);
        leaf.kill().unwrap();
        leaf.remove().unwrap();
    }

    #[test]
    fn removing_starts_at_the_bottom() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::create_dir_all(top.join("c")).unwrap();
        remove(&top).unwrap();
        assert!(!top.exists());
    }
}
