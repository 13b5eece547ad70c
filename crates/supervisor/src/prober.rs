//! What the driver needs from the outside to ask a process over the network whether it is healthy.

use std::time::Duration;

use model::Probe;

/// Called once with the answer: healthy, or what is wrong in words. From any thread.
pub type ProbeDone = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Makes health checks over the network.
pub trait Prober: Send + Sync + 'static {
    /// Starts a check and returns; must not block. `done` is called once, after `timeout` at the latest. Never called
    /// with [`Probe::Exec`], which the supervisor does itself.
    fn probe(&self, probe: &Probe, timeout: Duration, done: ProbeDone);
}
