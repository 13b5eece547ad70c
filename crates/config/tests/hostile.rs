//! Files that are made to be slow, or to drown their reader: reading them ends soon and says little.
//!
//! The time is a bound against quadratic work, not a measure: each of these takes a second or two of a debug build, and
//! would take many minutes if its time grew with the square of its size.

#[path = "support/layout.rs"]
mod layout;

use std::time::{Duration, Instant};

use config::{LoadError, Loaded, Main, Problem, load};
use layout::layout;
use model::ProcessId;

fn loaded(text: &str) -> Result<Loaded, LoadError> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("input.yaml"), text).expect("writing");
    let began = Instant::now();
    let result = load(&layout(dir.path()), &|_| ProcessId::from_digest([0; 6]), Main::Required);
    assert!(began.elapsed() < Duration::from_secs(300), "{:?}", began.elapsed());
    result
}

/// The problems of a file that is no more than that: they are few, and each of them can be shown.
fn problems(text: &str) -> Vec<Problem> {
    let problems = match loaded(text) {
        Ok(loaded) => loaded.problems,
        Err(LoadError::Invalid { problems }) => problems,
        Err(error) => panic!("{error}"),
    };
    for problem in &problems {
        let shown = problem.to_string();
        assert!(shown.len() < 2000, "{} bytes: {}", shown.len(), shown.chars().take(300).collect::<String>());
    }
    problems
}

/// `0, 1, 2, ...` by a format.
fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_hundred_mistakes_of_a_definition_are_listed_and_the_others_counted() {
    let names = list(250, |n| format!("a/{n}"));
    let found = problems(&format!("processes:\n  web: {{command: x, after: [{names}]}}\n"));
    assert_eq!(found.len(), 101);
    // About the definition as a whole, so that it comes first.
    assert_eq!(found[0].message, "150 more mistakes in this definition are not listed");
    let twice = "      A: b\n".repeat(251);
    let found = problems(&format!("processes:\n  web:\n    command: x\n    env:\n{twice}"));
    assert_eq!(found.len(), 101);
    assert!(found.iter().any(|p| p.message == "150 more keys that are not right are not listed"));
}

#[test]
fn hundreds_of_thousands_of_mistakes_in_one_line() {
    let bad = list(100_000, |n| format!("a/{n}"));
    assert_eq!(problems(&format!("processes:\n  web: {{command: x, after: [{bad}]}}\n")).len(), 101);
    let twice = list(100_000, |_| "A: b".to_owned());
    assert_eq!(problems(&format!("processes:\n  web: {{command: x, env: {{{twice}}}}}\n")).len(), 101);
    // Not all of one process: a name a line is what a file written by a program may look like, in one line.
    let broken = list(20_000, |n| format!("p{n}: {{command: x, groups: [@]}}").replace('@', "'@'"));
    let found = problems(&format!("processes: {{{broken}}}\n"));
    assert_eq!(found.len(), 20_000);
}

#[test]
fn names_that_nobody_has() {
    let names = list(100_000, |n| format!("name-{n}"));
    let found = problems(&format!("processes:\n  web: {{command: x, requires: [{names}]}}\n"));
    assert_eq!(found.len(), 101);
    assert!(found.iter().all(|problem| !problem.is_error()));
    // Many of either: the search for a close name is given up at some point.
    let text: String =
        (0..10_000).map(|n| format!("  process-{n}: {{command: x, requires: [other-{n}]}}\n")).collect();
    let found = problems(&format!("processes:\n{text}"));
    assert_eq!(found.len(), 10_000);
}

#[test]
fn everybody_needs_a_thousand_others() {
    // Aliases, so that the text is small; each name counts all the same.
    let names = list(1000, |n| format!("p{n}"));
    let first: String = (0..1000).map(|n| format!("  p{n}: {{command: x}}\n")).collect();
    let needy: String = (0..200).map(|n| format!("  q{n}: {{command: x, requires: *all}}\n")).collect();
    let needy = format!("{needy}#{}\n", "-".repeat(50_000));
    let loaded = loaded(&format!(
        "processes:\n{first}  q: {{command: x, auto_start: false, requires: &all [{names}]}}\n{needy}"
    ))
    .unwrap();
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems.first());
    assert_eq!(loaded.desired.specs.iter().map(|spec| spec.needs.requires.len()).sum::<usize>(), 201_000);
}

#[test]
fn everybody_conflicts_with_everybody() {
    let names = list(300, |n| format!("p{n}"));
    let others = (1..300).map(|n| format!("  p{n}: {{command: x, conflicts: *all}}\n")).collect::<String>();
    // Each conflicts with itself, too, so that none is left to be compared with the others.
    let found = problems(&format!("processes:\n  p0: {{command: x, conflicts: &all [{names}]}}\n{others}"));
    assert_eq!(found.len(), 300);
    let text: String = (0..250)
        .map(|n| {
            let later = list(250, |m| format!("p{}", if m <= n { 1000 + m } else { m }));
            format!("  p{n}: {{command: x, conflicts: [{later}]}}\n")
        })
        .collect();
    let spare: String =
        (0..250).map(|n| format!("  p{}: {{command: x, auto_start: false}}\n", 1000 + n)).collect();
    let found = problems(&format!("processes:\n{text}{spare}"));
    assert!((250..=250 * 101).contains(&found.len()), "{}", found.len());
}

