//! The arrows between the crates, and the purity of the state machine (docs/ARCHITECTURE.md).
//!
//! A reads: A may depend on B. What is not in the table is forbidden, so a new crate has to be written into it first.

#[path = "support/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cargo_metadata::{DependencyKind, MetadataCommand};
use source::{Violation, code_of, files, none_of, root, words};

/// Product crates and the crates of this workspace that each may depend on.
const PRODUCT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sys", &[]),
    ("tls", &[]),
    ("config", &["model"]),
    ("supervisor", &["model", "sys"]),
    ("logpipe", &["model", "sys"]),
    ("metrics", &["model", "tls"]),
    ("rpc", &["model", "tls"]),
    ("health", &["model"]),
    ("cli", &["rpc", "config", "model"]),
    ("daemon", &["model", "config", "sys", "supervisor", "logpipe", "metrics", "rpc", "health", "tls"]),
];

/// Crates that are never shipped. They may use any product library, but not the binaries' crates.
const DEV: &[&str] = &["testkit", "xtask", "benches"];
/// Crates that nothing may depend on: they are where everything comes together.
const TOP: &[&str] = &["daemon", "cli"];
/// What any crate may use for its tests beside its own arrows.
const FOR_TESTS: &str = "testkit";

/// One `[dependencies]` entry.
struct Arrow {
    from: String,
    to: String,
    kind: DependencyKind,
    /// Whether `to` is a crate of this workspace.
    inner: bool,
}

/// Every declared dependency of every crate of the workspace, and the manifests' paths.
fn arrows() -> (Vec<Arrow>, BTreeMap<String, String>) {
    let manifest = root().join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata");
    let mut manifests = BTreeMap::new();
    let mut arrows = Vec::new();
    for package in &metadata.packages {
        let path = package.manifest_path.strip_prefix(&metadata.workspace_root).expect("in the workspace");
        manifests.insert(package.name.to_string(), path.to_string());
        arrows.extend(package.dependencies.iter().map(|dependency| Arrow {
            from: package.name.to_string(),
            to: dependency.name.clone(),
            kind: dependency.kind,
            inner: dependency.path.is_some(),
        }));
    }
    (arrows, manifests)
}

/// Why this arrow is forbidden; `None` = it is allowed.
fn objection(arrow: &Arrow) -> Option<String> {
    let Arrow { from, to, kind, inner } = arrow;
    let for_tests = *kind == DependencyKind::Development;
    if from == "model" && !for_tests {
        return Some(format!("model -> {to}: the vocabulary is std only, it depends on nothing"));
    }
    if !inner {
        return None;
    }
    if TOP.contains(&to.as_str()) {
        return Some(format!("{from} -> {to}: nothing depends on {to}"));
    }
    if DEV.contains(&from.as_str()) {
        return None;
    }
    if to == FOR_TESTS && for_tests {
        return None;
    }
    if DEV.contains(&to.as_str()) {
        return Some(format!("{from} -> {to}: {to} is for development only, it is never shipped"));
    }
    match PRODUCT.iter().find(|(name, _)| name == from) {
        None => Some(format!("{from} is not in the table of crates: write its allowed arrows there first")),
        Some((_, allowed)) if allowed.contains(&to.as_str()) => None,
        Some((_, [])) => Some(format!("{from} -> {to}: {from} depends on no other crate of the workspace")),
        Some((_, allowed)) => {
            Some(format!("{from} -> {to}: {from} may depend on {} and nothing else", allowed.join(", ")))
        }
    }
}

/// The first line of a manifest that names this dependency.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let text = fs::read_to_string(root().join(manifest)).expect("a manifest that cargo has read");
    let names = |line: &str| {
        let rest = line.trim_start().strip_prefix(dependency);
        rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
    };
    text.lines().position(names).map_or(1, |index| index + 1)
}

#[test]
fn arrows_go_one_way() {
    let (arrows, manifests) = arrows();
    let violations = arrows.iter().filter_map(|arrow| {
        let manifest = &manifests[&arrow.from];
        objection(arrow).map(|message| Violation::at(manifest, line_of(manifest, &arrow.to), message))
    });
    none_of("the arrows of docs/ARCHITECTURE.md", violations.collect());
}

#[test]
fn the_table_names_exactly_the_crates_of_the_workspace() {
    let (_, manifests) = arrows();
    let present: BTreeSet<&str> = manifests.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = PRODUCT.iter().map(|(name, _)| *name).chain(DEV.iter().copied()).collect();
    assert_eq!(known, present, "left: the table in xtask/tests/arrows.rs, right: the workspace");
}

