//! Which processes a run consists of, in one pass over /proc for all runs.
//!
//! A process belongs to the run whose main process it descends from, or in whose session it is: a run begins a session of
//! its own, so an orphan is still found by it. What left both, a daemon that detached itself, is nobody's here.
//!
//! The pass reads `stat` of what belongs to runs, and of each process of somebody else's once: who is not ours never
//! becomes ours. So beside ten thousand other processes a scrape costs one listing of /proc.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::{ProcError, Reader, Stat};

/// Processes whose `stat` one pass reads at most. It guards against a machine with a hundred thousand processes, where
/// the first scrape would take a second.
pub(crate) const MAX_READ: usize = 65_536;

/// Processes that are known to belong to no run: pid, and the number that tells it from a later one. As many as there
/// are, 16 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Strangers(ByPid<u64>);

/// Of pids, which the kernel gives and nobody chooses: a hash that withstands an attacker would be a third of a pass.
type ByPid<V> = HashMap<u32, V, BuildHasherDefault<PidHasher>>;

/// Spreads a number over all bits, by the golden ratio.
#[derive(Default)]
struct PidHasher(u64);

impl Hasher for PidHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, pid: u32) {
        self.0 = (self.0 ^ u64::from(pid)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// What a run consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Processes, the main one included; no zombies.
    pub(crate) processes: u64,
    /// Resident sets in pages.
    pub(crate) resident_pages: u64,
    /// CPU time in ticks, with that of children that were waited for.
    pub(crate) cpu_ticks: u64,
}

impl Tree {
    fn add(&mut self, stat: &Stat) {
        self.cpu_ticks += stat.tree_cpu_ticks();
        if !stat.is_zombie() {
            self.processes += 1;
            self.resident_pages += stat.resident_pages;
        }
    }
}

/// Whose a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The run of this row.
    Run(usize),
    /// Nobody's, and never will be anybody's.
    Stranger,
    /// Nobody's as far as can be seen now.
    Unknown,
}

/// Adds up what each run consists of; `mains` are the live main processes by row. `None` = there is too much to read.
pub(crate) fn trees(
    reader: &mut Reader<'_>,
    own_pid: u32,
    mains: &[Option<(u32, Stat)>],
    strangers: &mut Strangers,
) -> Result<Option<Vec<Tree>>, ProcError> {
    let mut trees = vec![Tree::default(); mains.len()];
    // The kernel is the parent of the first processes, and the daemon of the runs.
    let mut owners: ByPid<Owner> = ByPid::default();
    owners.reserve(mains.len() + strangers.0.len() + 2);
    owners.extend([(0, Owner::Stranger), (own_pid, Owner::Unknown)]);
    let mut sessions = ByPid::default();
    sessions.reserve(mains.len());
    for (row, (pid, stat)) in mains.iter().enumerate().filter_map(|(row, main)| Some((row, main.as_ref()?))) {
        trees[row].add(stat);
        owners.insert(*pid, Owner::Run(row));
        if stat.session != 0 {
            sessions.insert(stat.session, row);
        }
    }
    let mut known = Strangers::default();
    known.0.reserve(strangers.0.len());
    let mut unknown = Vec::new();
    reader.processes(|pid, number| {
        if owners.contains_key(&pid) {
            return;
        }
        if strangers.0.get(&pid) == Some(&number) {
            known.0.insert(pid, number);
            owners.insert(pid, Owner::Stranger);
            return;
        }
        unknown.push((pid, number));
    })?;
    if unknown.len() > MAX_READ {
        return Ok(None);
    }
    let mut fresh = ByPid::default();
    for (pid, number) in unknown {
        match reader.stat(pid) {
            Ok(stat) => drop(fresh.insert(pid, (stat, number))),
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
        }
    }
    for (pid, (stat, number)) in &fresh {
        match owner(*pid, &fresh, &sessions, &mut owners) {
            Owner::Run(row) => trees[row].add(stat),
            Owner::Stranger => drop(known.0.insert(*pid, *number)),
            Owner::Unknown => {}
        }
    }
    *strangers = known;
    Ok(Some(trees))
}

