//! Files of one process each: what the API keeps under the state directory, so that it survives a restart.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Definition, ProcessName};
use thiserror::Error;

use crate::document::read_single;
use crate::problem::Problem;
use crate::render::render;
use crate::source::{ReadError, Source};

/// A definition could not be read, kept or removed.
#[derive(Debug, Error)]
#[error("can't {action} {}: {source}; {}", path.display(), self.way_out())]
pub struct StoreError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl StoreError {
    fn way_out(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => "correct what it says",
            _ => "check the directory's owner, its mode and the free space",
        }
    }
}

pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError { action, path, source }
}

fn file_of(dir: &Path, name: &ProcessName) -> PathBuf {
    dir.join(format!("{name}.yaml"))
}

/// Keeps a definition as `<dir>/<name>.yaml` (0600, in a directory of 0700). A reader, or a start after a power cut,
/// finds the old text or the new one, never a part. A symbolic link in the file's place is replaced, not followed.
///
/// What a later load would refuse (too large, a value out of range) is refused here, while somebody is there to read
/// the error.
///
/// Not for two writers of the same name at once: they would share the temporary file.
///
/// # Errors
/// The step that failed, with its path.
pub fn write_runtime(dir: &Path, name: &ProcessName, definition: &Definition) -> Result<(), StoreError> {
    keep(&file_of(dir, name), name, &render(definition))
}

/// What [`write_runtime`] kept; `None` when there is nothing.
///
/// # Errors
/// The file can't be read, or it says something that is no definition.
pub fn runtime_definition(dir: &Path, name: &ProcessName) -> Result<Option<Definition>, StoreError> {
    let path = file_of(dir, name);
    let Some(source) = read(&path)? else { return Ok(None) };
    let written = read_single(&Arc::new(source), name);
    match written.problems.into_iter().next() {
        Some(problem) => Err(failed("read", &path)(invalid(&problem))),
        None => Ok(Some(written.definition)),
    }
}

/// Reads a file of one process; `None` when it isn't there.
pub(crate) fn read(path: &Path) -> Result<Option<Source>, StoreError> {
    match Source::read(path) {
        Ok(source) => Ok(Some(source)),
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(ReadError::Io(error)) => Err(failed("read", path)(error)),
        Err(ReadError::Unfit(problem)) => Err(failed("read", path)(invalid(&problem))),
    }
}

/// A problem of a file as an error: message, line and way out in one line.
fn invalid(problem: &Problem) -> io::Error {
    let place = problem.place.as_ref().map(|p| format!("line {}: ", p.line)).unwrap_or_default();
    let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    io::Error::new(io::ErrorKind::InvalidData, format!("{place}{key}{}{hint}", problem.message))
}

/// Puts a text of one process in the place of a file, at once and for good.
pub(crate) fn keep(target: &Path, name: &ProcessName, text: &str) -> Result<(), StoreError> {
    let dir = target.parent().unwrap_or(Path::new("."));
    readable(target, name, text).map_err(failed("keep", target))?;
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("create", dir))?;
    // Hidden, so that a load passes over one that a crash left behind.
    let temporary = dir.join(format!(".{name}.tmp"));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &temporary)(error));
        }
        _ => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            // Before the rename: else a power cut could leave the new name with an empty file.
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, target))
        .map_err(failed("write", target));
    if written.is_err() {
        // It failed already; what is left over is hidden and is removed by the next write.
        drop(fs::remove_file(&temporary));
    }
    written.and_then(|()| sync(dir))
}

/// Reads the text as the next load will.
fn readable(path: &Path, name: &ProcessName, text: &str) -> io::Result<()> {
    let problem = match Source::from_bytes(path, text.as_bytes().to_owned()) {
        Ok(source) => read_single(&Arc::new(source), name).problems.into_iter().next(),
        Err(problem) => Some(*problem),
    };
    match problem {
        Some(problem) => Err(invalid(&problem)),
        None => Ok(()),
    }
}

/// Removes what [`write_runtime`] kept; `false` when there was nothing.
///
/// # Errors
/// The step that failed, with its path.
pub fn remove_runtime(dir: &Path, name: &ProcessName) -> Result<bool, StoreError> {
    remove(&file_of(dir, name))
}

/// Removes a file for good; `false` when there was none.
pub(crate) fn remove(path: &Path) -> Result<bool, StoreError> {
    match fs::remove_file(path) {
        Ok(()) => sync(path.parent().unwrap_or(Path::new("."))).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

/// Makes a rename or removal survive a power cut.
fn sync(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", dir))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn name() -> ProcessName {
        ProcessName::new("web").unwrap()
    }

    fn definition(command: &str) -> Definition {
        Definition { command: Some(command.to_owned()), ..Definition::default() }
    }

    #[test]
    fn written_with_its_mode_and_removed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("state/processes");
        write_runtime(&dir, &name(), &definition("one")).unwrap();
        write_runtime(&dir, &name(), &definition("two")).unwrap();
        let path = dir.join("web.yaml");
        assert_eq!(fs::read_to_string(&path).unwrap(), "command: two\n");
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&dir)), (0o600, 0o700));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        assert!(remove_runtime(&dir, &name()).unwrap());
        assert!(!remove_runtime(&dir, &name()).unwrap());
    }

    #[test]
    fn links_are_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let victim = temp.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        for link in ["web.yaml", ".web.tmp"] {
            symlink(&victim, temp.path().join(link)).unwrap();
        }
        write_runtime(temp.path(), &name(), &definition("x")).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(!temp.path().join("web.yaml").is_symlink());
    }

    #[test]
    fn what_could_not_be_loaded_is_not_kept() {
        let temp = tempfile::tempdir().unwrap();
        let huge = Definition { args: Some(vec!["x".repeat(5 << 20)]), ..definition("x") };
        let many = Definition { args: Some(vec!["x".to_owned(); 600_000]), ..definition("x") };
        for (definition, part) in [(huge, "4 MiB"), (many, "500000 values"), (definition(" "), "empty")] {
            let error = write_runtime(temp.path(), &name(), &definition).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_was_kept_is_read_again() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(runtime_definition(temp.path(), &name()).unwrap(), None);
        assert_eq!(runtime_definition(&temp.path().join("none"), &name()).unwrap(), None);
        write_runtime(temp.path(), &name(), &definition("sleep 10")).unwrap();
        assert_eq!(runtime_definition(temp.path(), &name()).unwrap(), Some(definition("sleep 10")));
        let path = temp.path().join("web.yaml");
        fs::write(&path, "").unwrap();
        assert_eq!(runtime_definition(temp.path(), &name()).unwrap(), Some(Definition::default()));
        for (bytes, part) in [
            (&b"restart: 5\n"[..], "line 1: restart: expected `always`"),
            (b"command: x\nenv: [\n", "line 1: not YAML"),
            (b"\xff", "not UTF-8"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = runtime_definition(temp.path(), &name()).unwrap_err().to_string();
            assert!(
                error.contains("can't read") && error.contains("web.yaml") && error.contains(part),
                "{error}"
            );
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(runtime_definition(temp.path(), &name()).unwrap_err().to_string().contains("a directory"));
    }

    #[test]
    fn an_error_names_the_path() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        let error = write_runtime(&file.join("dir"), &name(), &definition("x")).unwrap_err().to_string();
        assert!(error.contains("/file/dir"), "{error}");
    }
}
