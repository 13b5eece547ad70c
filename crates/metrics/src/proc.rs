//! Reads /proc and cgroups. The parsers stand apart in [`parse`]; here are the files, the errors and the units.
//!
//! Cost per process and scrape: open, read, close of `stat`, `statm` and `io`, and one stat(2) of `fd`; with many processes
//! one read of each and one fstat(2), of descriptors that are [kept]; of one that did not run its `statm` alone ([`look`]).
//! Everything else that is needed is in `stat`, so `status` is not read.

mod clock;
mod kept;
mod leaf;
mod look;
pub(crate) mod parse;
mod survey;
mod tree;

use std::fmt::{Display, Write as _};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use model::Wall;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, openat, statat};

pub(crate) use kept::{Keeper, Kept};
pub(crate) use leaf::{Leaf, LeafFile};
pub(crate) use look::Look;
pub(crate) use parse::Stat;
pub(crate) use survey::Survey;
pub(crate) use tree::{MAX_READ, Tree, trees};

/// How far the age of a process may be from the age of the run it shall belong to: /proc counts in ticks, and
/// the run's start is noted when the supervisor hears of it.
const AGE_TOLERANCE: Duration = Duration::from_secs(2);

/// ESRCH and ENODEV, the same numbers on every Linux: the process, or the cgroup, ended between open and read.
/// EOPNOTSUPP: a kernel that does not account pressure has the files all the same.
const GONE: [Option<i32>; 3] = [Some(3), Some(19), Some(95)];

/// Bytes of a listing of /proc that are read at a time: some thousand processes.
const LISTING: usize = 32 * 1024;

/// A file of /proc that could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcError {
    /// Not readable.
    #[error("reading {path}: {error}; is /proc mounted and, if with hidepid=, with a gid= of the daemon's?")]
    Read {
        /// Which file.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// Readable but not what proc(5) says.
    #[error("{path} does not look the way proc(5) describes it")]
    Malformed {
        /// Which file.
        path: String,
    },
}

impl ProcError {
    /// Whether it only says that the process or the file does not exist (any more).
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Read { error, .. }
            if error.kind() == io::ErrorKind::NotFound || GONE.contains(&error.raw_os_error()))
    }
}

/// A /proc file system and the units that its numbers are in.
#[derive(Debug)]
pub(crate) struct ProcFs {
    pub(crate) root: String,
    /// The root, so that the kernel need not look it up for each file; `None` inside when it could not be opened.
    dir: OnceLock<Option<OwnedFd>>,
    pub(crate) own_pid: u32,
    /// Clock ticks per second (USER_HZ); not 0.
    pub(crate) ticks: u64,
    /// Bytes per page; `None` = unknown, then nothing that is counted in pages is exported.
    pub(crate) page_size: Option<u64>,
    /// Whether the size of a `fd` directory is the number of descriptors (Linux 6.2 and later). Besides being
    /// one system call however many there are, it needs no privilege over the other process.
    pub(crate) fds_by_size: bool,
    /// How long the threads of a process have run. Not of a file, but it belongs to the same processes: a test's have none.
    ran: fn(u32) -> Option<Duration>,
    /// Kept from its first reading: the boot time that it is computed from moves by a second when the clock is
    /// adjusted, and a start time that changes looks like a restart of the daemon.
    own_start: OnceLock<Wall>,
}

impl ProcFs {
    /// The system's own. Page size and ticks come from the auxiliary vector, which the kernel hands to each
    /// program; sysconf(3) reads them there too, but calling it takes `unsafe`. The file is unreadable when the
    /// program was executed with file capabilities; then ticks are 100 (as on every architecture that Rust's
    /// standard library knows) and the page size stays unknown.
    pub(crate) fn detect() -> Self {
        let auxv = fs::read("/proc/self/auxv").map(|raw| parse::auxv(&raw)).unwrap_or_else(|error| {
            tracing::warn!(%error, "can't read /proc/self/auxv: resident memory is not exported");
            parse::Auxv::default()
        });
        let fds_by_size = fs::metadata("/proc/self/fd").is_ok_and(|m| m.len() > 0);
        let ticks = auxv.ticks.unwrap_or(100);
        let of = Self::at("/proc".to_owned(), std::process::id(), ticks, auxv.page_size, fds_by_size);
        Self { ran: clock::ran, ..of }
    }

