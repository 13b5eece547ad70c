//! What single runs use, and the processes that they consist of: for whoever asks for it, beside any scrape.
//!
//! Where a run has a cgroup its processes are those in there. Else they are what descends from the main process or is in
//! its session, as for a scrape, which takes one pass over /proc for all runs that are asked for.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use model::Wall;

use crate::proc::{MAX_READ, ProcFs, Reader, Stat, parse};

/// Bytes of a command line that are read.
const COMMAND_LINE: u64 = 1024;
/// Groups below that of a run that are looked into, each level: deeper or more than that is nobody's honest work.
const GROUPS: usize = 1024;

/// Reads what runs use.
#[derive(Debug)]
pub struct Members {
    proc: ProcFs,
    boot: OnceLock<Option<Wall>>,
}

/// A live run.
#[derive(Clone, Debug)]
pub struct LiveRun {
    /// Its main process; `None` = only what it left behind is alive.
    pub main: Option<u32>,
    /// How old it is.
    pub age: Duration,
    /// The directory of its cgroup, where it has one.
    pub cgroup: Option<PathBuf>,
}

/// What a run uses, all its processes together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunUsage {
    /// Processes, without zombies.
    pub processes: u64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// CPU time, with that of children that were waited for.
    pub cpu: Duration,
    /// Resident memory of the main process.
    pub main_resident_bytes: u64,
    /// CPU time of the main process alone.
    pub main_cpu: Duration,
    /// Threads.
    pub threads: u64,
    /// Open descriptors; `None` = the daemon may not look.
    pub fds: Option<u64>,
    /// Bytes read from storage and written to it; `None` = the daemon may not look.
    pub io: Option<[u64; 2]>,
    /// Each process, the main one first; empty unless asked for.
    pub members: Vec<Member>,
}

/// A process of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its pid.
    pub pid: u32,
    /// The pid of its parent.
    pub parent: u32,
    /// The program's name, as the kernel has it.
    pub name: String,
    /// Program and arguments; empty = none to be seen.
    pub command_line: String,
    /// Its resident memory.
    pub resident_bytes: u64,
    /// Its CPU time, with that of children that it waited for.
    pub cpu: Duration,
    /// When it was started.
    pub started: Wall,
    /// R, S, D, Z, T, …
    pub state: char,
}

impl Members {
    /// Of the system that this runs on.
    #[must_use]
    pub fn detect() -> Self {
        Self::of(ProcFs::detect())
    }

    fn of(proc: ProcFs) -> Self {
        Self { proc, boot: OnceLock::new() }
    }

    /// Resident memory of the daemon itself; `None` = not known.
    #[must_use]
    pub fn own_resident_bytes(&self) -> Option<u64> {
        let mut reader = Reader::new(&self.proc);
        let stat = reader.stat("self").ok()?;
        self.proc.pages(reader.exact("self", stat).resident_pages)
    }

    /// What each of these runs uses; nothing for `None`. Blocks for as long as /proc takes, some 10 µs for each process
    /// of the machine where there are no cgroups: not for an I/O thread.
    ///
    /// # Errors
    /// /proc can't be read, or has more processes than are read.
    pub fn read(&self, runs: &[Option<LiveRun>], each: bool) -> Result<Vec<RunUsage>, String> {
        let mut reader = Reader::new(&self.proc);
        let mut members: Vec<Vec<(u32, Stat)>> = vec![Vec::new(); runs.len()];
        let mut wanted = Vec::new();
        for (row, run) in runs.iter().enumerate() {
            let Some(run) = run else { continue };
            match &run.cgroup {
                Some(dir) => {
                    let pids = pids(dir);
                    members[row] =
                        pids.into_iter().filter_map(|pid| Some((pid, reader.stat(pid).ok()?))).collect();
                }
                None => wanted.push(row),
            }
        }
        if !wanted.is_empty() {
            self.descendants(&mut reader, runs, &wanted, &mut members)?;
        }
        let rows = runs.iter().zip(members);
        Ok(rows
            .map(|(run, found)| match run {
                Some(run) => self.usage(&mut reader, run.main, found, each),
                None => RunUsage::default(),
            })
            .collect())
    }

