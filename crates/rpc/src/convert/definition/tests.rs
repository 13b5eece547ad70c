//! Every key goes to the wire and back, and every fault is told.

use std::time::Duration;

use model::{
    Capabilities, Ceiling, CommandLine, Compression, Dependency, EnvironmentFile, ExitMatcher, HealthSpec,
    Hook, KillMode, LimitPair, LineParser, LogDefinition, LogFormat, MetricsDetail, Multiline, OnStartLimit,
    Output, Overflow, PathCondition, Probe, ProcessType, RateLimit, Readiness, ResourceLimits, RestartPolicy,
    Rlimit,
};

use super::*;

fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn line(program: &str, args: &[&str]) -> CommandLine {
    CommandLine { program: program.into(), args: args.iter().map(ToString::to_string).collect() }
}

fn hook(program: &str) -> Vec<Hook> {
    let mild = Hook { command: line(program, &[]), timeout: None, ignore_failure: true };
    let strict = Hook {
        command: line(program, &["-x", "", "a b"]),
        timeout: Some(Duration::from_millis(2500)),
        ignore_failure: false,
    };
    vec![mild, strict]
}

/// Every key with a value of its own, so that two that are mixed up show. No `..Default::default()`: a new key has to
/// be added here.
fn full() -> Definition {
    let needs = |text: &str, until| Dependency { name: name(text), until };
    Definition {
        description: Some("a web server".into()),
        groups: Some(vec!["front".into(), "eu".into()]),
        command: Some("/usr/bin/web".into()),
        args: Some(vec!["-p".into(), String::new()]),
        working_dir: Some("/srv".into()),
        env: Some([("A".to_owned(), "1".to_owned())].into()),
        environment_file: Some(vec![
            EnvironmentFile { path: "/etc/web.env".into(), optional: false },
            EnvironmentFile { path: "/etc/web.local.env".into(), optional: true },
        ]),
        inherit_env: Some(InheritEnv::Names(vec!["PATH".into()])),
        user: Some("www-data".into()),
        group: Some("33".into()),
        supplementary_groups: Some(vec![]),
        umask: Some(0o027),
        auto_start: Some(true),
        after: Some(vec![name("db"), name("cache")]),
        before: Some(vec![]),
        requires: Some(vec![needs("db", None), needs("migrate", Some(Readiness::Completed))]),
        wants: Some(vec![needs("cache", Some(Readiness::Healthy))]),
        binds_to: Some(vec![needs("vpn", Some(Readiness::Started))]),
        conflicts: Some(vec![name("maintenance")]),
        condition_path_exists: Some(vec![
            PathCondition { path: "/etc/web".into(), negated: false },
            PathCondition { path: "/etc/web.off".into(), negated: true },
        ]),
        kind: Some(ProcessType::Notify),
        remain_after_exit: Some(false),
        pidfile: Some("/run/web.pid".into()),
        start_timeout: Some(Duration::from_secs(91)),
        watchdog_sec: Some(Duration::from_secs(31)),
        restart: Some(RestartPolicy::Always),
        restart_sec: Some(Duration::from_millis(1500)),
        restart_max_delay_sec: Some(Duration::ZERO),
        restart_jitter: Some(0.25),
        runtime_success_sec: Some(Duration::from_secs(10)),
        start_limit_burst: Some(0),
        start_limit_interval_sec: Some(Duration::from_nanos(1)),
        on_start_limit: Some(OnStartLimit::Fail),
        success_exit_status: Some(vec![ExitMatcher::Code(3), ExitMatcher::Signal(Signal::TERM)]),
        restart_prevent_exit_status: Some(vec![]),
        kill_signal: Some(Signal::INT),
        kill_mode: Some(KillMode::Mixed),
        stop_timeout: Some(Duration::from_secs(90)),
        send_sighup: Some(false),
        exec_start_pre: Some(hook("pre")),
        exec_start_post: Some(hook("post")),
        exec_reload: Some(hook("reload")),
        reload_signal: Some(Signal::HUP),
        exec_stop: Some(hook("stop")),
        exec_stop_post: Some(hook("stop-post")),
        health_check: Some(health(Probe::Http { url: "http://127.0.0.1:80/".into() })),
        critical: Some(true),
        stdout: Some(Output::Direct("/var/log/web".into())),
        stderr: Some(Output::Null),
        pty: Some(true),
        metrics: Some(MetricsDetail::Basic),
        resource_limits: Some(ResourceLimits {
            memory_max: Some(Ceiling::At(64 << 20)),
            memory_high: Some(Ceiling::Max),
            memory_swap_max: Some(Ceiling::At(0)),
            oom_group: Some(false),
            cpu_max: Some(Ceiling::At(1500)),
            cpu_weight: Some(50),
            pids_max: Some(Ceiling::At(7)),
            io_weight: Some(60),
        }),
        rlimits: Some([(Rlimit::Nofile, LimitPair { soft: 1, hard: LimitPair::UNLIMITED })].into()),
        nice: Some(-5),
        oom_score_adj: Some(500),
        ambient_capabilities: Capabilities::default().with("CAP_KILL"),
        no_new_privileges: Some(true),
        runtime_directory: Some(vec!["web".into()]),
        runtime_directory_mode: Some(0o750),
        log: LogDefinition {
            journald: Some(false),
            file: Some(true),
            max_size: Some(1),
            max_age: Some(Duration::from_secs(5)),
            max_files: Some(2),
            max_total_size: Some(4),
            compress: Some(Compression::Gzip),
            format: Some(LogFormat::Json),
            max_line: Some(3),
            overflow: Some(Overflow::DropOldest),
            journald_overflow: Some(Overflow::Block),
            file_rate_limit: Some(Some(RateLimit { lines: 6, interval: Duration::from_millis(100) })),
            rate_limit: Some(None),
            multiline: Some(Multiline::Start("^x".into())),
            parse: Some(LineParser::Json),
            json_fields: Some(vec!["a.b".into()]),
            redact: Some(vec!["c+".into(), "d".into()]),
        },
    }
}

