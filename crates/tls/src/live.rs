//! What a server serves now, exchanged while it is in use.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server};

use crate::{ClientAuth, Files, Identity, Loaded, Problem};

/// What is spoken inside, negotiated by ALPN: a client of the other protocol is refused in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// The certificates of a server. Readers and the reload never wait for each other's I/O: the lock is held to exchange
/// one pointer.
pub struct Live {
    protocol: Protocol,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    wanted: Option<(Files, ClientAuth)>,
    config: Option<Arc<ServerConfig>>,
    problem: Option<Problem>,
    warnings: Vec<Problem>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("protocol", &self.protocol).field("problem", &self.problem()).finish()
    }
}

impl Live {
    /// With no certificate yet.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self { protocol, state: RwLock::default() }
    }

    /// Reads these files and uses them from now on; when they can't be used, what was there before stays. Blocks.
    pub fn load(&self, files: &Files, auth: ClientAuth) -> Result<(), Problem> {
        let alpn: &[u8] = match self.protocol {
            Protocol::Http1 => b"http/1.1",
            Protocol::Http2 => b"h2",
        };
        let loaded = files.load(auth, alpn);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.wanted = Some((files.clone(), auth));
        match loaded {
            Ok(Loaded { config, warnings }) => {
                *state = State { wanted: state.wanted.take(), config: Some(config), problem: None, warnings };
                Ok(())
            }
            Err(problem) => {
                state.problem = Some(problem.clone());
                Err(problem)
            }
        }
    }

    /// Reads the same files again. Blocks.
    pub fn reload(&self) -> Result<(), Problem> {
        let wanted = self.state.read().unwrap_or_else(PoisonError::into_inner).wanted.clone();
        wanted.map_or(Ok(()), |(files, auth)| self.load(&files, auth))
    }

    /// Why the files are not what is served; `None` = they are.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// What should be looked at although it works.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).warnings.clone()
    }

    /// Whether there is anything to serve with.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.config().is_some()
    }

    fn config(&self) -> Option<Arc<ServerConfig>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    /// The handshake, with what is served now. Who the client is, is known when it presented a certificate. Takes as long
    /// as the client wants: the caller bounds it.
    pub async fn accept<S>(&self, stream: S) -> io::Result<(server::TlsStream<S>, Option<Identity>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config =
            self.config().ok_or_else(|| io::Error::other("there is no certificate to serve with"))?;
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let certs = stream.get_ref().1.peer_certificates();
        let identity = certs.and_then(<[_]>::first).map(|cert| Identity::of(cert));
        Ok((stream, identity))
    }
}
