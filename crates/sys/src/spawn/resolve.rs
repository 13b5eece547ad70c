//! Finding the file of a program before a process is made, by the rules of execvp(3).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{self, Path, PathBuf};

use nix::errno::Errno;

/// Searched when the child's environment has no PATH: what a login shell of an ordinary user has, and the sbins.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// There is nothing to execute. The inner error of what [`resolve_program`] returns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A name without a slash is in no directory of PATH.
    #[error("no program {name:?} in PATH={path}; give an absolute path or extend PATH in env:")]
    NotInPath {
        /// The name.
        name: String,
        /// What was searched.
        path: String,
    },
    /// A path leads to nothing.
    #[error("{0:?} does not exist")]
    Missing(PathBuf),
    /// It is a directory.
    #[error("{0:?} is a directory, not a program")]
    Directory(PathBuf),
    /// No execute bit, or not a regular file.
    #[error("{0:?} is not executable; chmod +x it, or name its interpreter as the command")]
    NotExecutable(PathBuf),
    /// It could not be looked at for another reason.
    #[error("{path:?}: {}", errno.desc())]
    Other {
        /// The path.
        path: PathBuf,
        /// The reason.
        errno: Errno,
    },
}

impl ResolveError {
    /// What execve(2) would have said.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::NotInPath { .. } | Self::Missing(_) => Errno::ENOENT,
            Self::Directory(_) => Errno::EISDIR,
            Self::NotExecutable(_) => Errno::EACCES,
            Self::Other { errno, .. } => *errno,
        }
    }
}

impl From<ResolveError> for io::Error {
    fn from(error: ResolveError) -> Self {
        Self::new(Self::from(error.errno()).kind(), error)
    }
}

/// The absolute path of a program.
///
/// A name with a slash is taken relative to `working_dir` (`None` = the daemon's own); one without is searched in
/// `path_var`, where an empty entry means `working_dir`. What the daemon may not look into (EACCES) is left to
/// execve, as the child may run as a user who may; execute bits count whoever's they are, for the same reason.
///
/// # Errors
/// NotFound, IsADirectory, PermissionDenied (not executable) or another kind, with a [`ResolveError`] inside that
/// names the file.
pub fn resolve_program(
    name: &OsStr,
    path_var: Option<&OsStr>,
    working_dir: Option<&Path>,
) -> io::Result<PathBuf> {
    let base = path::absolute(working_dir.unwrap_or(Path::new(".")))?;
    if name.is_empty() {
        return Err(ResolveError::Missing(PathBuf::new()).into());
    }
    if name.as_bytes().contains(&b'/') {
        let file = base.join(name);
        return match check(&file) {
            Ok(()) | Err(Found::Hidden) => Ok(file),
            Err(Found::Bad(error)) => Err(error.into()),
        };
    }
    let path_var = path_var.unwrap_or(OsStr::new(DEFAULT_PATH));
    // The first that is there but unfit is what an operator wants to hear of when nothing fits.
    let mut unfit = None;
    for dir in path_var.as_bytes().split(|b| *b == b':') {
        let file = base.join(OsStr::from_bytes(dir)).join(name);
        match check(&file) {
            Ok(()) => return Ok(file),
            Err(Found::Bad(error)) if error.errno() == Errno::EACCES => {
                unfit.get_or_insert(error);
            }
            Err(Found::Bad(_) | Found::Hidden) => {}
        }
    }
    Err(unfit
        .unwrap_or_else(|| ResolveError::NotInPath {
            name: name.to_string_lossy().into_owned(),
            path: path_var.to_string_lossy().into_owned(),
        })
        .into())
}

enum Found {
    /// The daemon has no access to a directory on the way.
    Hidden,
    Bad(ResolveError),
}

