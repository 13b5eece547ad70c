//! A connection with TLS.

use ::tls::{ConnectError, Protocol, TlsStream};
use tokio::net::TcpStream;

use super::{TlsFiles, Unreachable};

/// Connects and shakes hands.
pub(super) async fn open(address: &str, files: &TlsFiles) -> Result<TlsStream<TcpStream>, Unreachable> {
    let io = TcpStream::connect(address).await?;
    io.set_nodelay(true)?;
    let stream = ::tls::connect(files, Protocol::Http2, address, io).await?;
    Ok(stream.into())
}

impl From<ConnectError> for Unreachable {
    fn from(error: ConnectError) -> Self {
        Self::Tls(error.to_string())
    }
}
