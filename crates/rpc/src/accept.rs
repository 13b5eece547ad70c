//! From listeners to connections: peers told apart, numbers bounded, slow starters shut out, a taken port tried again.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tls::{Live, ServerStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

use crate::auth::{Peer, Policy};
use crate::authority::Authority;
use crate::handshake::Handshakes;
use crate::shares::{Full, Share};
use crate::slots::Slots;
use crate::spare::Spare;

/// A connection that has not sent the HTTP/2 preface (24 bytes) within this time is closed.
const PREFACE: (usize, Duration) = (24, Duration::from_secs(10));
/// Pause after accept(2) failed, which mostly means that not even the spare descriptor was to be had.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether the TCP port is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenState {
    /// Not wanted.
    Disabled,
    /// Open, at this address (with the real port when port 0 was asked for).
    Listening(SocketAddr),
    /// Not open; tried again every few seconds.
    Failed {
        /// The wanted address.
        address: SocketAddr,
        /// Why, in words.
        error: String,
    },
}

pub(crate) enum Io {
    Unix(UnixStream),
    Tcp(TcpStream),
    /// Boxed: its state is a kilobyte, which the others need not carry.
    Tls(Box<ServerStream<TcpStream>>),
}

/// An accepted connection.
pub(crate) struct Connection {
    io: Io,
    peer: Peer,
    /// Bytes read and the time until which the preface must be there; `None` once it is.
    preface: Option<(usize, Pin<Box<Sleep>>)>,
    /// Over the Unix socket only: what some clients call the server there.
    authority: Option<Authority>,
    _slot: Share,
}

impl Connection {
    fn new(io: Io, peer: Peer, slot: Share) -> Self {
        let authority = matches!(peer, Peer::Unix { .. }).then(Authority::default);
        Self { io, peer, preface: Some((0, Box::pin(sleep(PREFACE.1)))), authority, _slot: slot }
    }

    fn count(&mut self, read: usize) {
        if let Some((seen, _)) = &mut self.preface {
            *seen += read;
            if *seen >= PREFACE.0 {
                self.preface = None;
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;
    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.io {
            Io::Unix(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tcp(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buf),
        };
        if polled.is_pending() {
            if let Some((_, deadline)) = &mut self.preface {
                ready!(deadline.as_mut().poll(cx));
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "no HTTP/2 preface in time",
                )));
            }
        } else {
            self.count(buf.filled().len() - before);
            if let Some(authority) = &mut self.authority {
                authority.mend(&mut buf.filled_mut()[before..]);
            }
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Unix(io) => Pin::new(io).poll_write(cx, data),
            Io::Tcp(io) => Pin::new(io).poll_write(cx, data),
            Io::Tls(io) => Pin::new(io).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Unix(io) => Pin::new(io).poll_write_vectored(cx, data),
            Io::Tcp(io) => Pin::new(io).poll_write_vectored(cx, data),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Unix(io) => Pin::new(io).poll_flush(cx),
            Io::Tcp(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Unix(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

/// Where accepted connections go. Bound: 16 that tonic has not taken yet; then accepting waits, and the kernel's
/// backlog holds the rest.
pub(crate) type Sink = mpsc::Sender<io::Result<Connection>>;

/// The way from an accepted connection into the server.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) policy: Policy,
    pub(crate) slots: Arc<Slots>,
    pub(crate) sink: Sink,
}

impl Gate {
    /// Lets it in if its kind has room. `false` = the server is gone.
    pub(crate) async fn admit(&self, io: Io, peer: Peer) -> bool {
        match self.slots.take(peer, &self.policy) {
            Ok(slot) => self.let_in(io, peer, slot).await,
            Err(full @ Full::All(_)) => {
                self.slots.refuse(peer, full);
                true
            }
            Err(full) => {
                // Beside the loop that accepts: the look-up may take its time.
                let gate = self.clone();
                tokio::spawn(async move {
                    match gate.slots.take_as_operator(peer, &gate.policy).await {
                        Some(slot) => drop(gate.let_in(io, peer, slot).await),
                        None => gate.slots.refuse(peer, full),
                    }
                });
                true
            }
        }
    }

    async fn let_in(&self, io: Io, peer: Peer, slot: Share) -> bool {
        self.sink.send(Ok(Connection::new(io, peer, slot))).await.is_ok()
    }
}

/// Accepts on the Unix socket until the server is gone.
pub(crate) async fn unix(listener: UnixListener, mut spare: Spare, gate: Gate) {
    loop {
        let accepted = spare.accept(|| listener.accept()).await.and_then(|(io, _)| Ok((io.peer_cred()?, io)));
        let (cred, io) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                failed(&e).await;
                continue;
            }
        };
        let peer = Peer::Unix { uid: cred.uid(), gid: cred.gid(), pid: cred.pid() };
        if !gate.admit(Io::Unix(io), peer).await {
            return;
        }
    }
}

/// A TCP port that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) wanted: SocketAddr,
    /// Somebody else listens there, and this is to be accepted from.
    pub(crate) inherited: Option<Arc<std::net::TcpListener>>,
    /// How long it is left alone before the next try.
    pub(crate) retry: Duration,
    /// Nothing but TLS is spoken where this is set.
    pub(crate) tls: Option<Arc<Live>>,
}

impl Port {
    /// Opens it once, so that the caller knows at start how it went.
    pub(crate) async fn open(&self) -> Result<(TcpListener, SocketAddr), ListenState> {
        let failed = |error| ListenState::Failed { address: self.wanted, error };
        if let Some(live) = self.tls.as_deref().filter(|live| !live.is_ready()) {
            let why = live.problem().map_or_else(|| "nothing was read yet".to_owned(), |p| p.to_string());
            return Err(failed(format!("no certificate to serve with: {why}")));
        }
        let opened = async {
            let listener = match &self.inherited {
                None => TcpListener::bind(self.wanted).await?,
                Some(inherited) => {
                    inherited.set_nonblocking(true)?;
                    TcpListener::from_std(inherited.try_clone()?)?
                }
            };
            let real = listener.local_addr()?;
            io::Result::Ok((listener, real))
        };
        opened.await.map_err(|e| failed(e.to_string()))
    }

