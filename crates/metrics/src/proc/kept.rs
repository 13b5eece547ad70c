//! Open files of /proc that a scrape leaves to the next one, for machines with many processes.
//!
//! Opening, reading and closing a file of /proc takes two to three times as long as reading one that is open. It has a
//! price: four descriptors for each process, and some 13 KiB of the kernel's memory. So of few processes none are kept, and
//! of very many only that file which is read each time.
//!
//! Such a descriptor belongs to one process for ever: when its pid is given to another one, reading fails.
//!
//! Bounds: [`MOST`] descriptors, and a quarter of what the daemon may open and others leave. What is beyond them is read by its
//! path; what was seen of it is kept all the same.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, fstat, openat};

use super::look::{Look, Seen};
use super::{ProcError, Reader, parse, size};

/// Descriptors of all: of eight thousand processes, or of four times as many with one each.
const MOST: u64 = 32_768;
/// Live processes from which on it pays: below, a scrape takes 2 ms without.
const WORTH_IT: usize = 256;

/// What a scrape leaves of one process to the next.
#[derive(Debug)]
pub(crate) struct Kept {
    pid: u32,
    files: Files,
    /// What the last scrape saw; absent when nothing would tell that it is so no more.
    pub(super) seen: Option<Seen>,
}

/// Open files of one process. What is absent is read by its path, which fails as well where it is not to be had.
#[derive(Debug, Default)]
struct Files {
    statm: Option<OwnedFd>,
    others: Option<Others>,
}

/// How many of its files are kept open of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All.
    Whole,
    /// That which is read each time.
    Slim,
    /// None.
    Bare,
}

impl Extent {
    /// Descriptors that it takes at most.
    const fn descriptors(self) -> u64 {
        match self {
            Self::Whole => 4,
            Self::Slim => 1,
            Self::Bare => 0,
        }
    }
}

/// What may be kept of a main process.
const PROCESS: [u64; 2] = [Extent::Whole.descriptors(), Extent::Slim.descriptors()];

/// What is read of a process that has run.
#[derive(Debug)]
struct Others {
    stat: OwnedFd,
    /// Absent when it may not be read.
    io: Option<OwnedFd>,
    /// Absent when it doesn't tell how many there are.
    fd: Option<OwnedFd>,
}

/// Says how many may be kept. Made for each scrape.
#[derive(Debug)]
pub(crate) struct Keeper {
    left: u64,
    /// Descriptors of each.
    each: u64,
}

impl Keeper {
    /// For so many live ones, when so many descriptors are kept now. `each` is what one may take, most first: the
    /// first that suffices for all is taken, or the last.
    pub(crate) fn new(reader: &mut Reader<'_>, live: usize, kept: u64, each: &[u64]) -> Self {
        if live < WORTH_IT {
            return Self::within(0, live, each);
        }
        // Without these numbers nothing is kept.
        let max = reader.max_fds("self").map_or(0, |max| max.unwrap_or(u64::MAX));
        let open = reader.open_fds("self").unwrap_or(u64::MAX);
        Self::within(most(max, open, kept), live, each)
    }

    fn within(most: u64, live: usize, each: &[u64]) -> Self {
        let last = each.last().copied().unwrap_or(1);
        let each = each.iter().copied().find(|each| most / each >= live as u64).unwrap_or(last);
        Self { left: most / each, each }
    }

    /// The same for so many main processes.
    pub(crate) fn of_processes(reader: &mut Reader<'_>, live: usize, kept: u64) -> Self {
        Self::new(reader, live, kept, &PROCESS)
    }

    /// Whether one more may be kept; then it is counted.
    pub(crate) fn takes(&mut self) -> bool {
        let takes = self.left > 0;
        self.left -= u64::from(takes);
        takes
    }

    /// How much of one more process is kept.
    pub(crate) fn extent(&mut self) -> Extent {
        match self.takes() {
            false => Extent::Bare,
            true if self.each == Extent::Whole.descriptors() => Extent::Whole,
            true => Extent::Slim,
        }
    }
}

/// Descriptors that may be kept by a daemon that may have `max`, and has `open`, of which `kept` are kept.
fn most(max: u64, open: u64, kept: u64) -> u64 {
    let others = open.saturating_sub(kept);
    MOST.min(max.saturating_sub(others) / 4)
}

impl Kept {
    /// Descriptors that it holds at most.
    pub(crate) fn descriptors(&self) -> u64 {
        self.files.extent().descriptors()
    }

    /// Whether every answer is of the one process that it was opened for.
    pub(super) fn is_bound(&self) -> bool {
        self.files.statm.is_some()
    }

    /// Its pid.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Closes what is more than this.
    pub(crate) fn shrink_to(&mut self, extent: Extent) {
        match extent {
            Extent::Whole => {}
            Extent::Slim => self.files.others = None,
            Extent::Bare => self.files = Files::default(),
        }
    }

    /// Whether these are the files of a process with this pid.
    pub(crate) fn is_of(&self, pid: u32) -> bool {
        self.pid == pid
    }
}

impl Files {
    fn extent(&self) -> Extent {
        match (&self.others, &self.statm) {
            (Some(_), _) => Extent::Whole,
            (None, Some(_)) => Extent::Slim,
            (None, None) => Extent::Bare,
        }
    }
}

