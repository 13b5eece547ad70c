//! A journal in the journal's place: a datagram socket whose receiver can stall, go away and come back, and who keeps
//! what it was sent.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use tempfile::TempDir;

/// The largest datagram that is expected: what the daemon sends at once is well below.
const LARGEST: usize = 1 << 20;

enum Order {
    /// Reads no more.
    Stall,
    /// Reads on.
    GoOn,
    /// Takes what was sent, and is gone: nobody listens, and there is no socket.
    Leave,
    /// Is there again.
    Return,
    End,
}

/// What it does with an entry: its fields, in their order.
pub(crate) type Entry<'a> = [(&'a str, &'a [u8])];

/// The receiver. What it was sent goes to a function that runs on its thread and whose state comes back at the end.
pub(crate) struct FakeJournal<T> {
    dir: TempDir,
    orders: Sender<Order>,
    thread: JoinHandle<T>,
}

impl<T: Send + 'static> FakeJournal<T> {
    /// One that reads.
    pub(crate) fn start(mut state: T, take: impl Fn(&mut T, &Entry<'_>) + Send + 'static) -> Self {
        let dir = tempfile::Builder::new().prefix("pm-journal-").tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let (orders, received) = channel();
        let socket = bind(&path);
        let thread = std::thread::spawn(move || {
            attend(&path, socket, &received, &mut |entry| take(&mut state, entry));
            state
        });
        Self { dir, orders, thread }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    fn order(&self, order: Order) {
        self.orders.send(order).expect("the receiver lives");
        // Whoever waits in recv(2) has to look: an entry without a field is none. Where it can't be sent, the queue is
        // full and there is something to receive, or nobody is there and the order itself is waited for.
        let wake = UnixDatagram::unbound().expect("a socket");
        wake.set_nonblocking(true).expect("a socket");
        drop(wake.send_to(b"\n", self.socket()));
    }

    pub(crate) fn stall(&self) {
        self.order(Order::Stall);
    }

    pub(crate) fn go_on(&self) {
        self.order(Order::GoOn);
    }

    pub(crate) fn leave(&self) {
        self.order(Order::Leave);
    }

    pub(crate) fn come_back(&self) {
        self.order(Order::Return);
    }

    /// Takes what is still in the socket, and ends.
    pub(crate) fn end(self) -> T {
        self.order(Order::End);
        self.thread.join().expect("every entry is as it should be")
    }
}

fn bind(path: &Path) -> UnixDatagram {
    UnixDatagram::bind(path).expect("a new socket")
}

fn attend(path: &Path, socket: UnixDatagram, orders: &Receiver<Order>, take: &mut impl FnMut(&Entry<'_>)) {
    let mut buffer = vec![0; LARGEST];
    let mut socket = Some(socket);
    let mut stalled = false;
    loop {
        let order = match &socket {
            Some(socket) if !stalled => {
                let size = socket.recv(&mut buffer).expect("a datagram");
                entries(&buffer[..size], take);
                orders.try_recv().ok()
            }
            _ => orders.recv().ok(),
        };
        match order {
            None => {}
            Some(Order::Stall) => stalled = true,
            Some(Order::GoOn) => stalled = false,
            Some(Order::Leave) => {
                drain(&socket.take().expect("it is there"), &mut buffer, take);
                std::fs::remove_file(path).expect("its socket");
            }
            Some(Order::Return) => socket = Some(bind(path)),
            Some(Order::End) => {
                drain(&socket.take().expect("it is there"), &mut buffer, take);
                return;
            }
        }
    }
}

/// Takes what was sent, and lets nothing be sent any more: what a sender was told to be taken is never lost.
fn drain(socket: &UnixDatagram, buffer: &mut [u8], take: &mut impl FnMut(&Entry<'_>)) {
    socket.shutdown(Shutdown::Read).expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    loop {
        match socket.recv(buffer) {
            Ok(0) => return,
            Ok(size) => entries(&buffer[..size], take),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The entries of a datagram, an empty line between them. Of the protocol's two forms only `KEY=value` is known here:
/// no value that a test sends has a newline.
fn entries(datagram: &[u8], take: &mut impl FnMut(&Entry<'_>)) {
    let mut entry = Vec::new();
    for line in datagram.split(|b| *b == b'\n') {
        if line.is_empty() {
            if !entry.is_empty() {
                take(&entry);
            }
            entry.clear();
            continue;
        }
        let equals = line.iter().position(|b| *b == b'=').expect("KEY=value");
        let key = std::str::from_utf8(&line[..equals]).expect("a key");
        entry.push((key, &line[equals + 1..]));
    }
    if !entry.is_empty() {
        take(&entry);
    }
}

/// One field's value.
pub(crate) fn field<'a>(entry: &Entry<'a>, key: &str) -> Option<&'a str> {
    let (_, value) = entry.iter().find(|(k, _)| *k == key)?;
    Some(std::str::from_utf8(value).expect("a text"))
}
