//! Sets of definitions.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use model::{Definition, Dependency, Origin, Output, ProcessId, ProcessName, ProcessSpec};

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
            "a: these wait for each other: a -> b (`after`) -> c (`after`) -> a (`after`)",
            "b: these wait for each other: b -> c (`after`) -> a (`after`) -> b (`after`)",
            "c: these wait for each other: c -> a (`after`) -> b (`after`) -> c (`after`)",
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

fn needs(names: &[&str]) -> Option<Vec<Dependency>> {
    Some(names.iter().map(|n| Dependency { name: name(n), until: None }).collect())
}

#[test]
fn every_key_that_waits_makes_circles_and_says_so() {
    let specs = [
        spec("a", &[], |d| (d.requires, d.after) = (needs(&["fine", "b"]), Some(vec![name("b")]))),
        spec("b", &[], |d| d.wants = needs(&["c"])),
        spec("c", &[], |d| d.binds_to = needs(&["d"])),
        spec("d", &[], |_| {}),
        spec("e", &["a"], |d| d.before = Some(vec![name("d")])),
        spec("fine", &[], |d| d.conflicts = Some(vec![name("e")])),
        spec("outside", &[], |d| d.requires = needs(&["a"])),
        // Each refuses the other, and neither waits.
        spec("x", &[], |d| d.conflicts = Some(vec![name("y")])),
        spec("y", &[], |d| d.conflicts = Some(vec![name("x")])),
    ];
    let mut faults = cycles(&specs);
    faults.sort_by(|(a, _), (b, _)| a.cmp(b));
    let places: Vec<String> = faults.iter().map(|(name, fault)| format!("{name}.{}", fault.key())).collect();
    assert_eq!(places, ["a.requires[1]", "b.wants[0]", "c.binds_to[0]", "d.", "e.after[0]"]);
    assert_eq!(
        faults[0].1.message,
        "these wait for each other: a -> b (`requires`, `after`) -> c (`wants`) -> d (`binds_to`) -> e (`before` in e) \
         -> a (`after`)"
    );
}

#[test]
fn one_more_among_those_that_are_there() {
    let there = [spec("a", &["new"], |_| {}), spec("b", &["a"], |_| {}), spec("new", &["a", "b"], |_| {})];
    let circle = order_cycle(&spec("new", &[], |d| d.wants = needs(&["b"])), &there).unwrap();
    assert_eq!(
        (circle.key().as_str(), circle.message.as_str()),
        ("wants[0]", "these wait for each other: new -> b (`wants`) -> a (`after`) -> new (`after`)")
    );
    let circle = order_cycle(&spec("new", &[], |d| d.before = Some(vec![name("z"), name("b")])), &there);
    assert!(circle.is_none(), "{circle:?}");
    let circle = order_cycle(&spec("late", &["b"], |d| d.before = Some(vec![name("x"), name("a")])), &there);
    assert_eq!(circle.unwrap().key(), "after[0]");
    // A circle of others is not its own.
    let others = [spec("a", &["b"], |_| {}), spec("b", &["a"], |_| {})];
    assert!(order_cycle(&spec("new", &["a"], |_| {}), &others).is_none());
    let own = order_cycle(&spec("new", &[], |d| d.binds_to = needs(&["new"])), &[]).unwrap();
    assert_eq!((own.key().as_str(), own.message.as_str()), ("binds_to[0]", "new can't wait for itself"));
}

#[test]
fn names_that_nobody_has() {
    let web = spec("web", &["dbb"], |d| {
        d.requires = needs(&["db", "dbb"]);
        d.conflicts = Some(vec![name("nowhere")]);
    });
    let (db, own) = (name("db"), name("web"));
    let known: BTreeSet<&ProcessName> = [&db, &own].into();
    let mut left = 4;
    let said: Vec<String> = unknown_names(&web, &known, &mut left)
        .iter()
        .map(|f| format!("{}: {}", f.key(), f.hint.clone().unwrap()))
        .collect();
    // The search is given up at some point, the warning is not.
    assert_eq!(
        said,
        [
            "after[0]: did you mean `db`?",
            "conflicts[0]: define it, or remove the name",
            "requires[1]: define it, or remove the name"
        ]
    );
    assert_eq!(left, 0);
}

#[test]
fn rivals_are_both_at_fault() {
    let specs = [
        spec("a", &[], |d| d.wants = needs(&["x", "b"])),
        spec("b", &[], |d| d.conflicts = Some(vec![name("y"), name("a")])),
        spec("c", &["b"], |_| {}),
    ];
    let found: Vec<String> =
        rivals(&specs).iter().map(|(name, fault)| format!("{name}.{}", fault.key())).collect();
    assert_eq!(found, ["a.wants[1]", "b.conflicts[1]"]);
}

#[test]
fn two_that_conflict_are_doubted_once_and_only_where_both_start() {
    let conflicting = |own: &str, other: &str| spec(own, &[], |d| d.conflicts = Some(vec![name(other)]));
    let found = |specs: &[ProcessSpec]| -> Vec<String> {
        doubts(specs).iter().map(|(name, fault)| format!("{name}.{}", fault.key())).collect()
    };
    let mut specs = [conflicting("a", "b"), conflicting("b", "a"), conflicting("c", "nowhere")];
    assert_eq!(found(&specs), ["a.conflicts[0]"]);
    specs[1].auto_start = false;
    assert!(found(&specs).is_empty());
}
