//! docs/CONFIG.md is what the table of keys says. `UPDATE_DOCS=1 cargo test -p config --test docs` rewrites it.

#[path = "support/layout.rs"]
mod layout;

use std::path::Path;

use config::{Main, Problem, load};
use layout::layout;
use model::ProcessId;

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFIG.md");
    let generated = config::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs: Vec<String> = generated
        .lines()
        .zip(found.lines().chain(std::iter::repeat("(nothing)")))
        .filter(|(new, old)| new != old)
        .take(5)
        .map(|(new, old)| format!("- {old}\n+ {new}"))
        .collect();
    assert!(
        generated == found,
        "docs/CONFIG.md is out of date, run this test with UPDATE_DOCS=1\n{}",
        differs.join("\n")
    );
}

/// The errors of a file of this text; warnings are about names that an example does not define.
fn errors(text: &str) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("input.yaml"), text).expect("writing");
    match load(&layout(dir.path()), &|_| ProcessId::from_digest([0; 6]), Main::Required) {
        Ok(loaded) => {
            loaded.problems.iter().filter(|problem| problem.is_error()).map(Problem::to_string).collect()
        }
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn every_example_is_a_good_one() {
    let text = config::markdown();
    let examples: Vec<&str> =
        text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 6, "the examples are gone");
    for example in examples {
        let below = |head: &str, indent: &str| {
            let lines: Vec<String> = example.lines().map(|line| format!("{indent}{line}")).collect();
            format!("{head}{}\n", lines.join("\n"))
        };
        // A whole file, processes, or keys of one.
        let own = "processes:\n  web:\n    command: x\n    auto_start: true\n";
        let tries =
            [below("", ""), below("processes:\n", "  "), below(own, "    ")].map(|text| errors(&text));
        assert!(tries.iter().any(Vec::is_empty), "{example}\n{tries:#?}");
    }
}

#[test]
fn the_tour_shows_every_key() {
    let tour = include_str!("../../../examples/tour.yaml");
    let lines: Vec<&str> = tour.lines().map(|line| line.trim_start_matches([' ', '#'])).collect();
    let reference = config::markdown();
    let rows =
        reference.lines().filter(|l| l.ends_with("is applied at once |") || l.ends_with("restarts it |"));
    let keys: Vec<&str> =
        rows.filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0)).collect();
    assert!(keys.len() > 50, "the keys are not found in the reference: {keys:?}");
    for key in keys {
        let last = key.rsplit('.').next().unwrap_or(key);
        assert!(
            lines.iter().any(|line| line.starts_with(&format!("{last}:"))),
            "examples/tour.yaml does not show `{key}`"
        );
    }
    assert_eq!(errors(tour), Vec::<String>::new());
}
