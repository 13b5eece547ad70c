//! Compressing rotated files: one thread of the lowest priority for the whole pipeline, there once it is needed.
//!
//! An archive is compressed into a hidden draft beside it, which gets its name (`.gz`) when it is whole and on the disk;
//! only then the plain one goes. A crash at any point leaves the plain one, or both, and then the plain one counts; the
//! draft is deleted when that log file is looked at again: at start, and after each rotation. A full disk does the same.
//!
//! Bound: 1024 log files wait. The archives of one that finds no room are taken up after its next rotation.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use flate2::write::GzEncoder;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::archive::{self, compressed_name, draft_name};
use crate::place::{self, FileId};

const WAITING_MAX: usize = 1024;
/// Read and compressed at once: how long a shutdown may have to wait.
const BLOCK: usize = 64 << 10;
/// A draft is nobody's to read before it has the owner and mode of what it replaces.
const DRAFT_MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);
const LOWEST_PRIORITY: i32 = 19;

/// A log file and the directory below which missing directories would be made.
type Place = (PathBuf, PathBuf);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Place>,
    running: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    stop: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's handle. Clones stand for the same one.
#[derive(Clone, Default)]
pub(crate) struct Compressor(Arc<Shared>);

impl Compressor {
    /// Has the archives of this log file compressed. Never waits.
    pub(crate) fn request(&self, path: &Path, base: &Path) {
        let mut queue = self.0.lock();
        let known = queue.waiting.iter().any(|(p, _)| p == path);
        if known || queue.waiting.len() >= WAITING_MAX || self.0.stop.load(Ordering::Relaxed) {
            return;
        }
        queue.waiting.push_back((path.to_owned(), base.to_owned()));
        if !queue.running {
            let shared = Arc::clone(&self.0);
            match std::thread::Builder::new().name("compress".into()).spawn(move || work(&shared)) {
                Ok(_) => queue.running = true,
                Err(e) => tracing::warn!(error = %e, "rotated log files can't be compressed yet: no thread"),
            }
        }
        self.0.changed.notify_all();
    }

    /// What is being compressed is abandoned within a block. Waits for that, but not longer than this: a disk may hang.
    pub(crate) fn stop(&self, until: Instant) {
        self.0.stop.store(true, Ordering::Relaxed);
        let queue = self.0.lock();
        self.0.changed.notify_all();
        let left = until.saturating_duration_since(Instant::now());
        drop(self.0.changed.wait_timeout_while(queue, left, |queue| queue.running));
    }
}

/// The thread's main function.
fn work(shared: &Shared) {
    // Also when it unwinds: nobody may wait for a thread that is gone, and the next request starts a new one.
    let _ended = Ended(shared);
    if let Err(e) = rustix::process::setpriority_process(None, LOWEST_PRIORITY) {
        tracing::debug!(error = %e, "log files are compressed at the daemon's own priority");
    }
    loop {
        let queue = shared.lock();
        let idle = |queue: &mut Queue| queue.waiting.is_empty() && !shared.stop.load(Ordering::Relaxed);
        let mut queue = shared.changed.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner);
        let next = queue.waiting.pop_front();
        drop(queue);
        match next {
            Some((path, base)) if !shared.stop.load(Ordering::Relaxed) => {
                compress_archives(&path, &base, &shared.stop);
            }
            _ => return,
        }
    }
}

struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.lock().running = false;
        self.0.changed.notify_all();
    }
}

/// Compresses every archive of this log file that isn't yet, the oldest first, after deleting what a crash left.
pub(crate) fn compress_archives(path: &Path, base: &Path, stop: &AtomicBool) {
    let told = |subject: &Path, e: &io::Error| {
        tracing::warn!(path = %subject.display(), error = %e, hint = place::hint(path, base, e),
            "a rotated log file can't be compressed; it stays as it is");
    };
    let opened =
        place::split(path).and_then(|(dir, _)| Ok((place::open_dir(dir, base)?, archive::find(path)?)));
    let (dir, found) = match opened {
        Ok(opened) => opened,
        Err(e) => return told(path, &e),
    };
    for draft in &found.drafts {
        if let Err(e) = place::remove(&dir, draft) {
            told(&path.with_file_name(draft), &e);
        }
    }
    for archive in found.archives.iter().filter(|a| a.plain) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match compress(&dir, &archive.name, stop) {
            // Deleted meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => {
                told(&path.with_file_name(&archive.name), &e);
                if place::is_full(&e) {
                    return;
                }
            }
            Ok(()) => {}
        }
    }
}

fn compress(dir: &OwnedFd, name: &OsStr, stop: &AtomicBool) -> io::Result<()> {
    let source = place::open_own(dir, name, OFlag::O_RDONLY)?;
    let draft = draft_name(name);
    place::remove(dir, &draft)?;
    let target = place::create(dir, &draft, DRAFT_MODE)?;
    let whole = write_draft(&source, &target, stop);
    match whole.and_then(|whole| Ok(whole && publish(dir, name, &source)?)) {
        Ok(true) => delete_plain(dir, name),
        other => {
            place::remove(dir, &draft)?;
            other.map(drop)
        }
    }
}

/// Gives the draft its name. `false` = the archive was deleted, or something else stands there: what was compressed is
/// not what is there.
fn publish(dir: &OwnedFd, name: &OsStr, source: &File) -> io::Result<bool> {
    let there = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if (FileId { device: there.st_dev, inode: there.st_ino }) != FileId::of(&source.metadata()?) {
        return Ok(false);
    }
    renameat(dir, draft_name(name).as_os_str(), dir, compressed_name(name).as_os_str())?;
    Ok(true)
}

/// Deletes what is compressed now, once the new name is on the disk.
fn delete_plain(dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    File::from(openat(dir, ".", flags, Mode::empty())?).sync_all()?;
    match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
        // Somebody had deleted it before: so is what became of it.
        Err(Errno::ENOENT) => place::remove(dir, &compressed_name(name)),
        other => Ok(other?),
    }
}

/// Everything up to its name. `false` = told to stop.
fn write_draft(mut source: &File, target: &File, stop: &AtomicBool) -> io::Result<bool> {
    let mut encoder = GzEncoder::new(target, flate2::Compression::default());
    let mut block = vec![0; BLOCK];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match source.read(&mut block) {
            Ok(0) => break,
            Ok(n) => encoder.write_all(&block[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    encoder.finish()?;
    let (old, new) = (source.metadata()?, target.metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        fchown(target, Some(old.uid()), Some(old.gid()))?;
    }
    target.set_permissions(PermissionsExt::from_mode(old.mode() & 0o777))?;
    target.set_modified(old.modified()?)?;
    target.sync_all()?;
    Ok(true)
}

#[cfg(test)]
mod tests;
