//! A stand-in for journald: a datagram socket whose reader can stop, go away and come back, and who counts what it gets.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tempfile::TempDir;

/// What is sent at once is well below.
const LARGEST: usize = 1 << 20;
/// The reader looks at its orders that often.
const LOOK: Duration = Duration::from_millis(50);

enum Order {
    /// What SIGSTOP does to journald: the socket is there, and nobody reads.
    Stall,
    GoOn,
    /// No socket.
    Leave,
    Return,
    End,
}

/// Of one process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Got {
    /// Lines that arrived.
    pub(crate) lines: u64,
    /// Lines that a marker said were dropped.
    pub(crate) told: u64,
}

/// The reader.
pub(crate) struct Journal {
    dir: TempDir,
    orders: Sender<Order>,
    thread: JoinHandle<Result<BTreeMap<String, Got>>>,
}

impl Journal {
    pub(crate) fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("pm-journal-").tempdir()?;
        let path = dir.path().join("socket");
        let socket = bind(&path)?;
        let (orders, received) = channel();
        let thread =
            thread::Builder::new().name("journal".into()).spawn(move || attend(&path, socket, &received))?;
        Ok(Self { dir, orders, thread })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    fn order(&self, order: Order) -> Result<()> {
        self.orders.send(order).map_err(|_| anyhow!("the journal's stand-in has ended"))
    }

    pub(crate) fn stall(&self) -> Result<()> {
        self.order(Order::Stall)
    }

    pub(crate) fn go_on(&self) -> Result<()> {
        self.order(Order::GoOn)
    }

    pub(crate) fn leave(&self) -> Result<()> {
        self.order(Order::Leave)
    }

    pub(crate) fn come_back(&self) -> Result<()> {
        self.order(Order::Return)
    }

    /// Reads what is still there, and ends.
    pub(crate) fn end(self) -> Result<BTreeMap<String, Got>> {
        self.order(Order::End)?;
        self.thread.join().map_err(|_| anyhow!("the journal's stand-in has panicked"))?
    }
}

fn bind(path: &Path) -> Result<UnixDatagram> {
    let socket = UnixDatagram::bind(path).context("the journal's socket")?;
    socket.set_read_timeout(Some(LOOK))?;
    Ok(socket)
}

fn attend(path: &Path, socket: UnixDatagram, orders: &Receiver<Order>) -> Result<BTreeMap<String, Got>> {
    let mut got = BTreeMap::new();
    let mut buffer = vec![0; LARGEST];
    let (mut socket, mut stalled) = (Some(socket), false);
    loop {
        let reads = socket.as_ref().filter(|_| !stalled);
        let order = match reads {
            Some(socket) => {
                take(socket, &mut buffer, &mut got)?;
                orders.try_recv()
            }
            None => orders.recv().map_err(|_| TryRecvError::Disconnected),
        };
        match order {
            Err(TryRecvError::Empty) => {}
            Ok(Order::Stall) => stalled = true,
            Ok(Order::GoOn) => stalled = false,
            Ok(Order::Leave) => {
                let left = socket.take().context("it is there")?;
                fs::remove_file(path)?;
                drain(&left, &mut buffer, &mut got)?;
            }
            Ok(Order::Return) => socket = Some(bind(path)?),
            Ok(Order::End) | Err(TryRecvError::Disconnected) => {
                if let Some(left) = socket.take() {
                    drain(&left, &mut buffer, &mut got)?;
                }
                return Ok(got);
            }
        }
    }
}

/// Lets nothing be sent any more, then takes what was: what a sender was told to be taken is never lost here.
fn drain(socket: &UnixDatagram, buffer: &mut [u8], got: &mut BTreeMap<String, Got>) -> Result<()> {
    socket.shutdown(std::net::Shutdown::Read)?;
    while take(socket, buffer, got)? {}
    Ok(())
}

/// One datagram, if there is one.
fn take(socket: &UnixDatagram, buffer: &mut [u8], got: &mut BTreeMap<String, Got>) -> Result<bool> {
    match socket.recv(buffer) {
        Ok(0) => Ok(false),
        Ok(size) => {
            count(&buffer[..size], got);
            Ok(true)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The entries of a datagram, an empty line between them; no value here has a newline.
fn count(datagram: &[u8], got: &mut BTreeMap<String, Got>) {
    let text = String::from_utf8_lossy(datagram);
    for entry in text.split("\n\n") {
        let field = |key: &str| entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        if field("EVENT").is_some() {
            continue;
        }
        let Some(process) = field("PROCESS_NAME") else { continue };
        let of = got.entry(process.to_owned()).or_default();
        if field("PROCESS_STREAM").is_some() {
            of.lines += 1;
        } else {
            let dropped = field("MESSAGE").and_then(|message| message.split(' ').next()?.parse::<u64>().ok());
            of.told += dropped.unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_markers_are_told_apart() {
        let mut got = BTreeMap::new();
        count(b"MESSAGE=x\nPROCESS_NAME=a\nPROCESS_STREAM=stdout\n\nMESSAGE=7 lines dropped\nPROCESS_NAME=a\n\nEVENT=exited\nPROCESS_NAME=a\n", &mut got);
        assert_eq!((got["a"].lines, got["a"].told), (1, 7));
    }
}