/// Goes up from a process to the first ancestor that is decided, and decides all on the way.
fn owner(pid: u32, fresh: &ByPid<(Stat, u64)>, sessions: &ByPid<usize>, owners: &mut ByPid<Owner>) -> Owner {
    let mut path = Vec::new();
    let mut at = pid;
    let mut found = loop {
        if let Some(owner) = owners.get(&at) {
            break *owner;
        }
        // A parent that ended since its child was read; or a circle, which a moving tree may show.
        let Some((stat, _)) = fresh.get(&at).filter(|_| path.len() <= fresh.len()) else {
            break Owner::Unknown;
        };
        path.push((at, stat.session));
        at = stat.parent;
    };
    for (pid, session) in path.into_iter().rev() {
        if let Some(row) = sessions.get(&session) {
            found = Owner::Run(*row);
        }
        owners.insert(pid, found);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::proc::ProcFs;

    /// A process of a made-up /proc: 100 ticks and 10 pages each.
    fn put(root: &Path, pid: u32, parent: u32, session: u32, state: char) {
        let dir = root.join(pid.to_string());
        fs::create_dir_all(&dir).unwrap();
        let stat =
            format!("{pid} (x) {state} {parent} {pid} {session} 0 0 0 0 0 0 0 60 40 0 0 20 0 1 0 5 0 10 0\n");
        fs::write(dir.join("stat"), stat).unwrap();
    }

    fn read(root: &Path, mains: &[u32], strangers: &mut Strangers) -> Vec<Tree> {
        let proc = ProcFs::at(root.to_str().unwrap().to_owned(), 50, 100, Some(4096), false);
        let mut reader = Reader::new(&proc);
        let mains: Vec<_> = mains.iter().map(|pid| Some((*pid, reader.stat(pid).unwrap()))).collect();
        trees(&mut reader, 50, &mains, strangers).unwrap().unwrap()
    }

    fn tree(processes: u64, dead: u64) -> Tree {
        let (resident_pages, cpu_ticks) = (10 * processes, 100 * (processes + dead));
        Tree { processes, resident_pages, cpu_ticks }
    }

    #[test]
    fn descendants_and_sessions() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        put(root, 1, 0, 1, 'S');
        put(root, 50, 1, 50, 'S');
        put(root, 100, 50, 100, 'S');
        put(root, 200, 50, 200, 'S');
        // A grandchild in a session of its own; a zombie; an orphan of the session, with a child that left it.
        put(root, 101, 100, 100, 'S');
        put(root, 102, 101, 102, 'S');
        put(root, 103, 100, 100, 'Z');
        put(root, 104, 50, 100, 'S');
        put(root, 105, 104, 105, 'S');
        // Somebody else's, and one that the daemon was given and nobody knows.
        put(root, 300, 1, 300, 'S');
        put(root, 301, 300, 300, 'S');
        put(root, 106, 50, 106, 'S');
        let mut strangers = Strangers::default();
        assert_eq!(read(root, &[100, 200], &mut strangers), [tree(5, 1), tree(1, 0)]);
        let mut known: Vec<u32> = strangers.0.keys().copied().collect();
        known.sort_unstable();
        assert_eq!(known, [1, 300, 301]);

        // A stranger is not read again, but another process with its pid is.
        fs::remove_file(root.join("300/stat")).unwrap();
        fs::remove_dir_all(root.join("301")).unwrap();
        assert_eq!(read(root, &[100, 200], &mut strangers), [tree(5, 1), tree(1, 0)]);
        assert!(strangers.0.contains_key(&300) && !strangers.0.contains_key(&301));
        *strangers.0.get_mut(&300).unwrap() += 1;
        put(root, 300, 200, 200, 'S');
        assert_eq!(read(root, &[100, 200], &mut strangers), [tree(5, 1), tree(2, 0)]);
    }

    #[test]
    fn a_parent_that_is_gone_decides_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        put(root, 100, 50, 100, 'S');
        // The parent ended between the listing and its reading; and two that each seem to be the other's child.
        put(root, 101, 99, 101, 'S');
        put(root, 102, 103, 102, 'S');
        put(root, 103, 102, 103, 'S');
        let mut strangers = Strangers::default();
        assert_eq!(read(root, &[100], &mut strangers), [tree(1, 0)]);
        assert!(strangers.0.is_empty(), "{strangers:?}");
    }
}
