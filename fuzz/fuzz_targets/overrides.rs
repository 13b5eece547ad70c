//! Overrides and what the API keeps: any text is judged, what is judged good is written and loaded as the same.
#![no_main]

use std::sync::OnceLock;

use config::{Layout, Main};
use model::{Definition, ProcessId, ProcessName};

fn layout() -> &'static (tempfile::TempDir, Layout) {
    static LAYOUT: OnceLock<(tempfile::TempDir, Layout)> = OnceLock::new();
    LAYOUT.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        let layout = Layout {
            package_dir: at("package"),
            main: at("main.yaml"),
            admin_dir: at("admin"),
            overrides_dir: at("overrides"),
            runtime_dir: at("runtime"),
            log_dir: at("logs"),
        };
        std::fs::write(&layout.main, "processes:\n  web: {command: /bin/web}\n  db: {command: /bin/db}\n").expect("a file");
        (dir, layout)
    })
}

// The text, and behind a NUL the keys that an update takes back, one a line.
libfuzzer_sys::fuzz_target!(|input: &str| {
    let (text, unset) = input.split_once('\0').unwrap_or((input, ""));
    let unset: Vec<String> = unset.lines().map(str::to_owned).collect();
    let (_, layout) = layout();
    let name = ProcessName::new("web").expect("a name");
    let id_of = |_: &ProcessName| ProcessId::from_digest([0; 6]);
    if let Ok(spec) = config::check_override(layout, &id_of, &name, text) {
        config::write_override(layout, &name, text).expect("a good override is written");
        let loaded = config::load(layout, &id_of, Main::Required).expect("a good override is loaded");
        let found = loaded.desired.specs.iter().find(|other| other.name == name).expect("it is there");
        assert_eq!(**found, spec, "what was judged is not what was loaded");
        config::write_override(layout, &name, "").expect("no override");
    }
    drop(config::merge_update(None, &Definition::default(), &unset));
});
