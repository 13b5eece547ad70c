//! Nothing panics on any input, and what is written is read back.

#[path = "support/definitions.rs"]
mod definitions;
#[path = "support/layout.rs"]
mod layout;

use config::{LoadError, Loaded, Main, load, merge_update, render};
use definitions::definition;
use layout::layout;
use model::{Definition, ProcessId, ProcessName};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn load_main(bytes: &[u8]) -> Result<Loaded, LoadError> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("input.yaml"), bytes).expect("writing");
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
    std::fs::write(dir.path().join("input.yaml"), "").expect("writing");
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

const GOOD: [&str; 2] =
    [include_str!("cases/good_values/input.yaml"), include_str!("cases/good_starts/input.yaml")];

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
        "type: ",
        "- db: ",
        "!/x",
        "health_check: ",
        "exec_stop: ",
        "requires: ",
        "{command: a, args: ",
    ];
    let edit = (any::<prop::sample::Index>(), 0_usize..8, select(BITS));
    (select(&GOOD[..]), vec(edit, 1..6)).prop_map(|(good, edits)| {
        let mut text: Vec<char> = good.chars().collect();
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
    fn what_is_rendered_is_read_back(definition in definition().boxed()) {
        same_after_round_trip(&definition)?;
    }

    /// What was kept is what is updated; and what is taken back is gone, whatever stays.
    #[test]
    fn updates_of_what_was_kept(earlier in definition().boxed(), later in definition().boxed()) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let name = ProcessName::new("web").expect("a name");
        if config::write_runtime(dir.path(), &name, &earlier).is_ok() {
            // Through YAML: a jitter of -0 is 0, and an empty mapping below `log:` is none.
            let kept = config::runtime_definition(dir.path(), &name).expect("reading").expect("a definition");
            prop_assert_eq!(render(&kept), render(&earlier));
        }
        let updated = merge_update(Some(earlier.clone()), &later, &[]).expect("nothing to complain about");
        let again = merge_update(Some(updated.clone()), &later, &[]).expect("nothing to complain about");
        prop_assert_eq!(&again, &updated);
        let keys: Vec<String> = render(&earlier).lines().filter(|line| !line.starts_with([' ', '-', '{']))
            .map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
        let bare = merge_update(Some(earlier), &Definition::default(), &keys).expect("known keys");
        prop_assert!(config::is_empty(&bare), "{:?}", bare);
    }
}
