//! A descriptor held back for accept(2), so that an admin is heard when the daemon has none left.
//!
//! Starts leave some to control (the supervisor's spawner sees to that), but connections, or a limit that was lowered,
//! may take those as well. Without a spare the connection stays in the kernel's backlog, and with it the `pm-cli stop`
//! that would make room. With it calls are served one at a time.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::errno::Errno;
use tokio::time::sleep;

/// Between two tries to get the spare back.
const PAUSE: Duration = Duration::from_millis(100);

type Open = Box<dyn FnMut() -> io::Result<OwnedFd> + Send>;

/// One for each listener.
pub(crate) struct Spare {
    held: Option<OwnedFd>,
    open: Open,
    /// Whether it was said that there are no others, since the last connection that there was one for.
    told: bool,
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Spare {
    /// Takes one, best before anything else: its number has to be below a limit that is lowered later.
    pub(crate) fn take() -> Self {
        Self::opened_by(Box::new(|| File::open("/dev/null").map(OwnedFd::from)))
    }

    fn opened_by(mut open: Open) -> Self {
        Self { held: open().ok(), open, told: false }
    }

    /// Accepts, if need be with the spare descriptor. Waits first until there is a spare: while there is none, there is
    /// none for a connection either.
    pub(crate) async fn accept<T, A>(&mut self, mut accept: impl FnMut() -> A) -> io::Result<T>
    where
        A: Future<Output = io::Result<T>>,
    {
        while self.held.is_none() {
            match (self.open)() {
                Ok(spare) => self.held = Some(spare),
                Err(_) => sleep(PAUSE).await,
            }
        }
        match accept().await {
            Err(error) if is_want(&error) => {
                if !self.told {
                    tracing::warn!(
                        %error,
                        "no descriptor is left for a control connection; they are served one at a time. Raise \
                         LimitNOFILE= of the unit, or stop something"
                    );
                }
                self.told = true;
                self.held = None;
                accept().await
            }
            accepted => {
                self.told &= accepted.is_err();
                accepted
            }
        }
    }
}

/// Of the daemon, or of the machine.
fn is_want(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::Instant;

    use super::*;

    fn emfile() -> io::Error {
        Errno::EMFILE.into()
    }

    /// A spare whose other end tells whether it is open; further ones can be had after so many tries.
    fn spare(failures: usize) -> (Spare, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let (mut first, mut left) = (Some(OwnedFd::from(ours)), failures);
        let open = move || match (first.take(), left) {
            (Some(first), _) => Ok(first),
            (None, 0) => File::open("/dev/null").map(OwnedFd::from),
            (None, _) => {
                left -= 1;
                Err(emfile())
            }
        };
        (Spare::opened_by(Box::new(open)), theirs)
    }

    fn is_open(mut other_end: &UnixStream) -> bool {
        other_end.read(&mut [0]).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_nothing_is_left_gets_the_spare() {
        let (mut spare, other_end) = spare(7);
        let begin = Instant::now();
        let accept = || async { if is_open(&other_end) { Err(emfile()) } else { Ok("in") } };
        assert_eq!(spare.accept(accept).await.unwrap(), "in");
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert!(!is_open(&other_end));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_spare_nobody_is_accepted_and_nothing_spins() {
        let (mut spare, other_end) = spare(7);
        let accept = || async { if is_open(&other_end) { Err(emfile()) } else { Ok(()) } };
        spare.accept(accept).await.unwrap();
        let (begin, tries) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
        let accept = || async { Ok(tries.fetch_add(1, Ordering::Relaxed)) };
        spare.accept(accept).await.unwrap();
        assert_eq!(begin.elapsed(), PAUSE * 7, "until the descriptor is there again");
        assert_eq!(tries.load(Ordering::Relaxed), 1);
        // And it is held again.
        spare.accept(accept).await.unwrap();
        assert_eq!(begin.elapsed(), PAUSE * 7);
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_else_may_be_faster() {
        let (mut spare, other_end) = spare(0);
        let accept = || async { Err::<(), _>(emfile()) };
        assert!(is_want(&spare.accept(accept).await.unwrap_err()), "told once, and not tried for ever");
        assert!(!is_open(&other_end));
        spare.accept(|| async { Ok(()) }).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn another_failure_does_not_cost_the_spare() {
        let (mut spare, other_end) = spare(0);
        let accept = || async { Err::<(), _>(Errno::ECONNABORTED.into()) };
        spare.accept(accept).await.unwrap_err();
        assert!(is_open(&other_end));
    }
}
