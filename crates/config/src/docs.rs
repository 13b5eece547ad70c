//! docs/CONFIG.md, generated from the table of keys.

use crate::keys::{Effect, KEYS, Key, LATER, LOG_KEYS, LOG_LATER};

const HEAD: &str = include_str!("docs/head.md");

/// The reference of all keys in Markdown.
#[must_use]
pub fn markdown() -> String {
    let list = |names: &[&str]| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    format!(
        "{HEAD}\n## Keys of a process\n\n{}\n## Keys below `log:`\n\n{}\n## Not supported by this version\n\n\
         These are known and give an error that says so: {}; below `log:` {}; and every `type:` but `simple`.\n",
        table(&KEYS),
        table(&LOG_KEYS),
        list(&LATER),
        list(&LOG_LATER),
    )
}

fn table(keys: &[Key]) -> String {
    let mut text = String::from("| key | takes | default | a change |\n|---|---|---|---|\n");
    for key in keys {
        let effect = match key.effect {
            Effect::Hot => "is applied at once",
            Effect::Restart => "restarts it",
        };
        text.push_str(&format!(
            "| `{}` | {}<br>{} | {} | {effect} |\n",
            key.name, key.doc, key.kind, key.default
        ));
    }
    text
}
