//! Definitions of every kind, most of them good ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use model::{
    Capabilities, Ceiling, CommandLine, Compression, Definition, Dependency, EnvironmentFile, ExitMatcher,
    HealthSpec, Hook, InheritEnv, KillMode, LimitPair, LineParser, LogDefinition, LogFormat, MetricsDetail,
    Multiline, OnStartLimit, Output, Overflow, PathCondition, Probe, ProcessName, ProcessType, RateLimit,
    Readiness, ResourceLimits, RestartPolicy, Rlimit, Rlimits, Signal,
};
use proptest::collection::{btree_map, vec};
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;

/// Texts that YAML is known to be difficult about, and all others.
fn text() -> impl Strategy<Value = String> {
    const ODD: &[&str] = &[
        "",
        " ",
        "~",
        "null",
        "true",
        "no",
        "0x1f",
        "1e3",
        ".inf",
        "-",
        "- a",
        "a: b",
        "#",
        "a #b",
        "'",
        "\"",
        "\\",
        "!x",
        "&a",
        "*a",
        "%",
        "@",
        "`",
        "{",
        "[",
        "a\nb",
        "\n",
        " a ",
        "\ta",
        "a\r\n",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "é",
        "<<",
        "---",
        "...",
        "01",
        "0o17",
        "1_000",
        "2026-11-20",
        "?",
        ": ",
        "\u{7f}",
        "\u{1b}[31m",
    ];
    prop_oneof![
        2 => select(ODD).prop_map(str::to_owned),
        3 => "[ -~]{0,20}",
        1 => "\\PC{0,20}",
        1 => any::<String>().prop_map(|text| text.replace('\0', "")),
    ]
}

fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0_u64..100).prop_map(Duration::from_secs),
        (0_u64..100_000).prop_map(Duration::from_millis),
        (0_u64..=315_360_000_000_000_000).prop_map(Duration::from_nanos),
    ]
}

fn output() -> impl Strategy<Value = Output> {
    let path = "/[ -~é]{0,12}[a-z]";
    prop_oneof![
        Just(Output::Capture),
        Just(Output::Null),
        Just(Output::Inherit),
        path.prop_map(|p| Output::File(p.into())),
        path.prop_map(|p| Output::Direct(p.into())),
    ]
}

fn signal() -> impl Strategy<Value = Signal> {
    (1..=64).prop_map(|n| Signal::from_number(n).expect("1 to 64 are signals"))
}

fn exits() -> impl Strategy<Value = Vec<ExitMatcher>> {
    vec(prop_oneof![any::<u8>().prop_map(ExitMatcher::Code), signal().prop_map(ExitMatcher::Signal)], 0..4)
}

fn names() -> impl Strategy<Value = Vec<ProcessName>> {
    vec("[A-Za-z0-9][A-Za-z0-9_.@-]{0,12}".prop_map(|n| ProcessName::new(&n).expect("a name")), 0..4)
}

fn environment() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(text().prop_map(|key| key.replace('=', "")), text(), 0..5)
}

fn account() -> impl Strategy<Value = String> {
    "[a-z0-9_.][a-z0-9_.$é-]{0,8}"
}

prop_compose! {
    fn what()(
        description in of("[ -~é]{0,30}[a-z]"),
        command in weighted(0.9, prop_oneof![1 => text(), 4 => "[a-z/][ -~]{0,20}".boxed()]),
        args in of(vec(text(), 0..5)),
        working_dir in of("/[ -~é]{0,12}"),
        env in of(environment()),
        inherit_env in of(prop_oneof![
            Just(InheritEnv::None), Just(InheritEnv::All), vec("[A-Za-z_]{1,8}", 0..3).prop_map(InheritEnv::Names)
        ]),
        user in of(account()),
        group in of(account()),
        supplementary_groups in of(vec(account(), 0..3)),
        umask in of(0_u32..=0o777),
    ) -> Definition {
        Definition {
            description, command, args, env, inherit_env, user, group, supplementary_groups, umask,
            working_dir: working_dir.map(PathBuf::from),
            ..Definition::default()
        }
    }
}

prop_compose! {
    fn when()(
        auto_start in of(any::<bool>()),
        after in of(names()),
        before in of(names()),
        restart in of(select(&RestartPolicy::ALL[..])),
        restart_sec in of(time()),
        restart_max_delay_sec in of(time()),
        restart_jitter in of(0.0..=1.0),
        runtime_success_sec in of(time()),
        start_limit_burst in of(0_u32..=10_000),
        start_limit_interval_sec in of(time()),
        on_start_limit in of(select(&OnStartLimit::ALL[..])),
    ) -> Definition {
        Definition {
            auto_start, after, before, restart, restart_sec, restart_max_delay_sec, restart_jitter, runtime_success_sec,
            start_limit_burst, start_limit_interval_sec, on_start_limit,
            ..Definition::default()
        }
    }
}

