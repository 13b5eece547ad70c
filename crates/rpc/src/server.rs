//! The server: binds, serves the API with health and reflection on both transports, drains.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tls::{ClientAuth, Live};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::layer::util::{Identity, Stack};
use tower::layer::{LayerFn, layer_fn};

use crate::accept::{self, Gate, ListenState, Port};
use crate::auth::{Policy, Role};
use crate::front::Front;
use crate::meter::Meter;
use crate::reflection::{self, Described};
use crate::service::{MAX_FOLLOWERS, MAX_WAITERS, MAX_WATCHERS, Service};
use crate::shares::Shares;
use crate::slots::Slots;
use crate::socket::{self, Bound, SocketError};
use crate::spare::Spare;
use crate::token::Keeper;
use crate::turns::Turns;
use crate::v1::process_manager_service_server::ProcessManagerServiceServer;
use crate::{Control, LogSource, SERVICE, Token};

/// Largest request. The largest one that makes sense is a definition; answers have no limit here.
const MAX_REQUEST: usize = 4 * 1024 * 1024;
/// Calls that run at the same time on one connection; further ones wait.
const CALLS_PER_CONNECTION: usize = 32;
/// Streams that one connection may have open.
const STREAMS_PER_CONNECTION: u32 = 64;
/// Largest header list of a request.
const MAX_HEADERS: u32 = 16 * 1024;
/// A peer that doesn't answer a ping sent after this much silence …
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
/// … for this long is gone. Only while it is connected: without connections nothing wakes up.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Path of the Unix socket.
    pub unix: Option<PathBuf>,
    /// Address of the TCP port; loopback only, unless clients have to present a certificate.
    pub tcp: Option<SocketAddr>,
    /// What the port speaks TLS with; without it, it speaks plain HTTP/2.
    pub tls: Option<Tls>,
    /// How long a taken port is left alone before the next try.
    pub tcp_retry: Duration,
    /// The daemon's own user; it is an admin, as root is.
    pub daemon_uid: u32,
    /// The group whose members are operators, when it exists.
    pub operators: Option<u32>,
    /// What a TCP caller can present to be more than a viewer.
    pub token: Option<Token>,
    /// What that proves: operator where a group may read the token, admin where only the daemon's own user may.
    pub token_role: Role,
    /// Shows the value of a variable: itself, or a mask when the key or the value looks secret.
    pub mask: fn(&str, &str) -> String,
    /// Where captured output goes, for display.
    pub log_dir: PathBuf,
    /// How long open calls get to finish after the shutdown began.
    pub drain: Duration,
}

/// Sockets that somebody else listens on, and this server shall accept from: [`Config::unix`] and [`Config::tcp`] are their
/// addresses.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The Unix socket.
    pub unix: Option<std::os::unix::net::UnixListener>,
    /// The TCP port.
    pub tcp: Option<std::net::TcpListener>,
}

/// TLS on the TCP port.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificates in use. While there are none, the port stays closed and is tried again.
    pub live: Arc<Live>,
    /// What they ask of clients.
    pub auth: ClientAuth,
}

/// Why the server can't start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The Unix socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The token for TCP callers.
    #[error("writing the token {}: {source}; check that the daemon's user may write there", path.display())]
    Token {
        /// Its file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The TCP address can be reached from other hosts.
    #[error(
        "refusing to listen on {0}: other hosts can reach it, and without certificates of clients nobody knows who they \
         are; set PM_TLS_CERT, PM_TLS_KEY and PM_TLS_CLIENT_CA, or set PM_BIND_ADDRESS to 127.0.0.1:{port} and use ssh -L", port = .0.port()
    )]
    NotLoopback(SocketAddr),
}

/// Bound, not yet serving.
#[derive(Debug)]
pub struct Server {
    config: Config,
    unix: Option<(UnixListener, Bound)>,
    tcp: Option<TcpListener>,
    /// Of the socket and of the port.
    spares: [Spare; 2],
    port: Option<Port>,
    tcp_state: watch::Sender<ListenState>,
    meter: Arc<Meter>,
}

