//! What only shows when all definitions are looked at together: two writers of one file, impossible orders.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use model::{Output, ProcessName, ProcessSpec, Stream};

use crate::fault::{Fault, steps};

fn fault(key: &str, message: String, hint: &str) -> Fault {
    Fault { path: steps(key), on_key: false, message, hint: Some(hint.to_owned()) }
}

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
    fault(stream.as_str(), message, "give each process a file of its own")
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

/// Names in `after` and `before` that no process has.
pub(crate) fn unknown_names(spec: &ProcessSpec, known: &BTreeSet<&ProcessName>) -> Vec<Fault> {
    let both = [("after", &spec.after), ("before", &spec.before)];
    let mut found = Vec::new();
    for (key, names) in both {
        for (index, name) in names.iter().enumerate().filter(|(_, name)| !known.contains(name)) {
            // Each comparison costs about a microsecond, and there may be ten thousand of either.
            let candidates = known.iter().take(1000).map(|n| (n.as_str(), n.as_str()));
            let close = crate::suggest::closest(name.as_str(), candidates);
            let hint =
                close.map_or("define it, or remove the name".to_owned(), |n| format!("did you mean `{n}`?"));
            let mut fault = fault(key, format!("no process is called {name}"), &hint);
            fault.path.push(crate::tree::Step::Index(index));
            found.push(fault);
        }
    }
    found
}

/// Processes that wait for each other in a circle, each with a fault that prints the circle.
pub(crate) fn cycles(specs: &[ProcessSpec]) -> Vec<(ProcessName, Fault)> {
    let index: HashMap<&ProcessName, usize> = specs.iter().enumerate().map(|(i, s)| (&s.name, i)).collect();
    let mut waits_for: Vec<Vec<usize>> = vec![Vec::new(); specs.len()];
    for (i, spec) in specs.iter().enumerate() {
        for j in spec.after.iter().filter_map(|name| index.get(name)) {
            waits_for[i].push(*j);
        }
        for j in spec.before.iter().filter_map(|name| index.get(name)) {
            waits_for[*j].push(i);
        }
    }
    let mut found = Vec::new();
    for group in strongly_connected(&waits_for) {
        // Beyond this size a circle for each member costs too much; all get the same one.
        let shared = if group.len() > 50 { group.first().copied() } else { None };
        let shared = shared.and_then(|first| circle(first, &group, &waits_for));
        for &member in &group {
            let own = || circle(member, &group, &waits_for);
            let Some(circle) = shared.clone().or_else(own) else { continue };
            let spec = &specs[member];
            let inside =
                |names: &[ProcessName]| names.iter().any(|n| index.get(n).is_some_and(|i| group.contains(i)));
            let key = if inside(&spec.after) { "after" } else { "before" };
            let message = match circle.as_slice() {
                [_, _] => format!("{} can't wait for itself", spec.name),
                circle => format!("these wait for each other: {}", circle_text(circle, specs)),
            };
            found.push((
                spec.name.clone(),
                fault(key, message, "remove one of the names from `after` or `before`"),
            ));
        }
    }
    found
}

/// `a -> b -> a`; of a long one only the beginning.
fn circle_text(circle: &[usize], specs: &[ProcessSpec]) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<&str> = circle.iter().take(SHOWN).map(|i| specs[*i].name.as_str()).collect();
    let rest = format!("... ({} in all)", circle.len() - 1);
    if circle.len() > SHOWN {
        names.push(&rest);
    }
    names.join(" -> ")
}

/// The shortest way from a process back to itself; `None` when there is none.
fn circle(start: usize, group: &BTreeSet<usize>, edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut came_from: HashMap<usize, usize> = HashMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for &next in edges[at].iter().filter(|next| group.contains(next)) {
            if next == start {
                let (mut way, mut step) = (vec![start], Some(at));
                while let Some(before) = step.filter(|step| *step != start) {
                    way.push(before);
                    step = came_from.get(&before).copied();
                }
                way.push(start);
                way.reverse();
                return Some(way);
            }
            if let Entry::Vacant(unseen) = came_from.entry(next) {
                unseen.insert(at);
                queue.push_back(next);
            }
        }
    }
    None
}

/// Kosaraju's algorithm with explicit stacks: a chain of ten thousand processes must not overflow the real one.
fn strongly_connected(edges: &[Vec<usize>]) -> Vec<BTreeSet<usize>> {
    let mut reversed: Vec<Vec<usize>> = vec![Vec::new(); edges.len()];
    for (from, targets) in edges.iter().enumerate() {
        for to in targets {
            reversed[*to].push(from);
        }
    }
    let mut order = Vec::new();
    let mut seen = vec![false; edges.len()];
    for root in 0..edges.len() {
        let mut stack = vec![(root, 0)];
        if std::mem::replace(&mut seen[root], true) {
            continue;
        }
        while let Some((at, child)) = stack.pop() {
            match edges[at].get(child) {
                Some(&next) => {
                    stack.push((at, child + 1));
                    if !std::mem::replace(&mut seen[next], true) {
                        stack.push((next, 0));
                    }
                }
                None => order.push(at),
            }
        }
    }
    let mut groups = Vec::new();
    let mut placed = vec![false; edges.len()];
    for root in order.into_iter().rev() {
        let (mut stack, mut group) = (vec![root], BTreeSet::new());
        while let Some(at) = stack.pop() {
            if !std::mem::replace(&mut placed[at], true) {
                group.insert(at);
                stack.extend(&reversed[at]);
            }
        }
        if !group.is_empty() {
            groups.push(group);
        }
    }
    groups
}

#[cfg(test)]
mod tests;
