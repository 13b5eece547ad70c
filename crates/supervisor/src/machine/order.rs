//! `after` and `before` as a graph: who starts first and stops last.

use std::collections::{BTreeMap, BTreeSet};

use model::{ProcessName, ProcessSpec};

use super::process::Key;

/// Order edges between processes that are in the table. Order only: an edge never starts or stops anybody.
#[derive(Debug, Default)]
pub(super) struct Order {
    predecessors: BTreeMap<Key, Vec<Key>>,
    successors: BTreeMap<Key, Vec<Key>>,
}

impl Order {
    /// Builds the graph. Edges between members of a cycle are left out: `config` refuses cycles with a message,
    /// and a machine that waits for ever would be the worst way to tell.
    pub(super) fn build<'a>(
        specs: impl Iterator<Item = (Key, &'a ProcessSpec)> + Clone,
        key_of: impl Fn(&ProcessName) -> Option<Key>,
    ) -> Self {
        let mut edges: BTreeSet<(Key, Key)> = BTreeSet::new();
        for (key, spec) in specs {
            edges.extend(spec.after.iter().filter_map(&key_of).map(|first| (first, key)));
            edges.extend(spec.before.iter().filter_map(&key_of).map(|second| (key, second)));
        }
        let acyclic = without_cycles(&edges);
        let mut order = Self::default();
        for (first, second) in edges.into_iter().filter(|(a, b)| acyclic.contains(a) || acyclic.contains(b)) {
            order.successors.entry(first).or_default().push(second);
            order.predecessors.entry(second).or_default().push(first);
        }
        order
    }

    /// Those that come before `key`.
    pub(super) fn before(&self, key: Key) -> &[Key] {
        self.predecessors.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Those that come after `key`.
    pub(super) fn after(&self, key: Key) -> &[Key] {
        self.successors.get(&key).map_or(&[], Vec::as_slice)
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