fn health(probe: Probe) -> HealthSpec {
    HealthSpec {
        probe,
        interval: Duration::from_secs(11),
        timeout: Duration::from_secs(6),
        retries: 4,
        start_period: Duration::ZERO,
        success_threshold: 2,
        restart_after: 7,
    }
}

fn returns(definition: Definition) {
    assert_eq!(from_wire(to_wire(definition.clone())), Ok(definition));
}

#[test]
fn every_key_survives_the_wire() {
    returns(full());
    returns(Definition::default());
    for inherit in [InheritEnv::None, InheritEnv::All] {
        returns(Definition { inherit_env: Some(inherit), ..Definition::default() });
    }
    for output in [Output::Capture, Output::File("/x".into()), Output::Null, Output::Inherit] {
        returns(Definition { stdout: Some(output), ..Definition::default() });
    }
    for policy in RestartPolicy::ALL {
        returns(Definition { restart: Some(policy), ..Definition::default() });
    }
    for mode in KillMode::ALL {
        returns(Definition { kill_mode: Some(mode), ..Definition::default() });
    }
    for detail in MetricsDetail::ALL {
        returns(Definition { metrics: Some(detail), ..Definition::default() });
    }
    for kind in ProcessType::ALL {
        returns(Definition { kind: Some(kind), ..Definition::default() });
    }
    let log = |log| returns(Definition { log, ..Definition::default() });
    for compress in Compression::ALL {
        log(LogDefinition { compress: Some(compress), ..LogDefinition::default() });
    }
    for format in LogFormat::ALL {
        log(LogDefinition { format: Some(format), ..LogDefinition::default() });
    }
    for overflow in Overflow::ALL {
        log(LogDefinition { overflow: Some(overflow), ..LogDefinition::default() });
        log(LogDefinition { journald_overflow: Some(overflow), ..LogDefinition::default() });
    }
    for parse in LineParser::ALL {
        log(LogDefinition { parse: Some(parse), ..LogDefinition::default() });
    }
    for multiline in [Multiline::None, Multiline::Indent] {
        log(LogDefinition { multiline: Some(multiline), ..LogDefinition::default() });
    }
    for until in Readiness::ALL {
        let needed = vec![Dependency { name: name("db"), until: Some(until) }];
        returns(Definition { wants: Some(needed), ..Definition::default() });
    }
    for probe in [
        Probe::Tcp { address: "127.0.0.1:5432".into() },
        Probe::Exec(line("/bin/check", &["--fast"])),
        Probe::Grpc { address: "[::1]:50051".into(), service: String::new() },
        Probe::Grpc { address: "localhost:1".into(), service: "a.b.C".into() },
    ] {
        returns(Definition { health_check: Some(health(probe)), ..Definition::default() });
    }
}

