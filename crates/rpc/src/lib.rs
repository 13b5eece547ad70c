//! The control API: the proto, a server over the traits [`Control`] and [`LogSource`], who may do what, and a client.
//!
//! Inside, the module `convert` is the only place where wire types meet `model` types. The server knows neither the
//! supervisor nor the log pipeline: the composition root hands it implementations of the two traits.

mod accept;
mod auth;
mod authority;
mod body;
mod certificate;
mod client;
mod control;
mod convert;
mod deadline;
mod denied;
mod explained;
mod fault;
mod front;
mod guard;
mod handshake;
mod lock;
mod lookup;
mod mask;
mod members;
mod meter;
mod reflection;
mod ring;
mod server;
mod service;
mod shares;
mod signal;
mod slots;
mod socket;
mod spare;
mod token;
mod turns;
mod who;

pub use accept::ListenState;
pub use auth::{Method, Role};
pub use client::{Client, ClientError, Events, Logs, Rejection, Target, TlsFiles, Unreachable};
pub use control::{
    BoxFuture, BoxStream, Control, ControlError, Create, Created, DaemonStatus, ErrorKind, Fragment,
    Listener, ListenerState, LogBatch, LogPart, LogRequest, LogSource, Member, OverrideText, ReloadReport,
    ReloadResult, SetOverride, Stats, StatsRequest, Update, Updated, Usage, ViewResult, Violation,
    leftover_removed,
};
pub use convert::{default_log, read_definition};
pub use lock::{Lock, LockError};
pub use meter::{CallStats, Meter};
pub use ring::{EventRing, Severity, Wording};
pub use server::{BindError, Config, Inherited, Server, Tls};
pub use socket::SocketError;
pub use token::Token;

/// The wire types, generated from `proto/ddprocmgr/v1/process_manager.proto`, which documents them.
#[expect(clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("ddprocmgr.v1");
}

/// The compiled proto file, for reflection and for the test that no number ever changes.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ddprocmgr.bin"));

/// The full name of the service, as health and reflection show it.
pub const SERVICE: &str = "ddprocmgr.v1.ProcessManagerService";
