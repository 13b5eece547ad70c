//! Defaults, and that the table of keys says the same as the code.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use model::{
    EnvironmentFile, Hook, HookKind, Impact, LogDefinition, Multiline, Output, PathCondition, RateLimit,
    Signal, plan_one,
};

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
        "args" | "groups" | "supplementary_groups" | "after" | "before" | "conflicts" => "[b]",
        "requires" | "wants" | "binds_to" => "{b: started}",
        "condition_path_exists" => "\"!/etc/off\"",
        "type" => "notify",
        "health_check" => "{type: tcp, port: 80}",
        "working_dir" | "environment_file" | "pidfile" => "/srv",
        "env" => "{A: b}",
        "resource_limits" => "{memory_max: 64M}",
        "rlimits" => "{nofile: 1024}",
        "ambient_capabilities" => "CAP_CHOWN",
        "runtime_directory" => "web",
        "runtime_directory_mode" => "0700",
        "umask" => "0077",
        "restart" => "never",
        "on_start_limit" => "fail",
        "success_exit_status" | "restart_prevent_exit_status" => "[3]",
        "kill_signal" => "HUP",
        "reload_signal" => "USR1",
        "kill_mode" => "mixed",
        "metrics" => "basic",
        "stdout" | "stderr" => "null",
        "restart_jitter" => "0.5",
        "auto_start" | "journald" | "file" => "false",
        "no_new_privileges" | "send_sighup" | "inherit_env" | "remain_after_exit" | "critical" | "pty" => {
            "true"
        }
        "max_line" => "1K",
        "compress" => "gzip",
        "format" => "logfmt",
        "overflow" | "journald_overflow" => "drop_oldest",
        "rate_limit" | "file_rate_limit" => "500/10s",
        "multiline" => "indent",
        "parse" => "json",
        // It can't stand alone, and both stand below `log:`.
        "json_fields" => "[a.b], parse: json",
        "redact" => "secret",
        _ => "7",
    }
}

