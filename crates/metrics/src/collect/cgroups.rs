//! What the kernel accounts by cgroup: memory, its limit, pressure, and kills for lack of memory.

use std::path::Path;

use super::{Collected, Failures};
use crate::fleet::Fleet;
use crate::names::{CGROUP_MEMORY, CGROUP_MEMORY_LIMIT, CGROUP_PRESSURE, OOM_KILLS};
use crate::proc::{ProcError, Reader, parse};
use crate::source::Source;
use crate::text::Text;

/// Resources that the kernel accounts pressure of, as its files are called.
const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

/// What one leaf tells. Each file is there or not, depending on the kernel and its controllers.
struct Leaf {
    memory: Option<u64>,
    limit: Option<u64>,
    pressure: [Option<std::time::Duration>; 3],
}

impl Leaf {
    fn read(reader: &mut Reader<'_>, dir: &Path) -> Result<Self, ProcError> {
        let dir = dir.display();
        let memory = reader.file(&format_args!("{dir}/memory.current"), parse::number_or_max)?.flatten();
        let limit = match memory {
            Some(_) => reader.file(&format_args!("{dir}/memory.max"), parse::number_or_max)?.flatten(),
            None => None,
        };
        let mut pressure = [None; 3];
        for (resource, total) in RESOURCES.iter().zip(&mut pressure) {
            *total = reader.file(&format_args!("{dir}/{resource}.pressure"), parse::pressure)?;
        }
        Ok(Self { memory, limit, pressure })
    }
}

/// The leaf of each live run, and the daemon's own group.
pub(crate) fn write(
    fleet: &Fleet,
    source: &dyn Source,
    own: Option<&Path>,
    reader: &mut Reader<'_>,
    out: &mut Text,
) -> Collected {
    let mut failures = Failures::default();
    let mut leaves = Vec::new();
    for (_, row) in fleet.with(&CGROUP_MEMORY) {
        let Some((run, _)) = row.run() else { continue };
        let Some(dir) = source.cgroup(&row.view.spec.name, run.invocation) else { continue };
        match Leaf::read(reader, &dir) {
            Ok(leaf) => leaves.push((row.name(), leaf)),
            Err(error) => failures.add(error),
        }
    }
    for (metric, value) in
        [(&CGROUP_MEMORY, (|l| l.memory) as fn(&Leaf) -> Option<u64>), (&CGROUP_MEMORY_LIMIT, |l| l.limit)]
    {
        let mut family = out.family(metric);
        leaves
            .iter()
            .filter_map(|(name, leaf)| Some((name, value(leaf)?)))
            .for_each(|(n, v)| family.add(&[n], v));
    }
    let mut family = out.family(&CGROUP_PRESSURE);
    for (name, leaf) in &leaves {
        for (resource, total) in RESOURCES.iter().zip(leaf.pressure) {
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
