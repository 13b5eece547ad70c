//! Pseudo-terminals between a child's output and its reader. rustix has what nix lacks here: TIOCGPTPEER, and the
//! window's size.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fchmod, open};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};

/// Where new pseudo-terminals come from (pts(4)).
pub const MULTIPLEXER: &str = "/dev/ptmx";

/// What a child is told of its window: wide enough that hardly anything wraps its lines.
const WINDOW: Winsize = Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };

/// A pseudo-terminal: first the reader's end (the master), which does not block, then the child's (the slave), which
/// does. Both close-on-exec, and opening them makes them nobody's controlling terminal.
///
/// What is written to the child's end comes out byte by byte as it is (no CR is put before LF), and what was written
/// before it was closed can still be read. At the end of that reading fails with EIO, where a pipe has its end of file.
/// The kernel holds about 12 KiB, after which the child waits. One case loses what was not read yet: a session leader
/// that opened the terminal by its name for reading and without O_NOCTTY, and thereby made it its controlling terminal,
/// has it hung up by the kernel when it ends.
///
/// The child's end belongs to the daemon's user and, where the mount options of /dev/pts don't forbid it, has mode 0600:
/// nobody else writes into a process's output.
///
/// # Errors
/// ENOENT or ENODEV without a usable /dev/ptmx and /dev/pts; ENOSPC when kernel.pty.max or the mount's own `max=` is
/// reached; EACCES, EPERM; out of descriptors or memory.
pub fn pty_for_output() -> io::Result<(OwnedFd, OwnedFd)> {
    through(MULTIPLEXER.as_ref())
}

fn through(multiplexer: &Path) -> io::Result<(OwnedFd, OwnedFd)> {
    // Not posix_openpt(3): its O_NONBLOCK and O_CLOEXEC are not promised, and it calls "too many" EAGAIN.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let master = open(multiplexer, flags, Mode::empty())?;
    unlockpt(&master)?;
    // By the descriptor and not by its name: /dev/pts may belong to another instance here, or not be mounted at all.
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    tcsetwinsize(&slave, WINDOW)?;
    let mut modes = tcgetattr(&slave)?;
    // Without ONLCR as well, so that a program that switches OPOST on again still sends plain LF.
    modes.output_modes.remove(OutputModes::OPOST | OutputModes::ONLCR);
    modes.local_modes.remove(
        LocalModes::ECHO
            | LocalModes::ECHOE
            | LocalModes::ECHOK
            | LocalModes::ECHONL
            | LocalModes::ECHOCTL
            | LocalModes::ECHOKE
            | LocalModes::ISIG,
    );
    tcsetattr(&slave, OptionalActions::Now, &modes)?;
    // It may be another user's by the mount option uid=, and is as usable then.
    let _stays_as_mounted = fchmod(&slave, Mode::RUSR | Mode::WUSR);
    Ok((master, slave))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
    use nix::unistd::{read, write};
    use rustix::termios::{isatty, tcgetwinsize};

    use super::*;

    fn flags(fd: impl AsFd) -> (bool, bool) {
        let status = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL).unwrap());
        let fd = FdFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFD).unwrap());
        (status.contains(OFlag::O_NONBLOCK), fd.contains(FdFlag::FD_CLOEXEC))
    }

    #[test]
    fn only_the_readers_end_does_not_block_and_the_end_is_eio() {
        let (master, slave) = pty_for_output().unwrap();
        assert_eq!((flags(&master), flags(&slave)), ((true, true), (false, true)));
        assert_eq!(read(&master, &mut [0]), Err(Errno::EAGAIN));
        write(&slave, b"last").unwrap();
        drop(slave);
        let mut bytes = [0; 8];
        assert_eq!(read(&master, &mut bytes), Ok(4), "what was written before the end");
        assert_eq!(bytes[..4], *b"last");
        assert_eq!(read(&master, &mut bytes), Err(Errno::EIO));
    }

    #[test]
    fn every_byte_comes_out_as_it_went_in() {
        let (master, slave) = pty_for_output().unwrap();
        let all: Vec<u8> = (0..=255).chain(*b"line\nother\r\n\x1b[2J\x1b[?25l").collect();
        write(&slave, &all).unwrap();
        let mut bytes = [0; 512];
        let n = read(&master, &mut bytes).unwrap();
        assert_eq!(&bytes[..n], all);
    }

    #[test]
    fn the_childs_end_is_a_quiet_private_terminal_of_a_known_size() {
        let (_master, slave) = pty_for_output().unwrap();
        assert!(isatty(&slave));
        let modes = tcgetattr(&slave).unwrap();
        assert!(!modes.local_modes.intersects(LocalModes::ECHO | LocalModes::ISIG));
        assert!(!modes.output_modes.intersects(OutputModes::OPOST | OutputModes::ONLCR));
        assert_eq!(tcgetwinsize(&slave).unwrap(), WINDOW);
        let mode = rustix::fs::fstat(&slave).unwrap().st_mode;
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_missing_or_no_multiplexer_is_an_error() {
        let errno = |path: &str| through(path.as_ref()).unwrap_err().raw_os_error();
        assert_eq!(errno("/dev/no-such-ptmx"), Some(libc::ENOENT));
        assert_eq!(errno("/dev/null"), Some(libc::ENOTTY));
    }
}
