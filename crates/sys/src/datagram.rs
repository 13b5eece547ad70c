//! Datagrams on a Unix socket, with who sent them (the kernel's word) and the descriptors that came along.
//!
//! Not by a library: what they make of SCM_CREDENTIALS takes a pid of 0, which is a sender outside of our pid
//! namespace, for impossible, or loses the descriptors of a message whose control data was cut.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// Most descriptors that one message may carry (SCM_MAX_FD of the kernel, unix(7)).
pub const MAX_DESCRIPTORS: usize = 253;

/// Who sent a datagram, as the kernel vouches for it (unix(7), SCM_CREDENTIALS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sender {
    /// Its pid; 0 = it is in another pid namespace.
    pub pid: u32,
    /// Its user; a sender with CAP_SETUID may have named another one.
    pub uid: u32,
}

/// A datagram, but for its bytes.
#[derive(Debug)]
pub struct Datagram {
    /// How many bytes of the buffer it filled.
    pub len: usize,
    /// It was longer than the buffer, or its control data did not fit.
    pub cut: bool,
    /// Who sent it; `None` unless SO_PASSCRED was set before it was sent.
    pub sender: Option<Sender>,
    /// Close-on-exec. Closing one may take long, as a file system or the linger time of a socket may have a say in it.
    pub descriptors: Vec<OwnedFd>,
}

/// Takes one datagram; never waits.
///
/// # Errors
/// EAGAIN when there is none.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> nix::Result<Datagram> {
    let mut control = Control([0; CONTROL]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut header = Header {
        name: std::ptr::null_mut(),
        name_len: 0,
        parts: &raw mut part,
        part_count: 1,
        control: control.0.as_mut_ptr().cast(),
        control_len: CONTROL,
        flags: 0,
    };
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    let len = loop {
        // JUSTIFICATION: see the top of the file.
        // SAFETY: the header points to one part, which is the buffer, and to the control data, each with its length.
        let got = unsafe { libc::syscall(libc::SYS_recvmsg, socket.as_raw_fd(), &raw mut header, flags) };
        match Errno::result(got) {
            Err(Errno::EINTR) => {}
            done => break usize::try_from(done?).unwrap_or(0),
        }
    };
    let mut datagram = Datagram {
        len: len.min(buffer.len()),
        cut: header.flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0,
        sender: None,
        descriptors: Vec::new(),
    };
    for (kind, data) in messages(control.0.get(..header.control_len).unwrap_or_default()) {
        match kind {
            libc::SCM_CREDENTIALS => datagram.sender = sender(data),
            libc::SCM_RIGHTS => {
                for number in data.as_chunks().0 {
                    // JUSTIFICATION: the kernel hands descriptors over as numbers.
                    // SAFETY: it was made for us by the call above, and nobody else knows it.
                    let fd = unsafe { OwnedFd::from_raw_fd(i32::from_ne_bytes(*number)) };
                    datagram.descriptors.push(fd);
                }
            }
            _ => {}
        }
    }
    Ok(datagram)
}

/// Makes the kernel tell who sends. To be called before the socket has a name, or the first sender stays unknown.
///
/// # Errors
/// None on a Unix socket.
pub fn name_senders(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::PassCred, &true)?)
}

/// The kernel's `struct user_msghdr`. Each C library has one with padding of its own.
#[repr(C)]
struct Header {
    name: *mut c_void,
    name_len: c_int,
    parts: *mut libc::iovec,
    part_count: usize,
    control: *mut c_void,
    control_len: usize,
    flags: c_int,
}

/// `struct cmsghdr`: its length with this header, level, kind.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<i32>();

/// Room for one message of credentials and one of descriptors, and as much again for what a later kernel may add. What
/// it can't hold is closed by the kernel.
const CONTROL: usize = 2 * (padded(HEADER + size_of::<libc::ucred>()) + padded(HEADER + 4 * MAX_DESCRIPTORS));

/// Control data is read and written in whole words.
#[repr(align(8))]
struct Control([u8; CONTROL]);

const fn padded(len: usize) -> usize {
    len.next_multiple_of(size_of::<usize>())
}

