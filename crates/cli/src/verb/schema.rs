//! `schema`: the JSON schema of processes.yaml.

use crate::report::{Session, Stop};

pub(super) fn run(session: &mut Session<'_>) -> Result<(), Stop> {
    session.raw(config::json_schema().as_bytes())
}
