//! `start`: brings processes up.

use rpc::v1::StartProcessRequest;

use crate::args::ActArgs;
use crate::render;
use crate::report::{Session, Stop};
use crate::verb::along::started_along;
use crate::verb::each::each_until;

pub(super) async fn run(session: &mut Session<'_>, args: ActArgs) -> Result<(), Stop> {
    let found = session.connect().await?;
    let no_wait = args.no_wait;
    started_along(&found.client, &args.names.names).await.tell(session, "starts")?;
    let call = move |mut client: rpc::Client, name: String| async move {
        client.start_with(StartProcessRequest { name, no_wait, ..Default::default() }).await
    };
    let done = each_until(session, &found.client, args.names, "to start", call).await?;
    render::outcome(session, &done)
}
