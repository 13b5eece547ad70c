//! The Unix socket: who owns its path, and how it comes to be there with its final mode.
//!
//! - A lock file beside it (`control.sock.lock`, [`Lock`]) decides who owns the path, so that there is no probe of the
//!   old socket.
//! - A socket's mode is fixed by the umask at bind(2), and the umask belongs to all threads. So the socket is bound in
//!   a directory that only its owner can enter, gets its mode there, and is then renamed into place. The rename also
//!   replaces a stale socket in one step: a client sees the old one or the new one, never none and never a wrong mode.
//! - The mode is 0666: whoever reaches the socket may look, and each call is judged by the peer's credentials.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process;

use crate::lock::{Lock, LockError};

/// `sun_path` holds 107 bytes and a NUL.
const MAX_PATH: usize = 107;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon lives on this path.
    #[error(
        "another dd-procmgrd (pid {pid}) already serves {}; stop it first, or give this one another runtime \
         directory (RUNTIME_DIRECTORY, as a user XDG_RUNTIME_DIR)",
        path.display()
    )]
    Owned {
        /// The socket.
        path: PathBuf,
        /// The other daemon, as written in the lock file; `unknown` when that says nothing.
        pid: String,
    },
    /// Something that is no socket stands in its place.
    #[error("{} exists and is not a socket; move it away", path.display())]
    NotASocket {
        /// The thing.
        path: PathBuf,
    },
    /// The kernel can't hold a path of this length.
    #[error(
        "the socket's path {} has more than {MAX_PATH} bytes; choose a shorter runtime directory",
        path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{what} {}: {source}; check that the daemon's user may write there", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// A bound socket. When dropped, the socket is removed and the path is free for the next daemon.
#[derive(Debug)]
pub(crate) struct Bound {
    path: PathBuf,
    /// `None` = the socket is the service manager's, and stays.
    inode: Option<(u64, u64)>,
    // Last, so that the socket is gone before the lock is.
    _lock: Lock,
}

impl Bound {
    /// The socket's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Only what was put there: an operator may have moved things meanwhile.
        if self.inode.is_some()
            && fs::symlink_metadata(&self.path).ok().map(|m| (m.dev(), m.ino())) == self.inode
            && let Err(e) = fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), error = %e, "the control socket stays behind");
        }
    }
}

/// Takes ownership of the path and listens on it. A missing runtime directory is created, 0755 less the umask.
pub(crate) fn bind(path: &Path) -> Result<(UnixListener, Bound), SocketError> {
    let io = |what: &'static str, at: &Path| {
        let at = at.to_owned();
        move |source| SocketError::Io { what, path: at, source }
    };
    let dir = path.parent().unwrap_or(Path::new("."));
    let nursery = dir.join(format!(".bind-{}", process::id()));
    let unborn = nursery.join("s");
    if path.as_os_str().len().max(unborn.as_os_str().len()) > MAX_PATH {
        return Err(SocketError::TooLong { path: path.to_owned() });
    }
    DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(io("creating", dir))?;
    let lock = lock(path)?;
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.to_owned() });
        }
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io("looking at", path)(e)),
        Ok(_) | Err(_) => {}
    }
    // A leftover of a crashed daemon with the same pid. The lock is held, so nobody else works here.
    match fs::remove_dir_all(&nursery) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io("removing", &nursery)(e)),
        Ok(()) | Err(_) => {}
    }
    DirBuilder::new().mode(0o700).create(&nursery).map_err(io("creating", &nursery))?;
    let born = || -> io::Result<(UnixListener, (u64, u64))> {
        let listener = UnixListener::bind(&unborn)?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(&unborn, Permissions::from_mode(0o666))?;
        let meta = fs::symlink_metadata(&unborn)?;
        fs::rename(&unborn, path)?;
        Ok((listener, (meta.dev(), meta.ino())))
    };
    let result = born().map_err(io("listening on", path));
    fs::remove_dir_all(&nursery).map_err(io("removing", &nursery))?;
    let (listener, inode) = result?;
    Ok((listener, Bound { path: path.to_owned(), inode: Some(inode), _lock: lock }))
}

/// Takes ownership of the path of a socket that the service manager listens on. It is not removed afterwards: who
/// connects while no daemon is there waits for the next one.
pub(crate) fn adopt(path: &Path, listener: &UnixListener) -> Result<Bound, SocketError> {
    let lock = lock(path)?;
    listener.set_nonblocking(true).map_err(|source| SocketError::Io {
        what: "listening on",
        path: path.to_owned(),
        source,
    })?;
    Ok(Bound { path: path.to_owned(), inode: None, _lock: lock })
}

/// Takes the lock beside the socket.
fn lock(path: &Path) -> Result<Lock, SocketError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    Lock::take(&lock_path).map_err(|error| match error {
        LockError::Held { pid } => SocketError::Owned { path: path.to_owned(), pid },
        LockError::Io(source) => SocketError::Io { what: "locking", path: lock_path, source },
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_socket_has_its_mode_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/control.sock");
        let (_listener, bound) = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert_eq!(names(&dir.path().join("run")), ["control.sock", "control.sock.lock"]);
        UnixStream::connect(&path).unwrap();
        drop(bound);
        assert_eq!(names(&dir.path().join("run")), ["control.sock.lock"]);
    }

    #[test]
    fn a_second_daemon_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let (_listener, _bound) = bind(&path).unwrap();
        let error = bind(&path).unwrap_err();
        assert!(matches!(&error, SocketError::Owned { pid, .. } if *pid == process::id().to_string()));
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()) && text.contains("RUNTIME_DIRECTORY"), "{text}");
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_socket_of_the_service_manager_stays_and_has_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let bound = adopt(&path, &listener).unwrap();
        assert!(matches!(adopt(&path, &listener).unwrap_err(), SocketError::Owned { .. }));
        drop(bound);
        UnixStream::connect(&path).expect("it is still there, and somebody will accept");
        adopt(&path, &listener).expect("the next daemon");
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(UnixStream::connect(&path).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let (_listener, _bound) = bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_file_in_its_place_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path).unwrap_err(), SocketError::NotASocket { .. }));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_path_that_the_kernel_cannot_hold_is_refused_by_name() {
        let path = Path::new("/tmp").join("x".repeat(108)).join("control.sock");
        assert!(matches!(bind(&path).unwrap_err(), SocketError::TooLong { .. }));
    }

    #[test]
    fn a_socket_that_is_not_ours_any_more_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let (_listener, bound) = bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "of somebody else").unwrap();
        drop(bound);
        assert!(path.exists());
    }
}