impl Reader<'_> {
    /// Begins with a run's main process, which is `age` old: opens what is read of it at each scrape, and reads it; `None`
    /// when it is gone or another process. `all` as for [`Reader::look_again`].
    pub(crate) fn keep(
        &mut self,
        pid: u32,
        age: Duration,
        all: bool,
        extent: Extent,
    ) -> Result<Option<(Kept, Look)>, ProcError> {
        let files = match self.open_files(pid, extent) {
            Ok(files) => files,
            Err(error) if error.is_gone() => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut kept = Kept { pid, files, seen: None };
        let Some(look) = self.look_again(&mut kept, age, all)? else { return Ok(None) };
        Ok(self.is_of_run(look.stat, age)?.map(|_| (kept, look)))
    }

    fn open_files(&mut self, pid: u32, extent: Extent) -> Result<Files, ProcError> {
        if extent == Extent::Bare {
            return Ok(Files::default());
        }
        // By its directory, so that all are of one process.
        self.point_at(pid);
        let place = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(self.proc.dir().0, &*self.path, place, Mode::empty()).and_then(|dir| {
            let file = |name: &str, flags| openat(&dir, name, flags | OFlags::CLOEXEC, Mode::empty());
            let others = || {
                Ok(Others {
                    stat: file("stat", OFlags::RDONLY)?,
                    io: file("io", OFlags::RDONLY).ok(),
                    fd: self.proc.fds_by_size.then(|| file("fd", OFlags::PATH).ok()).flatten(),
                })
            };
            Ok(Files {
                statm: file("statm", OFlags::RDONLY).ok(),
                others: (extent == Extent::Whole).then(others).transpose()?,
            })
        });
        opened.map_err(|error| self.unreadable(error.into()))
    }

    /// `stat` once more; `None` when the process is gone.
    pub(super) fn kept_stat(&mut self, kept: &Kept) -> Result<Option<parse::Stat>, ProcError> {
        self.point_at(format_args!("{}/stat", kept.pid));
        let read = match &kept.files.others {
            Some(others) => self.read_of(&others.stat, parse::stat),
            None => self.read(parse::stat),
        };
        match read {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Size and resident set in pages, once more; `None` when that can't be seen.
    pub(super) fn kept_memory(&mut self, kept: &Kept) -> Option<[u64; 2]> {
        match &kept.files.statm {
            Some(statm) => self.read_of(statm, parse::statm).ok(),
            None => self.memory(kept.pid).ok(),
        }
    }

    /// Bytes read and written, once more; `None` when that can't be seen.
    pub(super) fn kept_io(&mut self, kept: &Kept) -> Option<[u64; 2]> {
        match &kept.files.others {
            Some(others) => self.read_of(others.io.as_ref()?, parse::io).ok(),
            None => self.io(kept.pid).ok(),
        }
    }

    /// The number of its descriptors, once more.
    pub(super) fn kept_fds(&mut self, kept: &Kept) -> Option<u64> {
        match kept.files.others.as_ref().and_then(|others| others.fd.as_ref()) {
            Some(fd) => fstat(fd).map(size).ok(),
            None => self.open_fds(kept.pid).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::ProcFs;

    #[test]
    fn others_come_before_what_is_kept() {
        assert_eq!(most(1024, 24, 0), 250, "a quarter");
        assert_eq!(most(1024, 624, 0), 100, "of what the others leave");
        assert_eq!(most(1024, 624 + 100, 100), 100, "what is kept is not counted as the others'");
        assert_eq!(most(1024, 1024, 0), 0);
        assert_eq!(most(u64::MAX, 100, 0), MOST);
        assert_eq!(most(0, u64::MAX, 0), 0, "when nothing is known");
    }

    #[test]
    fn of_too_many_fewer_files_are_kept() {
        let kept = |most, live| {
            let mut keeper = Keeper::within(most, live, &PROCESS);
            (0..live).map(|_| keeper.extent()).collect::<Vec<_>>()
        };
        let all = |extent, live| vec![extent; live];
        assert_eq!(kept(4000, 1000), all(Extent::Whole, 1000));
        assert_eq!(kept(4000, 1001), all(Extent::Slim, 1001));
        assert_eq!(kept(4000, 5000), [all(Extent::Slim, 4000), all(Extent::Bare, 1000)].concat());
        assert_eq!(kept(0, 300), all(Extent::Bare, 300));
        let proc = ProcFs::detect();
        assert_eq!(Keeper::of_processes(&mut Reader::new(&proc), WORTH_IT - 1, 0).left, 0, "of few none");
    }

    #[test]
    fn what_is_kept_is_never_another_process() {
        for extent in [Extent::Whole, Extent::Slim, Extent::Bare] {
            let whole = extent == Extent::Whole;
            let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
            let proc = ProcFs::detect();
            let mut reader = Reader::new(&proc);
            let (mut kept, look) = reader.keep(child.id(), Duration::ZERO, true, extent).unwrap().unwrap();
            assert_eq!(kept.files.extent(), extent);
            assert_eq!(look.stat.parent, std::process::id());
            assert_eq!(reader.kept_stat(&kept).unwrap().unwrap().start_ticks, look.stat.start_ticks);
            assert_eq!(reader.kept_io(&kept), reader.io(child.id()).ok());
            child.kill().unwrap();
            child.wait().unwrap();
            // Whoever has its pid now.
            assert!(reader.look_again(&mut kept, Duration::ZERO, true).unwrap().is_none());
            if whole {
                assert!(reader.kept_io(&kept).is_none());
                assert!(!proc.fds_by_size || reader.kept_fds(&kept).is_none());
            }
            assert!(reader.keep(child.id(), Duration::ZERO, true, extent).unwrap().is_none());
        }
    }
}
