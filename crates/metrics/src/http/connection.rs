//! One connection, from its first byte to its last.

use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::page::Pages;
use super::stall::Stall;
use super::{Limits, routes};

/// Longest request line and header together in bytes; a longer one is answered with 431.
const MAX_HEADER: usize = 16 * 1024;

/// Answers requests until the client goes, breaks a rule or a limit, or `stopped` has no sender any more: then
/// the response in progress is finished and the connection closed. Nothing that a client does is an error here.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    pages: Arc<Pages>,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let io = TokioIo::new(Stall::new(stream, limits.response));
    let service = service_fn(|request| routes::respond(request, &pages));
    let mut connection = pin!(
        http1::Builder::new()
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
