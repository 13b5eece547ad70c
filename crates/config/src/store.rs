//! Definitions created over the API, one file each under the state directory, so that they survive a restart.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Definition, ProcessName};
use thiserror::Error;

use crate::document::read_single;
use crate::render::render;
use crate::source::Source;

/// A definition could not be kept or removed.
#[derive(Debug, Error)]
#[error("can't {action} {}: {source}; check the directory's owner, its mode and the free space", path.display())]
pub struct StoreError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
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
    let target = file_of(dir, name);
    let text = render(definition);
    readable(&target, name, &text).map_err(failed("keep", &target))?;
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
        .and_then(|()| fs::rename(&temporary, &target))
        .map_err(failed("write", &target));
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
        Some(problem) => Err(io::Error::new(io::ErrorKind::InvalidInput, problem.message)),
        None => Ok(()),
    }
}

/// Removes what [`write_runtime`] kept; `false` when there was nothing.
///
/// # Errors
/// The step that failed, with its path.
pub fn remove_runtime(dir: &Path, name: &ProcessName) -> Result<bool, StoreError> {
    let path = file_of(dir, name);
    match fs::remove_file(&path) {
        Ok(()) => sync(dir).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("remove", &path)(error)),
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
    fn an_error_names_the_path() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        let error = write_runtime(&file.join("dir"), &name(), &definition("x")).unwrap_err().to_string();
        assert!(error.contains("/file/dir"), "{error}");
    }
}
