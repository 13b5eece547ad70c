//! The socket of journald's native protocol: how datagrams get there, not what is in them.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg, setsockopt, sockopt};

/// Bytes of datagrams that may wait for journald. The kernel also counts datagrams (net.unix.max_dgram_qlen), which
/// this cannot raise; it does raise the size that a single one may have.
const SEND_BUFFER: usize = 8 << 20;

/// A connected socket; never blocks. Close-on-exec.
#[derive(Debug)]
pub struct JournalSocket(UnixDatagram);

impl JournalSocket {
    /// Connects to journald, as a rule at `/run/systemd/journal/socket`.
    ///
    /// # Errors
    /// NotFound when there is no journald on this machine; ConnectionRefused when it is down.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        socket.set_nonblocking(true)?;
        // Beyond net.core.wmem_max with CAP_NET_ADMIN; up to it for everybody else.
        if setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER).is_err() {
            setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER)?;
        }
        Ok(Self(socket))
    }

    /// Sends one datagram: one or more entries.
    ///
    /// # Errors
    /// WouldBlock when journald's queue is full; EMSGSIZE when it must go by [`JournalSocket::send_memfd`];
    /// ConnectionRefused or NotConnected when journald went away: connect anew.
    pub fn send(&self, entries: &[u8]) -> io::Result<()> {
        // A datagram goes whole or not at all. std sets MSG_NOSIGNAL.
        self.0.send(entries).map(drop)
    }

    /// Sends one entry of any size as a sealed file in memory.
    ///
    /// # Errors
    /// As for [`JournalSocket::send`], and what memfd_create(2) and write(2) say.
    pub fn send_memfd(&self, entry: &[u8]) -> io::Result<()> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let mut file = File::from(memfd_create(c"journal-entry", flags)?);
        file.write_all(entry)?;
        // journald takes no file that could change under its eyes.
        let seals =
            SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        let fds = [file.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&fds)];
        let nothing: [IoSlice<'_>; 0] = [];
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        sendmsg::<()>(self.0.as_raw_fd(), &nothing, &rights, flags, None)?;
        Ok(())
    }
}

impl AsFd for JournalSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSliceMut, Read, Seek};
    use std::os::fd::{FromRawFd, OwnedFd};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::socket::{ControlMessageOwned, recvmsg};

    use super::*;

    /// A socket in journald's place; it goes away with the directory.
    fn journald() -> (tempfile::TempDir, UnixDatagram, JournalSocket) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let server = UnixDatagram::bind(&path).unwrap();
        let client = JournalSocket::connect(&path).unwrap();
        (dir, server, client)
    }

    #[test]
    fn datagrams_arrive_whole() {
        let (_dir, server, client) = journald();
        client.send(b"MESSAGE=one\n\nMESSAGE=two\n").unwrap();
        let mut buffer = [0; 100];
        let n = server.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..n], b"MESSAGE=one\n\nMESSAGE=two\n");
    }

    #[test]
    fn a_memfd_arrives_sealed_and_alone() {
        let (_dir, server, client) = journald();
        let entry = [b"MESSAGE=".as_slice(), &vec![b'x'; 3_000_000], b"\n"].concat();
        client.send_memfd(&entry).unwrap();

        let mut payload = [0; 16];
        let mut payload = [IoSliceMut::new(&mut payload)];
        let mut space = nix::cmsg_space!([i32; 4]);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(server.as_raw_fd(), &mut payload, Some(&mut space), flags).unwrap();
        assert_eq!(message.bytes, 0);
        let rights: Vec<_> = message.cmsgs().unwrap().collect();
        let [ControlMessageOwned::ScmRights(fds)] = rights.as_slice() else { panic!("{rights:?}") };
        let [fd] = fds.as_slice() else { panic!("{fds:?}") };
        // JUSTIFICATION: nix hands received descriptors over as numbers.
        // SAFETY: it was received just now and nobody else knows it.
        let mut file = File::from(unsafe { OwnedFd::from_raw_fd(*fd) });
        let seals = fcntl(&file, FcntlArg::F_GET_SEALS).unwrap();
        let wanted = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL;
        assert_eq!(seals & wanted, wanted);
        let mut content = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut content).unwrap();
        assert!(content == entry);
        assert!(file.write_all(b"x").is_err());
    }

    #[test]
    fn it_never_waits_and_says_why_it_did_not_send() {
        let (dir, server, client) = journald();
        let error = client.send(&vec![b'x'; 64 << 20]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        let full = (0..1_000_000).find_map(|_| client.send(&[b'x'; 1000]).err()).unwrap();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(client.send_memfd(b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(server);
        // A child that another test makes at this moment may hold the server open until it executes; whoever waits
        // for journald is woken by its end, too.
        let gone = loop {
            let error = client.send(b"x").unwrap_err();
            if error.kind() != io::ErrorKind::WouldBlock {
                break error.kind();
            }
            let mut writable = [PollFd::new(client.as_fd(), PollFlags::POLLOUT)];
            assert_eq!(poll(&mut writable, PollTimeout::from(30_000_u16)), Ok(1));
        };
        assert_eq!(gone, io::ErrorKind::ConnectionRefused);

        let path = dir.path().join("socket");
        assert_eq!(JournalSocket::connect(&path).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let path = dir.path().join("none");
        assert_eq!(JournalSocket::connect(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
