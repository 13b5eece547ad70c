//! `plan`: what `reload-config` would do. The daemon compares exactly as the reload itself does.

use crate::report::{Session, Stop};
use crate::verb::reload_config;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Stop> {
    reload_config::run(session, true).await
}
