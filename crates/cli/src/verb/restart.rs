//! `restart`: gives processes new runs.

use rpc::v1::RestartProcessRequest;

use crate::args::ActArgs;
use crate::render;
use crate::report::{Session, Stop};
use crate::verb::each::each_until;

pub(super) async fn run(session: &mut Session<'_>, args: ActArgs) -> Result<(), Stop> {
    let found = session.connect().await?;
    let no_wait = args.no_wait;
    let call = move |mut client: rpc::Client, name: String| async move {
        client.restart_with(RestartProcessRequest { name, no_wait, ..Default::default() }).await
    };
    let done = each_until(session, &found.client, args.names, "to restart", call).await?;
    render::outcome(session, &done)
}
