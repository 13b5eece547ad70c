//! `graph`: what needs what, as a tree, for graphviz, and for programs.

mod dot;
mod edges;
mod tree;

use serde_json::{Value, json};

use super::state_word;
pub(crate) use dot::dot;
pub(crate) use edges::Graph;
pub(crate) use tree::tree;

/// `{"processes", "edges"}`; those that were asked for and what can be reached from them.
pub(crate) fn json(graph: &Graph<'_>, shown: &[usize]) -> Value {
    let nodes: Vec<Value> = shown
        .iter()
        .map(|node| {
            let process = graph.process(*node);
            json!({
                "name": graph.name(*node),
                "process_id": process.map(|p| &p.process_id),
                "state": process.map(|p| state_word(p.state())),
                "defined": process.is_some(),
            })
        })
        .collect();
    let edges: Vec<Value> = graph
        .edges_among(shown)
        .map(|edge| {
            json!({
                "from": graph.name(edge.from),
                "to": graph.name(edge.to),
                "kind": edge.kind.key(),
                "until": edge.until,
            })
        })
        .collect();
    json!({ "processes": nodes, "edges": edges })
}
