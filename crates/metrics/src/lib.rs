//! Metrics: what the daemon knows, as a Prometheus exposition over HTTP.
//!
//! Pull only: nothing is sampled or woken up between scrapes, and only [`Durations`] are counted as they happen. A scrape
//! asks each source once ([`Source`] for what the daemon knows, /proc and cgroups for what the kernel knows) and writes the
//! answers, so a process that is gone leaves no series behind. Which metrics exist is said in one place,
//! [`names::TABLE`]; the exposition, `docs/METRICS.md` and the dashboards are checked against it.

pub mod names;

mod collect;
mod durations;
mod exporter;
mod fleet;
mod history;
mod http;
mod members;
mod proc;
#[cfg(any(test, feature = "fuzzing"))]
pub mod properties;
mod source;
mod text;

#[cfg(test)]
mod tests;

pub use durations::Durations;
pub use exporter::{BuildInfo, Exporter};
pub use http::{Config, ListenState, Web, WebError, serve};
pub use members::{LiveRun, Member, Members, RunUsage};
pub use source::{DaemonFacts, GrpcMethod, Journal, Listener, LogStream, Reload, SinkStats, Source, Turns};