    /// One with everything given, in which nobody tells whether he ran.
    pub(crate) fn at(
        root: String,
        own_pid: u32,
        ticks: u64,
        page_size: Option<u64>,
        fds_by_size: bool,
    ) -> Self {
        Self {
            root,
            dir: OnceLock::new(),
            own_pid,
            ticks,
            page_size,
            fds_by_size,
            ran: |_| None,
            own_start: OnceLock::new(),
        }
    }

    /// The root, and whether paths go from there; else they begin with it.
    fn dir(&self) -> (BorrowedFd<'_>, bool) {
        let open =
            || openat(CWD, &*self.root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let dir = self.dir.get_or_init(|| open().ok());
        dir.as_ref().map_or((CWD, false), |dir| (dir.as_fd(), true))
    }

    /// Ticks as time.
    pub(crate) fn time(&self, ticks: u64) -> Duration {
        let rest = ticks % self.ticks * 1_000_000_000 / self.ticks;
        Duration::from_secs(ticks / self.ticks) + Duration::from_nanos(rest)
    }

    /// Pages as bytes.
    pub(crate) fn pages(&self, pages: u64) -> Option<u64> {
        self.page_size.map(|size| pages.saturating_mul(size))
    }
}

/// Reads the files of one scrape into one buffer.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    proc: &'a ProcFs,
    path: String,
    buffer: Vec<u8>,
    /// Read when the first process asks for it: a scrape of the daemon's own children needs none.
    uptime: Option<Duration>,
}

impl<'a> Reader<'a> {
    /// A reader for one scrape.
    pub(crate) fn new(proc: &'a ProcFs) -> Self {
        Self { proc, path: String::new(), buffer: vec![0; 4096], uptime: None }
    }

    /// `stat` of a process, or of `self`.
    pub(crate) fn stat(&mut self, who: impl Display) -> Result<Stat, ProcError> {
        self.point_at(format_args!("{who}/stat"));
        self.read(parse::stat)
    }

