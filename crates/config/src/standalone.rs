//! One file alone, checked without a daemon's layout around it.

use std::io;
use std::path::{Path, PathBuf};

use model::ProcessId;

use crate::layers::{Layers, Layout, LoadError, Loaded};
use crate::source::{ReadError, Source};

/// Reads a text as if it were the main file and there were no other. `path` names it in the problems, and `log_dir` is
/// where output goes that names no file.
///
/// # Errors
/// [`LoadError::Invalid`]: what concerns all of its processes.
pub fn check_text(path: &Path, bytes: Vec<u8>, log_dir: &Path) -> Result<Loaded, LoadError> {
    match Source::from_bytes(path, bytes) {
        Ok(source) => check(source, log_dir),
        Err(problem) => Err(LoadError::Invalid { problems: vec![*problem] }),
    }
}

/// The same with the text of a file.
///
/// # Errors
/// As [`check_text`], and [`LoadError::Missing`] and [`LoadError::Unreadable`].
pub fn check_file(path: &Path, log_dir: &Path) -> Result<Loaded, LoadError> {
    match Source::read(path) {
        Ok(source) => check(source, log_dir),
        Err(ReadError::Unfit(problem)) => Err(LoadError::Invalid { problems: vec![*problem] }),
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(LoadError::Missing { path: path.to_owned() })
        }
        Err(ReadError::Io(source)) => Err(LoadError::Unreadable { path: path.to_owned(), source }),
    }
}

fn check(source: Source, log_dir: &Path) -> Result<Loaded, LoadError> {
    let nowhere = PathBuf::new();
    let layout = Layout {
        package_dir: nowhere.clone(),
        main: source.path.clone(),
        admin_dir: nowhere.clone(),
        overrides_dir: nowhere.clone(),
        runtime_dir: nowhere,
        log_dir: log_dir.to_owned(),
    };
    // Ids don't matter here: they are made from the machine's own, which is the daemon's to read.
    let no_id = |_: &_| ProcessId::from_digest([0; 6]);
    Ok(Layers::of_main(source)?.judge(&layout, &no_id).into_loaded())
}