fn check(file: &Path) -> Result<(), Found> {
    let bad = |error: ResolveError| Err(Found::Bad(error));
    match file.metadata() {
        Ok(meta) if meta.is_dir() => bad(ResolveError::Directory(file.into())),
        Ok(meta) if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 => {
            bad(ResolveError::NotExecutable(file.into()))
        }
        Ok(_) => Ok(()),
        Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)) {
            Errno::ENOENT => bad(ResolveError::Missing(file.into())),
            Errno::EACCES => Err(Found::Hidden),
            errno => bad(ResolveError::Other { path: file.into(), errno }),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::symlink;

    use super::*;

    fn place(dir: &Path, name: &str, mode: u32) -> PathBuf {
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        file
    }

    fn error(result: io::Result<PathBuf>) -> (io::ErrorKind, ResolveError) {
        let error = result.unwrap_err();
        let kind = error.kind();
        (kind, error.into_inner().unwrap().downcast_ref::<ResolveError>().unwrap().clone())
    }

    #[test]
    fn a_name_is_searched_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        place(dir, "a/tool", 0o644);
        place(dir, "c/tool", 0o755);
        place(dir, "d/tool", 0o755);
        fs::create_dir_all(dir.join("b/tool")).unwrap();
        let find = |path: &str| resolve_program("tool".as_ref(), Some(path.as_ref()), Some(dir));
        // Not executable, a directory, not there: passed over.
        assert_eq!(find("a:b:nowhere:c:d").unwrap(), dir.join("c/tool"));
        assert_eq!(find(dir.join("d").to_str().unwrap()).unwrap(), dir.join("d/tool"));
        let (kind, found) = error(find("b:a:nowhere"));
        assert_eq!(kind, io::ErrorKind::PermissionDenied);
        assert_eq!(found, ResolveError::NotExecutable(dir.join("a/tool")));
        let (kind, found) = error(find("b:nowhere"));
        assert_eq!((kind, found.errno()), (io::ErrorKind::NotFound, Errno::ENOENT));
        let said = "no program \"tool\" in PATH=b:nowhere; give an absolute path or extend PATH in env:";
        assert_eq!(found.to_string(), said);
    }

    #[test]
    fn an_empty_entry_means_the_working_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = place(dir.path(), "tool", 0o755);
        for path in ["", ":/nowhere", "/nowhere:", "/nowhere::/nowhere"] {
            let found = resolve_program("tool".as_ref(), Some(path.as_ref()), Some(dir.path()));
            assert_eq!(found.unwrap().canonicalize().unwrap(), file.canonicalize().unwrap(), "{path:?}");
        }
    }

    #[test]
    fn without_path_there_is_a_shell_all_the_same() {
        assert!(resolve_program("sh".as_ref(), None, None).unwrap().ends_with("bin/sh"));
    }

    #[test]
    fn a_name_with_a_slash_is_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let file = place(dir, "bin/tool", 0o711);
        let plain = place(dir, "bin/plain", 0o644);
        symlink("circle", dir.join("circle")).unwrap();
        let find = |name: &str| resolve_program(name.as_ref(), Some("/bin".as_ref()), Some(dir));
        assert_eq!(find("bin/tool").unwrap(), file);
        assert_eq!(find("./bin/tool").unwrap(), dir.join("./bin/tool"));
        assert_eq!(find(file.to_str().unwrap()).unwrap(), file);
        for (name, kind, wanted) in [
            ("bin/none", io::ErrorKind::NotFound, ResolveError::Missing(dir.join("bin/none"))),
            ("./bin", io::ErrorKind::IsADirectory, ResolveError::Directory(dir.join("./bin"))),
            ("bin/plain", io::ErrorKind::PermissionDenied, ResolveError::NotExecutable(plain)),
            ("", io::ErrorKind::NotFound, ResolveError::Missing(PathBuf::new())),
        ] {
            assert_eq!(error(find(name)), (kind, wanted));
        }
        assert_eq!(error(find("bin/tool/x")).1.errno(), Errno::ENOTDIR);
        assert_eq!(error(find("./circle")).1.errno(), Errno::ELOOP);
    }
}
