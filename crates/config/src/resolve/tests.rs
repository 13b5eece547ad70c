//! Defaults, and that the table of keys says the same as the code.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use model::{Impact, Output, Signal, plan_one};

use super::*;
use crate::definition::read;
use crate::keys::{Effect, KEYS, Key, LOG_KEYS};
use crate::parse::parse;
use crate::source::Source;

fn definition(yaml: &str) -> Definition {
    let source = Source::from_bytes(Path::new("t.yaml"), yaml.into()).unwrap();
    let (definition, faults) = read(&parse(&source).unwrap().unwrap());
    assert!(faults.is_empty(), "{yaml}: {faults:?}");
    definition
}

fn resolved(definition: &Definition, defaults: &Definition) -> Result<ProcessSpec, Vec<Fault>> {
    let id = ProcessId::from_digest([0; 6]);
    resolve(&ProcessName::new("web").unwrap(), id, Origin::Runtime, definition, defaults)
}

fn spec(yaml: &str) -> ProcessSpec {
    resolved(&definition(yaml), &Definition::default()).unwrap()
}

/// A line of YAML with a key of the table.
fn line(key: &Key, log: bool, value: &str) -> String {
    let inner = format!("{}: {value}", key.name);
    if log { format!("log: {{{inner}}}") } else { inner }
}

fn all_keys() -> impl Iterator<Item = (&'static Key, bool)> {
    KEYS.iter().map(|key| (key, false)).chain(LOG_KEYS.iter().map(|key| (key, true)))
}

/// A value that differs from each key's default.
fn other_value(key: &Key) -> &'static str {
    match key.name {
        "command" => "y",
        "args" | "supplementary_groups" | "after" | "before" => "[b]",
        "working_dir" => "/srv",
        "env" => "{A: b}",
        "umask" => "0077",
        "restart" => "never",
        "on_start_limit" => "fail",
        "success_exit_status" | "restart_prevent_exit_status" => "[3]",
        "kill_signal" => "HUP",
        "kill_mode" => "mixed",
        "stdout" | "stderr" => "null",
        "restart_jitter" => "0.5",
        "auto_start" | "journald" | "file" => "false",
        "send_sighup" | "inherit_env" => "true",
        "max_line" => "1K",
        _ => "7",
    }
}

#[test]
fn the_defaults_in_the_table_are_those_of_the_code() {
    let mut values = 0;
    for (key, log) in all_keys() {
        let Some(value) = key.default.split('`').nth(1).filter(|_| key.default.starts_with('`')) else {
            continue;
        };
        // `/` and 022 are what the program gets when nothing is set; the specification keeps "nothing".
        if matches!(key.name, "working_dir" | "umask") {
            continue;
        }
        assert_eq!(
            spec(&format!("command: x\n{}\n", line(key, log, value))),
            spec("command: x\n"),
            "{}",
            key.name
        );
        values += 1;
    }
    assert_eq!(values, 21);
}

#[test]
fn the_effects_in_the_table_are_those_of_the_plan() {
    for (key, log) in all_keys() {
        let command = if key.name == "command" { "" } else { "command: x\n" };
        let changed = spec(&format!("{command}{}\n", line(key, log, other_value(key))));
        let (impact, keys) = plan_one(&spec("command: x\n"), &changed);
        let expected = match key.effect {
            Effect::Hot => Impact::Hot,
            Effect::Restart => Impact::Restart,
        };
        let named = if log { "log" } else { key.name };
        assert_eq!((impact, keys), (expected, vec![named]), "{}", key.name);
    }
}

#[test]
fn names_and_spellings_are_unique() {
    for table in [KEYS.as_slice(), LOG_KEYS.as_slice()] {
        let spellings: Vec<&str> =
            table.iter().flat_map(|k| std::iter::once(k.name).chain(k.also.iter().copied())).collect();
        let unique: BTreeSet<&&str> = spellings.iter().collect();
        assert_eq!(unique.len(), spellings.len(), "{spellings:?}");
    }
}

