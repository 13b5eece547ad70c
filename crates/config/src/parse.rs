//! Text to [`Node`]: serde_yaml parses, this keeps what it throws away (places, spellings, duplicate keys) and
//! bounds what it doesn't (values multiplied by aliases).
//!
//! serde_yaml tells a place only to errors. So each scalar is taken in by a visitor that stores it and then fails on
//! purpose: the parser has consumed the scalar by then, puts the place into the error, and goes on with the next
//! one. One pass gives every place; looking them up one by one would parse the text once for each.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use crate::problem::Problem;
use crate::source::{Source, Span};
use crate::tree::{Entry, Flaw, Map, Node, Yaml, quoted};

/// Values that a text may hold once its aliases are expanded: this many, and more for a longer text, but never more
/// than `MOST_VALUES`. serde_yaml's own limit counts aliases, not what they stand for. A long text counts as one
/// value for each `BYTES_A_VALUE`, so that memory is bounded too.
const FEW_VALUES: usize = 100_000;
const MOST_VALUES: usize = 500_000;
const BYTES_A_VALUE: usize = 16;

/// Deepest nesting and longest key. A definition needs six levels (the arguments of a hook); serde_yaml would go to 128, but it writes the
/// path of keys into each of its errors, and here each scalar is one.
const MAX_DEPTH: usize = 16;
pub(crate) const MAX_KEY_BYTES: usize = 1024;

/// Parses one document. `None` = no document at all, or an empty one.
pub(crate) fn parse(source: &Source) -> Result<Option<Node>, Box<Problem>> {
    let limit = source.text.len().saturating_mul(4).saturating_add(FEW_VALUES).min(MOST_VALUES);
    let context = Context { source, left: Cell::new(limit), limit };
    let mut documents = serde_yaml::Deserializer::from_str(&source.text);
    let root = match documents.next() {
        Some(document) => read(&context, document)?,
        None => return Ok(None),
    };
    if let Some(second) = documents.next() {
        let at = read(&context, second).map(|node| node.at).unwrap_or_default();
        let problem = Problem::at(
            source,
            at,
            "a second document begins before this",
            "keep one document in a file: remove the line `---`",
        );
        return Err(Box::new(problem));
    }
    match root.value {
        Yaml::Null(_) => Ok(None),
        _ => Ok(Some(root)),
    }
}

fn read(context: &Context<'_>, document: serde_yaml::Deserializer<'_>) -> Result<Node, Box<Problem>> {
    let mut slot = None;
    match (Seed { context, depth: 0, slot: &mut slot }).deserialize(document) {
        Ok(()) => Ok(slot.unwrap_or_default()),
        Err(error) => settle(context, error, slot).map_err(|error| Box::new(syntax_problem(context, &error))),
    }
}

struct Context<'a> {
    source: &'a Source,
    /// Values that may still come.
    left: Cell<usize>,
    limit: usize,
}

/// Takes in one value: a list or mapping by success, a scalar by an error with a full slot (see the module's head).
struct Seed<'a> {
    context: &'a Context<'a>,
    depth: usize,
    slot: &'a mut Option<Node>,
}

/// Turns the error that carries a scalar into the scalar; other errors stay errors.
fn settle<E: Error>(context: &Context<'_>, error: E, slot: Option<Node>) -> Result<Node, E> {
    let Some(mut node) = slot else { return Err(error) };
    let (line, column) = place_in(&error.to_string());
    node.at = Span { line, column, width: 1 };
    let (skipped, spelling) = spelling(context.source.rest_of_line(node.at));
    match &mut node.value {
        Yaml::Null(text) if matches!(spelling, "~" | "null" | "Null" | "NULL") => *text = spelling.to_owned(),
        // An empty value's place is that of whatever comes next.
        Yaml::Null(_) => node.at = Span::default(),
        Yaml::Bool(_, text) if spelling.eq_ignore_ascii_case(text) => *text = spelling.to_owned(),
        Yaml::Number(text) if spelling.starts_with(|c: char| matches!(c, '0'..='9' | '+' | '-' | '.')) => {
            *text = spelling.to_owned();
        }
        _ => {}
    }
    node.at.column += skipped;
    node.at.width = width(context.source.rest_of_line(node.at), &node.value);
    Ok(node)
}

/// The place at the end of one of serde_yaml's messages. It leaves out the very first place of a text.
fn place_in(message: &str) -> (usize, usize) {
    let number = |text: &str| text.parse::<usize>().ok();
    message
        .rsplit_once(" at line ")
        .and_then(|(_, place)| place.split_once(" column "))
        .and_then(|(line, column)| Some((number(line)?, number(column)?)))
        .unwrap_or((1, 1))
}

/// How a plain number, bool or null is spelt, after an anchor and a tag (with the characters these take).
fn spelling(rest: &str) -> (usize, &str) {
    let mut value = rest;
    while value.starts_with(['&', '!']) {
        match value.find(char::is_whitespace) {
            Some(end) => value = value[end..].trim_start(),
            None => break,
        }
    }
    let skipped = &rest[..rest.len() - value.len()];
    let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | '~')));
    (skipped.chars().count(), &value[..end.unwrap_or(value.len())])
}

