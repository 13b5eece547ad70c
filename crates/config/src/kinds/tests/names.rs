//! Groups, types and dependencies.

use model::{Dependency, ProcessType};

use super::super::{Groups, Needs, TypeKind};
use super::*;

#[test]
fn groups() {
    let names = read::<Groups>("[web, 1, a.b-c_d]").unwrap();
    assert_eq!(names, ["web", "1", "a.b-c_d"]);
    assert!(read::<Groups>("[]").unwrap().is_empty());
    assert!(read::<Groups>(&format!("[{}]", "x".repeat(64))).is_ok());
    for (yaml, part) in [
        ("web", "expected a list"),
        ("[\"@web\"]", "`@web` can't be a group's name"),
        ("[-x]", "`-x` can't be"),
        ("[\"\"]", "`` can't be"),
        ("[a b]", "`a b` can't be"),
        ("[é]", "`é` can't be"),
        ("[{a: b}]", "found a mapping"),
    ] {
        is_refused::<Groups>(yaml, part);
    }
    is_refused::<Groups>(&format!("[{}]", "x".repeat(65)), "can't be a group's name");
}

#[test]
fn types() {
    for kind in ProcessType::ALL {
        assert_eq!(read::<TypeKind>(kind.as_str()), Ok(kind));
    }
    for yaml in ["Notify", "true", "1", "dbus", "[oneshot]", "null"] {
        is_refused::<TypeKind>(yaml, "expected `simple`, `notify`, `oneshot` or `forking`");
    }
}

fn needs(yaml: &str) -> Vec<String> {
    read::<Needs>(yaml).unwrap().iter().map(Dependency::to_string).collect()
}

#[test]
fn dependencies() {
    let expected = ["db: healthy", "cache", "migrate: completed"];
    assert_eq!(needs("[{db: healthy}, cache, {migrate: completed}]"), expected);
    assert_eq!(needs("\n  - db: healthy\n  - cache\n  - migrate: completed"), expected);
    assert_eq!(needs("{db: started, migrate: ready}"), ["db: started", "migrate: ready"]);
    // Names that YAML takes for something else.
    assert_eq!(needs("[1, true, {2: ready}]"), ["1", "true", "2: ready"]);
    assert!(needs("[]").is_empty() && needs("{}").is_empty());
    assert_eq!(written::<Needs>("[{db: healthy}, cache]"), "- db: healthy\n- cache");
    assert_eq!(
        needs(&format!("[{}]", (0..1000).map(|n| format!("p{n}")).collect::<Vec<_>>().join(","))).len(),
        1000
    );
    for (yaml, part) in [
        ("db", "expected a list, found the text `db`"),
        ("null", "expected a list, found null"),
        ("", "expected a list, found nothing"),
        ("[[db]]", "expected the name of a process, found a list"),
        ("[null]", "expected the name of a process, found null"),
        ("[a/b]", "holds letters, digits"),
        ("{a/b: ready}", "holds letters, digits"),
        ("[{a: ready, b: ready}]", "expected one name with its word, found a mapping of 2"),
        ("[{}]", "found a mapping of 0"),
        ("{db: }", "expected a word, found nothing"),
        ("[{db: up}]", "expected `started`, `ready`, `healthy` or `completed`, found `up`"),
        ("{db: {condition: service_healthy}}", "expected a word, found a mapping"),
        ("{db: [healthy]}", "found a list"),
        ("[db, db]", "`db` stands here a second time"),
        ("[db, {db: healthy}]", "`db` stands here a second time"),
        ("!db", "found a value with the tag"),
    ] {
        is_refused::<Needs>(yaml, part);
    }
}
