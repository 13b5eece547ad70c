//! The layers of the cases, one by one.

use std::path::{Path, PathBuf};

use super::*;

fn layout(case: &str) -> Layout {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(case);
    Layout {
        package_dir: dir.join("package.d"),
        main: dir.join("input.yaml"),
        admin_dir: dir.join("processes.d"),
        overrides_dir: dir.join("overrides.d"),
        runtime_dir: dir.join("runtime"),
        log_dir: PathBuf::from("/logs"),
    }
}

/// Origins below the case, and texts.
fn found(case: &str, name: &str) -> Vec<(String, String)> {
    let layout = layout(case);
    let dir = format!("{}/", layout.main.parent().unwrap().display());
    let fragments = fragments(&layout, &ProcessName::new(name).unwrap()).unwrap();
    fragments.into_iter().map(|f| (f.origin.replace(&dir, ""), f.text)).collect()
}

#[test]
fn every_layer_from_the_lowest_up() {
    let web = found("layers", "web");
    let origins: Vec<&str> = web.iter().map(|(origin, _)| origin.as_str()).collect();
    assert_eq!(
        origins,
        [
            "input.yaml:1 (defaults)",
            "package.d/10-web.yaml:2",
            "input.yaml:4",
            "processes.d/10.yaml:4",
            "overrides.d/web.yaml:1",
            "pm-cli create/update",
        ]
    );
    assert_eq!(web[0].1, "restart: always\n");
    assert_eq!(web[5].1, "auto_start: false\n");
    // An override of what nobody defines is shown, since it is what somebody looks for.
    assert_eq!(found("layers", "ghost").len(), 2);
    assert!(found("layers", "nobody").is_empty());
}

#[test]
fn the_text_is_the_layers_own_and_nothing_else() {
    let web = found("layers_updates", "web");
    let texts: Vec<&str> = web.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "pty: true\n",
            "command: x\nrequires:\n  - a\nhealth_check:\n  type: tcp\n  address: \"127.0.0.1:1\"\n  interval: 1\n",
            "requires: []\nhealth_check:\n  type: tcp\n  address: \"127.0.0.1:2\"\n",
            "auto_start: false\n",
        ]
    );
}

#[test]
fn mistakes_are_comments_and_secrets_are_masked() {
    let [(_, text)] = &found("secrets_in_commands", "other")[..] else { panic!("one layer") };
    assert!(text.starts_with("# error: processes.other.exec_stop"), "{text}");
    assert!(text.ends_with("\ncommand: x\n") && !text.contains("hunter2"), "{text}");
    assert!(text.lines().rev().skip(1).all(|line| line.starts_with("# error: ")), "{text}");
    let temp = tempfile::tempdir().unwrap();
    let layout = Layout { main: temp.path().join("main.yaml"), ..layout("none") };
    let name = ProcessName::new("web").unwrap();
    let text = "defaults: {env: {TOKEN: hunter2}}\nprocesses: {web: {command: x, env: {URL: \"a://u:hunter2@h\", A: b}}}\n";
    std::fs::write(&layout.main, text).unwrap();
    let texts: Vec<String> = fragments(&layout, &name).unwrap().into_iter().map(|f| f.text).collect();
    assert_eq!(texts, ["env:\n  TOKEN: \"***\"\n", "command: x\nenv:\n  A: b\n  URL: \"a://u:***@h\"\n"]);
    std::fs::write(&layout.main, "processes: [").unwrap();
    assert!(matches!(fragments(&layout, &name), Err(LoadError::Invalid { .. })));
    std::fs::remove_file(&layout.main).unwrap();
    assert_eq!(fragments(&layout, &name).unwrap(), []);
}
