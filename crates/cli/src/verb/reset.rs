//! `reset`: forgets the failures of processes.

use crate::args::Names;
use crate::render;
use crate::report::{Session, Stop};
use crate::verb::each::each;

pub(super) async fn run(session: &mut Session<'_>, names: Names) -> Result<(), Stop> {
    let found = session.connect().await?;
    let call = |mut client: rpc::Client, name: String| async move { client.reset(&name).await };
    let done = each(session, &found.client, names, call).await?;
    render::outcome(session, &done)
}
