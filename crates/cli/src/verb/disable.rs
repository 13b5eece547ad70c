//! `disable`: leaves processes down when the daemon starts.

use crate::args::SwitchArgs;
use crate::report::{Session, Stop};
use crate::verb::switch::switch;

pub(super) async fn run(session: &mut Session<'_>, args: SwitchArgs) -> Result<(), Stop> {
    switch(session, args, false).await
}