#[test]
fn forbidden_arrows_are_found() {
    let arrow = |from: &str, to: &str, kind, inner| Arrow { from: from.into(), to: to.into(), kind, inner };
    let normal = DependencyKind::Normal;
    for (from, to) in [
        ("supervisor", "config"),
        ("supervisor", "logpipe"),
        ("supervisor", "metrics"),
        ("supervisor", "rpc"),
        ("logpipe", "supervisor"),
        ("metrics", "supervisor"),
        ("rpc", "supervisor"),
        ("metrics", "logpipe"),
        ("rpc", "metrics"),
        ("health", "rpc"),
        ("supervisor", "health"),
        ("sys", "model"),
        ("tls", "model"),
        ("health", "tls"),
        ("cli", "supervisor"),
        ("cli", "daemon"),
        ("testkit", "daemon"),
        ("config", "testkit"),
        ("stranger", "model"),
    ] {
        assert!(objection(&arrow(from, to, normal, true)).is_some(), "{from} -> {to} was let through");
    }
    assert!(objection(&arrow("model", "serde", normal, false)).is_some(), "model is std only");
    assert!(objection(&arrow("model", "cc", DependencyKind::Build, false)).is_some(), "model is std only");
    let dev = DependencyKind::Development;
    assert!(objection(&arrow("supervisor", "logpipe", dev, true)).is_some(), "tests add testkit only");
    assert!(objection(&arrow("supervisor", "testkit", dev, true)).is_none());
    assert!(objection(&arrow("model", "proptest", dev, false)).is_none());
    assert!(objection(&arrow("daemon", "supervisor", normal, true)).is_none());
}

/// Types that read a clock; the machine is told the time.
const CLOCKS: &[&str] = &["Instant", "SystemTime"];
/// Modules of std that reach outside.
const OUTSIDE: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread"];
/// Crates that reach outside, or that would make an inner type a promise to a stranger.
const FOREIGN: &[&str] = &["libc", "nix", "rustix", "serde", "sys", "tokio", "tracing"];

/// What of this file's code reaches outside of the machine.
fn impure(path: &str, text: &str) -> Vec<Violation> {
    let code = code_of(text);
    let mut found = Vec::new();
    let mut line_start = 0;
    for (index, line) in code.lines().enumerate() {
        let mut report = |what: &str| {
            let message =
                format!("`{what}`: the machine does no I/O, reads no clock and links no system crate");
            found.push(Violation::at(path, index + 1, message));
        };
        for (column, word) in words(line) {
            let before = code[..line_start + column].trim_end();
            let after = code[line_start + column + word.len()..].trim_start();
            let in_path = before.ends_with("::");
            if CLOCKS.contains(&word) {
                report(word);
            }
            let names_crate = after.starts_with("::") || after.starts_with(" as ") || before.ends_with("use");
            if FOREIGN.contains(&word) && !in_path && names_crate {
                report(word);
            }
            if word == "std"
                && let Some(rest) = after.strip_prefix("::")
            {
                top_names(rest)
                    .filter(|name| OUTSIDE.contains(name))
                    .for_each(|n| report(&format!("std::{n}")));
            }
        }
        line_start += line.len() + 1;
    }
    found
}

/// What stands directly below `std::`: one name, or the first names of a group.
fn top_names(rest: &str) -> impl Iterator<Item = &str> {
    let rest = rest.trim_start();
    let names = match rest.strip_prefix('{') {
        None => vec![rest],
        Some(group) => {
            let mut depth = 0_i32;
            let close = group.find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth < 0
            });
            let group = &group[..close.unwrap_or(group.len())];
            let mut depth = 0_i32;
            group
                .split(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                })
                .collect()
        }
    };
    names.into_iter().filter_map(|name| words(name).next().map(|(_, word)| word))
}

#[test]
fn the_machine_is_pure() {
    let machine = files(&["crates/supervisor/src"], "rs").into_iter().filter(|(path, _)| {
        path.starts_with("crates/supervisor/src/machine.rs")
            || path.starts_with("crates/supervisor/src/machine/")
    });
    let machine: Vec<_> = machine.collect();
    assert!(machine.len() > 5, "the machine was not found where it is looked for");
    let violations = machine.iter().flat_map(|(path, text)| impure(path, text)).collect();
    none_of("supervisor::machine is pure", violations);
}

#[test]
fn impurity_is_found() {
    let lines = |text: &str| -> Vec<String> { impure("m.rs", text).into_iter().map(|v| v.place).collect() };
    for bad in [
        "use std::time::Instant;",
        "let now = std::time::SystemTime::now();",
        "use std::time::{Duration, Instant};",
        "use std::fs;",
        "use std::{\n    collections::BTreeMap,\n    io::{self, Read},\n};",
        "fn f() -> std::io::Result<()> { Ok(()) }",
        "std :: thread::sleep(d);",
        "use nix::unistd;",
        "use tokio;",
        "libc::kill(1, 9);",
        "use sys::pidfd;",
    ] {
        assert_eq!(lines(bad), ["m.rs:1"], "{bad}");
    }
    for good in [
        "use std::time::Duration;",
        "// std::fs and tokio::spawn are for others",
        "let text = \"std::io\";",
        "pub use io::{Effect, Input};\nuse super::io::Ticket;",
        "use std::collections::{BTreeMap, HashMap};",
        "let sys = 1; let io = sys + 1;",
    ] {
        assert!(lines(good).is_empty(), "{good}");
    }
    assert_eq!(lines("\n\nuse std::net::TcpStream;\n"), ["m.rs:3"]);
}