impl Config {
    fn port(&self, inherited: Option<std::net::TcpListener>) -> Option<Port> {
        let tls = self.tls.as_ref().map(|tls| Arc::clone(&tls.live));
        let inherited = inherited.map(Arc::new);
        self.tcp.map(|wanted| Port { wanted, inherited, retry: self.tcp_retry, tls })
    }
}

impl Server {
    /// Takes the socket's path, writes the token, and tries the port. A taken port is no error: see [`Server::tcp_state`].
    ///
    /// Must be called within a tokio runtime.
    pub async fn bind(config: Config) -> Result<Self, BindError> {
        Self::bind_with(config, Inherited::default()).await
    }

    /// The same, with sockets that are there already.
    pub async fn bind_with(config: Config, inherited: Inherited) -> Result<Self, BindError> {
        let certified = config.tls.as_ref().is_some_and(|tls| tls.auth == ClientAuth::Required);
        if let Some(address) = config.tcp.filter(|a| !a.ip().is_loopback() && !certified) {
            return Err(BindError::NotLoopback(address));
        }
        let spares = [Spare::take(), Spare::take()];
        let unix = config.unix.as_deref().map(|path| bind_unix(path, inherited.unix)).transpose()?;
        // After the lock: a second daemon that is refused must not replace the token of the first.
        if let Some(token) = &config.token {
            token.publish().map_err(|source| BindError::Token { path: token.path().to_owned(), source })?;
        }
        let port = config.port(inherited.tcp);
        let (tcp, state) = match &port {
            None => (None, ListenState::Disabled),
            Some(port) => match port.open().await {
                Ok((listener, real)) => (Some(listener), ListenState::Listening(real)),
                Err(failed) => {
                    accept::warn(&failed);
                    (None, failed)
                }
            },
        };
        let tcp_state = watch::Sender::new(state);
        Ok(Self { config, unix, tcp, spares, port, tcp_state, meter: Arc::default() })
    }

    /// The path of the Unix socket.
    #[must_use]
    pub fn unix_path(&self) -> Option<&Path> {
        self.unix.as_ref().map(|(_, bound)| bound.path())
    }

    /// Whether the port is open, now and later.
    #[must_use]
    pub fn tcp_state(&self) -> watch::Receiver<ListenState> {
        self.tcp_state.subscribe()
    }

