//! Waiting for what a Prometheus learns.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Longest wait for anything; it scrapes and evaluates each second.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
pub(crate) fn wait<T>(what: &str, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let found = testkit::eventually_within(PATIENCE, || probe().transpose());
    match found {
        Some(answer) => answer.with_context(|| format!("waiting for {what}")),
        None => bail!("waited {PATIENCE:?} in vain for {what}"),
    }
}
