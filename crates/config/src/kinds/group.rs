//! Names under which processes are addressed together.

use serde_yaml::Value;

use super::text::Args;
use super::{Kind, each, replaced_as_a_whole};
use crate::fault::Faults;
use crate::tree::{Node, quoted};

/// `groups`
pub(crate) struct Groups;

/// Longest name in bytes.
const LONGEST: usize = 64;

impl Kind for Groups {
    type Value = Vec<String>;
    const WORDS: &'static str = "a list of names: letters, digits and `_.-`, at most 64";

    fn read(node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
        Args::read(node, faults)
    }

    fn check(value: &Vec<String>, faults: &mut Faults) {
        each(value, faults, |name, faults| {
            let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            let good = name.len() <= LONGEST
                && name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.chars().all(inner);
            if good {
                return;
            }
            let hint = match name.strip_prefix('@') {
                Some(bare) => format!("write {} here; the `@` is for addressing it", quoted(bare)),
                None => format!("a name has 1 to {LONGEST} letters, digits and `_.-`, the first one no sign"),
            };
            faults.value(format!("{} can't be a group's name", quoted(name)), hint);
        });
    }

    fn write(value: &Vec<String>) -> Value {
        Args::write(value)
    }

    replaced_as_a_whole!();
}
