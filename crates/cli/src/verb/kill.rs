//! `kill`: sends a signal to processes.

use crate::args::KillArgs;
use crate::render::json;
use crate::report::{Session, Stop};
use crate::verb::each::each_until;

pub(super) async fn run(session: &mut Session<'_>, args: KillArgs) -> Result<(), Stop> {
    let found = session.connect().await?;
    let KillArgs { names, signal, all } = args;
    let call = move |mut client: rpc::Client, name: String| async move {
        client.signal(&name, &signal.to_string(), all).await
    };
    let done = each_until(session, &found.client, names, "to be signalled", call).await?;
    if session.json() {
        return session.write_json(&json::processes(&done, session.context.now));
    }
    for process in done {
        let to = match process.run.as_ref().and_then(|run| run.pid) {
            _ if all => "all of it".to_owned(),
            Some(pid) => format!("pid {pid}"),
            // It may be gone already: that is what signals are for.
            None => "its main process".to_owned(),
        };
        session.show(&format!("{}: {signal} sent to {to}\n", process.name))?;
    }
    Ok(())
}
