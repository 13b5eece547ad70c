//! Health checks over the network: whoever was asked answers once, or is taken to have failed.

use std::sync::Arc;
use std::time::Duration;

use model::{Probe, RunId};

use super::{Driver, Shared};

impl Driver {
    /// Asks. The answer comes through the inbox.
    pub(super) fn probe(&self, run: RunId, probe: &Probe, timeout: Duration) {
        let answer = Answer { shared: Arc::clone(&self.shared), run, given: false };
        self.prober.probe(probe, timeout, Box::new(move |result| answer.give(result)));
    }
}

/// An answer that is owed. Without one the process would never be asked again.
struct Answer {
    shared: Arc<Shared>,
    run: RunId,
    given: bool,
}

impl Answer {
    fn give(mut self, result: Result<(), String>) {
        self.given = true;
        self.shared.inbox.probed(self.run, result);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if !self.given {
            let lost = "the check was given up without an answer".to_owned();
            self.shared.inbox.probed(self.run, Err(lost));
        }
    }
}
