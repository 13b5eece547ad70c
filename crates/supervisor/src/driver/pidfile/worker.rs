//! The thread that watches directories and reads pidfiles.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{RunId, Wall};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::watch::{Change, Directory, Watcher};

use super::{Order, Orders, Reading};

/// How far the clock of file systems may be behind the one that told when the run began: it goes on by ticks.
const SLACK: u64 = 20_000_000;

/// A pid and what some write around it; of a longer file only the beginning is looked at.
const READ_MAX: u64 = 256;

pub(super) struct Worker {
    orders: Arc<Orders>,
    watcher: Watcher,
    files: BTreeMap<RunId, Awaited>,
    /// Who waits for something in this directory.
    places: HashMap<Directory, BTreeSet<RunId>>,
}

struct Awaited {
    path: PathBuf,
    since: Wall,
    /// Where a change is expected: the directory that is watched, and the entry in it.
    place: Option<(Directory, OsString)>,
}

impl Worker {
    pub(super) fn new(orders: Arc<Orders>, watcher: Watcher) -> Self {
        Self { orders, watcher, files: BTreeMap::new(), places: HashMap::new() }
    }

    pub(super) fn work(mut self, report: &dyn Fn(RunId, Reading)) {
        loop {
            let mut fds =
                [self.orders.wake.as_fd(), self.watcher.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            let _interrupted = poll(&mut fds, PollTimeout::NONE);
            for order in self.orders.take() {
                match order {
                    Order::Watch { run, path, since } => {
                        self.files.insert(run, Awaited { path, since, place: None });
                        self.look(run, report);
                    }
                    Order::Forget(run) => {
                        self.leave(run);
                        self.files.remove(&run);
                    }
                    Order::End => return,
                }
            }
            for run in self.changed() {
                self.look(run, report);
            }
        }
    }

    /// Whose files may have changed.
    fn changed(&self) -> BTreeSet<RunId> {
        let mut runs = BTreeSet::new();
        for change in self.watcher.take() {
            match change {
                Change::Entry(dir, name) => {
                    let waits =
                        |run: &&RunId| self.files.get(run).is_some_and(|file| file.expects(dir, &name));
                    runs.extend(self.places.get(&dir).into_iter().flatten().filter(waits));
                }
                Change::Gone(dir) => {
                    // One that was moved is watched where it is now.
                    self.watcher.remove(dir);
                    runs.extend(self.places.get(&dir).into_iter().flatten());
                }
                Change::Lost => runs.extend(self.files.keys()),
            }
        }
        runs
    }

    /// Watches first, so that nothing can change unseen after it was read.
    fn look(&mut self, run: RunId, report: &dyn Fn(RunId, Reading)) {
        self.leave(run);
        let Some(file) = self.files.get_mut(&run) else { return };
        let watched = nearest(&self.watcher, &file.path);
        if let Ok((dir, name)) = &watched {
            file.place = Some((*dir, name.clone()));
            self.places.entry(*dir).or_default().insert(run);
        }
        match (read(&file.path, file.since), watched) {
            (Some(reading), _) => report(run, reading),
            (None, Err(error)) => report(run, Reading::Unwatchable(error.to_string())),
            (None, Ok(_)) => {}
        }
    }

    /// Forgets where this run expects a change; a directory that nobody waits for is not watched.
    fn leave(&mut self, run: RunId) {
        let place = self.files.get_mut(&run).and_then(|file| file.place.take());
        let Some((dir, _)) = place else { return };
        let Some(runs) = self.places.get_mut(&dir) else { return };
        runs.remove(&run);
        if runs.is_empty() {
            self.places.remove(&dir);
            self.watcher.remove(dir);
        }
    }
}

impl Awaited {
    fn expects(&self, dir: Directory, name: &OsString) -> bool {
        self.place.as_ref().is_some_and(|(place, entry)| (place, entry) == (&dir, name))
    }
}

/// Watches the directory of a file, or the nearest one above it that is there; with the entry that leads to the file.
fn nearest(watcher: &Watcher, path: &Path) -> io::Result<(Directory, OsString)> {
    let mut below = path;
    loop {
        let (Some(dir), Some(name)) = (below.parent(), below.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not the path of a file"));
        };
        match watcher.add(dir) {
            // Made after its absence was seen and before the one above it was watched: nobody would tell.
            Ok(above) if below != path && below.is_dir() => {
                watcher.remove(above);
                below = path;
            }
            Ok(place) => return Ok((place, name.to_owned())),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                below = dir;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The pid at the beginning of a file; `None` = there is none yet.
fn read(path: &Path, since: Wall) -> Option<Reading> {
    // Looked at before it is opened: opening a device may set off something, and whoever runs as another user may have put
    // a link to one there.
    let handle = OpenOptions::new().read(true).custom_flags(OFlag::O_PATH.bits()).open(path).ok()?;
    if !handle.metadata().ok()?.is_file() {
        return None;
    }
    let file = File::open(format!("/proc/self/fd/{}", handle.as_raw_fd())).ok()?;
    let mut text = Vec::new();
    file.take(READ_MAX).read_to_end(&mut text).ok()?;
    let pid = pid_in(&text)?;
    let changed = handle.metadata().ok()?;
    let changed = u128::try_from(changed.mtime()).unwrap_or(0) * 1_000_000_000
        + u128::try_from(changed.mtime_nsec()).unwrap_or(0);
    Some(Reading::Pid { pid, fresh: changed + u128::from(SLACK) >= u128::from(since.0) })
}

/// The first line, which some pad with blanks.
fn pid_in(text: &[u8]) -> Option<u32> {
    let line = text.split(|byte| *byte == b'\n').next()?.trim_ascii();
    let digits = line.iter().all(u8::is_ascii_digit);
    let pid = std::str::from_utf8(line).ok()?.parse().ok()?;
    (digits && pid > 0).then_some(pid)
}

#[cfg(test)]
mod tests;
