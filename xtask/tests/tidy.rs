//! Rules of the house that a compiler does not check: size and shape of files, where `unsafe` stands, what is left
//! open, and whether the documents hold together.

#[path = "support/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use source::{Violation, code_of, files, none_of, root, words};

/// Where Rust code of this workspace lies.
const CODE: &[&str] = &["crates", "xtask", "benches"];

/// Most production lines of a file: those above its first `#[cfg(test)]`.
const MAX_LINES: usize = 700;
/// Declarative tables, which stay readable at any length.
const TABLES: &[&str] = &[];

/// The only place where `unsafe` may stand.
const UNSAFE_HOME: &str = "crates/sys/";

fn rust() -> Vec<(String, String)> {
    let files = files(CODE, "rs");
    assert!(files.len() > 20, "the code was not found where it is looked for");
    files
}

/// Tests, benches and examples: not production code.
fn is_test(path: &str) -> bool {
    let dir = |name: &str| path.contains(&format!("/{name}/")) || path.starts_with(&format!("{name}/"));
    path.ends_with("/tests.rs") || dir("tests") || dir("benches") || dir("examples")
}

fn production_lines(text: &str) -> usize {
    text.lines().take_while(|line| !line.trim_start().starts_with("#[cfg(test)]")).count()
}

fn check_module_doc(path: &str, text: &str) -> Option<Violation> {
    let message = "the first line is `//!` and says what the file is for";
    (!text.starts_with("//!")).then(|| Violation::at(path, 1, message))
}

fn check_length(path: &str, text: &str) -> Option<Violation> {
    let lines = production_lines(text);
    let exempt = is_test(path) || TABLES.contains(&path);
    (lines > MAX_LINES && !exempt).then(|| {
        let message = format!("{lines} production lines, at most {MAX_LINES}: one idea a file");
        Violation::at(path, lines, message)
    })
}

fn check_unsafe(path: &str, text: &str) -> Vec<Violation> {
    if path.starts_with(UNSAFE_HOME) {
        return Vec::new();
    }
    let message = format!("`unsafe` stands only in {UNSAFE_HOME}");
    let code = code_of(text);
    let lines = code.lines().enumerate().filter(|(_, line)| words(line).any(|(_, word)| word == "unsafe"));
    lines.map(|(index, _)| Violation::at(path, index + 1, message.clone())).collect()
}

fn check_left_open(path: &str, text: &str) -> Vec<Violation> {
    let code = code_of(text);
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        for (column, word) in words(line) {
            let left_open = matches!(word, "todo" | "unimplemented" | "dbg");
            if left_open && line[column + word.len()..].starts_with('!') {
                found.push(Violation::at(path, index + 1, format!("`{word}!` is not for code that is kept")));
            }
        }
    }
    found
}

/// Retries turn a flaky test into a green one.
fn check_retries(path: &str, text: &str) -> Vec<Violation> {
    let lines = text.lines().enumerate();
    let retries = lines.filter(|(_, line)| {
        let code = line.split('#').next().unwrap_or_default();
        code.contains("--retries")
            || words(code).any(|(_, word)| word == "retries") && path.ends_with(".toml")
    });
    let message = "no retries: a flaky test is a bug";
    retries.map(|(index, _)| Violation::at(path, index + 1, message)).collect()
}

#[test]
fn every_file_says_what_it_is_for() {
    none_of("module docs", rust().iter().filter_map(|(path, text)| check_module_doc(path, text)).collect());
}

#[test]
fn no_file_is_too_long() {
    let files = rust();
    none_of("file length", files.iter().filter_map(|(path, text)| check_length(path, text)).collect());
    for table in TABLES {
        let long = files.iter().any(|(path, text)| path == table && production_lines(text) > MAX_LINES);
        assert!(long, "xtask/tests/tidy.rs: {table} needs no exemption: take it out of TABLES");
    }
}

#[test]
fn unsafe_has_one_home() {
    none_of("unsafe code", rust().iter().flat_map(|(path, text)| check_unsafe(path, text)).collect());
}

#[test]
fn nothing_is_left_open() {
    none_of("code left open", rust().iter().flat_map(|(path, text)| check_left_open(path, text)).collect());
}

#[test]
fn no_retries_hide_a_flaky_test() {
    let mut violations = Vec::new();
    for dir in [".config", ".ci", ".cargo"] {
        for entry in fs::read_dir(root().join(dir)).into_iter().flatten() {
            let path = entry.expect("a readable directory").path();
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let short = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            violations.extend(check_retries(&short, &text));
        }
    }
    none_of("retries", violations);
}

/// A decision's file name: `0007-some-words.md`.
fn adr_number(name: &str) -> Option<usize> {
    let (number, words) = name.strip_suffix(".md")?.split_once('-')?;
    (number.len() == 4 && !words.is_empty()).then(|| number.parse().ok()).flatten()
}

#[test]
fn every_decision_is_numbered_listed_and_complete() {
    let index = fs::read_to_string(root().join("docs/adr/README.md")).expect("docs/adr/README.md");
    let mut violations = Vec::new();
    let mut numbers = BTreeSet::new();
    let decisions: Vec<_> =
        files(&["docs/adr"], "md").into_iter().filter(|(p, _)| !p.ends_with("README.md")).collect();
    assert!(!decisions.is_empty(), "docs/adr holds no decision");
    for (path, text) in decisions {
        let name = path.rsplit('/').next().unwrap_or_default();
        match adr_number(name) {
            Some(number) if numbers.insert(number) => {}
            Some(number) => {
                violations.push(Violation::at(&path, 1, format!("a second decision {number:04}")));
            }
            None => violations.push(Violation::at(&path, 1, "its name is not NNNN-title.md")),
        }
        if !index.contains(&format!("]({name})")) {
            violations.push(Violation::at("docs/adr/README.md", 1, format!("does not list {name}")));
        }
        for section in ["## Context", "## Decision", "## Consequences"] {
            if !text.lines().any(|line| line == section) {
                violations.push(Violation::at(&path, 1, format!("has no section `{section}`")));
            }
        }
    }
    none_of("decisions", violations);
    let last = numbers.last().copied().unwrap_or_default();
    assert!(numbers.into_iter().eq(1..=last), "docs/adr: the numbers have a gap");
}

