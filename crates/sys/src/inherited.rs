//! Descriptors that a program was started with and knows by number alone, as systemd's socket activation has it.

use std::os::fd::{FromRawFd as _, OwnedFd};

use nix::errno::Errno;

/// A descriptor of one's own for an open file that is known by its number. Close-on-exec. The number stays open.
///
/// # Errors
/// EBADF when nothing is open there; EMFILE.
pub fn duplicate(number: i32) -> nix::Result<OwnedFd> {
    // JUSTIFICATION: nix wants a borrowed descriptor, and a number is none.
    // SAFETY: two numbers; a number that is not open is refused.
    let fd = Errno::result(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) })?;
    // JUSTIFICATION: the kernel hands it over as a number.
    // SAFETY: it was made by the call above and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn it_is_the_same_file_under_another_number() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(77).unwrap();
        let own = duplicate(file.as_raw_fd()).unwrap();
        assert_ne!(own.as_raw_fd(), file.as_raw_fd());
        assert_eq!(std::fs::File::from(own).metadata().unwrap().len(), 77);
        assert_eq!(duplicate(-1).unwrap_err(), Errno::EBADF);
    }
}
