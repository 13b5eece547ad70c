//! A store on a disk that does what a test says.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use ::model::{ProcessName, Stream};
use nix::errno::Errno;

use super::super::*;
use crate::archive;
use crate::stats::{Ledger, SinkStats};
use crate::tail::Tails;
use crate::testing::web;

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Short(usize),
    Fail(Errno),
}

/// What the disk is up to.
#[derive(Default)]
pub(super) struct Script {
    /// For the next writes of text; then it behaves.
    pub(super) text: VecDeque<Fault>,
    /// The same for indexes.
    pub(super) index: VecDeque<Fault>,
    pub(super) rotations_fail: bool,
    /// Bytes that the files of the directory may have together; `None` = any.
    pub(super) capacity: Option<u64>,
    /// Texts of the archives that were deleted, in that order.
    pub(super) deleted: Vec<Vec<u8>>,
    /// Times that somebody asked for compression.
    pub(super) compressions: usize,
}

#[derive(Clone, Default)]
pub(super) struct Faulty(pub(super) Rc<RefCell<Script>>);

impl Faulty {
    pub(super) fn text(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.borrow_mut().text.extend(faults);
    }

    fn write(&self, fault: Option<Fault>, dir: &Path, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        let n = match fault {
            None => bytes.len(),
            Some(Fault::Short(n)) => n.clamp(1, bytes.len()),
            Some(Fault::Fail(e)) => return Err(e.into()),
        };
        let taken: u64 = std::fs::read_dir(dir)?.filter_map(|f| Some(f.ok()?.metadata().ok()?.len())).sum();
        match self.0.borrow().capacity.map(|c| usize::try_from(c.saturating_sub(taken)).unwrap()) {
            Some(0) => Err(Errno::ENOSPC.into()),
            Some(left) => file.write(&bytes[..n.min(left)]),
            None => file.write(&bytes[..n]),
        }
    }

    /// Deletes by `delete` and keeps what was deleted, which has to be the oldest.
    fn deleting<T>(&self, path: &Path, delete: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let before: Vec<_> =
            archive::list(path)?.into_iter().map(|p| (text_of(&p), archive_name(&p), p)).collect();
        let result = delete()?;
        let after: Vec<_> = archive::list(path)?.iter().map(|p| archive_name(p)).collect();
        let (gone, kept) = before.split_at(before.len() - after.len());
        assert!(kept.iter().map(|(_, name, _)| name).eq(&after), "only the oldest go");
        for (text, name, path) in gone {
            self.0.borrow_mut().deleted.push(text.clone());
            assert!(!path.with_file_name(crate::index::name_of(name)).exists(), "its index goes with it");
        }
        Ok(result)
    }
}

/// On a directory.
pub(super) struct FaultyDir(Faulty, PathBuf);

impl Disk for FaultyDir {
    fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        let fault = self.0.0.borrow_mut().text.pop_front();
        self.0.write(fault, &self.1, file, bytes)
    }

    fn write_index(&mut self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        let fault = self.0.0.borrow_mut().index.pop_front();
        self.0.write(fault, &self.1, file, bytes)
    }

    fn rotate(&mut self, path: &Path, base: &Path) -> io::Result<()> {
        if self.0.0.borrow().rotations_fail {
            return Err(Errno::EACCES.into());
        }
        archive::rotate(path, base)
    }

    fn prune(&mut self, path: &Path, base: &Path, limits: &Limits) -> io::Result<()> {
        self.0.deleting(path, || archive::prune(path, base, limits))?;
        let kept = archive::list(path)?;
        assert!(kept.len() <= usize::try_from(limits.max_files).unwrap());
        let total: u64 = kept.iter().map(|p| p.metadata().unwrap().len()).sum();
        assert!(limits.max_total_size == 0 || total <= limits.max_total_size, "{total}");
        Ok(())
    }

    fn free_oldest(&mut self, path: &Path, base: &Path) -> io::Result<Option<OsString>> {
        self.0.deleting(path, || archive::free_oldest(path, base))
    }

    fn compress(&mut self, _: &Path, _: &Path) {
        self.0.0.borrow_mut().compressions += 1;
    }
}

