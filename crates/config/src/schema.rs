//! The JSON schema of a file of definitions, for editors: made from the table of keys, one schema for each kind of value.
//!
//! It says what can be said of a value by itself. What keys mean together, and what processes mean to each other, is for
//! `validate`.

use serde_yaml::{Mapping, Value};

use crate::keys::{Effect, KEYS, Key, LOG_KEYS};
use crate::kinds::{Field, HEALTH_FIELDS, HOOK_FIELDS, LIMIT_FIELDS};

/// Where the dialect is described.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Kinds of values by their words in the table. A fixed set of words (`` `a`, `b` or `c` ``) needs no row.
const KINDS: [(&str, &str); 46] = [
    ("`true` or `false`", "{type: boolean}"),
    ("one line of text", "{$ref: '#/$defs/text'}"),
    ("a text", "{$ref: '#/$defs/text'}"),
    ("a list of texts", "{type: array, items: {$ref: '#/$defs/text'}}"),
    (
        "a path or name, or a whole command line when `args` is absent",
        "{type: [string, number, boolean], pattern: '\\S'}",
    ),
    (
        "a list of names: letters, digits and `_.-`, at most 64",
        "{type: array, items: {type: [string, number], pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$'}}",
    ),
    ("an absolute path", "{type: string, pattern: '^/'}"),
    (
        "a mapping of names to texts",
        "{type: object, propertyNames: {pattern: '^[^=]+$', maxLength: 1024}, additionalProperties: {$ref: '#/$defs/text'}}",
    ),
    (
        "an absolute path, or a list of them; with `-` before it a file may be missing",
        "{anyOf: [{type: string, pattern: '^(-\\s*)?/'}, {type: array, items: {type: string, pattern: '^(-\\s*)?/'}}]}",
    ),
    (
        "an absolute path, or a list of them; with `\"!...\"` it must not exist",
        "{anyOf: [{type: string, pattern: '^(!\\s*)?/'}, {type: array, items: {type: string, pattern: '^(!\\s*)?/'}}]}",
    ),
    (
        "`true`, `false`, or a list of names",
        "{anyOf: [{type: boolean}, {type: array, items: {$ref: '#/$defs/text'}}]}",
    ),
    ("a name or a number", "{$ref: '#/$defs/account'}"),
    ("a list of names or numbers", "{type: array, items: {$ref: '#/$defs/account'}}"),
    ("octal digits: `0027`", "{type: [string, integer], pattern: '^(0o)?0*[0-7]{1,3}$'}"),
    ("a list of process names", "{type: array, items: {$ref: '#/$defs/name'}}"),
    (
        "a list of process names, each alone or with a word: `[cache, {db: healthy}]`; or a mapping of names to words",
        "{anyOf: [{type: array, items: {anyOf: [{$ref: '#/$defs/name'}, {$ref: '#/$defs/need', minProperties: 1, maxProperties: 1}]}}, {$ref: '#/$defs/need'}]}",
    ),
    (
        "a list of exit codes (0 to 255) and signals (`SIGTERM`)",
        "{type: array, items: {anyOf: [{type: integer, minimum: 0, maximum: 255}, {type: string, minLength: 1}]}}",
    ),
    ("a signal: `TERM`, `SIGTERM`, `RTMIN+1` or a number", "{$ref: '#/$defs/signal'}"),
    ("seconds (`5`, `0.5`) or a time (`500ms`, `2m`, `1h30m`)", "{$ref: '#/$defs/time'}"),
    ("0, or a time from `1` second on (`12h`, `7d`)", "{$ref: '#/$defs/time'}"),
    ("a number from 0 to 1", "{type: number, minimum: 0, maximum: 1}"),
    ("a whole number from 0 to 10000", "{type: integer, minimum: 0, maximum: 10000}"),
    ("a whole number from 1 to 10000", "{type: integer, minimum: 1, maximum: 10000}"),
    (
        "a number from 1 to 65535",
        "{anyOf: [{type: integer, minimum: 1, maximum: 65535}, {type: string, pattern: '^[0-9]+$'}]}",
    ),
    ("bytes, or a size: `64K`, `10M`, `1GiB` (1024 each), `10MB` (1000 each)", "{$ref: '#/$defs/size'}"),
    ("a size from 64 bytes to `16M`", "{$ref: '#/$defs/size'}"),
    (
        "`capture`, `null`, `inherit`, an absolute path, or `direct:/path`",
        "{anyOf: [{type: 'null'}, {type: string, pattern: '^(capture|null|inherit|/.*|direct:/.*)$'}]}",
    ),
    (
        "lines in a time (`1000/s`, `500/10s`), or `none`",
        "{type: string, pattern: '^\\s*(none|[0-9]+\\s*/\\s*[0-9a-z. ]+)\\s*$'}",
    ),
    ("`none`, `indent`, or a regular expression", "{type: string, minLength: 1}"),
    ("a key, or a list of them: `[trace_id, user.id]`", "{$ref: '#/$defs/one_or_texts'}"),
    ("a regular expression, or a list of them", "{$ref: '#/$defs/one_or_texts'}"),
    ("a [hook](#hooks), or a list of hooks", "{$ref: '#/$defs/hooks'}"),
    ("a [health check](#health-checks)", "{$ref: '#/$defs/health_check'}"),
    ("`http://host:port/path`", "{type: string, pattern: '^http://[^/]+'}"),
    ("`host:port`", "{type: string, pattern: ':[0-9]+$'}"),
    ("a path from `/`, perhaps with a query", "{type: string, pattern: '^/'}"),
    ("a mapping of [limits](#resource-limits)", "{$ref: '#/$defs/resource_limits'}"),
    (
        "bytes, a size (`512M`, `1GiB`), or `max` for no limit",
        "{anyOf: [{$ref: '#/$defs/size'}, {$ref: '#/$defs/unlimited'}]}",
    ),
    (
        "processors (`1.5`) or percent of one (`150%`), or `max`",
        "{anyOf: [{type: number, minimum: 0.01}, {type: string, pattern: '^[0-9]+(\\.[0-9]+)?\\s*%?$'}, {$ref: '#/$defs/unlimited'}]}",
    ),
    ("a whole number from 1 to 10000; 100 is usual", "{type: integer, minimum: 1, maximum: 10000}"),
    (
        "a whole number, or `max`",
        "{anyOf: [{type: integer, minimum: 1}, {type: string, pattern: '^[0-9]+$'}, {$ref: '#/$defs/unlimited'}]}",
    ),
    (
        "a mapping of [limits](#limits-of-each-process)",
        "{type: object, propertyNames: {$ref: '#/$defs/rlimit'}, additionalProperties: {type: [integer, string], minimum: 0, pattern: '.'}}",
    ),
    ("a whole number from -20 (first) to 19 (last)", "{type: integer, minimum: -20, maximum: 19}"),
    (
        "a whole number from -1000 (never killed) to 1000 (killed first)",
        "{type: integer, minimum: -1000, maximum: 1000}",
    ),
    ("a capability, or a list of them: `CAP_NET_BIND_SERVICE`", "{$ref: '#/$defs/one_or_texts'}"),
    ("a name, or a list of them", "{$ref: '#/$defs/one_or_texts'}"),
];

