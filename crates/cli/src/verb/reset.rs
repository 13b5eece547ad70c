//! `reset`: forgets the failures of processes.

use crate::args::Names;
use crate::render;
use crate::report::{Session, Stop};
use crate::verb::each::each_until;

pub(super) async fn run(session: &mut Session<'_>, names: Names) -> Result<(), Stop> {
    let found = session.connect().await?;
    let call = |mut client: rpc::Client, name: String| async move { client.reset(&name).await };
    let done = each_until(session, &found.client, names, "to be reset", call).await?;
    render::outcome(session, &done)
}
