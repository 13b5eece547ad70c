//! `enable`: starts processes whenever the daemon starts.

use crate::args::EnableArgs;
use crate::report::{Session, Stop};
use crate::verb::switch::switch;

pub(super) async fn run(session: &mut Session<'_>, args: EnableArgs) -> Result<(), Stop> {
    switch(session, args.names, args.now, true).await
}
