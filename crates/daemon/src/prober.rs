//! Health checks over the network, for the supervisor.
//!
//! They have a thread of their own, because a thousand checks that begin or time out at the same moment are some
//! hundred milliseconds of work, which calls would wait for on the threads that serve them. It is started with the
//! first check: who has none does not pay for it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use health::Checker;
use metrics::Durations;
use model::Probe;
use supervisor::{ProbeDone, Prober};
use tokio::runtime::{Builder, Runtime};

/// Makes checks over the network. Whatever still runs when it is dropped is answered with that.
#[derive(Default)]
pub(crate) struct Network {
    started: Mutex<Option<(Checker, Runtime)>>,
    durations: Arc<Durations>,
}

impl Network {
    /// Nothing is started yet; `durations` hears how long each check took.
    pub(crate) fn new(durations: Arc<Durations>) -> Self {
        Self { started: Mutex::default(), durations }
    }

    /// The checker, started when it is not yet.
    fn checker(&self) -> io::Result<Checker> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((checker, _)) = &*started {
            return Ok(checker.clone());
        }
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("check").enable_all().build()?;
        let (checker, _) = started.insert((Checker::new(runtime.handle().clone()), runtime));
        Ok(checker.clone())
    }
}

impl Prober for Network {
    fn probe(&self, probe: &Probe, timeout: Duration, done: ProbeDone) {
        let (durations, begun) = (Arc::clone(&self.durations), Instant::now());
        let done: ProbeDone = Box::new(move |result| {
            durations.health_check(begun.elapsed(), result.is_ok());
            done(result);
        });
        match self.checker() {
            Ok(checker) => checker.check(probe.clone(), timeout, done),
            // Tried again with the next check.
            Err(error) => done(Err(format!("the thread for health checks can't be started: {error}"))),
        }
    }
}

impl Drop for Network {
    /// Without waiting, so that it may happen on any thread.
    fn drop(&mut self) {
        let started = self.started.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, runtime)) = started.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc::channel;

    use super::*;

    /// Passes at once when all is well, fails after this.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn the_thread_comes_with_the_first_check_and_its_end_is_told() {
        let network = Network::default();
        assert!(network.started.lock().unwrap().is_none(), "nobody asked yet");

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, answers) = channel();
        let ask = |probe: Probe| {
            let sender = sender.clone();
            network.probe(&probe, PATIENCE, Box::new(move |answer| sender.send(answer).unwrap()));
        };
        ask(Probe::Tcp { address: address.to_string() });
        assert_eq!(answers.recv_timeout(PATIENCE).unwrap(), Ok(()));

        ask(Probe::Http { url: format!("http://{address}/") });
        drop(network);
        let message = answers.recv_timeout(PATIENCE).unwrap().unwrap_err();
        assert!(message.ends_with("the daemon is shutting down"), "{message}");
    }
}
