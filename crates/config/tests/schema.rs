//! The JSON schema: up to date, true of what the daemon takes, and an error where the daemon has one.
//! `UPDATE_DOCS=1 cargo test -p config --test schema` rewrites docs/schema/processes.schema.json.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&config::json_schema()).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// What is wrong with a text of YAML, merges done.
fn errors(validator: &jsonschema::Validator, text: &str) -> Vec<String> {
    let mut yaml: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    yaml.apply_merge().unwrap();
    let json = serde_json::to_value(yaml).unwrap();
    validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path)).collect()
}

#[test]
fn the_schema_is_up_to_date() {
    let path = repository().join("docs/schema/processes.schema.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, config::json_schema()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == config::json_schema(),
        "{} is out of date, run this test with UPDATE_DOCS=1",
        path.display()
    );
}

#[test]
fn every_file_that_is_good_is_good_by_the_schema() {
    let validator = validator();
    let mut files: Vec<PathBuf> = Vec::new();
    for dir in ["examples", "examples/migration"] {
        let entries = std::fs::read_dir(repository().join(dir)).unwrap().map(|entry| entry.unwrap().path());
        files.extend(entries.filter(|path| path.extension().is_some_and(|e| e == "yaml")));
    }
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for entry in std::fs::read_dir(cases).unwrap() {
        let path = entry.unwrap().path();
        let good = path.file_name().unwrap().to_string_lossy().starts_with("good_");
        files.extend(good.then(|| path.join("input.yaml")).filter(|path| path.exists()));
    }
    let mut seen = 0;
    for path in files {
        let text = std::fs::read(&path).unwrap();
        // Not every file beside the examples is one of ours.
        if config::check_text(&path, text.clone(), Path::new("/l"))
            .is_ok_and(|loaded| loaded.desired.invalid.is_empty())
        {
            seen += 1;
            let text = String::from_utf8(text).unwrap();
            assert_eq!(errors(&validator, &text), Vec::<String>::new(), "{}", path.display());
        }
    }
    assert!(seen >= 6, "only {seen} files were found");
}

#[test]
fn what_the_reference_shows_is_good_by_the_schema() {
    let validator = validator();
    let text = config::markdown();
    for example in text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let indented = |indent: &str| {
            let lines: Vec<String> = example.lines().map(|line| format!("{indent}{line}")).collect();
            lines.join("\n")
        };
        let own = "processes:\n  web:\n    auto_start: true\n";
        let tries = [
            example.to_owned(),
            format!("processes:\n{}", indented("  ")),
            format!("{own}{}", indented("    ")),
        ];
        let found: Vec<Vec<String>> = tries
            .iter()
            .filter(|text| serde_yaml::from_str::<serde_yaml::Value>(text).is_ok())
            .map(|text| errors(&validator, text))
            .collect();
        assert!(found.iter().any(Vec::is_empty), "{example}\n{found:#?}");
    }
}

#[test]
fn mistakes_are_mistakes_by_the_schema_and_by_the_daemon() {
    let validator = validator();
    for keys in [
        "restrat: always",
        "restart: sometimes",
        "auto_start: 'true'",
        "env: [A=1]",
        "env: {A: [1]}",
        "args: one",
        "working_dir: relative",
        "start_limit_burst: 10001",
        "start_limit_burst: -1",
        "restart_jitter: 2",
        "restart_sec: soon",
        "restart_sec: -1",
        "umask: '0999'",
        "stdout: log.txt",
        "requires: {db: gone}",
        "requires: [{a: ready, b: ready}]",
        "after: [a/b]",
        "groups: ['@web']",
        "kill_signal: 65",
        "log: {max_sise: 1}",
        "log: {max_size: 10X}",
        "log: {rate_limit: 100}",
        "log: {compress: zstd}",
        "exec_stop: {args: [x]}",
        "exec_stop: [[a]]",
        "health_check: {port: 80}",
        "health_check: {type: http, port: 0}",
        "health_check: {type: http, url: 'https://x'}",
        "health_check: {type: tcp, port: 80, intervall: 1}",
    ] {
        let text = format!("processes:\n  web:\n    command: x\n    {keys}\n");
        assert!(!errors(&validator, &text).is_empty(), "{keys}");
        let loaded = config::check_text(Path::new("f"), text.into_bytes(), Path::new("/l"));
        assert!(!loaded.is_ok_and(|loaded| loaded.desired.invalid.is_empty()), "{keys}");
    }
    for text in
        ["services: {}", "processes: []", "processes: {a/b: {command: x}}", "processes: {a: x}", "- a"]
    {
        assert!(!errors(&validator, text).is_empty(), "{text}");
    }
    assert_eq!(errors(&validator, "processes:\ndefaults:\n"), Vec::<String>::new());
}
