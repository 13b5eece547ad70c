//! Documents for programs: one value as JSON, as YAML, or as the names in it.

use std::fmt::Write as _;

use serde_json::Value;

use super::paint::acts;

/// Words that YAML 1.1 or 1.2 takes for something else than a text, in lower case.
const TAKEN: &[&str] = &["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"];

/// serde_json writes out the control characters that JSON forbids; the rest of them, which a terminal acts on as well,
/// can only stand within strings, where an escape means the same.
pub(crate) fn json(text: &str) -> String {
    escaped(text, |c| matches!(c, '\u{7f}'..='\u{9f}'))
}

fn escaped(text: &str, escape: fn(char) -> bool) -> String {
    let mut done = String::with_capacity(text.len());
    for c in text.chars() {
        if escape(c) {
            let _infallible = write!(done, "\\u{:04x}", u32::from(c)).is_ok();
        } else {
            done.push(c);
        }
    }
    done
}

/// The value as a YAML document. Texts that are not plain words are quoted as in JSON, which YAML reads in the same way.
pub(crate) fn yaml(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Writes what follows a key, a dash or nothing. `depth` is that of the lines of the value.
fn block(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (i, (key, value)) in map.iter().enumerate() {
                if i > 0 {
                    text.push_str(&indent);
                }
                let _infallible = write!(text, "{}:", scalar(key)).is_ok();
                below(text, value, depth);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (i, value) in list.iter().enumerate() {
                if i > 0 {
                    text.push_str(&indent);
                }
                text.push_str("- ");
                block(text, value, depth + 1);
                if !text.ends_with('\n') {
                    text.push('\n');
                }
            }
        }
        Value::String(word) => text.push_str(&scalar(word)),
        other => text.push_str(&other.to_string()),
    }
}

/// The value of a key: on the key's line when it is one word, else on lines of its own.
fn below(text: &mut String, value: &Value, depth: usize) {
    let lines = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    };
    if lines {
        let _infallible = write!(text, "\n{}", "  ".repeat(depth + 1)).is_ok();
        block(text, value, depth + 1);
    } else {
        text.push(' ');
        block(text, value, depth);
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
}

fn scalar(word: &str) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | ' ');
    let plain = word.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'))
        && word.chars().all(inner)
        && !word.ends_with(' ')
        && !TAKEN.contains(&word.to_ascii_lowercase().as_str());
    // More than in JSON breaks a line in YAML, or is not allowed to stand there.
    let special = |c: char| acts(c) || c == '\u{feff}';
    if plain { word.to_owned() } else { escaped(&Value::from(word).to_string(), special) }
}

/// The names of the processes (or of whatever the document is about), one a line.
pub(crate) fn names(value: &Value) -> String {
    if let Some(hosts) = value["hosts"].as_array() {
        return hosts.iter().map(names).collect();
    }
    let lists = ["processes", "deleted", "changes", "contexts", "stats"];
    let list = lists.iter().find_map(|key| value[*key].as_array());
    let own = std::slice::from_ref(value);
    let named = list.map_or(own, Vec::as_slice).iter();
    let named = named.filter_map(|item| item["name"].as_str().or_else(|| item["process"].as_str()));
    named.fold(String::new(), |mut text, name| {
        let _infallible = writeln!(text, "{}", super::paint::one_line(name)).is_ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_carries_control_characters_as_escapes() {
        let value = json!({ "text": "a\u{1b}\u{9b}\u{7f}é" });
        let text = super::json(&value.to_string());
        assert_eq!(text, r#"{"text":"a\u001b\u009b\u007fé"}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn yaml_looks_as_somebody_would_write_it() {
        let value = json!({
            "processes": [
                { "name": "web", "pid": 4242, "groups": ["a", "b"], "run": { "number": 1 }, "hint": null },
                { "name": "x: y", "groups": [], "run": {}, "matrix": [[1, 2], []], "yes": "yes" },
            ],
            "text": "two\nlines",
        });
        let expected = r#"processes:
  - groups:
      - a
      - b
    hint: null
    name: web
    pid: 4242
    run:
      number: 1
  - groups: []
    matrix:
      - - 1
        - 2
      - []
    name: "x: y"
    run: {}
    "yes": "yes"
text: "two\nlines"
"#;
        assert_eq!(yaml(&value), expected);
        assert_eq!(serde_yaml::from_str::<Value>(expected).unwrap(), value);
    }

    #[test]
    fn yaml_reads_back_as_the_same_whatever_is_in_it() {
        let texts = [
            "",
            " ",
            "a",
            "a ",
            "-",
            "- a",
            "~",
            "null",
            "Null",
            "TRUE",
            "no",
            "1",
            "1e3",
            "0x1",
            ".5",
            "1:30",
            "a: b",
            "a:b",
            "a #b",
            "#",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a",
            "'a'",
            "\"a\"",
            "a\nb",
            "a\tb",
            "\u{1b}[2J",
            "\u{85}",
            "\u{2028}",
            "\u{202e}x",
            "é",
            "☃ x",
            "{a}",
            "[a]",
            "a,b",
            "?",
            "? a",
            "---",
            "...",
            "=",
            "<<",
            "_1",
            "/x y",
            "2026-11-21",
            "C:\\x",
            "nan",
            ".inf",
            "\u{feff}x",
            "🦀",
        ];
        let list: Vec<Value> = texts.iter().map(|text| Value::from(*text)).collect();
        let map: serde_json::Map<String, Value> =
            texts.iter().map(|text| ((*text).to_owned(), Value::from(*text))).collect();
        let value = json!({ "list": list, "map": map, "n": [1.5, -3, u64::MAX, true, null] });
        let text = yaml(&value);
        assert_eq!(serde_yaml::from_str::<Value>(&text).unwrap(), value, "{text}");
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        for value in [json!({}), json!([]), json!("a"), json!(null), json!([[]])] {
            assert_eq!(serde_yaml::from_str::<Value>(&yaml(&value)).unwrap(), value);
        }
    }

    #[test]
    fn names_are_found_wherever_a_document_has_them() {
        assert_eq!(names(&json!({ "processes": [{ "name": "a" }, { "name": "b" }] })), "a\nb\n");
        assert_eq!(names(&json!({ "deleted": [{ "name": "a" }] })), "a\n");
        assert_eq!(names(&json!({ "processes": [{ "name": "a" }], "changes": [] })), "a\n");
        assert_eq!(names(&json!({ "name": "a", "path": "b" })), "a\n");
        assert_eq!(names(&json!({ "process": "a", "line": "b" })), "a\n");
        assert_eq!(names(&json!({ "processes": [] })), "");
        assert_eq!(names(&json!({ "name": "a\u{1b}\nb" })), "a\\u{1b}\\nb\n");
    }
}
