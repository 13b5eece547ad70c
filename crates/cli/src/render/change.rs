//! What a new definition does, or would do, to processes.

use rpc::ClientError;
use rpc::v1::{ConfigChange, Impact, Process};
use serde_json::{Value, json};

use super::paint::one_line;
use super::word;
use crate::args::keys;
use crate::report::{Session, Stop};

/// `none`, `hot`, `restart`, `start`, `add` or `stop`.
fn impact(change: &ConfigChange) -> String {
    word(change.impact().as_str_name(), "IMPACT_")
}

/// `web: restart (args, env)`
pub(crate) fn line(change: &ConfigChange) -> String {
    let keys = if change.keys.is_empty() { String::new() } else { format!(" ({})", change.keys.join(", ")) };
    let what = match change.impact() {
        Impact::Stop => "stop and remove".to_owned(),
        Impact::Add => "add, not started (auto_start is false)".to_owned(),
        Impact::Hot => "change without a restart".to_owned(),
        _ => impact(change),
    };
    format!("{}: {what}{}\n", one_line(&change.name), one_line(&keys))
}

/// What became of the process by that: `web: running (pid 4242)`, and what of it can't be done.
pub(crate) fn outcome(
    session: &mut Session<'_>,
    change: &ConfigChange,
    process: Option<&Process>,
) -> Result<(), Stop> {
    let Some(process) = process else { return Ok(()) };
    if matches!(change.impact(), Impact::Restart | Impact::Start) {
        let standing = super::standing(process, session.paint());
        session.show(&format!("{}: {standing}\n", process.name))?;
    }
    match &process.degraded {
        Some(degraded) => session.say(&format!("warning: {} runs, but {}", process.name, one_line(degraded))),
        None => Ok(()),
    }
}

/// What is in force and probably not meant, in the words of somebody who gave options.
pub(crate) fn warn(session: &mut Session<'_>, warnings: &[String]) -> Result<(), Stop> {
    warnings
        .iter()
        .try_for_each(|text| session.say(&format!("warning: {}", keys::in_options(&one_line(text)))))
}

/// Whether an error means that the change is made, and the run that it took failed.
pub(crate) fn did_not_start(error: &ClientError) -> bool {
    matches!(error, ClientError::Rejected(rejection) if rejection.reason == "START_FAILED")
}

/// `{"name", "impact", "keys"}`
pub(crate) fn json(change: &ConfigChange) -> Value {
    json!({ "name": change.name, "impact": impact(change), "keys": change.keys })
}
