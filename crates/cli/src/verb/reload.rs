//! `reload`: makes processes read their own configuration again; their runs stay.

use crate::args::ActArgs;
use crate::render::{self, json};
use crate::report::{Session, Stop};
use crate::verb::each::each_until;

pub(super) async fn run(session: &mut Session<'_>, args: ActArgs) -> Result<(), Stop> {
    let found = session.connect().await?;
    let call = |mut client: rpc::Client, name: String| async move { client.reload_process(&name).await };
    let done = each_until(session, &found.client, args.names, "to reload", call).await?;
    if session.json() {
        return session.write_json(&json::processes(&done, session.context.now));
    }
    for process in done {
        // A process of `type: notify` may still be at it: its state says so.
        let standing = render::standing(&process, session.paint());
        session.show(&format!("{}: reloaded, {standing}\n", process.name))?;
    }
    Ok(())
}