/// What several kinds refer to.
const SHARED: &str = r"
text: {type: [string, number, boolean]}
name: {type: [string, number], pattern: '^[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}$'}
account: {type: [string, integer], pattern: '^[^-:/\s][^:/\s]*$', minimum: 0}
need:
  type: object
  propertyNames: {pattern: '^[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}$'}
  additionalProperties: {enum: [READINESS]}
signal:
  anyOf:
    - {type: integer, minimum: 1, maximum: 64}
    - {type: string, pattern: '^\s*([0-9]+|[A-Za-z]+[0-9]?(\+[0-9]+)?)\s*$'}
time:
  anyOf:
    - {type: number, minimum: 0, maximum: 315360000}
    - {type: string, pattern: '^\s*([0-9]+(\.[0-9]+)?\s*((ns|us|ms|s|m|h|d)\s*)?)+$'}
size:
  anyOf:
    - {type: integer, minimum: 0}
    - {type: string, pattern: '^\s*[0-9]+(\.[0-9]+)?\s*([KMGTkmgt]([Ii]?[Bb])?|[KMGTkmgt][Ii]|[Bb])?\s*$'}
unlimited: {enum: [max, infinity, unlimited, none]}
rlimit: {enum: [RLIMITS]}
one_or_texts:
  anyOf:
    - {type: [string, number], pattern: '.'}
    - {type: array, maxItems: 64, items: {type: [string, number], pattern: '.'}}
";