fn name() -> impl Strategy<Value = ProcessName> {
    "[A-Za-z0-9][A-Za-z0-9_.@-]{0,12}".prop_map(|n| ProcessName::new(&n).expect("a name"))
}

fn needs() -> impl Strategy<Value = Vec<Dependency>> {
    let until = of(select(&Readiness::ALL[..]));
    vec((name(), until).prop_map(|(name, until)| Dependency { name, until }), 0..4)
}

fn path() -> impl Strategy<Value = PathBuf> {
    prop_oneof![
        "/[ -~é]{0,12}[a-z]",
        select(vec!["/etc/a b", "/!", "/-x", "/#", "/a: b", "/'\"", "/null"]).prop_map(str::to_owned),
    ]
    .prop_map(PathBuf::from)
}

/// Mostly what is a command, and sometimes what is none: empty, or with a `-` before it.
fn command_line() -> impl Strategy<Value = CommandLine> {
    let program = prop_oneof![1 => text().boxed(), 9 => "[a-z/][ -~]{0,10}".boxed()];
    (program, vec(text(), 0..4)).prop_map(|(program, args)| CommandLine { program, args })
}

fn hooks() -> impl Strategy<Value = Vec<Hook>> {
    let timeout = of((1_u64..1_000_000).prop_map(Duration::from_millis));
    let hook = (command_line(), timeout, any::<bool>());
    vec(hook.prop_map(|(command, timeout, ignore_failure)| Hook { command, timeout, ignore_failure }), 0..3)
}

fn probe() -> impl Strategy<Value = Probe> {
    let host = || select(vec!["localhost", "127.0.0.1", "[::1]", "db.example-1", "a_b"]);
    let address = (host(), 1_u16..).prop_map(|(host, port)| format!("{host}:{port}"));
    let url = (host(), of(1_u16..), "(/[!-~]{0,20})?").prop_map(|(host, port, path)| {
        format!("http://{host}{}{path}", port.map(|p| format!(":{p}")).unwrap_or_default())
    });
    prop_oneof![
        url.prop_map(|url| Probe::Http { url }),
        address.clone().prop_map(|address| Probe::Tcp { address }),
        command_line().prop_map(Probe::Exec),
        (address, "[ -~é]{0,12}").prop_map(|(address, service)| Probe::Grpc { address, service }),
    ]
}

prop_compose! {
    fn health()(
        probe in probe().boxed(),
        interval in 10_u64..1_000_000,
        timeout in 10_u64..1_000_000,
        retries in 1_u32..=10_000,
        start_period in time(),
        success_threshold in 1_u32..=10_000,
        more in of(0_u32..1000),
    ) -> HealthSpec {
        HealthSpec {
            interval: Duration::from_millis(interval),
            timeout: Duration::from_millis(timeout),
            retries, start_period, success_threshold,
            restart_after: more.map_or(0, |more| (retries + more).min(10_000)),
            ..HealthSpec::new(probe)
        }
    }
}

prop_compose! {
    /// How it comes up. Keys that only one type has stand beside that type, most of the time.
    fn starts()(
        kind in of(select(&ProcessType::ALL[..])),
        (remain, pidfile, stray) in (of(any::<bool>()), of(path()), 0..20),
        start_timeout in of(time()),
        watchdog_sec in of(prop_oneof![Just(Duration::ZERO), (1_u64..1_000_000).prop_map(Duration::from_millis)]),
        health_check in of(health().boxed()),
        condition_path_exists in of(vec((path(), any::<bool>()), 0..3)),
        (pty, critical, reload_signal) in (of(any::<bool>()), of(any::<bool>()), of(signal())),
    ) -> Definition {
        let remain_after_exit = remain.filter(|_| stray == 0 || kind == Some(ProcessType::Oneshot));
        let ends = kind == Some(ProcessType::Oneshot) && remain_after_exit != Some(true);
        let condition = |(path, negated)| PathCondition { path, negated };
        Definition {
            kind, remain_after_exit, start_timeout, watchdog_sec, pty, critical, reload_signal,
            pidfile: pidfile.filter(|_| stray == 1 || kind == Some(ProcessType::Forking)),
            health_check: health_check.filter(|_| stray == 2 || !ends),
            condition_path_exists: condition_path_exists.map(|list| list.into_iter().map(condition).collect()),
            ..Definition::default()
        }
    }
}

