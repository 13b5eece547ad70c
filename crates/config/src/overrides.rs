//! Overrides: one file for each process that an administrator changes without touching its definition. Here they are
//! read, judged before they are written, and written.

use std::path::PathBuf;
use std::sync::Arc;

use model::{ProcessId, ProcessName, ProcessSpec};

use crate::check::log_conflict;
use crate::document::read_single;
use crate::layers::{Layers, Layout, LoadError, Main, way_out};
use crate::problem::Problem;
use crate::source::Source;
use crate::store::{StoreError, keep, read, remove};

/// Where the override of a process is, or would be: `<name>.yaml`, unless there is a `<name>.yml`.
#[must_use]
pub fn override_path(layout: &Layout, name: &ProcessName) -> PathBuf {
    let with = |extension: &str| layout.overrides_dir.join(format!("{name}.{extension}"));
    let (usual, other) = (with("yaml"), with("yml"));
    let there = |path: &PathBuf| path.symlink_metadata().is_ok();
    if !there(&usual) && there(&other) { other } else { usual }
}

/// The text of a process's override; `None` when it has none.
///
/// # Errors
/// It is there but can't be read, is no UTF-8, or is larger than a definition may be.
pub fn read_override(layout: &Layout, name: &ProcessName) -> Result<Option<String>, StoreError> {
    Ok(read(&override_path(layout, name))?.map(|source| source.text))
}

/// Judges a text as if it were the override already: the specification that would be in force after a reload. An empty
/// text stands for no override.
///
/// # Errors
/// Everything that would make the process invalid, or another one because of it: with places in the text, or in the
/// other files where these are at fault.
pub fn check_override(
    layout: &Layout,
    id_of: &dyn Fn(&ProcessName) -> ProcessId,
    name: &ProcessName,
    text: &str,
) -> Result<ProcessSpec, Vec<Problem>> {
    let path = override_path(layout, name);
    let written = match text.trim().is_empty() {
        true => None,
        false => {
            let source = Source::from_bytes(&path, text.as_bytes().to_owned());
            Some(read_single(&Arc::new(source.map_err(|problem| vec![problem.of(name)])?), name))
        }
    };
    let mut layers = Layers::read(layout, Main::Optional).map_err(unreadable)?;
    layers.replace_override(&path, name, written);
    let mut judged = layers.judge(layout, id_of);
    if let Some(problems) = judged.broken.remove(name) {
        return Err(problems);
    }
    let Some(at) = judged.specs.iter().position(|spec| spec.name == *name) else {
        let message = format!("nothing defines {name}, so that there is nothing to override");
        return Err(vec![Problem::whole_file(&path, message, "define the process first").of(name)]);
    };
    let spec = judged.specs.swap_remove(at);
    // Of two that write the same file the one with the later name is at fault, which may be the other.
    match log_conflict(&spec, judged.specs.iter().chain(&judged.in_the_way), &layout.log_dir) {
        Some(fault) => Err(vec![judged.located(name, &fault)]),
        None => Ok(spec),
    }
}

/// What keeps all definitions from being read, as problems.
fn unreadable(error: LoadError) -> Vec<Problem> {
    match error {
        LoadError::Invalid { problems } => problems,
        LoadError::Unreadable { path, source } => {
            vec![Problem::whole_file(&path, format!("can't read it: {source}"), way_out(&source))]
        }
        LoadError::Missing { path } => vec![Problem::whole_file(&path, "there is no such file", "create it")],
    }
}

/// Puts a text in the place of a process's override, as [`write_runtime`](crate::write_runtime) keeps a definition: at
/// once, 0600 in a directory that is 0700 when it is made here. An empty text removes the file. Whether the result
/// makes sense is for [`check_override`] to say before; a text that could not be read back is refused here, too.
///
/// # Errors
/// The step that failed, with its path.
pub fn write_override(layout: &Layout, name: &ProcessName, text: &str) -> Result<(), StoreError> {
    let path = override_path(layout, name);
    match text.trim().is_empty() {
        true => remove(&path).map(drop),
        false => keep(&path, name, text),
    }
}

#[cfg(test)]
mod tests;
