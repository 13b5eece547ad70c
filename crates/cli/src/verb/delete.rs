//! `delete`: stops processes and removes their definitions.

use serde_json::json;

use crate::args::Names;
use crate::report::{Session, Stop};
use crate::verb::each::each_until;

pub(super) async fn run(session: &mut Session<'_>, names: Names) -> Result<(), Stop> {
    let found = session.connect().await?;
    let call = |mut client: rpc::Client, name: String| async move { client.delete(&name).await };
    let gone = each_until(session, &found.client, names, "to be deleted", call).await?;
    if session.json() {
        let deleted: Vec<_> = gone
            .iter()
            .map(|d| json!({ "name": d.name, "process_id": d.process_id, "note": (!d.note.is_empty()).then_some(&d.note) }))
            .collect();
        return session.write_json(&json!({ "deleted": deleted }));
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
