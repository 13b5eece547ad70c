//! `disable`: leaves processes down when the daemon starts.

use crate::args::DisableArgs;
use crate::report::{Session, Stop};
use crate::verb::switch::switch;

pub(super) async fn run(session: &mut Session<'_>, args: DisableArgs) -> Result<(), Stop> {
    switch(session, args.names, args.now, false).await
}
