//! What the daemon listens on, gathered from its servers for status, metrics and systemd.

use std::net::SocketAddr;
use std::path::PathBuf;

use rpc::{Listener, ListenerState};
use tokio::sync::watch;

/// The state of every address.
#[derive(Clone)]
pub(crate) struct Listeners {
    pub(crate) socket: PathBuf,
    pub(crate) grpc: watch::Receiver<rpc::ListenState>,
    pub(crate) metrics: Option<watch::Receiver<metrics::ListenState>>,
    pub(crate) metrics_addr: Option<SocketAddr>,
}

impl Listeners {
    /// For people: role, address, state.
    pub(crate) fn list(&self) -> Vec<Listener> {
        let socket = Listener {
            role: "control socket".into(),
            address: self.socket.display().to_string(),
            state: ListenerState::Listening,
        };
        vec![socket, self.grpc_listener(), self.metrics_listener()]
    }

    fn grpc_listener(&self) -> Listener {
        let (address, state) = match &*self.grpc.borrow() {
            rpc::ListenState::Listening(addr) => (addr.to_string(), ListenerState::Listening),
            rpc::ListenState::Failed { address, error } => {
                (address.to_string(), ListenerState::Failed(error.clone()))
            }
            rpc::ListenState::Disabled => (String::new(), ListenerState::Disabled),
        };
        Listener { role: "control tcp".into(), address, state }
    }

    fn metrics_listener(&self) -> Listener {
        let wanted = self.metrics_addr.map(|a| a.to_string()).unwrap_or_default();
        let (address, state) = match self.metrics.as_ref().map(|m| m.borrow().clone()) {
            None => (wanted, ListenerState::Disabled),
            Some(metrics::ListenState::Starting) => (wanted, ListenerState::Failed("starting".into())),
            Some(metrics::ListenState::Listening { addr }) => (addr.to_string(), ListenerState::Listening),
            Some(metrics::ListenState::Failed { addr, error }) => {
                (addr.to_string(), ListenerState::Failed(error))
            }
        };
        Listener { role: "metrics".into(), address, state }
    }

    /// For the exposition: fixed names.
    pub(crate) fn gauges(&self) -> Vec<metrics::Listener> {
        let up = |listener: &Listener| listener.state == ListenerState::Listening;
        let named = ["control_socket", "control_tcp", "metrics"];
        let list = self.list();
        let enabled = list.iter().zip(named).filter(|(l, _)| l.state != ListenerState::Disabled);
        enabled.map(|(listener, name)| metrics::Listener { name, up: up(listener) }).collect()
    }

    /// What works, in words: for the first lines of the log.
    pub(crate) fn sentence(&self) -> String {
        let listening = |l: Listener| match l.state {
            ListenerState::Listening => Some(format!("{} {}", l.role, l.address)),
            ListenerState::Failed(_) | ListenerState::Disabled => None,
        };
        let parts: Vec<String> = self.list().into_iter().filter_map(listening).collect();
        format!("listening on {}", parts.join(", "))
    }

    /// What does not work, in words; empty when all is well.
    pub(crate) fn trouble(&self) -> Vec<String> {
        let failed = |l: Listener| match l.state {
            ListenerState::Failed(why) => Some(format!("{} {} failed: {why}", l.role, l.address)),
            ListenerState::Listening | ListenerState::Disabled => None,
        };
        self.list().into_iter().filter_map(failed).collect()
    }
}
