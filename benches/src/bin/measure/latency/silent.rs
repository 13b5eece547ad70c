//! A server that takes every connection and never answers.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Connections that are kept: more than the daemon makes at a time, so that the oldest ones were given up by it.
const KEPT: usize = 1500;
/// Descriptors for them, and some for everything else.
const DESCRIPTORS: u64 = 4096;

/// The server. Its thread lives as long as the program.
#[derive(Debug)]
pub(super) struct Silent {
    pub(super) address: SocketAddr,
    connections: Arc<Mutex<VecDeque<TcpStream>>>,
    taken: Arc<AtomicUsize>,
}

impl Silent {
    pub(super) fn listen() -> Result<Self> {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS.min(hard), hard)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let connections = Arc::new(Mutex::new(VecDeque::new()));
        let taken = Arc::new(AtomicUsize::new(0));
        let (kept, counted) = (Arc::clone(&connections), Arc::clone(&taken));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back(connection);
                if kept.len() > KEPT {
                    kept.pop_front();
                }
            }
        });
        Ok(Self { address, connections, taken })
    }

    /// Connections that nobody has closed.
    pub(super) fn open(&self) -> usize {
        let kept = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter(|connection| is_open(connection)).count()
    }

    /// All that ever were.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// The request is still there to be read; behind it would be the end, which only reading it shows.
fn is_open(connection: &TcpStream) -> bool {
    let mut request = [0; 4096];
    if connection.set_nonblocking(true).is_err() {
        return false;
    }
    loop {
        match std::io::Read::read(&mut &*connection, &mut request) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}
