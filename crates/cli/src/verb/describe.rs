//! `describe`: everything about processes.

use crate::args::Names;
use crate::render::{describe, json};
use crate::report::{Session, Stop};
use crate::verb::each::each;

pub(super) async fn run(session: &mut Session<'_>, names: Names) -> Result<(), Stop> {
    let found = session.connect().await?;
    let call = |mut client: rpc::Client, name: String| async move { client.get(&name).await };
    let done = each(session, &found.client, names, call).await?;
    if session.json() {
        return session.write_json(&json::processes(&done, session.context.now));
    }
    let mut found = found;
    let (clock, journal) = (session.clock(), found.journal(session.context.uid).await);
    for (i, process) in done.iter().enumerate() {
        let gap = if i == 0 { "" } else { "\n" };
        let text = describe::process(process, &clock, &journal, session.paint());
        session.show(&format!("{gap}{text}"))?;
    }
    Ok(())
}
