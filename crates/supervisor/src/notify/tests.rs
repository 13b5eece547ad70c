//! The socket as a file, and what comes out of it.

use std::io::{IoSlice, Read, pipe};
use std::os::fd::RawFd;
use std::os::unix::net::UnixDatagram;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Uid;

use super::*;
use crate::machine::Notice;

/// A user that nothing else runs as.
const OTHER: u32 = 65_004;

fn socket(dir: &Path) -> NotifySocket {
    NotifySocket::bind(dir, "000102030405", geteuid().as_raw()).unwrap()
}

fn client(socket: &NotifySocket) -> UnixDatagram {
    let client = UnixDatagram::unbound().unwrap();
    client.connect(socket.path()).unwrap();
    client
}

fn said(heard: Option<Heard>) -> Said {
    match heard {
        Some(Heard::Said(sender, said)) => {
            assert_eq!((sender.pid, sender.uid), (std::process::id(), Uid::current().as_raw()));
            said
        }
        other => panic!("{other:?}"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn what_is_said_comes_with_who_said_it() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, mut closer) = (socket(dir.path()), Closer::default());
    let client = client(&socket);
    assert!(socket.hear(&mut closer).is_none());
    client.send(b"READY=1\nMAINPID=7").unwrap();
    client.send(b"").unwrap();
    client.send(&[b'x'; LONGEST]).unwrap();
    client.send(&[b'x'; LONGEST + 1]).unwrap();
    let ready = Said { notice: Notice { ready: true, ..Notice::default() }, main_pid: Some(Some(7)) };
    assert_eq!(said(socket.hear(&mut closer)), ready);
    assert_eq!(said(socket.hear(&mut closer)), Said::default());
    assert_eq!(said(socket.hear(&mut closer)), Said::default());
    assert!(matches!(socket.hear(&mut closer), Some(Heard::Unusable)), "too long");
    assert!(socket.hear(&mut closer).is_none());
}

#[test]
fn the_directory_is_made_for_passing_through_and_the_file_for_its_user() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("notify");
    let own = geteuid().as_raw();
    let socket = NotifySocket::bind(&below, "a", own).unwrap();
    assert_eq!(mode(&below), 0o711);
    assert_eq!(socket.path(), below.join("a"));
    // A process of root's may be anybody's by the time that it reports.
    assert_eq!(mode(socket.path()), if own == 0 { 0o666 } else { 0o600 });
    let path = socket.path().to_owned();
    drop(socket);
    assert!(!path.exists());

    let socket = NotifySocket::bind(&below, "b", OTHER).unwrap();
    let owner = fs::metadata(socket.path()).unwrap().uid();
    let given_away = (OTHER, 0o600);
    let open_to_all = (own, 0o666);
    assert_eq!((owner, mode(socket.path())), if own == 0 { given_away } else { open_to_all });
}

#[test]
fn an_earlier_socket_or_whatever_is_there_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let stale = UnixDatagram::bind(dir.path().join("000102030405")).unwrap();
    let mut closer = Closer::default();
    let fresh = socket(dir.path());
    client(&fresh).send(b"STATUS=hello").unwrap();
    assert_eq!(said(fresh.hear(&mut closer)).notice.status.as_deref(), Some("hello"));
    drop(stale);
    drop(fresh);

    // A link is not followed.
    let target = dir.path().join("target");
    fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, dir.path().join("000102030405")).unwrap();
    drop(socket(dir.path()));
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn a_directory_that_others_may_write_to_is_closed_to_them() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
    socket(dir.path());
    assert_eq!(mode(dir.path()), 0o711);
}

#[test]
fn errors_keep_their_number() {
    let dir = tempfile::tempdir().unwrap();
    let errno = |dir: &Path, id: &str| {
        let error = NotifySocket::bind(dir, id, 0).unwrap_err();
        Errno::from_raw(error.raw_os_error().unwrap())
    };
    assert_eq!(errno(&dir.path().join("a/b"), "x"), Errno::ENOENT);
    assert_eq!(errno(dir.path(), &"x".repeat(107)), Errno::ENAMETOOLONG);
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(errno(&file, "x"), Errno::ENOTDIR);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    assert_eq!(errno(&link, "x"), Errno::ENOTDIR);
    if geteuid().is_root() {
        let theirs = dir.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        lchown(&theirs, Some(OTHER), None).unwrap();
        assert_eq!(errno(&theirs, "x"), Errno::EPERM);
    } else {
        // The root directory is root's, who may be trusted; but it is not ours to write to.
        assert_eq!(errno(Path::new("/"), "x"), Errno::EACCES);
    }
}

fn send_with(client: &UnixDatagram, text: &[u8], fds: &[RawFd]) {
    let rights = [ControlMessage::ScmRights(fds)];
    sendmsg::<()>(client.as_raw_fd(), &[IoSlice::new(text)], &rights, MsgFlags::empty(), None).unwrap();
}

/// What `systemd-notify` waits for after it has spoken.
#[test]
fn a_barrier_is_answered_once_what_came_before_it_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, mut closer) = (socket(dir.path()), Closer::default());
    let client = client(&socket);
    let (mut reader, writer) = pipe().unwrap();
    client.send(b"READY=1").unwrap();
    send_with(&client, b"BARRIER=1", &[writer.as_raw_fd()]);
    drop(writer);
    assert!(said(socket.hear(&mut closer)).notice.ready);
    assert_eq!(said(socket.hear(&mut closer)), Said::default());
    // Ends only because nobody holds the other end any more.
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn descriptors_of_every_kind_are_closed_even_with_a_datagram_that_is_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, mut closer) = (socket(dir.path()), Closer::default());
    let client = client(&socket);
    let (mut first_end, first) =
        UnixDatagram::pair().map(|(a, b)| (fs::File::from(OwnedFd::from(a)), b)).unwrap();
    let (mut second_end, second) = pipe().unwrap();
    let file = tempfile::tempfile().unwrap();
    let fds = [first.as_raw_fd(), file.as_raw_fd(), second.as_raw_fd()];
    send_with(&client, &[b'x'; LONGEST + 1], &fds);
    drop((first, second));
    assert!(matches!(socket.hear(&mut closer), Some(Heard::Unusable)));
    assert_eq!(second_end.read(&mut [0]).unwrap(), 0);
    // A socket is closed elsewhere: whoever writes to its other end is told when it is.
    let gone = (0..).find_map(|_| {
        use std::io::Write;
        let error = first_end.write(b"x").err()?;
        (error.kind() != io::ErrorKind::WouldBlock).then_some(error)
    });
    assert!(gone.is_some());
    assert_eq!(first_end.read(&mut []).unwrap(), 0);
}

#[test]
fn what_nobody_heard_is_closed_with_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, mut closer) = (socket(dir.path()), Closer::default());
    let client = client(&socket);
    let (mut reader, writer) = pipe().unwrap();
    send_with(&client, b"BARRIER=1", &[writer.as_raw_fd()]);
    drop(writer);
    let path = socket.path().to_owned();
    socket.retire(&mut closer);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    assert!(!path.exists());
    assert!(client.send(b"x").is_err());
}
