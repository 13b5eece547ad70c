//! `version`: of this program and of the daemon.

use serde_json::json;

use crate::report::{Session, Stop};

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Stop> {
    // The own one is known whether or not there is a daemon.
    if !session.json() {
        session.show(&format!("pm-cli {VERSION}\n"))?;
    }
    let answer = async {
        let mut found = session.connect().await?;
        Ok::<_, Stop>(found.client.status().await?)
    };
    let daemon = answer.await;
    if session.json() {
        let daemon = daemon.as_ref().ok().map(|d| json!({ "version": d.version, "pid": d.pid }));
        session.write_json(&json!({ "client": { "version": VERSION }, "daemon": daemon }))?;
    }
    let daemon = daemon?;
    if !session.json() {
        session.show(&format!("dd-procmgrd {} (pid {})\n", daemon.version, daemon.pid))?;
    }
    Ok(())
}
