//! Waiting for a descriptor on the pipeline's runtime.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor's owner.
#[expect(
    deprecated,
    reason = "the replacement is an unsafe function; both callers hand over an owner that keeps one descriptor open for its whole life, which is what that function asks for"
)]
pub(crate) fn register<T: AsRawFd>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(owner, interest)
}
