//! A value that is a mapping with keys of its own (a hook, a health check): its table, and reading by the table.

use super::Kind;
use crate::fault::Faults;
use crate::suggest::closest;
use crate::tree::{Map, Node, quoted};

/// One key of such a mapping.
pub(crate) struct Field {
    /// As written.
    pub(crate) name: &'static str,
    /// Spellings from elsewhere that mean it.
    pub(crate) also: &'static [&'static str],
    /// What it takes, in words.
    pub(crate) kind: &'static str,
    /// What holds without it: YAML in backticks, or words.
    pub(crate) default: &'static str,
    pub(crate) doc: &'static str,
}

/// The entries of one mapping.
pub(super) struct Fields<'a> {
    map: &'a Map,
}

impl<'a> Fields<'a> {
    /// Looks through the keys; a fault for each that the table doesn't have. `of` says what has these keys.
    pub(super) fn new(map: &'a Map, table: &[Field], of: &str, faults: &mut Faults) -> Self {
        for entry in &map.entries {
            if table.iter().any(|field| field.name == entry.key) {
                continue;
            }
            let spellings = table.iter().flat_map(|field| {
                let all = std::iter::once(field.name).chain(field.also.iter().copied());
                all.map(|spelling| (spelling, field.name))
            });
            let hint = match closest(&entry.key, spellings) {
                Some(word) => format!("did you mean `{word}`?"),
                None => {
                    let names: Vec<&str> = table.iter().map(|field| field.name).collect();
                    format!("the keys are {}", names.join(", "))
                }
            };
            let message = format!("{} is not a key of {of}", quoted(&entry.key));
            faults.at(&entry.key, |faults| faults.key(message, hint));
        }
        Self { map }
    }

    pub(super) fn node(&self, name: &str) -> Option<&'a Node> {
        self.map.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.node(name).is_some()
    }

    /// Reads a key when it is there. What it means is for the checks of the whole.
    pub(super) fn read<K: Kind>(&self, name: &str, faults: &mut Faults) -> Option<K::Value> {
        let node = self.node(name)?;
        faults.at(name, |faults| K::read(node, faults))
    }
}
