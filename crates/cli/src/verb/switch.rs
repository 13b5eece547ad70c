//! What `enable` and `disable` have in common: one key in the runtime layer, and maybe a start or a stop.

use model::Definition;
use rpc::v1::UpdateProcessResponse;
use serde_json::json;

use crate::args::{Names, SwitchArgs};
use crate::render::{self, change, json};
use crate::report::{Session, Stop};
use crate::verb::each::each_until;

/// Sets `auto_start`, and brings the processes up or down when asked to.
pub(super) async fn switch(session: &mut Session<'_>, args: SwitchArgs, on: bool) -> Result<(), Stop> {
    let found = session.connect().await?;
    let update = move |mut client: rpc::Client, name: String| async move {
        let definition = Definition { auto_start: Some(on), ..Definition::default() };
        client.update(&name, definition, Vec::new(), false).await
    };
    let updated = each_until(session, &found.client, args.names, "to be changed", update).await?;
    let word = if on { "enabled" } else { "disabled" };
    if !session.json() {
        for UpdateProcessResponse { process, change } in &updated {
            let name = process.as_ref().map_or("", |p| &p.name);
            let already = if change.is_none() { " already" } else { "" };
            session.show(&format!("{name}: {word}{already}\n"))?;
        }
    }
    let changes: Vec<_> = updated.iter().filter_map(|u| u.change.as_ref()).map(change::json).collect();
    let mut processes: Vec<_> = updated.into_iter().filter_map(|updated| updated.process).collect();
    if args.now && !processes.is_empty() {
        let names = Names { names: processes.into_iter().map(|process| process.name).collect() };
        let call = move |mut client: rpc::Client, name: String| async move {
            if on { client.start(&name).await } else { client.stop(&name).await }
        };
        processes =
            each_until(session, &found.client, names, if on { "to start" } else { "to stop" }, call).await?;
        if !session.json() {
            return render::outcome(session, &processes);
        }
    }
    if session.json() {
        let mut document = json::processes(&processes, session.context.now);
        document["changes"] = json!(changes);
        session.write_json(&document)?;
    }
    Ok(())
}
