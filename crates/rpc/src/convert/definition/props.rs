//! Whatever a definition holds, it survives the wire; whatever the wire holds, it is read or refused.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{
    Capabilities, Ceiling, CommandLine, Compression, Dependency, EnvironmentFile, ExitMatcher, HealthSpec,
    Hook, KillMode, LimitPair, LineParser, LogDefinition, LogFormat, MetricsDetail, Multiline, OnStartLimit,
    Output, Overflow, PathCondition, Probe, ProcessType, RateLimit, Readiness, ResourceLimits, RestartPolicy,
    Rlimit,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;

use super::*;

fn text() -> BoxedStrategy<String> {
    prop_oneof!["[a-z/=! -]{0,12}", any::<String>()].boxed()
}

fn some_text() -> BoxedStrategy<String> {
    text().prop_filter("not empty", |text| !text.is_empty()).boxed()
}

fn path() -> BoxedStrategy<PathBuf> {
    some_text().prop_map(PathBuf::from).boxed()
}

fn time() -> BoxedStrategy<Duration> {
    prop_oneof![
        (0..100_000_u64).prop_map(Duration::from_millis),
        (0..=i64::MAX.unsigned_abs(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
    ]
    .boxed()
}

fn name() -> BoxedStrategy<ProcessName> {
    "[A-Za-z0-9][A-Za-z0-9_.@-]{0,20}".prop_map(|text| ProcessName::new(&text).unwrap()).boxed()
}

fn signal() -> BoxedStrategy<Signal> {
    (1..=64).prop_map(|number| Signal::from_number(number).unwrap()).boxed()
}

fn matchers() -> BoxedStrategy<Vec<ExitMatcher>> {
    vec(prop_oneof![any::<u8>().prop_map(ExitMatcher::Code), signal().prop_map(ExitMatcher::Signal)], 0..4)
        .boxed()
}

fn dependencies() -> BoxedStrategy<Vec<Dependency>> {
    let until = of(select(&Readiness::ALL[..]));
    vec((name(), until).prop_map(|(name, until)| Dependency { name, until }), 0..4).boxed()
}

fn line() -> BoxedStrategy<CommandLine> {
    (some_text(), vec(text(), 0..4)).prop_map(|(program, args)| CommandLine { program, args }).boxed()
}

fn hooks() -> BoxedStrategy<Vec<Hook>> {
    let hook = (line(), of(time()), any::<bool>());
    vec(hook.prop_map(|(command, timeout, ignore_failure)| Hook { command, timeout, ignore_failure }), 0..3)
        .boxed()
}

fn health() -> BoxedStrategy<HealthSpec> {
    let probe = prop_oneof![
        some_text().prop_map(|url| Probe::Http { url }),
        some_text().prop_map(|address| Probe::Tcp { address }),
        line().prop_map(Probe::Exec),
        (some_text(), text()).prop_map(|(address, service)| Probe::Grpc { address, service }),
    ];
    (probe, time(), time(), any::<u32>(), time(), any::<u32>(), any::<u32>())
        .prop_map(|(probe, interval, timeout, retries, start_period, success_threshold, restart_after)| {
            HealthSpec { probe, interval, timeout, retries, start_period, success_threshold, restart_after }
        })
        .boxed()
}

fn output() -> BoxedStrategy<Output> {
    prop_oneof![
        Just(Output::Capture),
        Just(Output::Null),
        Just(Output::Inherit),
        path().prop_map(Output::File),
        path().prop_map(Output::Direct),
    ]
    .boxed()
}

fn inherit() -> BoxedStrategy<InheritEnv> {
    prop_oneof![
        Just(InheritEnv::None),
        Just(InheritEnv::All),
        // No names at all are the same as `None`.
        vec(text(), 1..4).prop_map(InheritEnv::Names),
    ]
    .boxed()
}

/// No lines at all are the same as no limit.
fn rate() -> BoxedStrategy<Option<RateLimit>> {
    of((1_u32.., time()).prop_map(|(lines, interval)| RateLimit { lines, interval })).boxed()
}

fn multiline() -> BoxedStrategy<Multiline> {
    let pattern = text().prop_filter("a word of its own", |text| !matches!(text.as_str(), "none" | "indent"));
    prop_oneof![Just(Multiline::None), Just(Multiline::Indent), pattern.prop_map(Multiline::Start)].boxed()
}

prop_compose! {
    fn log()(
        (journald, file) in (of(any::<bool>()), of(any::<bool>())),
        (max_size, max_total_size) in (of(any::<u64>()), of(any::<u64>())),
        (max_files, max_line) in (of(any::<u32>()), of(any::<u32>())),
        max_age in of(time()),
        compress in of(select(&Compression::ALL[..])),
        format in of(select(&LogFormat::ALL[..])),
        (overflow, journald_overflow) in (of(select(&Overflow::ALL[..])), of(select(&Overflow::ALL[..]))),
        (file_rate_limit, rate_limit) in (of(rate()), of(rate())),
        multiline in of(multiline()),
        parse in of(select(&LineParser::ALL[..])),
        (json_fields, redact) in (of(vec(text(), 0..3)), of(vec(text(), 0..3))),
    ) -> LogDefinition {
        LogDefinition {
            journald, file, max_size, max_age, max_files, max_total_size, compress, format, max_line, overflow,
            journald_overflow, file_rate_limit, rate_limit, multiline, parse, json_fields, redact,
        }
    }
}

prop_compose! {
    fn identity()(
        description in of(text()),
        groups in of(vec(text(), 0..3)),
        command in of(text()),
        args in of(vec(text(), 0..3)),
        working_dir in of(text()),
        env in of(btree_map(text(), text(), 0..4)),
        files in of(vec((path(), any::<bool>()), 0..3)),
        inherit_env in of(inherit()),
        (user, group) in (of(text()), of(text())),
        supplementary_groups in of(vec(text(), 0..3)),
        umask in of(any::<u32>()),
    ) -> Definition {
        let file = |(path, optional)| EnvironmentFile { path, optional };
        Definition {
            description, groups, command, args, env, inherit_env, user, group, supplementary_groups, umask,
            working_dir: working_dir.map(PathBuf::from),
            environment_file: files.map(|list| list.into_iter().map(file).collect()),
            ..Definition::default()
        }
    }
}

prop_compose! {
    fn ordered()(
        base in identity().boxed(),
        auto_start in of(any::<bool>()),
        (after, before, conflicts) in (of(vec(name(), 0..3)), of(vec(name(), 0..3)), of(vec(name(), 0..3))),
        (requires, wants, binds_to) in (of(dependencies()), of(dependencies()), of(dependencies())),
        conditions in of(vec((path(), any::<bool>()), 0..3)),
        kind in of(select(&ProcessType::ALL[..])),
        remain_after_exit in of(any::<bool>()),
        pidfile in of(path()),
        (start_timeout, watchdog_sec) in (of(time()), of(time())),
    ) -> Definition {
        let condition = |(path, negated)| PathCondition { path, negated };
        Definition {
            auto_start, after, before, requires, wants, binds_to, conflicts, kind, remain_after_exit, pidfile,
            start_timeout, watchdog_sec,
            condition_path_exists: conditions.map(|list| list.into_iter().map(condition).collect()),
            ..base
        }
    }
}

prop_compose! {
    fn restarted()(
        base in ordered().boxed(),
        restart in of(select(&RestartPolicy::ALL[..])),
        (restart_sec, restart_max_delay_sec, runtime_success_sec) in (of(time()), of(time()), of(time())),
        restart_jitter in of(0.0..=1.0),
        start_limit_burst in of(any::<u32>()),
        start_limit_interval_sec in of(time()),
        on_start_limit in of(select(&OnStartLimit::ALL[..])),
        (success_exit_status, restart_prevent_exit_status) in (of(matchers()), of(matchers())),
        (kill_signal, reload_signal) in (of(signal()), of(signal())),
        kill_mode in of(select(&KillMode::ALL[..])),
        metrics in of(select(&MetricsDetail::ALL[..])),
        stop_timeout in of(time()),
    ) -> Definition {
        Definition {
            restart, restart_sec, restart_max_delay_sec, runtime_success_sec, restart_jitter, start_limit_burst,
            start_limit_interval_sec, on_start_limit, success_exit_status, restart_prevent_exit_status,
            kill_signal, reload_signal, kill_mode, stop_timeout, metrics,
            ..base
        }
    }
}

fn ceiling() -> BoxedStrategy<Ceiling> {
    prop_oneof![Just(Ceiling::Max), any::<u64>().prop_map(Ceiling::At)].boxed()
}

prop_compose! {
    fn limited()(
        base in restarted().boxed(),
        (memory_max, memory_high, memory_swap_max) in (of(ceiling()), of(ceiling()), of(ceiling())),
        (cpu_max, pids_max, oom_group) in (of(ceiling()), of(ceiling()), of(any::<bool>())),
        (cpu_weight, io_weight, limits) in (of(any::<u16>()), of(any::<u16>()), any::<bool>()),
        rlimits in of(btree_map(select(&Rlimit::ALL[..]), (any::<u64>(), any::<u64>()), 0..4)),
        (nice, oom_score_adj) in (of(any::<i8>()), of(any::<i16>())),
        ambient_capabilities in of(any::<u64>().prop_map(Capabilities::from_bits)),
        no_new_privileges in of(any::<bool>()),
        (runtime_directory, runtime_directory_mode) in (of(vec(text(), 0..3)), of(any::<u32>())),
    ) -> Definition {
        let pairs = |map: BTreeMap<Rlimit, (u64, u64)>| {
            map.into_iter().map(|(limit, (soft, hard))| (limit, LimitPair { soft, hard })).collect()
        };
        Definition {
            resource_limits: limits.then_some(ResourceLimits {
                memory_max, memory_high, memory_swap_max, oom_group, cpu_max, cpu_weight, pids_max, io_weight,
            }),
            rlimits: rlimits.map(pairs),
            nice, oom_score_adj, ambient_capabilities, no_new_privileges, runtime_directory,
            runtime_directory_mode,
            ..base
        }
    }
}

prop_compose! {
    fn definition()(
        base in limited().boxed(),
        (send_sighup, critical, pty) in (of(any::<bool>()), of(any::<bool>()), of(any::<bool>())),
        (exec_start_pre, exec_start_post, exec_reload) in (of(hooks()), of(hooks()), of(hooks())),
        (exec_stop, exec_stop_post) in (of(hooks()), of(hooks())),
        health_check in of(health()),
        (stdout, stderr) in (of(output()), of(output())),
        log in log().boxed(),
    ) -> Definition {
        Definition {
            send_sighup, critical, pty, exec_start_pre, exec_start_post, exec_reload, exec_stop, exec_stop_post,
            health_check, stdout, stderr, log,
            ..base
        }
    }
}

/// What is read from the bytes is what it says when it is sent on; what is refused is refused with a place.
fn reads_or_refuses(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(wire) = v1::ProcessDefinition::decode(bytes) else { return Ok(()) };
    match from_wire(wire) {
        Ok(read) => {
            let again = from_wire(to_wire(read.clone()));
            // By their text: a share of NaN is not equal to itself.
            prop_assert_eq!(format!("{:?}", Ok::<_, Vec<Violation>>(read)), format!("{again:?}"));
        }
        Err(violations) => {
            prop_assert!(!violations.is_empty());
            prop_assert!(violations.iter().all(|v| v.field.starts_with("definition.") && !v.text.is_empty()));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    fn survives(definition in definition().boxed()) {
        let bytes = to_wire(definition.clone()).encode_to_vec();
        let wire = v1::ProcessDefinition::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(from_wire(wire), Ok(definition));
    }

    fn damaged(
        definition in definition().boxed(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = to_wire(definition).encode_to_vec();
        for (at, byte) in damage.iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        reads_or_refuses(&bytes)?;
    }

    fn garbage(bytes in vec(any::<u8>(), 0..200)) {
        reads_or_refuses(&bytes)?;
    }
}

/// The strategies are deep and unoptimized: they take half of the 2 MiB that a test has by default.
fn with_room(test: fn()) {
    let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(test).unwrap();
    if let Err(failure) = thread.join() {
        std::panic::resume_unwind(failure);
    }
}

#[test]
fn every_definition_survives_the_wire() {
    with_room(survives);
}

#[test]
fn a_damaged_definition_is_read_or_refused() {
    with_room(damaged);
}

#[test]
fn garbage_is_read_or_refused() {
    with_room(garbage);
}