/// Kind and data of each control message of level SOL_SOCKET (cmsg(3)); a malformed one ends the list.
fn messages(mut control: &[u8]) -> Vec<(i32, &[u8])> {
    let mut found = Vec::new();
    while let Some((len, rest)) = control.split_first_chunk() {
        let len = usize::from_ne_bytes(*len);
        let Some((level, rest)) = rest.split_first_chunk() else { break };
        let Some((kind, _)) = rest.split_first_chunk() else { break };
        let Some(data) = control.get(HEADER..len) else { break };
        if i32::from_ne_bytes(*level) == libc::SOL_SOCKET {
            found.push((i32::from_ne_bytes(*kind), data));
        }
        control = control.get(padded(len)..).unwrap_or_default();
    }
    found
}

/// `struct ucred`: pid, uid, gid.
fn sender(data: &[u8]) -> Option<Sender> {
    let (pid, rest) = data.split_first_chunk()?;
    let (uid, _) = rest.split_first_chunk()?;
    Some(Sender { pid: u32::from_ne_bytes(*pid), uid: u32::from_ne_bytes(*uid) })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::IoSlice;
    use std::os::fd::{AsFd, RawFd};
    use std::os::unix::net::UnixDatagram;

    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use nix::unistd::getuid;

    use super::*;

    fn pair() -> (UnixDatagram, UnixDatagram) {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        name_senders(receiver.as_fd()).unwrap();
        (sender, receiver)
    }

    fn take(socket: &UnixDatagram, buffer: &mut [u8]) -> Datagram {
        receive(socket.as_fd(), buffer).unwrap()
    }

    #[test]
    fn the_sender_is_named() {
        let (sender, receiver) = pair();
        let mut buffer = [0; 16];
        assert_eq!(receive(receiver.as_fd(), &mut buffer).unwrap_err(), Errno::EAGAIN);
        sender.send(b"READY=1").unwrap();
        let datagram = take(&receiver, &mut buffer);
        assert_eq!(&buffer[..datagram.len], b"READY=1");
        let who = Sender { pid: std::process::id(), uid: getuid().as_raw() };
        assert_eq!((datagram.sender, datagram.cut), (Some(who), false));
        assert!(datagram.descriptors.is_empty());
    }

    #[test]
    fn as_many_descriptors_as_there_may_be_arrive_and_are_close_on_exec() {
        let (sender, receiver) = pair();
        let file = File::open("/dev/null").unwrap();
        let fds: Vec<RawFd> = vec![file.as_raw_fd(); MAX_DESCRIPTORS];
        let rights = [ControlMessage::ScmRights(&fds)];
        let flags = MsgFlags::empty();
        sendmsg::<()>(sender.as_raw_fd(), &[IoSlice::new(b"x")], &rights, flags, None).unwrap();
        let datagram = take(&receiver, &mut [0; 16]);
        assert_eq!((datagram.descriptors.len(), datagram.cut), (MAX_DESCRIPTORS, false));
        assert!(datagram.sender.is_some());
        for fd in &datagram.descriptors {
            let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFD).unwrap();
            assert_eq!(flags, libc::FD_CLOEXEC);
        }
    }

    #[test]
    fn a_long_one_is_cut_and_says_so() {
        let (sender, receiver) = pair();
        sender.send(&[b'x'; 17]).unwrap();
        let datagram = take(&receiver, &mut [0; 16]);
        assert_eq!((datagram.len, datagram.cut), (16, true));
        sender.send(b"").unwrap();
        let empty = take(&receiver, &mut [0; 16]);
        assert_eq!((empty.len, empty.cut, empty.sender.is_some()), (0, false, true));
    }

    #[test]
    fn without_asking_nobody_is_named() {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        sender.send(b"x").unwrap();
        assert_eq!(take(&receiver, &mut [0; 16]).sender, None);
    }

    #[test]
    fn malformed_control_data_ends_the_list() {
        let message = |len: usize, kind: i32, data: &[u8]| {
            [&len.to_ne_bytes()[..], &libc::SOL_SOCKET.to_ne_bytes(), &kind.to_ne_bytes(), data].concat()
        };
        let good = message(HEADER + 8, 7, &[1; 8]);
        assert_eq!(messages(&[good.clone(), good.clone()].concat()), [(7, &[1; 8][..]), (7, &[1; 8][..])]);
        for bad in [message(3, 7, &[]), message(usize::MAX, 7, &[1; 8]), message(HEADER + 9, 7, &[1; 8])] {
            assert_eq!(messages(&[good.clone(), bad].concat()).len(), 1);
        }
        assert_eq!(messages(&good[..HEADER - 1]), []);
        assert_eq!(sender(&[0; 7]), None);
    }
}
