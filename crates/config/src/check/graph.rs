//! Circles in a graph of waiting: which there are, and the shortest one through a member.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};

/// One waits for another, because a key says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    /// Whom it waits for.
    pub(super) to: usize,
    /// The key.
    pub(super) key: &'static str,
    /// Where in the key's list the name stands.
    pub(super) index: usize,
    /// Whether the one that is waited for has the key: its `before`.
    pub(super) by_target: bool,
}

/// The edges that leave each one.
pub(super) type Graph = Vec<Vec<Edge>>;

/// The shortest way from one back to itself; `None` when there is none.
pub(super) fn circle(start: usize, group: &BTreeSet<usize>, graph: &Graph) -> Option<Vec<usize>> {
    let mut came_from: HashMap<usize, usize> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for next in graph[at].iter().map(|edge| edge.to).filter(|next| group.contains(next)) {
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
pub(super) fn strongly_connected(graph: &Graph) -> Vec<BTreeSet<usize>> {
    let mut reversed: Vec<Vec<usize>> = vec![Vec::new(); graph.len()];
    for (from, edges) in graph.iter().enumerate() {
        for edge in edges {
            reversed[edge.to].push(from);
        }
    }
    let mut order = Vec::new();
    let mut seen = vec![false; graph.len()];
    for root in 0..graph.len() {
        let mut stack = vec![(root, 0)];
        if std::mem::replace(&mut seen[root], true) {
            continue;
        }
        while let Some((at, child)) = stack.pop() {
            match graph[at].get(child) {
                Some(edge) => {
                    stack.push((at, child + 1));
                    if !std::mem::replace(&mut seen[edge.to], true) {
                        stack.push((edge.to, 0));
                    }
                }
                None => order.push(at),
            }
        }
    }
    let mut groups = Vec::new();
    let mut placed = vec![false; graph.len()];
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
