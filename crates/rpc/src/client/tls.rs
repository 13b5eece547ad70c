//! A connection with TLS.

use ::tls::{ClientStream, ConnectError, Protocol};
use tokio::net::TcpStream;

use super::{TlsFiles, Unreachable};

/// Connects and shakes hands.
pub(super) async fn open(address: &str, files: &TlsFiles) -> Result<ClientStream<TcpStream>, Unreachable> {
    let io = TcpStream::connect(address).await?;
    io.set_nodelay(true)?;
    Ok(::tls::connect(files, Protocol::Http2, address, io).await?)
}

impl From<ConnectError> for Unreachable {
    fn from(error: ConnectError) -> Self {
        Self::Tls(error.to_string())
    }
}
