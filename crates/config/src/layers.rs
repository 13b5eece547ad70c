//! The layers of definitions, from the packages' to those created over the API, merged key by key.

mod collect;
mod judge;

use std::io;
use std::path::PathBuf;

use model::{Definition, Desired, ProcessId, ProcessName};
use thiserror::Error;

use crate::problem::{Problem, list};

pub(crate) use collect::{Layer, Layers};

/// Where definitions are, earliest layer first. A directory that doesn't exist is empty.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Files of packages with `processes:`.
    pub package_dir: PathBuf,
    /// The main file: `processes:` and `defaults:` (these apply to every layer).
    pub main: PathBuf,
    /// The administrator's files with `processes:`.
    pub admin_dir: PathBuf,
    /// `<name>.yaml`: some keys of one process that another layer defines.
    pub overrides_dir: PathBuf,
    /// `<name>.yaml`: the keys of one process created over the API, or some keys of one that a file defines.
    pub runtime_dir: PathBuf,
    /// Where captured output goes that names no file; two processes must not write the same one.
    pub log_dir: PathBuf,
}

/// What a missing main file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Main {
    /// A warning: the other layers are used. For the daemon's start.
    Optional,
    /// [`LoadError::Missing`]. For a reload, which would stop everything that the file defined.
    Required,
    /// The file is not read at all. For a start with a broken file, so that the other layers run.
    Skipped,
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// The definitions, good and broken, sorted by name.
    pub desired: Desired,
    /// `defaults:`, for definitions that come later over the API.
    pub defaults: Definition,
    /// All problems. Those with a process are also in [`Desired::invalid`].
    pub problems: Vec<Problem>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Those of them that don't say which processes there are: empty, nothing but comments, `processes:` with nothing
    /// below it. Somebody may be about to write them.
    pub silent: Vec<PathBuf>,
}

/// Nothing was loaded; on a reload everything stays as it is.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There is no main file.
    #[error("there is no configuration at {}; create it, or name another file with --config or PM_CONFIG_PATH", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file or directory of definitions can't be read. Going on without it would stop its processes.
    #[error("can't read {}: {source}; {}", path.display(), way_out(source))]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is broken in a way that concerns all of its processes.
    #[error("{}", list(problems, 20))]
    Invalid {
        /// All problems that were found, of all files.
        problems: Vec<Problem>,
    },
}

pub(crate) fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "give the daemon's user the right to read it",
        io::ErrorKind::NotADirectory => "a directory is expected here",
        _ => "repair it or move it away",
    }
}

/// Loads all layers. A broken definition makes only its own process invalid.
///
/// # Errors
/// [`LoadError`]: what concerns more than one process, so that nothing could be loaded safely.
pub fn load(
    layout: &Layout,
    id_of: &dyn Fn(&ProcessName) -> ProcessId,
    main: Main,
) -> Result<Loaded, LoadError> {
    Ok(Layers::read(layout, main)?.judge(layout, id_of).into_loaded())
}
