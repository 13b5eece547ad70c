//! Pipes between a child's output and its reader.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

/// A pipe: the reading end does not block, the writing end does (a child expects that of its standard output; the
/// two ends are different open files, so one flag doesn't affect the other). Both close-on-exec.
///
/// # Errors
/// Out of descriptors.
pub fn pipe_for_output() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// Asks for a pipe that holds `bytes` (default 64 KiB); returns what it holds now, which may be more.
///
/// # Errors
/// PermissionDenied above fs.pipe-max-size, or when this user's pipes hold fs.pipe-user-pages-soft in all: the pipe
/// stays as it is. EBUSY when it holds more than that at the moment.
pub fn raise_capacity(pipe: impl AsFd, bytes: usize) -> io::Result<usize> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    let now = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(bytes))?;
    Ok(usize::try_from(now).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;
    use nix::fcntl::FdFlag;
    use nix::unistd::{read, write};

    use super::*;

    fn flags(fd: &OwnedFd) -> (bool, bool) {
        let status = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).unwrap());
        let fd = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD).unwrap());
        (status.contains(OFlag::O_NONBLOCK), fd.contains(FdFlag::FD_CLOEXEC))
    }

    #[test]
    fn only_the_reading_end_does_not_block() {
        let (reader, writer) = pipe_for_output().unwrap();
        assert_eq!((flags(&reader), flags(&writer)), ((true, true), (false, true)));
        assert_eq!(read(&reader, &mut [0]), Err(Errno::EAGAIN));
        write(&writer, b"x").unwrap();
        assert_eq!(read(&reader, &mut [0]), Ok(1));
        drop(writer);
        assert_eq!(read(&reader, &mut [0]), Ok(0));
    }

    #[test]
    fn capacity_is_what_the_kernel_says() {
        let (reader, writer) = pipe_for_output().unwrap();
        assert_eq!(raise_capacity(&reader, 256 * 1024).unwrap(), 256 * 1024);
        // Rounded up to a power of two of pages.
        assert_eq!(raise_capacity(&writer, 100_000).unwrap(), 128 * 1024);
        // All of it at once: this would wait for ever if it did not fit.
        assert_eq!(write(&writer, &[0; 128 * 1024]), Ok(128 * 1024));
        let error = raise_capacity(&writer, 4096).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
    }
}
