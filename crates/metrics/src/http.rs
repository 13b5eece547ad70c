//! The HTTP server: binds, tries again while the port is taken, accepts, and shuts down.
//!
//! Its bounds: [`Limits`]. Beyond the number of connections further clients wait in the kernel's backlog.

mod accept;
mod body;
mod connection;
mod page;
mod routes;
mod stall;
mod status;
mod web;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Exporter;
use page::Pages;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use status::View;
pub use web::{Web, WebError};

/// Where to listen.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Somebody else listens on the address, and this is to be accepted from.
    pub inherited: Option<Arc<std::net::TcpListener>>,
    /// Time between two tries while the address can't be bound.
    pub retry: Duration,
    /// Who may read them, and whether with TLS; `None` = everybody, without.
    pub web: Option<Arc<Web>>,
}

impl Config {
    /// Listens on `addr` and tries again every 10 s while it is taken.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, inherited: None, retry: Duration::from_secs(10), web: None }
    }
}

impl Config {
    /// Not before it is known who may come.
    async fn bind(&self) -> Result<TcpListener, String> {
        if let Some(web) = self.web.as_ref().filter(|web| web.rules().is_none()) {
            return Err(web
                .problem()
                .map_or_else(|| "nothing was read yet".to_owned(), |problem| problem.to_string()));
        }
        let opened = match &self.inherited {
            None => TcpListener::bind(self.addr).await,
            Some(inherited) => inherited
                .set_nonblocking(true)
                .and_then(|()| inherited.try_clone())
                .and_then(TcpListener::from_std),
        };
        opened.map_err(|error| error.to_string())
    }
}

/// How the listener is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListenState {
    /// Not tried yet.
    #[default]
    Starting,
    /// Accepts connections.
    Listening {
        /// On this address, with its real port.
        addr: SocketAddr,
    },
    /// Could not be bound; it is tried again.
    Failed {
        /// The address asked for.
        addr: SocketAddr,
        /// The system's error in words.
        error: String,
    },
}

impl fmt::Display for ListenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Listening { addr } => write!(f, "listening on {addr}"),
            Self::Failed { addr, error } => write!(f, "can't listen on {addr}: {error}; trying again"),
        }
    }
}

/// What is served, to whom.
#[derive(Clone, Debug)]
struct Site {
    pages: Arc<Pages>,
    web: Option<Arc<Web>>,
    /// [`Limits::response`].
    response: Duration,
}

/// What a client may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections served at once; more wait in the backlog.
    connections: usize,
    /// From the first moment of waiting for a request to the end of its header. An idle connection is closed
    /// after the same time: a Prometheus that comes back later simply connects again.
    header: Duration,
    /// The same while half of the connections are taken: those that stall must not keep others waiting for long.
    crowded: Duration,
    /// Whether a connection may have more than one request.
    keep: bool,
    /// From the first byte of a response that has to wait for the client to the last.
    response: Duration,
    /// Given to open connections at shutdown.
    grace: Duration,
}

const LIMITS: Limits = Limits {
    connections: 64,
    keep: true,
    header: Duration::from_secs(10),
    crowded: Duration::from_secs(2),
    response: Duration::from_secs(30),
    grace: Duration::from_secs(2),
};

/// Serves /metrics, /healthz, /readyz and a page that links them, until `shutdown` ends. A taken port is
/// reported through `state` and in the log and tried again; it is never an error of the daemon.
pub async fn serve(
    config: Config,
    exporter: Arc<Exporter>,
    state: watch::Sender<ListenState>,
    shutdown: impl Future<Output = ()> + Send,
) {
    serve_within(LIMITS, config, exporter, state, pin!(shutdown)).await;
}

async fn serve_within(
    limits: Limits,
    config: Config,
    exporter: Arc<Exporter>,
    state: watch::Sender<ListenState>,
    mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
) {
    let listener = tokio::select! {
        () = shutdown.as_mut() => return,
        listener = bind(&config, &state) => listener,
    };
    let site = Site { pages: Pages::new(exporter), web: config.web, response: limits.response };
    accept(limits, listener, site, shutdown).await;
}

/// Binds, however often it takes. The timer runs only while the address is taken.
async fn bind(config: &Config, state: &watch::Sender<ListenState>) -> TcpListener {
    let mut last_error = None;
    loop {
        let error = match config.bind().await {
            Ok(listener) => {
                let addr = listener.local_addr().unwrap_or(config.addr);
                let tls =
                    config.web.as_ref().and_then(|web| web.rules()).is_some_and(|rules| rules.tls.is_some());
                let scheme = if tls { "https" } else { "http" };
                tracing::info!(%addr, "metrics are served on {scheme}://{addr}/metrics");
                state.send_replace(ListenState::Listening { addr });
                return listener;
            }
            Err(error) => error,
        };
        if last_error.as_ref() != Some(&error) {
            tracing::warn!(
                addr = %config.addr, %error, retry = ?config.retry,
                "can't serve metrics; supervision goes on. Free the address or set METRICS_PORT"
            );
            state.send_replace(ListenState::Failed { addr: config.addr, error: error.clone() });
            last_error = Some(error);
        }
        sleep(config.retry).await;
    }
}

async fn accept(
    limits: Limits,
    listener: TcpListener,
    site: Site,
    mut shutdown: Pin<&mut (impl Future<Output = ()> + Send)>,
) {
    // Never sent to: dropping the sender is the sign to finish.
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.as_mut() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, _)) => {
                    // While others may soon have to wait, nobody keeps a connection for a second request.
                    let keep = connections.len() < limits.connections / 2;
                    let header = if keep { limits.header } else { limits.crowded.min(limits.header) };
                    let limits = Limits { keep, header, ..limits };
                    connections.spawn(connection::accepted(stream, site.clone(), limits, stopped.clone()));
                }
                Err(error) => {
                    // Out of descriptors, as a rule: the listener stays readable, so without a pause this
                    // loop would spin until somebody closes one.
                    tracing::warn!(%error, "can't accept a connection to the metrics port");
                    sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    drop(stop);
    let drained = timeout(limits.grace, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::debug!(open = connections.len(), "closing metrics connections that did not finish in time");
    }
}
