//! What a new definition does, or would do, to processes.

use rpc::v1::ConfigChange;
use serde_json::{Value, json};

use super::paint::one_line;
use super::word;

/// `none`, `hot`, `restart`, `start` or `stop`.
fn impact(change: &ConfigChange) -> String {
    word(change.impact().as_str_name(), "IMPACT_")
}

/// `web: restart (args, env)`
pub(crate) fn line(change: &ConfigChange) -> String {
    let keys = if change.keys.is_empty() { String::new() } else { format!(" ({})", change.keys.join(", ")) };
    format!("{}: {}{}\n", one_line(&change.name), impact(change), one_line(&keys))
}

/// `{"name", "impact", "keys"}`
pub(crate) fn json(change: &ConfigChange) -> Value {
    json!({ "name": change.name, "impact": impact(change), "keys": change.keys })
}
