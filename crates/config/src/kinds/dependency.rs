//! Whom a process needs, and how far they have to be.

use std::collections::HashSet;

use model::{Dependency, ProcessName, Readiness};
use serde_yaml::{Mapping, Value};

use super::choice::choice;
use super::{Kind, each, replaced_as_a_whole, scalars};
use crate::fault::Faults;
use crate::tree::{Entry, Node, Step, Yaml, quoted};

/// `requires`, `wants`, `binds_to`
pub(crate) struct Needs;

fn process_name(text: &str, faults: &mut Faults) -> Option<ProcessName> {
    let name = ProcessName::new(text);
    if let Err(error) = &name {
        faults.value(error.to_string(), "write the name of a process");
    }
    name.ok()
}

fn read_until(node: &Node, faults: &mut Faults) -> Option<Readiness> {
    // Docker compose's conditions are among them.
    let foreign = [
        ("service_started", "started"),
        ("running", "started"),
        ("up", "ready"),
        ("service_healthy", "healthy"),
        ("service_completed_successfully", "completed"),
        ("finished", "completed"),
        ("done", "completed"),
        ("exited", "completed"),
    ];
    match &node.value {
        Yaml::Map(map) => {
            let condition = map.entries.iter().find(|entry| entry.key == "condition");
            let hint = match condition.and_then(|entry| entry.value.value.text()) {
                Some(text) => match foreign.iter().find(|(spelling, _)| *spelling == text) {
                    Some((_, word)) => format!("write the word alone: `{word}`"),
                    None => "write the word alone, as in `db: healthy`".to_owned(),
                },
                None => "write one word, as in `db: healthy`".to_owned(),
            };
            faults.value(format!("expected a word, found {}", node.value), hint);
            None
        }
        Yaml::Null(_) => {
            let hint = "write how far it has to be, or the name alone in a list: `- db`";
            faults.value(format!("expected a word, found {}", node.value), hint);
            None
        }
        _ => choice(node, faults, &Readiness::ALL.map(|r| (r.as_str(), r)), &foreign),
    }
}

/// `db: healthy`
fn read_entry(entry: &Entry, faults: &mut Faults) -> Option<Dependency> {
    faults.below(Step::Key(entry.key.clone()), |faults| {
        let name = match ProcessName::new(&entry.key) {
            Ok(name) => name,
            Err(error) => {
                faults.key(error.to_string(), "write the name of a process");
                return None;
            }
        };
        Some(Dependency { name, until: Some(read_until(&entry.value, faults)?) })
    })
}

fn read_item(node: &Node, faults: &mut Faults) -> Option<Dependency> {
    match (&node.value, node.value.text()) {
        (_, Some(text)) => Some(Dependency { name: process_name(text, faults)?, until: None }),
        (Yaml::Map(map), _) => match map.entries.as_slice() {
            [entry] => read_entry(entry, faults),
            entries => {
                faults.value(
                    format!("expected one name with its word, found a mapping of {}", entries.len()),
                    "give each name an item of its own: `- db: healthy`",
                );
                None
            }
        },
        (other, None) => {
            let hint = "write `- db`, or `- db: healthy`";
            faults.value(format!("expected the name of a process, found {other}"), hint);
            None
        }
    }
}

impl Kind for Needs {
    type Value = Vec<Dependency>;
    const WORDS: &'static str = "a list of process names, each alone or with a word: `[cache, {db: healthy}]`; or a mapping of \
                                 names to words";

    fn read(node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        match &node.value {
            Yaml::List(items) => {
                let items: Vec<Option<Dependency>> = each(items, faults, read_item);
                items.into_iter().collect()
            }
            Yaml::Map(map) => {
                let entries: Vec<_> = map.entries.iter().map(|entry| read_entry(entry, faults)).collect();
                entries.into_iter().collect()
            }
            // Always a fault, which shows the text as a list.
            _ => scalars(node, faults).and(None),
        }
    }

    fn check(value: &Self::Value, faults: &mut Faults) {
        let mut seen = HashSet::new();
        each(value, faults, |dependency, faults| {
            if !seen.insert(&dependency.name) {
                let message = format!("{} stands here a second time", quoted(dependency.name.as_str()));
                faults.value(message, "remove one of them");
            }
        });
    }

    fn write(value: &Self::Value) -> Value {
        let item = |dependency: &Dependency| match dependency.until {
            None => Value::from(dependency.name.as_str()),
            Some(until) => {
                let mut map = Mapping::new();
                map.insert(dependency.name.as_str().into(), until.as_str().into());
                Value::Mapping(map)
            }
        };
        value.iter().map(item).collect()
    }

    replaced_as_a_whole!();
}
