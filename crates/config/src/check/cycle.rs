//! Processes that wait for each other in a circle, by order or by need.

use std::collections::{BTreeSet, HashMap};

use model::{ProcessName, ProcessSpec};

use super::graph::{Edge, Graph, circle, strongly_connected};
use super::{fault, item};
use crate::fault::Fault;
use crate::tree::Step;

/// Beyond this size of a group a circle for each member costs too much; all of them get the same one.
const EACH_ITS_OWN: usize = 50;

/// Members of a circle that are printed.
const SHOWN: usize = 20;

/// Definitions and who waits for whom among them.
struct Waiting<'a> {
    specs: Vec<&'a ProcessSpec>,
    graph: Graph,
}

impl<'a> Waiting<'a> {
    fn new(specs: Vec<&'a ProcessSpec>) -> Self {
        let index: HashMap<&ProcessName, usize> =
            specs.iter().enumerate().map(|(i, s)| (&s.name, i)).collect();
        let mut graph: Graph = vec![Vec::new(); specs.len()];
        for (i, spec) in specs.iter().enumerate() {
            let mut own = |key, index_in_key, name| {
                if let Some(&to) = index.get(name) {
                    graph[i].push(Edge { to, key, index: index_in_key, by_target: false });
                }
            };
            let needs = &spec.needs;
            for (key, list) in
                [("requires", &needs.requires), ("binds_to", &needs.binds_to), ("wants", &needs.wants)]
            {
                list.iter().enumerate().for_each(|(n, dependency)| own(key, n, &dependency.name));
            }
            spec.after.iter().enumerate().for_each(|(n, name)| own("after", n, name));
            for (n, name) in spec.before.iter().enumerate() {
                if let Some(&j) = index.get(name) {
                    graph[j].push(Edge { to: i, key: "before", index: n, by_target: true });
                }
            }
        }
        Self { specs, graph }
    }

    /// The fault of one member of a group, at the place where its own definition makes it one.
    fn fault(&self, member: usize, circle: &[usize], group: &BTreeSet<usize>) -> Fault {
        let name = &self.specs[member].name;
        let path = self.place(member, circle, group).unwrap_or_default();
        match circle {
            [only, _] => {
                let hint = format!("remove the name from {}", self.keys(*only, *only));
                fault(path, format!("{name} can't wait for itself"), hint)
            }
            circle => {
                let message = format!("these wait for each other: {}", self.text(circle));
                fault(path, message, "remove one of these names from the key that stands behind it")
            }
        }
    }

    /// The name in a member's own keys that puts it on the circle, else into the group. `None` = only others speak of
    /// it.
    fn place(&self, member: usize, circle: &[usize], group: &BTreeSet<usize>) -> Option<Vec<Step>> {
        let steps = || circle.iter().zip(circle.iter().skip(1)).take(SHOWN);
        let next = steps().find(|(from, _)| **from == member).map(|(_, to)| *to);
        let previous = steps().find(|(_, to)| **to == member).map(|(from, _)| *from);
        let own = || self.graph[member].iter().filter(|edge| !edge.by_target);
        let befores =
            |from: usize| self.graph[from].iter().filter(|edge| edge.by_target && edge.to == member);
        own()
            .find(|edge| Some(edge.to) == next)
            .or_else(|| previous.and_then(|from| befores(from).next()))
            .or_else(|| own().find(|edge| group.contains(&edge.to)))
            .map(|edge| item(edge.key, edge.index))
    }

    /// The keys that make one wait for another: `requires, after`; a `before` is the other's.
    fn keys(&self, from: usize, to: usize) -> String {
        let mut keys: Vec<String> = Vec::new();
        for edge in self.graph[from].iter().filter(|edge| edge.to == to) {
            let key = match edge.by_target {
                true => format!("`before` in {}", self.specs[to].name),
                false => format!("`{}`", edge.key),
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys.join(", ")
    }

    /// ``a -> b (`requires`) -> a (`after`)``; of a long one only the beginning.
    fn text(&self, circle: &[usize]) -> String {
        let first = circle.first().map(|i| self.specs[*i].name.to_string());
        let mut parts: Vec<String> = first.into_iter().collect();
        let steps = circle.iter().zip(circle.iter().skip(1)).take(SHOWN - 1);
        parts.extend(steps.map(|(from, to)| format!("{} ({})", self.specs[*to].name, self.keys(*from, *to))));
        if circle.len() > SHOWN {
            parts.push(format!("... ({} in all)", circle.len() - 1));
        }
        parts.join(" -> ")
    }
}

/// All circles, each member with a fault that prints one through it.
pub(crate) fn cycles(specs: &[ProcessSpec]) -> Vec<(ProcessName, Fault)> {
    let waiting = Waiting::new(specs.iter().collect());
    let mut found = Vec::new();
    for group in strongly_connected(&waiting.graph) {
        let shared = if group.len() > EACH_ITS_OWN { group.first().copied() } else { None };
        let shared = shared.and_then(|first| circle(first, &group, &waiting.graph));
        for &member in &group {
            let own = || circle(member, &group, &waiting.graph);
            if let Some(circle) = shared.clone().or_else(own) {
                found.push((waiting.specs[member].name.clone(), waiting.fault(member, &circle, &group)));
            }
        }
    }
    found
}

/// Whether a process would wait for itself by way of others, or at once. For a definition that is added to others:
/// those of its own name are left out.
#[must_use]
pub fn order_cycle<'a>(
    spec: &'a ProcessSpec,
    others: impl IntoIterator<Item = &'a ProcessSpec>,
) -> Option<Fault> {
    let others = others.into_iter().filter(|other| other.name != spec.name);
    let waiting = Waiting::new(std::iter::once(spec).chain(others).collect());
    let all = (0..waiting.specs.len()).collect();
    let circle = circle(0, &all, &waiting.graph)?;
    Some(waiting.fault(0, &circle, &all))
}
