//! Certificates: files to configurations of TLS that are exchanged while in use, and who a client is.
//!
//! A [`Live`] holds what is served now. [`Live::reload`] reads the files again: connections that stand go on with what
//! they have, new ones get the new certificates, and files that are broken change nothing but the problem that is shown.
//! The crate knows neither of roles nor of protocols.

mod client;
mod files;
mod identity;
mod live;
mod problem;

#[cfg(test)]
mod testing;

pub use client::{ClientFiles, ConnectError, connect};
pub use files::{Files, Loaded};
pub use identity::Identity;
pub use live::{Live, Protocol};
pub use problem::Problem;

/// An encrypted connection, of either side.
pub use tokio_rustls::TlsStream;

/// What is asked of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate.
    #[default]
    None,
    /// A certificate if they have one; a wrong one is refused.
    Optional,
    /// A certificate, always.
    Required,
}
