//! `reopen-logs`: every log file is opened anew, after somebody has moved them away.

use serde_json::json;

use crate::report::{Session, Stop};

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Stop> {
    session.connect().await?.client.reopen_logs().await?;
    if session.json() {
        session.write_json(&json!({ "reopened": true }))
    } else {
        session.show("each log file is opened anew before its next line\n")
    }
}
