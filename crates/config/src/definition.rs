//! One process's mapping of keys to a [`Definition`], and the checks that hold for every definition.

use model::Definition;

use crate::fault::{Fault, Faults, steps};
use crate::keys::{KEYS, Key, LOG_KEYS};
use crate::suggest::{closest, same};
use crate::tree::{Map, Node, Step, Yaml, quoted};

/// Reads all keys; what could not be read is missing in the definition and named in the faults.
pub(crate) fn read(node: &Node) -> (Definition, Vec<Fault>) {
    let (mut definition, mut faults) = (Definition::default(), Faults::default());
    match node.map() {
        Some(map) => read_keys(map, &mut definition, &mut faults),
        None => {
            let hint = "write its keys below its name, one to a line, indented: `command: ...`";
            faults.value(format!("expected a mapping of keys, found {}", node.value), hint);
        }
    }
    check(&definition, &mut faults);
    (definition, faults.finish())
}

/// What is wrong with the values of a definition.
pub(crate) fn check(definition: &Definition, faults: &mut Faults) {
    for key in &KEYS {
        faults.at(key.name, |faults| (key.check)(definition, faults));
    }
    faults.at("log", |faults| {
        for key in &LOG_KEYS {
            faults.at(key.name, |faults| (key.check)(definition, faults));
        }
    });
}

fn read_keys(map: &Map, definition: &mut Definition, faults: &mut Faults) {
    for entry in &map.entries {
        let name = entry.key.as_str();
        faults.at(name, |faults| match find(&KEYS, name) {
            Some(key) => (key.read)(&entry.value, definition, faults),
            None if name == "log" => read_log(&entry.value, definition, faults),
            None => unknown(name, &entry.value, faults),
        });
    }
}

pub(crate) fn find<'a>(table: &'a [Key], name: &str) -> Option<&'a Key> {
    table.iter().find(|key| key.name == name)
}

fn read_log(node: &Node, definition: &mut Definition, faults: &mut Faults) {
    let Some(map) = node.map() else {
        let hint = "write its keys below it: `log:`, then `max_size: 10M`; a file is chosen by `stdout:` and `stderr:`";
        faults.value(format!("expected a mapping of keys, found {}", node.value), hint);
        return;
    };
    for entry in &map.entries {
        let name = entry.key.as_str();
        faults.at(name, |faults| match find(&LOG_KEYS, name) {
            Some(key) => (key.read)(&entry.value, definition, faults),
            None if find(&KEYS, name).is_some() => {
                faults.key(
                    format!("{} is not a key of `log:`", quoted(name)),
                    "it belongs one level up, beside `log:`",
                );
            }
            None => {
                faults.key(format!("{} is not a key of `log:`", quoted(name)), meant(name, &LOG_KEYS));
            }
        });
    }
}

fn unknown(name: &str, value: &Node, faults: &mut Faults) {
    let variable =
        name.len() > 1 && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let meant_elsewhere = |key: &&Key| key.also.iter().any(|also| same(also, name));
    let below_log = || match KEYS.iter().any(|key| meant_elsewhere(&key)) {
        true => None,
        false => LOG_KEYS.iter().find(meant_elsewhere),
    };
    let hint = if find(&LOG_KEYS, name).is_some() {
        "it belongs below `log:`".to_owned()
    } else if variable {
        "an environment variable belongs below `env:`".to_owned()
    } else if value.map().is_some_and(|map| map.entries.iter().any(|e| e.key == "command")) {
        "it looks like a process: indent it as far as the other processes".to_owned()
    } else if let Some(key) = below_log() {
        format!("did you mean `{}`, below `log:`?", key.name)
    } else {
        meant(name, &KEYS)
    };
    faults.key(format!("{} is not a known key", quoted(name)), hint);
}

/// "did you mean", or else the whole list.
pub(crate) fn meant(name: &str, table: &[Key]) -> String {
    let spellings = table.iter().flat_map(|key| {
        std::iter::once(key.name).chain(key.also.iter().copied()).map(|spelling| (spelling, key.name))
    });
    // `log` is no row of the table, as it has no value of its own in a definition.
    let others = [("log", "log"), ("logging", "log")];
    let others = others.into_iter().filter(|_| table.len() == KEYS.len());
    match closest(name, spellings.chain(others)) {
        // Elsewhere it may mean either.
        Some("requires") if !name.to_ascii_lowercase().starts_with("req") => {
            "did you mean `requires`? It starts these, too; `after` is for the order alone".to_owned()
        }
        Some(word) => format!("did you mean `{word}`?"),
        None => {
            let names: Vec<&str> = table.iter().map(|key| key.name).collect();
            format!("the keys are {}", names.join(", "))
        }
    }
}

/// The keys that a definition has, with their paths, in the order of the table.
pub(crate) fn written(definition: &Definition) -> impl Iterator<Item = (Vec<Step>, serde_yaml::Value)> {
    let top = KEYS.iter().map(|key| (key, key.name.to_owned()));
    let log = LOG_KEYS.iter().map(|key| (key, format!("log.{}", key.name)));
    top.chain(log).filter_map(|(key, path)| Some((steps(&path), (key.write)(definition)?)))
}

/// Whether the value of a process is there but empty: `web:` and nothing below.
pub(crate) fn is_empty(node: &Node) -> bool {
    matches!(&node.value, Yaml::Null(_)) || node.map().is_some_and(|map| map.entries.is_empty())
}
