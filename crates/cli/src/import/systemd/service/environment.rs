//! `Environment=` beside `EnvironmentFile=`: in systemd the files win, here `env` does.

use std::collections::BTreeSet;

use model::Definition;

use super::super::unit::Assignment;
use crate::import::draft::Import;
use crate::import::files::Files;

/// Takes out of `env` what the files set as well, as far as they can be read now; says what may differ.
pub(super) fn settle(
    files: &dyn Files,
    effective: &[&Assignment],
    definition: &mut Definition,
    into: &mut Import,
) {
    let (Some(env), Some(list)) = (&mut definition.env, &definition.environment_file) else { return };
    let Some(from) = effective.iter().rfind(|a| a.section == "Service" && a.key == "EnvironmentFile") else {
        return;
    };
    let mut set = BTreeSet::new();
    let mut unread = Vec::new();
    for file in list {
        match files.read(&file.path) {
            Ok(text) => set.extend(names(&text)),
            Err(_) => unread.push(file.path.display().to_string()),
        }
    }
    let taken: Vec<String> = env.keys().filter(|name| set.contains(*name)).cloned().collect();
    env.retain(|name, _| !set.contains(name));
    if !taken.is_empty() {
        let why = format!(
            "it sets {}, and wins over Environment=: left out of `env`, which would win",
            taken.join(", ")
        );
        into.changed(&from.at, &from.written(), why, "keep these variables in the file");
    }
    if !unread.is_empty() && !env.is_empty() {
        let why = format!(
            "{} can't be read here: where it sets what Environment= sets as well, its value wins in systemd and that of \
             `env` here",
            unread.join(", ")
        );
        into.changed(&from.at, &from.written(), why, "take out of `env` what the file sets");
    }
    if env.is_empty() {
        definition.env = None;
    }
}

/// The names of the variables that a file sets, one a line.
fn names(text: &str) -> impl Iterator<Item = String> + '_ {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with(['#', ';']));
    lines.filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim().to_owned())
}
