//! Which processes a run consists of, in one pass over /proc for all runs.
//!
//! A process belongs to the run whose main process it descends from, or in whose session it is: a run begins a session of
//! its own, so an orphan is still found by it. What left both, a daemon that detached itself, is nobody's here.
//!
//! The pass reads `stat` of what belongs to runs, and of each process of somebody else's once: who is not ours never
//! becomes ours. Which processes there are is a matter of the [survey](super::survey).

use super::survey::{ByPid, Number, Survey};
use super::{ProcError, Reader, Stat};

/// Processes whose `stat` one pass reads at most. It guards against a machine with a hundred thousand processes, where
/// the first scrape would take a second.
pub(crate) const MAX_READ: usize = 65_536;

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
pub(crate) fn trees<'a>(
    reader: &mut Reader<'_>,
    own_pid: u32,
    mains: impl ExactSizeIterator<Item = Option<(u32, &'a Stat)>> + Clone,
    survey: &mut Survey,
) -> Result<Option<Vec<Tree>>, ProcError> {
    let found = look(reader, own_pid, mains, survey);
    if !matches!(found, Ok(Some(_))) {
        // It knows of candidates that nobody looked at.
        *survey = Survey::default();
    }
    found
}

fn look<'a>(
    reader: &mut Reader<'_>,
    own_pid: u32,
    mains: impl ExactSizeIterator<Item = Option<(u32, &'a Stat)>> + Clone,
    survey: &mut Survey,
) -> Result<Option<Vec<Tree>>, ProcError> {
    let mut trees = vec![Tree::default(); mains.len()];
    // The kernel is the parent of the first processes, and the daemon of the runs.
    let mut owners: ByPid<Owner> = ByPid::default();
    owners.reserve(mains.len() + 2);
    owners.extend([(0, Owner::Stranger), (own_pid, Owner::Unknown)]);
    let mut sessions = ByPid::default();
    sessions.reserve(mains.len());
    for (row, (pid, stat)) in mains.clone().enumerate().filter_map(|(row, main)| Some((row, main?))) {
        trees[row].add(stat);
        owners.insert(pid, Owner::Run(row));
        if stat.session != 0 {
            sessions.insert(stat.session, row);
        }
    }
    let candidates = survey.candidates(reader, |pid| owners.contains_key(&pid))?;
    if candidates.len() > MAX_READ {
        return Ok(None);
    }
    let mut fresh = ByPid::default();
    for (pid, number) in candidates {
        match reader.stat(pid) {
            Ok(stat) => drop(fresh.insert(pid, (stat, number))),
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
        }
    }
    survey.looked_at.extend(mains.flatten().map(|(pid, _)| pid));
    for (pid, (stat, number)) in &fresh {
        match owner(*pid, &fresh, &sessions, survey, &mut owners) {
            Owner::Run(row) => trees[row].add(stat),
            Owner::Stranger => {
                survey.strangers.insert(*pid, *number);
                continue;
            }
            Owner::Unknown => {}
        }
        survey.looked_at.push(*pid);
    }
    Ok(Some(trees))
}

