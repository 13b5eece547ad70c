//! What `enable` and `disable` have in common: one key in the runtime layer, and maybe a start or a stop.

use rpc::v1::{ConfigChange, Process};
use serde_json::json;

use crate::args::Names;
use crate::render::{self, change, json};
use crate::report::{Session, Stop};
use crate::verb::along::along;
use crate::verb::each::each_until;

/// What came of one; without a change it was so already.
struct Switched {
    process: Option<Process>,
    change: Option<ConfigChange>,
}

/// Sets `auto_start`, and brings the processes up or down when asked to.
pub(super) async fn switch(session: &mut Session<'_>, names: Names, now: bool, on: bool) -> Result<(), Stop> {
    let found = session.connect().await?;
    let update = move |mut client: rpc::Client, name: String| async move {
        let switched = if on {
            client.enable(&name).await.map(|done| (done.process, done.change))
        } else {
            client.disable(&name).await.map(|done| (done.process, done.change))
        };
        switched.map(|(process, change)| Switched { process, change })
    };
    let updated = each_until(session, &found.client, names, "to be changed", update).await?;
    let word = if on { "enabled" } else { "disabled" };
    if !session.json() {
        for Switched { process, change } in &updated {
            let name = process.as_ref().map_or("", |p| &p.name);
            let already = if change.is_none() { " already" } else { "" };
            session.show(&format!("{name}: {word}{already}\n"))?;
        }
    }
    let changes: Vec<_> = updated.iter().filter_map(|u| u.change.as_ref()).map(change::json).collect();
    let mut processes: Vec<_> = updated.into_iter().filter_map(|updated| updated.process).collect();
    if now && !processes.is_empty() {
        let names = Names { names: processes.into_iter().map(|process| process.name).collect() };
        if !on {
            along(&found.client, &names.names).await.tell(session, "stops")?;
        }
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
