//! Nothing panics on any input, and what is written is read back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Layout, LoadError, Loaded, Main, load, render};
use model::{
    Definition, ExitMatcher, InheritEnv, KillMode, LogDefinition, OnStartLimit, Output, ProcessId,
    ProcessName, RestartPolicy, Signal,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

fn layout(dir: &Path) -> Layout {
    Layout {
        package_dir: dir.join("package.d"),
        main: dir.join("main.yaml"),
        admin_dir: dir.join("processes.d"),
        overrides_dir: dir.join("overrides.d"),
        runtime_dir: dir.join("runtime"),
        log_dir: PathBuf::from("/logs"),
    }
}

fn load_main(bytes: &[u8]) -> Result<Loaded, LoadError> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("main.yaml"), bytes).expect("writing");
    load(&layout(dir.path()), &|_| ProcessId::from_digest([0; 6]), Main::Required)
}

/// Loads and shows everything, so that showing is tried too.
fn survives(bytes: &[u8]) {
    match load_main(bytes) {
        Ok(loaded) => {
            for problem in &loaded.problems {
                assert!(!problem.to_string().is_empty());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A definition through its YAML and back, by way of a file of the runtime layer: its resolved form must be the same.
/// What can't be resolved is not kept, or not loaded.
fn same_after_round_trip(definition: &Definition) -> Result<(), TestCaseError> {
    let text = render(definition);
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("main.yaml"), "").expect("writing");
    // Longer than any name that `names()` makes: a process that waits for itself is invalid.
    let name = ProcessName::new("the-process-under-test").expect("a name");
    let id = ProcessId::from_digest([0; 6]);
    let direct = config::resolve(&name, id, model::Origin::Runtime, definition, &Definition::default());
    let kept = config::write_runtime(&dir.path().join("runtime"), &name, definition);
    let loaded = load(&layout(dir.path()), &|_| id, Main::Required);
    let loaded = loaded.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
    let found = loaded.desired.specs.first().map(|spec| (**spec).clone());
    prop_assert!(kept.is_ok() || direct.is_err(), "{kept:?}\n{text}");
    prop_assert_eq!(found, direct.ok(), "{}\n{:?}", text, loaded.problems);
    Ok(())
}

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
        command in of(text()),
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

prop_compose! {
    fn definition()(
        what in what(),
        when in when(),
        (success_exit_status, restart_prevent_exit_status) in (of(exits()), of(exits())),
        kill_signal in of(signal()),
        kill_mode in of(select(&KillMode::ALL[..])),
        stop_timeout in of(time()),
        send_sighup in of(any::<bool>()),
        (stdout, stderr) in (of(output()), of(output())),
        (journald, file) in (of(any::<bool>()), of(any::<bool>())),
        max_size in of(prop_oneof![0..=i64::MAX.unsigned_abs(), (0_u64..1000).prop_map(|n| n << 20)]),
        max_files in of(0_u32..=10_000),
        max_line in of(64_u32..=16 << 20),
    ) -> Definition {
        Definition {
            description: what.description,
            command: what.command,
            args: what.args,
            working_dir: what.working_dir,
            env: what.env,
            inherit_env: what.inherit_env,
            user: what.user,
            group: what.group,
            supplementary_groups: what.supplementary_groups,
            umask: what.umask,
            success_exit_status, restart_prevent_exit_status, kill_signal, kill_mode, stop_timeout, send_sighup, stdout, stderr,
            log: LogDefinition { journald, file, max_size, max_files, max_line },
            ..when
        }
    }
}

const GOOD: &str = include_str!("cases/good_values/input.yaml");

/// A good file with some parts replaced, doubled or cut out.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    const BITS: &[&str] = &[
        "",
        "\n",
        " ",
        "\t",
        ":",
        "- ",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "&a ",
        "*a",
        "<<: ",
        "!x ",
        "|",
        ">",
        "#",
        "---\n",
        "null",
        "processes:",
        "defaults:",
        "\u{85}",
        "\u{feff}",
        "é",
        "1e30",
        ".nan",
        "? ",
        "%TAG ! x\n",
        "log:",
        "command: ",
    ];
    let edit = (any::<prop::sample::Index>(), 0_usize..8, select(BITS));
    vec(edit, 1..6).prop_map(|edits| {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (at, cut, insert) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, insert.chars());
        }
        text.into_iter().collect::<String>().into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn arbitrary_text_does_not_panic(text in any::<String>(), yaml in "[-:{}\\[\\]&*!|>'\"%@`,?#~ \\n\\tab01.<é\u{85}]{0,80}") {
        survives(text.as_bytes());
        survives(yaml.as_bytes());
        survives(format!("processes:\n  web:\n    command: {yaml}\n").as_bytes());
    }

    #[test]
    fn broken_files_do_not_panic(bytes in mutated()) {
        survives(&bytes);
    }

    #[test]
    fn what_is_rendered_is_read_back(definition in definition()) {
        same_after_round_trip(&definition)?;
    }
}
