//! A definition as YAML: what is kept under the state directory and shown to users.

use model::Definition;
use serde_yaml::{Mapping, Value};

use crate::definition::written;
use crate::tree::Step;

/// The YAML of one process: its keys at the top level, in the order of the table, only those that are set. Reading it
/// back gives the same definition.
#[must_use]
pub fn render(definition: &Definition) -> String {
    let mut top = Mapping::new();
    for (path, value) in written(definition) {
        match path.as_slice() {
            [Step::Key(name)] => {
                top.insert(name.as_str().into(), value);
            }
            [Step::Key(table), Step::Key(name)] => {
                let inner =
                    top.entry(table.as_str().into()).or_insert_with(|| Value::Mapping(Mapping::new()));
                if let Value::Mapping(inner) = inner {
                    inner.insert(name.as_str().into(), value);
                }
            }
            _ => {}
        }
    }
    let mut text = String::new();
    emit(&Value::Mapping(top), 0, &mut text);
    text
}

/// Written by hand, because serde_yaml's emitter folds long texts and writes blocks that its parser reads
/// differently; every text here is either plainly a word or a JSON string, which YAML reads one way only.
fn emit(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Mapping(map) if !map.is_empty() => {
            for (key, value) in map {
                out.push_str(&pad);
                entry(key, value, indent, out);
            }
        }
        Value::Sequence(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&pad);
                out.push_str("- ");
                match item {
                    // The first key stands behind the dash, the others below it.
                    Value::Mapping(map) if !map.is_empty() => {
                        for (index, (key, value)) in map.iter().enumerate() {
                            if index > 0 {
                                out.push_str(&" ".repeat(indent + 2));
                            }
                            entry(key, value, indent + 2, out);
                        }
                    }
                    item => emit(item, 0, out),
                }
            }
        }
        Value::Mapping(_) => out.push_str("{}\n"),
        Value::Sequence(_) => out.push_str("[]\n"),
        value => {
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

/// `key: value`, or the value below the key.
fn entry(key: &Value, value: &Value, indent: usize, out: &mut String) {
    let below = match value {
        Value::Mapping(map) => !map.is_empty(),
        Value::Sequence(items) => !items.is_empty(),
        _ => false,
    };
    out.push_str(&scalar(key));
    out.push_str(if below { ":\n" } else { ": " });
    emit(value, if below { indent + 2 } else { 0 }, out);
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text_scalar(text),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => "null".to_owned(),
    }
}

/// A text that no YAML reader takes for anything else stays as it is; all others are quoted.
fn text_scalar(text: &str) -> String {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let rest = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '+' | '@' | '=' | ','));
    let word = text.to_ascii_lowercase();
    let special = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&word.as_str());
    if first && rest && !special {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if needs_escape(c) => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What YAML does not allow as it stands, and what a reader of the file could not see.
fn needs_escape(c: char) -> bool {
    let allowed =
        matches!(c, ' '..='~' | '\u{a1}'..='\u{1fff}' | '\u{2030}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}');
    !(allowed || matches!(c, '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}'))
}
