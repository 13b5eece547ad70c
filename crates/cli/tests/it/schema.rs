//! docs/schema/pm-cli.schema.json holds for every document in the snapshots, and knows every key in them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

const SCHEMA: &str = include_str!("../../../../docs/schema/pm-cli.schema.json");
/// Verbs whose documents are described elsewhere: `schema` prints one, the others read and write processes.yaml.
const ELSEWHERE: &[&str] = &["schema", "import", "export", "validate"];
/// Verbs that have verbs of their own.
const FAMILIES: &[&str] = &["context", "daemon", "token"];

/// What is wrong with a value; stricter than JSON Schema in one point: a key that the schema does not know is wrong.
fn objection(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(path) = schema["$ref"].as_str() {
        let name = path.strip_prefix("#/$defs/").unwrap();
        assert!(root["$defs"][name].is_object(), "{path} leads nowhere");
        return objection(root, &root["$defs"][name], value, at);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let all: Vec<String> =
            choices.iter().map_while(|choice| objection(root, choice, value, at)).collect();
        return (all.len() == choices.len()).then(|| all.join("\n  or "));
    }
    if let Some(words) = schema["enum"].as_array() {
        return (!words.contains(value)).then(|| format!("{at}: {value} is none of {words:?}"));
    }
    if let Some(constant) = schema.get("const") {
        return (constant != value).then(|| format!("{at}: {value} is not {constant}"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_u64() || n.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |word: &str| word == kind || (word == "number" && kind == "integer");
    let allowed = match &schema["type"] {
        Value::String(word) => fits(word),
        Value::Array(words) => words.iter().any(|word| fits(word.as_str().unwrap())),
        other => panic!("{at}: a schema without a type: {other}"),
    };
    if !allowed {
        return Some(format!("{at}: {value} is no {}", schema["type"]));
    }
    match value {
        Value::Array(list) => {
            let mut items = list.iter().enumerate();
            items.find_map(|(i, item)| objection(root, &schema["items"], item, &format!("{at}[{i}]")))
        }
        Value::Object(map) => {
            let required = schema["required"].as_array().into_iter().flatten();
            let missing = required.filter_map(Value::as_str).find(|key| !map.contains_key(*key));
            if let Some(key) = missing {
                return Some(format!("{at}: {key} is missing"));
            }
            map.iter().find_map(|(key, value)| {
                let at = format!("{at}.{key}");
                match (schema["properties"].get(key), schema.get("additionalProperties")) {
                    (Some(inner), _) => objection(root, inner, value, &at),
                    (None, Some(Value::Bool(true))) => None,
                    (None, Some(inner)) => objection(root, inner, value, &at),
                    (None, None) => Some(format!("{at}: the schema does not know this key")),
                }
            })
        }
        _ => None,
    }
}

/// The documents in one of the snapshots, each with its verb.
fn documents(text: &str) -> Vec<(String, Vec<Value>)> {
    let mut found = Vec::new();
    for block in text.split("$ ").skip(1) {
        let (line, rest) = block.split_once('\n').unwrap_or((block, ""));
        let words: Vec<&str> = line.split_whitespace().skip_while(|word| *word != "pm-cli").skip(1).collect();
        // Behind the command of `create` an option is the command's.
        let command = words.iter().position(|word| *word == "create").unwrap_or(words.len());
        let json = words[..command].windows(2);
        let json = json
            .map(|pair| (pair[0], pair[1]))
            .any(|pair| pair == ("-o", "json") || pair == ("--output", "json"));
        let Some((_, out)) = rest.split_once("[stdout]\n").filter(|_| json) else { continue };
        let out = out.split("\n[stderr]").next().unwrap_or_default();
        let values = serde_json::Deserializer::from_str(out).into_iter::<Value>();
        let values: Vec<Value> = values.map_while(Result::ok).collect();
        assert!(!values.is_empty(), "no document: {line}");
        let several = words.iter().any(|word| word.contains(',') && !word.starts_with('-'));
        found.push((verb(&words), if several { parts(values) } else { values }));
    }
    found
}

/// Of several daemons' answers each one.
fn parts(values: Vec<Value>) -> Vec<Value> {
    let mut all = Vec::new();
    for value in values {
        match value["hosts"].as_array() {
            None => all.push(value),
            Some(hosts) => all.extend(hosts.iter().cloned().map(|mut host| {
                assert!(host.as_object_mut().unwrap().remove("host").is_some());
                host
            })),
        }
    }
    all
}

fn verb(words: &[&str]) -> String {
    let options = ["-o", "--output", "--socket", "--host", "--context", "--timeout"];
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if options.contains(word) {
            words.next();
        } else if FAMILIES.contains(word) {
            return format!("{word} {}", words.next().unwrap());
        } else if !word.starts_with('-') {
            return (*word).to_owned();
        }
    }
    panic!("a command without a verb");
}

#[test]
fn every_document_is_as_the_schema_says() {
    let root: Value = serde_json::from_str(SCHEMA).unwrap();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        for (verb, values) in documents(&std::fs::read_to_string(&path).unwrap()) {
            let schema = &root["$defs"][format!("{verb} output")];
            let known = schema.is_object() || ELSEWHERE.contains(&verb.as_str());
            assert!(known, "{}: docs/schema/pm-cli.schema.json lacks `{verb} output`", path.display());
            for value in values.iter().filter(|_| schema.is_object()) {
                let wrong = objection(&root, schema, value, &verb);
                assert_eq!(wrong, None, "{}", path.display());
            }
            seen.insert(verb);
        }
    }
    for verb in
        ["list", "describe", "why", "status", "daemon status", "logs", "plan", "update", "context list"]
    {
        assert!(seen.contains(verb), "no document of {verb} was looked at");
    }
}

#[test]
fn what_is_wrong_is_found() {
    let root: Value = serde_json::from_str(SCHEMA).unwrap();
    let schema = &root["$defs"]["version output"];
    for (text, wanted) in [
        (r#"{"client": {"version": "1"}, "daemon": null}"#, None),
        (r#"{"client": {"version": 1}, "daemon": null}"#, Some("is no \"string\"")),
        (r#"{"client": {"version": "1"}}"#, Some("daemon is missing")),
        (r#"{"client": {"version": "1", "x": 1}, "daemon": null}"#, Some("does not know this key")),
    ] {
        let wrong = objection(&root, schema, &serde_json::from_str(text).unwrap(), "version");
        assert_eq!(wrong.is_some(), wanted.is_some(), "{text}: {wrong:?}");
        assert!(wanted.is_none_or(|wanted| wrong.unwrap().contains(wanted)), "{text}");
    }
}
