//! Handshakes of TLS, beside the loop that accepts: bounded in number and time.
//!
//! When too many are under way, the oldest one gives way: an honest handshake takes milliseconds, so the oldest is the
//! one that stalls. Whoever wants to keep others out has to be faster than they are, not just patient.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tls::Live;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use crate::accept::{Gate, Io};
use crate::auth::Peer;
use crate::certificate::Certified;
use crate::denied::Denied;

/// Handshakes at the same time.
const MAX: usize = 64;
/// A handshake that takes longer is given up.
const LIMIT: Duration = Duration::from_secs(10);

/// Those under way. When it is dropped, they end.
pub(crate) struct Handshakes {
    live: Arc<Live>,
    gate: Gate,
    tasks: JoinSet<()>,
    /// Oldest first. Those that are over are taken out when a new one comes.
    order: VecDeque<AbortHandle>,
}

impl Handshakes {
    pub(crate) fn new(live: Arc<Live>, gate: Gate) -> Self {
        Self { live, gate, tasks: JoinSet::new(), order: VecDeque::new() }
    }

    /// Begins one.
    pub(crate) fn begin(&mut self, io: TcpStream, address: std::net::SocketAddr) {
        while self.tasks.try_join_next().is_some() {}
        self.order.retain(|task| !task.is_finished());
        while self.order.len() >= MAX {
            if let Some(oldest) = self.order.pop_front() {
                oldest.abort();
            }
        }
        let (live, gate) = (Arc::clone(&self.live), self.gate.clone());
        let task = async move {
            match timeout(LIMIT, live.accept(io)).await {
                Ok(Ok((stream, identity))) => {
                    let client = identity.as_ref().map(Certified::of);
                    gate.admit(Io::Tls(Box::new(stream)), Peer::Tls { address, client }).await;
                }
                Ok(Err(error)) => gate.policy.denied.handshake(address, &error),
                Err(_) => tracing::debug!(%address, "a handshake of TLS took too long"),
            }
        };
        self.order.push_back(self.tasks.spawn(task));
    }
}

impl Denied {
    /// Garbage and port scans are nothing to tell of; a certificate that is not taken is.
    fn handshake(&self, address: std::net::SocketAddr, error: &std::io::Error) {
        let text = error.to_string();
        let told = ["certificate", "Certificate", "UnknownCA"].iter().any(|word| text.contains(word));
        if !told {
            tracing::debug!(%address, %error, "a handshake of TLS failed");
            return;
        }
        if let Some(suppressed) = self.may_tell(&Peer::Tls { address, client: None }) {
            let suppressed = Some(suppressed).filter(|n| *n > 0);
            tracing::warn!(target: "audit", peer = %address, result = "BAD_CERTIFICATE", suppressed, "{address} over TLS: {error}");
        }
    }
}
