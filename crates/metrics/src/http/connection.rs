//! One connection, from its first byte to its last.

use std::pin::pin;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::stall::Stall;
use super::{Limits, Site, routes};

/// Longest request line and header together in bytes; a longer one is answered with 431.
const MAX_HEADER: usize = 16 * 1024;

/// Serves what was accepted: at once, or after the handshake of TLS, which has as much time as a header.
pub(super) async fn accepted(stream: TcpStream, site: Site, limits: Limits, stopped: watch::Receiver<()>) {
    let Some(live) = site.web.as_ref().and_then(|web| web.rules()).and_then(|rules| rules.tls.clone()) else {
        return serve(stream, site, limits, stopped).await;
    };
    let mut ending = stopped.clone();
    let handshake = tokio::select! {
        shaken = timeout(limits.header, live.accept(stream)) => shaken,
        _ = ending.changed() => return,
    };
    match handshake {
        Ok(Ok((stream, _))) => serve(stream, site, limits, stopped).await,
        Ok(Err(error)) => tracing::debug!(%error, "a handshake of TLS with a metrics client failed"),
        Err(_) => tracing::debug!("a handshake of TLS with a metrics client took too long"),
    }
}

/// Answers requests until the client goes, breaks a rule or a limit, or `stopped` has no sender any more: then
/// the response in progress is finished and the connection closed. Nothing that a client does is an error here.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    site: Site,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let io = TokioIo::new(Stall::new(stream, limits.response));
    let service = service_fn(|request| routes::respond(request, &site));
    let mut connection = pin!(
        http1::Builder::new()
            .keep_alive(limits.keep)
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header)
            .max_buf_size(MAX_HEADER)
            .serve_connection(io, service)
    );
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "metrics connection closed");
    }
}
