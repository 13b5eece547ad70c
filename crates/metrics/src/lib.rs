//! Metrics: what the daemon knows, as a Prometheus exposition over HTTP.
//!
//! Pull only: nothing is sampled, stored or woken up between scrapes. A scrape asks each source once
//! ([`Source`] for what the daemon knows, /proc for what the kernel knows) and builds fresh families from the
//! answers, so a process that is gone leaves no series behind. Which metrics exist is said in one place,
//! [`names::TABLE`]; the exposition, `docs/METRICS.md` and the dashboards are checked against it.

pub mod names;

mod collect;
mod exporter;
mod family;
mod http;
mod proc;
mod source;

#[cfg(test)]
mod tests;

pub use exporter::{BuildInfo, Exporter};
pub use http::{Config, ListenState, serve};
pub use source::{DaemonFacts, Journal, Listener, LogStream, Reload, SinkStats, Source, Turns};
