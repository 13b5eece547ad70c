//! Who comes before whom, who needs whom, and who can't stand whom, as a graph over the table.

use std::collections::{BTreeMap, BTreeSet};

use model::{ProcessName, ProcessSpec, Readiness};

use super::process::Key;

/// How much a process needs another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    Wants,
    Requires,
    BindsTo,
}

impl Strength {
    /// The key of a definition.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Wants => "wants",
            Self::Requires => "requires",
            Self::BindsTo => "binds_to",
        }
    }
}

/// Somebody that a process needs.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) name: ProcessName,
    /// `None` = nobody of that name is in the table.
    pub(super) key: Option<Key>,
    pub(super) until: Option<Readiness>,
    pub(super) strength: Strength,
}

/// The edges between processes that are in the table.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// `after` and `before` alone: what is needed says itself how far it has to be.
    first: BTreeMap<Key, Vec<Key>>,
    predecessors: BTreeMap<Key, Vec<Key>>,
    successors: BTreeMap<Key, Vec<Key>>,
    needs: BTreeMap<Key, Vec<Need>>,
    needed_by: BTreeMap<Key, Vec<(Key, Strength)>>,
    conflicts: BTreeMap<Key, BTreeSet<Key>>,
}

impl Graph {
    /// Builds the graph. Edges between members of a cycle are left out: `config` refuses cycles with a message,
    /// and a machine that waits for ever would be the worst way to tell.
    pub(super) fn build<'a>(
        specs: impl Iterator<Item = (Key, &'a ProcessSpec)>,
        key_of: impl Fn(&ProcessName) -> Option<Key>,
    ) -> Self {
        let mut graph = Self::default();
        let mut edges: BTreeSet<(Key, Key)> = BTreeSet::new();
        let mut order: BTreeSet<(Key, Key)> = BTreeSet::new();
        for (key, spec) in specs {
            order.extend(spec.after.iter().filter_map(&key_of).map(|first| (first, key)));
            order.extend(spec.before.iter().filter_map(&key_of).map(|second| (key, second)));
            let lists = [
                (Strength::Requires, &spec.needs.requires),
                (Strength::Wants, &spec.needs.wants),
                (Strength::BindsTo, &spec.needs.binds_to),
            ];
            for (strength, dependency) in lists.into_iter().flat_map(|(s, l)| l.iter().map(move |d| (s, d))) {
                let (name, until) = (dependency.name.clone(), dependency.until);
                let needed = key_of(&name).filter(|needed| *needed != key);
                edges.extend(needed.map(|first| (first, key)));
                if let Some(needed) = needed {
                    graph.needed_by.entry(needed).or_default().push((key, strength));
                }
                graph.needs.entry(key).or_default().push(Need { name, key: needed, until, strength });
            }
            for other in spec.needs.conflicts.iter().filter_map(&key_of).filter(|other| *other != key) {
                graph.conflicts.entry(key).or_default().insert(other);
                graph.conflicts.entry(other).or_default().insert(key);
            }
        }
        edges.extend(&order);
        let acyclic = without_cycles(&edges);
        let keeps = |a: &Key, b: &Key| acyclic.contains(a) || acyclic.contains(b);
        for (first, second) in edges.iter().filter(|(a, b)| keeps(a, b)) {
            graph.successors.entry(*first).or_default().push(*second);
            graph.predecessors.entry(*second).or_default().push(*first);
        }
        for (first, second) in order.iter().filter(|(a, b)| keeps(a, b)) {
            graph.first.entry(*second).or_default().push(*first);
        }
        for (key, needs) in &mut graph.needs {
            needs.retain(|need| need.key.is_none_or(|needed| keeps(&needed, key)));
        }
        for (needed, by) in &mut graph.needed_by {
            by.retain(|(key, _)| keeps(needed, key));
        }
        graph
    }

    /// Those that come before `key` and have to be up, as far as they are on their way.
    pub(super) fn first(&self, key: Key) -> &[Key] {
        self.first.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Those that come before `key`, for whatever reason.
    pub(super) fn before(&self, key: Key) -> &[Key] {
        self.predecessors.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Those that come after `key`, for whatever reason.
    pub(super) fn after(&self, key: Key) -> &[Key] {
        self.successors.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Whom `key` needs.
    pub(super) fn needs(&self, key: Key) -> &[Need] {
        self.needs.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Who needs `key`.
    pub(super) fn needed_by(&self, key: Key) -> &[(Key, Strength)] {
        self.needed_by.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Who can't be up together with `key`.
    pub(super) fn conflicts(&self, key: Key) -> impl Iterator<Item = Key> + '_ {
        self.conflicts.get(&key).into_iter().flatten().copied()
    }
}

/// The nodes that lie on no cycle and on no path between cycles: peeled off from both ends (Kahn).
fn without_cycles(edges: &BTreeSet<(Key, Key)>) -> BTreeSet<Key> {
    let mut peeled = peel(edges.iter().copied());
    peeled.extend(peel(edges.iter().map(|(a, b)| (*b, *a))));
    peeled
}

/// The nodes that a topological sort reaches.
fn peel(edges: impl Iterator<Item = (Key, Key)>) -> BTreeSet<Key> {
    let mut incoming: BTreeMap<Key, usize> = BTreeMap::new();
    let mut outgoing: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
    for (a, b) in edges {
        incoming.entry(a).or_default();
        *incoming.entry(b).or_default() += 1;
        outgoing.entry(a).or_default().push(b);
    }
    let mut ready: Vec<Key> = incoming.iter().filter(|(_, n)| **n == 0).map(|(k, _)| *k).collect();
    let mut peeled = BTreeSet::new();
    while let Some(key) = ready.pop() {
        peeled.insert(key);
        for next in outgoing.get(&key).map_or(&[][..], Vec::as_slice) {
            if let Some(n) = incoming.get_mut(next) {
                *n -= 1;
                if *n == 0 {
                    ready.push(*next);
                }
            }
        }
    }
    peeled
}
