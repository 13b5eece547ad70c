//! Definitions as they stand in the files, as far as this user may read them; no value of theirs is kept.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use config::{ForeignValue, Layout, LoadError, Loaded, Main, Problem};
use model::ProcessId;

use crate::doctor::facts::{Definitions, Role};

/// Directory that nobody has: a layer that is left out.
const NOWHERE: &str = "/nonexistent/dd-procmgrd";

/// What was read.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) definitions: Definitions,
    /// Files that the definitions are in, and those that they name.
    pub(super) beside: Vec<(Role, PathBuf)>,
}

/// Reads every layer.
pub(super) fn read(layout: &Layout) -> Written {
    let mut found = Definitions { main: layout.main.clone(), exists: true, ..Definitions::default() };
    let loaded = load(layout.clone(), &mut found);
    let mut beside = Vec::new();
    for file in &loaded.files {
        beside.push((Role::Config, file.clone()));
        if fs::read(file).is_ok_and(|bytes| holds_secrets(file, bytes)) {
            found.secrets.push(file.clone());
        }
    }
    found.good = loaded.desired.specs.len();
    split(&mut found, &loaded.problems);
    for file in loaded.desired.specs.iter().flat_map(|spec| &spec.exec.environment_files) {
        if beside.iter().any(|(_, path)| *path == file.path) {
            continue;
        }
        beside.push((Role::Environment, file.path.clone()));
        if small(&file.path).is_ok_and(|text| text.lines().any(secret_line)) {
            found.secrets.push(file.path.clone());
        }
    }
    Written { definitions: found, beside }
}

/// Reads what may be read: a layer that may not is left out, and the next try goes without it.
fn load(mut layout: Layout, found: &mut Definitions) -> Loaded {
    let mut main = Main::Required;
    let no_id = |_: &_| ProcessId::from_digest([0; 6]);
    let nothing = |problems| Loaded {
        desired: model::Desired::default(),
        defaults: model::Definition::default(),
        problems,
        files: Vec::new(),
        silent: Vec::new(),
    };
    // Each try takes one layer away, and there are five.
    for _ in 0..6 {
        let (path, source) = match config::load(&layout, &no_id, main) {
            Ok(loaded) => return loaded,
            Err(LoadError::Invalid { problems }) => return nothing(problems),
            Err(LoadError::Missing { .. }) => {
                found.exists = false;
                main = Main::Skipped;
                continue;
            }
            Err(LoadError::Unreadable { path, source }) => (path, source),
        };
        if source.kind() == ErrorKind::PermissionDenied {
            found.left_out.push(path.clone());
        } else {
            found.errors.push(format!("error: can't read {}: {source}", path.display()));
        }
        let layers = [
            &mut layout.runtime_dir,
            &mut layout.overrides_dir,
            &mut layout.admin_dir,
            &mut layout.package_dir,
        ];
        match layers.into_iter().find(|dir| path.starts_with(&**dir)) {
            Some(dir) => *dir = PathBuf::from(NOWHERE),
            None => main = Main::Skipped,
        }
    }
    nothing(Vec::new())
}

fn split(found: &mut Definitions, problems: &[Problem]) {
    for problem in problems {
        let list = if problem.is_error() { &mut found.errors } else { &mut found.warnings };
        list.push(problem.to_string());
    }
}

/// Whether a file of definitions has a variable that looks secret.
fn holds_secrets(path: &Path, bytes: Vec<u8>) -> bool {
    config::parse_foreign(path, bytes).is_ok_and(|root| secret_below(&root))
}

// The depth is bounded by the parser's 16 levels.
fn secret_below(value: &ForeignValue) -> bool {
    let entry = |entry: &config::ForeignEntry| {
        let variables = if entry.key == "env" { entry.value.entries() } else { &[] };
        variables.iter().any(|variable| secret(&variable.key, &variable.value.text().unwrap_or_default()))
            || secret_below(&entry.value)
    };
    value.entries().iter().any(entry) || value.items().iter().any(|(_, item)| secret_below(item))
}

fn secret(key: &str, value: &str) -> bool {
    config::mask_value(key, value) != value
}

/// `NAME=value` in a file of variables.
fn secret_line(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").unwrap_or(line);
    !line.starts_with(['#', ';'])
        && line.split_once('=').is_some_and(|(key, value)| secret(key.trim(), value.trim()))
}

/// The text of a regular file that is not larger than the daemon takes.
fn small(path: &Path) -> io::Result<String> {
    let meta = fs::metadata(path)?;
    if !meta.is_file() || meta.len() > 1 << 20 {
        return Err(ErrorKind::InvalidData.into());
    }
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(dir: &Path) -> Layout {
        Layout {
            package_dir: dir.join("usr"),
            main: dir.join("processes.yaml"),
            admin_dir: dir.join("processes.d"),
            overrides_dir: dir.join("overrides.d"),
            runtime_dir: dir.join("state"),
            log_dir: dir.join("logs"),
        }
    }

    #[test]
    fn secrets_are_found_wherever_variables_stand_and_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        fs::create_dir(dir.path().join("overrides.d")).unwrap();
        fs::create_dir(dir.path().join("processes.d")).unwrap();
        let vars = dir.path().join("vars");
        write("vars", "# TOKEN=x\nexport DB_PASSWORD=hunter2\n");
        write(
            "processes.yaml",
            &format!("processes:\n  a:\n    command: x\n    environment_file: {}\n", vars.display()),
        );
        write("processes.d/b.yaml", "processes:\n  b:\n    command: x\n    env: {PORT: 80, TOKEN: ''}\n");
        write("overrides.d/a.yaml", "env:\n  URL: https://me:hunter2@host/\n");
        let written = read(&layout(dir.path()));
        let names: Vec<_> = written.definitions.secrets.iter().map(|p| p.file_name().unwrap()).collect();
        assert_eq!(names, ["a.yaml", "vars"], "{written:?}");
        assert!(!format!("{written:?}").contains("hunter2"));
        assert_eq!(written.definitions.good, 2);
        assert!(written.beside.contains(&(Role::Environment, vars)));
    }

    #[test]
    fn a_broken_file_a_missing_one_and_a_directory_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        assert!(!read(&layout).definitions.exists);
        fs::write(&layout.main, "processes: {a: {comand: x}}").unwrap();
        let found = read(&layout).definitions;
        assert!(found.exists && found.errors[0].contains("comand"), "{found:?}");
        fs::write(&layout.main, "{{{").unwrap();
        assert_eq!(read(&layout).definitions.errors.len(), 1);
        fs::remove_file(&layout.main).unwrap();
        fs::create_dir(&layout.main).unwrap();
        let found = read(&layout).definitions;
        assert_eq!((found.good, found.errors.len()), (0, 1), "{found:?}");
    }
}
