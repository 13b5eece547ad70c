//! The graph in the language of graphviz.

use std::fmt::Write as _;

use rpc::v1::{HealthState, State};

use super::edges::{Graph, Kind};
use super::tree::standing;
use crate::render::Paint;
use crate::render::paint::one_line;

/// These nodes and the edges among them. Arrows point to what is needed.
pub(crate) fn dot(graph: &Graph<'_>, shown: &[usize]) -> String {
    let mut text = "digraph processes {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    // Writing to a String can't fail.
    let mut line = |words: &str| {
        let _infallible = writeln!(text, "  {words}").is_ok();
    };
    for node in shown {
        let (name, paint) = (graph.name(*node), Paint::new(false));
        let label = format!("{}\\n{}", escaped(name), escaped(&standing(graph, *node, paint)));
        line(&format!("{} [label=\"{label}\", {}];", quoted(name), look(graph, *node)));
    }
    for edge in graph.edges_among(shown) {
        let style = match edge.kind {
            Kind::BindsTo => "style=bold",
            Kind::Requires => "style=solid",
            Kind::Wants => "style=dashed",
            Kind::After => "style=dotted",
            Kind::Conflicts => "style=dashed, color=red, dir=both, constraint=false",
        };
        let until = edge.until.as_ref().map_or(String::new(), |until| format!(" ({})", escaped(until)));
        let (from, to) = (quoted(graph.name(edge.from)), quoted(graph.name(edge.to)));
        line(&format!("{from} -> {to} [label=\"{}{until}\", {style}];", edge.kind.key()));
    }
    text.push_str("}\n");
    text
}

/// Colors only repeat what the label says.
fn look(graph: &Graph<'_>, node: usize) -> &'static str {
    let Some(process) = graph.process(node) else { return "style=dashed, color=red" };
    if process.health.as_ref().is_some_and(|health| health.state() == HealthState::Unhealthy) {
        return "color=red";
    }
    match process.state() {
        State::Running => "color=darkgreen",
        State::CrashLoop | State::Failed | State::Invalid => "color=red",
        State::Starting | State::Reloading | State::Stopping | State::Backoff | State::Waiting => {
            "color=orange"
        }
        State::Stopped | State::Exited | State::Skipped | State::Unspecified => "color=gray40",
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// Within quotes. In labels a backslash begins an escape, and two of them are one; elsewhere they are two, which is as
/// good for telling names apart.
fn escaped(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use rpc::v1;

    use super::*;

    #[test]
    fn names_can_not_leave_their_quotes() {
        let after = |name: &str| Some(v1::StringList { values: vec![name.to_owned()] });
        let evil = "a\"];x->y[\"\\";
        let definition = v1::ProcessDefinition { after: after(evil), ..Default::default() };
        let web = v1::Process {
            name: "we\nb".into(),
            definition: Some(Box::new(definition)),
            ..Default::default()
        };
        let processes = [web];
        let text = dot(&Graph::new(&processes), &[0, 1]);
        let expected = r#"digraph processes {
  rankdir=LR;
  node [shape=box];
  "we\\nb" [label="we\\nb\nunspecified", color=gray40];
  "a\"];x->y[\"\\" [label="a\"];x->y[\"\\\nnot defined", style=dashed, color=red];
  "we\\nb" -> "a\"];x->y[\"\\" [label="after", style=dotted];
}
"#;
        assert_eq!(text, expected);
    }
}
