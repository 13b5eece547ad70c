//! The client's side of a connection.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client};

use crate::files::{authorities, certificates, private_key};
use crate::{Problem, Protocol};

/// Where distributions keep the authorities that everybody trusts.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What a client uses. Read at each connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities that the server's certificate has to come from, in PEM; `None` = those of the system.
    pub ca: Option<PathBuf>,
    /// The client's certificate in PEM, and its key: both or neither.
    pub cert: Option<PathBuf>,
    /// The key of the client's certificate, in PEM.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate has to have; `None` = the host that is connected to.
    pub server_name: Option<String>,
}

/// Why there is no encrypted connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The files of this side.
    #[error(transparent)]
    Files(#[from] Problem),
    /// What was asked for can't be.
    #[error("{0}")]
    Usage(String),
    /// The handshake.
    #[error("{0}")]
    Handshake(String),
}

impl ClientFiles {
    fn config(&self, protocol: Protocol) -> Result<ClientConfig, ConnectError> {
        let ca = match &self.ca {
            Some(path) => path.clone(),
            None => BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
                ConnectError::Usage(
                    "this system has no list of authorities; name the file of yours".to_owned(),
                )
            })?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| ConnectError::Usage(e.to_string()))?
            .with_root_certificates(self.authorities(&ca)?);
        let mut config = match (&self.cert, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let (chain, private) = (certificates(cert)?, private_key(key)?.0);
                builder.with_client_auth_cert(chain, private).map_err(|e| {
                    let reason = format!("it can't be used with the certificate in {}: {e}", cert.display());
                    Problem::new(key, reason, "give the two files that were made together")
                })?
            }
            (Some(cert), None) => return Err(half("the key", cert)),
            (None, Some(key)) => return Err(half("the certificate", key)),
        };
        config.alpn_protocols = vec![match protocol {
            Protocol::Http1 => b"http/1.1".to_vec(),
            Protocol::Http2 => b"h2".to_vec(),
        }];
        Ok(config)
    }

    /// A system's list may hold one that is of no use to us; of one's own file every one counts.
    fn authorities(&self, path: &Path) -> Result<rustls::RootCertStore, ConnectError> {
        if self.ca.is_some() {
            return Ok(authorities(path)?);
        }
        let mut roots = rustls::RootCertStore::empty();
        let (_usable, _not) = roots.add_parsable_certificates(certificates(path)?);
        Ok(roots)
    }
}

fn half(missing: &str, given: &Path) -> ConnectError {
    ConnectError::Usage(format!(
        "{} is given, and {missing} for it is not; a client needs both",
        given.display()
    ))
}

/// The handshake with the server at `address` (`host:port`).
pub async fn connect<S>(
    files: &ClientFiles,
    protocol: Protocol,
    address: &str,
    stream: S,
) -> Result<client::TlsStream<S>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = files.server_name.clone().unwrap_or_else(|| host(address).to_owned());
    let server = match name.parse::<IpAddr>() {
        Ok(ip) => ServerName::IpAddress(ip.into()),
        Err(_) => ServerName::try_from(name.clone())
            .map_err(|_| ConnectError::Usage(format!("{name:?} is no name that a certificate can have")))?,
    };
    let config = files.config(protocol)?;
    TlsConnector::from(Arc::new(config)).connect(server, stream).await.map_err(|e| refused(&e, &name))
}

/// `host` of `host:port`, `::1` of `[::1]:port`.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn refused(error: &io::Error, name: &str) -> ConnectError {
    use rustls::CertificateError as Cert;
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    ConnectError::Handshake(match inner {
        Some(rustls::Error::InvalidCertificate(Cert::UnknownIssuer)) => {
            "the daemon's certificate comes from an authority that is not trusted here; name the right file of \
             authorities"
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(Cert::Expired | Cert::ExpiredContext { .. })) => {
            "the daemon's certificate has expired".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(Cert::NotValidForName | Cert::NotValidForNameContext { .. })) => {
            format!("the daemon's certificate is not for {name:?}; connect by a name in it, or say which one it has")
        }
        Some(rustls::Error::InvalidMessage(_)) => "what answers there doesn't speak TLS".to_owned(),
        Some(other) => other.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the connection was closed in the handshake; does the port speak TLS?".to_owned()
        }
        None => error.to_string(),
    })
}
