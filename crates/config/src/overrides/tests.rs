//! Overrides before they are written, and on the disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;

const MAIN: &str = "\
defaults: {stop_timeout: 7}
processes:
  web: {command: x, restart: always}
  zeta: {command: x, after: [web]}
  broken: {command: x, restart: maybe}
";

fn layout(dir: &Path) -> Layout {
    fs::write(dir.join("main.yaml"), MAIN).unwrap();
    Layout {
        package_dir: dir.join("package.d"),
        main: dir.join("main.yaml"),
        admin_dir: dir.join("processes.d"),
        overrides_dir: dir.join("overrides.d"),
        runtime_dir: dir.join("runtime"),
        log_dir: dir.join("logs"),
    }
}

fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn checked(layout: &Layout, process: &str, text: &str) -> Result<ProcessSpec, Vec<Problem>> {
    check_override(layout, &|_| ProcessId::from_digest([0; 6]), &name(process), text)
}

#[test]
fn what_would_result() {
    let temp = tempfile::tempdir().unwrap();
    let layout = layout(temp.path());
    let spec = checked(&layout, "web", "health_check: {type: tcp, port: 1}\nrestart: never\n").unwrap();
    assert!(spec.health.is_some());
    assert_eq!((spec.restart.policy.as_str(), spec.stop.timeout.as_secs()), ("never", 7));
    assert!(matches!(spec.origin, model::Origin::File { line: 3, .. }));
    // What is there now is replaced, even if it is broken; what the API says stays on top.
    fs::create_dir(&layout.overrides_dir).unwrap();
    fs::write(layout.overrides_dir.join("web.yaml"), "restart: nonsense\nuser: nobody\n").unwrap();
    fs::create_dir(&layout.runtime_dir).unwrap();
    fs::write(layout.runtime_dir.join("web.yaml"), "auto_start: false\nstop_timeout: 1\n").unwrap();
    let spec = checked(&layout, "web", "stop_timeout: 2\nauto_start: true\n").unwrap();
    assert_eq!((spec.exec.user, spec.auto_start, spec.stop.timeout.as_secs()), (None, false, 1));
    for empty in ["", "  \n", "# nothing\n"] {
        assert_eq!(checked(&layout, "web", empty).unwrap().restart.policy.as_str(), "always", "{empty:?}");
    }
    assert!(fs::read_to_string(layout.overrides_dir.join("web.yaml")).unwrap().contains("nonsense"));
}

#[test]
fn what_is_wrong_has_its_place_in_the_text() {
    let temp = tempfile::tempdir().unwrap();
    let layout = layout(temp.path());
    for (text, place, part) in [
        ("restart: nevr\n", "overrides.d/web.yaml:1:10", "did you mean `never`?"),
        ("a: b\nrestrat: never\n", "overrides.d/web.yaml:2:1", "did you mean `restart`?"),
        ("env: [\n", "overrides.d/web.yaml:1:1", "not YAML"),
        ("pidfile: /x\n", "overrides.d/web.yaml:1:10", "`type: forking`"),
        ("requires: [zeta]\n", "overrides.d/web.yaml:1:12", "web -> zeta (`requires`) -> web (`after`)"),
        ("before: [zeta]\nconflicts:\n- web\n", "overrides.d/web.yaml:3:3", "conflict with itself"),
        ("stdout: LOGS/zeta.log\n", "overrides.d/web.yaml:1:9", "both write their output"),
        (
            "processes: {web: {restart: never}}\n",
            "overrides.d/web.yaml:1:1",
            "write its keys at the top level",
        ),
        ("- a\n", "overrides.d/web.yaml:1:3", "expected a mapping of keys"),
    ] {
        let text = text.replace("LOGS", &layout.log_dir.display().to_string());
        let problems = checked(&layout, "web", &text).unwrap_err();
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let said = said.join("\n");
        assert!(said.contains(place) && said.contains(part), "{text}: {said}");
        assert!(problems.iter().all(Problem::is_error), "{said}");
    }
    let huge = checked(&layout, "web", &"#".repeat(5 << 20)).unwrap_err();
    assert!(huge[0].message.contains("larger than 4 MiB"), "{}", huge[0]);
}

#[test]
fn what_the_text_is_not_to_blame_for() {
    let temp = tempfile::tempdir().unwrap();
    let layout = layout(temp.path());
    let said = |process: &str, text: &str| {
        let problems = checked(&layout, process, text).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    // The definition below it is broken in a key that the override doesn't mend: a layer is never left out.
    let broken = said("broken", "restart: never\n");
    assert!(broken.contains("main.yaml:5:33") && broken.contains("found `maybe`"), "{broken}");
    for text in ["restart: never\n", ""] {
        let nobody = said("nobody", text);
        assert!(nobody.contains("nobody.yaml") && nobody.contains("nothing defines nobody"), "{nobody}");
    }
    // Another one's mistake does not matter, unless it concerns all.
    assert!(checked(&layout, "web", "restart: never\n").is_ok());
    fs::write(&layout.main, "processes: [").unwrap();
    assert!(said("web", "restart: never\n").contains("main.yaml:1:1"));
    fs::remove_file(&layout.main).unwrap();
    fs::write(&layout.admin_dir, "").unwrap();
    assert!(said("web", "").contains("a directory is expected here"));
}

#[test]
fn written_read_and_removed() {
    let temp = tempfile::tempdir().unwrap();
    let layout = layout(temp.path());
    let path = override_path(&layout, &name("web"));
    assert_eq!(path, layout.overrides_dir.join("web.yaml"));
    assert_eq!(read_override(&layout, &name("web")).unwrap(), None);
    write_override(&layout, &name("web"), "").unwrap();
    let text = "# mine\nrestart:   never # why\n";
    write_override(&layout, &name("web"), text).unwrap();
    assert_eq!(read_override(&layout, &name("web")).unwrap().as_deref(), Some(text));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&layout.overrides_dir)), (0o600, 0o700));
    // What could not be read back is refused, and what was there stays.
    let error = write_override(&layout, &name("web"), "restart: nevr\n").unwrap_err().to_string();
    assert!(
        error.contains("web.yaml") && error.contains("line 1: restart: ") && error.contains("never"),
        "{error}"
    );
    assert_eq!(read_override(&layout, &name("web")).unwrap().as_deref(), Some(text));
    assert_eq!(fs::read_dir(&layout.overrides_dir).unwrap().count(), 1);
    write_override(&layout, &name("web"), " \n").unwrap();
    assert!(!path.exists());
}

#[test]
fn a_link_is_replaced_and_the_other_spelling_is_kept() {
    let temp = tempfile::tempdir().unwrap();
    let layout = layout(temp.path());
    fs::create_dir(&layout.overrides_dir).unwrap();
    let victim = temp.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, layout.overrides_dir.join("web.yaml")).unwrap();
    write_override(&layout, &name("web"), "restart: never\n").unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let other = layout.overrides_dir.join("zeta.yml");
    fs::write(&other, "restart: always\n").unwrap();
    assert_eq!(override_path(&layout, &name("zeta")), other);
    write_override(&layout, &name("zeta"), "restart: never\n").unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), "restart: never\n");
    assert_eq!(checked(&layout, "zeta", "user: nobody\n").unwrap().restart.policy.as_str(), "on-failure");
}
