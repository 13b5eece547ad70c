//! The file system, as far as readers need it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::draft::{At, Unusable};

/// Largest file that is read: the largest that the result may have.
const MAX_BYTES: u64 = 4 << 20;

/// What readers ask of the file system.
pub(crate) trait Files {
    /// The text of a regular file.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// What is in a directory, by name.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    fn is_dir(&self, path: &Path) -> bool;
    fn exists(&self, path: &Path) -> bool;
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
    fn host_name(&self) -> String;
}

/// The real one.
pub(crate) struct RealFiles<'a> {
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Files for RealFiles<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        // Opening a pipe would wait for its writer.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() > usize::try_from(MAX_BYTES).unwrap_or(usize::MAX) {
            return Err(io::Error::other("it is larger than 4 MiB"));
        }
        let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
        Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name)
    }

    fn host_name(&self) -> String {
        fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
    }
}

/// Reads a file, or says why it can't be used.
pub(super) fn text(files: &dyn Files, path: &Path) -> Result<String, Unusable> {
    files.read(path).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "check its name",
            io::ErrorKind::PermissionDenied => "run pm-cli as a user who may read it",
            _ => "name a file of definitions",
        };
        Unusable::new(&file(path), format!("can't read it: {error}"), hint)
    })
}

/// The file as a whole.
pub(super) fn file(path: &Path) -> At {
    At { file: path.display().to_string(), line: 0 }
}

/// Directory of a file.
pub(super) fn directory(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

/// A path without `.` and `..`, as far as that can be told from the text.
pub(super) fn joined(base: &Path, path: &str) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => drop(whole.pop()),
            part => whole.push(part),
        }
    }
    whole
}
