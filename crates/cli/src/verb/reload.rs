//! `reload`: makes processes read their own configuration again; their runs stay.

use rpc::v1::ReloadProcessRequest;

use crate::args::ActArgs;
use crate::render::{self, json};
use crate::report::{Session, Stop};
use crate::verb::each::each_until;

pub(super) async fn run(session: &mut Session<'_>, args: ActArgs) -> Result<(), Stop> {
    let found = session.connect().await?;
    let no_wait = args.no_wait;
    let call = move |mut client: rpc::Client, name: String| async move {
        client.reload_with(ReloadProcessRequest { name, no_wait, ..Default::default() }).await
    };
    let done = each_until(session, &found.client, args.names, "to reload", call).await?;
    if session.json() {
        return session.write_json(&json::processes(&done, session.context.now));
    }
    for process in done {
        // A process of `type: notify` may still be at it: its state says so.
        let standing = render::standing(&process, session.paint());
        let word = if no_wait { "told to reload" } else { "reloaded" };
        session.show(&format!("{}: {word}, {standing}\n", process.name))?;
    }
    Ok(())
}