/// The schema of `processes.yaml` as JSON text (draft 2020-12).
#[must_use]
pub fn json_schema() -> String {
    let schema = schema();
    // A tree of texts, numbers and booleans: nothing in it could fail to become JSON.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

fn schema() -> Value {
    let mut defs = match yaml(&SHARED.replace("READINESS", &readiness()).replace("RLIMITS", &rlimits())) {
        Value::Mapping(map) => map,
        _ => Mapping::new(),
    };
    let log = keys(&LOG_KEYS);
    let mut process = keys(&KEYS);
    process.insert("log".into(), object("What happens to captured lines.", log));
    defs.insert("process".into(), object("The keys of a process.", process));
    defs.insert("hook".into(), required(object("A command.", fields(&HOOK_FIELDS)), "command"));
    let hook = "{anyOf: [{type: [string, number, boolean], pattern: '\\S'}, {$ref: '#/$defs/hook'}]}";
    defs.insert("hooks".into(), yaml(&format!("{{anyOf: [{hook}, {{type: array, items: {hook}}}]}}")));
    let health = object("How it is asked whether it works.", fields(&HEALTH_FIELDS));
    defs.insert("health_check".into(), required(health, "type"));
    let limits = object("How much all of its processes may take together.", fields(&LIMIT_FIELDS));
    defs.insert("resource_limits".into(), limits);
    let processes = "{type: [object, 'null'], description: The processes by their names., \
                     propertyNames: {$ref: '#/$defs/name'}, additionalProperties: {$ref: '#/$defs/process'}}";
    let defaults = "{description: 'Keys for every process, whichever file defines it. In the main file only.', \
                    anyOf: [{$ref: '#/$defs/process'}, {type: 'null'}]}";
    let mut top = Mapping::new();
    top.insert("$schema".into(), DIALECT.into());
    top.insert("title".into(), "processes.yaml of dd-procmgrd".into());
    top.insert("type".into(), "object".into());
    top.insert("additionalProperties".into(), false.into());
    let mut properties = Mapping::new();
    properties.insert("defaults".into(), yaml(defaults));
    properties.insert("processes".into(), yaml(processes));
    top.insert("properties".into(), Value::Mapping(properties));
    top.insert("$defs".into(), Value::Mapping(defs));
    Value::Mapping(top)
}

fn readiness() -> String {
    model::Readiness::ALL.map(model::Readiness::as_str).join(", ")
}

fn rlimits() -> String {
    model::Rlimit::ALL.map(model::Rlimit::as_str).join(", ")
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_default()
}

fn object(description: &str, properties: Mapping) -> Value {
    let mut map = Mapping::new();
    map.insert("type".into(), "object".into());
    map.insert("description".into(), description.into());
    map.insert("additionalProperties".into(), false.into());
    map.insert("properties".into(), Value::Mapping(properties));
    Value::Mapping(map)
}

fn required(mut object: Value, key: &str) -> Value {
    if let Value::Mapping(map) = &mut object {
        map.insert("required".into(), Value::Sequence(vec![key.into()]));
    }
    object
}

fn keys(table: &[Key]) -> Mapping {
    let row = |key: &Key| {
        let effect = match key.effect {
            Effect::Hot => "A change is applied at once.",
            Effect::Restart => "A change restarts it.",
        };
        let doc = format!("{} {effect}", key.doc);
        (Value::from(key.name), described(key.kind, key.default, &doc))
    };
    table.iter().map(row).collect()
}

fn fields(table: &[Field]) -> Mapping {
    table
        .iter()
        .map(|field| (Value::from(field.name), described(field.kind, field.default, field.doc)))
        .collect()
}

/// The schema of a kind with what is known of the key.
fn described(words: &str, default: &str, doc: &str) -> Value {
    let mut schema = Mapping::new();
    let literal = default.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
    let literal = literal.filter(|text| !text.contains('`')).map(yaml);
    let doc = match &literal {
        Some(_) => format!("{doc}\n\nTakes {words}."),
        None => format!("{doc}\n\nTakes {words}. Default: {default}."),
    };
    schema.insert("description".into(), without_links(&doc).into());
    if let Value::Mapping(kind) = of(words).unwrap_or_default() {
        schema.extend(kind);
    }
    if let Some(literal) = literal {
        schema.insert("default".into(), literal);
    }
    Value::Mapping(schema)
}

/// The schema of a kind by its words.
fn of(words: &str) -> Option<Value> {
    if let Some((_, text)) = KINDS.iter().find(|(known, _)| *known == words) {
        return Some(yaml(text));
    }
    let choices: Vec<&str> = words.split(", ").flat_map(|part| part.split(" or ")).collect();
    let words = choices.iter().filter_map(|choice| choice.strip_prefix('`')?.strip_suffix('`'));
    let found: Vec<Value> = words.map(Value::from).collect();
    if found.len() < choices.len() || found.len() < 2 {
        return None;
    }
    let mut map = Mapping::new();
    map.insert("enum".into(), Value::Sequence(found));
    Some(Value::Mapping(map))
}

/// `[text](#place)` as its text: there is no place in an editor's box.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let Some((_, behind)) = after.split_once(')') else { break };
        match before.rsplit_once('[') {
            Some((head, label)) => plain.push_str(&format!("{head}{label}")),
            None => plain.push_str(before),
        }
        rest = behind;
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_schema() {
        let kinds = KEYS.iter().chain(&LOG_KEYS).map(|key| key.kind);
        let fields = HOOK_FIELDS.iter().chain(&HEALTH_FIELDS).chain(&LIMIT_FIELDS).map(|field| field.kind);
        let without: Vec<&str> = kinds.chain(fields).filter(|words| of(words).is_none()).collect();
        assert!(without.is_empty(), "add rows to KINDS for {without:#?}");
        // And each row is YAML that means something.
        for (words, text) in KINDS {
            assert!(
                matches!(serde_yaml::from_str(text), Ok(Value::Mapping(map)) if !map.is_empty()),
                "{words}"
            );
        }
        assert!(schema()["$defs"]["text"].is_mapping());
        assert_eq!(of("anything else"), None);
    }

    #[test]
    fn words_defaults_and_links() {
        assert_eq!(of("`none` or `gzip`"), Some(yaml("{enum: [none, gzip]}")));
        let umask = described("octal digits: `0027`", "`\"0022\"`", "See [there](#x).");
        assert_eq!(umask["default"], Value::from("0022"));
        assert_eq!(umask["description"], Value::from("See there.\n\nTakes octal digits: `0027`."));
    }
}
