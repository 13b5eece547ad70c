//! docs/CONFIG.md, generated from the table of keys.

use crate::keys::{Effect, KEYS, Key, LOG_KEYS};
use crate::kinds::{Field, HEALTH_FIELDS, HOOK_FIELDS, LIMIT_FIELDS};

const HEAD: &str = include_str!("docs/head.md");
const LOGS: &str = include_str!("docs/logs.md");
const ENVIRONMENT: &str = include_str!("docs/environment.md");
const STARTS: &str = include_str!("docs/starts.md");
const DEPENDENCIES: &str = include_str!("docs/dependencies.md");
const HOOKS: &str = include_str!("docs/hooks.md");
const HEALTH: &str = include_str!("docs/health.md");
const LIMITS: &str = include_str!("docs/limits.md");

/// The reference of all keys in Markdown.
#[must_use]
pub fn markdown() -> String {
    [
        HEAD.to_owned(),
        format!("## Keys of a process\n\n{}", table(&KEYS)),
        format!("## Keys below `log:`\n\n{}", table(&LOG_KEYS)),
        LOGS.to_owned(),
        ENVIRONMENT.to_owned(),
        STARTS.to_owned(),
        DEPENDENCIES.to_owned(),
        HOOKS.replace("{table}\n", &fields(&HOOK_FIELDS)),
        HEALTH.replace("{table}\n", &fields(&HEALTH_FIELDS)),
        LIMITS.replace("{table}\n", &fields(&LIMIT_FIELDS)),
    ]
    .join("\n")
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

fn fields(fields: &[Field]) -> String {
    let mut text = String::from("| key | takes | default |\n|---|---|---|\n");
    for Field { name, kind, default, doc, .. } in fields {
        text.push_str(&format!("| `{name}` | {doc}<br>{kind} | {default} |\n"));
    }
    text
}
