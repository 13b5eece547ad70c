//! YAML as a tree in which every key and scalar knows its place and how it was spelt.

use std::fmt;

use crate::problem::visible;
use crate::secret::mask_line;
use crate::source::Span;

/// A value and where it stands. A list or mapping stands where its key (or its first item) stands; values that came
/// through an alias or a merge stand where they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) at: Span,
    pub(crate) value: Yaml,
}

/// A value. Scalars keep their spelling, because `1.10` is a number to YAML and a version to its author.
#[derive(Clone, Debug)]
pub(crate) enum Yaml {
    /// Its spelling is empty when nothing was written at all.
    Null(String),
    Bool(bool, String),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Map),
    /// A value with a tag of its own, such as `!secret`.
    Tagged(String),
}

/// A mapping in the order in which it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
    pub(crate) flaws: Vec<Flaw>,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Span,
    pub(crate) value: Node,
}

/// Something wrong with a key of a mapping: defined twice, not a text, an impossible merge.
#[derive(Clone, Debug)]
pub(crate) struct Flaw {
    /// Empty when it has none.
    pub(crate) key: String,
    pub(crate) at: Span,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Default for Yaml {
    fn default() -> Self {
        Self::Null(String::new())
    }
}

impl Yaml {
    pub(crate) fn is_container(&self) -> bool {
        matches!(self, Self::List(_) | Self::Map(_))
    }

    /// A scalar's spelling; not for null.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Bool(_, text) | Self::Number(text) | Self::Text(text) => Some(text),
            Self::Null(_) | Self::List(_) | Self::Map(_) | Self::Tagged(_) => None,
        }
    }
}

/// What was found, for "expected ..., found ...".
impl fmt::Display for Yaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null(text) if text.is_empty() => f.write_str("nothing"),
            Self::Null(_) => f.write_str("null"),
            Self::Bool(_, text) => write!(f, "`{text}`"),
            Self::Number(text) => write!(f, "the number {}", short(text)),
            Self::Text(text) => write!(f, "the text {}", quoted(text)),
            Self::List(_) => f.write_str("a list"),
            Self::Map(_) => f.write_str("a mapping"),
            Self::Tagged(tag) => write!(f, "a value with the tag {}", quoted(&format!("!{tag}"))),
        }
    }
}

/// A user's text in backticks: one line, at most 40 characters, nothing that a terminal obeys, no secrets.
pub(crate) fn quoted(text: &str) -> String {
    format!("`{}`", short(text))
}

/// The same without the backticks, for numbers.
pub(crate) fn short(text: &str) -> String {
    let mut shown: String = mask_line(text).chars().take(40).map(visible).collect();
    if text.chars().nth(40).is_some() {
        shown.push_str("...");
    }
    shown
}

/// One step of a path below a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// `log.max_size`, `args[2]`; an empty key or one with dots, spaces and the like is quoted.
pub(crate) fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '@');
                match !key.is_empty() && key.chars().all(plain) && key.chars().count() <= 40 {
                    true => text.push_str(key),
                    false => text.push_str(&quoted(key).replace('`', "\"")),
                }
            }
        }
    }
    text
}

impl Node {
    pub(crate) fn map(&self) -> Option<&Map> {
        match &self.value {
            Yaml::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The place of what the path leads to: of its key when `on_key`, else of its value. Where the path ends early
    /// the nearest thing on it counts.
    pub(crate) fn locate(&self, path: &[Step], on_key: bool) -> Span {
        let Some((step, rest)) = path.split_first() else { return self.at };
        let (key_at, node) = match (step, &self.value) {
            (Step::Key(key), Yaml::Map(map)) => match map.entries.iter().find(|e| e.key == *key) {
                Some(entry) => (entry.key_at, &entry.value),
                None => return self.at,
            },
            (Step::Index(index), Yaml::List(items)) => match items.get(*index) {
                Some(item) => (item.at, item),
                None => return self.at,
            },
            _ => return self.at,
        };
        let found = if rest.is_empty() && on_key { key_at } else { node.locate(rest, on_key) };
        [found, key_at, self.at].into_iter().find(|span| span.is_known()).unwrap_or_default()
    }

    /// The part of a path of values that stands here as it was written. Some lists may be written as something else: a
    /// single item in the place of a list of one (`Index(0)` is left out), and dependencies as a mapping (the index
    /// becomes the key of its entry). It ends where nothing is written any more.
    pub(crate) fn as_written(&self, path: &[Step]) -> Vec<Step> {
        let (mut node, mut written) = (self, Vec::new());
        for (at, step) in path.iter().enumerate() {
            let (step, below) = match (step, &node.value) {
                (Step::Index(0), Yaml::Map(_)) if at + 1 < path.len() => continue,
                (Step::Index(index), Yaml::Map(map)) => match map.entries.get(*index) {
                    Some(entry) => (Step::Key(entry.key.clone()), &entry.value),
                    None => break,
                },
                (Step::Index(index), Yaml::List(items)) => match items.get(*index) {
                    Some(item) => (step.clone(), item),
                    None => break,
                },
                (Step::Index(0), _) => continue,
                (Step::Key(key), Yaml::Map(map)) => match map.entries.iter().find(|e| e.key == *key) {
                    Some(entry) => (step.clone(), &entry.value),
                    None => break,
                },
                _ => break,
            };
            written.push(step);
            node = below;
        }
        written
    }

    /// What a path of [`Self::as_written`] leads to.
    pub(crate) fn get(&self, path: &[Step]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match (step, &node.value) {
            (Step::Key(key), Yaml::Map(map)) => {
                map.entries.iter().find(|e| e.key == *key).map(|entry| &entry.value)
            }
            (Step::Index(index), Yaml::List(items)) => items.get(*index),
            _ => None,
        })
    }

    /// The flaws of this mapping and of all below it, with their paths.
    pub(crate) fn flaws(&self) -> Vec<(Vec<Step>, &Flaw)> {
        let mut found = Vec::new();
        self.collect_flaws(&mut Vec::new(), &mut found);
        found
    }

    // The depth is bounded by the parser's 128 levels.
    fn collect_flaws<'a>(&'a self, path: &mut Vec<Step>, found: &mut Vec<(Vec<Step>, &'a Flaw)>) {
        match &self.value {
            Yaml::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(Step::Index(index));
                    item.collect_flaws(path, found);
                    path.pop();
                }
            }
            Yaml::Map(map) => {
                for flaw in &map.flaws {
                    let mut path = path.clone();
                    if !flaw.key.is_empty() {
                        path.push(Step::Key(flaw.key.clone()));
                    }
                    found.push((path, flaw));
                }
                for entry in &map.entries {
                    path.push(Step::Key(entry.key.clone()));
                    entry.value.collect_flaws(path, found);
                    path.pop();
                }
            }
            Yaml::Null(_) | Yaml::Bool(..) | Yaml::Number(_) | Yaml::Text(_) | Yaml::Tagged(_) => {}
        }
    }
}