    /// `stat` of a run's main process, which is `age` old; `None` when it is gone, or when the pid belongs to
    /// another process by now: to neither a child of the daemon nor one that was started when the run was.
    pub(crate) fn stat_of_run(&mut self, pid: u32, age: Duration) -> Result<Option<Stat>, ProcError> {
        match self.stat(pid) {
            Ok(stat) => self.is_of_run(stat, age),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_of_run(&mut self, stat: Stat, age: Duration) -> Result<Option<Stat>, ProcError> {
        if stat.parent == self.proc.own_pid {
            return Ok(Some(stat));
        }
        let real_age = self.uptime()?.saturating_sub(self.proc.time(stat.start_ticks));
        Ok((real_age.abs_diff(age) <= AGE_TOLERANCE).then_some(stat))
    }

    /// Number of open descriptors of a process, or of `self`.
    pub(crate) fn open_fds(&mut self, who: impl Display) -> Result<u64, ProcError> {
        self.point_at(format_args!("{who}/fd"));
        let counted = if self.proc.fds_by_size {
            statat(self.proc.dir().0, &*self.path, AtFlags::empty()).map(size).map_err(io::Error::from)
        } else {
            fs::read_dir(self.absolute()).map(|entries| entries.map(|_| 1).sum())
        };
        counted.map_err(|error| self.unreadable(error))
    }

    /// Every process there is: pid, and a number that no other process of that pid has.
    pub(crate) fn processes(&mut self, mut each: impl FnMut(u32, u64)) -> Result<(), ProcError> {
        self.point_at(".");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = openat(self.proc.dir().0, &*self.path, flags, Mode::empty()).and_then(|dir| {
            let mut buffer = Vec::with_capacity(LISTING);
            let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
            while let Some(entry) = entries.next() {
                let entry = entry?;
                if let Some(pid) = parse::pid(entry.file_name().to_bytes()) {
                    each(pid, entry.ino());
                }
            }
            Ok(())
        });
        listed.map_err(|error| self.unreadable(error.into()))
    }

    /// The last pid that was given to a process or a thread; `None` where the kernel doesn't tell. (/proc/loadavg has one too, but
    /// not always the kernel's: lxcfs makes one up.)
    fn last_pid(&mut self) -> Option<u32> {
        self.point_at("sys/kernel/ns_last_pid");
        self.read(parse::last_pid).ok().filter(|pid| *pid > 0)
    }

    /// Whether there is a process with this pid, be it a zombie. A thread's number is none.
    fn is_process(&self, pid: u32) -> bool {
        (self.proc.ran)(pid).is_some()
    }

    /// Size and resident set of a process, in pages.
    pub(crate) fn memory(&mut self, who: impl Display) -> Result<[u64; 2], ProcError> {
        self.point_at(format_args!("{who}/statm"));
        self.read(parse::statm)
    }

    /// Bytes that a process made the kernel read from storage and write to it.
    pub(crate) fn io(&mut self, pid: u32) -> Result<[u64; 2], ProcError> {
        self.point_at(format_args!("{pid}/io"));
        self.read(parse::io)
    }

    /// A small file outside /proc; `None` when there is none.
    pub(crate) fn file<T>(
        &mut self,
        path: &dyn Display,
        parse: fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, ProcError> {
        self.path.clear();
        write!(self.path, "{path}").expect("a String takes everything");
        match self.read(parse) {
            Err(error) if error.is_gone() => Ok(None),
            read => read.map(Some),
        }
    }

    /// The soft limit of open descriptors of a process, or of `self`; `None` = unlimited.
    pub(crate) fn max_fds(&mut self, who: impl Display) -> Result<Option<u64>, ProcError> {
        self.point_at(format_args!("{who}/limits"));
        self.read(parse::max_fds)
    }

    /// When the daemon was started.
    pub(crate) fn own_start_time(&mut self, own: &Stat) -> Result<Wall, ProcError> {
        if let Some(start) = self.proc.own_start.get() {
            return Ok(*start);
        }
        self.point_at("stat");
        let boot = Wall(0).after(Duration::from_secs(self.read(parse::boot_time)?));
        Ok(*self.proc.own_start.get_or_init(|| boot.after(self.proc.time(own.start_ticks))))
    }

    fn uptime(&mut self) -> Result<Duration, ProcError> {
        if let Some(uptime) = self.uptime {
            return Ok(uptime);
        }
        self.point_at("uptime");
        let uptime = self.read(parse::uptime)?;
        Ok(*self.uptime.insert(uptime))
    }

    /// The next file: below the root, or where an absolute path says.
    fn point_at(&mut self, file: impl Display) {
        self.path.clear();
        if !self.proc.dir().1 {
            write!(self.path, "{}/", self.proc.root).expect("a String takes everything");
        }
        write!(self.path, "{file}").expect("a String takes everything");
    }

    fn read<T>(&mut self, parse: fn(&[u8]) -> Option<T>) -> Result<T, ProcError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(self.proc.dir().0, &*self.path, flags, Mode::empty());
        let file = file.map_err(|error| self.unreadable(error.into()))?;
        self.read_of(&file, parse)
    }

    /// Reads the whole of a file that is open, from its beginning. All files read here come from one kernel buffer: a
    /// read that does not fill ours has reached the end, so there is no second one.
    fn read_of<T>(&mut self, file: &OwnedFd, parse: fn(&[u8]) -> Option<T>) -> Result<T, ProcError> {
        let mut length = 0;
        loop {
            let read = rustix::io::pread(file, &mut self.buffer[length..], length as u64);
            length += read.map_err(|error| self.unreadable(error.into()))?;
            if length < self.buffer.len() {
                break;
            }
            // Only /proc/stat of a machine with many CPUs comes here, once in the daemon's life.
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        parse(&self.buffer[..length]).ok_or_else(|| ProcError::Malformed { path: self.absolute() })
    }

    /// For people.
    fn absolute(&self) -> String {
        if self.path.starts_with('/') || !self.proc.dir().1 {
            return self.path.clone();
        }
        format!("{}/{}", self.proc.root, self.path)
    }

    fn unreadable(&self, error: io::Error) -> ProcError {
        ProcError::Read { path: self.absolute(), error }
    }
}

/// A directory's size: in /proc, of `fd`, the number of descriptors.
fn size(stat: rustix::fs::Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn the_real_proc_tells_about_this_process() {
        let proc = ProcFs::detect();
        let mut reader = Reader::new(&proc);
        let stat = reader.stat("self").unwrap();
        assert_eq!(proc.ticks, 100);
        assert!(proc.page_size.unwrap().is_power_of_two());
        let resident = proc.pages(stat.resident_pages).unwrap();
        assert!((100_000..stat.virtual_bytes).contains(&resident), "{resident}");
        assert!(reader.max_fds("self").unwrap().is_none_or(|max| max >= 64));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let started = Duration::from_nanos(reader.own_start_time(&stat).unwrap().0);
        assert!(started.abs_diff(now) < Duration::from_secs(3600), "started {started:?}, now {now:?}");
        let mut pids = Vec::new();
        reader.processes(|pid, _| pids.push(pid)).unwrap();
        assert!(pids.contains(&std::process::id()) && pids.contains(&1), "{pids:?}");
    }

    #[test]
    fn a_child_is_known_and_its_descriptors_are_counted_both_ways() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Once it has answered it is past its start, in which it opens and closes libraries.
        child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let mut proc = ProcFs::detect();
        let by_size = proc.fds_by_size;
        let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count() as u64;
        for size in [false, by_size] {
            proc.fds_by_size = size;
            let mut reader = Reader::new(&proc);
            // Any age will do: it is this process's child.
            let stat = reader.stat_of_run(child.id(), Duration::from_secs(1_000_000)).unwrap().unwrap();
            assert_eq!((stat.parent, stat.threads), (std::process::id(), 1));
            assert_eq!(reader.open_fds(child.id()).unwrap(), open);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Reader::new(&proc).stat_of_run(child.id(), Duration::ZERO).unwrap().is_none());
    }

    #[test]
    fn a_foreign_process_counts_only_when_it_is_as_old_as_the_run() {
        let mut proc = ProcFs::detect();
        proc.own_pid = 0;
        let mut reader = Reader::new(&proc);
        let pid = std::process::id();
        let stat = reader.stat(pid).unwrap();
        let age = reader.uptime().unwrap().saturating_sub(proc.time(stat.start_ticks));
        assert!(reader.stat_of_run(pid, age).unwrap().is_some());
        assert!(reader.stat_of_run(pid, age + Duration::from_secs(10)).unwrap().is_none());
    }

    #[test]
    fn errors_name_the_file() {
        let dir = env!("CARGO_MANIFEST_DIR").to_owned() + "/tests/fixtures/proc-broken";
        let proc = ProcFs::at(dir.clone(), 1, 100, Some(4096), false);
        let mut reader = Reader::new(&proc);
        let malformed = reader.stat_of_run(7, Duration::ZERO).unwrap_err();
        assert_eq!(malformed.to_string(), format!("{dir}/7/stat does not look the way proc(5) describes it"));
        assert!(reader.stat_of_run(8, Duration::ZERO).unwrap().is_none());
        // A directory can be opened but not read: neither "gone" nor text.
        let unreadable = reader.stat_of_run(9, Duration::ZERO).unwrap_err();
        assert!(unreadable.to_string().starts_with(&format!("reading {dir}/9/stat: ")), "{unreadable}");
    }
}