/// Goes up from a process to the first ancestor that is decided, and decides all on the way.
fn owner(
    pid: u32,
    fresh: &ByPid<(Stat, Number)>,
    sessions: &ByPid<usize>,
    survey: &Survey,
    owners: &mut ByPid<Owner>,
) -> Owner {
    let mut path = Vec::new();
    let mut at = pid;
    let mut found = loop {
        if let Some(owner) = owners.get(&at) {
            break *owner;
        }
        if survey.strangers.contains_key(&at) {
            break Owner::Stranger;
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
    use std::time::Duration;

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

    fn read(root: &Path, mains: &[u32], survey: &mut Survey) -> Vec<Tree> {
        let mut proc = ProcFs::at(root.to_str().unwrap().to_owned(), 50, 100, Some(4096), false);
        // Each pid may be a process.
        proc.ran = |_| Some(Duration::ZERO);
        let mut reader = Reader::new(&proc);
        let mains: Vec<_> = mains.iter().map(|pid| Some((*pid, reader.stat(pid).unwrap()))).collect();
        let mains = mains.iter().map(|main| main.as_ref().map(|(pid, stat)| (*pid, stat)));
        trees(&mut reader, 50, mains, survey).unwrap().unwrap()
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
        let mut survey = Survey::default();
        assert_eq!(read(root, &[100, 200], &mut survey), [tree(5, 1), tree(1, 0)]);
        let mut known: Vec<u32> = survey.strangers.keys().copied().collect();
        known.sort_unstable();
        assert_eq!(known, [1, 300, 301]);

        // A stranger is not read again, but another process with its pid is.
        fs::remove_file(root.join("300/stat")).unwrap();
        fs::remove_dir_all(root.join("301")).unwrap();
        assert_eq!(read(root, &[100, 200], &mut survey), [tree(5, 1), tree(1, 0)]);
        assert!(survey.strangers.contains_key(&300) && !survey.strangers.contains_key(&301));
        *survey.strangers.get_mut(&300).unwrap() = Some(0);
        put(root, 300, 200, 200, 'S');
        assert_eq!(read(root, &[100, 200], &mut survey), [tree(5, 1), tree(2, 0)]);
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
        let mut survey = Survey::default();
        assert_eq!(read(root, &[100], &mut survey), [tree(1, 0)]);
        assert!(survey.strangers.is_empty(), "{survey:?}");
    }

    /// A machine with a daemon, a run of pid 1000 and a hundred strangers, on which 1100 was the last pid.
    fn machine(root: &Path) {
        put(root, 1, 0, 1, 'S');
        put(root, 50, 1, 50, 'S');
        put(root, 1000, 50, 1000, 'S');
        (300..400).for_each(|pid| put(root, pid, 1, pid, 'S'));
        last_pid(root, 1100);
    }

    fn last_pid(root: &Path, pid: u32) {
        fs::create_dir_all(root.join("sys/kernel")).unwrap();
        fs::write(root.join("sys/kernel/ns_last_pid"), format!("{pid}\n")).unwrap();
    }

    #[test]
    fn who_is_new_is_found_by_the_pids_that_were_given_since() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        machine(root);
        let mut survey = Survey::default();
        assert_eq!(read(root, &[1000], &mut survey), [tree(1, 0)]);
        // A new one; one whose pid had been given when nobody could see it yet; a stranger's pid that is ours now; and one that
        // has a pid of its choice.
        put(root, 1101, 1000, 1000, 'S');
        put(root, 1090, 1000, 1000, 'S');
        survey.strangers.insert(1102, Some(7));
        put(root, 1102, 1000, 1000, 'S');
        put(root, 900, 1000, 1000, 'S');
        last_pid(root, 1103);
        assert_eq!(read(root, &[1000], &mut survey), [tree(4, 0)], "without a listing");
        fs::remove_dir_all(root.join("1090")).unwrap();
        let passes = (3..).find(|_| read(root, &[1000], &mut survey) != [tree(3, 0)]).unwrap();
        assert_eq!(passes, 1 + 8, "each eighth lists");
        assert_eq!(read(root, &[1000], &mut survey), [tree(4, 0)]);
    }

    #[test]
    fn it_lists_when_pids_began_anew_or_more_were_given_than_there_are_processes() {
        for last in [1, 1099, 1100 + 500] {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path();
            machine(root);
            let mut survey = Survey::default();
            read(root, &[1000], &mut survey);
            put(root, 290, 1000, 1000, 'S');
            last_pid(root, last);
            let expected = if last == 1099 { tree(1, 0) } else { tree(2, 0) };
            assert_eq!(read(root, &[1000], &mut survey), [expected], "{last}");
        }
    }

    #[test]
    fn who_was_the_main_process_is_still_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        machine(root);
        put(root, 1001, 1000, 1000, 'S');
        let mut survey = Survey::default();
        assert_eq!(read(root, &[1000], &mut survey), [tree(2, 0)]);
        assert_eq!(read(root, &[1001], &mut survey), [tree(2, 0)]);
        assert_eq!(read(root, &[1000], &mut survey), [tree(2, 0)]);
    }
}
