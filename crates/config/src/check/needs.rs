//! What processes want of each other: names that nobody has, needs that contradict each other or that are never met.

use std::collections::{BTreeSet, HashMap, HashSet};

use model::{Dependency, ProcessName, ProcessSpec, Readiness, RestartPolicy};

use super::{fault, item};
use crate::fault::{Fault, Faults};
use crate::suggest::closest;
use crate::tree::Step;

fn needs(spec: &ProcessSpec) -> [(&'static str, &[Dependency]); 3] {
    let needs = &spec.needs;
    [("requires", &needs.requires), ("wants", &needs.wants), ("binds_to", &needs.binds_to)]
}

/// Every dependency with its key and its place in that key's list.
fn all_needs(spec: &ProcessSpec) -> impl Iterator<Item = (&'static str, usize, &Dependency)> {
    needs(spec).into_iter().flat_map(|(key, list)| {
        list.iter().enumerate().map(move |(index, dependency)| (key, index, dependency))
    })
}

/// Comparisons of names for "did you mean" in one load. Each costs up to a microsecond, and there may be a hundred
/// thousand names on either side.
pub(crate) const COMPARISONS: usize = 200_000;

/// Names that no process has. `left` is what remains of [`COMPARISONS`].
pub(crate) fn unknown_names(
    spec: &ProcessSpec,
    known: &BTreeSet<&ProcessName>,
    left: &mut usize,
) -> Vec<Fault> {
    let order = [("after", &spec.after), ("before", &spec.before), ("conflicts", &spec.needs.conflicts)];
    let order = order
        .into_iter()
        .flat_map(|(key, names)| names.iter().enumerate().map(move |(index, name)| (key, index, name)));
    let needs = all_needs(spec).map(|(key, index, dependency)| (key, index, &dependency.name));
    let mut faults = Faults::default();
    for (key, index, name) in order.chain(needs).filter(|(_, _, name)| !known.contains(name)) {
        let candidates = known.iter().take(*left).map(|n| (n.as_str(), n.as_str()));
        *left = left.saturating_sub(known.len());
        let hint = closest(name.as_str(), candidates)
            .map_or("define it, or remove the name".to_owned(), |n| format!("did you mean `{n}`?"));
        let message = match key {
            "requires" | "binds_to" => {
                format!("no process is called {name}, and {} can't start without it", spec.name)
            }
            _ => format!("no process is called {name}"),
        };
        faults.at(key, |faults| faults.below(Step::Index(index), |faults| faults.value(message, hint)));
    }
    faults.finish()
}

/// Processes of which one needs the other and the other conflicts with it. Both are at fault, each once.
pub(crate) fn rivals(specs: &[ProcessSpec]) -> Vec<(ProcessName, Fault)> {
    let mut refused: HashMap<(&ProcessName, &ProcessName), usize> = HashMap::new();
    for spec in specs {
        for (index, other) in spec.needs.conflicts.iter().enumerate() {
            refused.entry((&spec.name, other)).or_insert(index);
        }
    }
    let (mut found, mut told) = (Vec::new(), HashSet::new());
    let mut tell = |name: &ProcessName, fault: Fault| {
        if told.insert(name.clone()) {
            found.push((name.clone(), fault));
        }
    };
    for spec in specs {
        for (key, index, dependency) in all_needs(spec) {
            let (name, other) = (&spec.name, &dependency.name);
            if let Some(&at) = refused.get(&(other, name)) {
                let message =
                    format!("{other} can't be up together with {name}: it has {name} in `conflicts`");
                let hint = format!("remove {other} here, or {name} there");
                tell(name, fault(item(key, index), message, hint));
                let message = format!("{name} can't be up without {other}: it has {other} in `{key}`");
                let hint = format!("remove {name} here, or {other} there");
                tell(other, fault(item("conflicts", at), message, hint));
            }
        }
    }
    found
}

/// What can be in force and probably doesn't do what is meant: each with the process whose definition says it.
pub(crate) fn doubts(specs: &[ProcessSpec]) -> Vec<(ProcessName, Fault)> {
    let by_name: HashMap<&ProcessName, &ProcessSpec> = specs.iter().map(|s| (&s.name, s)).collect();
    let (mut found, mut told) = (Vec::new(), HashSet::new());
    for spec in specs {
        let mut faults = Faults::default();
        for (key, index, dependency) in all_needs(spec) {
            let Some(other) = by_name.get(&dependency.name) else { continue };
            if let Some((message, hint)) = never(dependency, other) {
                faults
                    .at(key, |faults| faults.below(Step::Index(index), |faults| faults.value(message, hint)));
            }
        }
        for (index, other) in spec.needs.conflicts.iter().enumerate() {
            let both = spec.auto_start && by_name.get(other).is_some_and(|other| other.auto_start);
            if both && !told.contains(&(other, &spec.name)) {
                told.insert((&spec.name, other));
                faults.at("conflicts", |faults| {
                    faults.below(Step::Index(index), |faults| {
                        let message = format!(
                            "{} and {other} are both started with the daemon, but only one of them can be up",
                            spec.name
                        );
                        faults.value(message, "write `auto_start: false` for one of them");
                    });
                });
            }
        }
        found.extend(faults.finish().into_iter().map(|fault| (spec.name.clone(), fault)));
    }
    found
}

/// Why another process hardly ever is as far as it has to be.
fn never(dependency: &Dependency, other: &ProcessSpec) -> Option<(String, String)> {
    let name = &other.name;
    match dependency.until? {
        Readiness::Healthy if other.health.is_none() => Some((
            format!("{name} has no `health_check`, so that it is never healthy"),
            format!("add one to {name}, or write `{name}: ready`"),
        )),
        Readiness::Completed
            if matches!(other.restart.policy, RestartPolicy::Always | RestartPolicy::OnSuccess) =>
        {
            let policy = other.restart.policy.as_str();
            Some((
                format!("with `restart: {policy}` {name} is run again as soon as it has completed"),
                format!("write `restart: on-failure` in {name}, or wait until it is `started` or `ready`"),
            ))
        }
        _ => None,
    }
}