/// Characters of this line that a scalar takes, as far as one can tell without scanning YAML a second time.
fn width(rest: &str, value: &Yaml) -> usize {
    let text = match value {
        Yaml::Null(text) | Yaml::Bool(_, text) | Yaml::Number(text) | Yaml::Text(text) => text.as_str(),
        Yaml::List(_) | Yaml::Map(_) | Yaml::Tagged(_) => return 1,
    };
    let quotes = if rest.starts_with(['"', '\'']) { 1 } else { 0 };
    let spelt = rest.get(quotes..).is_some_and(|inside| inside.starts_with(text));
    if spelt { (text.chars().count() + 2 * quotes).max(1) } else { 1 }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seed<'_> {
    fn count<E: Error>(&self, cost: usize) -> Result<(), E> {
        match self.context.left.get().checked_sub(cost) {
            Some(left) => {
                self.context.left.set(left);
                Ok(())
            }
            None => Err(E::custom(TOO_MANY)),
        }
    }

    fn scalar<E: Error>(self, value: Yaml) -> Result<(), E> {
        self.count::<E>(1 + value.text().map_or(0, str::len) / BYTES_A_VALUE)?;
        *self.slot = Some(Node { at: Span::default(), value });
        Err(E::custom(""))
    }

    /// The seed for what stands inside of a list or mapping.
    fn inside<'s>(&self, slot: &'s mut Option<Node>) -> Seed<'s>
    where
        Self: 's,
    {
        Seed { context: self.context, depth: self.depth + 1, slot }
    }

    fn check_depth<E: Error>(&self) -> Result<(), E> {
        if self.depth < MAX_DEPTH { Ok(()) } else { Err(E::custom(TOO_DEEP)) }
    }

    fn container<E: Error>(self, at: Span, value: Yaml) -> Result<(), E> {
        self.count::<E>(1)?;
        *self.slot = Some(Node { at: Span { width: 1, ..at }, value });
        Ok(())
    }
}