prop_compose! {
    fn around()(
        groups in of(vec("[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", 0..3)),
        environment_file in of(vec((path(), any::<bool>()), 0..3)),
        (requires, wants, binds_to) in (of(needs()), of(needs()), of(needs())),
        conflicts in of(names()),
        (exec_start_pre, exec_start_post, exec_reload) in (of(hooks()), of(hooks()), of(hooks())),
        (exec_stop, exec_stop_post) in (of(hooks()), of(hooks())),
        starts in starts().boxed(),
    ) -> Definition {
        let file = |(path, optional)| EnvironmentFile { path, optional };
        Definition {
            groups, requires, wants, binds_to, conflicts, exec_start_pre, exec_start_post, exec_reload, exec_stop, exec_stop_post,
            environment_file: environment_file.map(|list| list.into_iter().map(file).collect()),
            ..starts
        }
    }
}

/// Regular expressions, and what YAML makes of them.
fn pattern() -> impl Strategy<Value = String> {
    const GOOD: &[&str] = &[
        r"password=\S+",
        r"^\d{4}-",
        "[a-z]+:",
        "- ",
        "#x",
        "'\"",
        "a\tb",
        "é|ß",
        "(?i)token",
        "!x",
        "true",
        "7",
        r"\\",
    ];
    // Rarely one that is none, or that may match nothing.
    prop_oneof![19 => select(GOOD).prop_map(str::to_owned), 1 => "[a-c(*?\\[]{0,4}"]
}

fn rate() -> impl Strategy<Value = Option<RateLimit>> {
    let interval = prop_oneof![
        (1_u64..=86_400).prop_map(Duration::from_secs),
        (100_000_000_u64..=86_400_000_000_000).prop_map(Duration::from_nanos),
    ];
    of((1_u32..=1_000_000_000, interval).prop_map(|(lines, interval)| RateLimit { lines, interval }))
}

prop_compose! {
    /// The keys below `log:`. `json_fields` stands beside the parser that it is for, most of the time.
    fn log()(
        (journald, file, max_files) in (of(any::<bool>()), of(any::<bool>()), of(0_u32..=10_000)),
        max_size in of(prop_oneof![0..=i64::MAX.unsigned_abs(), (0_u64..1000).prop_map(|n| n << 20)]),
        max_total_size in of(prop_oneof![0..=i64::MAX.unsigned_abs(), (0_u64..1000).prop_map(|n| n << 30)]),
        max_age in of(time().prop_map(|age| if age < Duration::from_secs(1) { Duration::ZERO } else { age })),
        max_line in of(64_u32..=16 << 20),
        compress in of(select(&Compression::ALL[..])),
        format in of(select(&LogFormat::ALL[..])),
        (overflow, journald_overflow) in (of(select(&Overflow::ALL[..])), of(select(&Overflow::ALL[..]))),
        (file_rate_limit, rate_limit) in (of(rate()), of(rate())),
        multiline in of(prop_oneof![
            Just(Multiline::None), Just(Multiline::Indent), pattern().prop_map(Multiline::Start)
        ]),
        (parse, fields, stray) in (of(select(&LineParser::ALL[..])), of(vec("[a-z][a-z_.-]{0,3}[a-z]", 0..3)), 0..20),
        redact in of(vec(pattern(), 0..4)),
    ) -> LogDefinition {
        LogDefinition {
            journald, file, max_size, max_age, max_files, max_total_size, compress, format, max_line, overflow,
            journald_overflow, file_rate_limit, rate_limit, multiline, parse, redact,
            json_fields: fields.filter(|_| stray == 0 || parse == Some(LineParser::Json)),
        }
    }
}

fn ceiling(most: u64) -> impl Strategy<Value = Ceiling> {
    // Rarely one that is too small or too large.
    prop_oneof![1 => Just(Ceiling::Max), 19 => (1 << 20..=most).prop_map(Ceiling::At), 1 => any::<u64>().prop_map(Ceiling::At)]
}

fn rlimits() -> impl Strategy<Value = Rlimits> {
    let pair = prop_oneof![
        (0_u64..40, 0_u64..40).prop_map(|(a, b)| LimitPair { soft: a.min(b), hard: a.max(b) }),
        (0_u64..40).prop_map(|soft| LimitPair { soft: soft << 10, hard: LimitPair::UNLIMITED }),
    ];
    btree_map(select(&Rlimit::ALL[..]), pair, 0..4)
}

