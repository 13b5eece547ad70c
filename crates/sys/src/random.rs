//! Random numbers of the kernel.

/// 64 random bits from getrandom(2). Waits only in the first moments after boot.
///
/// # Panics
/// On a kernel without getrandom(2) (before 3.17): an id that repeats is worse than no daemon.
#[must_use]
pub fn random_u64() -> u64 {
    let mut bytes = [0_u8; 8];
    loop {
        // JUSTIFICATION: neither std nor nix (without one more feature) offers it.
        // SAFETY: the buffer is ours and has the length that is given.
        let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        if usize::try_from(got) == Ok(bytes.len()) {
            return u64::from_ne_bytes(bytes);
        }
        let error = std::io::Error::last_os_error();
        assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "getrandom(2): {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn numbers_differ_in_every_bit() {
        let numbers: HashSet<u64> = (0..200).map(|_| super::random_u64()).collect();
        assert_eq!(numbers.len(), 200);
        let (some, all) = numbers.iter().fold((0, u64::MAX), |(or, and), n| (or | n, and & n));
        assert_eq!((some, all), (u64::MAX, 0));
    }
}
