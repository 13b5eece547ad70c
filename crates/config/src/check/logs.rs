//! Two writers of one file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use model::{Output, ProcessName, ProcessSpec, Stream};

use super::fault;
use crate::fault::{Fault, steps};

/// The files that a process's output is written to, with the key that says so.
fn log_paths(spec: &ProcessSpec, log_dir: &Path) -> BTreeMap<PathBuf, Stream> {
    let mut paths = BTreeMap::new();
    for stream in Stream::ALL {
        let path = match spec.output.of(stream) {
            Output::Capture if spec.output.log.file => Some(log_dir.join(format!("{}.log", spec.name))),
            Output::File(path) if spec.output.log.file => Some(path.clone()),
            // Devices are made for many writers.
            Output::Direct(path) if !path.starts_with("/dev") && !path.starts_with("/proc") => {
                Some(path.clone())
            }
            Output::Capture | Output::File(_) | Output::Direct(_) | Output::Null | Output::Inherit => None,
        };
        if let Some(path) = path {
            // Through components, so that `/a//b` and `/a/./b` are `/a/b`.
            paths.entry(path.components().collect()).or_insert(stream);
        }
    }
    paths
}

/// Whether a process writes a file that one of the others writes too. Lines of two processes in one file would be
/// rotated away under each other. `log_dir` is where captured output goes that names no file.
#[must_use]
pub fn log_conflict<'a>(
    spec: &ProcessSpec,
    others: impl IntoIterator<Item = &'a ProcessSpec>,
    log_dir: &Path,
) -> Option<Fault> {
    let mine = log_paths(spec, log_dir);
    others.into_iter().filter(|other| other.name != spec.name).find_map(|other| {
        let theirs = log_paths(other, log_dir);
        let (path, stream) = mine.iter().find(|(path, _)| theirs.contains_key(*path))?;
        Some(conflict(spec, &other.name, path, *stream))
    })
}

fn conflict(spec: &ProcessSpec, other: &ProcessName, path: &Path, stream: Stream) -> Fault {
    let message = format!("{} and {other} both write their output to {}", spec.name, path.display());
    fault(steps(stream.as_str()), message, "give each process a file of its own")
}

/// All conflicts of a set that is sorted by name; the process with the later name has the fault.
pub(crate) fn log_conflicts(specs: &[ProcessSpec], log_dir: &Path) -> Vec<(ProcessName, Fault)> {
    let mut owners: HashMap<PathBuf, &ProcessName> = HashMap::new();
    let mut found = Vec::new();
    for spec in specs {
        let paths = log_paths(spec, log_dir);
        let taken = paths.iter().find_map(|(path, stream)| Some((*owners.get(path)?, path, *stream)));
        match taken {
            Some((owner, path, stream)) => {
                found.push((spec.name.clone(), conflict(spec, owner, path, stream)));
            }
            None => owners.extend(paths.into_keys().map(|path| (path, &spec.name))),
        }
    }
    found
}