// What our own limits put into an error of the parser, to be recognized by `syntax_problem`.
const TOO_MANY: &str = "too many values";
const TOO_DEEP: &str = "nested too deep";
const LONG_KEY: &str = "key too long";

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(Yaml::Null(String::new()))
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.scalar(Yaml::Null(String::new()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(Yaml::Bool(value, value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(Yaml::Number(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(Yaml::Number(value.to_string()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<(), E> {
        self.scalar(Yaml::Number(value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<(), E> {
        self.scalar(Yaml::Number(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(Yaml::Number(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.scalar(Yaml::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        self.check_depth::<A::Error>()?;
        let mut items: Vec<Node> = Vec::new();
        loop {
            let mut slot = None;
            match access.next_element_seed(self.inside(&mut slot)) {
                Ok(None) => break,
                Ok(Some(())) => items.extend(slot),
                Err(error) => items.push(settle(self.context, error, slot)?),
            }
        }
        let at = items.first().map(|item| item.at).unwrap_or_default();
        self.container(at, Yaml::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        self.check_depth::<A::Error>()?;
        let mut building = Building::default();
        let mut first = None;
        loop {
            let mut slot = None;
            let key = match access.next_key_seed(self.inside(&mut slot)) {
                Ok(None) => break,
                Ok(Some(())) => slot.unwrap_or_default(),
                Err(error) => settle(self.context, error, slot)?,
            };
            if key.value.text().is_some_and(|text| text.len() > MAX_KEY_BYTES) {
                return Err(A::Error::custom(LONG_KEY));
            }
            let mut slot = None;
            let mut value = match access.next_value_seed(self.inside(&mut slot)) {
                Ok(()) => slot.unwrap_or_default(),
                Err(error) => settle(self.context, error, slot)?,
            };
            if value.value.is_container() || !value.at.is_known() {
                value.at = key.at;
            }
            first = first.or(Some(key.at));
            let quoted = self.context.source.rest_of_line(key.at).starts_with(['"', '\'']);
            building.add(&key, value, quoted);
        }
        self.container(first.unwrap_or_default(), Yaml::Map(building.finish()))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<(), A::Error> {
        let (tag, content) = access.variant_seed(std::marker::PhantomData::<String>)?;
        let outcome = content.newtype_variant_seed(Seed {
            context: self.context,
            depth: self.depth,
            slot: &mut *self.slot,
        });
        if let Some(node) = self.slot {
            node.value = Yaml::Tagged(tag);
        }
        outcome
    }
}

/// A mapping while it is read.
#[derive(Default)]
struct Building {
    map: Map,
    /// Where each key stands in `map.entries`.
    index: HashMap<String, usize>,
    merges: Vec<Node>,
}

impl Building {
    /// A quoted `<<` is a key like any other.
    fn add(&mut self, key: &Node, value: Node, quoted_key: bool) {
        let Some(text) = key.value.text().map(str::to_owned) else {
            let message = format!("a key must be a text, this is {}", key.value);
            self.flaw("", key.at, message, "quote it");
            return;
        };
        if text == "<<" && !quoted_key {
            if !self.merges.is_empty() {
                let hint = "merge several with a list: `<<: [*a, *b]`";
                self.flaw("", key.at, "`<<` stands here a second time".to_owned(), hint);
            }
            self.merges.push(value);
        } else if let Some(first) = self.index.get(&text).and_then(|i| self.map.entries.get(*i)) {
            let line = first.key_at.line;
            let message = format!("{} is defined a second time; first defined on line {line}", quoted(&text));
            self.flaw(&text, key.at, message, "remove one of them: the parser would silently use the last");
        } else {
            self.index.insert(text.clone(), self.map.entries.len());
            self.map.entries.push(Entry { key: text, key_at: key.at, value });
        }
    }

    fn flaw(&mut self, key: &str, at: Span, message: String, hint: &str) {
        self.map.flaws.push(Flaw { key: key.to_owned(), at, message, hint: hint.to_owned() });
    }

    /// Written keys win over merged ones, and earlier merges over later ones.
    fn finish(mut self) -> Map {
        for merge in std::mem::take(&mut self.merges) {
            let at = merge.at;
            let sources = match merge.value {
                Yaml::List(items) => items,
                _ => vec![merge],
            };
            for source in sources {
                let Yaml::Map(map) = source.value else {
                    let message = format!("`<<` merges mappings, this is {}", source.value);
                    self.flaw("", at, message, "name an anchor of a mapping: `<<: *base`");
                    continue;
                };
                for entry in map.entries {
                    if !self.index.contains_key(&entry.key) {
                        self.index.insert(entry.key.clone(), self.map.entries.len());
                        self.map.entries.push(entry);
                    }
                }
            }
        }
        self.map
    }
}

/// An error of the parser, in words that help.
fn syntax_problem(context: &Context<'_>, error: &serde_yaml::Error) -> Problem {
    let source = context.source;
    let text = error.to_string();
    let at = syntax_place(source, error, &text);
    let line = source.line(at.line);
    let indent = &line[..line.len() - line.trim_start().len()];
    let (at, message, hint) = match () {
        () if text.contains(TOO_MANY) || text.starts_with("repetition limit") => (
            Span::default(),
            format!("more than {} values once its aliases (`*name`) are expanded", context.limit),
            "write the values out, or spread them over several files",
        ),
        () if text.contains(TOO_DEEP) => {
            (at, format!("nested more than {MAX_DEPTH} levels deep"), "a definition needs six levels")
        }
        () if text.contains(LONG_KEY) => {
            (at, format!("a key below this has more than {MAX_KEY_BYTES} bytes"), "keys are short names")
        }
        () if text.starts_with("unknown anchor") => (
            at,
            "this alias names no anchor that was defined before".to_owned(),
            "define it with `&name`, or quote the `*`",
        ),
        () => (at, format!("not YAML: {}", without_places(&text)), syntax_hint(&text, indent)),
    };
    Problem::at(source, at, message, hint)
}

/// Where the parser gave up; when that is the end of the file, where the thing began that was not closed.
fn syntax_place(source: &Source, error: &serde_yaml::Error, text: &str) -> Span {
    let Some(found) = error.location() else { return Span::default() };
    if let Some((_, offset)) = text.split_once(" at position ") {
        let digits = offset.find(|c: char| !c.is_ascii_digit()).unwrap_or(offset.len());
        return source.span_of(offset[..digits].parse().unwrap_or_default());
    }
    let (line, column) = match source.line(found.line()).trim().is_empty() {
        true => place_in(text),
        false => (found.line(), found.column()),
    };
    Span { line, column, width: 1 }
}

fn syntax_hint(text: &str, indent: &str) -> &'static str {
    let known = [
        ("cannot start any token", "quote the text: '...'"),
        (
            "mapping values are not allowed",
            "a text that contains `: ` needs quotes; or the line is indented too far",
        ),
        ("did not find expected key", "check the indentation of this line and of those above"),
        ("control characters", "remove the character, or write it as \"\\x1b\" in double quotes"),
        ("unknown escape character", "write it in single quotes, in which a backslash is a backslash"),
        ("unexpected end of stream", "close what begins here"),
        ("did not find expected ',' or", "close the bracket, or put a comma between the items"),
        ("did not find expected node content", "a value is missing, or a bracket is not closed"),
    ];
    if indent.contains('\t') {
        return "YAML is indented with spaces, this line has a tab";
    }
    known.iter().find(|(part, _)| text.contains(part)).map_or("", |(_, hint)| hint)
}

/// A message of the parser without its places: one stands beside the excerpt, and serde_yaml's style differs.
fn without_places(text: &str) -> String {
    let parts = text.split(", ").map(|part| {
        let end = part.find(" at line ").or_else(|| part.find(" at position ")).unwrap_or(part.len());
        &part[..end]
    });
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