#[test]
fn written_and_empty_is_not_the_same_as_absent() {
    returns(Definition {
        groups: Some(vec![]),
        args: Some(vec![]),
        env: Some([].into()),
        environment_file: Some(vec![]),
        requires: Some(vec![]),
        wants: Some(vec![]),
        binds_to: Some(vec![]),
        conflicts: Some(vec![]),
        condition_path_exists: Some(vec![]),
        start_timeout: Some(Duration::ZERO),
        watchdog_sec: Some(Duration::ZERO),
        exec_start_pre: Some(vec![]),
        exec_start_post: Some(vec![]),
        exec_reload: Some(vec![]),
        exec_stop: Some(vec![]),
        exec_stop_post: Some(vec![]),
        log: LogDefinition {
            max_age: Some(Duration::ZERO),
            file_rate_limit: Some(None),
            json_fields: Some(vec![]),
            redact: Some(vec![]),
            ..LogDefinition::default()
        },
        ..Definition::default()
    });
}

#[test]
fn what_a_health_check_leaves_out_has_its_default() {
    let probe = v1::health_check::Probe::Tcp(v1::TcpProbe { address: "127.0.0.1:1".into() });
    let check = v1::HealthCheck { probe: Some(probe), ..Default::default() };
    let wire = v1::ProcessDefinition { health_check: Some(check), ..Default::default() };
    let wanted = HealthSpec::new(Probe::Tcp { address: "127.0.0.1:1".into() });
    assert_eq!(from_wire(wire).unwrap().health_check, Some(wanted));
}

fn faults(wire: v1::ProcessDefinition) -> Vec<String> {
    from_wire(wire).unwrap_err().into_iter().map(|v| v.field).collect()
}

const BEFORE: prost_types::Duration = prost_types::Duration { seconds: -1, nanos: 0 };

