//! The socket on which a process says how it is (sd_notify(3)): one per run, its path in NOTIFY_SOCKET.
//!
//! Nobody is to be believed: any process that reaches the socket may send anything, at any rate, with descriptors
//! whose closing takes for ever. So every datagram comes with the kernel's word on who sent it, is bounded in size, and
//! so is what is read in one turn; what comes along is closed without reading it (which is what the sender of
//! `BARRIER=1` waits for), on a thread of its own where closing may take time ([`closer`]). Who may speak is
//! [`Runs::standing`](crate::containment::Runs::standing)'s to say, what was said [`parse`]'s.
//!
//! Who may *connect* is narrower where that is possible: a process that is not root's cannot change its user, so that
//! its socket belongs to that user alone. One of root's may have become anybody before it reports.

mod closer;
mod counts;
mod parse;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, UnixAddr, bind, shutdown, socket};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::geteuid;
use sys::datagram::{self, Sender};

pub(crate) use closer::Closer;
pub use counts::NoticeStats;
pub(crate) use counts::{Counts, count};
pub(crate) use parse::Said;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use parse::{STATUS_MAX, parse as parsed};

/// Datagrams read from one socket in one turn; the others wait for the next one, so that whoever floods his socket
/// holds up nobody but himself (a full socket makes the sender wait).
pub(crate) const PER_TURN: usize = 64;

/// Datagrams read when a main process has ended, before its end is told. More than may wait in a socket
/// (net.unix.max_dgram_qlen: 10, or 512 where systemd is), so the last word is among them unless others still send.
pub(crate) const LAST_WORDS: usize = 1024;

/// Longest datagram. A longer one is ignored and counted.
pub(crate) const LONGEST: usize = 4096;

/// Anybody may pass through, nobody may look what is in it: the sockets' names are known to those who need them.
const DIR_MODE: u32 = 0o711;

/// A socket that can be written to by the user of a run. Its file goes with it.
#[derive(Debug)]
pub(crate) struct NotifySocket {
    socket: OwnedFd,
    path: PathBuf,
}

/// One datagram.
#[derive(Debug)]
pub(crate) enum Heard {
    /// This was said.
    Said(Sender, Said),
    /// Too long, or nobody can say who sent it.
    Unusable,
    /// Nothing was read: too many descriptors wait to be closed, and this socket may bring more.
    Stuck,
}

impl NotifySocket {
    /// Makes the socket `dir/process_id` for a process that will run as `owner_uid`, in place of an earlier one. At no
    /// moment can anybody connect who may not in the end. `dir` is made if its parent is there.
    ///
    /// # Errors
    /// The kernel's, each with its number: ENAMETOOLONG above 107 bytes of path; EPERM when `dir` is somebody else's, who
    /// could put another socket there; ENOTDIR.
    pub(crate) fn bind(dir: &Path, process_id: &str, owner_uid: u32) -> io::Result<Self> {
        prepare(dir)?;
        let path = dir.join(process_id);
        let address = UnixAddr::new(&path)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        // Before it has a name: the first datagram has a sender, too.
        datagram::name_senders(socket.as_fd())?;
        // The file gets the mode of the socket, less the umask: from its first moment it is nobody's but ours.
        fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
        bind(socket.as_raw_fd(), &address)?;
        let bound = Self { socket, path };
        bound.let_in(owner_uid)?;
        Ok(bound)
    }

    /// Widens the mode of the file to who may connect.
    fn let_in(&self, uid: u32) -> io::Result<()> {
        let own = geteuid().as_raw();
        if uid != 0 && (uid == own || lchown(&self.path, Some(uid), None).is_ok()) {
            return Ok(());
        }
        // Root may become anybody; or the file cannot be given away. Everybody may send, then, and senders are checked.
        fs::set_permissions(&self.path, Permissions::from_mode(0o666))
    }

    /// The value of NOTIFY_SOCKET.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next datagram; `None` = none waits.
    pub(crate) fn hear(&self, closer: &mut Closer) -> Option<Heard> {
        if closer.is_full() {
            return Some(Heard::Stuck);
        }
        let mut buffer = [0; LONGEST];
        let datagram = datagram::receive(self.socket.as_fd(), &mut buffer).ok()?;
        for fd in datagram.descriptors {
            // The one kind of file whose end never waits, and the one that BARRIER=1 comes with: answered now.
            match fcntl(&fd, FcntlArg::F_GETPIPE_SZ) {
                Ok(_) => drop(fd),
                Err(_) => closer.close(fd),
            }
        }
        Some(match datagram.sender {
            Some(sender) if !datagram.cut && sender.pid != 0 => {
                Heard::Said(sender, parse::parse(buffer.get(..datagram.len).unwrap_or_default()))
            }
            _ => Heard::Unusable,
        })
    }

    /// Removes the file and closes the socket, with what nobody will hear any more. Never waits.
    pub(crate) fn retire(self, closer: &mut Closer) {
        // Nobody can send any more: what waits is all there will be.
        let _unconnected = shutdown(self.socket.as_raw_fd(), Shutdown::Read);
        for _ in 0..LAST_WORDS {
            match self.hear(closer) {
                Some(Heard::Said(..) | Heard::Unusable) => {}
                Some(Heard::Stuck) => break,
                None => return,
            }
        }
        // Closing the socket closes what is in it.
        if let Ok(socket) = self.socket.try_clone() {
            closer.close(socket);
        }
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // The next run of the same process is not spawned before this one is released, so this is no other's file.
        let _somebody_removed_it = fs::remove_file(&self.path);
    }
}

/// Makes the directory, or makes sure that it is as if it had been made here.
fn prepare(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIR_MODE).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let found = fs::symlink_metadata(dir)?;
    let own = geteuid().as_raw();
    if !found.is_dir() {
        return Err(Errno::ENOTDIR.into());
    }
    if found.uid() != own && found.uid() != 0 {
        return Err(Errno::EPERM.into());
    }
    // The umask may have taken what others need to pass, and it belongs to the whole process.
    if found.mode() & 0o777 != DIR_MODE && found.uid() == own {
        fs::set_permissions(dir, Permissions::from_mode(DIR_MODE))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
