//! The front door: takes checks and sees that each of them is answered in time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::Probe;
use tokio::runtime::Handle;

use crate::answer::{Answer, Done};
use crate::connect::connect;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::lanes::{LIMITS, Lanes, Limits, Seat};
use crate::resolve::Resolver;
use crate::target::Target;
use crate::{grpc, http};

/// Makes health checks on a tokio runtime. Clones share one set of bounds.
#[derive(Clone)]
pub struct Checker {
    runtime: Handle,
    lanes: Arc<Lanes>,
    resolver: Arc<Resolver>,
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

impl Checker {
    /// Checks run on this runtime, whose I/O and time drivers must be enabled.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self::with_limits(runtime, LIMITS)
    }

    pub(crate) fn with_limits(runtime: Handle, limits: Limits) -> Self {
        Self { runtime, lanes: Arc::new(Lanes::new(limits)), resolver: Arc::new(Resolver::system()) }
    }

    /// Starts a check and returns at once. `done` is called exactly once, whatever happens: with the answer, or with
    /// what is wrong in one sentence that names the address; after `timeout` (at most a day) at the latest, when the
    /// check panics, and when the runtime is shut down.
    ///
    /// At most 1024 checks run at a time. Up to 4096 more wait, and their timeout runs meanwhile. Beyond that, and when
    /// the runtime is gone, `done` is called with an error before this returns, on the caller's thread.
    /// [`Probe::Exec`] is no check over the network and fails.
    pub fn check(&self, probe: Probe, timeout: Duration, done: Done) {
        let name = probe.to_string();
        let key = self.lanes.key(&name);
        let answer = Answer::new(name, done);
        let seat = match Seat::take(&self.lanes) {
            Ok(seat) => seat,
            Err(refusal) => return answer.give(Err(refusal)),
        };
        let resolver = Arc::clone(&self.resolver);
        let runtime = self.runtime.enter();
        let deadline = Deadline::after(timeout);
        drop(runtime);
        self.runtime.spawn(async move {
            let result = admitted(seat.lanes(), key, &probe, &resolver, deadline).await;
            // First, so that whoever hears the answer can start the next check.
            drop(seat);
            answer.give(result.map_err(|failure| failure.message));
        });
    }
}

/// Waits for a place and makes the check.
async fn admitted(
    lanes: &Lanes,
    key: u64,
    probe: &Probe,
    resolver: &Resolver,
    deadline: Deadline,
) -> Result<(), Failure> {
    let Some(_place) = deadline.bound(lanes.place(key)).await else {
        let message =
            format!("{probe} was not asked within {deadline}: too many other checks wait for answers");
        return Err(Failure::silent(message));
    };
    // On the heap only now, so that those that wait are small.
    let result = Box::pin(ask(probe, resolver, deadline)).await;
    lanes.learn(key, result.as_ref().is_err_and(|failure| failure.silent));
    result
}

async fn ask(probe: &Probe, resolver: &Resolver, deadline: Deadline) -> Result<(), Failure> {
    match probe {
        Probe::Http { url } => http::check(url, resolver, deadline).await,
        Probe::Grpc { address, service } => grpc::check(address, service, resolver, deadline).await,
        // Taken by the kernel is enough: what the process does with the connection is not looked at.
        Probe::Tcp { address } => connect(&Target::parse(address)?, resolver, deadline).await.map(drop),
        Probe::Exec(_) => Err(Failure::said(format!("{probe} is no check over the network"))),
    }
}

#[cfg(test)]
mod tests;