    /// Finds the processes of the runs that have no cgroup.
    fn descendants(
        &self,
        reader: &mut Reader<'_>,
        runs: &[Option<LiveRun>],
        wanted: &[usize],
        members: &mut [Vec<(u32, Stat)>],
    ) -> Result<(), String> {
        // The kernel is the parent of the first processes, and the daemon of the runs.
        let mut owners = HashMap::from([(0, None), (self.proc.own_pid, None)]);
        let (mut sessions, mut mains) = (HashMap::new(), HashSet::new());
        for &row in wanted {
            let Some(LiveRun { main: Some(pid), age, .. }) = &runs[row] else { continue };
            // One that is gone, or whose pid is somebody else's now, has simply nothing to tell.
            if let Ok(Some(stat)) = reader.stat_of_run(*pid, *age) {
                owners.insert(*pid, Some(row));
                members[row].push((*pid, stat));
                mains.insert(*pid);
                if stat.session != 0 {
                    sessions.insert(stat.session, row);
                }
            }
        }
        if mains.is_empty() {
            return Ok(());
        }
        let mut all = HashMap::new();
        let mut pids = Vec::new();
        reader.processes(|pid, _| pids.push(pid)).map_err(|error| error.to_string())?;
        for pid in pids {
            if all.len() == MAX_READ {
                return Err(format!("there are more than {MAX_READ} processes on this machine"));
            }
            match reader.stat(pid) {
                Ok(stat) => drop(all.insert(pid, stat)),
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        for (pid, stat) in &all {
            if !mains.contains(pid)
                && let Some(row) = owner(*pid, &all, &sessions, &mut owners)
            {
                members[row].push((*pid, *stat));
            }
        }
        Ok(())
    }

    fn usage(
        &self,
        reader: &mut Reader<'_>,
        main: Option<u32>,
        mut found: Vec<(u32, Stat)>,
        each: bool,
    ) -> RunUsage {
        found.iter_mut().for_each(|(pid, stat)| *stat = reader.exact(*pid, *stat));
        found.sort_unstable_by_key(|(pid, _)| (Some(*pid) != main, *pid));
        let bytes = |stat: &Stat| {
            if stat.is_zombie() { 0 } else { self.proc.pages(stat.resident_pages).unwrap_or(0) }
        };
        let mut usage = RunUsage::default();
        let (mut fds, mut io) = (Some(0), Some([0, 0]));
        for (pid, stat) in &found {
            usage.cpu += self.proc.time(stat.tree_cpu_ticks());
            if Some(*pid) == main {
                usage.main_resident_bytes = bytes(stat);
                usage.main_cpu = self.proc.time(stat.own_cpu_ticks());
            }
            if stat.is_zombie() {
                continue;
            }
            usage.processes += 1;
            usage.resident_bytes += bytes(stat);
            usage.threads += stat.threads;
            // Without the right to look (another user's process) a sum would be too small: there is none then.
            fds = fds.and_then(|sum: u64| Some(sum + known(reader.open_fds(pid))?.unwrap_or(0)));
            io = io.and_then(|[read, written]: [u64; 2]| {
                let [r, w] = known(reader.io(*pid))?.unwrap_or([0, 0]);
                Some([read + r, written + w])
            });
        }
        (usage.fds, usage.io) = (fds.filter(|_| usage.processes > 0), io.filter(|_| usage.processes > 0));
        if each {
            usage.members = found.iter().map(|(pid, stat)| self.member(reader, *pid, stat)).collect();
        }
        usage
    }

    fn member(&self, reader: &mut Reader<'_>, pid: u32, stat: &Stat) -> Member {
        let root = &self.proc.root;
        let boot = *self.boot.get_or_init(|| {
            let seconds = reader.file(&format_args!("{root}/stat"), parse::boot_time).ok().flatten()?;
            Some(Wall(0).after(Duration::from_secs(seconds)))
        });
        Member {
            pid,
            parent: stat.parent,
            name: text(Path::new(&format!("{root}/{pid}/comm"))),
            command_line: text(Path::new(&format!("{root}/{pid}/cmdline"))),
            resident_bytes: if stat.is_zombie() {
                0
            } else {
                self.proc.pages(stat.resident_pages).unwrap_or(0)
            },
            cpu: self.proc.time(stat.tree_cpu_ticks()),
            started: boot.unwrap_or_default().after(self.proc.time(stat.start_ticks)),
            state: char::from(stat.state),
        }
    }
}

/// A reading: `Some(None)` = the process is gone, `None` = the daemon may not look.
#[expect(clippy::option_option, reason = "gone and forbidden are not the same")]
fn known<T>(reading: Result<T, crate::proc::ProcError>) -> Option<Option<T>> {
    match reading {
        Ok(value) => Some(Some(value)),
        Err(error) if error.is_gone() => Some(None),
        Err(_) => None,
    }
}

/// Goes up from a process to the first ancestor that is decided, and decides all on the way.
fn owner(
    pid: u32,
    all: &HashMap<u32, Stat>,
    sessions: &HashMap<u32, usize>,
    owners: &mut HashMap<u32, Option<usize>>,
) -> Option<usize> {
    let (mut path, mut at) = (Vec::new(), pid);
    let mut found = loop {
        if let Some(owner) = owners.get(&at) {
            break *owner;
        }
        // A parent that ended since its child was read; or a circle, which a moving tree may show.
        let Some(stat) = all.get(&at).filter(|_| path.len() <= all.len()) else { break None };
        path.push((at, stat.session));
        at = stat.parent;
    };
    for (pid, session) in path.into_iter().rev() {
        found = sessions.get(&session).copied().or(found);
        owners.insert(pid, found);
    }
    found
}

/// Every process of a cgroup and of those below it.
fn pids(dir: &Path) -> Vec<u32> {
    let (mut pids, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    let mut seen = 0;
    while let Some(dir) = dirs.pop().filter(|_| seen < GROUPS) {
        seen += 1;
        let listed = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        pids.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
        let below = fs::read_dir(&dir).into_iter().flatten().flatten();
        dirs.extend(below.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()));
    }
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// The beginning of a file of words: NULs between them, and control characters, are shown as blanks.
fn text(path: &Path) -> String {
    let mut raw = Vec::new();
    // What can't be read is not shown.
    let _read = File::open(path).and_then(|file| file.take(COMMAND_LINE).read_to_end(&mut raw)).is_ok();
    let text = String::from_utf8_lossy(&raw);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
