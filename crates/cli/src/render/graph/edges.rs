//! The edges between processes, as their definitions say.

use std::collections::{BTreeSet, HashMap, HashSet};

use rpc::v1;

use crate::render::definition::until_word;

/// How one process stands to another, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    BindsTo,
    Requires,
    Wants,
    After,
    Conflicts,
}

impl Kind {
    /// As the key is called in definitions.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::BindsTo => "binds_to",
            Self::Requires => "requires",
            Self::Wants => "wants",
            Self::After => "after",
            Self::Conflicts => "conflicts",
        }
    }

    /// What stands before the other one's name; `back` = seen from the other end.
    pub(crate) fn phrase(self, back: bool) -> &'static str {
        match (self, back) {
            (Self::BindsTo, false) => "bound to",
            (Self::Requires, false) => "requires",
            (Self::Wants, false) => "wants",
            (Self::After, false) => "after",
            (Self::BindsTo, true) => "bound by",
            (Self::Requires, true) => "required by",
            (Self::Wants, true) => "wanted by",
            (Self::After, true) => "before",
            (Self::Conflicts, _) => "conflicts with",
        }
    }
}

/// One edge between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) kind: Kind,
    /// How far the other one has to be, where that is said.
    pub(crate) until: Option<String>,
}

/// All edges of two nodes in one direction.
#[derive(Debug)]
pub(crate) struct Bundle<'a> {
    pub(crate) other: usize,
    pub(crate) edges: Vec<&'a Edge>,
}

impl Bundle<'_> {
    /// Whether it is followed: a conflict leads nowhere.
    pub(crate) fn leads_on(&self) -> bool {
        self.edges.iter().any(|edge| edge.kind != Kind::Conflicts)
    }
}

/// Nodes and edges. A node is a process, or a name that nothing has.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    names: Vec<&'a str>,
    processes: Vec<Option<&'a v1::Process>>,
    /// Sorted by where they begin.
    edges: Vec<Edge>,
    /// The places of edges in `edges`, by where they end.
    back: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    /// The graph of these processes; they come first among its nodes, in their order.
    pub(crate) fn new(processes: &'a [v1::Process]) -> Self {
        let mut graph = Self {
            names: processes.iter().map(|p| p.name.as_str()).collect(),
            processes: processes.iter().map(Some).collect(),
            edges: Vec::new(),
            back: Vec::new(),
        };
        let mut places: HashMap<&str, usize> =
            graph.names.iter().enumerate().map(|(place, name)| (*name, place)).collect();
        let mut found = BTreeSet::new();
        for (place, process) in processes.iter().enumerate() {
            let Some(definition) = &process.definition else { continue };
            for (kind, backwards, name, until) in said(definition) {
                let other = *places.entry(name).or_insert_with(|| {
                    graph.names.push(name);
                    graph.processes.push(None);
                    graph.names.len() - 1
                });
                let (from, to) = if backwards { (other, place) } else { (place, other) };
                found.insert(Edge { from, to, kind, until });
            }
        }
        graph.edges = found.into_iter().collect();
        graph.back = vec![Vec::new(); graph.names.len()];
        for (place, edge) in graph.edges.iter().enumerate() {
            graph.back[edge.to].push(place);
        }
        graph
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn name(&self, node: usize) -> &'a str {
        self.names[node]
    }

    pub(crate) fn process(&self, node: usize) -> Option<&'a v1::Process> {
        self.processes[node]
    }

    /// What stands below a node: what it needs, or who needs it; conflicts from both ends. Strongest first, then by name.
    pub(crate) fn below(&self, node: usize, reverse: bool) -> Vec<Bundle<'_>> {
        let mut bundles: Vec<Bundle<'_>> = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        let forth = self.edges[self.edges.partition_point(|edge| edge.from < node)..]
            .iter()
            .take_while(|edge| edge.from == node)
            .map(|edge| (edge, edge.to, false));
        let back =
            self.back[node].iter().map(|place| &self.edges[*place]).map(|edge| (edge, edge.from, true));
        let all =
            forth.chain(back).filter(|(edge, _, back)| *back == reverse || edge.kind == Kind::Conflicts);
        for (edge, other, _) in all {
            let place = *places.entry(other).or_insert_with(|| {
                bundles.push(Bundle { other, edges: Vec::new() });
                bundles.len() - 1
            });
            // Two that name each other conflict once.
            if !bundles[place].edges.iter().any(|known| known.kind == edge.kind) {
                bundles[place].edges.push(edge);
            }
        }
        bundles.iter_mut().for_each(|bundle| bundle.edges.sort_by_key(|edge| edge.kind));
        bundles.sort_by_key(|bundle| (bundle.edges.first().map(|edge| edge.kind), self.names[bundle.other]));
        bundles
    }

    /// Those that nothing leads to, the ones with something below them first: where a picture of everything begins.
    pub(crate) fn roots(&self, reverse: bool) -> Vec<usize> {
        let entered: HashSet<usize> = self
            .edges
            .iter()
            .filter(|edge| edge.kind != Kind::Conflicts)
            .map(|edge| if reverse { edge.from } else { edge.to })
            .collect();
        let mut roots: Vec<usize> = (0..self.len()).filter(|node| !entered.contains(node)).collect();
        roots.sort_by_cached_key(|node| {
            let below = self.below(*node, reverse);
            (!below.iter().any(Bundle::leads_on), below.is_empty(), self.names[*node])
        });
        roots
    }

    /// The given nodes and what can be reached from them, in the order of the list.
    pub(crate) fn reachable(&self, from: &[usize], reverse: bool) -> Vec<usize> {
        let mut seen: BTreeSet<usize> = from.iter().copied().collect();
        let mut rest = from.to_vec();
        while let Some(node) = rest.pop() {
            for bundle in self.below(node, reverse) {
                let new = seen.insert(bundle.other);
                if new && bundle.leads_on() {
                    rest.push(bundle.other);
                }
            }
        }
        seen.into_iter().collect()
    }

    /// The edges of which both ends are shown.
    pub(crate) fn edges_among(&self, shown: &[usize]) -> impl Iterator<Item = &Edge> {
        let shown: HashSet<usize> = shown.iter().copied().collect();
        self.edges.iter().filter(move |edge| shown.contains(&edge.from) && shown.contains(&edge.to))
    }
}

/// What a definition says of others: how it stands to them, whether the edge begins at the other one, its name, and how
/// far that one has to be.
fn said(d: &v1::ProcessDefinition) -> Vec<(Kind, bool, &str, Option<String>)> {
    let mut all = Vec::new();
    for (kind, list) in [(Kind::BindsTo, &d.binds_to), (Kind::Requires, &d.requires), (Kind::Wants, &d.wants)]
    {
        let values = list.iter().flat_map(|list| &list.values);
        all.extend(values.map(|on| (kind, false, on.name.as_str(), until_word(on))));
    }
    for (kind, backwards, list) in [
        (Kind::After, false, &d.after),
        (Kind::After, true, &d.before),
        (Kind::Conflicts, false, &d.conflicts),
    ] {
        let values = list.iter().flat_map(|list| &list.values);
        all.extend(values.map(|name| (kind, backwards, name.as_str(), None)));
    }
    all
}
