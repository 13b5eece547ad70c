//! `stop`: takes processes down.

use rpc::v1::StopProcessRequest;

use crate::args::ActArgs;
use crate::render::{self, json};
use crate::report::{Session, Stop};
use crate::verb::along::along;
use crate::verb::each::each_until;

pub(super) async fn run(session: &mut Session<'_>, args: ActArgs) -> Result<(), Stop> {
    let found = session.connect().await?;
    let no_wait = args.no_wait;
    let along = along(&found.client, &args.names.names).await;
    along.tell_stop(session, &args.names.names)?;
    let call = move |mut client: rpc::Client, name: String| async move {
        client.stop_with(StopProcessRequest { name, no_wait, ..Default::default() }).await
    };
    let done = each_until(session, &found.client, args.names, "to stop", call).await?;
    if session.json() {
        let mut document = json::processes(&done, session.context.now);
        document["also"] = along.json();
        return session.write_json(&document);
    }
    render::outcome(session, &done)
}
