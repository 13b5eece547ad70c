//! Closes what others have handed over, where nobody waits for it.
//!
//! close(2) may take as long as somebody else likes: a file of a FUSE file system asks its server first, a TCP socket
//! lingers as it was told to, a socket holds others that do. One process with such a file must not hold up the
//! supervisor.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// Descriptors that wait to be closed, above which no socket is read that may bring more: far more than a burst of them
/// that merely waits for a processor. What is on its way then still comes in: what one datagram carries (253), and later
/// one socket of each run that ends.
const WAITING: usize = 4096;

/// The thread, once it was needed. It ends after the last descriptor when this is dropped.
#[derive(Debug)]
pub(crate) struct Closer {
    queue: Option<Arc<Queue>>,
    most: usize,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<OwnedFd>,
    over: bool,
}

impl Default for Closer {
    fn default() -> Self {
        Self { queue: None, most: WAITING }
    }
}

impl Closer {
    /// Closes it, soon. Never waits, but for a thread that can't be had: then it is closed here.
    pub(crate) fn close(&mut self, fd: OwnedFd) {
        if self.queue.is_none() {
            self.queue = start();
        }
        let Some(queue) = &self.queue else { return };
        queue.lock().waiting.push_back(fd);
        queue.changed.notify_one();
    }

    /// Whether so many wait that somebody seems to make it take long on purpose.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.lock().waiting.len() >= self.most)
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.lock().over = true;
            queue.changed.notify_one();
        }
    }
}

impl Queue {
    fn work(&self) {
        loop {
            let idle = |state: &mut State| state.waiting.is_empty() && !state.over;
            let mut state =
                self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            let Some(fd) = state.waiting.pop_front() else { return };
            drop(state);
            drop(fd);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start() -> Option<Arc<Queue>> {
    let queue = Arc::new(Queue::default());
    let theirs = Arc::clone(&queue);
    Builder::new().name("closer".into()).spawn(move || theirs.work()).ok()?;
    Some(queue)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, pipe};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use nix::libc::linger;
    use nix::sys::socket::{setsockopt, sockopt};

    use super::*;

    #[test]
    fn it_is_closed_and_nobody_waits() {
        let mut closer = Closer::default();
        let (mut reader, writer) = pipe().unwrap();
        closer.close(writer.into());
        // Ends when the other end is closed.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        assert!(!closer.is_full());
    }

    /// A connection with something in it that the other side does not take, told to wait for that when it is closed.
    fn slow_to_close(listener: &TcpListener) -> (TcpStream, TcpStream) {
        use std::io::Write;
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        setsockopt(&ours, sockopt::Linger, &linger { l_onoff: 1, l_linger: 1000 }).unwrap();
        ours.set_nonblocking(true).unwrap();
        while ours.write(&[0; 1 << 16]).is_ok() {}
        (ours, theirs)
    }

    #[test]
    fn one_that_takes_long_fills_the_queue_and_holds_up_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (slow, other_end) = slow_to_close(&listener);
        // Fewer, as a test may not have so many descriptors.
        let mut closer = Closer { queue: None, most: 64 };
        closer.close(slow.into());
        let (reader, writer) = pipe().unwrap();
        for _ in 0..closer.most {
            closer.close(writer.try_clone().unwrap().into());
        }
        // One may have been taken before the slow one was: then it is one more that fits.
        closer.close(writer.into());
        assert!(closer.is_full(), "{}", reader.as_raw_fd());
        // The end of the other side is the end of the wait.
        drop(other_end);
        let mut reader = reader;
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        assert!(!closer.is_full());
    }
}
