//! What only shows when all definitions are looked at together: two writers of one file, processes that wait for each
//! other, needs that nobody can meet.

mod cycle;
mod graph;
mod logs;
mod needs;

use crate::fault::Fault;
use crate::tree::Step;

pub(crate) use cycle::cycles;
pub use cycle::order_cycle;
pub use logs::log_conflict;
pub(crate) use logs::log_conflicts;
pub(crate) use needs::{COMPARISONS, doubts, rivals, unknown_names};

fn fault(path: Vec<Step>, message: String, hint: impl Into<String>) -> Fault {
    Fault { path, on_key: false, message, hint: Some(hint.into()) }
}

/// The path of one name in a list.
fn item(key: &str, index: usize) -> Vec<Step> {
    vec![Step::Key(key.to_owned()), Step::Index(index)]
}

#[cfg(test)]
mod tests;
