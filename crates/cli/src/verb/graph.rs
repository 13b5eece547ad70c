//! `graph`: what needs what.

use rpc::v1::ProcessView;

use crate::args::Names;
use crate::args::look::{GraphArgs, GraphFormat};
use crate::render::graph::{self, Graph};
use crate::report::{Session, Stop};
use crate::verb::known::known;

pub(super) async fn run(session: &mut Session<'_>, args: GraphArgs) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let all = args.names.names.is_empty();
    let (processes, named) = if all {
        (found.client.list(ProcessView::Full).await?, Vec::new())
    } else {
        known(session, &mut found.client, &Names { names: args.names.names }).await?
    };
    if !all && named.is_empty() {
        // It was said why.
        return Ok(());
    }
    let graph = Graph::new(&processes);
    let roots = if all { graph.roots(args.reverse) } else { named };
    let shown = if all { (0..graph.len()).collect() } else { graph.reachable(&roots, args.reverse) };
    if session.json() {
        return session.write_json(&graph::json(&graph, &shown));
    }
    let text = match args.format {
        GraphFormat::Dot => graph::dot(&graph, &shown),
        GraphFormat::Tree if processes.is_empty() => return session.say("no processes are defined"),
        GraphFormat::Tree => graph::tree(&graph, &roots, all, args.reverse, session.paint()),
    };
    session.show(&text)
}
