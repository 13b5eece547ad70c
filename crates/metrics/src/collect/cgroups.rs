//! What the kernel accounts by cgroup: memory, its limit, pressure, and kills for lack of memory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::RunId;

use super::{Collected, Failures};
use crate::fleet::{Fleet, Row};
use crate::names::{CGROUP_MEMORY, CGROUP_MEMORY_LIMIT, CGROUP_PRESSURE, OOM_KILLS};
use crate::proc::{Keeper, Leaf, LeafFile, ProcError, Reader, parse};
use crate::source::Source;
use crate::text::Text;

/// Resources that the kernel accounts pressure of.
const RESOURCES: [(&str, LeafFile); 3] =
    [("cpu", LeafFile::CpuPressure), ("memory", LeafFile::MemoryPressure), ("io", LeafFile::IoPressure)];

/// Files that one scrape leaves open for the next.
#[derive(Debug, Default)]
pub(crate) struct Leaves(Mutex<HashMap<RunId, Leaf>>);

/// What one leaf tells.
struct Told {
    memory: Option<u64>,
    limit: Option<u64>,
    pressure: [Option<Duration>; 3],
}

impl Told {
    fn read(reader: &mut Reader<'_>, leaf: &mut Leaf, dir: &str) -> Result<Self, ProcError> {
        let memory = reader.of_leaf(leaf, dir, LeafFile::Memory, parse::number_or_max)?.flatten();
        let limit = match memory {
            Some(_) => reader.of_leaf(leaf, dir, LeafFile::MemoryMax, parse::number_or_max)?.flatten(),
            None => None,
        };
        let mut pressure = [None; 3];
        for ((_, file), total) in RESOURCES.iter().zip(&mut pressure) {
            *total = reader.of_leaf(leaf, dir, *file, parse::pressure)?;
        }
        Ok(Self { memory, limit, pressure })
    }
}

/// The leaf of each live run, and the daemon's own group.
pub(crate) fn write(
    fleet: &Fleet,
    source: &dyn Source,
    own: Option<&Path>,
    leaves: &Leaves,
    reader: &mut Reader<'_>,
    out: &mut Text,
) -> Collected {
    let mut failures = Failures::default();
    let live: Vec<(&Row, RunId, PathBuf)> = fleet
        .with(&CGROUP_MEMORY)
        .filter_map(|(_, row)| {
            let (run, _) = row.run()?;
            Some((row, run.id, source.cgroup(&row.view.spec.name, run.invocation)?))
        })
        .collect();
    let mut kept = leaves.0.lock().unwrap_or_else(PoisonError::into_inner);
    let each = Leaf::DESCRIPTORS as u64;
    let mut keeper = Keeper::new(reader, live.len(), kept.len() as u64 * each, &[each]);
    // What is not taken over is closed.
    let mut files = std::mem::take(&mut *kept);
    let mut leaves = Vec::with_capacity(live.len());
    for (row, run, dir) in live {
        let mut leaf = files.remove(&run).unwrap_or_default();
        match Told::read(reader, &mut leaf, &dir.to_string_lossy()) {
            Ok(told) => leaves.push((fleet.name(row), told)),
            Err(error) => failures.add(error),
        }
        if keeper.takes() {
            kept.insert(run, leaf);
        }
    }
    drop(kept);
    for (metric, value) in
        [(&CGROUP_MEMORY, (|l| l.memory) as fn(&Told) -> Option<u64>), (&CGROUP_MEMORY_LIMIT, |l| l.limit)]
    {
        let mut family = out.family(metric);
        leaves
            .iter()
            .filter_map(|(name, leaf)| Some((name, value(leaf)?)))
            .for_each(|(n, v)| family.add(&[n], v));
    }
    let mut family = out.family(&CGROUP_PRESSURE);
    for (name, leaf) in &leaves {
        for ((resource, _), total) in RESOURCES.iter().zip(leaf.pressure) {
            if let Some(total) = total {
                family.add(&[name, resource], total);
            }
        }
    }
    if let Some(own) = own {
        let kills = reader.file(&format_args!("{}/memory.events", own.display()), parse::oom_kills)?;
        out.optional(&OOM_KILLS, kills);
    }
    failures.into_result()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use model::{InvocationId, ProcessName, Snapshot};

    use super::*;
    use crate::proc::ProcFs;
    use crate::source::{DaemonFacts, LogStream};
    use crate::tests::fixture::Fixture;
    use crate::text::Format;

    /// Many processes, each with a leaf in a directory.
    struct Many(Snapshot, PathBuf);

    impl Many {
        fn of(count: u64, dir: &Path) -> Self {
            let running = Fixture::default().processes.into_iter().find(|view| view.run.is_some()).unwrap();
            let mut processes = Vec::new();
            for n in 0..count {
                let mut view = running.clone();
                Arc::make_mut(&mut view.spec).name = ProcessName::new(&format!("w{n}")).unwrap();
                view.run.as_mut().unwrap().id = RunId(n);
                processes.push(Arc::new(view));
                let leaf = dir.join(format!("w{n}"));
                fs::create_dir_all(&leaf).unwrap();
                fs::write(leaf.join("memory.current"), format!("{n}\n")).unwrap();
                fs::write(leaf.join("memory.max"), "max\n").unwrap();
            }
            Self(Snapshot { processes, ..Snapshot::default() }, dir.to_owned())
        }
    }

    impl Source for Many {
        fn snapshot(&self) -> Snapshot {
            self.0.clone()
        }
        fn log_streams(&self, _each: &mut dyn FnMut(LogStream)) {}
        fn daemon(&self) -> DaemonFacts {
            DaemonFacts::default()
        }
        fn ready(&self) -> bool {
            true
        }
        fn cgroup(&self, process: &ProcessName, _: InvocationId) -> Option<PathBuf> {
            Some(self.1.join(process.as_str()))
        }
    }

    #[test]
    fn the_files_of_many_leaves_stay_open_and_those_of_few_or_gone_ones_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let (proc, leaves) = (ProcFs::detect(), Leaves::default());
        for (count, kept) in [(300, 300), (299, 299), (300, 300), (10, 0)] {
            let many = Many::of(count, dir.path());
            let fleet = Fleet::of(&many, model::Stamp::default);
            let mut out = Text::whole(Format::Text, false);
            write(&fleet, &many, None, &leaves, &mut Reader::new(&proc), &mut out).unwrap();
            let text = String::from_utf8(out.finish().into()).unwrap();
            let last = count - 1;
            assert!(text.contains(&format!("cgroup_memory_bytes{{process=\"w{last}\"}} {last}\n")), "{text}");
            assert!(!text.contains("limit"), "{text}");
            // A machine that lets a test open few files keeps fewer.
            let soft = Reader::new(&proc).max_fds("self").unwrap().unwrap_or(u64::MAX);
            let may = usize::try_from(soft / 4).unwrap_or(usize::MAX) / Leaf::DESCRIPTORS;
            assert_eq!(leaves.0.lock().unwrap().len(), kept.min(may), "of {count}");
        }
    }
}