#[test]
fn everybody_waits_for_everybody() {
    let names = list(200, |n| format!("p{n}"));
    let others =
        (1..200).map(|n| format!("  p{n}: {{command: x, wants: *all, before: *all}}\n")).collect::<String>();
    let found = problems(&format!(
        "processes:\n  p0: {{command: x, wants: &all [{names}], auto_start: false}}\n{others}"
    ));
    assert_eq!(found.len(), 200);
    assert!(found.iter().all(|problem| problem.message.contains("wait for")), "{}", found[0]);
}

#[test]
fn everybody_redacts_the_same() {
    let patterns = list(64, |n| format!("'secret-{n}=\\S+'"));
    let others = (1..2000).map(|n| format!("  p{n}: {{command: x, log: *all}}\n")).collect::<String>();
    let first = format!("  p0: {{command: x, log: &all {{redact: [{patterns}]}}}}\n");
    let padding = format!("#{}\n", "-".repeat(400_000));
    let loaded = loaded(&format!("processes:\n{first}{others}{padding}")).unwrap();
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems.first());
    assert_eq!(loaded.desired.specs.iter().map(|spec| spec.output.log.redact.len()).sum::<usize>(), 128_000);
}

#[test]
fn more_expressions_than_a_line_can_bear() {
    let patterns = list(100_000, |n| format!("'x{n}('"));
    let found = problems(&format!("processes:\n  web: {{command: x, log: {{redact: [{patterns}]}}}}\n"));
    assert_eq!(found.len(), 65);
    let large = list(64, |n| format!("'\\w{{1{n}0}}{{20}}'"));
    let found = problems(&format!("processes:\n  web: {{command: x, log: {{redact: [{large}]}}}}\n"));
    assert_eq!(found.len(), 64);
}

#[test]
fn values_nested_where_none_are_expected() {
    for key in
        ["health_check", "exec_start_pre", "requires", "conflicts", "environment_file", "type", "pidfile"]
    {
        for (open, close) in
            [("[", "]"), ("{a: ", "}"), ("[{command: ", "}]"), ("{type: exec, args: [", "]}")]
        {
            for depth in [1, 3, 7, 40, 900] {
                let value = format!("{}x{}", open.repeat(depth), close.repeat(depth));
                let found = problems(&format!("processes:\n  web: {{command: x, {key}: {value}}}\n"));
                let fine = ["[x]", "[{command: x}]"].contains(&value.as_str());
                assert!(fine || found.iter().any(Problem::is_error), "{key}: {value}");
                assert!(found.len() < 10, "{key}: {value}");
            }
        }
    }
}

#[test]
fn long_values() {
    let long = "x".repeat(1 << 20);
    for text in [
        format!("exec_start_pre: '{long}'"),
        format!("exec_start_pre: '{}'", "x ".repeat(500_000)),
        format!("exec_start_pre: {{command: \"'{long}\"}}"),
        format!("health_check: {{type: http, url: 'http://{long}'}}"),
        format!("health_check: {{type: http, port: 1, path: '/{long} '}}"),
        format!("health_check: {{type: tcp, address: '{}'}}", ":".repeat(1 << 20)),
        format!("requires: ['{long}']"),
        format!("requires: {{a: '{long}'}}"),
        format!("groups: ['{long}']"),
        format!("type: '{long}'"),
        format!("condition_path_exists: '!{long}'"),
        format!("environment_file: '-{long}'"),
        format!("start_timeout: {}", "9".repeat(1 << 20)),
        format!("health_check: {{type: tcp, port: {}}}", "9".repeat(1 << 20)),
        format!("health_check: {}", "9".repeat(1 << 20)),
        format!("start_limit_burst: {}", "9".repeat(1 << 20)),
        format!("log: {{max_size: {}}}", "9".repeat(1 << 20)),
        format!("log: {{rate_limit: {}/s}}", "9".repeat(1 << 20)),
        format!("log: {{rate_limit: 1/{}}}", "9".repeat(1 << 20)),
        format!("log: {{multiline: '{}'}}", "(".repeat(1 << 20)),
        format!("log: {{redact: '{long}'}}"),
        format!("log: {{redact: '{}'}}", "(".repeat(4096)),
        format!("log: {{parse: json, json_fields: '{}'}}", "a.".repeat(1 << 19)),
        format!("exec_stop: '{}'", "http://u:p@h ".repeat(80_000)),
    ] {
        let found = problems(&format!("processes:\n  web:\n    command: x\n    {text}\n"));
        assert!(found.len() <= 2, "{}: {}", &text[..40], found.len());
    }
}
