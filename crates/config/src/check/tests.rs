//! Sets of definitions.

use std::time::{Duration, Instant};

use model::{Definition, Origin, ProcessId};

use super::*;

fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn spec(own: &str, after: &[&str], change: impl FnOnce(&mut Definition)) -> ProcessSpec {
    let mut definition = Definition {
        command: Some("x".to_owned()),
        after: Some(after.iter().map(|n| name(n)).collect()),
        ..Definition::default()
    };
    change(&mut definition);
    let id = ProcessId::from_digest([0; 6]);
    crate::resolve(&name(own), id, Origin::Runtime, &definition, &Definition::default()).unwrap()
}

fn found(specs: &[ProcessSpec]) -> Vec<String> {
    cycles(specs).iter().map(|(name, fault)| format!("{name}: {}", fault.message)).collect()
}

#[test]
fn only_members_of_a_circle_are_named() {
    let specs = [
        spec("a", &["b"], |_| {}),
        spec("b", &["c", "leaf"], |_| {}),
        spec("c", &["a"], |_| {}),
        spec("leaf", &[], |_| {}),
        spec("outside", &["a"], |_| {}),
        spec("self", &["self"], |_| {}),
    ];
    let mut found = found(&specs);
    found.sort();
    assert_eq!(
        found,
        [
            "a: these wait for each other: a -> b -> c -> a",
            "b: these wait for each other: b -> c -> a -> b",
            "c: these wait for each other: c -> a -> b -> c",
            "self: self can't wait for itself",
        ]
    );
}

#[test]
fn before_counts_as_after_of_the_other() {
    let specs = [spec("a", &["b"], |_| {}), spec("b", &[], |d| d.after = Some(vec![name("a")]))];
    assert_eq!(found(&specs).len(), 2);
    let specs = [spec("a", &["b"], |_| {}), spec("b", &[], |d| d.before = Some(vec![name("a")]))];
    assert!(found(&specs).is_empty());
    let specs = [
        spec("a", &[], |d| d.before = Some(vec![name("b")])),
        spec("b", &[], |d| d.before = Some(vec![name("a")])),
    ];
    assert_eq!(found(&specs).len(), 2);
}

#[test]
fn ten_thousand_in_a_row_or_a_circle() {
    let count = 10_000;
    let chain = |first: &[&str]| -> Vec<ProcessSpec> {
        (0..count)
            .map(|i| match i {
                0 => spec("p0", first, |_| {}),
                _ => spec(&format!("p{i}"), &[&format!("p{}", i - 1)], |_| {}),
            })
            .collect()
    };
    let began = Instant::now();
    assert!(cycles(&chain(&[])).is_empty());
    let circle = cycles(&chain(&["p9999"]));
    assert_eq!(circle.len(), count);
    assert!(circle[0].1.message.ends_with("... (10000 in all)"), "{}", circle[0].1);
    // A bound against quadratic work, not a measure: it takes half a second in a debug build.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn a_new_process_against_those_that_are_there() {
    let there =
        [spec("web", &[], |_| {}), spec("db", &[], |d| d.stderr = Some(Output::File("/l/db".into())))];
    let dir = Path::new("/l");
    let with = |own: &str, path: &str| spec(own, &[], |d| d.stdout = Some(Output::Direct(path.into())));
    let fault = log_conflict(&with("new", "/l//web.log"), &there, dir).unwrap();
    assert_eq!(
        (fault.key().as_str(), fault.message.as_str()),
        ("stdout", "new and web both write their output to /l/web.log")
    );
    assert!(log_conflict(&with("new", "/l/./db"), &there, dir).is_some());
    assert!(log_conflict(&with("new", "/l/other"), &there, dir).is_none());
    assert!(log_conflict(&with("web", "/l/web.log"), &there, dir).is_none());
}
