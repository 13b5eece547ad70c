//! Inputs and what is said about them: each directory below `tests/cases` is a layout (`input.yaml` is the main file;
//! `package.d`, `processes.d`, `overrides.d`, `runtime` may stand beside it) with the `expected.txt` of loading it.
//!
//! `UPDATE_EXPECT=1 cargo test -p config --test cases` rewrites the expectations; read the diff.

use std::path::{Path, PathBuf};

use config::{Layout, LoadError, Loaded, Main, load};
use model::{ProcessId, ProcessName};

fn layout(dir: &Path) -> Layout {
    Layout {
        package_dir: dir.join("package.d"),
        main: dir.join("input.yaml"),
        admin_dir: dir.join("processes.d"),
        overrides_dir: dir.join("overrides.d"),
        runtime_dir: dir.join("runtime"),
        log_dir: PathBuf::from("/var/log/dd-procmgrd"),
    }
}

fn id_of(_: &ProcessName) -> ProcessId {
    ProcessId::from_digest([0; 6])
}

/// What a user gets to see, with paths as they are below the case's directory.
fn shown(dir: &Path, result: Result<Loaded, LoadError>) -> String {
    let mut text = String::new();
    match result {
        Err(error) => text.push_str(&format!("NOT LOADED\n\n{error}\n")),
        Ok(loaded) => {
            for spec in &loaded.desired.specs {
                let words: Vec<&str> =
                    std::iter::once(&spec.exec.program).chain(&spec.exec.args).map(String::as_str).collect();
                text.push_str(&format!(
                    "ok {} ({}): {words:?} > {}\n",
                    spec.name, spec.origin, spec.output.stdout
                ));
            }
            for invalid in &loaded.desired.invalid {
                text.push_str(&format!("invalid {} ({})\n", invalid.spec.name, invalid.spec.origin));
                assert!(!invalid.problem.is_empty());
            }
            for problem in &loaded.problems {
                text.push_str(&format!("\n{problem}\n"));
                if let (true, Some(name)) = (problem.is_error(), &problem.process) {
                    assert!(loaded.desired.invalid.iter().any(|i| i.spec.name == *name), "{problem}");
                }
            }
        }
    }
    text.replace(&format!("{}/", dir.display()), "")
}

#[test]
fn every_case_says_what_is_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.sort();
    assert!(dirs.len() > 30, "the cases are gone: {dirs:?}");
    let mut wrong = String::new();
    for dir in dirs {
        let found = shown(&dir, load(&layout(&dir), &id_of, Main::Required));
        let file = dir.join("expected.txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&file, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if found != expected {
            let case = dir.display();
            wrong.push_str(&format!("== {case}\n-- expected\n{expected}\n-- found\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