#[test]
fn everything_that_a_short_definition_leaves_out() {
    let spec = spec("command: sleep 10\n");
    assert_eq!(
        (spec.exec.program.as_str(), spec.exec.args.as_slice()),
        ("sleep", ["10".to_owned()].as_slice())
    );
    assert!(spec.auto_start && spec.output.log.journald && spec.output.log.file);
    assert_eq!(spec.restart.policy.as_str(), "on-failure");
    assert_eq!(
        (spec.restart.delay, spec.restart.max_delay),
        (Duration::from_secs(1), Duration::from_secs(60))
    );
    assert_eq!((spec.restart.limit_burst, spec.restart.limit_interval), (5, Duration::from_secs(10)));
    assert_eq!((spec.stop.signal, spec.stop.timeout), (Signal::TERM, Duration::from_secs(10)));
    assert_eq!((spec.output.stdout, spec.output.log.max_size), (Output::Capture, 52_428_800));
}

#[test]
fn commands() {
    for (yaml, words) in [
        ("command: gunicorn app:app", vec!["gunicorn", "app:app"]),
        ("command: \"sh -c 'echo \\\"a b\\\"'\"", vec!["sh", "-c", "echo \"a b\""]),
        ("command: /opt/my program\nargs: [a b]", vec!["/opt/my program", "a b"]),
        ("command: /opt/my program\nargs: []", vec!["/opt/my program"]),
        ("command: it's", vec!["it's"]),
    ] {
        let spec = spec(yaml);
        let found: Vec<&str> =
            std::iter::once(&spec.exec.program).chain(&spec.exec.args).map(String::as_str).collect();
        assert_eq!(found, words, "{yaml}");
    }
    for yaml in [
        "{}",
        "command: sh -c 'x",
        "command: \"'' x\"",
        "command: x\nrestart_sec: 5\nrestart_max_delay_sec: 1",
    ] {
        assert_eq!(resolved(&definition(yaml), &Definition::default()).unwrap_err().len(), 1, "{yaml}");
    }
    assert_eq!(spec("command: x\nrestart_sec: 90").restart.max_delay, Duration::from_secs(90));
}

#[test]
fn defaults_are_below_the_definition() {
    let defaults = definition("{args: [a], env: {A: base, B: base}, user: www, log: {max_files: 2}}");
    let spec = resolved(&definition("{command: x, env: {B: own}, log: {max_size: 1K}}"), &defaults).unwrap();
    assert_eq!(
        spec.exec.env.into_iter().collect::<Vec<_>>(),
        [("A".into(), "base".into()), ("B".into(), "own".into())]
    );
    assert_eq!((spec.output.log.max_files, spec.output.log.max_size), (2, 1024));
    assert_eq!(spec.exec.user.as_deref(), Some("www"));
    // The arguments belong to whatever command stood beside them.
    assert!(spec.exec.args.is_empty());
}

#[test]
fn values_that_never_were_yaml_are_checked_too() {
    let broken = Definition {
        command: Some("a\0b".into()),
        args: Some(vec!["ok".into(), "\0".into()]),
        working_dir: Some("relative".into()),
        env: Some([("A=B".to_owned(), "x".to_owned())].into()),
        user: Some(String::new()),
        umask: Some(0o1000),
        restart_sec: Some(Duration::MAX),
        restart_jitter: Some(f64::NAN),
        stdout: Some(Output::File("x.log".into())),
        ..Definition::default()
    };
    let keys: Vec<String> =
        resolved(&broken, &Definition::default()).unwrap_err().iter().map(Fault::key).collect();
    assert_eq!(
        keys,
        [
            "command",
            "args[1]",
            "working_dir",
            "env.\"A=B\"",
            "user",
            "umask",
            "restart_sec",
            "restart_jitter",
            "stdout"
        ]
    );
}