/// `[text](target)` outside of code.
struct Link<'a> {
    line: usize,
    text: &'a str,
    target: &'a str,
}

fn links(text: &str) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let in_code = line[..at].matches('`').count() % 2 == 1;
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            let text = line[..at].rsplit('[').next().unwrap_or_default();
            if !in_code {
                found.push(Link { line: index + 1, text, target });
            }
        }
    }
    found
}

/// The anchors of a document's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

/// `a/b/../c` as `a/c`, without asking the file system.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut done, part| {
        match part {
            Component::ParentDir => {
                done.pop();
            }
            Component::CurDir => {}
            other => done.push(other),
        }
        done
    })
}

/// The item that a link such as `[`some_test`](../crates/x/tests/a.rs)` promises to be in that file.
fn promised_item(text: &str) -> Option<&str> {
    let item = text.strip_prefix('`')?.strip_suffix('`')?;
    item.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(item)
}

fn check_links(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for Link { line, text: shown, target: link } in links(text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
        let file = match target {
            "" => PathBuf::from(path),
            target => normal(&Path::new(path).parent().unwrap_or(Path::new("")).join(target)),
        };
        let full = root().join(&file);
        let is = |extension: &str| file.extension().is_some_and(|e| e == extension);
        let mut report = |message: String| found.push(Violation::at(path, line, message));
        let content = || fs::read_to_string(&full).unwrap_or_default();
        if !full.exists() {
            report(format!("the link {link} leads nowhere"));
        } else if !anchor.is_empty() && is("md") {
            let known = if target.is_empty() { anchors(text) } else { anchors(&content()) };
            if !known.contains(anchor) {
                report(format!("{link}: no such heading"));
            }
        } else if let Some(item) = promised_item(shown)
            && is("rs")
            && !words(&code_of(&content())).any(|(_, word)| word == item)
        {
            report(format!("there is no `{item}` in {}", file.display()));
        }
    }
    found
}

#[test]
fn links_between_documents_resolve() {
    let documents = files(&[""], "md");
    assert!(documents.iter().any(|(path, _)| path == "README.md"), "the documents were not found");
    none_of("links", documents.iter().flat_map(|(path, text)| check_links(path, text)).collect());
}

#[test]
fn each_rule_finds_what_breaks_it() {
    assert!(check_module_doc("crates/x/src/a.rs", "use std::fmt;\n").is_some());
    assert!(check_module_doc("crates/x/src/a.rs", "//! A.\n").is_none());

    let long = "fn f() {}\n".repeat(MAX_LINES + 1);
    assert!(check_length("crates/x/src/a.rs", &long).is_some());
    assert!(check_length("crates/x/tests/a.rs", &long).is_none(), "tests are not production code");
    let mostly_tests = format!("fn f() {{}}\n#[cfg(test)]\n{long}");
    assert!(check_length("crates/x/src/a.rs", &mostly_tests).is_none());

    let places = |found: Vec<Violation>| -> Vec<String> { found.into_iter().map(|v| v.place).collect() };
    let bad = "// unsafe in prose\nlet a = \"unsafe\";\nunsafe { f() }\n#![deny(unsafe_code)]\n";
    assert_eq!(places(check_unsafe("crates/x/src/a.rs", bad)), ["crates/x/src/a.rs:3"]);
    assert!(check_unsafe("crates/sys/src/a.rs", bad).is_empty());

    let bad =
        "let a = r#\"todo!(\"#;\n/* dbg!(a) */ todo!();\nif b { unimplemented!(\"c\") }\nlet todo = !b;\n";
    assert_eq!(places(check_left_open("a.rs", bad)), ["a.rs:2", "a.rs:3"]);

    let bad = "[profile.default]\n# retries = 1 is not allowed\nretries = 2\n";
    assert_eq!(places(check_retries("nextest.toml", bad)), ["nextest.toml:3"]);
    assert_eq!(places(check_retries("run", "a\ncargo nextest run --retries 3\n")), ["run:2"]);

    assert_eq!(adr_number("0007-a-title.md"), Some(7));
    assert_eq!(adr_number("7-a-title.md"), None);
    assert_eq!(adr_number("0007.md"), None);

    let bad = "[a](README.md)\n`[b](gone.md)`\n```\n[c](gone.md)\n```\n[d](gone.md) [e](docs/gone.md#x)\n[f](#no)\n";
    assert_eq!(
        places(check_links("CONTRIBUTING.md", bad)),
        ["CONTRIBUTING.md:6", "CONTRIBUTING.md:6", "CONTRIBUTING.md:7"]
    );
    let bad = "[`links`](xtask/tests/tidy.rs) [`no_such_test_at_all`](xtask/tests/arrows.rs)\n";
    assert_eq!(places(check_links("x.md", bad)), ["x.md:1"]);
    assert!(
        check_links("README.md", "# A `b`, c\n[g](#a-b-c) [h](https://example.org/gone.md)\n").is_empty()
    );
}
