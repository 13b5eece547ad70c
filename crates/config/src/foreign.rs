//! YAML and JSON of other programs, read with the line of each value by the parser that reads definitions.

use std::path::Path;

use crate::parse::parse;
use crate::problem::Problem;
use crate::source::Source;
use crate::tree::{Node, Yaml};

/// A value of somebody else's file.
#[derive(Clone, Debug, PartialEq)]
pub enum ForeignValue {
    /// Nothing, or `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number as it is spelt.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<(usize, ForeignValue)>),
    /// A mapping in the order in which it is written. A key that is written twice has its first value.
    Map(Vec<ForeignEntry>),
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignEntry {
    /// The key.
    pub key: String,
    /// Its line, from 1; 0 = not known.
    pub line: usize,
    /// Its value.
    pub value: ForeignValue,
}

impl ForeignValue {
    /// A scalar as it is spelt.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(text) | Self::Text(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The entries of a mapping; none of anything else.
    #[must_use]
    pub fn entries(&self) -> &[ForeignEntry] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[(usize, Self)] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }
}

/// Reads one document of YAML, and JSON, which is YAML as well. An empty one is [`ForeignValue::Null`].
///
/// # Errors
/// What keeps it from being read, with its place.
pub fn parse_foreign(path: &Path, bytes: Vec<u8>) -> Result<ForeignValue, Box<Problem>> {
    let source = Source::from_bytes(path, bytes)?;
    let root = parse(&source)?;
    Ok(root.map_or(ForeignValue::Null, |node| value(&node)))
}

// The depth is bounded by the parser's 16 levels.
fn value(node: &Node) -> ForeignValue {
    match &node.value {
        Yaml::Null(_) => ForeignValue::Null,
        Yaml::Bool(value, _) => ForeignValue::Bool(*value),
        Yaml::Number(text) => ForeignValue::Number(text.clone()),
        Yaml::Text(text) => ForeignValue::Text(text.clone()),
        // A tag of its own means something to the program whose file it is; here it is a text.
        Yaml::Tagged(tag) => ForeignValue::Text(format!("!{tag}")),
        Yaml::List(items) => {
            ForeignValue::List(items.iter().map(|node| (node.at.line, value(node))).collect())
        }
        Yaml::Map(map) => {
            let entry = |entry: &crate::tree::Entry| ForeignEntry {
                key: entry.key.clone(),
                line: entry.key_at.line,
                value: value(&entry.value),
            };
            ForeignValue::Map(map.entries.iter().map(entry).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_known_in_yaml_and_json() {
        for text in ["a: 1\nb:\n  - x: true\n", "{\n\t\"a\": 1, \"b\":\n [{\"x\":\n true}]}"] {
            let root = parse_foreign(Path::new("f"), text.into()).unwrap();
            let [a, b] = root.entries() else { panic!("{root:?}") };
            assert_eq!((a.key.as_str(), a.value.text().as_deref()), ("a", Some("1")));
            let (_, item) = &b.value.items()[0];
            assert_eq!((item.entries()[0].line, &item.entries()[0].value), (3, &ForeignValue::Bool(true)));
        }
        assert_eq!(parse_foreign(Path::new("f"), Vec::new()), Ok(ForeignValue::Null));
        assert!(parse_foreign(Path::new("f"), b"a: [".to_vec()).is_err());
    }
}