    /// Tries until it is open.
    async fn reopen(&self, state: &watch::Sender<ListenState>) -> TcpListener {
        loop {
            sleep(self.retry).await;
            match self.open().await {
                Ok((listener, real)) => {
                    tracing::info!(address = %real, "the control port is open now");
                    state.send_replace(ListenState::Listening(real));
                    return listener;
                }
                Err(failed) => {
                    state.send_if_modified(|now| {
                        let changed = *now != failed;
                        if changed {
                            warn(&failed);
                        }
                        *now = failed;
                        changed
                    });
                }
            }
        }
    }
}

/// Says why the port is not open; once for each reason.
pub(crate) fn warn(state: &ListenState) {
    if let ListenState::Failed { address, error } = state {
        tracing::warn!(
            %address, %error,
            "can't open the control port; supervision and the socket go on, and it is tried again. Free the address, or \
             set PM_BIND_ADDRESS"
        );
    }
}

/// Accepts on the port until the server is gone; while it can't be opened, tries again.
pub(crate) async fn tcp(
    first: Option<TcpListener>,
    mut spare: Spare,
    port: Port,
    state: watch::Sender<ListenState>,
    gate: Gate,
) {
    let listener = match first {
        Some(listener) => listener,
        None => port.reopen(&state).await,
    };
    let mut handshakes = port.tls.map(|live| Handshakes::new(live, gate.clone()));
    loop {
        let (io, address) = match spare.accept(|| listener.accept()).await {
            Ok(accepted) => accepted,
            Err(e) => {
                failed(&e).await;
                continue;
            }
        };
        // Without it a small answer may wait 40 ms for the peer's delayed acknowledgement; slower is no reason to fail.
        if let Err(e) = io.set_nodelay(true) {
            tracing::debug!(%address, error = %e, "no TCP_NODELAY");
        }
        match &mut handshakes {
            Some(handshakes) => handshakes.begin(io, address),
            None if !gate.admit(Io::Tcp(io), Peer::Tcp(address)).await => return,
            None => {}
        }
    }
}

async fn failed(error: &io::Error) {
    tracing::warn!(%error, "can't accept a control connection; trying again");
    sleep(ACCEPT_PAUSE).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::Role;
    use crate::shares::Shares;
    use crate::who::Who;

    fn connection() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let slot = Shares::new(1).take(Who::Uid(1), Role::Admin).unwrap();
        (Connection::new(Io::Unix(ours), Peer::Unix { uid: 1, gid: 1, pid: None }, slot), theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_no_preface_is_shut_out() {
        let (mut ours, mut theirs) = connection();
        theirs.write_all(&[0; PREFACE.0 - 1]).await.unwrap();
        let mut buf = [0; 64];
        assert_eq!(ours.read(&mut buf).await.unwrap(), PREFACE.0 - 1);
        assert_eq!(ours.read(&mut buf).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_sent_it_may_be_idle() {
        let (mut ours, mut theirs) = connection();
        theirs.write_all(&[0; PREFACE.0]).await.unwrap();
        let mut buf = [0; 64];
        assert_eq!(ours.read(&mut buf).await.unwrap(), PREFACE.0);
        let idle = tokio::time::timeout(PREFACE.1 * 100, ours.read(&mut buf)).await;
        assert!(idle.is_err(), "still waiting, not failed");
    }
}
