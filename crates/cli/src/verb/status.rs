//! `status`: the daemon itself.

use crate::render::{json, status};
use crate::report::{Session, Stop};

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let daemon = found.client.status().await?;
    if session.json() {
        return session.write_json(&json::status(&daemon, session.context.now));
    }
    let text = status::daemon(&daemon, session.context.now, session.paint());
    session.show(&text)
}