    /// How many calls there were and how long they took, now and later.
    #[must_use]
    pub fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    /// Serves until `shutdown` resolves, then takes no further connection, ends the log streams, and waits for open
    /// calls, at most [`Config::drain`]. Health follows `ready`: NOT_SERVING until it is true, and while draining.
    pub async fn serve(
        self,
        control: Arc<dyn Control>,
        logs: Arc<dyn LogSource>,
        ready: watch::Receiver<bool>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), transport::Error> {
        let Self { config, unix, tcp, spares: [for_unix, for_tcp], port, tcp_state, meter } = self;
        let token = config.token.map(|token| Arc::new(Keeper::new(token)));
        let policy = Policy {
            daemon_uid: config.daemon_uid,
            operators: config.operators,
            token: token.clone(),
            token_role: config.token_role,
            denied: Arc::default(),
            members: Arc::default(),
        };
        let draining = watch::Sender::new(false);
        let events = control.events();
        // Until the last call is through, not only until no new one is taken.
        let mut telling = JoinSet::new();
        telling.spawn(async move { events.announce().await });
        let service = Service {
            control,
            logs,
            policy: policy.clone(),
            mask: config.mask,
            log_dir: config.log_dir,
            followers: Shares::new(MAX_FOLLOWERS),
            watchers: Shares::new(MAX_WATCHERS),
            waiters: Shares::new(MAX_WAITERS),
            repeats: Arc::default(),
            ready: ready.clone(),
            drain: draining.subscribe(),
        };

        let (sink, connections) = mpsc::channel(16);
        let gate = Gate { policy, slots: Arc::new(Slots::new()), sink: sink.clone() };
        let mut acceptors = JoinSet::new();
        let mut bound = None;
        if let Some((listener, owner)) = unix {
            bound = Some(owner);
            acceptors.spawn(accept::unix(listener, for_unix, gate.clone()));
        }
        if let Some(port) = port {
            acceptors.spawn(accept::tcp(tcp, for_tcp, port, tcp_state, gate));
        }
        // `sink` stays alive until the end: tonic stops when the stream of connections ends.

        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status("", ServingStatus::NotServing).await;
        health.set_service_status(SERVICE, ServingStatus::NotServing).await;
        let mut drain = draining.subscribe();
        let server = router(service, meter, health_service).serve_with_incoming_shutdown(
            ReceiverStream::new(connections),
            async move {
                // An error means that the sender is gone, which is the end as well.
                let _gone = drain.wait_for(|draining| *draining).await.is_err();
            },
        );
        let mut server = std::pin::pin!(server);
        tokio::select! {
            ended = &mut server => return ended,
            () = follow_readiness(&health, ready) => {}
            () = shutdown => {}
        }
        health.set_service_status("", ServingStatus::NotServing).await;
        health.set_service_status(SERVICE, ServingStatus::NotServing).await;
        // New connections are refused from here on: the listeners and then the socket go first, so that a client sees
        // "not running" and not a connection that nobody serves.
        acceptors.shutdown().await;
        // Before the lock is let go: what lies there afterwards is the next daemon's.
        if let Some(keeper) = token {
            keeper.withdraw();
        }
        drop(bound);
        draining.send_replace(true);
        let ended = tokio::time::timeout(config.drain, server).await;
        drop(sink);
        // Calls that are still open are cut; what they asked for goes on by itself.
        ended.unwrap_or(Ok(()))
    }
}

fn bind_unix(
    path: &Path,
    inherited: Option<std::os::unix::net::UnixListener>,
) -> Result<(UnixListener, Bound), SocketError> {
    let (listener, bound) = match inherited {
        None => socket::bind(path)?,
        Some(listener) => {
            let bound = socket::adopt(path, &listener)?;
            (listener, bound)
        }
    };
    let listener = UnixListener::from_std(listener).map_err(|source| SocketError::Io {
        what: "listening on",
        path: path.to_owned(),
        source,
    })?;
    Ok((listener, bound))
}

/// Copies readiness into health; never returns.
async fn follow_readiness(health: &HealthReporter, mut ready: watch::Receiver<bool>) {
    loop {
        let status =
            if *ready.borrow_and_update() { ServingStatus::Serving } else { ServingStatus::NotServing };
        health.set_service_status("", status).await;
        health.set_service_status(SERVICE, status).await;
        if ready.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The services with what stands in front of them.
type Layered<F> = transport::server::Router<Stack<LayerFn<F>, Identity>>;

fn router<H>(
    service: Service,
    meter: Arc<Meter>,
    health: H,
) -> Layered<impl Fn(Routes) -> Front<Routes> + Clone>
where
    H: tower::Service<
            tonic::codegen::http::Request<tonic::body::Body>,
            Response = tonic::codegen::http::Response<tonic::body::Body>,
            Error = std::convert::Infallible,
        > + tonic::server::NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    H::Future: Send + 'static,
{
    let (policy, turns) = (service.policy.clone(), Arc::<Turns>::default());
    let front = move |inner| Front {
        inner,
        meter: Arc::clone(&meter),
        policy: policy.clone(),
        turns: Arc::clone(&turns),
    };
    transport::Server::builder()
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_keepalive_interval(Some(KEEPALIVE_AFTER))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(layer_fn(front))
        .add_service(health)
        .add_service(Described::new(|| reflection::builder().build_v1().ok()))
        .add_service(Described::new(|| reflection::builder().build_v1alpha().ok()))
        .add_service(ProcessManagerServiceServer::new(service).max_decoding_message_size(MAX_REQUEST))
}