/// What else has to stand beside a key.
fn beside(key: &Key) -> &'static str {
    match key.name {
        "command" => "",
        "remain_after_exit" => "command: x\ntype: oneshot\n",
        "pidfile" => "command: x\ntype: forking\n",
        _ => "command: x\n",
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
        if matches!(key.name, "working_dir" | "umask" | "runtime_directory_mode") {
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
    assert_eq!(values, 39);
}

#[test]
fn the_effects_in_the_table_are_those_of_the_plan() {
    for (key, log) in all_keys() {
        let beside = beside(key);
        let changed = spec(&format!("{beside}{}\n", line(key, log, other_value(key))));
        let before = spec(if beside.is_empty() { "command: x\n" } else { beside });
        let (impact, keys) = plan_one(&before, &changed);
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

#[test]
fn when_a_start_is_done_and_how_long_it_may_take() {
    for (yaml, timeout, watchdog) in [
        ("command: x", Some(90), None),
        ("{command: x, type: notify, watchdog_sec: 30}", Some(90), Some(30)),
        ("{command: x, type: oneshot}", None, None),
        ("{command: x, type: oneshot, start_timeout: 5}", Some(5), None),
        ("{command: x, type: forking, start_timeout: 0, watchdog_sec: 0}", None, None),
    ] {
        let start = spec(yaml).start;
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        assert_eq!((seconds(start.timeout), seconds(start.watchdog)), (timeout, watchdog), "{yaml}");
    }
    let forking =
        spec("{command: x, type: forking, pidfile: /run/x.pid, condition_path_exists: [/a, \"!/b\"]}");
    assert_eq!(forking.start.kind, ProcessType::Forking);
    assert_eq!(forking.start.pidfile.as_deref(), Some(Path::new("/run/x.pid")));
    let conditions: Vec<String> = forking.start.conditions.iter().map(ToString::to_string).collect();
    assert_eq!(conditions, ["/a", "!/b"]);
}

#[test]
fn needs_hooks_and_the_rest_arrive() {
    let spec = spec(
        "command: x\ngroups: [web]\nrequires: [a, {b: healthy}]\nwants: {c: completed}\nbinds_to: [d]\nconflicts: [e]\n\
         environment_file: [/etc/a, -/etc/b]\nexec_start_pre: -/bin/one two\nexec_start_post: [y]\n\
         exec_reload: {command: z, timeout: 3}\nexec_stop: [s, -t]\nexec_stop_post: u\nreload_signal: USR2\n\
         health_check: {type: http, url: \"http://localhost\"}\ncritical: true\npty: true\nrestart: never\n",
    );
    let needs: Vec<String> = spec.needs.all().map(ToString::to_string).collect();
    assert_eq!(needs, ["a", "b: healthy", "c: completed", "d"]);
    assert_eq!(spec.needs.conflicts.iter().map(ProcessName::as_str).collect::<Vec<_>>(), ["e"]);
    assert_eq!(spec.groups, ["web"]);
    let files: Vec<String> = spec.exec.environment_files.iter().map(ToString::to_string).collect();
    assert_eq!(files, ["/etc/a", "-/etc/b"]);
    let hooks = |kind: HookKind| -> Vec<String> {
        let text = |hook: &Hook| format!("{}{} {:?}", hook.ignore_failure, hook.command, hook.timeout);
        spec.hooks.of(kind).iter().map(text).collect()
    };
    assert_eq!(hooks(HookKind::StartPre), ["true/bin/one two None"]);
    assert_eq!(hooks(HookKind::StartPost), ["falsey None"]);
    assert_eq!(hooks(HookKind::Reload), ["falsez Some(3s)"]);
    assert_eq!(hooks(HookKind::Stop), ["falses None", "truet None"]);
    assert_eq!(hooks(HookKind::StopPost), ["falseu None"]);
    assert_eq!(spec.reload_signal.to_string(), "SIGUSR2");
    // The path that the URL means.
    assert_eq!(spec.health.unwrap().probe.to_string(), "http http://localhost/");
    assert!(spec.critical && spec.output.pty);
}

/// The key and the message of the only fault.
fn refused(yaml: &str, defaults: &str) -> String {
    let faults = resolved(&definition(yaml), &definition(defaults)).unwrap_err();
    assert_eq!(faults.len(), 1, "{yaml}: {faults:?}");
    assert!(faults[0].hint.is_some(), "{yaml}: {faults:?}");
    format!("{}: {}", faults[0].key(), faults[0].message)
}

#[test]
fn contradictions() {
    for (yaml, key, part) in [
        (
            "{command: x, remain_after_exit: true}",
            "remain_after_exit",
            "`type: oneshot`, but the type is `simple`",
        ),
        ("{command: x, type: notify, pidfile: /p}", "pidfile", "`type: forking`, but the type is `notify`"),
        ("{command: x, pty: true, stdout: null}", "pty", "`stdout` is `null`"),
        ("{command: x, pty: true, stdout: \"direct:/dev/tty9\"}", "pty", "`stdout` is `direct:/dev/tty9`"),
        ("{command: x, watchdog_sec: 10us}", "watchdog_sec", "less than a millisecond"),
        ("{command: x, type: oneshot, health_check: {type: tcp, port: 1}}", "health_check", "has ended"),
        ("{command: x, conflicts: [a, web]}", "conflicts[1]", "web can't conflict with itself"),
        ("{command: x, requires: [b, a], conflicts: [a]}", "conflicts[0]", "a stands in `requires`, too"),
        ("{command: x, binds_to: {a: ready}, conflicts: [a]}", "conflicts[0]", "a stands in `binds_to`, too"),
        ("{command: x, wants: [a], conflicts: [a]}", "conflicts[0]", "a stands in `wants`, too"),
        ("{command: x, log: {json_fields: [a]}}", "log.json_fields", "`parse` is `none`"),
    ] {
        let said = refused(yaml, "{}");
        assert!(said.starts_with(&format!("{key}: ")) && said.contains(part), "{yaml}: {said}");
    }
    // What is off or has its condition is none.
    for yaml in [
        "{command: x, remain_after_exit: false, watchdog_sec: 0, pty: false, stdout: null}",
        "{command: x, pty: true, stdout: /var/log/x.log, stderr: null, log: {file: false}}",
        "{command: x, type: oneshot, remain_after_exit: true, health_check: {type: tcp, port: 1}}",
        "{command: x, after: [a], conflicts: [a]}",
        "{command: x, log: {json_fields: [], parse: none, journald: false, rate_limit: 1/s}}",
    ] {
        assert!(resolved(&definition(yaml), &Definition::default()).is_ok(), "{yaml}");
    }
    // A layer below may be one half of it.
    let said = refused("{command: x, stdout: inherit}", "{pty: true}");
    assert!(said.starts_with("pty: "), "{said}");
    assert!(
        resolved(&definition("{command: x, type: oneshot}"), &definition("{remain_after_exit: true}"))
            .is_ok()
    );
}

#[test]
fn values_below_log_that_never_were_yaml_are_checked_too() {
    let never = RateLimit { lines: 0, interval: Duration::ZERO };
    let log = LogDefinition {
        max_size: Some(u64::MAX),
        max_age: Some(Duration::from_nanos(1)),
        max_files: Some(10_001),
        max_total_size: Some(u64::MAX),
        max_line: Some(0),
        file_rate_limit: Some(Some(never)),
        rate_limit: Some(Some(RateLimit { lines: u32::MAX, interval: Duration::MAX })),
        multiline: Some(Multiline::Start(String::new())),
        json_fields: Some(vec!["a".into(), String::new()]),
        redact: Some(vec!["a".into(), "(".into()]),
        ..LogDefinition::default()
    };
    let broken = Definition { command: Some("x".into()), log, ..Definition::default() };
    let faults = resolved(&broken, &Definition::default()).unwrap_err();
    let keys: Vec<String> = faults.iter().map(Fault::key).collect();
    assert_eq!(
        keys,
        [
            "log.max_size",
            "log.max_age",
            "log.max_files",
            "log.max_total_size",
            "log.max_line",
            "log.file_rate_limit",
            "log.file_rate_limit",
            "log.rate_limit",
            "log.rate_limit",
            "log.multiline",
            "log.json_fields[1]",
            "log.redact[1]",
            "log.json_fields",
        ]
    );
}

#[test]
fn new_values_that_never_were_yaml_are_checked_too() {
    let hook = |program: &str, timeout: Option<Duration>| Hook {
        command: CommandLine { program: program.into(), args: vec!["\0".into()] },
        timeout,
        ignore_failure: false,
    };
    let health = HealthSpec {
        retries: 0,
        interval: Duration::ZERO,
        start_period: Duration::MAX,
        ..HealthSpec::new(Probe::Grpc { address: "nowhere".into(), service: "a\nb".into() })
    };
    let broken = Definition {
        command: Some("x".into()),
        groups: Some(vec!["ok".into(), "@web".into(), "x".repeat(65)]),
        pidfile: Some("x.pid".into()),
        environment_file: Some(vec![EnvironmentFile { path: "/etc/".into(), optional: true }]),
        condition_path_exists: Some(vec![PathCondition { path: "".into(), negated: true }]),
        start_timeout: Some(Duration::MAX),
        exec_stop: Some(vec![hook("", None), hook("-x", Some(Duration::ZERO)), hook("@/bin/x", None)]),
        health_check: Some(health),
        ..Definition::default()
    };
    let faults = resolved(&broken, &Definition::default()).unwrap_err();
    let keys: Vec<String> = faults.iter().map(Fault::key).collect();
    assert_eq!(
        keys,
        [
            "groups[1]",
            "groups[2]",
            "environment_file[0]",
            "condition_path_exists[0]",
            "pidfile",
            "start_timeout",
            "exec_stop[0].command",
            "exec_stop[0].args[0]",
            "exec_stop[1].command",
            "exec_stop[1].args[0]",
            "exec_stop[1].timeout",
            "exec_stop[2].command",
            "exec_stop[2].args[0]",
            "health_check.service",
            "health_check.address",
            "health_check.interval",
            "health_check.start_period",
            "health_check.retries",
            "pidfile",
        ]
    );
}