prop_compose! {
    fn isolated()(
        (memory_max, memory_high) in (of(ceiling(1 << 50)), of(ceiling(1 << 50))),
        (memory_swap_max, oom_group) in (of(ceiling(1 << 50)), of(any::<bool>())),
        (cpu_max, pids_max) in (of((10_u64..9_000_000).prop_map(Ceiling::At)), of((0_u64..5_000_000).prop_map(Ceiling::At))),
        (cpu_weight, io_weight) in (of(1_u16..=10_001), of(1_u16..=10_001)),
        (limited, rlimits) in (any::<bool>(), of(rlimits())),
        (nice, oom_score_adj) in (of(-21_i8..=20), of(-1001_i16..=1001)),
        ambient_capabilities in of(any::<u64>().prop_map(Capabilities::from_bits)),
        no_new_privileges in of(any::<bool>()),
        runtime_directory in of(vec("[a-z]{1,3}", 0..3)),
        runtime_directory_mode in of(0_u32..=0o777),
    ) -> Definition {
        let limits = ResourceLimits {
            memory_max, memory_high, memory_swap_max, oom_group, cpu_max, cpu_weight, pids_max, io_weight,
        };
        Definition {
            resource_limits: limited.then_some(limits),
            rlimits, nice, oom_score_adj, ambient_capabilities, no_new_privileges, runtime_directory,
            runtime_directory_mode,
            ..Definition::default()
        }
    }
}

prop_compose! {
    /// Every key, so that a new one is missed here by the compiler.
    pub(crate) fn definition()(
        what in what().boxed(),
        when in when().boxed(),
        around in around().boxed(),
        isolated in isolated().boxed(),
        (success_exit_status, restart_prevent_exit_status) in (of(exits()), of(exits())),
        kill_signal in of(signal()),
        kill_mode in of(select(&KillMode::ALL[..])),
        metrics in of(select(&MetricsDetail::ALL[..])),
        stop_timeout in of(time()),
        send_sighup in of(any::<bool>()),
        (stdout, stderr) in (of(output()), of(output())),
        log in log().boxed(),
    ) -> Definition {
        let captured = stdout.as_ref().is_none_or(Output::is_captured);
        Definition {
            description: what.description,
            groups: around.groups,
            command: what.command,
            args: what.args,
            working_dir: what.working_dir,
            env: what.env,
            environment_file: around.environment_file,
            inherit_env: what.inherit_env,
            user: what.user,
            group: what.group,
            supplementary_groups: what.supplementary_groups,
            umask: what.umask,
            auto_start: when.auto_start,
            after: when.after,
            before: when.before,
            requires: around.requires,
            wants: around.wants,
            binds_to: around.binds_to,
            conflicts: around.conflicts,
            condition_path_exists: around.condition_path_exists,
            kind: around.kind,
            remain_after_exit: around.remain_after_exit,
            pidfile: around.pidfile,
            start_timeout: around.start_timeout,
            watchdog_sec: around.watchdog_sec,
            restart: when.restart,
            restart_sec: when.restart_sec,
            restart_max_delay_sec: when.restart_max_delay_sec,
            restart_jitter: when.restart_jitter,
            runtime_success_sec: when.runtime_success_sec,
            start_limit_burst: when.start_limit_burst,
            start_limit_interval_sec: when.start_limit_interval_sec,
            on_start_limit: when.on_start_limit,
            success_exit_status,
            restart_prevent_exit_status,
            kill_signal,
            kill_mode,
            stop_timeout,
            send_sighup,
            exec_start_pre: around.exec_start_pre,
            exec_start_post: around.exec_start_post,
            exec_reload: around.exec_reload,
            reload_signal: around.reload_signal,
            exec_stop: around.exec_stop,
            exec_stop_post: around.exec_stop_post,
            health_check: around.health_check,
            critical: around.critical,
            stdout,
            stderr,
            pty: around.pty.filter(|_| captured),
            metrics,
            resource_limits: isolated.resource_limits,
            rlimits: isolated.rlimits,
            nice: isolated.nice,
            oom_score_adj: isolated.oom_score_adj,
            ambient_capabilities: isolated.ambient_capabilities,
            no_new_privileges: isolated.no_new_privileges,
            runtime_directory: isolated.runtime_directory,
            runtime_directory_mode: isolated.runtime_directory_mode,
            log,
        }
    }
}
