//! `daemon status`: the daemon itself, in detail.

use rpc::Target;

use crate::render::daemon::{self, Beside};
use crate::report::{Session, Stop};

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let daemon = found.client.status().await?;
    // A pid means something on this machine only.
    let here = matches!(found.target, Target::Unix(_));
    let beside = Beside {
        pss: if here { daemon::pss(&session.context.proc, daemon.pid) } else { None },
        reached: found.target.to_string(),
    };
    if session.json() {
        return session.write_json(&daemon::document(&daemon, &beside, session.now()));
    }
    let text = daemon::text(&daemon, &beside, &session.clock(), session.paint());
    session.show(&text)
}
