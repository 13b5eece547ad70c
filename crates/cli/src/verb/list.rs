//! `list`: all processes at a glance.

use rpc::v1::ProcessView;

use crate::render::{json, table};
use crate::report::{Session, Stop};

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let processes = found.client.list(ProcessView::Basic).await?;
    let context = session.context;
    if session.json() {
        return session.write_json(&json::processes(&processes, context.now));
    }
    if processes.is_empty() {
        return session.say(
            "no processes are defined\n\nhint: create one: pm-cli create test sleep 10 --auto-start, or write it into \
             processes.yaml and run: pm-cli reload-config",
        );
    }
    let text = table::list(&processes, context.now, context.width, session.paint());
    session.show(&text)
}