#[test]
fn every_fault_is_reported() {
    let wire = v1::ProcessDefinition {
        after: Some(strings(vec!["ok".into(), "a/b".into()])),
        restart: 99,
        restart_sec: Some(BEFORE),
        kill_signal: Some("TREM".into()),
        success_exit_status: Some(v1::ExitMatcherList {
            values: vec![
                v1::ExitMatcher { status: Some(v1::exit_matcher::Status::Code(256)) },
                v1::ExitMatcher { status: None },
            ],
        }),
        stdout: Some(v1::OutputTarget { kind: v1::OutputKind::File.into(), path: String::new() }),
        log: Some(v1::LogDefinition {
            max_age: Some(BEFORE),
            compress: 3,
            format: -1,
            overflow: 4,
            journald_overflow: 5,
            file_rate_limit: Some(v1::RateLimit { lines: 1, interval: None }),
            rate_limit: Some(v1::RateLimit { lines: 1, interval: Some(BEFORE) }),
            parse: 9,
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(
        faults(wire),
        [
            "definition.after",
            "definition.restart",
            "definition.restart_sec",
            "definition.success_exit_status",
            "definition.success_exit_status",
            "definition.kill_signal",
            "definition.stdout",
            "definition.log.max_age",
            "definition.log.compress",
            "definition.log.format",
            "definition.log.overflow",
            "definition.log.journald_overflow",
            "definition.log.file_rate_limit.interval",
            "definition.log.rate_limit.interval",
            "definition.log.parse",
        ]
    );
}

#[test]
fn every_fault_of_limits_is_reported() {
    let wire = v1::ProcessDefinition {
        resource_limits: Some(v1::ResourceLimits {
            cpu_weight: Some(70_000),
            io_weight: Some(u32::MAX),
            ..Default::default()
        }),
        rlimits: Some(v1::Rlimits { values: [("open\nfiles".into(), v1::Rlimit::default())].into() }),
        nice: Some(128),
        oom_score_adj: Some(i32::MIN),
        ambient_capabilities: Some(strings(vec!["CAP_KILL".into(), "all".into()])),
        ..Default::default()
    };
    assert_eq!(
        faults(wire),
        [
            "definition.resource_limits.cpu_weight",
            "definition.resource_limits.io_weight",
            "definition.rlimits",
            "definition.nice",
            "definition.oom_score_adj",
            "definition.ambient_capabilities",
        ]
    );
}

#[test]
fn every_fault_of_a_list_names_its_item() {
    let needed = |name: &str, until: i32| v1::Dependency { name: name.into(), until };
    let hooks = v1::HookList {
        values: vec![
            v1::Hook {
                command: Some(v1::CommandLine { program: "ok".into(), args: vec![] }),
                ..Default::default()
            },
            v1::Hook { command: None, timeout: Some(BEFORE), ignore_failure: true },
            v1::Hook { command: Some(v1::CommandLine::default()), ..Default::default() },
        ],
    };
    let file = |path: &str| v1::EnvironmentFile { path: path.into(), may_be_missing: true };
    let wire = v1::ProcessDefinition {
        r#type: 5,
        environment_file: Some(v1::EnvironmentFileList { values: vec![file("/a"), file("")] }),
        requires: Some(v1::DependencyList { values: vec![needed("a b", 9), needed("db", 1), needed("", 0)] }),
        wants: Some(v1::DependencyList { values: vec![needed("db", -1)] }),
        conflicts: Some(strings(vec!["a/b".into()])),
        condition_path_exists: Some(v1::PathConditionList { values: vec![v1::PathCondition::default()] }),
        start_timeout: Some(BEFORE),
        watchdog_sec: Some(BEFORE),
        exec_stop: Some(hooks),
        reload_signal: Some(String::new()),
        ..Default::default()
    };
    assert_eq!(
        faults(wire),
        [
            "definition.environment_file[1].path",
            "definition.requires[0].until",
            "definition.requires[0].name",
            "definition.requires[2].name",
            "definition.wants[0].until",
            "definition.conflicts",
            "definition.condition_path_exists[0].path",
            "definition.type",
            "definition.start_timeout",
            "definition.watchdog_sec",
            "definition.reload_signal",
            "definition.exec_stop[1].command.program",
            "definition.exec_stop[1].timeout",
            "definition.exec_stop[2].command.program",
        ]
    );
}

#[test]
fn every_fault_of_a_health_check_is_reported() {
    let of = |probe| {
        let check =
            v1::HealthCheck { probe, interval: Some(BEFORE), timeout: Some(BEFORE), ..Default::default() };
        faults(v1::ProcessDefinition { health_check: Some(check), ..Default::default() })
    };
    use v1::health_check::Probe;
    for (probe, field) in [
        (None, "definition.health_check"),
        (Some(Probe::Http(v1::HttpProbe::default())), "definition.health_check.http.url"),
        (Some(Probe::Tcp(v1::TcpProbe::default())), "definition.health_check.tcp.address"),
        (Some(Probe::Exec(v1::CommandLine::default())), "definition.health_check.exec.program"),
        (Some(Probe::Grpc(v1::GrpcProbe::default())), "definition.health_check.grpc.address"),
    ] {
        let times = ["definition.health_check.interval", "definition.health_check.timeout"];
        assert_eq!(of(probe), [times[0], times[1], field]);
    }
}
