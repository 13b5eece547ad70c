//! The kinds of values that keys have: what they are called in the documentation, how they are read from YAML, which
//! of them are allowed, and how they are written.
//!
//! `read` judges the spelling; `check` judges the value, also of definitions that never were YAML.

mod address;
mod choice;
mod dependency;
mod fields;
mod group;
mod health;
mod hook;
mod isolation;
mod limits;
mod log;
mod number;
mod output;
mod paths;
mod pattern;
mod text;

use serde_yaml::Value;

use crate::fault::Faults;
use crate::secret::mask_line;
use crate::tree::{Node, Yaml};

pub(crate) use address::with_path;
pub(crate) use choice::{Flag, KillModeKind, MetricsKind, OnLimitKind, RestartKind, SignalKind, TypeKind};
pub(crate) use dependency::Needs;
pub(crate) use fields::Field;
pub(crate) use group::Groups;
pub(crate) use health::{FIELDS as HEALTH_FIELDS, Health};
pub(crate) use hook::{FIELDS as HOOK_FIELDS, Hooks};
pub(crate) use isolation::{CapabilitySet, DirectoryNames, Nice, OomScore};
pub(crate) use limits::{FIELDS as LIMIT_FIELDS, Resources, RlimitsKind};
pub(crate) use log::{
    Age, CompressionKind, FormatKind, JsonKeys, MultilineKind, OverflowKind, ParserKind, Patterns, Rate,
};
pub(crate) use number::{Bytes, Count, LineBytes, Ratio, Seconds, Times};
pub(crate) use output::OutputKind;
pub(crate) use paths::{Conditions, EnvironmentFiles, FilePath};
pub(crate) use text::{
    AbsolutePath, Account, Accounts, Args, Command, Env, Exits, Inherit, Line, Names, Umask,
};

/// One kind of value.
pub(crate) trait Kind {
    /// The type in [`model::Definition`].
    type Value;
    /// In words, for the documentation.
    const WORDS: &'static str;
    /// Reads it, or says why it can't be read.
    fn read(node: &Node, faults: &mut Faults) -> Option<Self::Value>;
    /// Says what is wrong with it.
    fn check(_: &Self::Value, _: &mut Faults) {}
    /// Writes it, so that reading gives the same value.
    fn write(value: &Self::Value) -> Value;
    /// Puts a later layer's value in an earlier one's place.
    fn overlay(earlier: &mut Self::Value, later: &Self::Value);
}

/// A scalar's spelling; numbers and booleans are taken as the text that their author wrote.
fn scalar<'a>(node: &'a Node, expected: &str, faults: &mut Faults) -> Option<&'a str> {
    let text = node.value.text();
    if text.is_none() {
        let hint = match node.value {
            Yaml::Null(_) if expected == TEXT => "write \"\" for an empty text",
            Yaml::Null(_) => "write a value, or remove it",
            Yaml::List(_) => "write one value here, not a list",
            Yaml::Map(_) => "write one value here, not a mapping",
            Yaml::Tagged(_) => "remove the tag, or quote a text that begins with `!`",
            Yaml::Bool(..) | Yaml::Number(_) | Yaml::Text(_) => "",
        };
        faults.value(format!("expected {expected}, found {}", node.value), hint);
    }
    text
}

/// What [`scalar`] is told to expect where a text may be empty.
const TEXT: &str = "a text";

/// A text with a NUL byte can't be handed to a program.
fn no_nul(text: &str, faults: &mut Faults) {
    if text.contains('\0') {
        faults.value("a NUL character can't be passed to a program", "remove it");
    }
}

/// A list of scalars. A lone scalar is the usual mistake, so the hint shows it as a list.
fn scalars<'a>(node: &'a Node, faults: &mut Faults) -> Option<Vec<&'a str>> {
    let Yaml::List(items) = &node.value else {
        let hint = match node.value.text() {
            Some(text) if text.len() < 40 && !text.contains(['\n', '"', '\\']) => {
                format!("write it as a list: [\"{}\"]", mask_line(text))
            }
            _ => "write one item to a line, each after `- `".to_owned(),
        };
        faults.value(format!("expected a list, found {}", node.value), hint);
        return None;
    };
    let texts: Vec<Option<&str>> = each(items, faults, |item, faults| scalar(item, TEXT, faults));
    texts.into_iter().collect()
}

/// Reads each item of a list, or a single one that stands in its place; `None` when one can't be read.
fn one_or_each<'a, T>(
    node: &'a Node,
    expected: &str,
    faults: &mut Faults,
    mut read: impl FnMut(&'a Node, &mut Faults) -> Option<T>,
) -> Option<Vec<T>> {
    match &node.value {
        Yaml::Null(_) => {
            faults.value(format!("expected {expected} or a list, found {}", node.value), "write [] for none");
            None
        }
        Yaml::List(items) => {
            let items: Vec<Option<T>> = each(items, faults, read);
            items.into_iter().collect()
        }
        _ => Some(vec![read(node, faults)?]),
    }
}

/// What [`one_or_each`] reads as these items.
fn one_or_list(mut items: Vec<Value>) -> Value {
    match items.pop() {
        Some(only) if items.is_empty() => only,
        last => {
            items.extend(last);
            Value::Sequence(items)
        }
    }
}

/// Looks at each item below its index.
fn each<'a, I, T>(
    items: &'a [I],
    faults: &mut Faults,
    mut look: impl FnMut(&'a I, &mut Faults) -> T,
) -> Vec<T> {
    let step = crate::tree::Step::Index;
    items.iter().enumerate().map(|(n, item)| faults.below(step(n), |faults| look(item, faults))).collect()
}

/// Most kinds: the later value takes the place of the earlier one as a whole.
macro_rules! replaced_as_a_whole {
    () => {
        fn overlay(earlier: &mut Self::Value, later: &Self::Value) {
            earlier.clone_from(later);
        }
    };
}
use replaced_as_a_whole;

#[cfg(test)]
mod tests;
