//! `delete`: stops processes and removes their definitions.

use serde_json::json;

use crate::FAILED;
use crate::args::DeleteArgs;
use crate::report::{Failure, Session, Stop};
use crate::verb::along::along;
use crate::verb::each::each_until;

pub(super) async fn run(session: &mut Session<'_>, args: DeleteArgs) -> Result<(), Stop> {
    let found = session.connect().await?;
    let along = along(&found.client, &args.names.names).await;
    if let (false, Some((_, first))) = (args.force, along.require.first()) {
        return Err(required(&along.require, first).into());
    }
    along.tell(session, "stops")?;
    let names = args.names;
    // All go at the same time: one that only others of them require must not depend on which is first.
    let force = args.force || along.among;
    let call = |mut client: rpc::Client, name: String| async move { client.delete(&name, force).await };
    let gone = each_until(session, &found.client, names, "to be deleted", call).await?;
    if session.json() {
        let deleted: Vec<_> = gone
            .iter()
            .map(|d| json!({ "name": d.name, "process_id": d.process_id, "note": (!d.note.is_empty()).then_some(&d.note) }))
            .collect();
        return session.write_json(&json!({ "deleted": deleted, "also": along.json() }));
    }
    for deleted in gone {
        if deleted.note.is_empty() {
            session.show(&format!("{} deleted\n", deleted.name))?;
        } else {
            session.show(&format!("{}\n", deleted.note))?;
        }
    }
    Ok(())
}

/// Nobody deletes what others can't do without by mistake.
fn required(by: &[(String, String)], first: &str) -> Failure {
    let list: Vec<String> = by.iter().map(|(who, whom)| format!("{who} requires {whom}")).collect();
    let text = format!("nothing was deleted: {}", list.join(", "));
    Failure::new(FAILED, text).with_hint(format!(
        "take it out of their `requires` and `binds_to`, delete them together with it, or do it all the same: pm-cli delete \
         --force {first}"
    ))
}