/// The name without `.gz`.
pub(super) fn archive_name(path: &Path) -> OsString {
    let name = if path.extension().is_some_and(|e| e == "gz") { path.file_stem() } else { path.file_name() };
    name.unwrap().to_owned()
}

/// What a log file or archive holds.
pub(super) fn text_of(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_none_or(|e| e != "gz") {
        return bytes;
    }
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut text).unwrap();
    text
}

pub(super) fn limits() -> Limits {
    Limits::from(&LogSpec { max_size: 0, max_files: u32::MAX, ..LogSpec::default() })
}

pub(super) struct Case {
    pub(super) dir: tempfile::TempDir,
    pub(super) path: PathBuf,
    pub(super) store: Rc<Store>,
    pub(super) disk: Faulty,
    pub(super) account: Account,
    pub(super) at: Cell<Wall>,
}

impl Case {
    pub(super) fn new(max_size: u64, max_files: u32) -> Self {
        Self::named("web.log", Limits { max_size, max_files, ..limits() })
    }

    pub(super) fn named(name: &str, limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let disk = Faulty::default();
        let store = Rc::new(open(&path, &disk, limits, &Rc::default()));
        let account = Account { counts: Ledger::default().open(&web()), stream: Stream::Stdout };
        Self { dir, path, store, disk, account, at: Cell::new(Wall(1_000_000_000)) }
    }

    /// The same directory in the hands of the next daemon, after the last one was killed.
    pub(super) fn restarted(self) -> Self {
        let store = Rc::new(open(&self.path, &self.disk, self.store.limits.get(), &Rc::default()));
        let account = Account { counts: Ledger::default().open(&web()), ..self.account };
        Self { store, account, ..self }
    }

    pub(super) fn append(&self, text: &str) -> bool {
        let whole = u64::try_from(text.matches('\n').count()).unwrap();
        let lines = Lines { whole, cut: 0, held: 0 };
        let stretch = Stretch { account: &self.account, run: RunNumber(1), at: self.at.get(), lines };
        let done = self.store.append(text.as_bytes(), stretch);
        self.stats();
        done
    }

    pub(super) fn stats(&self) -> SinkStats {
        stats(&self.account)
    }

    /// Time passes for the lines, and for what is looked at once a second.
    pub(super) fn later(&self, by: Duration) {
        self.at.set(Wall(self.at.get().0 + u64::try_from(by.as_nanos()).unwrap()));
        later(&self.store);
    }

    pub(super) fn archives(&self) -> Vec<PathBuf> {
        archive::list(&self.path).unwrap()
    }

    pub(super) fn files(&self) -> Vec<String> {
        let mut paths = self.archives();
        paths.extend(self.path.exists().then(|| self.path.clone()));
        paths.iter().map(|p| String::from_utf8(text_of(p)).unwrap()).collect()
    }
}

pub(super) fn open(path: &Path, disk: &Faulty, limits: Limits, room: &Rc<Room>) -> Store {
    let dir = path.parent().unwrap();
    let tail = Tails::default().of(&ProcessName::new("web").unwrap(), path);
    let disk = Box::new(FaultyDir(disk.clone(), dir.to_owned()));
    Store::on_disk(path, dir, limits, tail, Rc::clone(room), disk)
}

/// Balanced.
pub(super) fn stats(account: &Account) -> SinkStats {
    let mut stats = SinkStats::default();
    account.book(|c| stats = *c.sink(Sink::File));
    assert_eq!(stats.read, stats.written + stats.dropped + stats.truncated + stats.queued, "{stats:?}");
    stats
}

/// Makes the last look at the path a second old.
pub(super) fn later(store: &Store) {
    let file = &mut store.inner.borrow_mut().file;
    file.checked = file.checked.checked_sub(RETRY).unwrap();
    file.rotation_failed = file.rotation_failed.map(|at| at.checked_sub(RETRY).unwrap());
}
