//! What the parser's pass keeps, and what it bounds.

use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::tree::Step;

fn source(text: &str) -> Source {
    Source::from_bytes(Path::new("t.yaml"), text.into()).unwrap()
}

fn tree(text: &str) -> Node {
    parse(&source(text)).unwrap().unwrap()
}

fn fails(text: &str) -> Problem {
    match Source::from_bytes(Path::new("t.yaml"), text.into()) {
        Ok(source) => *parse(&source).unwrap_err(),
        Err(problem) => *problem,
    }
}

fn key(text: &str) -> Step {
    Step::Key(text.to_owned())
}

/// `line:column+width` of a value.
fn at(node: &Node, path: &[Step]) -> String {
    let Span { line, column, width } = node.locate(path, false);
    format!("{line}:{column}+{width}")
}

#[test]
fn every_scalar_knows_its_place() {
    let node = tree("a: 1\nb:\n  - x\n  - 'y z'\n  - {c: [2, true]}\nd: |\n  t\ne:   ~\nf:\n");
    for (path, expected) in [
        (vec![key("a")], "1:4+1"),
        (vec![key("b")], "2:1+1"),
        (vec![key("b"), Step::Index(0)], "3:5+1"),
        (vec![key("b"), Step::Index(1)], "4:5+5"),
        (vec![key("b"), Step::Index(2), key("c"), Step::Index(1)], "5:13+4"),
        (vec![key("d")], "6:4+1"),
        (vec![key("e")], "8:6+1"),
        (vec![key("f")], "9:1+1"),
        (vec![key("b"), Step::Index(7)], "2:1+1"),
        (vec![key("a"), key("x")], "1:4+1"),
    ] {
        assert_eq!(at(&node, &path), expected, "{path:?}");
    }
    assert_eq!(node.locate(&[key("e")], true), Span { line: 8, column: 1, width: 1 });
}

#[test]
fn columns_count_characters() {
    assert_eq!(at(&tree("ä: {ö: ü}"), &[key("ä"), key("ö")]), "1:8+1");
    assert_eq!(at(&tree("\u{feff}a: b"), &[key("a")]), "1:4+1");
}

#[test]
fn scalars_keep_their_spelling() {
    let node = tree("[1.10, 0x1F, TRUE, 007, \"2\", &x 1.50, ! 1, !!int 3, ~, 1e3, +5]");
    let Yaml::List(items) = node.value else { panic!("not a list") };
    let found: Vec<String> = items.iter().map(|i| format!("{:?}", i.value)).collect();
    assert_eq!(
        found,
        [
            "Number(\"1.10\")",
            "Number(\"0x1F\")",
            "Bool(true, \"TRUE\")",
            "Text(\"007\")",
            "Text(\"2\")",
            "Number(\"1.50\")",
            "Tagged(\"!\")",
            "Number(\"3\")",
            "Null(\"~\")",
            "Number(\"1e3\")",
            "Number(\"+5\")"
        ]
    );
}

#[test]
fn merges_and_aliases_stand_where_they_were_written() {
    let node =
        tree("base: &b {x: 1, y: 2}\nother: &o\n  y: 3\n  z: 4\nuse:\n  <<: [*o, *b]\n  z: 5\ncopy: *b\n");
    assert_eq!(at(&node, &[key("use"), key("x")]), "1:14+1");
    assert_eq!(at(&node, &[key("use"), key("y")]), "3:6+1");
    assert_eq!(at(&node, &[key("use"), key("z")]), "7:6+1");
    assert_eq!(at(&node, &[key("copy"), key("x")]), "1:14+1");
    assert_eq!(at(&node, &[key("copy")]), "8:1+4");
    assert!(node.flaws().is_empty());
    assert_eq!(at(&tree("a: {\"<<\": x}"), &[key("a"), key("<<")]), "1:11+1");
}

#[test]
fn flaws_of_keys() {
    let node = tree("a:\n  b: 1\n  c: 2\n  b: 3\n? [x]\n: 1\nm: {<<: 5}\n");
    let found: Vec<String> =
        node.flaws().iter().map(|(path, f)| format!("{path:?} {}: {}", f.at.line, f.message)).collect();
    assert_eq!(
        found,
        [
            "[] 5: a key must be a text, this is a list",
            "[Key(\"a\"), Key(\"b\")] 4: `b` is defined a second time; first defined on line 2",
            "[Key(\"m\")] 7: `<<` merges mappings, this is the number 5",
        ]
    );
}

#[test]
fn nothing_is_nothing() {
    for text in ["", "# only a comment\n", "---\n", "~", "\u{feff}"] {
        assert!(parse(&source(text)).unwrap().is_none(), "{text:?}");
    }
}

#[test]
fn a_second_document_is_an_error_at_its_place() {
    let problem = fails("a: 1\n---\nb: 2\n");
    assert_eq!(problem.place.map(|p| (p.line, p.column)), Some((3, 1)));
}

#[test]
fn texts_that_would_take_minutes_take_no_time() {
    let nested = 10_000;
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for i in 1..12 {
        let before = format!("*a{}", i - 1);
        bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![before; 9].join(",")));
    }
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(20_000), "*a,".repeat(20_000));
    let tags: String = (0..50_000).map(|i| format!("%TAG !a{i}! x\n")).collect();
    for (name, text) in [
        ("laughs", bomb),
        ("quadratic", wide),
        ("brackets", "[".repeat(nested)),
        ("balanced", "[".repeat(500) + &"]".repeat(500)),
        ("braces", "{a: ".repeat(nested)),
        ("dashes", "- ".repeat(1 << 17)),
        ("questions", "? ".repeat(1 << 17)),
        ("tags", tags),
        ("long text", format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(100_000))),
        ("long key", format!("? {}\n: [{}]\n", "x".repeat(1 << 20), "x,".repeat(100_000))),
        ("not ascii", format!("ä: &a [{}]\nb: [{}]\n", "x,".repeat(20_000), "*a,".repeat(20_000))),
    ] {
        let began = Instant::now();
        let problem = fails(&text);
        assert!(!problem.message.is_empty(), "{name}");
        // A bound against hanging, not a measure: the slowest takes 2 s in a debug build.
        assert!(began.elapsed() < Duration::from_secs(60), "{name} took {:?}", began.elapsed());
    }
}
