//! Files that a definition names: a pidfile, files of variables, and those whose presence is a condition.

use std::path::{Path, PathBuf};

use model::{EnvironmentFile, PathCondition};
use serde_yaml::Value;

use super::text::{AbsolutePath, check_path};
use super::{Kind, each, one_or_each, one_or_list, replaced_as_a_whole, scalar};
use crate::fault::Faults;
use crate::tree::{Node, Yaml, quoted};

/// The path of a file, which may not be there yet.
pub(crate) struct FilePath;

/// A path that can't be a directory's.
pub(super) fn check_file(path: &Path, faults: &mut Faults) {
    check_path(path, faults);
    // A relative one was complained about.
    if path.is_absolute() && (path.to_string_lossy().ends_with('/') || path.file_name().is_none()) {
        faults.value(format!("{} names a directory", quoted(&path.to_string_lossy())), "name a file in it");
    }
}

/// A path that stands behind an optional sign.
fn signed<'a>(node: &'a Node, sign: char, faults: &mut Faults) -> Option<(&'a str, bool)> {
    if let (Yaml::Tagged(tag), '!') = (&node.value, sign) {
        // YAML takes what follows an unquoted `!` for a tag.
        faults.value(
            format!("expected a path, found a value with the tag {}", quoted(&format!("!{tag}"))),
            format!("quote it: \"!{tag}\""),
        );
        return None;
    }
    let text = scalar(node, "a path", faults)?;
    match text.strip_prefix(sign) {
        Some(path) => Some((path.trim_start(), true)),
        None => Some((text, false)),
    }
}

impl Kind for FilePath {
    type Value = PathBuf;
    const WORDS: &'static str = "an absolute path";

    fn read(node: &Node, faults: &mut Faults) -> Option<PathBuf> {
        AbsolutePath::read(node, faults)
    }

    fn check(value: &PathBuf, faults: &mut Faults) {
        check_file(value, faults);
    }

    fn write(value: &PathBuf) -> Value {
        AbsolutePath::write(value)
    }

    replaced_as_a_whole!();
}

/// `environment_file`
pub(crate) struct EnvironmentFiles;

impl Kind for EnvironmentFiles {
    type Value = Vec<EnvironmentFile>;
    const WORDS: &'static str =
        "an absolute path, or a list of them; with `-` before it a file may be missing";

    fn read(node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        one_or_each(node, "a path", faults, |node, faults| {
            let (path, optional) = signed(node, '-', faults)?;
            Some(EnvironmentFile { path: path.into(), optional })
        })
    }

    fn check(value: &Self::Value, faults: &mut Faults) {
        each(value, faults, |file, faults| check_file(&file.path, faults));
    }

    fn write(value: &Self::Value) -> Value {
        one_or_list(value.iter().map(|file| file.to_string().into()).collect())
    }

    replaced_as_a_whole!();
}

/// `condition_path_exists`
pub(crate) struct Conditions;

impl Kind for Conditions {
    type Value = Vec<PathCondition>;
    const WORDS: &'static str = "an absolute path, or a list of them; with `\"!...\"` it must not exist";

    fn read(node: &Node, faults: &mut Faults) -> Option<Self::Value> {
        one_or_each(node, "a path", faults, |node, faults| {
            let (path, negated) = signed(node, '!', faults)?;
            if path.starts_with('|') {
                let hint = "all conditions have to hold; remove the `|`";
                faults.value(format!("{} is not an absolute path", quoted(path)), hint);
                return None;
            }
            Some(PathCondition { path: path.into(), negated })
        })
    }

    fn check(value: &Self::Value, faults: &mut Faults) {
        each(value, faults, |condition, faults| check_path(&condition.path, faults));
    }

    fn write(value: &Self::Value) -> Value {
        one_or_list(value.iter().map(|condition| condition.to_string().into()).collect())
    }

    replaced_as_a_whole!();
}
