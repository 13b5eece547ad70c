//! docs/CONFIG.md is what the table of keys says. `UPDATE_DOCS=1 cargo test -p config --test docs` rewrites it.

use std::path::Path;

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
